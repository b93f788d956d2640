"""TAO's files: drawn from the state, right at every moment, complete at the end."""

from __future__ import annotations

import errno
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raytao.runs.controller import Evaluation, Lease
from raytao.runs.eta import remaining
from raytao.runs.events import Leased, Placed, Reported, Started
from raytao.runs.log import read_log
from raytao.runs.opening import open_run
from raytao.runs.state import Phase
from raytao.runs.store import MemoryStore, StoreError
from raytao.setup.chapters import Chapters
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.spec import Document
from raytao.tao import layout
from raytao.tao.card import load_card
from raytao.tao.export import Exporter
from raytao.testing.toy import Toy, curve
from raytao.types import Decision

HYPERBAND = "brain: {name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: sync}"
BAYESIAN = "brain: {name: bayesian, max_recommendations: 4}\nset: {train.num_epochs: 2}"
SECONDS = 2.5
Fails = Callable[[int, int], bool]


def strict(data: bytes | None) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    assert data is not None
    return json.loads(data, parse_constant=refuse)


class Watched(MemoryStore):
    """Refuses a JSON file that strict parsers could not read."""

    def replace(self, key: str, data: bytes) -> None:
        if key.endswith(".json"):
            strict(data)
        super().replace(key, data)


def configured(folder: Path, text: str) -> Setup:
    path = folder / "run.yaml"
    path.write_text(f"network: toy\n{text}\n")
    return resolve(str(path))


class Run:
    """A run whose workers keep two checkpoints, latest and best epoch, as trials do."""

    def __init__(self, setup: Setup, store: MemoryStore | None = None, **how: Any) -> None:
        self.store = store or Watched()
        self.slots: int = how.pop("slots", 3)
        begin = (layout.EVENTS, setup.new_brain(), setup.opened())
        evaluate = how.pop("evaluate", False)
        self.controller = open_run(self.store, *begin, slots=self.slots, evaluate=evaluate)
        chapters = Chapters(setup, self.controller.state)
        self.exporter = Exporter(
            self.store,
            self.controller,
            lambda trial: chapters.recommendation(trial).dump(),
            suffix=setup.spec.format,
            **how,
        )
        self.state = self.controller.state
        self.held: list[tuple[Lease, int]] = []
        self.launched: list[int] = []

    def draw(self, *, now: bool = True) -> None:
        left = remaining(self.state, self.controller.brain.plan(), self.slots)
        self.exporter.draw(left, now=now)

    def json(self, key: str) -> Any:
        return strict(self.store.read(key))

    def play(
        self,
        *,
        fails: Fails = lambda trial, epoch: False,
        check: Callable[[Run], None] = lambda run: None,
        steps: int = 10**6,
    ) -> Run:
        """Go on to the end or for so many epochs, drawing after each; ``check`` looks."""
        while steps and self._hand_out():
            steps -= 1
            lease, epoch = self.held.pop(0)
            if fails(lease.trial, epoch + 1):
                self.controller.broke(lease.trial, lease.attempt, "error", "no memory")
            elif self._train(lease, epoch + 1) is Decision.CONTINUE:
                self.held.append((lease, epoch + 1))
            self.draw()
            check(self)
        if steps:
            self.controller.finish()
            self.draw()
            check(self)
        return self

    def _hand_out(self) -> bool:
        while isinstance(task := self.controller.suggest(), Lease):
            self.held.append((task, task.reported_epoch))
            self.launched.append(task.trial)
            self.draw()
        if isinstance(task, Evaluation):
            self.controller.tested(task, {"test_value": 0.25}, "")
            return self._hand_out()
        return bool(self.held)

    def _train(self, lease: Lease, epoch: int) -> Decision:
        folder, value = layout.experiment(lease.trial), curve(lease.params, epoch)
        weights = f"{folder}/{layout.checkpoint(epoch)}"
        self.store.replace(weights, f"{lease.trial}@{epoch}".encode())
        metrics = {"value": value, "loss": 1.0 - value}
        known = self.state.trials[lease.trial]
        decision = self.controller.report(lease.trial, lease.attempt, epoch, metrics, SECONDS)
        assert known.best_epoch is not None
        kept = {f"{folder}/{layout.checkpoint(n)}" for n in (epoch, known.best_epoch)}
        for key in set(self.store.list(f"{folder}/{layout.WEIGHTS}")) - kept:
            self.store.delete(key)
        return decision

    def weights(self, trial: int) -> list[str]:
        return self.store.list(f"{layout.experiment(trial)}/{layout.WEIGHTS}")


def flaky(trial: int, epoch: int) -> bool:
    """Fails some at once, some after their promotion."""
    return trial in (1, 10) or (trial, epoch) in {(4, 2), (6, 4), (9, 5)}


class TestControllerJson:
    def test_it_is_tao_s_list_of_trials(self, tmp_path: Path) -> None:
        run = Run(configured(tmp_path, HYPERBAND)).play()
        drawn = run.json(layout.CONTROLLER)
        assert [entry["id"] for entry in drawn] == list(range(12))
        for entry in drawn:
            trial = run.state.trials[entry["id"]]
            assert entry["specs"] == trial.params
            assert set(entry["specs"]) == {"model.x", "model.y", "model.fruit"}
            assert uuid.UUID(entry["job_id"]).version == 4
            assert entry["status"] == "success"
            assert entry["metric"] == "value"
            assert entry["result"] == max(m["value"] for m in trial.history.values())
            assert entry["best_epoch_number"] == f"{trial.best_epoch:03d}"
            assert entry["epochs_trained"] == entry["epochs_granted"] == trial.epochs
            assert entry["why"]
        assert len({entry["job_id"] for entry in drawn}) == 12

    def test_a_result_is_the_metric_as_the_user_knows_it(self, tmp_path: Path) -> None:
        run = Run(configured(tmp_path, f"metric: loss\n{HYPERBAND}")).play()
        best = min(run.json(layout.CONTROLLER), key=lambda entry: float(entry["result"]))
        assert 0 < best["result"] < 1
        assert (best["best"], best["metric"]) == (True, "loss")

    def test_every_state_has_tao_s_name(self, tmp_path: Path) -> None:
        seen: set[tuple[str, str]] = set()

        def look(run: Run) -> None:
            for entry in run.json(layout.CONTROLLER):
                seen.add((entry["phase"], entry["status"]))
                assert (entry["result"] is None) == (
                    entry["phase"] == "failed" or entry["epochs_trained"] == 0
                )
                assert (entry["best_epoch_number"] == "") == (entry["result"] is None)

        Run(configured(tmp_path, HYPERBAND), slots=2).play(fails=flaky, check=look)
        assert seen == {
            ("offered", "pending"),
            ("running", "running"),
            ("paused", "success"),
            ("finished", "success"),
            ("retired", "success"),
            ("failed", "failure"),
        }

    def test_a_failure_says_why_and_a_placed_trial_where(self, tmp_path: Path) -> None:
        run = Run(configured(tmp_path, BAYESIAN), slots=1).play(steps=1)
        lease, _ = run.held[0]
        run.controller.place(Placed(lease.trial, lease.attempt, "node-a", 42, 1.0, 0.0))
        run.controller.broke(lease.trial, lease.attempt, "error", "no memory")
        run.draw()
        entry = run.json(layout.CONTROLLER)[lease.trial]
        assert entry["failure"] == {"cause": "error", "reason": "no memory"}
        assert entry["ran_on"] == {"node": "node-a", "pid": 42}

    def test_the_best_is_marked_and_the_best_at_full_budget_too(self, tmp_path: Path) -> None:
        run = Run(configured(tmp_path, HYPERBAND)).play()
        drawn = run.json(layout.CONTROLLER)
        best, full = run.state.incumbent, run.state.incumbent_at_full_budget
        assert best is not None
        assert full is not None
        assert [e["id"] for e in drawn if e["best"]] == [best.trial]
        assert [e["id"] for e in drawn if e["best_at_full_budget"]] == [full.trial]


class TestBrainJson:
    def test_hyperband_s_counters_have_tao_s_names(self, tmp_path: Path) -> None:
        run = Run(configured(tmp_path, HYPERBAND), slots=1).play(steps=1)
        brain = run.json(layout.BRAIN)
        assert brain == {
            "bracket": 0,
            "sh_iter": 0,
            "expt_iter": 1,
            "complete": False,
            "epoch_number": 1,
            "resume_epoch_number": 0,
            "epoch_multiplier": 1,
            "ni": {"0": [9, 3, 1], "1": [3, 1]},
            "ri": {"0": [1, 3, 9], "1": [3, 9]},
        }
        assert run.play().json(layout.BRAIN)["complete"] is True

    def test_the_gaussian_process_has_one_point_more_while_a_trial_runs(
        self, tmp_path: Path
    ) -> None:
        def look(run: Run) -> None:
            brain = run.json(layout.BRAIN)
            assert len(brain["Xs"]) == len(brain["ys"]) + len(run.state.running())
            assert all(0 <= x <= 1 for point in brain["Xs"] for x in point)

        run = Run(configured(tmp_path, BAYESIAN), slots=1).play(check=look)
        values = [t.best_score for t in run.state.trials.values()]
        assert run.json(layout.BRAIN)["ys"] == pytest.approx(values)


class TestMetadata:
    def test_before_the_first_epoch(self, tmp_path: Path) -> None:
        run = Run(configured(tmp_path, HYPERBAND))
        run.draw()
        assert run.json(layout.METADATA) == {
            "best_value": 0.0,
            "Estimated time for automl completion": "Will be updated after completing one epoch",
            "Current experiment number": 0,
            "Number of epochs yet to start": 36.0,
            "Time per epoch in seconds": None,
        }
        assert run.store.read(layout.CURRENT) is None

    def test_while_it_runs(self, tmp_path: Path) -> None:
        run = Run(configured(tmp_path, HYPERBAND), slots=1).play(steps=4)
        best = run.state.incumbent
        assert best is not None
        assert run.json(layout.METADATA) == {
            "best_value": best.value,
            "Estimated time for automl completion": "0:01:20",
            "Current experiment number": 4,
            "Number of epochs yet to start": 32.0,
            "Time per epoch in seconds": 2.5,
            "Best experiment id": best.trial,
        }

    def test_at_the_end(self, tmp_path: Path) -> None:
        run = Run(configured(tmp_path, BAYESIAN), evaluate=True).play()
        best, drawn = run.state.incumbent, run.json(layout.METADATA)
        assert best is not None
        assert drawn["best_value"] == best.value
        assert drawn["Best experiment id"] == best.trial
        assert drawn["Estimated time for automl completion"] == "0:00:00"
        assert drawn["Number of epochs yet to start"] == 0.0
        assert isinstance(drawn["Number of epochs yet to start"], float)
        assert (drawn["status"], drawn["test"]) == ("Done", {"test_value": 0.25})

    def test_a_better_model_is_not_shown_with_what_the_one_before_was_measured_as(
        self, tmp_path: Path
    ) -> None:
        run = Run(configured(tmp_path, BAYESIAN), evaluate=True).play()
        best = run.state.incumbent
        assert best is not None
        epochs = {"epochs": 1}
        score = best.score + 1
        for event in (
            Started(4, dict(run.state.trials[0].params), epochs, epochs, "one more", "job"),
            Leased(4, 1),
            Reported(4, 1, 1, {"value": score, "score": score}, SECONDS),
        ):
            run.state.apply(event)
        run.draw()
        drawn = run.json(layout.METADATA)
        assert drawn["Best experiment id"] == 4
        assert "test" not in drawn

    def test_a_run_without_a_result_says_error(self, tmp_path: Path) -> None:
        run = Run(configured(tmp_path, HYPERBAND)).play(fails=lambda trial, epoch: True)
        drawn = run.json(layout.METADATA)
        assert (drawn["status"], drawn["best_value"]) == ("Error", 0.0)
        assert "Best experiment id" not in drawn
        assert run.store.list(layout.BEST_MODEL) == []


def test_current_rec_is_the_number_that_was_launched_last(tmp_path: Path) -> None:
    def look(run: Run) -> None:
        assert run.store.read(layout.CURRENT) == b"%d\n" % run.launched[-1]

    assert len(Run(configured(tmp_path, HYPERBAND)).play(check=look).launched) == 17


class TestRecommendations:
    @pytest.mark.parametrize("ending", ["yaml", "json"])
    def test_each_is_the_entire_train_spec(self, ending: str, tmp_path: Path) -> None:
        own = load_card(Toy()).default_spec()
        (tmp_path / f"own.{ending}").write_text(own.dump(ending))
        setup = configured(tmp_path, f"spec: own.{ending}\n{HYPERBAND}")
        run = Run(setup).play()
        for trial in run.state.trials.values():
            key = layout.recommendation(trial.number, ending)
            text = run.store.read(key)
            assert text is not None
            spec = Document.parse(text, file=key, format=ending)
            wanted = {**trial.params, "train.num_epochs": 9}
            assert spec.plain() == own.with_values(wanted).plain()

    def test_it_is_there_as_soon_as_the_trial_is_and_never_changes(self, tmp_path: Path) -> None:
        first: dict[str, bytes | None] = {}

        def look(run: Run) -> None:
            for trial in run.state.trials:
                key = layout.recommendation(trial)
                assert run.store.read(key) == first.setdefault(key, run.store.read(key))
                assert first[key] is not None

        Run(configured(tmp_path, HYPERBAND)).play(check=look)
        assert len(first) == 12


class TestDrawing:
    def test_at_most_once_a_second_but_for_recommendations(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = SimpleNamespace(now=100.0)
        monkeypatch.setattr("raytao.tao.export.time", SimpleNamespace(monotonic=lambda: clock.now))
        run = Run(configured(tmp_path, HYPERBAND))
        run.draw(now=False)
        before = run.store.read(layout.CONTROLLER)
        run.controller.suggest()
        run.draw(now=False)
        assert run.store.read(layout.CONTROLLER) == before
        assert run.store.read(layout.recommendation(0)) is not None
        clock.now += 1.0
        run.draw(now=False)
        assert run.store.read(layout.CONTROLLER) != before

    def test_what_takes_long_to_draw_is_drawn_in_a_twentieth_of_the_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = SimpleNamespace(now=100.0)
        monkeypatch.setattr("raytao.tao.export.time", SimpleNamespace(monotonic=lambda: clock.now))

        class Slow(MemoryStore):
            def replace(self, key: str, data: bytes) -> None:
                clock.now += 2.0 if key == layout.CONTROLLER else 0.0
                super().replace(key, data)

        run = Run(configured(tmp_path, HYPERBAND), Slow())
        begun, drawings = clock.now, 0
        while clock.now < begun + 400.0:
            before = clock.now
            run.controller.stop("asked to", cancel=True)  # something new every time
            run.draw(now=False)
            drawings += clock.now > before
            clock.now += 0.1
        assert drawings == 10

    def test_what_is_drawn_is_in_the_log(self, tmp_path: Path) -> None:
        def look(run: Run) -> None:
            assert len(read_log(run.store, layout.EVENTS)) == run.state.next_seq

        Run(configured(tmp_path, HYPERBAND)).play(check=look)

    def test_the_drawings_can_be_made_again_from_the_log_alone(self, tmp_path: Path) -> None:
        setup = configured(tmp_path, HYPERBAND)
        run = Run(setup).play(fails=flaky)
        names = (layout.CONTROLLER, layout.BRAIN, layout.CURRENT)
        before = {name: run.json(name) for name in names}
        for name in names:
            run.store.delete(name)
        again = Run(setup, run.store)
        again.draw()
        assert {name: again.json(name) for name in names} == before


class Full(MemoryStore):
    """A disk that is full for all but the log while ``full``."""

    full = False

    def replace(self, key: str, data: bytes) -> None:
        if self.full:
            raise StoreError(f"cannot write {key}: No space left on device", errno.ENOSPC)
        super().replace(key, data)


class TestStorageThatRefuses:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
        clock = SimpleNamespace(now=100.0)
        monkeypatch.setattr("raytao.tao.export.time", SimpleNamespace(monotonic=lambda: clock.now))
        return clock

    def test_what_cannot_be_drawn_is_said_once_and_drawn_later(
        self, clock: SimpleNamespace, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        run = Run(configured(tmp_path, HYPERBAND), store := Full())
        store.full = True
        run.controller.suggest()
        for _ in range(50):
            run.draw(now=False)
            clock.now += 1.0
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "No space left" in caplog.text
        assert store.list() == [layout.EVENTS]
        store.full = False
        clock.now += 10.0
        run.draw(now=False)
        assert len(run.json(layout.CONTROLLER)) == 1
        assert store.read(layout.recommendation(0)) is not None
        store.full = True
        run.controller.suggest()
        run.draw(now=False)
        assert len(caplog.records) == 2

    def test_what_is_wanted_now_is_drawn_or_refused(
        self, clock: SimpleNamespace, tmp_path: Path
    ) -> None:
        run = Run(configured(tmp_path, HYPERBAND), store := Full())
        store.full = True
        with pytest.raises(StoreError, match="No space left"):
            run.draw(now=True)
        store.full = False
        run.draw(now=True)
        assert run.json(layout.CONTROLLER) == []

    def test_a_log_that_refuses_is_more_than_a_drawing(
        self, clock: SimpleNamespace, tmp_path: Path
    ) -> None:
        class NoLog(MemoryStore):
            refuses = False

            def append_batch(self, key: str, data: bytes, **more: Any) -> None:
                if self.refuses:
                    raise StoreError("cannot append", errno.ENOSPC)
                super().append_batch(key, data, **more)

        run = Run(configured(tmp_path, HYPERBAND), store := NoLog())
        lease = run.controller.suggest()
        assert isinstance(lease, Lease)
        run.controller.place(Placed(lease.trial, lease.attempt, "node-a", 42, 1.0, 0.0))
        store.refuses = True
        with pytest.raises(StoreError, match="cannot append"):
            run.draw(now=False)


class TestWeights:
    @pytest.mark.parametrize("slots", [1, 3])
    @pytest.mark.parametrize("fails", [lambda trial, epoch: False, flaky])
    def test_losers_lose_theirs_but_who_may_still_be_the_best_never(
        self, slots: int, fails: Fails, tmp_path: Path
    ) -> None:
        def look(run: Run) -> None:
            state = run.state
            settled = state.best_among(Phase.FINISHED, Phase.RETIRED)
            kept = {best.trial for best in (state.incumbent, settled) if best}
            for trial in state.trials.values():
                if trial.phase is Phase.PAUSED or trial.number in kept:
                    best = layout.checkpoint(trial.best_epoch or 0)
                    assert any(key.endswith(best) for key in run.weights(trial.number))
                elif trial.phase in (Phase.FINISHED, Phase.RETIRED, Phase.FAILED):
                    assert run.weights(trial.number) == []

        run = Run(configured(tmp_path, HYPERBAND), slots=slots).play(fails=fails, check=look)
        assert len([n for n in run.state.trials if run.weights(n)]) == 1

    def test_all_are_kept_where_the_user_wants_them(self, tmp_path: Path) -> None:
        run = Run(configured(tmp_path, HYPERBAND), keep_all=True).play(fails=flaky)
        trained = {t.number for t in run.state.trials.values() if t.epochs}
        assert {n for n in run.state.trials if run.weights(n)} == trained

    def test_a_new_driver_sweeps_what_the_old_one_left(self, tmp_path: Path) -> None:
        setup = configured(tmp_path, HYPERBAND)
        store = Run(setup, keep_all=True).play().store
        run = Run(setup, store)
        run.draw()
        best = run.state.incumbent
        assert best is not None
        assert [n for n in run.state.trials if run.weights(n)] == [best.trial]

    def test_logs_of_losers_stay(self, tmp_path: Path) -> None:
        run = Run(configured(tmp_path, HYPERBAND))
        logs = [f"{layout.experiment(trial)}/{layout.LOG}" for trial in range(12)]
        for log in logs:
            run.store.replace(log, b"talk")
        run.play()
        assert all(map(run.store.read, logs))


@pytest.mark.parametrize("slots", [1, 4])
def test_at_the_end_best_model_is_the_incumbent_s_and_weights_never_lacked(
    slots: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(configured(tmp_path, HYPERBAND), slots=slots).play(fails=flaky)
    best = run.state.incumbent
    assert best is not None
    model = f"{layout.BEST_MODEL}/{layout.checkpoint(best.epoch)}"
    assert run.store.read(model) == f"{best.trial}@{best.epoch}".encode()
    assert best.value == max(e["result"] or 0 for e in run.json(layout.CONTROLLER))
    assert not caplog.text
