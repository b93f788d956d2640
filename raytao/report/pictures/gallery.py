"""The pictures of a run: the one list of them, for the page and for notebooks.

Each comes with a caption that says in words what it shows, for those who cannot see it; where
there is nothing to draw, the caption says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from raytao.errors import SettingsError, did_you_mean
from raytao.report.pictures import captions, charts
from raytao.report.pictures.elapsed import moments
from raytao.report.pictures.important import important
from raytao.report.pictures.parallel import parallel
from raytao.report.pictures.slices import slices
from raytao.report.pictures.timeline import timeline
from raytao.report.pictures.view import Drawn, View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["KEYS", "Picture", "View", "picture", "pictures"]


@dataclass(frozen=True)
class Picture:
    """One picture.

    Args:
        key: its name: one of ``KEYS``.
        title: what it shows, in a few words.
        figure: what is drawn; None where there is nothing to draw.
        caption: the same in words, with its numbers; or why there is nothing to draw.
        wide: whether it wants the whole width of a page.
    """

    key: str
    title: str
    figure: Figure | None
    caption: str
    wide: bool


def _incumbent(view: View) -> Drawn:
    caption = captions.incumbent(view.state, view.leads)
    return charts.incumbent(view.state, view.leads) if view.leads else None, caption


def _time(view: View) -> Drawn:
    if not view.records:
        return None, "Nothing tells when its epochs were trained: it has no event log."
    times = view.elapsed
    if not view.leads:
        return None, captions.over_time(view.state, view.leads, (), times)
    at = moments(view.leads, view.records, times)
    along = charts.Along(
        times.label, [one / times.unit[1] for one in at], times.end / times.unit[1]
    )
    return (
        charts.incumbent(view.state, view.leads, along),
        captions.over_time(view.state, view.leads, at, times),
    )


def _curves(view: View) -> Drawn:
    caption = captions.learning_curves(view.state)
    trained = any(trial.history for trial in view.state.trials.values())
    return charts.learning_curves(view.state) if trained else None, caption


def _brackets(view: View) -> Drawn:
    figure = charts.brackets(view.state, view.plan) if view.state.trials else None
    if figure is None:
        if any(row.rung for row in view.plan.rows):
            return None, "No recommendation has begun."
        return None, "This brain has no rungs: every recommendation trains to its end."
    return figure, captions.brackets(view.state, view.plan)


@dataclass(frozen=True)
class _Kind:
    title: str
    draw: Callable[[View], Drawn]
    wide: bool = False


_KINDS: Final[Mapping[str, _Kind]] = {
    "incumbent": _Kind("Best so far over epochs", _incumbent),
    "time": _Kind("Best so far over time", _time),
    "curves": _Kind("Learning curves", _curves),
    "brackets": _Kind("Who went on at each rung", _brackets, wide=True),
    "timeline": _Kind("Who trained when, and where", timeline, wide=True),
    "parallel": _Kind("Every recommendation, from its values to its result", parallel, wide=True),
    "slices": _Kind("The metric over each parameter", slices, wide=True),
    "importance": _Kind("Which parameters matter", important, wide=True),
}
KEYS: Final[tuple[str, ...]] = tuple(_KINDS)
"""All pictures, in the order in which a page shows them."""


def picture(key: str, view: View) -> Picture:
    """Draw one picture.

    Raises:
        SettingsError: if there is none of this name.
    """
    kind = _KINDS.get(key)
    if kind is None:
        raise SettingsError(f"no picture {key!r}", remedy=did_you_mean(key, KEYS))
    figure, caption = kind.draw(view)
    return Picture(key, kind.title, figure, caption, kind.wide)


def pictures(view: View) -> Iterator[Picture]:
    """Draw all pictures, one after the other."""
    return (picture(key, view) for key in KEYS)
