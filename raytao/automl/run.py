"""A run's folder, as a notebook looks at it: the best model, the table, the charts."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from raytao.automl.conduct import conduct
from raytao.automl.recommendation import Recommendation
from raytao.automl.stopping import ask_run
from raytao.automl.table import table
from raytao.automl.watching import conclude, say, stopped, watch
from raytao.errors import SettingsError
from raytao.networks.function import OwnFunction
from raytao.report.first import reasons
from raytao.report.live.block import block
from raytao.report.live.notebook import title
from raytao.report.page.file import write_report
from raytao.report.words import status_word
from raytao.runs.eta import Remaining, remaining
from raytao.runs.log import Record, read_log
from raytao.runs.object_folder import is_torn
from raytao.runs.place import Place, is_file, place_of, store_at
from raytao.runs.state import Best, RunState
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

    from raytao.tracking.sync import Synced


DOTS_PER_INCH: Final = 110
SHADES: Final = 64
"""Of a picture in a notebook: its colours, and what lies between them at the edges of letters."""


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
        """One row a recommendation, by number: result, epochs, state, why, and its values.

        Numbers are numbers, and what is absent is NA: also the values of parameters that a
        condition had left out.
        """
        return table(self._setup, self._state(), driven=is_driven(self.results_dir))

    def importance(self, *, seed: int = 0) -> pd.DataFrame:
        """Which parameters matter: a row a parameter or a pair, its share and 90 % interval.

        ``kind`` is ``alone`` or ``together`` (shares of the variance over the space) or ``local``
        (around the best); ``attrs`` has ``trials``, ``fit`` and the ``notes`` for readers.

        Raises:
            TooFewTrials: below 10 trials that can be compared.
        """
        import pandas as pd

        from raytao.analysis.evidence import run_importance

        found = run_importance(self._setup.space, self._state(), seed=seed)
        kinds = {"alone": found.main, "together": found.pairs, "local": found.local}
        rows = [
            (kind, " × ".join(one.names), one.share, one.low, one.high)
            for kind, shares in kinds.items()
            for one in shares
        ]
        frame = pd.DataFrame(rows, columns=["kind", "parameter", "share", "low", "high"])
        frame.attrs.update(trials=found.trials, fit=found.fit, notes=found.notes)
        return frame

    def plot(self, what: str = "incumbent") -> Chart:
        """Draw a picture of the run: it shows itself in a notebook, ``caption`` says it in words.

        Args:
            what: ``incumbent`` (the best so far), ``time``, ``curves``, ``brackets``,
                ``timeline``, ``parallel``, ``slices`` or ``importance``.

        Raises:
            SettingsError: if there is no such picture, or nothing to draw.
        """
        from raytao.report.pictures.gallery import View, picture

        records = self._records()
        state, plan = RunState.fold(records), self._setup.new_brain().plan()
        view = View(state, records, plan, self._setup.space, self._setup.metric)
        drawn = picture(what, view)
        if drawn.figure is None:
            raise SettingsError(f"there is no {what!r} to draw. {drawn.caption}")
        return Chart(drawn.figure, drawn.caption)

    def report(self, file: Place | str | None = None, *, gpu_price: float | None = None) -> Place:
        """Write the run's page, one HTML file; return where (``report.html`` in the folder).

        Args:
            file: another place for it.
            gpu_price: what an hour of a GPU costs; the page then tells what the run did.
        """
        to = None if file is None else place_of(file)
        return write_report(self.results_dir, to, gpu_price=gpu_price)

    def sync(self) -> list[Synced]:
        """Tell the run's trackers what they missed, as ``raytao sync`` does.

        Raises:
            SettingsError: if the run has no tracker.
            RaytaoError: if a tracker's server does not answer.
        """
        from raytao.tracking.sync import sync_run

        return sync_run(self.results_dir)

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
        place, driven = f"results in {self.results_dir}", is_driven(self.results_dir)
        status = status_word(state, driven=driven)
        return block(title(self._setup), place, status, state, left, plan, driven=driven)

    def _state(self) -> RunState:
        return read_state(self.results_dir)

    def _records(self) -> list[Record]:
        return read_log(store_at(self.results_dir), layout.EVENTS)

    def _status(self, state: RunState) -> str:
        return status_word(state, driven=is_driven(self.results_dir))

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
            why=reasons(trial, state),
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
        caption: what it shows, in words.
    """

    def __init__(self, figure: Figure, caption: str) -> None:
        self.figure = figure
        self.caption = caption

    def __repr__(self) -> str:
        return self.caption

    def _repr_png_(self) -> bytes:
        """The picture in few colours: a quarter of the bytes that a notebook keeps."""
        from PIL import Image

        drawn, small = io.BytesIO(), io.BytesIO()
        self.figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH)
        whole = Image.open(drawn).convert("RGB")
        whole.quantize(SHADES, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
        return small.getvalue()


def open_run(results_dir: Place | str) -> Run:
    """Open the run in a results folder, or at its address: finished, interrupted or going on.

    Raises:
        FolderError: if there is no run in it.
        DamagedRun: if its log cannot be trusted.
    """
    return Run(results_dir)
