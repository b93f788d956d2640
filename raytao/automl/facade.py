"""``raytao.AutoML``: a search, as a notebook writes it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from raytao.automl.conduct import conduct
from raytao.automl.loop import Loop, Trial
from raytao.automl.recommendation import Recommendation
from raytao.automl.run import Run
from raytao.automl.spaces import read_space
from raytao.automl.watching import conclude, say, stopped, watch
from raytao.automl.whole import whole
from raytao.brains.base import Plan
from raytao.cluster.door import is_server
from raytao.errors import SettingsError
from raytao.networks.function import OwnFunction
from raytao.report.plan import plan_html, plan_text
from raytao.runs.place import Place
from raytao.setup.beginning import with_beginning
from raytao.setup.folder import inspect_folder
from raytao.setup.function import function_setup, with_function
from raytao.setup.places import Places
from raytao.setup.price import Estimate, Rates
from raytao.setup.resolve import resolve, resolve_values
from raytao.setup.schedule import forecast, rates
from raytao.setup.settings import Settings
from raytao.setup.setup import Setup
from raytao.spec import elsewhere
from raytao.tao.automl.settings import from_tao
from raytao.types import Json

if TYPE_CHECKING:
    import pandas as pd

    from raytao.automl.submitting import SubmittedRun

CALLER: Final = "AutoML(…)"
"""What is named as the place of a mistake in the arguments."""


class AutoML:
    """Search for a network's best train spec, or for a function's best arguments.

    Args:
        network: a network's name (``raytao params`` lists them).
        spec: a train spec's file, or changes to the network's own as a dict; with ``train``, your
            own values of the parameters. It becomes recommendation 0.
        train: in place of a network, your own function: ``def train(params, ctx)`` reports every
            epoch of ``ctx.epochs`` by ``ctx.report(epoch, metrics)`` and may ``ctx.save(bytes)``;
            ``def train(params)`` returns a number or a dict of metrics.
        space: with ``train`` or for ``ask``: what is searched; see `raytao.automl.spaces`.
        epochs: with ``space``: how many epochs a full training has.
        settings: everything else that a run file may say (``metric``, ``brain``, ``search``,
            ``resources``, ``slots``, ``seed``, ``initial``, ``warm_start``, ``results_dir``,
            ``tracking``, …), or TAO's own ``automl_settings``, its keys in the spelling of 5.x
            or 7.x.

    Everything is checked here, before anything starts.

    Raises:
        UserError: naming the argument, its value, the rule and the remedy.
    """

    def __init__(
        self,
        network: str | None = None,
        *,
        spec: Mapping[str, Json] | Path | str | None = None,
        train: Callable[..., Any] | None = None,
        space: Mapping[str, Any] | None = None,
        epochs: int | None = None,
        **settings: Any,
    ) -> None:
        named: dict[str, Any] = {"network": network, "spec": spec, "train": train, "space": space}
        given = {name: value for name, value in named.items() if value is not None}
        given |= {} if epochs is None else {"epochs": epochs}
        own = {} if network is None else {"network": network}
        translated = from_tao({**own, **_plain(settings)}, own=[*Settings.model_fields, *named])
        with _where_it_trains(settings.get("address")):
            setup = _setup(translated.settings, spec, train, space, epochs)
        notes = (*translated.notes, *setup.notes)
        self._begin({**given, **settings}, replace(setup, notes=notes))

    @classmethod
    def from_file(cls, run: Path | str, *assignments: str) -> Self:
        """Take a run file, or the name of a shipped one, as ``raytao run`` does.

        Args:
            run: ``"digits_hyperband"`` or a path.
            assignments: ``"slots=4"``, ``"train.num_epochs=20"``.
        """
        made = cls.__new__(cls)
        addresses = [a.removeprefix("address=") for a in assignments if a.startswith("address=")]
        with _where_it_trains(*addresses[-1:]):
            setup = resolve(str(run), assignments)
        made._begin({"from_file": (str(run), *assignments)}, setup)
        return made

    def _begin(self, given: Mapping[str, Any], setup: Setup) -> None:
        """Start from what was given, for ``repr``, and what that means."""
        self._given = given
        self._setup = setup
        self._loop: Loop | None = None
        self._opening = threading.Lock()

    @property
    def results_dir(self) -> Place:
        """The results folder."""
        return self._setup.results

    def plan(
        self,
        *,
        minutes_per_epoch: float | None = None,
        workers: int | None = None,
        gpu_price: float | None = None,
    ) -> ShownPlan:
        """What will be trained: schedule, epochs, disk. Starts nothing.

        Args:
            minutes_per_epoch: of one trial, measured by you; with it, time and GPU hours are
                estimated.
            workers: trials at once; default: ``slots``, or 1.
            gpu_price: of an hour of one GPU, in any currency; with it, the cost is estimated.

        Raises:
            SettingsError: if a number means nothing, or the minutes are missing.
        """
        return ShownPlan(self._setup, rates(self._setup, minutes_per_epoch, workers, gpu_price))

    def fit(self, *, resume: bool = False, allow_changed: bool = False) -> Run:
        """Run the search on Ray; a block shows it in a notebook, a table in a terminal.

        Interrupt the kernel, or press Ctrl-C, to stop it: everything reported is kept, and
        ``fit(resume=True)`` goes on from there.

        Args:
            resume: go on if the results folder already holds this run; with a longer plan, it
                goes on if it is finished as well.
            allow_changed: go on too if it holds another search, or was of other data: what was
                found stays and can still win, and a new search begins beside it.

        Raises:
            FolderError: if the folder holds another run, or this one unasked.
            SettingsError: if there is no function to train, or no room for a trial.
            KeyboardInterrupt: when it was stopped.
        """
        inspect_folder(self._setup, resume=resume, allow_changed=allow_changed)
        with stopped(self._setup):
            outcome = conduct(self._setup, watch, say, allow_changed=allow_changed)
            conclude(self._setup, outcome)
        return self.run

    def submit(
        self,
        address: str | None = None,
        *,
        name: str | None = None,
        resume: bool = True,
        allow_changed: bool = False,
        env: Sequence[str] = (),
        wheel: Path | str | None = None,
    ) -> SubmittedRun:
        """Run the search on a cluster, as a job that goes on without this notebook.

        Submitted again while it runs, it is the same job; after it has ended, it goes on in the
        same folder. Data that only the cluster sees: give ``address`` to ``AutoML`` already.

        Args:
            address: the cluster's job server, ``http://HEAD:8265``; default: the run's own
                ``address``, or RAY_API_SERVER_ADDRESS.
            name: the job's; default: the results folder's.
            resume: go on if the folder holds this run.
            allow_changed: as in ``fit``.
            env: names of variables of this environment that the job gets; never secrets.
            wheel: raytao's own wheel, for a cluster that has none or another one.

        Raises:
            SettingsError: if something of the run is here and cannot be there, if the job server
                is open to a network, or if it wants a token that is not here.
            RaytaoError: if it does not answer, or refuses.
        """
        from raytao.automl.submitting import submit_setup

        own = self._setup.settings.address
        train = self._given.get("train")
        return submit_setup(
            self._setup if train is None else with_function(self._setup, whole(train)),
            address or (own if is_server(own) else None),
            name=name,
            resume=resume,
            allow_changed=allow_changed,
            env=env,
            wheel=wheel,
            say=say,
        )

    def ask(self, *, resume: bool = False) -> Trial | None:
        """The next trial for a loop of your own.

        Without Ray: you train ``trial.params`` wherever you like and ``tell`` what came out.
        None means that there is none now: for good if ``done``, else until a trial that is out
        was told. Several threads may ask and tell.

        Args:
            resume: go on if the results folder already holds this search.

        Raises:
            FolderError: as ``fit``, at the first call.
        """
        return self._own_loop(resume=resume).ask()

    def tell(self, trial: Trial, result: Mapping[str, float] | float | None) -> bool:
        """Take in what the trial's next epoch measured; None: it failed.

        Args:
            trial: what ``ask`` answered.
            result: the metric's value, or a dict with it.

        Returns:
            Whether the trial goes on with another epoch now.

        Raises:
            SettingsError: if the metric is missing.
        """
        return self._own_loop().tell(trial, result)

    @property
    def done(self) -> bool:
        """For a loop of your own: whether ``ask`` will never answer with a trial again."""
        return self._loop is not None and self._loop.done

    def close(self) -> None:
        """For a loop of your own: leave the folder, so that another process may go on."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    @property
    def run(self) -> Run:
        """The run in the results folder."""
        return Run(self.results_dir)

    @property
    def best(self) -> Recommendation | None:
        """The best recommendation so far; None while no trial has a result.

        Raises:
            FolderError: before the run has begun.
        """
        return self.run.best

    def table(self) -> pd.DataFrame:
        """One row a recommendation; see `Run.table`."""
        return self.run.table()

    def __repr__(self) -> str:
        if "from_file" in self._given:
            inner = ", ".join(map(repr, self._given["from_file"]))
            return f"raytao.AutoML.from_file({inner})"
        pairs = (f"{name}={_shown(name, value)}" for name, value in self._given.items())
        return f"raytao.AutoML({', '.join(pairs)})"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>{self.plan()._repr_html_()}"

    def _own_loop(self, *, resume: bool = False) -> Loop:
        with self._opening:
            if self._loop is None:
                inspect_folder(self._setup, resume=resume)
                self._loop = Loop(self._setup)
                for note in self._setup.notes:
                    say(f"note: {note}")
            return self._loop


class ShownPlan:
    """A run's plan; prints as ``raytao plan`` does, and as a table in a notebook."""

    def __init__(self, setup: Setup, rates: Rates | None = None) -> None:
        self._setup = setup
        self._forecast = forecast(setup, rates)

    @property
    def schedule(self) -> Plan:
        """The rungs, for programs."""
        return self._forecast.plan

    @property
    def estimate(self) -> Estimate | None:
        """Time, GPU hours and cost, for programs; None unless you said how long an epoch is."""
        return self._forecast.estimate

    def __repr__(self) -> str:
        return plan_text(self._setup, self._forecast)

    def _repr_html_(self) -> str:
        return plan_html(self._setup, self._forecast)


def _setup(
    settings: Mapping[str, Json],
    spec: Mapping[str, Json] | Path | str | None,
    train: Callable[..., Any] | None,
    space: Mapping[str, Any] | None,
    epochs: int | None,
) -> Setup:
    if train is None and space is None:
        if epochs is not None:
            raise SettingsError(
                f"{CALLER}: epochs={epochs!r} is for a function of your own",
                remedy="a network has it in its spec: set={'train.num_epochs': …}",
            )
        if isinstance(spec, Mapping):
            return resolve_values(settings, caller=CALLER, spec=spec)
        file = {} if spec is None else {"spec": str(spec)}
        return resolve_values({**settings, **file}, caller=CALLER)
    if "network" in settings:
        raise SettingsError(
            f"{CALLER}: a network and a function or space of your own exclude each other",
            remedy="leave one out",
        )
    if space is None:
        raise SettingsError(
            f"{CALLER}: 'space' is missing", remedy='add space={"lr": (1e-4, 1e-1)}'
        )
    if isinstance(spec, str | Path):
        raise SettingsError(
            f"{CALLER}: spec is {str(spec)!r}; a function's spec is a dict of values"
        )
    with Places(CALLER).blame({"": []}):
        function = None if train is None else OwnFunction.of(train)
        searched = read_space(space)
    setup = function_setup(function, searched, settings, caller=CALLER, epochs=epochs, first=spec)
    return with_beginning(setup, Path(), Places(CALLER))


def _where_it_trains(address: object = None) -> AbstractContextManager[None]:
    """Data are looked for here, unless the address is that of another cluster's job server."""
    return elsewhere() if is_server(address) else nullcontext()


def _plain(settings: Mapping[str, Any]) -> dict[str, Json]:
    """Settings as a file would hold them: a path is a string."""
    return {name: _written(value) for name, value in settings.items()}


def _written(value: Any) -> Json:
    match value:
        case Path():
            return str(value)
        case Mapping():
            return {name: _written(inner) for name, inner in value.items()}
        case list():
            return [_written(inner) for inner in value]
        case _:
            return value


def _shown(name: str, value: Any) -> str:
    """An argument as it can be pasted into a cell."""
    match name, value:
        case "train", _:
            return getattr(value, "__name__", repr(value))
        case "space", _:
            return f"{{{', '.join(f'{key!r}: {_domain(v)}' for key, v in value.items())}}}"
        case _, Path():
            return repr(str(value))
        case _:
            return repr(value)


def _domain(value: Any) -> str:
    """A short form as it was written; anything else as the parameter that it means."""
    if isinstance(value, tuple | list):
        return repr(value)
    (parameter,) = read_space({"it": value}).parameters
    return f"raytao.space.{parameter!r}"
