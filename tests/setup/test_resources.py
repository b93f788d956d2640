"""What trials ask of the cluster: numbers, formulas over the spec, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raytao.errors import SettingsError
from raytao.report.plan import plan_text
from raytao.runs.resources import GIGABYTE, ResourceRequest
from raytao.runs.state import RunState
from raytao.runs.tasks import Evaluation, Lease
from raytao.setup.asking import requests_of
from raytao.setup.chapters import Chapters
from raytao.setup.function import function_setup
from raytao.setup.places import Places
from raytao.setup.reopen import relocated, reopen
from raytao.setup.resolve import resolve
from raytao.setup.resources import Resources
from raytao.setup.schedule import forecast, rates
from raytao.setup.settings import Settings, validate
from raytao.setup.setup import Setup
from raytao.space import Float, Space
from raytao.trials.messages import Job
from raytao.tune.launch import job_maker
from raytao.tune.placement import placement_of
from raytao.types import Params

SPEC = {"model": {"width": 96, "kind": "wide"}}


def resources(**given: Any) -> Resources:
    settings: Settings = validate(
        Settings, {"network": "toy", "resources": given}, place=Places("run.yaml")
    )
    return settings.resources


def toy(folder: Path, text: str, *assignments: str) -> Setup:
    """A toy's run; model.y is 3 in its spec, and 0 to 10 in its space."""
    run = folder / "run.yaml"
    run.write_text(f"network: toy\nbrain: {{name: hyperband, R: 9}}\nresources:\n{text}\n")
    return resolve(str(run), assignments)


def test_a_trial_gets_one_cpu_unless_it_asks_for_more() -> None:
    assert resources().of({}) == ResourceRequest()
    assert ResourceRequest() == ResourceRequest(cpus=1, gpus=0, processes=1, nodes=1)


def test_all_that_can_be_asked_for_is_in_the_request() -> None:
    asked = resources(
        cpus=8, gpus=2, memory_gb=32, gpu_memory_gb=20, custom={"disk": 1}, labels={"gpu": "a"},
        processes=2, nodes=3,
    )  # fmt: skip
    assert asked.of({}) == ResourceRequest(8.0, 2.0, 32.0, 20.0, {"disk": 1.0}, {"gpu": "a"}, 2, 3)


def test_a_number_may_be_a_formula_over_the_spec() -> None:
    asked = resources(cpus="model.width // 32", gpus="1 if model.width > 64 else 0.5")
    assert asked.of(SPEC) == ResourceRequest(cpus=3, gpus=1)
    assert asked.of({"model": {"width": 32}}) == ResourceRequest(cpus=1, gpus=0.5)


def test_the_first_condition_that_holds_gives_the_keys_that_it_has() -> None:
    asked = resources(
        cpus=4,
        labels={"gpu": "small"},
        when=[
            {"if": "model.width > 128", "gpus": 2, "labels": {"gpu": "huge"}},
            {"if": "model.width > 64", "gpus": 1, "labels": {"gpu": "large"}},
            {"if": "model.kind == 'wide'", "cpus": 1},
        ],
    )
    large = ResourceRequest(cpus=4, gpus=1, labels={"gpu": "large"})
    assert asked.of(SPEC) == large
    wide = {"model": {"width": 8, "kind": "wide"}}
    assert asked.of(wide) == ResourceRequest(cpus=1, labels={"gpu": "small"})
    other = {"model": {"width": 8, "kind": "deep"}}
    assert asked.of(other) == ResourceRequest(cpus=4, labels={"gpu": "small"})


@pytest.mark.parametrize(
    ("gpus", "distributed", "processes"),
    [(0, True, 1), (0.5, True, 1), (1, True, 1), (2, True, 2), (4, True, 4), (4, False, 1)],
)
def test_a_process_for_each_of_several_gpus_where_the_network_can(
    gpus: float, distributed: bool, processes: int
) -> None:
    assert resources(gpus=gpus).of({}, distributed=distributed).processes == processes


@pytest.mark.parametrize(
    ("cpus", "processes", "threads"), [(1, 1, 1), (0.5, 1, 1), (2.5, 1, 2), (8, 3, 2), (1, 4, 1)]
)
def test_the_cpus_are_shared_by_the_processes(cpus: float, processes: int, threads: int) -> None:
    assert ResourceRequest(cpus=cpus, processes=processes).threads == threads


@pytest.mark.parametrize(
    ("gpus", "limit", "share"),
    [(0, None, 1.0), (0.25, None, 0.25), (1, None, 1.0), (4, None, 1.0), (1, 20, 0.25),
     (0.5, 20, 0.25), (0.5, 200, 1.0)],
)  # fmt: skip
def test_a_trial_takes_its_share_of_a_gpus_memory_or_what_it_asked_for(
    gpus: float, limit: float | None, share: float
) -> None:
    asked = ResourceRequest(gpus=gpus, gpu_memory_gb=limit)
    assert asked.gpu_memory_share(80 * GIGABYTE) == share


@pytest.mark.parametrize(
    ("text", "line", "message", "remedy"),
    [
        ("  gpus: 1.5", 4, "resources.gpus is 1.5; above 1 it must be a whole", "write 1 or 2"),
        ("  cpus: 2\n  processes: 3", 5, "each process needs a CPU, and cpus is 2", "cpus: 3"),
        ("  memory_gb: 0", 4, "'resources.memory_gb' is 0; it should be greater than 0", ""),
        ("  gpu_memory_gb: 8", 4, "gpu_memory_gb is 8; the trial gets no GPU", "give gpus"),
        (
            "  cpus: 1\n  gpus: model.widht",
            5,
            "the train spec has no key 'model.widht'",
            "did you",
        ),
        ("  cpus: 1\n  gpus: 1 if", 5, "resources.gpus: '1 if', column 1: it is no formula", ""),
        ("  gpus: model.fruit", 4, "it gives 'apple'; it must give a number", ""),
        ("  cpus: model.y - 3", 4, "resources.cpus is 0 (model.y - 3); it must be greater", ""),
        ("  custom: {CPU: 1}", 4, "it must not hold CPU, which is Ray's own: give cpus", ""),
        ("  custom: {disk: 0}", 4, "must give every name an amount above 0, not 'disk': 0", ""),
        ("  labels: {gpu: '!!a'}", 4, "it says gpu: '!!a'; write gpu: large, '!large'", ""),
        ("  labels: {-gpu: a}", 4, "it has '-gpu', which can be no label's name", ""),
        ("  gpus: 0.5\n  nodes: 2", 5, "a trial on several nodes shares no GPU", "nodes: 1"),
        ("  cpus: 2\n  processes: 2", 5, "network 'toy' trains in one process", "one process"),
        ("  nodes: 2", 4, "network 'toy' trains in one process, not in 2", "one process"),
        (
            "  cpus: 2\n  gpus: train.num_gpus",
            5,
            "reads train.num_gpus, which raytao sets",
            "numb",
        ),
        ("  when:\n  - {if: model.y > 1, gpus: 1.5}", 5, "resources.when.0.gpus is 1.5", "write"),
        ("  when:\n  - {if: model.q > 1}", 5, "if: 'model.q > 1', column 1: the train", "did"),
        (
            "  when:\n  - if: model.y > 1\n    gpu: 1",
            6,
            "unknown key 'resources.when.0.gpu'",
            "gpus",
        ),
        ("  when:\n  - gpus: 1", 5, "'resources.when.0.if' is missing", "add"),
        ("  when: {if: x}", 4, "'resources.when' must be a list", ""),
        ("  when:\n  - {if: model.y, gpus: 1}", 5, "it gives 3; it must give true or false", ""),
    ],
)
def test_what_no_cluster_could_give_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, message: str, remedy: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        toy(tmp_path, text)
    assert caught.value.where is not None
    assert (Path(caught.value.where.file).name, caught.value.where.line) == ("run.yaml", line)
    assert message in caught.value.message
    assert remedy in caught.value.remedy


def test_a_formula_is_tried_on_configurations_that_may_come(tmp_path: Path) -> None:
    assert toy(tmp_path, "  gpus: model.y // 5").request_of({"model.y": 7}).gpus == 1
    with pytest.raises(SettingsError, match=r"5 \(model.y / 2\).*whole number\n.*model.y: \d"):
        toy(tmp_path, "  gpus: model.y / 2", "model.y=4")


def test_an_argument_is_the_place_of_its_mistake(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^the argument 'resources.gpus=model.z': "):
        toy(tmp_path, "  cpus: 1", "resources.gpus=model.z")


def test_a_run_goes_on_with_other_resources_and_bad_ones_are_refused(tmp_path: Path) -> None:
    setup = toy(
        tmp_path, "  gpus: 0.5 if model.y > 5 else 1\n  when: [{if: model.x > 2, cpus: 2}]"
    )
    again = reopen(setup.opened(), setup.results)
    assert again.settings.resources == setup.settings.resources
    moved = relocated(again, ["resources.gpus=model.y // 4"])
    assert moved.request_of({"model.y": 8}).gpus == 2
    with pytest.raises(SettingsError, match=r"the argument 'resources.gpus=1\.5'"):
        relocated(again, ["resources.gpus=1.5"])


def test_resources_written_before_there_were_formulas_are_read(tmp_path: Path) -> None:
    setup = toy(tmp_path, "  cpus: 1")
    opened = setup.opened()
    opened.setup["settings"]["resources"] = {"cpus": 2.0, "gpus": 0.5}
    assert reopen(opened, setup.results).request_of({}) == ResourceRequest(cpus=2, gpus=0.5)


def test_a_run_knows_what_its_trials_may_ask_for(tmp_path: Path) -> None:
    assert requests_of(toy(tmp_path, "  cpus: 2")) == (ResourceRequest(cpus=2),)
    cases = "  when:\n  - {if: model.x > 99, labels: {gpu: large}}"
    never = ResourceRequest(labels={"gpu": "large"})
    assert requests_of(toy(tmp_path, cases)) == (ResourceRequest(), never)
    both = {request.gpus for request in requests_of(toy(tmp_path, "  gpus: model.y // 9"))}
    assert both == {0, 1}


def test_the_plan_says_what_a_trial_gets(tmp_path: Path) -> None:
    setup = toy(tmp_path, "  gpus: 1 if model.y > 5 else 0.5")
    lines = plan_text(setup, forecast(setup, rates(setup, 3.0))).splitlines()
    asked = next(line for line in lines if line.startswith("a trial gets"))
    assert asked.split(maxsplit=3)[3] == "1 CPU, 0.5 GPUs; or 1 CPU, 1 GPU"
    assert "note: trials get different numbers of GPUs; the estimate is with 1" in lines
    many = toy(tmp_path, "  cpus: model.y + 1")
    assert "; and 7 more" in plan_text(many, forecast(many))


def test_gpu_hours_can_be_spent_where_some_trials_get_a_gpu(tmp_path: Path) -> None:
    cases = "  when:\n  - {if: model.y > 5, gpus: 1}"
    assert toy(tmp_path, cases, "budget.gpu_hours=2").budget.gpu_hours == 2
    with pytest.raises(SettingsError, match="it could never be spent"):
        toy(tmp_path, "  cpus: 1", "budget.gpu_hours=2")


def jobs(setup: Setup, folder: Path, y: int) -> tuple[Job, Job]:
    """The job of a training and of the measurement of its winner."""
    make = job_maker(Chapters(setup, RunState()), setup.settings.resources, folder)
    params: Params = {"model.x": 0.5, "model.y": y, "model.fruit": "fig"}
    lease = Lease(0, 1, params, stop_epoch=3, horizon=9, reported_epoch=0)
    return make(lease), make(Evaluation(0, epoch=3, params=params, horizon=9))


@pytest.mark.ray
def test_each_job_has_its_recommendations_resources_and_the_winners_measurement_too(
    tmp_path: Path,
) -> None:
    text = "  cpus: 4\n  gpus: 0.5\n  when:\n  - {if: model.y > 5, gpus: 2, labels: {gpu: large}}"
    setup = toy(tmp_path, text)
    small, large = jobs(setup, tmp_path, 3)[0], jobs(setup, tmp_path, 7)
    assert (small.gpus, small.threads) == (1, 4)
    assert ResourceRequest.from_json(small.resources) == ResourceRequest(cpus=4, gpus=0.5)
    for job in large:
        assert (job.gpus, job.spec["train"]["num_gpus"]) == (2, 2)
        assert job.resources["labels"] == {"gpu": "large"}
        assert Job.from_json(job.to_json()) == job


@pytest.mark.ray
def test_ray_is_asked_for_the_same_and_labels_make_a_difference(tmp_path: Path) -> None:
    text = "  memory_gb: 2\n  custom: {disk: 1}\n  when:\n  - {if: model.y > 5, labels: {gpu: a}}"
    setup = toy(tmp_path, text)
    small, large = (placement_of({"job": jobs(setup, tmp_path, y)[0].to_json()}) for y in (3, 7))
    assert small.bundles == large.bundles == [{"CPU": 1.0, "memory": 2e9, "disk": 1.0}]
    assert small != large
    assert hash(small) != hash(large)
    again = placement_of({"job": jobs(setup, tmp_path, 8)[0].to_json()})
    assert (again, hash(again)) == (large, hash(large))


def test_a_users_own_function_may_have_formulas_over_what_it_searches() -> None:
    space = Space([Float("width", 1, 9)])
    data = {"resources": {"gpus": "1 if width > 5 else 0.5"}, "metric": "m"}
    setup = function_setup(None, space, data, caller="AutoML")
    assert setup.request_of({"width": 6.0}).gpus == 1
    with pytest.raises(SettingsError, match="no key 'wdith'"):
        function_setup(None, space, {"resources": {"gpus": "wdith"}, "metric": "m"}, caller="A")
