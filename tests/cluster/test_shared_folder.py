"""A results folder that one node has for itself alone: found out before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

import raytao
from raytao.cluster import shared
from raytao.cluster.shared import why_unseen
from raytao.errors import SettingsError
from raytao.runs.place import place_of
from raytao.runs.state import RunState
from raytao.setup.changes import Entry
from raytao.setup.folder import claim, driver_of
from raytao.setup.resolve import resolve
from raytao.tao import layout
from raytao.tune.launch import launch

ANOTHER_DISK = """
import pathlib
__path__ = [{real!r}]
exec(pathlib.Path({real!r}, "__init__.py").read_text())
import raytao.runs.place as place
seen = place.place_of
place.place_of = lambda text: seen(text.replace("results", "results_of_another_disk"))
"""
"""What ``import raytao`` does on a node that has mounted something else."""


class Unwatched:
    """An observer that nobody looks at."""

    def connected(self, found: str) -> None:
        pass

    def event(self, event: object, state: RunState) -> None:
        pass

    def step(self, state: RunState, left: object) -> None:
        pass


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A driver's current folder far from any checkout: Ray shows it to every worker."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def apart(elsewhere: Path) -> Iterator[Cluster]:
    """A head with a CPU, and a node with a CPU and another disk."""
    package = elsewhere / "node/raytao"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(ANOTHER_DISK.format(real=raytao.__path__[0]))
    own = {"num_cpus": 1, "include_dashboard": False}  # one that finds its port taken leaks it
    made = Cluster(initialize_head=True, head_node_args=own)
    made.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(package.parent)})
    made.wait_for_nodes()
    yield made
    made.shutdown()


def test_a_node_sees_the_folder_by_what_its_driver_has_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "APPEARS_SECONDS", 0.0)
    mine, other = tmp_path / "mine", tmp_path / "other"
    for folder in (mine, other):
        folder.mkdir()
    with claim(mine) as ours, claim(other):
        assert why_unseen(str(mine), ours.owner.token) == ""
        assert "another folder" in why_unseen(str(other), ours.owner.token)
        assert "another folder" in why_unseen(str(tmp_path / "none"), ours.owner.token)


def test_a_folder_that_appears_late_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = tmp_path / "late"
    with claim(tmp_path) as ours:
        monkeypatch.setattr("time.sleep", lambda seconds: late.symlink_to(tmp_path))
        assert why_unseen(str(late), ours.owner.token) == ""


def test_a_node_without_the_library_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raytao.runs.place.find_spec", lambda name: None)
    why = why_unseen(str(place_of("s3://bucket/run")), "token")
    assert "s3fs" in why
    assert "pip install 'raytao[s3]'" in why
    assert "\n" not in why


@pytest.mark.ray
@pytest.mark.integration
def test_a_folder_that_a_node_does_not_share_is_refused_before_anything_is_trained(
    apart: Cluster, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "toy.yaml").write_text("network: toy\nresults_dir: results\n")
    setup = resolve("toy.yaml", [f"address={apart.address}"])
    with pytest.raises(SettingsError, match="is not shared by all nodes") as refused:
        launch(setup, Entry(setup.opened()), Unwatched())
    assert str(refused.value).count("    node ") == 1
    assert "it is another folder there, or none" in str(refused.value)
    assert "mounted under one path, or on object storage: s3://" in refused.value.remedy
    assert [path.name for path in setup.results.iterdir()] == [layout.OWNER]  # type: ignore[union-attr]  # it is a path
    assert driver_of(setup.results) is None
    assert not (elsewhere / "results_of_another_disk").exists()
