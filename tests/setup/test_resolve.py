"""From a run file to a run: mistakes end here, with their place, and nothing was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raytao import catalog
from raytao.brains.bayesian import Bayesian
from raytao.brains.hyperband import Hyperband
from raytao.errors import BudgetError, SettingsError, SpaceError, SpecError, UserError
from raytao.runs.events import Opened, from_json, to_json
from raytao.setup.reopen import relocated, reopen
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.tao.card import load_card
from raytao.testing.toy import Toy
from raytao.types import EPOCHS, Direction, Start

NO_BLANKS = "for example slots=4, without blanks around the ="
OWN = load_card(Toy()).default_spec().dump()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run_file(text: str) -> str:
    Path("run.yaml").write_text(f"network: toy\n{text}\n")
    return "run.yaml"


def setup_of(text: str = "", *assignments: str) -> Setup:
    return resolve(run_file(text), assignments)


def on_disk() -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in Path().rglob("*") if p.is_file()}


def refused(text: str, *assignments: str, whole: bool = False) -> UserError:
    """The error of a run file; the folder is the same afterwards, byte for byte."""
    name = run_file(text)
    if whole:
        Path(name).write_text(text)
    before = on_disk()
    with pytest.raises(UserError) as caught:
        resolve(name, assignments)
    assert on_disk() == before
    assert caught.value.exit_code == 2
    return caught.value


class TestAGoodRunFile:
    def test_fits_everything_together(self) -> None:
        setup = setup_of("metric: loss\nbrain: hyperband\nseed: 3\nset: {train.num_epochs: 27}")
        assert (setup.metric, setup.direction) == ("loss", Direction.MINIMIZE)
        assert setup.epochs == 27
        assert setup.space.names == ("model.x", "model.y", "model.fruit")
        assert setup.brain_class is Hyperband
        assert isinstance(setup.network, Toy)
        assert setup.results == Path("results/run")

    def test_the_user_may_turn_the_direction_around(self) -> None:
        setup = setup_of("metric: {name: kpi, direction: minimize}")
        assert (setup.metric, setup.direction) == ("value", Direction.MINIMIZE)

    def test_taos_names_are_arguments_too(self) -> None:
        setup = setup_of("", "automl_algorithm=Hyperband", "automl_max_epochs='9'")
        assert setup.brain_class is Hyperband
        assert setup.brain_settings.model_dump()["R"] == 9
        assert not setup_of("", "automl_delete_intermediate_ckpt=False").settings.model_dump()[
            "delete_intermediate_checkpoints"
        ]
        error = refused("", "automl_enabled=false")
        assert "'automl_enabled' cannot be given alone" in error.message
        error = refused("", "automl_algorithm=asha")
        assert "is not among raytao's brains" in error.message

    def test_the_first_trial_is_the_user_s_own_spec(self) -> None:
        brain = setup_of("set: {model.x: 0.25, model.fruit: plum}").new_brain()
        start = brain.suggest(0)
        assert isinstance(start, Start)
        assert dict(start.params) == {"model.x": 0.25, "model.y": 3, "model.fruit": "plum"}
        assert start.budget[EPOCHS] == 9

    def test_a_recommendation_is_the_whole_spec_with_its_horizon(self) -> None:
        setup = setup_of()
        made = setup.recommendation({"model.x": 0.75}, 27)
        assert (
            made.plain()
            == setup.spec.with_values({"model.x": 0.75, "train.num_epochs": 27}).plain()
        )
        assert "# the best is 0.3" in made.dump()

    def test_the_search_can_be_narrowed(self) -> None:
        setup = setup_of("search: {remove: [model.y], ranges: {model.x: {valid_max: 0.5}}}")
        assert setup.space.names == ("model.x", "model.fruit")
        assert setup.space.contains({"model.x": 0.5, "model.fruit": "fig"})
        assert not setup.space.contains({"model.x": 0.6, "model.fruit": "fig"})

    def test_a_spec_of_one_s_own_lies_beside_the_run_file(self, tmp_path: Path) -> None:
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        (folder / "run.yaml").write_text("network: toy\nspec: own.yaml\n")
        (folder / "own.yaml").write_text(OWN.replace("x: 0.5", "x: 0.125"))
        assert resolve(str(folder / "run.yaml")).spec.get("model.x") == 0.125

    @pytest.mark.parametrize(
        "name", sorted(p.stem for p in (catalog.configs() / "runs").glob("*.yaml"))
    )
    def test_every_shipped_run_file_is_one(self, name: str) -> None:
        path = catalog.run_file(name)
        assert path == catalog.run_file(str(path))
        assert "network: image_classification" in path.read_text()

    def test_a_shipped_run_is_resolved_by_its_name(self) -> None:
        setup = resolve("digits_hyperband")
        assert setup.results == Path("results/digits_hyperband")
        assert setup.new_brain().plan().trials == 12


@pytest.mark.parametrize(
    ("text", "line", "said", "remedy"),
    [
        ("slts: 2", 2, "unknown key 'slts'", "did you mean 'slots'?"),
        ("seed: 1\nslots: many", 3, "'slots' must be an integer, not 'many'", ""),
        ("metric: los", 2, "network 'toy' reports no metric 'los'", "did you mean 'loss'?"),
        ("metric:\n  name: los", 2, "network 'toy' reports no metric 'los'", "did you mean"),
        ("brain: bayes", 2, "unknown brain 'bayes'", "did you mean 'bayesian'?"),
        ("brain:\n  name: bayes", 3, "unknown brain 'bayes'", "did you mean 'bayesian'?"),
        ("brain:\n  R: 9", 2, "'brain.name' is missing", "for example brain: bayesian"),
        (
            "brain:\n  name: hyperband\n  eta: 3\n  Rr: 9",
            4,
            "unknown key 'brain.eta'",
            "known:",
        ),
        ("brain: {name: hyperband, R: nine}", 2, "'brain.R' must be an integer", ""),
        ("brain:\n  name: hyperband\n  R: 2", 4, "R=2 leaves no bracket", "use R: 27"),
        ("brain:\n  name: hyperband\n  nu: 1", 4, "nu=1 would never drop", "use nu: 3"),
        (
            "brain:\n  name: hyperband\n  R: 9\n  epoch_multiplier: 0",
            5,
            "epoch_multiplier=0 grants no epoch",
            "use epoch_multiplier: 1",
        ),
        (
            "search:\n  ranges:\n    model.x: {valid_min: 0.5, valid_max: 0.25}",
            4,
            "Validation errors: Parameter 'model.x': valid_min must be less",
            "an override may only narrow",
        ),
        (
            "search:\n  ranges:\n    model.x: {valid_max: 2}",
            4,
            "Validation errors: Parameter 'model.x': valid_max (2.0) cannot be greater",
            "an override may only narrow",
        ),
        (
            "search:\n  ranges:\n    model.z: {valid_max: 2}",
            4,
            "Validation errors: Parameter 'model.z' not found in schema",
            "an override may only narrow",
        ),
        (
            "search:\n  remove: [model.x, model.y, model.fruit]",
            3,
            "there is nothing to search",
            "add a parameter",
        ),
        ("search:\n  remove: [model.z]", 3, "no parameter 'model.z'", "did you mean 'model.y'?"),
        ("search: {add: [model.z]}", 2, "no parameter 'model.z'", "did you mean 'model.y'?"),
        ("set:\n  model.z: 3", 3, "no key 'model.z' in the spec", "did you mean 'model.y'?"),
        ("set:\n  model.x: far", 3, "model.x: 'far' is a string", "give a float"),
        ("set:\n  train.num_epochs: 0", 3, "train.num_epochs is 0; it must be", ""),
        ("seed: 1\nspec: nope.yaml", 3, "train spec 'nope.yaml' not found", "no file nope.yaml"),
        ("slots: 2\nslots: 3", 3, "duplicate key 'slots'", "delete one of the two"),
        ("set:\n\tmodel.x: 1", 3, "a tab cannot indent YAML", "use spaces"),
    ],
)
def test_a_bad_run_file_is_refused_where_it_is_wrong(
    text: str, line: int, said: str, remedy: str
) -> None:
    error = refused(text)
    assert error.message.startswith(said)
    assert error.remedy.startswith(remedy)
    assert bool(error.remedy) == bool(remedy)
    assert error.where is not None
    assert (error.where.file, error.where.line) == ("run.yaml", line)


@pytest.mark.parametrize(
    ("text", "line", "said", "remedy"),
    [
        ("slots: 2\n", None, "'network' is missing", "add network: image_classification"),
        ("slots: 2\nnetwork: 3\n", 2, "'network' must be a string, not 3", ""),
        ("slots: 2\nnetwork: tyo\n", 2, "unknown network 'tyo'", "known: "),
        ("network: image_clasification\n", 1, "unknown network", "did you mean 'image_"),
        ("- network\n", 1, "the file holds a list", "write 'key: value' lines"),
        ("", None, "the file is empty", "give at least one key"),
        ("network: nowhere:Net\n", 1, "network 'nowhere:Net' cannot be loaded", "write package"),
    ],
)
def test_a_run_file_without_a_known_network_is_refused(
    text: str, line: int | None, said: str, remedy: str
) -> None:
    error = refused(text, whole=True)
    assert error.message.startswith(said)
    assert error.remedy.startswith(remedy)
    assert error.where is not None
    assert (error.where.file, error.where.line) == ("run.yaml", line)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("slts: 2", SettingsError),
        ("set: {model.z: 3}", SpecError),
        ("search: {remove: [model.z]}", SpaceError),
        ("brain: {name: hyperband, nu: 1}", BudgetError),
    ],
)
def test_an_error_keeps_its_kind(text: str, kind: type[UserError]) -> None:
    assert type(refused(text)) is kind


def test_a_run_file_that_is_not_there_is_refused_with_the_nearest_shipped_one() -> None:
    with pytest.raises(SettingsError, match="neither a file nor the name of a shipped") as caught:
        resolve("digits_hyperbnd")
    assert caught.value.remedy == "did you mean 'digits_hyperband'?"


class TestASpecOfOnesOwn:
    def refused(self, spec: str) -> UserError:
        Path("own.yaml").write_text(spec)
        return refused("spec: own.yaml")

    def test_an_unknown_key_is_refused_at_its_line(self) -> None:
        error = self.refused(OWN.replace("  seed: 1", "  seed: 1\n  sed: 2"))
        assert isinstance(error, SpecError)
        assert error.message == "unknown key 'train.sed' for network 'toy'"
        assert error.remedy == "did you mean 'train.seed'?"
        assert error.where is not None
        assert (error.where.file, error.where.line) == ("own.yaml", 9)

    def test_of_many_unknown_keys_the_first_is_named(self) -> None:
        error = self.refused(OWN + "".join(f"  unknown_{n}: 1\n" for n in range(20)))
        assert "'train.unknown_0'" in error.message

    @pytest.mark.parametrize(
        ("old", "new", "line"),
        [("num_epochs: 9", "num_epochs: 0", 6), ("  seed: 1", "  seed: no", 8)],
    )
    def test_a_value_that_no_run_can_use_is_refused_at_its_line(
        self, old: str, new: str, line: int
    ) -> None:
        error = self.refused(OWN.replace(old, new))
        assert "it must be an integer of at least" in error.message
        assert error.where is not None
        assert (error.where.file, error.where.line) == ("own.yaml", line)

    @pytest.mark.parametrize("key", ["num_epochs", "seed"])
    def test_a_key_that_every_run_needs_is_missed_before_anything_starts(self, key: str) -> None:
        lines = [line for line in OWN.splitlines() if not line.strip().startswith(key)]
        error = self.refused("\n".join(lines))
        assert error.message == f"a train spec of network 'toy' needs train.{key}"
        assert error.remedy.startswith("start from a copy of")
        assert error.where is not None
        assert error.where.file == "own.yaml"


class TestAssignments:
    @pytest.mark.parametrize(
        ("assignment", "key", "value"),
        [
            ("slots=4", "slots", 4),
            ("seed=7", "seed", 7),
            ("evaluate=false", "evaluate", False),
            ("results_dir=out", "results_dir", "out"),
            ("brain=hyperband", "brain", {"name": "hyperband"}),
            ("brain.name=random", "brain", {"name": "random"}),
            ("train.num_epochs=3", "set", {"train.num_epochs": 3}),
            ("model.fruit=fig", "set", {"model.fruit": "fig"}),
        ],
    )
    def test_they_change_settings_and_keys_of_the_spec(
        self, assignment: str, key: str, value: Any
    ) -> None:
        for text in ("", "brain: bayesian\nslots: 2"):
            settings = setup_of(text, assignment).settings
            assert settings.model_dump()[key] == value

    def test_below_a_section_that_is_written_short_or_not_at_all(self) -> None:
        turned = setup_of("metric: loss", "metric.direction=maximize")
        assert (turned.metric, turned.direction) == ("loss", Direction.MAXIMIZE)
        assert setup_of("brain: hyperband", "brain.R=9").new_brain().plan().trials > 0
        assert setup_of("", "resources.cpus=2.5").settings.resources.cpus == 2.5
        assert setup_of("set:", "model.x=0.25").spec.get("model.x") == 0.25
        assert setup_of("set: {model: {x: 0.25}}", "model.y=4").spec.get("model.x") == 0.25

    def test_the_last_one_wins_and_the_file_stays_as_it_was(self) -> None:
        setup = setup_of("slots: 2", "slots=3", "model.y=4", "slots=4", "model.y=5")
        assert setup.settings.slots == 4
        assert setup.spec.get("model.y") == 5
        assert Path("run.yaml").read_text() == "network: toy\nslots: 2\n"

    def test_a_range_is_given_by_the_whole_name_of_its_parameter(self) -> None:
        setup = setup_of("", "search.ranges.model.x=[0.25, 0.5]")
        assert setup.settings.search.ranges["model.x"].valid_max == 0.5
        setup = setup_of("", "search.ranges.model.x.valid_max=0.5")
        assert setup.settings.search.ranges["model.x"].valid_min is None
        assert setup.settings.search.ranges["model.x"].valid_max == 0.5
        both = ("search.ranges.model.x=[0.25, 0.75]", "search.ranges.model.x.valid_max=0.5")
        kept = setup_of("", *both).settings.search.ranges["model.x"]
        assert (kept.valid_min, kept.valid_max) == (0.25, 0.5)

    def test_a_value_is_read_as_yaml(self) -> None:
        assert setup_of("", "model.x=1e-3").spec.get("model.x") == 0.001
        assert setup_of("", "search.remove=[model.x]").space.names == ("model.y", "model.fruit")

    @pytest.mark.parametrize(
        ("assignment", "said", "remedy"),
        [
            ("slots", "'slots' is not key=value", NO_BLANKS),
            ("=4", "'=4' is not key=value", NO_BLANKS),
            ("slots =4", "'slots =4' has a blank before the =", "write slots=4"),
            ("warm_start.run=y", "unknown key 'warm_start.run'", "did you mean 'runs'?"),
            ("slot=4", "unknown key 'slot'", "did you mean 'slots'?"),
            ("model.z=4", "unknown key 'model.z'", "did you mean 'model.y'?"),
            ("resources.gpu=1", "unknown key 'resources.gpu'", "did you mean 'gpus'?"),
        ],
    )
    def test_a_bad_one_is_refused_with_a_remedy(
        self, assignment: str, said: str, remedy: str
    ) -> None:
        error = refused("slots: 2", assignment)
        assert (error.message, error.remedy) == (said, remedy)

    @pytest.mark.parametrize(
        "assignment",
        [
            *("slots=many", "slots=[", "train.num_epochs=0", "model.x=far"),
            *("slots.x=3", "warm_start.run=y", "search.ranges.model.x=3", "tracking.uri.x=2"),
        ],
    )
    def test_a_bad_value_is_blamed_on_the_argument(self, assignment: str) -> None:
        error = refused("slots: 2\nset: {model.x: 0.5}", assignment)
        assert error.where is not None
        assert error.where.file == f"the argument {assignment!r}"

    def test_what_the_file_has_wrong_is_not_blamed_on_an_argument_beside_it(self) -> None:
        error = refused(
            "search: {only: [model.x], add: [model.y]}", "search.ranges.model.x=[0, 1]"
        )
        assert error.where is not None
        assert error.where.file == "run.yaml"

    @pytest.mark.parametrize(
        ("assignment", "said"),
        [
            ("search.ranges.model.x.valid_min=abc", "valid_min' must be a number, not 'abc'"),
            ("search.ranges.=3", "'search.ranges.' must be"),
            ("slots='2.5'", "'slots' must be an integer, not '2.5'"),
        ],
    )
    def test_an_error_promises_nothing_that_does_not_help(
        self, assignment: str, said: str
    ) -> None:
        error = refused("", assignment)
        assert said in error.message
        assert "bounds" not in error.message
        assert "quotes" not in (error.remedy or "")

    def test_no_password_is_shown(self) -> None:
        error = refused('tracking: {name: mlflow, uri: ["http://u:hunter2@h"]}')
        assert "hunter2" not in f"{error}{error.remedy}"


class TestReopening:
    TEXT = """
metric: {name: loss, direction: minimize}
brain: {name: hyperband, automl_R: 9, nu: 3, epoch_multiplier: 2}
search: {remove: [model.y], ranges: {model.x: {valid_min: 0.125}}}
set: {train: {sleep: 1.0e-7}, model.fruit: fig}
seed: 3
slots: 2
"""

    def through_a_log(self, opened: Opened) -> Opened:
        back = from_json(json.loads(json.dumps(to_json(opened))))
        assert isinstance(back, Opened)
        return back

    @pytest.mark.parametrize("text", ["", "brain: random", TEXT])
    def test_a_log_s_first_record_is_all_that_it_takes(self, text: str) -> None:
        setup = setup_of(text)
        again = reopen(self.through_a_log(setup.opened()), setup.results)
        assert again.identity() == setup.identity()
        assert again.settings == setup.settings
        assert again.spec.dump() == setup.spec.dump()
        assert again.space == setup.space
        assert again.new_brain().plan() == setup.new_brain().plan()
        assert again.new_brain().suggest(0) == setup.new_brain().suggest(0)
        assert self.through_a_log(again.opened()) == self.through_a_log(setup.opened())

    def test_an_identity_is_the_same_after_a_log(self) -> None:
        setup = setup_of(self.TEXT)
        assert self.through_a_log(setup.opened()).setup["identity"] == setup.identity()

    @pytest.mark.parametrize(
        "change",
        ["seed=4", "metric=value", "brain.R=27", "train.num_epochs=4", "search.remove=[model.x]"],
    )
    def test_what_decides_the_trials_changes_the_identity(self, change: str) -> None:
        text = "brain: {name: hyperband, R: 9}\nmetric: loss"
        assert setup_of(text, change).identity() != setup_of(text).identity()

    @pytest.mark.parametrize("change", ["slots=4", "resources.cpus=2", "limits.seconds=9"])
    def test_where_it_runs_does_not(self, change: str) -> None:
        assert setup_of("", change).identity() == setup_of().identity()

    def test_a_resumed_run_may_move_but_not_change(self) -> None:
        setup = setup_of()
        moved = relocated(setup, ["slots=8", "resources.gpus=0.5"])
        assert (moved.settings.slots, moved.settings.resources.gpus) == (8, 0.5)
        assert moved.identity() == setup.identity()
        with pytest.raises(SettingsError, match="'seed' cannot be changed") as caught:
            relocated(setup, ["seed=8"])
        assert caught.value.remedy.startswith("what can: slots, address, resources, limits, ")
        assert "brain.max_recommendations; to go on with another search" in caught.value.remedy
        with pytest.raises(SettingsError, match="'slots' must be an integer"):
            relocated(setup, ["slots=many"])


def test_bayesian_is_the_brain_unless_another_is_asked_for() -> None:
    assert setup_of().brain_class is Bayesian
