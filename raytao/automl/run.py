"""A run's folder, as a notebook looks at it: the best model, the table, the charts."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from raytao.automl.conduct import conduct
from raytao.automl.recommendation import Recommendation
from raytao.automl.stopping import ask_run
from raytao.automl.watching import conclude, say, stopped, watch
from raytao.errors import SettingsError, did_you_mean
from raytao.networks.function import OwnFunction
from raytao.report.block import block
from raytao.report.file import write_report
from raytao.report.notebook import title
from raytao.report.words import status_word
from raytao.runs.eta import Remaining, remaining
from raytao.runs.log import Record, read_log
from raytao.runs.object_folder import is_torn
from raytao.runs.place import Place, is_file, place_of, store_at
from raytao.runs.state import Best, RunState, TrialState
from raytao.setup.chapters import Chapters
from raytao.setup.folder import is_driven, open_folder, read_state
from raytao.setup.function import with_function
from raytao.setup.job import job_of
from raytao.setup.places import Places
from raytao.setup.reopen import moved
from raytao.setup.request import Ask
from raytao.tao import layout

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


DOTS_PER_INCH: Final = 110
CHARTS: Final = ("incumbent", "curves", "brackets")


class Run:
    """What is in a results folder now; read anew by every call, while the run goes on as well.

    Args:
        results_dir: the folder, or its address: ``"s3://bucket/prefix"``.

    Raises:
        FolderError: if there is no run in it.
        DamagedRun: if its log cannot be trusted.
    """

    def __init__(self, results_dir: Place | str) -> None:
        self.results_dir = place_of(results_dir)
        self._setup, _ = open_folder(self.results_dir)

    @property
    def status(self) -> str:
        """Done or Error; Running while a driver is known to be at it, else Interrupted."""
        return self._status(self._state())

    @property
    def best(self) -> Recommendation | None:
        """The best recommendation so far; None while no trial has a result."""
        state = self._state()
        return None if state.incumbent is None else self._told(state, state.incumbent)

    @property
    def tao(self) -> dict[str, Any]:
        """TAO's payload of the job: indicators, results, details; see `raytao.setup.job`."""
        return job_of(self._setup, self._state(), self.results_dir)

    @property
    def baseline(self) -> Recommendation | None:
        """Recommendation 0, the user's own spec; None while it has no result."""
        state = self._state()
        return None if state.baseline is None else self._told(state, state.baseline)

    def table(self) -> pd.DataFrame:
        """One row a recommendation, by number: result, epochs, state, why, and its values."""
        import pandas as pd

        state = self._state()
        rows = [self._row(state, trial) for trial in state.trials.values()]
        columns = [*self._columns(), *map(self._column, self._setup.space.names)]
        frame = pd.DataFrame(rows, columns=["recommendation", *columns])
        return frame.set_index("recommendation")

    def plot(self, what: str = "incumbent") -> Chart:
        """Draw ``incumbent`` (the best so far over epochs), ``curves`` or ``brackets``.

        Raises:
            SettingsError: if there is no such chart, or nothing to draw.
        """
        from raytao.report import charts
        from raytao.report.series import improvements

        state, figure = self._state(), None
        match what:
            case "incumbent":
                figure = charts.incumbent(state, improvements(self._records()))
            case "curves":
                figure = charts.learning_curves(state)
            case "brackets":
                figure = charts.brackets(state, self._setup.new_brain().plan())
            case _:
                raise SettingsError(f"no chart {what!r}", remedy=did_you_mean(what, CHARTS))
        if figure is None:
            raise SettingsError(f"there are no {what} to draw: this brain has no rungs")
        return Chart(figure)

    def report(self, file: Place | str | None = None) -> Place:
        """Write the run's page, one HTML file; return where (``report.html`` in the folder)."""
        return write_report(self.results_dir, None if file is None else place_of(file))

    def resume(self, train: Callable[..., Any] | None = None, **changes: Any) -> Run:
        """Go on where the log ends, as ``raytao resume`` does.

        Args:
            train: your own function again, if that is what the run trains.
            changes: where, how wide and how long it runs: ``slots=8``, ``address="auto"``,
                ``max_recommendations=40`` or ``brackets=4`` (by the brain), …

        Raises:
            SettingsError: if something else is to be changed, or the function is missing.
            KeyboardInterrupt: when it is stopped again; it can be resumed again.
        """
        setup = moved(self._setup, changes, Places("resume(…)"))
        if train is not None:
            setup = with_function(setup, OwnFunction.of(train))
        with stopped(setup):
            conclude(setup, conduct(setup, watch, say, go_on=True))
        return self

    def stop(self) -> Run:
        """End a run that goes on elsewhere, well: as ``raytao stop`` does.

        Raises:
            NotHeard: if its driver has not done it within five minutes.
        """
        return self._asked(Ask.STOP)

    def pause(self) -> Run:
        """Interrupt a run that goes on elsewhere, as ``raytao pause`` does; see ``stop``."""
        return self._asked(Ask.PAUSE)

    def cancel(self) -> Run:
        """End a run that goes on elsewhere now, as ``raytao cancel`` does; see ``stop``."""
        return self._asked(Ask.CANCEL)

    def _asked(self, ask: Ask) -> Run:
        ask_run(ask, self.results_dir, say)
        return self

    def __repr__(self) -> str:
        return f"raytao.open({str(self.results_dir)!r})"

    def __str__(self) -> str:
        best = self.best
        return f"{self.results_dir}: {self.status}; {best or 'no trial has a result'}"

    def _repr_html_(self) -> str:
        state = self._state()
        plan = self._setup.new_brain().plan()
        left: Remaining = remaining(state, plan, max(1, len(state.running())), self._setup.budget)
        place = f"results in {self.results_dir}"
        return block(title(self._setup), place, self._status(state), state, left, plan)

    def _state(self) -> RunState:
        return read_state(self.results_dir)

    def _records(self) -> list[Record]:
        return read_log(store_at(self.results_dir), layout.EVENTS)

    def _status(self, state: RunState) -> str:
        return status_word(state, driven=is_driven(self.results_dir))

    def _columns(self) -> list[str]:
        return [self._setup.metric, "best_epoch", "epochs", "state", "why"]

    def _row(self, state: RunState, trial: TrialState) -> dict[str, Any]:
        best = state.best_of(trial)
        why = trial.failure.reason if trial.failure else trial.why[-1]
        told = (best and best.value, best and best.epoch, trial.epochs, trial.phase.value, why)
        named = dict(zip(self._columns(), told, strict=True))
        params = {self._column(name): value for name, value in trial.params.items()}
        return {"recommendation": trial.number, **named, **params}

    def _column(self, name: str) -> str:
        """A parameter's column; one that is called like a column of ours is told apart."""
        taken = name in (*self._columns(), "recommendation")
        return f"params.{name}" if taken else name

    def _told(self, state: RunState, best: Best) -> Recommendation:
        trial = state.trials[best.trial]
        place, checkpoint = self._model(best)
        return Recommendation(
            number=best.trial,
            params=dict(trial.params),
            metric=self._setup.metric,
            value=best.value,
            epoch=best.epoch,
            epochs_trained=best.fidelity,
            why=tuple(trial.why),
            spec=Chapters(self._setup, state).recommendation(best.trial).plain(),
            place=place,
            checkpoint=checkpoint,
        )

    def _model(self, best: Best) -> tuple[Place, Place | None]:
        """Where the model lies: drawn as the best one already, or still with its experiment."""
        weights = layout.checkpoint(best.epoch, self._setup.network.checkpoint_suffix)
        drawn = layout.recommendation(best.trial, self._setup.spec.format)
        shown = self.results_dir / layout.BEST_MODEL
        whole = not is_torn(store_at(self.results_dir), layout.BEST_MODEL)
        if whole and is_file(shown / drawn) and is_file(shown / weights):
            return shown, shown / weights
        own = self.results_dir / layout.experiment(best.trial)
        return own, own / weights if is_file(own / weights) else None


class Chart:
    """A chart that shows itself in a notebook.

    Args:
        figure: matplotlib's, to change or to save: ``chart.figure.savefig("best.pdf")``.
    """

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    def __repr__(self) -> str:
        return "raytao: a chart, to be seen in a notebook; chart.figure is matplotlib's"

    def _repr_png_(self) -> bytes:
        drawn = io.BytesIO()
        self.figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH)
        return drawn.getvalue()


def open_run(results_dir: Place | str) -> Run:
    """Open the run in a results folder, or at its address: finished, interrupted or going on.

    Raises:
        FolderError: if there is no run in it.
        DamagedRun: if its log cannot be trusted.
    """
    return Run(results_dir)
