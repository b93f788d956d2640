"""Joining a cluster that raytao did not start: are its nodes fit, and is it left as it was?"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray
from ray._private.node import Node
from ray.cluster_utils import Cluster

import raytao
from raytao.cluster.connect import connected
from raytao.cluster.nodes import Answer, Silent, Unfit, Versions, ask_nodes, compare, versions_here
from raytao.errors import SettingsError
from raytao.runs.eta import Remaining
from raytao.runs.events import Event, Reported
from raytao.runs.state import RunState
from raytao.setup.changes import Entry
from raytao.setup.resolve import resolve
from raytao.tune.interrupts import Interrupted
from raytao.tune.launch import launch

OLD = "__version__ = '0.0.1'\n"
SLOW = "import time\ntime.sleep(60)\n"
MISSING = "raise ModuleNotFoundError(\"No module named 'raytao'\")\n"


class Watching:
    """Watches, and may do something when the first epoch is in."""

    def __init__(self, at_the_first_epoch: signal.Signals | None = None) -> None:
        self._signal = at_the_first_epoch

    def connected(self, found: str) -> None:
        pass

    def event(self, event: Event, state: RunState) -> None:
        if isinstance(event, Reported) and self._signal is not None:
            number, self._signal = self._signal, None
            signal.raise_signal(number)

    def step(self, state: RunState, left: Remaining) -> None:
        pass


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head with two CPUs, and a node with none."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    made.add_node(num_cpus=0)
    made.wait_for_nodes()
    yield made
    made.shutdown()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A driver's current folder far from any checkout: Ray shows it to every worker."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def node_with(cluster: Cluster, folder: Path, package: str) -> Iterator[Node]:
    """One more node for a while, on which ``import raytao`` runs ``package``."""
    (folder / "raytao").mkdir(parents=True)
    (folder / "raytao/__init__.py").write_text(package)
    node = cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(folder)})
    try:
        yield node
    finally:
        if node in cluster.worker_nodes:
            cluster.remove_node(node)


@contextmanager
def driver(cluster: Cluster) -> Iterator[None]:
    """Ray as a notebook's user starts it."""
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


def join(cluster: Cluster) -> None:
    with connected(cluster.address):
        pass


def toy(folder: Path, *assignments: str) -> tuple[str, ...]:
    (folder / "toy.yaml").write_text("network: toy\nseed: 3\n")
    run = ("brain={name: random, max_recommendations: 2}", "train.num_epochs=2")
    return (str(folder / "toy.yaml"), f"results_dir={folder / 'results'}", *run, *assignments)


def run_toy(folder: Path, *assignments: str) -> RunState:
    run, *rest = toy(folder, *assignments)
    setup = resolve(run, rest)
    return launch(setup, Entry(setup.opened()), Watching())


# What is refused -------------------------------------------------------------------------------


HERE = Versions("1.2.0", "3.11")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Versions("1.1.0", "3.11"), "raytao 1.1.0 on Python 3.11"),
        (Versions("1.2.0", "3.12"), "raytao 1.2.0 on Python 3.12"),
        (Unfit("raytao does not load (ImportError: torch)"), "raytao does not load (ImportError"),
    ],
)
def test_a_node_that_differs_is_named_with_both_versions_and_the_remedy(
    answer: Answer, told: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        compare(HERE, {"gpu-1 (10.0.0.7)": HERE, "gpu-2 (10.0.0.8)": answer})
    assert "this driver has raytao 1.2.0 on Python 3.11" in str(refused.value)
    assert f"node gpu-2 (10.0.0.8): {told}" in str(refused.value)
    assert "gpu-1" not in str(refused.value)
    assert "--working-dir" in refused.value.remedy


def test_nodes_that_are_the_same_are_fine() -> None:
    compare(HERE, {"gpu-1 (10.0.0.7)": HERE})


def test_silent_nodes_are_no_question_of_versions() -> None:
    with pytest.raises(SettingsError, match="gpu-2: no answer in 60 s") as refused:
        compare(HERE, {"gpu-1": HERE, "gpu-2": Silent(60)})
    assert "ray status" in refused.value.remedy


def test_a_hundred_wrong_nodes_fit_on_a_screen() -> None:
    with pytest.raises(SettingsError, match="and 92 more nodes") as refused:
        compare(HERE, {f"gpu-{n}": Versions("1.1.0", "3.11") for n in range(100)})
    assert str(refused.value).count("\n") < 15


# What nodes answer -----------------------------------------------------------------------------


@pytest.mark.ray
@pytest.mark.integration
def test_every_node_answers_even_one_without_cpus(cluster: Cluster, elsewhere: Path) -> None:
    with driver(cluster):
        assert list(ask_nodes(30).values()) == [versions_here()] * 2


@pytest.mark.ray
@pytest.mark.integration
@pytest.mark.parametrize(
    ("package", "told"),
    [
        pytest.param(OLD, "raytao 0.0.1 on Python", id="an old raytao"),
        pytest.param(MISSING, "No module named 'raytao'", id="none"),
    ],
)
def test_a_node_with_another_raytao_is_refused_before_anything_is_written(
    package: str, told: str, cluster: Cluster, elsewhere: Path
) -> None:
    with (
        node_with(cluster, elsewhere / "node", package),
        pytest.raises(SettingsError, match=told) as refused,
    ):
        run_toy(elsewhere, f"address={cluster.address}")
    assert str(refused.value).count("node ") == 2  # "every node must", and the one
    assert not (elsewhere / "results").exists()
    assert not ray.is_initialized()


@pytest.mark.ray
@pytest.mark.integration
def test_a_node_that_does_not_answer_is_named(cluster: Cluster, elsewhere: Path) -> None:
    with driver(cluster):
        ask_nodes(30)  # the others have a warm process from now on
        with node_with(cluster, elsewhere / "node", SLOW):
            answers = ask_nodes(20)
    assert sorted(map(str, answers.values())) == ["no answer in 20 s", *[str(versions_here())] * 2]


@pytest.mark.ray
@pytest.mark.integration
def test_a_node_that_leaves_meanwhile_is_not_missed(cluster: Cluster, elsewhere: Path) -> None:
    with node_with(cluster, elsewhere / "node", SLOW) as node, driver(cluster):
        leaves = threading.Timer(1, cluster.remove_node, [node])
        leaves.start()
        answers = ask_nodes(60)
        leaves.join()
    assert list(answers.values()) == [versions_here()] * 2


# How the cluster is left -----------------------------------------------------------------------


@pytest.mark.ray
@pytest.mark.integration
def test_only_a_cluster_that_was_not_started_here_is_asked(
    cluster: Cluster, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raytao, "__version__", "9.9")
    with pytest.raises(SettingsError, match=r"raytao 9\.9"):
        join(cluster)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    with pytest.raises(SettingsError, match=r"raytao 9\.9"), connected(None):
        pass
    monkeypatch.delenv("RAY_ADDRESS")
    # One process, one mode: a Ray started here would turn tokens on for it, the cluster has none.
    monkeypatch.setenv("RAY_AUTH_MODE", os.environ.get("RAY_AUTH_MODE", "disabled"))
    with connected(None) as own:
        assert len(own.nodes) == 1
    assert not ray.is_initialized()


@pytest.mark.ray
@pytest.mark.integration
def test_a_users_ray_is_used_and_stays(cluster: Cluster, elsewhere: Path) -> None:
    with driver(cluster):
        state = run_toy(elsewhere)
        assert state.finished is not None
        assert ray.is_initialized()
        port = cluster.address.rpartition(":")[2]
        for same in ("auto", cluster.address, f"127.0.0.1:{port}", f"localhost:{port}"):
            with connected(same) as found:
                assert len(found.nodes) == 2
        assert ray.is_initialized()


@pytest.mark.ray
@pytest.mark.integration
@pytest.mark.parametrize("other", ["local", "127.0.0.1:1", "ray://127.0.0.1:10001"])
def test_another_cluster_than_the_users_is_refused(
    other: str, cluster: Cluster, elsewhere: Path
) -> None:
    with driver(cluster):
        with pytest.raises(SettingsError, match=r"already|is connected") as refused:
            run_toy(elsewhere, f"address={other}")
        assert other in str(refused.value)
        assert ray.is_initialized()
    assert not (elsewhere / "results").exists()


@pytest.mark.ray
@pytest.mark.integration
def test_an_interrupted_run_gives_a_users_ray_its_cpus_back(
    cluster: Cluster, elsewhere: Path
) -> None:
    run, *rest = toy(elsewhere, "train.sleep=0.5", "train.num_epochs=20")
    setup = resolve(run, rest)
    with driver(cluster):
        with pytest.raises(Interrupted):
            launch(setup, Entry(setup.opened()), Watching(signal.SIGINT))
        deadline = time.monotonic() + 20
        while ray.available_resources().get("CPU") != 2:
            assert time.monotonic() < deadline, ray.available_resources()
            time.sleep(0.2)
        assert ray.is_initialized()


@pytest.mark.ray
@pytest.mark.integration
def test_a_run_in_a_thread_works(cluster: Cluster, elsewhere: Path) -> None:
    states: list[RunState] = []
    where = f"address={cluster.address}"
    thread = threading.Thread(target=lambda: states.append(run_toy(elsewhere, where)))
    thread.start()
    thread.join()
    assert [state.finished is not None for state in states] == [True]
    assert not ray.is_initialized()
