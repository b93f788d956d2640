"""What trainers tell, read in pieces: epochs, metrics, and files that grow or are written anew."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytao.networks.command.files import Pattern, Tail
from raytao.networks.command.readers import LONGEST_LINE, Told
from raytao.networks.command.settings import Status

FORMATS = [
    Status(format="tao_jsonl"),
    Status(format="jsonl"),
    Status(format="csv"),
    Status(format="regex", pattern=r"epoch (?P<epoch>\d+) acc (?P<acc>\S+)"),
]


def told(format: str, *lines: str, end: bool = False, **how: Any) -> Told:
    reader = Told(Status(format=format, pattern=how.pop("pattern", None)), **how)  # type: ignore[arg-type]  # by name
    reader.feed("".join(f"{line}\n" for line in lines).encode())
    if end:
        reader.end()
    return reader


def by_epoch(reader: Told) -> dict[int, dict[str, float]]:
    return {epoch: reader.metrics(epoch) for epoch in reader.epochs}


def line(**values: Any) -> str:
    return json.dumps(values)


def test_taos_lines_give_the_kpi_of_validation_and_graphical_of_any_phase() -> None:
    reader = told(
        "tao_jsonl",
        line(status="STARTED", message="Starting"),
        line(epoch=1, kpi={"acc": 0.9}, graphical={"loss": 2.0}, mode="train"),
        line(epoch=1, kpi={"acc": "0.5"}, graphical={"acc": 0.1, "lr": {"value": 1, "x_min": 0}}),
        line(epoch=2, time_per_epoch="0:01:12.482000"),
        line(kpi={"acc": 0.6}),
    )
    assert by_epoch(reader) == {1: {"acc": 0.5, "loss": 2.0, "lr": 1.0}, 2: {"acc": 0.6}}


def test_kpi_overrides_graphical_whichever_comes_first() -> None:
    reader = told(
        "tao_jsonl", line(epoch=1, graphical={"acc": 0.1}), line(epoch=1, kpi={"acc": 0.5})
    )
    assert reader.metrics(1) == {"acc": 0.5}


def test_of_json_lines_every_number_is_a_metric_by_its_path() -> None:
    reader = told(
        "jsonl",
        line(step=0, val={"acc": 0.5, "top": {"5": 0.9}}, note="x", ok=True, sizes=[1]),
        epoch_key="step",
        first_epoch=0,
    )
    assert by_epoch(reader) == {1: {"val.acc": 0.5, "val.top.5": 0.9}}


def test_csv_rows_may_have_blanks_and_come_after_other_lines() -> None:
    reader = told(
        "csv", "loading data, please wait", "epoch, loss, acc", "1,0.7,", "1,,0.5", '2,"0.6",x'
    )
    assert by_epoch(reader) == {1: {"loss": 0.7, "acc": 0.5}, 2: {"loss": 0.6}}


def test_a_pattern_may_find_the_epoch_in_one_line_and_the_metric_in_another() -> None:
    reader = told(
        "regex",
        "Epoch 007/100 [====>]",
        "val_acc: (0.5),",
        pattern=r"Epoch (?P<epoch>\d+)|val_acc: (?P<val_acc>\S+)",
    )
    assert by_epoch(reader) == {7: {"val_acc": 0.5}}


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", '"nan"', "1e999"])
@pytest.mark.parametrize("shape", ['{"epoch": 1, "kpi": {"acc": %s}}', '{"epoch": 1, "acc": %s}'])
def test_a_value_that_is_not_finite_stays_what_it_is(value: str, shape: str) -> None:
    reader = told("tao_jsonl" if "kpi" in shape else "jsonl", shape % value)
    assert not math.isfinite(reader.metrics(1)["acc"])


@pytest.mark.parametrize("epoch", ["true", "-1", "1.5", "null", '"one"', "[1]", '{"value": 1}'])
def test_what_is_no_epoch_is_none(epoch: str) -> None:
    assert told("jsonl", f'{{"epoch": {epoch}, "acc": 0.5}}').epochs == []


def test_the_first_value_counts_and_the_last_is_known_too() -> None:
    reader = told("jsonl", line(epoch=1, acc=0.1), line(epoch=1, acc=0.2, loss=3))
    assert reader.metrics(1) == {"acc": 0.1, "loss": 3.0}
    assert reader.latest == {"acc": 0.2, "loss": 3.0}


@pytest.mark.parametrize("status", FORMATS, ids=lambda status: status.format)
@settings(deadline=None)  # the first draw builds tables
@given(data=st.data())
def test_however_a_stream_is_cut_it_says_the_same(status: Status, data: st.DataObject) -> None:
    value = (
        '{"epoch": %d, "kpi": {"acc": %s}}\n'
        if "tao" in status.format
        else '{"epoch": %d, "acc": %s}\n'
    )
    text = (
        value % (1, 0.25)
        + "epoch,acc\n1,0.25\r\nepoch 1 acc 0.25 é\n\n2,0.5\nepoch 2 acc 0.5\n"
        + value % (2, 0.5)
    ).encode()
    whole, pieces = Told(status), Told(status)
    whole.feed(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    for start, stop in zip([0, *cuts], [*cuts, len(text)], strict=True):
        pieces.feed(text[start:stop])
    assert by_epoch(pieces) == by_epoch(whole) == {1: {"acc": 0.25}, 2: {"acc": 0.5}}


@pytest.mark.parametrize("status", FORMATS, ids=lambda status: status.format)
@given(st.binary() | st.text().map(lambda text: text.encode()))
def test_no_stream_is_too_strange(status: Status, junk: bytes) -> None:
    reader = Told(status)
    reader.feed(junk)
    reader.end()
    assert all(epoch >= 0 for epoch in reader.epochs)


@pytest.mark.parametrize("junk", ["[" * 100_000, '{"a":' * 500 + "1" + "}" * 500, "{", "3", "\0"])
def test_a_foreign_line_costs_only_itself(junk: str) -> None:
    assert by_epoch(told("jsonl", junk, line(epoch=1, acc=0.5)))[1]["acc"] == 0.5


def test_a_line_without_an_end_waits_and_an_endless_one_is_dropped() -> None:
    reader = Told(Status(format="jsonl"))
    reader.feed(b'{"epoch": 1, "acc": 0.5}')
    assert reader.epochs == []
    reader.end()
    assert reader.epochs == [1]
    reader.feed(b"x" * (LONGEST_LINE + 1))
    reader.feed(b'{"epoch": 2, "acc": 0.5}\n{"epoch": 3, "acc": 0.5}\n')
    assert reader.epochs == [1, 3]


def test_a_growing_file_is_read_on_and_one_written_anew_from_its_start(tmp_path: Path) -> None:
    tail = Tail(Pattern("{results_dir}/*/metrics.csv"), tmp_path)
    assert tail.read() == (b"", False)
    file = tmp_path / "version_0" / "metrics.csv"
    file.parent.mkdir()
    file.write_bytes(b"epoch,acc\n1,")
    assert tail.read() == (b"epoch,acc\n1,", True)
    assert tail.read() == (b"", False)
    with file.open("ab") as more:
        more.write(b"0.5\n")
    assert tail.read() == (b"0.5\n", False)
    file.write_bytes(b"epoch,loss,acc\n1,2.0,0.5\n2,1.0,0.6\n")  # longer than it was
    assert tail.read() == (b"epoch,loss,acc\n1,2.0,0.5\n2,1.0,0.6\n", True)
    header = b"epoch," + b"x" * 300 + b"\n"
    file.write_bytes(header + b"1,0.5\n2,0.6\n")
    assert tail.read() == (header + b"1,0.5\n2,0.6\n", True)
    file.write_bytes(header + b"1,0.7\n")
    assert tail.read() == (header + b"1,0.7\n", True)


@pytest.mark.parametrize(
    ("template", "epoch", "found"),
    [
        ("{results_dir}/model_{epoch:03d}.pth", 7, "model_007.pth"),
        ("**/model_{epoch:03d}*.pth", 10, "train/model_010_step.pth"),
        ("train/e{epoch}*.tlt", 1, "train/e1.tlt"),
        ("*/e{epoch}.tlt", 11, "train/e11.tlt"),
        ("*/*{epoch}.tlt", 1, "train/e1.tlt"),
        ("m[oa]del_00{epoch}.p?h", 7, "model_007.pth"),
        ("m[!a]del_0{epoch:02d}.pth", 7, "model_007.pth"),
        ("**/model_{epoch}.pth", 7, None),
        ("empty_{epoch}.pth", 1, None),
        ("e*_{epoch}.pth", 1, None),
    ],
)
def test_a_pattern_finds_the_file_of_its_epoch_alone(
    tmp_path: Path, template: str, epoch: int, found: str | None
) -> None:
    results = tmp_path / "results[1]"
    for name in ("model_007.pth", "train/model_010_step.pth", "train/e1.tlt", "train/e11.tlt"):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text("weights")
    (results / "empty_1.pth").touch()
    assert Pattern(template).find(results, epoch) == (results / found if found else None)


def test_of_several_files_the_last_one_written_is_meant(tmp_path: Path) -> None:
    for n, name in enumerate(("b_1_x.pth", "a_1_y.pth")):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (n, n))
    found = Pattern("*_{epoch}_*.pth").find(tmp_path, 1)
    assert found == tmp_path / "a_1_y.pth"
