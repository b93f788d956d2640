"""Whatever stands in a user's file or in a log, the readers answer with a value or a sentence.

Each reader is given generated and mutated input for ``RAYTAO_FUZZ_SECONDS`` (60). Nothing but
raytao's own errors may come out, nothing may take long, nothing is written, started or connected
to. ``RAYTAO_FUZZ_SEED`` (0) gives other input; the same seed gives the same input in the same
order.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from raytao.catalog import configs, shipped_runs
from raytao.cli.planning import plan_json
from raytao.errors import RaytaoError
from raytao.report.plan import plan_text
from raytao.report.words import status_word
from raytao.runs.eta import remaining
from raytao.runs.events import KINDS, to_json
from raytao.runs.log import read_log
from raytao.runs.opening import open_run
from raytao.runs.state import RunState
from raytao.runs.store import MemoryStore
from raytao.setup.folder import inspect_folder
from raytao.setup.reopen import reopen
from raytao.setup.resolve import resolve
from raytao.setup.schedule import forecast
from raytao.setup.setup import Setup
from raytao.space import RangeOverride, Space, build_space, read_table
from raytao.space.table import COLUMNS, SEARCHABLE
from raytao.spec import Document, flatten, reachable
from raytao.spec.source import NAMES
from raytao.tao import layout
from raytao.tao.export import metadata_json
from raytao.tao.trial_list import controller_json
from raytao.testing.folder_run import Conditions, run_in_folder
from tests.at_once import at_once

SECONDS = float(os.environ.get("RAYTAO_FUZZ_SECONDS", "60"))
SEED = int(os.environ.get("RAYTAO_FUZZ_SEED", "0"))
ROUND = 100
"""Examples that hypothesis draws in one go."""

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(60 + 6 * SECONDS)]

T = TypeVar("T")
Input: TypeAlias = tuple[bytes, list[str]]

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
DEEDS = {
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"),
    *("os.chmod", "os.chown", "os.utime", "shutil.rmtree", "os.mkfifo", "os.setxattr"),
    *("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "subprocess.Popen"),
    *("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "webbrowser.open"),
}
_seen: list[str] | None = None


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what is done while a reader is at work; hooks cannot be removed, so it is told when."""
    if _seen is None:
        return
    opened_to_write = event == "open" and len(arguments) > 2 and (arguments[2] or 0) & WRITING
    if opened_to_write or event in DEEDS:
        _seen.append(f"{event}{arguments!r}")


sys.addaudithook(_look)


@contextmanager
def nothing_is_touched() -> Iterator[None]:
    """Fail if anything is written, started or connected to."""
    global _seen
    _seen, cached = [], sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # an import's own cache is none of the reader's doing
    try:
        yield
        assert _seen == []
    finally:
        _seen, sys.dont_write_bytecode = None, cached


@contextmanager
def no_refusal() -> Iterator[None]:
    """What was accepted once is not refused later."""
    try:
        yield
    except RaytaoError as error:
        raise AssertionError(f"accepted, then refused: {error}") from error


def fuzz(
    name: str,
    inputs: st.SearchStrategy[T],
    read: Callable[[T], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Feed a reader until the time is up; say how many inputs were read, and what came of them."""
    until, outcomes = time.monotonic() + SECONDS, Counter[str]()

    def attempt(given_input: T) -> None:
        if time.monotonic() > until and outcomes:
            return
        with at_once(5), nothing_is_touched():
            try:
                outcome = read(given_input)
            except RaytaoError as error:
                str(error).encode()
                outcome = type(error).__name__
        outcomes[outcome] += 1

    number = SEED * 1_000_000
    while not outcomes or time.monotonic() < until:
        decorated = settings(
            max_examples=ROUND,
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )(given(inputs)(attempt))
        seed(number)(decorated)()
        number += 1
    told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: {outcomes.total()} inputs in {SECONDS:g} s: {told}\n")
    assert outcomes.total() > 0


# What is written where a value is expected.
NUMBERS = (
    "0", "-1", "1", "3", "2.5", "1e-3", "1e308", "-1e308", "5e-324", "010", "0x1F", "0o17", "0b1",
    "1_000", "1:30", "1000000000", "1000000000000", "9223372036854775808", "18446744073709551615",
    "9" * 400, "9" * 5000, f"0x{'f' * 5000}", ".nan", ".inf", "-.inf", "NaN", "Infinity", "1e999",
)  # fmt: skip
WORDS = (
    "", "~", "null", "true", "no", "yes", "???", "2024-01-31", "2001-12-14t21:59:43.10-05:00",
    "'quoted'", '"\\ud800"', '"\\0"', '"\\x1b[31m"', "é", "\u202e", "\ufeff", "😀", "x" * 300,
    "../../x", "/etc/passwd", "-rf", "CON", "a\tb", "${env:HOME}", "${env:NOT_THERE}", "${env:",
    "s3://ann:secret@host", "..:x", "os:path", "json:JSONDecoder", ":", "kpi", "val_acc", "loss",
    "maximize", "bayesian", "hyperband", "random", "toy", "image_classification", "mlflow",
    "!!python/object/apply:os.system [id]", "!x 1", "&a 1", "*a", "&b [*b]", "|", ">", "|-\n  x",
    "[", "]", "{", "}", "[[[[", "a: b", "- x", "? x", "# c", "'", '"', "%YAML 1.1", "---", "...",
    "[" * 60 + "]" * 60, "<<: 1", "spec.yaml", "\x00", "\x85", "\u2028",
)  # fmt: skip
SOUND = tuple(json.dumps(word) for word in WORDS if word.isprintable())
numbers, sound, raw = st.sampled_from(NUMBERS), st.sampled_from(SOUND), st.sampled_from(WORDS)
scalars = numbers | sound | sound | sound | sound | raw | st.text(max_size=8)
"""Most of them are YAML, so that what stands behind the first reader is reached as well."""

SPEC = Document.load(configs() / "networks" / "image_classification" / "spec.yaml")
SPEC_KEYS = tuple(SPEC.keys())
SETTINGS_KEYS = (
    "network", "spec", "set", "metric", "brain", "search", "resources", "slots", "limits", "seed",
    "results_dir", "evaluate", "address", "tracking", "retries", "budget", "checkpoint_gb",
    "delete_intermediate_checkpoints", "slotz", "", "1", "~", "<<", "brain.R",
)  # fmt: skip
INNER_KEYS = (
    "name", "R", "nu", "epoch_multiplier", "rule", "brackets", "overlap", "cap_epochs",
    "max_recommendations", "initial_points", "automl_R", "direction", "add", "remove", "ranges",
    "only", "override_disabled", "valid_min", "valid_max", "valid_options", "option_weights",
    "cpus", "gpus", "seconds", "idle_seconds", "uri", "experiment", "hours", "epochs",
    "failures", "smaller_batch", "train", "optim", "x",
)  # fmt: skip
known_keys = st.sampled_from(INNER_KEYS) | st.sampled_from(SPEC_KEYS)
inner_keys = known_keys | known_keys | known_keys | scalars


def flow(leaves: st.SearchStrategy[str], keys: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Values in YAML's flow style, right or nearly so."""

    def wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        pairs = st.tuples(keys, inner).map(": ".join)
        lists = st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        return lists | st.lists(pairs, max_size=4).map(lambda items: f"{{{', '.join(items)}}}")

    return st.recursive(leaves, wider, max_leaves=8)


GOOD = {
    "network": ("toy", "image_classification"),
    "metric": ("kpi", "{name: kpi, direction: minimize}"),
    "brain": (
        "hyperband",
        "random",
        "{name: hyperband, R: 9, nu: 3, epoch_multiplier: 1}",
        "{name: bayesian, max_recommendations: 1000000000000}",
        "{name: hyperband, R: 1000000000, nu: 2}",
        "{name: hyperband, R: 1000000, nu: 2, epoch_multiplier: 1}",
        "{name: hyperband, brackets: 1000, R: 64, nu: 2, epoch_multiplier: 1}",
    ),
    "set": ("{}", "{train.num_epochs: 9}", "{train.num_epochs: 1000000000}", "{train: {seed: 3}}"),
    "slots": ("2", "1000000000000"),
    "search": (
        "{}",
        "{add: [train.optim.momentum]}",
        "{ranges: {train.optim.lr: [0.001, 0.1]}}",
        "{ranges: {train.optim.lr: {valid_min: .inf}}}",
        "{ranges: {model.x: {valid_min: 0.2, valid_max: 0.3}}}",
        "{only: [model.fruit], ranges: {model.fruit: {valid_options: [fig, plum]}}}",
    ),
    "results_dir": ("results", "'../../x'", '"a\\0b"', "x" * 300, "-x", '"a\\nb"', "/dev/null"),
}
lines = st.one_of(
    st.sampled_from(
        [f"{key}: {value}" for key, values in GOOD.items() for value in values]
    ),
    st.tuples(
        st.sampled_from(SETTINGS_KEYS) | sound, flow(scalars | known_keys, inner_keys)
    ).map(": ".join),
)  # fmt: skip


def as_run_file(parts: tuple[str, Sequence[str], str]) -> str:
    """One line a key: what is said twice is said once more often than not."""
    network, extra, newline = parts
    named = {line.partition(":")[0]: line for line in (f"network: {network}", *extra)}
    return newline.join([*named.values(), ""])


newlines = st.sampled_from(["\n"] * 8 + ["\r\n", "\r", "\n\n\t"])
run_files = st.tuples(
    st.sampled_from(["toy"] * 4 + ["image_classification"]), st.lists(lines, max_size=5), newlines
).map(as_run_file)


def encoded(texts: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """Mostly UTF-8."""
    names = st.sampled_from(["utf-8"] * 12 + ["utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
    return st.tuples(texts, names).map(lambda pair: pair[0].encode(pair[1], "surrogatepass")
                                       if pair[1] != "latin-1"
                                       else pair[0].encode("latin-1", "replace"))  # fmt: skip


Edit: TypeAlias = tuple[float, int, bytes]
PIECES = (*(w.encode("utf-8", "surrogatepass") for w in (*WORDS, *NUMBERS)), b"\xff", b"\n", b" ")
edits = st.lists(
    st.tuples(
        st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES) | st.binary(max_size=4)
    ),
    min_size=1,
    max_size=4,
)


def edited(original: bytes, changes: Sequence[Edit]) -> bytes:
    """``original`` with some bytes replaced, each place a share of its length."""
    for share, cut, piece in changes:
        place = int(share * len(original))
        original = original[:place] + piece + original[place + cut :]
    return original


def mutated(originals: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(edited, one_of(originals), edits)


def one_of(values: Sequence[T]) -> st.SearchStrategy[T]:
    """One of some large values, which hypothesis would otherwise write out to name itself."""
    return st.integers(0, len(values) - 1).map(values.__getitem__)


assignments = st.lists(
    st.tuples(
        st.sampled_from(SETTINGS_KEYS)
        | st.sampled_from(SPEC_KEYS)
        | st.tuples(st.sampled_from(SETTINGS_KEYS), inner_keys).map(".".join),
        st.sampled_from(["=", "=", "=", "", "==", ".="]),
        flow(scalars, inner_keys),
    ).map("".join),
    max_size=2,
)


def looked_through(setup: Setup) -> None:
    """Everything that is made of a setup before a run starts."""
    brain = setup.new_brain()
    found = forecast(setup)
    assert brain.plan() == found.plan
    plan_text(setup, found).encode()
    json.dumps(plan_json(setup, found), allow_nan=False).encode()
    json.dumps(to_json(setup.opened()), allow_nan=False).encode()
    brain.suggest(0)
    whole = setup.recommendation({}, found.plan.longest)
    again = Document.parse(whole.dump(), file="again", format=whole.format)
    assert again.plain() == whole.plain()
    assert reopen(setup.opened(), setup.results).identity() == setup.identity()


def test_a_run_file_is_resolved_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run.yaml"
    shipped = [file.read_bytes() for file in shipped_runs().values()]
    contents = encoded(run_files) | encoded(run_files) | mutated(shipped)

    def write(parts: Input) -> Input:
        path.write_bytes(parts[0])
        return parts

    def read(parts: Input) -> str:
        setup = resolve(str(path), parts[1])
        with no_refusal():
            looked_through(setup)
        for resume in (False, True):
            inspect_folder(setup, resume=resume)
        return "accepted"

    fuzz("run file", st.tuples(contents, assignments).map(write), read, capsys)


json_scalars = st.sampled_from(
    ["0", "-1.5e3", "9" * 400, "9" * 5000, "1e999", "NaN", "-Infinity", "true", "null", '""',
     '"\\ud800"', '"\\u0000"', '"é"', '"a\nb"', '"', "tru", "01", "1.2.3", "'x'", "// c"]
)  # fmt: skip
json_values = st.recursive(
    json_scalars | st.text(max_size=4).map(json.dumps),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(st.sampled_from(['"a"', '"b.c"', '""', "1", '"\\u0061"']), inner),
                   max_size=4).map(lambda p: f"{{{', '.join(f'{k}: {v}' for k, v in p)}}}")
    ),
    max_leaves=12,
)  # fmt: skip
block_lines = st.lists(
    st.tuples(
        st.integers(0, 6).map(" ".__mul__), inner_keys, flow(scalars, inner_keys), st.sampled_from(
            ["", "", "  # why", "\n", "\n# c"])
    ).map(lambda p: f"{p[0]}{p[1]}: {p[2]}{p[3]}\n"),
    max_size=8,
).map("".join)  # fmt: skip
new_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(WORDS)
    | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


spec_changes = st.lists(st.tuples(st.integers(0, 99), new_values), max_size=3)


def test_a_train_spec_is_read_and_written_back_or_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shipped = SPEC.dump()
    as_yaml = encoded(block_lines) | mutated([shipped.encode()])
    as_json = encoded(json_values) | mutated([SPEC.dump("json").encode()])
    kinds = st.tuples(as_yaml, st.just("yaml")) | st.tuples(as_json, st.just("json"))
    fuzz("train spec", st.tuples(kinds, spec_changes), read_spec, capsys)


toml_scalars = (
    numbers
    | sound
    | raw
    | st.sampled_from(
        [
            "'x'",
            '"""a\nb"""',
            "'''a\n''''",
            "1_0.5",
            "2024-01-31 07:32:00",
            "+inf",
            "0o7",
            "{}",
            "[[]]",
        ]
    )
)
toml_keys = st.sampled_from(
    ["a", "b", "a.b", "a.b.c", '"a.b"', "'b'", "1", "1.5", '"\\u0061"', ""]
)
toml_values = st.recursive(
    toml_scalars,
    lambda inner: (
        st.tuples(
            st.lists(inner, max_size=3), st.sampled_from([", ", ",", ",\n  ", " # c\n, "])
        ).map(lambda p: f"[{p[1].join(p[0])}]")
        | st.lists(st.tuples(toml_keys, inner).map(" = ".join), max_size=3).map(
            lambda pairs: f"{{ {', '.join(pairs)} }}"
        )
    ),
    max_leaves=6,
)
toml_lines = (
    st.tuples(toml_keys, st.sampled_from([" = ", "=", " "]), toml_values).map("".join)
    | toml_keys.map("[{}]".format)
    | toml_keys.map("[[{}]]".format)
    | st.sampled_from(["# c", "", "  ", "[ a . b ]  # c"])
)
toml_files = st.tuples(st.lists(toml_lines, max_size=8), newlines).map(lambda p: p[1].join(p[0]))

protobuf_scalars = st.sampled_from(
    ["1", "-1", "- 1", "017", "08", "0x1F", "1.5", ".5", "1f", "1e-3", "inf", "-nan", "9" * 400,
     "9" * 5000, "1e999", "true", "False", "t", "L1", "'a'", '"b"', "'a' \"b\"", "'\\n'", "'\\q'",
     "'\\377'", "'\\303\\244'", "'\\ud800'", "'", '"', "+1", "é", "# c\n1", "[]", "<>", "{}", ""]
)  # fmt: skip
protobuf_names = st.sampled_from(["a", "b", "c", "value", "key", "[x.y]", "1", "a.b", ""])


def protobuf_fields(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    field = st.tuples(
        protobuf_names, st.sampled_from([": ", ":", " ", "", "  # c\n: "]), values,
        st.sampled_from(["", "", ",", ";", ",,", "  # c"]),
        st.sampled_from(["\n", "\n", " ", "\r\n", ""]),
    ).map("".join)  # fmt: skip
    return st.lists(field, max_size=4).map("".join)


protobuf_values = st.recursive(
    protobuf_scalars,
    lambda inner: (
        protobuf_fields(inner).map("{{ {} }}".format)
        | protobuf_fields(inner).map("<{}>".format)
        | protobuf_fields(inner).map("{{ {}".format)
        | st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
    ),
    max_leaves=6,
)


def specs_of(format: str) -> list[bytes]:
    """Sound specs, of which inputs are made by damage."""
    shipped = [path.read_bytes() for path in (configs() / "networks").glob(f"*/spec.{format}")]
    own = Document.parse(SPEC.dump().replace("null", "0"), file="spec").dump(format).encode()
    return [own, *sorted(shipped)]


@pytest.mark.parametrize(
    ("format", "made"), [("toml", toml_files), ("protobuf", protobuf_fields(protobuf_values))]
)
def test_a_spec_that_is_edited_in_place_is_read_and_written_back_or_refused(
    format: str, made: st.SearchStrategy[str], capsys: pytest.CaptureFixture[str]
) -> None:
    sound = specs_of(format)
    inputs = encoded(made) | encoded(made) | mutated(sound) | one_of(sound)
    kinds = st.tuples(inputs, st.just(format))
    fuzz(f"{format} spec", st.tuples(kinds, spec_changes), read_spec, capsys)


def read_spec(parts: tuple[tuple[bytes, str], list[tuple[int, Any]]]) -> str:
    """Read a spec, change it, and write it in every format."""
    (content, format), values = parts
    document = Document.parse(content, file="spec", format=format)
    if format in ("toml", "protobuf"):
        assert document.dump().encode() == content.removeprefix(codecs.BOM_UTF8)
    outcome = "read"
    for number, drawn in values:
        keys = [*reachable(document.plain()), "not.there"]
        key = keys[number % len(keys)]
        with suppress(RaytaoError):
            value = alike(document.get(key), drawn) if number % 2 else drawn
            document = document.with_values({key: value})
            outcome = "changed"
            assert flat_json(document.get(key)) in (flat_json(value), as_float(value))
    written_and_read_back(document)
    return outcome


def alike(old: Any, value: Any) -> Any:
    """A value of the kind that is there."""
    match old:
        case bool():
            return not old
        case int():
            return len(repr(value))
        case float():
            return len(repr(value)) / 7
        case str():
            return f"{old}{value}"[-20:]
        case list():
            return [*old, *old, *old][: len(repr(value)) % 7]
        case _:
            return value


def written_and_read_back(document: Document) -> None:
    for key in document.keys():  # noqa: SIM118 - a method of documents, which are no mappings
        document.where(key)
    for format in NAMES:
        able = format in ("yaml", "json", document.format)
        with no_refusal() if able else suppress(RaytaoError):
            text = document.dump(format)
            with no_refusal():
                again = Document.parse(text.encode(), file="again", format=format)
            # TOML writes a table's own values first.
            assert flat_json(again.plain(), ordered=format != "toml") == flat_json(
                document.plain(), ordered=format != "toml"
            )


def flat_json(value: Any, *, ordered: bool = False) -> str:
    """Values with their types, however keys are typed."""
    return json.dumps(json.loads(json.dumps(value)), sort_keys=not ordered)


def as_float(value: Any) -> str:
    """A whole number where TOML had a float."""
    return flat_json(float(value)) if type(value) is int and abs(value) < 1e300 else ""


CELLS = (
    "", "1", "0", "-5", "1e308", "9" * 400, "inf", "-inf", "nan", "x", "TRUE", "FALSE", "0.1",
    "1000000000000", "1e300", "adam,sgd", "['a', 'b']", "1,2,4", "1,1", "/ 32", "^ 2", "> 0",
    "/ 0", "^ 1e300", "> depends_on", "< model.x", "model.x == 3", "model.x in 1,2", "> nan",
    "é", "\x00", '"', "=cmd()", "train.optim.lr", "\u0661", "1_0", "x" * 300,
)  # fmt: skip
names = st.sampled_from(["model.x", "model.y", "train.optim.lr", "dataset.sizes", "a", ""])
rows = st.tuples(
    names,
    st.sampled_from(SEARCHABLE) | st.sampled_from(CELLS),
    st.sampled_from(["TRUE", "TRUE", "", "FALSE", "x"]),
    st.dictionaries(
        st.sampled_from([*COLUMNS[3:12], *COLUMNS[13:], "option_weights"]), st.sampled_from(CELLS)
    ),
)
A_SPEC = {
    "model": {"x": 3, "y": 0.5},
    "train": {"optim": {"lr": 1e-3}},
    "dataset": {"sizes": [480, 512]},
    "a": "adam",
}
bounds = st.none() | st.floats() | st.integers() | st.just(10**400)
overrides = st.dictionaries(
    names,
    st.builds(
        RangeOverride,
        valid_min=bounds,
        valid_max=bounds,
        valid_options=st.none() | st.lists(st.sampled_from([1, 1.0, "a", True])).map(tuple),
        option_weights=st.none() | st.lists(st.floats()).map(tuple),
    ),
    max_size=1,
)


def as_table(rows: Sequence[tuple[str, str, str, Mapping[str, str]]]) -> bytes:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, (*COLUMNS, "option_weights"), restval="")
    writer.writeheader()
    for name, kind, enabled, cells in rows:
        writer.writerow(
            {**cells, "parameter": name, "value_type": kind, "automl_enabled": enabled}
        )
    return stream.getvalue().encode()


def searched(space: Space) -> None:
    """Everything that is asked of a space."""
    assert space.size is None or space.size >= 1
    described = json.dumps(space.to_json(), allow_nan=False)
    assert Space.from_json(json.loads(described)) == space
    for share in (0.0, 0.3, 1.0):
        params = space.decode(np.full(space.dim, share))
        assert space.contains(params)
        assert space.decode(space.encode(params)) == params
        json.dumps(params, allow_nan=False)


def test_a_parameter_table_gives_a_space_or_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shipped = (configs() / "networks" / "image_classification" / "params.csv").read_bytes()
    tables = st.lists(rows, max_size=4, unique_by=lambda row: row[0]).map(as_table)
    inputs = st.tuples(
        tables | tables | tables | mutated([shipped]),
        st.booleans(),
        st.lists(names, max_size=2),
        st.lists(names, max_size=1),
        overrides | st.just({}),
        st.sampled_from([1, 9, 10**9, 10**18]),
    )

    def read(parts: Any) -> str:
        content, own, add, remove, ranges, epochs = parts
        table = read_table(content, file="params.csv")
        space, notes = build_space(
            table,
            A_SPEC if own else SPEC.plain(),
            add=add,
            remove=remove,
            ranges=ranges,
            override_disabled=own,
            epochs=epochs,
        )
        "".join(notes).encode()
        with no_refusal():
            searched(space)
        return "a space"

    fuzz("parameter table", inputs, read, capsys)


@cache
def logs() -> tuple[bytes, ...]:
    """Logs of whole runs, of every brain, with failures."""
    made = []
    for brain in (
        "{name: hyperband, R: 9, nu: 3, epoch_multiplier: 1}",
        "{name: bayesian, max_recommendations: 4}",
        "{name: random, max_recommendations: 4}",
    ):
        setup = resolve(
            "digits_hyperband", [f"brain={brain}", "network=toy", "set={}", "metric=kpi"]
        )
        store = MemoryStore()
        run_in_folder(setup, store, Conditions(slots=2, fails=fails))
        records = [json.loads(line) for line in store.files[layout.EVENTS].splitlines()]
        made.append(written([timeless(record) for record in records]))
    return tuple(made)


def timeless(record: dict[str, Any]) -> dict[str, Any]:
    """A record as it would be written at any time, anywhere."""
    del record["crc"]
    everywhere = {"at": 1.5, "up": 0.5, "job_id": "a", "host": "b", "pid": 3}
    return {key: everywhere.get(key, value) for key, value in record.items()}


def written(records: Sequence[Any]) -> bytes:
    return b"".join(checked_line(record) + b"\n" for record in records)


def fails(trial: int, epoch: int) -> bool:
    return trial == 2 and epoch == 2


def checked_line(record: Any) -> bytes:
    """A record as a line that its checksum does not give away."""
    body = json.dumps(record, separators=(",", ":"))
    if not body.endswith("}"):
        body = f'{{"x":{body}}}'
    crc = zlib.crc32(body.encode())
    return f'{body[:-1]},"crc":"{crc:08x}"}}'.encode()


json_rubbish: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 12)
    | st.sampled_from([10**12, 10**400, -1, 1.5, 1e308, float("nan"), float("inf"), "1", ""])
    | st.sampled_from(["maximize", "stop", "pause", "toy", "epochs", "score", "value", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["epochs", "score", "trial", "budget", "x"]), inner)
    ),
    max_leaves=4,
)  # fmt: skip
surgery = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "set", "drop", "swap", "repeat", "remove", "kind", "tear"]),
        st.floats(0, 1),
        st.integers(0, 30),
        json_rubbish,
    ),
    min_size=1,
    max_size=3,
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways down to everything in a record, sections included."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in inside:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from leaves(inner, (*path, key))


def operated(log: bytes, cuts: Sequence[tuple[str, float, int, Any]]) -> bytes:
    """A log with records changed, numbered and checksummed anew: a forger's."""
    records: list[Any] = [json.loads(line) for line in log.splitlines()]
    for record in records:
        del record["crc"], record["seq"]
    for what, share, number, value in cuts:
        place = min(int(share * len(records)), len(records) - 1)
        if place < 0 or not isinstance(records[place], dict):
            continue
        operate(records, place, what, number, value)
    for number, record in enumerate(records):
        if isinstance(record, dict):
            record.setdefault("seq", number)
    return written(records)


def operate(records: list[Any], place: int, what: str, number: int, value: Any) -> None:
    other = number % len(records)
    match what:
        case "remove":
            del records[place]
        case "swap":
            records[place], records[other] = records[other], records[place]
        case "repeat":
            records.insert(other, json.loads(json.dumps(records[place])))
        case "kind":
            records[place]["kind"] = sorted(KINDS)[number % len(KINDS)] if number % 2 else value
        case "tear":
            records[place] = value
        case _:
            ways = list(leaves(records[place])) or [("x",)]
            *way, last = ways[number % len(ways)]
            inner = records[place]
            for step in way:
                inner = inner[step]
            if what == "drop":
                inner.pop(last, None) if isinstance(inner, dict) else inner.pop(last)
            else:
                inner[last] = value


def test_an_event_log_is_replayed_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = st.builds(operated, one_of(logs()), surgery)
    inputs = forged | forged | forged | mutated(logs())

    def read(content: bytes) -> str:
        store = MemoryStore()
        store.files[layout.EVENTS] = content
        state = RunState.fold(read_log(store, layout.EVENTS))
        if state.opened is None:
            return "empty"
        status_word(state, driven=False)
        setup = reopen(state.opened, tmp_path)
        brain = setup.new_brain()
        plan = brain.plan()
        json.dumps(metadata_json(state, remaining(state, plan, 1))).encode()
        json.dumps(controller_json(state)).encode()
        open_run(store, layout.EVENTS, brain, setup.opened(), only_look=True)
        assert store.files == {layout.EVENTS: content}
        return "replayed"

    fuzz("event log", inputs, read, capsys)


def test_what_a_reader_must_not_do_is_noticed(tmp_path: Path) -> None:
    deeds: dict[str, Callable[[], object]] = {
        "a file": lambda: (tmp_path / "x").write_text("x"),
        "a folder": lambda: (tmp_path / "y").mkdir(),
        "a process": lambda: os.system("true"),
        "a link": lambda: (tmp_path / "z").symlink_to(tmp_path),
    }
    for deed in deeds.values():
        with pytest.raises(AssertionError), nothing_is_touched():
            deed()
    with nothing_is_touched():
        assert flatten({"a": (tmp_path / "x").read_text()}) == {"a": "x"}
