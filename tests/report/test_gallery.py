"""The gallery: every picture of any run is drawn or says why not; nothing in it can do harm."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from raytao.errors import SettingsError
from raytao.report.pictures.canvas import COLORS
from raytao.report.pictures.gallery import KEYS, Picture, View, picture, pictures
from raytao.report.pictures.svg import inline_svg
from raytao.report.series import leads
from raytao.runs.events import Changed, Reported
from raytao.runs.log import Record
from raytao.runs.state import RunState
from raytao.setup.setup import Setup
from raytao.space import Categorical, Float, Int, Space
from raytao.types import Direction, Params
from tests.report.picture_views import ran, view_of

MakeRun = Callable[..., tuple[Setup, list[Record]]]
RANDOM = "{{name: random, max_recommendations: {}}}"
HYPERBAND = "{name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: %s}"
HOSTILE = "$_^{\\frac <script>alert('x')</script>"


def always(trial: int, epoch: int) -> bool:
    return True


def sometimes(trial: int, epoch: int) -> bool:
    return trial % 3 == 1 and epoch == 2


def wild(params: Params, epoch: int) -> float:
    x = float(str(params["model.x"]))
    return 1e30 if x > 0.8 else x / epoch


def drawn(view: View) -> dict[str, Picture]:
    """All pictures, rendered; a warning is an error."""
    found = {one.key: one for one in pictures(view)}
    for one in found.values():
        assert one.caption, one.key
        if one.figure is not None:
            svg(one)
    return found


def svg(one: Picture) -> str:
    assert one.figure is not None, one.caption
    text = inline_svg(one.figure, one.key, {}, labelled_by="words")
    ElementTree.fromstring(text)
    assert set(re.findall(r"#[0-9a-f]{6}\b", text)) <= set(COLORS.values()), one.key
    return text


@pytest.mark.parametrize(
    ("brain", "options"),
    [
        (RANDOM.format(1), {"epochs": 1}),
        (RANDOM.format(12), {"epochs": 4, "fails": always}),
        (RANDOM.format(25), {"epochs": 4, "objective": wild, "metric": "loss"}),
        (HYPERBAND % "sync", {"fails": sometimes}),
        (HYPERBAND.replace("R: 9", "R: 3") % "async", {"fails": sometimes, "epochs": 3}),
    ],
    ids=["one", "failed", "diverged", "sync", "async"],
)
def test_every_picture_is_drawn_in_the_pages_colours_or_says_why_not(
    make_run: MakeRun, brain: str, options: dict[str, object]
) -> None:
    found = drawn(view_of(*make_run(brain, **options)))
    assert tuple(found) == KEYS


def test_pictures_are_drawn_at_any_moment_of_a_run(make_run: MakeRun) -> None:
    setup, records = make_run(HYPERBAND % "sync", epochs=9)
    reports = (n for n, record in enumerate(records) if isinstance(record.event, Reported))
    for length in (1, next(reports)):
        found = drawn(view_of(setup, records[:length]))
        assert found["slices"].figure is None
        assert "result" in found["slices"].caption


def test_a_run_without_a_log_has_no_times_and_says_so(make_run: MakeRun) -> None:
    setup, records = make_run(RANDOM.format(3), epochs=2)
    reports = [r.event for r in records if isinstance(r.event, Reported)]
    series = leads(reports, "value", Direction.MAXIMIZE, ())
    with_log = view_of(setup, records)
    found = drawn(replace(with_log, records=(), space=None, series=series))
    assert found["time"].figure is None
    assert found["timeline"].figure is None
    assert found["importance"].figure is None
    assert "log" in found["time"].caption
    assert found["incumbent"].figure is not None
    assert found["parallel"].figure is not None


def test_a_metric_that_older_epochs_lack_draws_what_there_is(make_run: MakeRun) -> None:
    setup, records = make_run(RANDOM.format(4), epochs=3)
    changed = Changed(setup.opened().setup, "other", "minimize", anew=True)
    log = [*records[:-1], replace(records[-1], event=changed)]
    found = drawn(replace(view_of(setup, records), state=RunState.fold(log), records=log))
    assert "other" in svg(found["curves"])


@pytest.mark.parametrize("key", KEYS)
def test_names_of_others_stay_text(key: str) -> None:
    space = Space([Float(HOSTILE, 0, 1), Categorical("b" * 80, (HOSTILE, "$x$", "c" * 60))])
    tried = [{HOSTILE: i / 12, "b" * 80: (HOSTILE, "$x$", "c" * 60)[i % 3]} for i in range(12)]
    one = picture(key, ran(tried, [0.1 * i for i in range(12)], space=space, metric=HOSTILE))
    assert (one.figure is None) == (key == "brackets")
    if one.figure is None:
        return
    root = ElementTree.fromstring(svg(one))
    assert not [element for element in root.iter() if element.tag.lower() == "script"]
    said = "".join(root.itertext())
    assert ("</script>" in said) == (key != "timeline")
    assert ("$x$" in said) == (key in ("parallel", "slices"))


@pytest.mark.parametrize("key", ["curves", "parallel", "slices"])
def test_no_picture_grows_without_bound(key: str) -> None:
    space = Space([*(Float(f"x{i}", 0, 10) for i in range(27)), Int("n", 1, 9), Int("m", 1, 9)])
    tried: list[dict[str, float]] = [
        {parameter.name: 1 + (i * 7) % 9 for parameter in space.parameters} for i in range(1_000)
    ]
    values = [((i * 7919) % 1_000) / 1_000 for i in range(1_000)]
    assert len(svg(picture(key, ran(tried, values, space=space)))) < 165_000


def test_an_unknown_picture_is_refused_with_a_suggestion() -> None:
    with pytest.raises(SettingsError, match="no picture 'timelines'") as caught:
        picture("timelines", ran([{"x": 1}], [0.5]))
    assert "timeline" in caught.value.remedy


def test_captions_tell_the_states_own_numbers(make_run: MakeRun) -> None:
    setup, records = make_run(HYPERBAND % "sync", epochs=9, fails=sometimes)
    view = view_of(setup, records)
    best = view.state.incumbent
    assert best is not None
    for key in ("incumbent", "time", "curves", "parallel"):
        said = picture(key, view).caption
        assert f"{best.value:.4f}" in said, key
        assert str(best.trial) in said, key
    assert f"{len(view.state.trials)} recommendations" in picture("timeline", view).caption


def test_a_run_that_has_only_begun_says_so() -> None:
    found = drawn(ran([], []))
    assert found["parallel"].figure is None
    assert found["timeline"].caption == "No recommendation has begun to train."
