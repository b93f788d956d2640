"""Records of TensorBoard's event files, as bytes: the same values give the same bytes.

An event file is a row of records, each its length, a checksum of that, a protobuf ``Event`` and a
checksum of that (TFRecord, little-endian, masked CRC-32C). The messages are those of tensorboardX;
its writers open files themselves, and are not used.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from raytao.types import Json

if TYPE_CHECKING:
    from tensorboardX.proto.summary_pb2 import Summary

VERSION: Final = "brain.Event:2"
"""What the first record of every file says."""

TEXT: Final = "STRING"
NUMBER: Final = "FLOAT64"
SWITCH: Final = "BOOL"
FIELDS: Final = {TEXT: "string_value", NUMBER: "number_value", SWITCH: "bool_value"}
"""By kind of a parameter: where its value stands."""

HPARAMS: Final = "hparams"
"""TensorBoard's plugin for searches, and the tags by which it finds its records."""
EXPERIMENT: Final = "_hparams_/experiment"
BEGIN: Final = "_hparams_/session_start_info"
END: Final = "_hparams_/session_end_info"


class Message(Protocol):
    """What of protobuf's messages is used."""

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes:
        """The message's bytes; ``deterministic``: the same ones for the same content."""


def header(at: float) -> bytes:
    """The first record of a file that was begun at ``at``, Unix time."""
    from tensorboardX.proto.event_pb2 import Event

    return _record(Event(wall_time=at, file_version=VERSION).SerializeToString())


def scalars(values: Mapping[str, float], step: int, at: float) -> bytes:
    """What was measured at a step, in one record."""
    from tensorboardX.proto.summary_pb2 import Summary

    points = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
    return _event(Summary(value=points), step, at)


def experiment(kinds: Mapping[str, str], metric: str, at: float) -> bytes:
    """The columns of the table of all sessions: parameters with their kinds, and a metric."""
    from tensorboardX.proto.api_pb2 import DataType, Experiment, HParamInfo, MetricInfo, MetricName
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    columns = [
        HParamInfo(name=name, type=DataType.Value(f"DATA_TYPE_{kind}"))
        for name, kind in kinds.items()
    ]
    watched = MetricInfo(name=MetricName(tag=metric))
    described = Experiment(hparam_infos=columns, metric_infos=[watched])
    return _plugin(EXPERIMENT, HParamsPluginData(experiment=described), at)


def session_begins(params: Mapping[str, Json], kinds: Mapping[str, str], at: float) -> bytes:
    """A session's parameters, each as its column wants it."""
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData, SessionStartInfo

    start = SessionStartInfo(start_time_secs=at)
    for name, value in params.items():
        kind = kinds.get(name, TEXT)
        shown = value if kind != TEXT or isinstance(value, str) else json.dumps(value)
        setattr(start.hparams[name], FIELDS[kind], shown)
    return _plugin(BEGIN, HParamsPluginData(session_start_info=start), at)


def session_ends(at: float, *, failed: bool) -> bytes:
    """That a session is over, and whether it went well."""
    from tensorboardX.proto.api_pb2 import Status
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData, SessionEndInfo

    status = Status.Value("STATUS_FAILURE" if failed else "STATUS_SUCCESS")
    ended = SessionEndInfo(status=status, end_time_secs=at)
    return _plugin(END, HParamsPluginData(session_end_info=ended), at)


def _plugin(tag: str, content: Message, at: float) -> bytes:
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

    data = content.SerializeToString(deterministic=True)
    plugin = SummaryMetadata.PluginData(plugin_name=HPARAMS, content=data)
    metadata = SummaryMetadata(plugin_data=plugin)
    return _event(Summary(value=[Summary.Value(tag=tag, metadata=metadata)]), 0, at)


def _event(summary: Summary, step: int, at: float) -> bytes:
    from tensorboardX.proto.event_pb2 import Event

    return _record(Event(wall_time=at, step=step, summary=summary).SerializeToString())


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return b"".join((length, _checksum(length), data, _checksum(data)))


def _checksum(data: bytes) -> bytes:
    """CRC-32C, rotated and moved so that a checksum of checksums says something, too."""
    from tensorboardX.crc32c import crc32c

    plain = crc32c(data) & 0xFFFFFFFF
    turned = (plain >> 15) | (plain << 17)
    return struct.pack("<I", (turned + 0xA282EAD8) & 0xFFFFFFFF)
