"""TAO's checklist, what trainers of other people's get and leave: rows 51, 53, 69, 86, 87, 89."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from command_runs import CURVE, Bench
from trainer_files import programs_on_path

from raytao.networks.command import Command
from raytao.runs.place import store_at
from raytao.runs.store import LocalStore
from raytao.setup.resolve import resolve
from raytao.spec import Document
from raytao.tao.card import card_folders, read_card
from raytao.tao.networks import find_network
from raytao.tao.status import Status, read_status
from raytao.testing.folder_run import Conditions, run_in_folder
from raytao.testing.places import local
from raytao.trials.messages import Ended, Event
from raytao.trials.runner import run
from raytao.trials.supervisor import Supervisor

REGULARIZER = "training_config.regularizer.weight"
EDITS = {
    "training_config.batch_size_per_gpu": 16,
    "training_config.learning_rate.soft_start_annealing_schedule.max_learning_rate": 0.002,
    REGULARIZER: 1e-6,
    "training_config.checkpoint_interval": 2,
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="module")
def _programs() -> Iterator[None]:
    with programs_on_path():
        yield


def test_row_051_the_folder_of_an_experiment_has_a_log_and_a_status(bench: Bench) -> None:
    script = f"echo what it prints; {CURVE}\necho what it complains of >&2"
    job = bench.job(bench.command(script, "{start_epoch} {epochs} {spec}"))
    with Supervisor(preload=(), threads=1) as supervisor:
        supervisor.start(job)
        events: list[Event] = []
        while Ended(3) not in events:
            events += supervisor.events(timeout=8.0)
    folder = Path(job.root) / job.folder
    assert (folder / "log.txt").read_text() == "what it prints\nwhat it complains of\n"
    lines = read_status((folder / "status.json").read_bytes())
    assert [line.status for line in lines] == [
        Status.STARTED,
        *[Status.RUNNING] * 3,
        Status.SUCCESS,
    ]
    assert [line.kpi.get("val_acc") for line in lines[1:4]] == [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("network", "metric", "suffix"),
    [
        ("classification_pyt", "accuracy_top-1", ".pth"),
        ("detectnet_v2", "mean average precision", ".hdf5"),
    ],
)
@pytest.mark.usefixtures("_programs")
def test_row_053_weights_end_as_the_network_s_own_do(
    bench: Bench, network: str, metric: str, suffix: str
) -> None:
    tao, card = find_network(network)
    assert isinstance(tao, Command)
    spec = card.default_spec().with_values({card.epoch_key: 1})
    job = replace(
        bench.job(bench.command("true", "{spec}"), network=network, metric=metric, stop_epoch=1),
        spec=spec.plain(),
        command=tao.for_job(spec.dump()),
    )
    events: list[Event] = []
    run(job, LocalStore(Path(job.root)), events.append)
    assert events[-1] == Ended(1)
    (weights,) = (Path(job.root) / job.folder / "weights").iterdir()
    assert weights.name == f"model_epoch_001{suffix}"


def test_row_053_weights_of_tlt_are_kept_as_such(bench: Bench) -> None:
    script = CURVE.replace(".pth", ".tlt")
    pattern = "{results_dir}/model_{epoch:03d}.tlt"
    arguments = "{start_epoch} {epochs} {spec}"
    done = bench.run(script, arguments, checkpoint=pattern, suffix=".tlt")
    assert done.last == Ended(3)
    assert done.weights(3, ".tlt") == b"weights of 3\n"


def test_row_053_every_network_of_tao_that_comes_along_has_one_of_the_three_endings() -> None:
    cards = [read_card(folder) for folder in card_folders().values()]
    endings = {card.command.suffix for card in cards if card.command is not None}
    assert endings == {".tlt", ".pth", ".hdf5"}


def recommended(folder: Path, text: str, how: Conditions) -> list[Document]:
    """The whole specs of a run, in their order."""
    (folder / "run.yaml").write_text(text)
    setup = resolve(str(folder / "run.yaml"), [f"results_dir={folder / 'results'}"])
    state = run_in_folder(setup, store_at(setup.results), how)
    folder = local(setup.results)
    files = [folder / f"recommendation_{n}.protobuf" for n in sorted(state.trials)]
    return [Document.load(file, format="protobuf") for file in files]


def of_detectnet(**settings: object) -> str:
    whole = {
        "network": "detectnet_v2",
        "brain": {"name": "random", "max_recommendations": 4},
        "set": {**EDITS, "training_config.num_epochs": 2},
        **settings,
    }
    return json.dumps(whole)


def test_row_069_a_trial_that_fails_is_a_failure_and_the_others_go_on(tmp_path: Path) -> None:
    how = Conditions(
        objective=lambda _spec, epoch: epoch / 10, fails=lambda trial, _epoch: trial == 1
    )
    assert len(recommended(tmp_path, of_detectnet(), how)) == 4
    results = tmp_path / "results"
    entries = json.loads((results / "controller.json").read_text())
    assert [entry["status"] for entry in entries] == ["success", "failure", "success", "success"]
    own = read_status((results / "experiment_1/status.json").read_bytes())
    assert own[-1].status is Status.FAILURE
    assert json.loads((results / "automl_metadata.json").read_text())["status"] == "Done"


def test_row_086_what_the_user_edits_in_the_spec_reaches_every_trial(tmp_path: Path) -> None:
    how = Conditions(objective=lambda _spec, epoch: epoch / 10)
    specs = recommended(tmp_path, of_detectnet(search={"remove": [REGULARIZER]}), how)
    assert len(specs) == 4
    assert [{key: spec.get(key) for key in EDITS} for spec in specs] == [EDITS] * 4


def test_row_087_a_value_that_is_searched_wins_over_the_user_s(tmp_path: Path) -> None:
    how = Conditions(objective=lambda _spec, epoch: epoch / 10)
    first, *others = (spec.get(REGULARIZER) for spec in recommended(tmp_path, of_detectnet(), how))
    assert first == EDITS[REGULARIZER]  # the first recommendation is the user's own spec
    assert len({*others, first}) == 4


def test_row_089_a_trainer_is_given_the_gpus_of_its_trial(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That trials run side by side is in test_command_runs.py: it takes a Ray with two GPUs."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")  # as Ray sets it for a trial of two
    script = f"echo $4 $5 > gpus; {CURVE}"
    job = bench.job(
        bench.command(script, "{start_epoch} {epochs} {spec} {gpus} {gpu_ids}"), gpus=2
    )
    done = bench.run_job(job)
    assert done.last == Ended(3)
    assert (done.results / "gpus").read_text() == "2 2,5\n"
