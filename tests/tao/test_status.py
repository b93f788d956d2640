from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raytao.tao.status import Status, StatusLine, read_status, status_line

# A loaded machine is slow, not wrong.
patient = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])

spans = st.none() | st.integers(0, 10**13).map(lambda micro: micro / 1e6)
metrics = st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False))
lines = st.builds(
    StatusLine,
    status=st.sampled_from(Status),
    when=st.datetimes().map(lambda when: when.replace(microsecond=0)),
    message=st.text(),
    epoch=st.none() | st.integers(0, 10**9),
    max_epoch=st.none() | st.integers(0, 10**9),
    time_per_epoch=spans,
    eta=spans,
    kpi=metrics,
    graphical=metrics,
    training=st.booleans(),
)

WHEN = datetime.fromisoformat("2024-08-28T09:05:07")


@patient
@given(st.lists(lines, max_size=4))
def test_what_is_written_can_be_read(written: list[StatusLine]) -> None:
    text = "".join(map(status_line, written))
    assert read_status(text.encode()) == written


def test_a_line_is_the_one_that_tao_writes() -> None:
    line = StatusLine(
        Status.RUNNING,
        WHEN,
        epoch=3,
        max_epoch=20,
        time_per_epoch=72.482,
        eta=1231.0,
        kpi={"val_mAP50": 0.4123},
    )
    assert json.loads(status_line(line)) == {
        "epoch": 3,
        "max_epoch": 20,
        "time_per_epoch": "0:01:12.482000",
        "eta": "0:20:31.000000",
        "date": "8/28/2024",
        "time": "9:5:7",
        "status": "RUNNING",
        "verbosity": "INFO",
        "kpi": {"val_mAP50": 0.4123},
    }
    assert list(json.loads(status_line(line)))[-2:] == ["verbosity", "kpi"]


@patient
@given(st.lists(lines, min_size=1, max_size=4), st.data())
def test_a_torn_line_costs_only_itself(written: list[StatusLine], data: st.DataObject) -> None:
    whole = "".join(map(status_line, written)).encode()
    last = len(status_line(written[-1]).encode())
    cut = data.draw(st.integers(1, last - 1))
    kept = read_status(whole[: len(whole) - cut])
    assert kept[: len(written) - 1] == written[:-1]
    assert len(kept) <= len(written)


@patient
@given(st.binary())
def test_no_file_is_too_strange(data: bytes) -> None:
    assert len(read_status(data)) <= data.count(b"\n") + 1


@pytest.mark.parametrize("junk", ["null", "3", "[1]", '{"status": "LOST"}', '{"status": {}}', "{"])
def test_foreign_lines_are_skipped(junk: str) -> None:
    good = status_line(StatusLine(Status.SUCCESS, WHEN))
    assert len(read_status(f"{junk}\n{good}".encode())) == 1


def test_values_that_are_not_finite_numbers_are_dropped() -> None:
    raw = (
        '{"status": "RUNNING", "date": "8/28/2024", "time": "9:5:7", "epoch": true,'
        ' "kpi": {"a": NaN, "b": Infinity, "c": "nan", "d": "0.5", "e": null, "f": 1},'
        ' "graphical": {"g": {"value": 2, "x_min": 0}}, "mode": "train"}'
    )
    (line,) = read_status(raw.encode())
    assert line.kpi == {"d": 0.5, "f": 1.0}
    assert line.graphical == {"g": 2.0}
    assert line.training
    assert line.epoch is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0:01:12.482000", 72.482), ("1 day, 2:03:04", 93_784.0), ("30:00:00.5", 108_000.5)],
)
def test_spans_of_all_tao_versions_are_read(text: str, seconds: float) -> None:
    raw = json.dumps({"status": "RUNNING", "date": "1/2/2024", "time": "0:0:0", "eta": text})
    (line,) = read_status(raw.encode())
    assert line.eta == seconds
