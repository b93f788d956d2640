"""Which weights a place means, and why there are none."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from raytao.cli.main import main
from raytao.errors import DamagedRun, FolderError, RaytaoError, SettingsError, SpecError
from raytao.models.find import find
from raytao.runs.controller import Controller, Lease
from raytao.runs.eta import Remaining
from raytao.runs.events import Opened
from raytao.runs.log import EventLog, read_log
from raytao.runs.opening import open_run
from raytao.runs.place import store_at
from raytao.runs.state import RunState
from raytao.runs.store import LocalStore, Store
from raytao.setup.drawing import exporter_of
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.spec import Document
from raytao.tao import layout
from raytao.testing.places import local

pytestmark = pytest.mark.timeout(120)  # the first test trains the run that all of them look at

NETWORK = "image_classification"


def state_of(results: Path) -> RunState:
    return RunState.fold(read_log(LocalStore(results), layout.EVENTS))


def provenance(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / layout.PROVENANCE).read_text())
    return found


def copied(digits: Path, folder: Path) -> Path:
    """A results folder that a test may damage."""
    shutil.copytree(digits, folder / "results")
    return folder / "results"


def own_spec(digits: Path, file: Path, checkpoint: object) -> Path:
    """A spec that a user wrote, of the winner's architecture."""
    winner = find(digits)
    file.write_text(winner.spec.with_values({"evaluate.checkpoint": str(checkpoint)}).dump())
    return file


def test_a_results_folder_means_its_winner(digits: Path) -> None:
    best = state_of(digits).incumbent
    assert best is not None
    model = find(digits)
    assert (model.network, model.trial, model.epoch) == (NETWORK, best.trial, best.epoch)
    assert (model.metric, model.value) == ("val_acc", best.value)
    assert model.checkpoint == digits / layout.BEST_MODEL / layout.checkpoint(best.epoch)
    recommendation = Document.load(digits / layout.recommendation(best.trial))
    assert model.spec.plain() == recommendation.plain()
    assert model.home == digits


def test_a_best_model_that_was_copied_elsewhere_is_whole(digits: Path, tmp_path: Path) -> None:
    shutil.copytree(digits / layout.BEST_MODEL, tmp_path / "kept")
    here, there = find(digits), find(tmp_path / "kept")
    assert there.read() == here.read()
    assert (str(there), there.spec.plain()) == (str(here), here.spec.plain())
    assert there.home == tmp_path / "kept"
    assert find(digits / layout.BEST_MODEL).home == digits


def test_the_folder_one_stands_in_is_a_place(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = find(digits)
    for stand, place in ((digits, "."), (digits / layout.BEST_MODEL, ".")):
        monkeypatch.chdir(stand)
        found = find(Path(place))
        assert local(found.checkpoint).samefile(local(expected.checkpoint))
        assert found.home.resolve() == digits.resolve()
    monkeypatch.chdir(digits / layout.BEST_MODEL / layout.WEIGHTS)
    assert local(find(Path("..")).checkpoint).samefile(local(expected.checkpoint))


def test_a_recommendation_and_its_experiment_mean_its_best_epoch(digits: Path) -> None:
    """The loser's weights were deleted when it was beaten; the winner's are kept."""
    winner = find(digits).trial
    assert winner is not None
    for place in (layout.experiment(winner), layout.recommendation(winner)):
        model = find(digits / place)
        assert model.trial == winner
        assert local(model.checkpoint).is_relative_to(digits / layout.experiment(winner))
        assert model.read() == find(digits).read()
        assert model.home == digits
    inside = find(digits / layout.BEST_MODEL / layout.recommendation(winner))
    assert inside.checkpoint.parent.parent == digits / layout.BEST_MODEL


def test_the_deleted_weights_of_a_beaten_trial_are_told(digits: Path) -> None:
    loser = 1 - (find(digits).trial or 0)
    with pytest.raises(FolderError, match="delete_intermediate_checkpoints"):
        find(digits / layout.experiment(loser))


def test_a_training_without_ray_means_its_best_epoch(digits: Path, tmp_path: Path) -> None:
    spec = own_spec(digits, tmp_path / "mine.yaml", "???")
    kept = tmp_path / "kept"
    done = CliRunner().invoke(main, ["train", NETWORK, "-e", str(spec), "-r", str(kept)])
    assert done.exit_code == 0, done.output
    for place in (kept, kept / "train"):
        model = find(place)
        assert model.epoch == provenance(kept / "train")["best_epoch"]
        assert (model.network, model.trial, model.home) == (NETWORK, None, kept)


def test_a_spec_with_a_checkpoint_needs_only_its_network(digits: Path, tmp_path: Path) -> None:
    winner = find(digits)
    spec = own_spec(digits, tmp_path / "mine.yaml", winner.checkpoint)
    model = find(spec, network=NETWORK)
    assert (model.checkpoint, model.trial, model.epoch) == (winner.checkpoint, None, None)
    with pytest.raises(SettingsError, match="does not tell its network"):
        find(spec)
    shutil.copy(digits / layout.BEST_MODEL / layout.PROVENANCE, tmp_path)
    assert find(spec).network == NETWORK


def test_other_weights_may_be_named(digits: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    other.write_bytes(find(digits).read())
    model = find(digits, checkpoint=other)
    assert (model.checkpoint, model.epoch, model.value) == (other, None, None)


def test_a_user_s_own_spec_is_checked(digits: Path, tmp_path: Path) -> None:
    spec = own_spec(digits, tmp_path / "mine.yaml", "weights.pth")
    spec.write_text(spec.read_text().replace("val_split: 0.2", "val_split: 7.5"))
    with pytest.raises(SpecError, match=r"mine\.yaml:\d+:\d+: dataset\.val_split"):
        find(spec, network=NETWORK)


def toy(folder: Path, *assignments: str) -> tuple[Setup, Controller, Store]:
    (folder / "run.yaml").write_text(
        "network: toy\nbrain: {name: random, max_recommendations: 1}\n"
    )
    setup = resolve(str(folder / "run.yaml"), [f"results_dir={folder / 'results'}", *assignments])
    store = store_at(setup.results)
    return setup, open_run(store, layout.EVENTS, setup.new_brain(), setup.opened()), store


def draw(setup: Setup, controller: Controller, store: Store) -> None:
    left = Remaining(epochs=0, seconds=None, epoch_seconds=None)
    exporter_of(setup, store, controller).draw(left, now=True)


def test_a_run_that_goes_on_has_no_model_before_a_trial_has_finished(tmp_path: Path) -> None:
    setup, controller, store = toy(tmp_path)
    lease = controller.suggest()
    assert isinstance(lease, Lease)
    draw(setup, controller, store)
    with pytest.raises(FolderError, match=r"holds no model yet.*no trial has finished yet"):
        find(setup.results)
    with pytest.raises(FolderError, match="no epoch of it has been trained"):
        find(setup.results / layout.recommendation(0))
    local(setup.results / layout.experiment(0)).mkdir()
    with pytest.raises(FolderError, match="no epoch of it has been trained"):
        find(setup.results / layout.experiment(0))


def test_a_run_whose_trials_all_failed_has_no_model(tmp_path: Path) -> None:
    setup, controller, store = toy(tmp_path)
    lease = controller.suggest()
    assert isinstance(lease, Lease)
    controller.broke(lease.trial, lease.attempt, "error", "it broke")
    controller.suggest()
    controller.finish()
    draw(setup, controller, store)
    with pytest.raises(FolderError, match="no trial has a result"):
        find(setup.results)


def test_a_winner_whose_trainer_saved_nothing_says_so(digits: Path, tmp_path: Path) -> None:
    results = copied(digits, tmp_path)
    best = results / layout.BEST_MODEL
    shutil.rmtree(best / layout.WEIGHTS)
    unsaved = provenance(best) | {"checkpoints": {}}
    (best / layout.PROVENANCE).write_text(json.dumps(unsaved))
    with pytest.raises(FolderError, match=r"its trainer saved none\n  .*ctx\.save"):
        find(results)


def test_a_winner_without_weights_of_its_best_epoch_says_so(digits: Path, tmp_path: Path) -> None:
    results = copied(digits, tmp_path)
    shutil.rmtree(results / layout.BEST_MODEL)
    with pytest.raises(
        FolderError, match=r"recommendation \d leads, .* saved no weights of epoch"
    ):
        find(results)


def test_a_missing_weights_file_is_named(digits: Path, tmp_path: Path) -> None:
    results = copied(digits, tmp_path)
    lost = local(find(results).checkpoint)
    lost.unlink()
    with pytest.raises(FolderError, match=rf"{lost} .*is missing"):
        find(results)
    spec = own_spec(digits, tmp_path / "mine.yaml", lost)
    with pytest.raises(FolderError, match="is missing"):
        find(spec, network=NETWORK)


def test_a_missing_spec_is_named(digits: Path, tmp_path: Path) -> None:
    best = copied(digits, tmp_path) / layout.BEST_MODEL
    shutil.move(best, tmp_path / "kept")
    for spec in (tmp_path / "kept").glob("recommendation_*"):
        spec.unlink()
    with pytest.raises(FolderError, match=r"no recommendation_\d\.yaml in it or beside it"):
        find(tmp_path / "kept")


NO_MODELS: Mapping[str, tuple[type[RaytaoError], str]] = {
    "none": (FolderError, "no file or folder"),
    "empty": (FolderError, "holds no model: neither"),
    "unset.yaml": (SettingsError, r"unset\.yaml:\d+:\d+: evaluate\.checkpoint is not set"),
    "weights.pth": (SpecError, "not a format of specs"),
    "torn": (DamagedRun, r"torn/raytao\.json"),
}


@pytest.mark.parametrize("name", NO_MODELS)
def test_what_is_no_model_is_refused_in_words(name: str, digits: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / layout.PROVENANCE).write_text('{"format": 1, "tri')
    (tmp_path / "weights.pth").write_bytes(find(digits).read())
    own_spec(digits, tmp_path / "unset.yaml", "???")
    kind, words = NO_MODELS[name]
    with pytest.raises(kind, match=words):
        find(tmp_path / name, network=NETWORK)


def test_the_network_of_a_run_is_not_to_be_renamed(digits: Path) -> None:
    assert find(digits, network=NETWORK).network == NETWORK
    with pytest.raises(SettingsError, match="is a model of network 'image_classification'"):
        find(digits, network="toy")


def test_a_log_that_was_edited_is_not_trusted(tmp_path: Path) -> None:
    _, controller, store = toy(tmp_path)
    controller.flush()
    log = store.read(layout.EVENTS) or b""
    store.replace(layout.EVENTS, log.replace(b'"value"', b'"velue"', 1))
    with pytest.raises(DamagedRun):
        find(tmp_path / "results")


def test_finding_a_model_loads_no_torch(digits: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from raytao.models.find import find; "
        f"find(Path({str(digits)!r})); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_opened_run_without_a_record_more_has_no_model(tmp_path: Path) -> None:
    log = EventLog(LocalStore(tmp_path), layout.EVENTS)
    log.add(Opened({}, "value", "maximize", "0.1.0"))
    log.commit()
    with pytest.raises(FolderError, match="no trial has finished yet"):
        find(tmp_path)
