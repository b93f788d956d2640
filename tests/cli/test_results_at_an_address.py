"""Every verb takes the address of a run on object storage where it takes a folder.

The bucket is in this process's memory (``memory://``); tests/integration/test_runs_on_s3.py has
a server.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import raytao
from raytao.cli.main import main
from raytao.errors import FolderError, SettingsError
from raytao.report.summary import summary
from raytao.runs.log import read_log
from raytao.runs.place import ObjectPlace, Place, is_file, place_of, store_at
from raytao.setup.folder import Found, claim, driver_of, inspect_folder, open_folder
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.testing.folder_run import run_in_folder

RUN = "network: toy\nbrain: {name: random, max_recommendations: 3}\nset: {train.num_epochs: 2}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def address() -> str:
    return f"memory://bucket/{uuid.uuid4().hex}/run"


def prepared(address: str, *assignments: str) -> Setup:
    Path("run.yaml").write_text(RUN)
    return resolve("run.yaml", [f"results_dir={address}", *assignments])


@pytest.fixture
def whole(home: Path, address: str) -> str:
    """The address of a run that is over."""
    setup = prepared(address)
    run_in_folder(setup, store_at(setup.results))
    return address


@pytest.fixture
def begun(home: Path, address: str) -> str:
    """The address of a run that its driver was to go on with."""
    loop = search(address)
    trial = loop.ask()
    assert trial is not None
    loop.tell(trial, 0.5)
    loop.close()
    return address


def search(address: str) -> raytao.AutoML:
    """A search for a loop of one's own."""
    return raytao.AutoML(
        space={"x": (0.0, 1.0)},
        epochs=2,
        metric={"name": "acc", "direction": "maximize"},
        brain={"name": "random", "max_recommendations": 3},
        results_dir=address,
    )


def told(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments])


def done(*arguments: str) -> str:
    """What a verb prints that ends well."""
    result = told(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def names(address: str) -> set[str]:
    return set(store_at(place_of(address)).list())


def test_a_run_at_an_address_writes_what_a_run_in_a_folder_does(whole: str, home: Path) -> None:
    setup = prepared(str(home / "results"))
    run_in_folder(setup, store_at(setup.results))
    assert names(whole) == names(str(home / "results"))
    there, here = (open_folder(place)[1] for place in (place_of(whole), setup.results))
    assert there.incumbent == here.incumbent


def test_status_reads_an_address(whole: str) -> None:
    assert f"results in {whole}" in done("status", whole)
    told = json.loads(done("status", whole, "--json"))
    assert told["status"] == "Done"
    assert len(told["controller"]) == 3
    assert "Done" in done("status", f"{whole}/", "--watch")


def test_logs_read_an_address(whole: str) -> None:
    key = f"{layout.experiment(1)}/{layout.LOG}"
    text = (store_at(place_of(whole)).read(key) or b"").decode()
    assert text
    assert done("logs", whole, "-n", "1") == text
    assert done("logs", whole, "-n", "1", "--follow") == text
    assert "no recommendation 7" in told("logs", whole, "-n", "7").output


def test_a_report_lies_beside_its_run_or_where_one_says(whole: str, home: Path) -> None:
    assert done("report", whole).strip() == f"{whole}/report.html"
    page = (store_at(place_of(whole)).read(layout.REPORT) or b"").decode()
    assert whole in page
    assert done("report", whole, "-o", str(home / "page.html")).strip() == str(home / "page.html")
    assert "</html>" in (home / "page.html").read_text()
    other = f"{whole}_pages/one.html"
    assert done("report", whole, "-o", other).strip() == other
    assert is_file(place_of(other))
    assert str(raytao.open(whole).report()) == f"{whole}/report.html"


def test_what_is_drawn_can_be_drawn_again(whole: str) -> None:
    store = store_at(place_of(whole))
    store.delete(layout.CONTROLLER)
    store.delete(layout.BEST_MODEL)
    assert f"drawn again: {whole}" in done("redraw", whole)
    assert is_file(place_of(whole) / layout.CONTROLLER)
    assert any(name.startswith(f"{layout.BEST_MODEL}/") for name in names(whole))


def test_the_best_model_is_measured_from_an_address(whole: str) -> None:
    measured = json.loads(done("evaluate", whole, "--json"))
    assert measured["checkpoint"].startswith(f"{whole}/{layout.BEST_MODEL}/weights/")
    assert json.loads(done("evaluate", f"{whole}/{layout.BEST_MODEL}", "--json")) == measured
    best = raytao.open(whole).best
    assert best is not None
    assert best.evaluate() == measured["metrics"]
    assert best.number == measured["recommendation"]
    missing = told("evaluate", f"{whole}_nowhere")
    assert missing.exit_code == 2
    assert f"no file or folder {whole}_nowhere" in missing.output


def test_a_recommendation_at_an_address_is_repeated(whole: str) -> None:
    spec = f"{whole}/{layout.recommendation(0)}"
    assert "epoch 2/2" in done("train", "toy", "-e", spec, "-r", f"{whole}_again")
    assert is_file(place_of(f"{whole}_again") / layout.TRAINED / layout.PROVENANCE)
    assert told("train", "toy", "-e", f"{whole}/none.yaml").exit_code == 2


def test_a_run_at_an_address_is_opened_in_python(whole: str) -> None:
    run = raytao.open(whole)
    assert repr(run) == f"raytao.open({whole!r})"
    assert run.status == "Done"
    assert len(run.table()) == 3
    assert run.tao["status"] == "Done"
    assert run.baseline is not None


def test_an_earlier_run_at_an_address_is_begun_with(whole: str) -> None:
    setup = prepared(f"{whole}_next", f"warm_start=[{whole}]")
    assert [whole in one.why for one in setup.given.initial] == [True]
    with pytest.raises(FolderError, match="nothing is at memory://bucket/none"):
        prepared(f"{whole}_next", "warm_start=[memory://bucket/none]")
    with pytest.raises(SettingsError, match="is of a kind that raytao does not know"):
        prepared(f"{whole}_next", "warm_start=[ftp://bucket/none]")


def test_a_loop_of_ones_own_is_kept_at_an_address(begun: str) -> None:
    assert [row["epochs"] for row in raytao.open(begun).table().to_dict("records")] == [1]
    again = search(begun)
    with pytest.raises(FolderError, match="already holds this run"):
        again.ask()
    while (trial := again.ask(resume=True)) is not None:
        while again.tell(trial, 0.1 * trial.number):
            pass
    assert again.done
    assert raytao.open(begun).status == "Done"
    assert "is finished" in told("stop", begun).output


def test_a_second_driver_is_refused_and_told_who_is_first(home: Path, address: str) -> None:
    first, second = search(address), search(address)
    assert first.ask() is not None
    with pytest.raises(FolderError, match=f"another raytao is running in {address}: .*, pid "):
        second.ask(resume=True)
    first.close()
    assert second.ask(resume=True) is not None
    second.close()
    assert driver_of(place_of(address)) is None


@pytest.mark.parametrize(("verb", "status"), [("stop", "Done"), ("cancel", "Canceled")])
def test_a_run_that_nobody_drives_is_ended_in_its_drivers_place(
    begun: str, verb: str, status: str
) -> None:
    assert f"{status}" in done(verb, begun)
    assert raytao.open(begun).status == status


def test_a_damaged_log_is_kept_and_repaired(whole: str) -> None:
    store = store_at(place_of(whole))
    log = store.read(layout.EVENTS) or b""
    store.replace(layout.EVENTS, log[:-200] + b"torn\n" + log[-100:])
    damaged = told("status", whole)
    assert damaged.exit_code == 3
    assert f"raytao repair {whole}" in damaged.output
    assert f"a copy of all: {whole}/events.jsonl.corrupt-" in done("repair", whole)
    assert read_log(store_at(place_of(whole)), layout.EVENTS)


def test_an_address_with_other_objects_is_refused(home: Path, address: str) -> None:
    setup = prepared(address)
    assert inspect_folder(setup, resume=False) is Found.FRESH
    with claim(setup.results):
        pass
    assert inspect_folder(setup, resume=False) is Found.FRESH  # what a killed driver leaves
    store_at(setup.results).replace("notes.txt", b"mine")
    with pytest.raises(FolderError, match="is not empty and holds no raytao run"):
        inspect_folder(setup, resume=False)


def test_a_log_that_is_gone_is_missed(whole: str) -> None:
    store_at(place_of(whole)).delete(layout.EVENTS)
    store_at(place_of(whole)).delete(layout.CONTROLLER)
    lost = told("status", whole)
    assert lost.exit_code == 3
    assert f"{whole}/events.jsonl is gone" in lost.output


def test_a_folder_of_tao_is_read_from_a_path_only(home: Path, address: str) -> None:
    store_at(place_of(address)).replace(layout.CONTROLLER, b"[]")
    refused = told("status", address)
    assert refused.exit_code == 2
    assert "copy it to a local folder" in refused.output


@pytest.mark.parametrize("verb", ["status", "logs", "report", "resume", "stop", "redraw"])
def test_an_address_with_nothing_below_it_is_refused(home: Path, address: str, verb: str) -> None:
    refused = told(verb, address)
    assert refused.exit_code == 2
    assert f"nothing is at {address}" in refused.output


@pytest.mark.parametrize("verb", ["status", "resume", "evaluate", "repair"])
def test_another_kind_of_address_is_refused_by_every_verb(verb: str) -> None:
    refused = told(verb, "hdfs://namenode/run")
    assert refused.exit_code == 2
    assert "is of a kind that raytao does not know: it knows s3://" in refused.output


def test_the_last_words_of_a_run_name_addresses(whole: str) -> None:
    place: Place = place_of(whole)
    assert isinstance(place, ObjectPlace)
    said = "\n".join(summary(open_folder(place)[1], place, 1.0))
    assert f"best model   {whole}/best_model/weights/model_epoch_" in said
