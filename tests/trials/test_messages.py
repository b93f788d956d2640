from __future__ import annotations

import json
import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trials_testing import MakeJob

from raytao.trials.messages import (
    Broken,
    Ended,
    EpochDone,
    FailureKind,
    Job,
    Limits,
    Measured,
)
from raytao.trials.wire import Born, Gone, Note, parse_note, write_note

# A loaded machine is slow, not wrong.
patient = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])

counts = st.integers(0, 10**6)
numbers = st.floats(allow_nan=False, allow_infinity=False)
metrics = st.dictionaries(st.text(), numbers)
notes = st.one_of(
    st.builds(EpochDone, counts, metrics, numbers),
    st.builds(Measured, metrics),
    st.builds(Ended, counts),
    st.builds(Broken, st.sampled_from(FailureKind), st.text()),
    st.builds(Born, counts),
    st.builds(Gone, st.integers(-64, 255)),
)


@patient
@given(st.lists(notes, max_size=5))
def test_notes_survive_the_pipe(sent: list[Note]) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as pipe:
        received = []
        for note in sent:
            write_note(writer, note)
            received += [parse_note(line) for line in os.read(reader, 1 << 20).split(b"\n")]
        os.close(writer)
        assert pipe.read() == b""
    assert [note for note in received if note is not None] == sent


@patient
@given(st.binary())
def test_no_line_is_too_strange(line: bytes) -> None:
    assert isinstance(parse_note(line), Note | None)


def test_a_job_survives_json(make_job: MakeJob) -> None:
    job = make_job({"train": {"lr": 0.1, "steps": [1, 2]}}, limits=Limits(3.0, None))
    assert Job.from_json(json.loads(json.dumps(job.to_json()))) == job
