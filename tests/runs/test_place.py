"""Where a results folder is: paths and addresses, in the same words; nothing is looked at."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.errors import SettingsError
from raytao.runs import place as places
from raytao.runs.place import (
    ObjectPlace,
    is_file,
    is_there,
    libraries_at,
    names_in,
    place_of,
    store_at,
)
from raytao.runs.store import LocalStore

CANARY = "canary-4711"
NAMES = st.text("abcAB_-.9 é", min_size=1, max_size=6).filter(lambda n: n not in (".", ".."))


def refused(text: str | Path) -> SettingsError:
    """The error of an address; it shows no secret."""
    with pytest.raises(SettingsError) as caught:
        place_of(text)
    assert CANARY not in str(caught.value)
    return caught.value


@given(st.sampled_from(["s3", "gs", "az"]), st.lists(NAMES, min_size=1, max_size=4))
def test_an_address_reads_back_as_it_is_written(scheme: str, names: list[str]) -> None:
    place = place_of(f"{scheme}://{'/'.join(names)}")
    assert isinstance(place, ObjectPlace)
    assert place_of(str(place)) == place
    assert place_of(place) is place
    assert place.resolve() == place
    assert (place / "a" / "b").parent.parent == place
    assert place / "a/b" == place / "a" / "b"
    assert (place / "weights/model.pth").name == "model.pth"


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_an_address_is_taken_apart_as_a_path_is(names: list[str]) -> None:
    place, path = ObjectPlace("s3", "bucket"), Path("/bucket")
    for name in names:
        place, path = place / name, path / name
    assert (place.name, place.stem, place.suffix) == (path.name, path.stem, path.suffix)
    assert str(place.parent) == f"s3:/{path.parent}"


def test_what_has_no_scheme_is_a_path() -> None:
    for text in ("results/a", "/mnt/runs", "a:b", "results/s3:/x", "C:/runs"):
        assert place_of(text) == Path(text)
    assert place_of(Path("results")) == Path("results")


def test_slashes_that_mean_nothing_are_left_out() -> None:
    assert str(place_of("S3://bucket//runs/./a/")) == "s3://bucket/runs/a"
    assert place_of("gs://bucket").name == ""
    assert place_of("gs://bucket").parent == place_of("gs://bucket")


def test_an_address_cannot_be_changed() -> None:
    place = ObjectPlace("s3", "bucket")
    with pytest.raises(FrozenInstanceError):
        place.bucket = "other"  # type: ignore[misc]  # that is what is tested


@pytest.mark.parametrize("scheme", ["hdfs", "file", "http", "abfs", "s3a"])
def test_another_kind_of_address_is_refused_with_those_that_are_known(scheme: str) -> None:
    error = refused(f"{scheme}://bucket/runs")
    assert f"'{scheme}://bucket/runs' is of a kind that raytao does not know" in error.message
    assert "s3://, gs://, az://" in error.message
    assert "memory" not in str(error)
    assert "the path of a folder" in error.remedy


@pytest.mark.parametrize(
    "address",
    [f"s3://ann:{CANARY}@bucket/runs", f"gs://{CANARY}@bucket", f"s3://b/a?token={CANARY}"],
)
def test_an_address_with_a_login_is_refused_and_not_shown(address: str) -> None:
    error = refused(address)
    assert "holds a login" in error.message
    assert "***" in error.message


@pytest.mark.parametrize("address", ["s3://", "s3:///", "s3:///bucket/runs", "az://./"])
def test_an_address_without_a_bucket_is_refused(address: str) -> None:
    assert "names no bucket" in refused(address).message


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("s3://bucket/a/../b", "'..'"),
        ("s3://bucket/a*", "'*'"),
        ("s3://bucket/a\nb", "'\\n'"),
        (f"s3://bucket/{'a' * 1000}", "too long"),
    ],
)
def test_an_address_that_no_folder_can_have_is_refused(address: str, why: str) -> None:
    assert why in refused(address).message


def test_an_address_that_was_read_as_a_path_is_found_out() -> None:
    error = refused(Path("s3://bucket/runs"))
    assert "'s3:/bucket/runs' is an address that was read as a path" in error.message
    assert "as text" in error.remedy


def test_no_name_leads_out_of_an_address() -> None:
    with pytest.raises(SettingsError, match="leaves its folder"):
        ObjectPlace("s3", "bucket") / "../other"


def test_a_library_that_is_missing_names_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(places, "find_spec", lambda name: None)
    with pytest.raises(
        SettingsError, match=r"gs://b/runs needs the Python package gcsfs"
    ) as caught:
        store_at(place_of("gs://b/runs"))
    assert "pip install 'raytao[gs]'" in caught.value.remedy


def test_a_path_is_a_local_store(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    assert isinstance(store, LocalStore)
    assert libraries_at(tmp_path) == ()
    assert not is_there(tmp_path / "results")
    store.replace("results/events.jsonl", b"x")
    assert is_there(tmp_path / "results")
    assert is_file(tmp_path / "results" / "events.jsonl")
    assert not is_file(tmp_path / "results")
    assert names_in(tmp_path) == {"results"}
    assert names_in(tmp_path / "missing") == set()


def test_a_folder_on_object_storage_is_there_once_something_is_in_it() -> None:
    folder = place_of("memory://test_place/runs/1")
    assert libraries_at(folder) == ("fsspec",)
    assert not is_there(folder)
    assert names_in(folder) == set()
    store_at(folder).replace("experiment_0/raytao.json", b"x")
    assert is_there(folder)
    assert not is_file(folder)
    assert is_file(folder / "experiment_0/raytao.json")
    assert names_in(folder) == {"experiment_0"}
    assert is_there(folder.parent)


def test_paths_need_nothing_that_addresses_do() -> None:
    code = (
        "import sys; from raytao.runs.place import place_of, store_at\n"
        "store_at(place_of('results')); place_of('s3://bucket/runs')\n"
        "heavy = {'fsspec', 's3fs', 'gcsfs', 'adlfs', 'aiohttp', 'botocore'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
