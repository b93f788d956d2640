"""A run as TensorBoard's event files: read back record by record, whatever happened on the way."""

from __future__ import annotations

import json
import shutil
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event as TensorBoardEvent
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
from tensorboardX.record_writer import RecordWriter

from raytao.runs.events import Reported, Started
from raytao.runs.log import Record, read_log
from raytao.runs.place import place_of, store_at
from raytao.runs.state import RunState
from raytao.setup.folder import open_folder
from raytao.setup.trackers import Tracking as TrackingSettings
from raytao.tao import layout
from raytao.tracking import event_file, sync_run
from raytao.tracking.tensorboard import FILE, FOLDER, OWNER, SEARCH, TensorBoard

TENSORBOARD = TrackingSettings(name="raytao.tracking.tensorboard:TensorBoard")


def read(file: Path) -> list[Any]:
    """The records of an event file, as TensorBoard takes them apart."""
    data, place, found = file.read_bytes(), 0, []
    while place < len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        found.append(TensorBoardEvent.FromString(data[place + 12 : place + 12 + length]))
        place += length + 16
    assert place == len(data)
    return found


def scalars(file: Path) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for event in read(file):
        for value in event.summary.value:
            if not value.HasField("metadata"):
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def plugin(file: Path, tag: str) -> Any:
    values = [v for event in read(file) for v in event.summary.value if v.tag == tag]
    (value,) = values
    assert value.metadata.plugin_data.plugin_name == "hparams"
    return HParamsPluginData.FromString(value.metadata.plugin_data.content)


@pytest.fixture(scope="module")
def results(untracked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run, told afterwards."""
    copied = tmp_path_factory.mktemp("tensorboard") / "digits"
    shutil.copytree(untracked, copied)
    (done,) = sync_run(copied, [TENSORBOARD])
    assert done.told["bytes"] > 1000
    return copied


def file_of(results: Path, name: str) -> Path:
    (found,) = (results / FOLDER / name).iterdir()
    return found


def test_every_epoch_is_a_step_with_the_time_of_the_log(results: Path) -> None:
    _, state = open_folder(results)
    at = {
        (record.event.trial, record.event.epoch): record.at
        for record in read_log(store_at(results), layout.EVENTS)
        if isinstance(record.event, Reported)
    }
    assert {path.name for path in (results / FOLDER).iterdir()} == {
        "search",
        *(f"recommendation_{number}" for number in state.trials),
    }
    for number, trial in state.trials.items():
        file = file_of(results, f"recommendation_{number}")
        found = scalars(file).pop("value", [])
        assert [step for step, _ in found] == list(trial.history)
        values = [metrics["value"] for metrics in trial.history.values()]
        assert [value for _, value in found] == pytest.approx(values)
        times = [event.wall_time for event in read(file) if event.step]
        assert times == [at[number, epoch] for epoch in trial.history]


def test_the_search_shows_how_its_best_value_came_about(results: Path) -> None:
    setup, state = open_folder(results)
    best = scalars(file_of(results, "search"))["best_value"]
    assert [step for step, _ in best] == list(range(best[0][0], state.epochs + 1))
    assert state.incumbent is not None
    assert best[-1][1] == pytest.approx(state.incumbent.value)
    assert [value for _, value in best] == sorted(value for _, value in best)
    table = plugin(file_of(results, "search"), event_file.EXPERIMENT).experiment
    assert {column.name for column in table.hparam_infos} == set(setup.space.names)
    assert [metric.name.tag for metric in table.metric_infos] == ["value"]


def test_the_table_of_sessions_has_each_configuration_and_how_it_ended(results: Path) -> None:
    _, state = open_folder(results)
    for number, trial in state.trials.items():
        file = file_of(results, f"recommendation_{number}")
        shown = plugin(file, event_file.BEGIN).session_start_info.hparams
        values = {k: getattr(v, v.WhichOneof("kind")) for k, v in shown.items()}
        assert values == dict(trial.params)
        assert plugin(file, event_file.END).session_end_info.status == (2 if number == 4 else 1)


def test_a_value_stands_where_its_column_looks_for_it() -> None:
    kinds = {"a": event_file.NUMBER, "b": event_file.SWITCH}
    data = event_file.session_begins({"a": 3, "b": True, "c": [1, 2], "d": "x"}, kinds, 1.0)
    event = TensorBoardEvent.FromString(data[12:-4])
    content = event.summary.value[0].metadata.plugin_data.content
    shown = HParamsPluginData.FromString(content).session_start_info.hparams
    assert {name: value.WhichOneof("kind") for name, value in shown.items()} == {
        "a": "number_value",
        "b": "bool_value",
        "c": "string_value",
        "d": "string_value",
    }
    assert json.loads(shown["c"].string_value) == [1, 2]


def test_records_are_those_of_tensorboards_own_writer(tmp_path: Path) -> None:
    ours = event_file.scalars({"kpi": 0.5}, 3, 7.0)
    writer = RecordWriter(str(tmp_path / "theirs"))
    writer.write(ours[12:-4])
    writer.close()
    assert ours == (tmp_path / "theirs").read_bytes()


def test_what_was_told_is_not_told_again(results: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in results.rglob(FILE)}
    (done,) = sync_run(results, [TENSORBOARD])
    assert done.told == {}
    assert {path: path.stat().st_mtime_ns for path in results.rglob(FILE)} == before


@pytest.mark.parametrize("cut", [2, 9, 25, 60])
def test_a_driver_that_resumes_draws_what_a_whole_one_draws(
    cut: int, results: Path, tmp_path: Path
) -> None:
    setup, _ = open_folder(results)
    records = read_log(store_at(results), layout.EVENTS)
    chosen = TENSORBOARD.model_copy(update={"uri": str(tmp_path)})
    live(TensorBoard(setup, chosen), records[:cut], late=0.25)
    live(TensorBoard(setup, chosen), records, late=0.0, after=max(1, cut - 3))
    for file in (results / FOLDER).rglob(FILE):
        again = tmp_path / results.name / file.relative_to(results / FOLDER)
        assert again.read_bytes() == file.read_bytes()


def renamed(records: list[Record], run: str) -> list[Record]:
    """The log of another run."""
    return [
        replace(record, event=replace(record.event, job_id=run))
        if isinstance(record.event, Started) and record.event.trial == 0
        else record
        for record in records
    ]


def test_two_runs_of_one_name_have_a_folder_each_in_one_place(
    results: Path, tmp_path: Path
) -> None:
    setup, _ = open_folder(results)
    records = read_log(store_at(results), layout.EVENTS)
    chosen = TENSORBOARD.model_copy(update={"uri": str(tmp_path)})
    first, second = renamed(records, "a" * 32), renamed(records, "b" * 32)[:40]
    live(TensorBoard(setup, chosen), first, late=0.0)
    kept = {path: path.read_bytes() for path in (tmp_path / "digits").rglob("*") if path.is_file()}
    for told in (second[:20], second):  # the latter by a driver that resumes it
        other = TensorBoard(setup, chosen)
        live(other, told, late=0.0)
        assert other.where() == f"tensorboard --logdir {tmp_path} # this run: digits-bbbbbbbb"
        assert {path.name for path in tmp_path.iterdir()} == {"digits", "digits-bbbbbbbb"}
    assert {path: path.read_bytes() for path in kept} == kept
    again = TensorBoard(setup, chosen)
    live(again, first, late=0.0)
    assert again.where() == f"tensorboard --logdir {tmp_path} # this run: digits"
    assert {path: path.read_bytes() for path in kept} == kept


def test_events_of_a_run_that_left_no_id_are_left_alone(results: Path, tmp_path: Path) -> None:
    setup, _ = open_folder(results)
    records = read_log(store_at(results), layout.EVENTS)
    theirs = tmp_path / results.name / SEARCH / FILE
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"of another")
    live(TensorBoard(setup, TENSORBOARD.model_copy(update={"uri": str(tmp_path)})), records, 0.0)
    assert theirs.read_bytes() == b"of another"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_run_that_left_no_id_goes_on_in_its_folder(results: Path, tmp_path: Path) -> None:
    setup, _ = open_folder(results)
    records = read_log(store_at(results), layout.EVENTS)
    chosen = TENSORBOARD.model_copy(update={"uri": str(tmp_path)})
    live(TensorBoard(setup, chosen), records[:30], late=0.0)
    (tmp_path / results.name / OWNER).unlink()
    live(TensorBoard(setup, chosen), records, late=0.0)
    assert [path.name for path in tmp_path.iterdir()] == [results.name]


def test_a_link_to_a_run_s_folder_is_followed(results: Path, tmp_path: Path) -> None:
    setup, _ = open_folder(results)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / results.name).symlink_to(tmp_path / "elsewhere")
    chosen = TENSORBOARD.model_copy(update={"uri": str(tmp_path / "runs")})
    live(TensorBoard(setup, chosen), read_log(store_at(results), layout.EVENTS), late=0.0)
    assert (tmp_path / "elsewhere" / SEARCH / FILE).is_file()


def test_a_run_in_its_own_folder_is_shown_by_a_command(results: Path) -> None:
    setup, _ = open_folder(results)
    tracker = TensorBoard(setup, TENSORBOARD)
    assert tracker.where() == ""
    live(tracker, read_log(store_at(results), layout.EVENTS), late=0.0)
    assert tracker.where() == f"tensorboard --logdir {results / FOLDER}"


def live(tracker: TensorBoard, records: list[Record], late: float, after: int = 0) -> None:
    """A driver's tracker: it hears of events a little late, and tells after each."""
    state = RunState()
    tracker.open()
    for number, record in enumerate(records):
        tracker.hear(record.at + late, record.event, state)
        if number >= after:
            tracker.sync(state)
    tracker.close(state)


def test_event_files_lie_on_object_storage_as_plain_files(
    results: Path,
) -> None:
    setup, _ = open_folder(results)
    chosen = TENSORBOARD.model_copy(update={"uri": "memory://tensorboard"})
    records = read_log(store_at(results), layout.EVENTS)
    live(TensorBoard(setup, chosen), records, late=0.0)
    there = store_at(place_of("memory://tensorboard/digits"))
    for file in (results / FOLDER).rglob(FILE):
        key = file.relative_to(results / FOLDER).as_posix()
        assert there.read(key) == file.read_bytes()
