"""One owner of a run: under races, kills, stops, jumping clocks and storage that refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.runs.owner import Owned, Ownership, OwnershipLost, claim
from raytao.runs.owner_file import STALE_SECONDS, Owner, owner_of
from raytao.runs.process import Life, Process
from raytao.runs.store import LocalStore, StoreError

KEY = ".owner"
HERE = Process.this()
ELSEWHERE = Process("far-away", 7, "another boot", "pid:[1]", 12)
HOUR = 3600.0
QUICK = 0.05
"""Seconds from beat to beat of an owner that a test watches."""

PATIENT = 9.0
"""Seconds of silence that a test never waits for; it looks five times a second."""

CHILD = """
import json, sys
from pathlib import Path
from raytao.runs.owner import Owned, OwnershipLost, claim
from raytao.runs.process import Process
from raytao.runs.store import LocalStore

here = Process(*json.loads(sys.argv[1])) if sys.argv[1] else None
held = []
for line in sys.stdin:
    verb, folder, beat, stale = line.split()
    try:
        if verb == "claim":
            held.append(claim(LocalStore(Path(folder)), ".owner", say=lambda line: None,
                              beat=float(beat), stale=float(stale), here=here))
        elif verb == "check":
            held[-1].check()
        elif verb == "rename":
            Path("/proc/self/comm").write_text("x) Z 1 2 (y")
        answer = "mine"
    except (Owned, OwnershipLost) as refused:
        answer = f"{type(refused).__name__}: {refused}".replace(chr(10), " ")
    print(answer, flush=True)
"""


class Child:
    """A process of its own that claims when it is told to."""

    def __init__(self, here: Process | None = None) -> None:
        identity = json.dumps(list(vars(here).values())) if here else ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, identity],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(
        self, verb: str, folder: Path, *, beat: float = QUICK, stale: float = STALE_SECONDS
    ) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{verb} {folder} {beat} {stale}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def claim(self, folder: Path, **terms: float) -> None:
        self.tell("claim", folder, **terms)
        assert self.answer() == "mine"

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def children() -> Iterator[Callable[..., Child]]:
    started: list[Child] = []

    def start(here: Process | None = None) -> Child:
        started.append(Child(here))
        return started[-1]

    yield start
    for child in started:
        child.end()


def quiet(line: str) -> None:
    """Nobody listens."""


def take(folder: Path, **terms: Any) -> Ownership:
    return claim(LocalStore(folder), KEY, **{"say": quiet, **terms})


def write(folder: Path, owner: Owner, generation: int = 1) -> None:
    LocalStore(folder).replace(f"{KEY}/{generation}", owner.to_bytes())


def left(process: Process, **changes: Any) -> Owner:
    """What an owner leaves that never beats again."""
    return replace(Owner("token", process, "2031-02-03T04:05:06+00:00", 3, time.time()), **changes)


def files(folder: Path) -> list[str]:
    return LocalStore(folder).list()


class TestOneOwner:
    def test_a_second_one_is_refused_and_told_who_it_is(self, tmp_path: Path) -> None:
        with take(tmp_path) as first:
            with pytest.raises(Owned, match=rf"{HERE.host}, pid {HERE.pid}, since 2") as refused:
                take(tmp_path)
            assert refused.value.owner is not None
            assert refused.value.owner.token == first.owner.token

    def test_what_was_released_is_free_at_once(self, tmp_path: Path) -> None:
        for _ in range(3):
            with take(tmp_path) as ownership:
                assert ownership.took_over is None
                assert owner_of(LocalStore(tmp_path), KEY) == ownership.owner
            assert owner_of(LocalStore(tmp_path), KEY) is None
        assert files(tmp_path) == [f"{KEY}/3"]

    def test_what_was_released_is_not_written_to_any_more(self, tmp_path: Path) -> None:
        with take(tmp_path) as ownership:
            ownership.check()
        with pytest.raises(OwnershipLost, match="left the run to others"):
            ownership.check()

    def test_releasing_twice_takes_nothing_from_the_next(self, tmp_path: Path) -> None:
        first = take(tmp_path)
        first.release()
        with take(tmp_path) as second:
            first.release()
            second.check()
            assert owner_of(LocalStore(tmp_path), KEY) == second.owner

    def test_an_object_that_is_dropped_owns_nothing(self, tmp_path: Path) -> None:
        ownership = take(tmp_path)
        del ownership
        assert owner_of(LocalStore(tmp_path), KEY) is None

    def test_a_program_that_ends_in_order_has_released(
        self, children: Callable[..., Child], tmp_path: Path
    ) -> None:
        child = children()
        child.claim(tmp_path)
        child.process.communicate()
        assert child.process.returncode == 0
        assert owner_of(LocalStore(tmp_path), KEY) is None

    def test_an_ownership_that_this_process_lost_track_of_is_taken_over(
        self, tmp_path: Path
    ) -> None:
        write(tmp_path, left(HERE))
        with take(tmp_path) as ownership:
            assert ownership.took_over is not None
            assert ownership.took_over.process == HERE

    def test_no_thread_is_left_behind(self, tmp_path: Path) -> None:
        before = threading.active_count()
        with take(tmp_path):
            assert threading.active_count() == before + 1
        assert threading.active_count() == before


class TestRaces:
    ROUNDS = 8
    CROWD = 5

    def run(
        self,
        crowd: list[Child],
        folder: Path,
        prepare: Callable[[Path], None],
        **terms: float,
    ) -> None:
        for n in range(self.ROUNDS):
            prepare(folder / str(n))
            for child in crowd:
                child.tell("claim", folder / str(n), **terms)
            answers = [child.answer() for child in crowd]
            winner = crowd[answers.index("mine")].process.pid if "mine" in answers else 0
            others = [answer for answer in answers if answer != "mine"]
            assert len(others) == len(crowd) - 1, answers
            assert all(f"pid {winner}, " in answer for answer in others), (winner, answers)

    def test_of_many_processes_one_owns_a_free_run(
        self, children: Callable[..., Child], tmp_path: Path
    ) -> None:
        self.run([children() for _ in range(self.CROWD)], tmp_path, lambda folder: None)

    def test_of_many_processes_one_takes_over_from_a_dead_one(
        self, children: Callable[..., Child], tmp_path: Path
    ) -> None:
        gone = left(replace(HERE, ticks=0))
        crowd = [children() for _ in range(self.CROWD)]
        self.run(crowd, tmp_path, lambda folder: write(folder, gone))

    def test_of_many_machines_one_takes_over_from_a_dead_one(
        self, children: Callable[..., Child], tmp_path: Path
    ) -> None:
        write(tmp_path, left(ELSEWHERE))
        crowd = [children(replace(ELSEWHERE, boot=f"boot {n}")) for n in range(self.CROWD)]
        for child in crowd:
            child.tell("claim", tmp_path, beat=QUICK, stale=4)
        answers = [child.answer() for child in crowd]
        assert answers.count("mine") == 1, answers
        assert sum(answer.startswith("Owned") for answer in answers) == self.CROWD - 1, answers

    def test_of_many_threads_one_owns_the_run(self, tmp_path: Path) -> None:
        line = threading.Barrier(self.CROWD)

        def attempt(folder: Path) -> Ownership | None:
            line.wait()
            try:
                return take(folder)
            except Owned:
                return None

        with ThreadPoolExecutor(self.CROWD) as pool:
            for n in range(self.ROUNDS):
                got = list(pool.map(attempt, [tmp_path / str(n)] * self.CROWD))
                assert sum(ownership is not None for ownership in got) == 1

    def test_who_is_late_by_several_generations_wins_nothing(self, tmp_path: Path) -> None:
        class Late(LocalStore):
            behind = True

            def list(self, prefix: str = "") -> list[str]:
                found, self.behind = [] if self.behind else super().list(prefix), False
                return found

        write(tmp_path, left(HERE, released=True), 4)
        with take(tmp_path) as fifth:
            with pytest.raises(Owned):
                claim(Late(tmp_path), KEY, say=quiet)
            fifth.check()


class TestOnTheSameMachine:
    def test_a_killed_owner_is_followed_at_once_though_nobody_has_reaped_it(
        self, children: Callable[..., Child], tmp_path: Path
    ) -> None:
        child, said = children(), list[str]()
        child.claim(tmp_path)
        child.process.kill()
        os.waitid(os.P_PID, child.process.pid, os.WEXITED | os.WNOWAIT)
        with take(tmp_path, say=said.append) as ownership:
            assert ownership.took_over is not None
            assert ownership.took_over.process.pid == child.process.pid
        assert said == []
        assert files(tmp_path) == [f"{KEY}/2"]

    def test_a_stopped_owner_is_alive_however_old_its_last_beat(
        self, children: Callable[..., Child], tmp_path: Path
    ) -> None:
        child = children()
        child.claim(tmp_path)
        child.process.send_signal(signal.SIGSTOP)
        time.sleep(10 * QUICK)
        with pytest.raises(Owned, match=f"pid {child.process.pid}, "):
            take(tmp_path, stale=QUICK)
        child.process.send_signal(signal.SIGCONT)
        child.tell("check", tmp_path)
        assert child.answer() == "mine"

    def test_another_process_of_the_same_pid_is_not_the_owner(
        self, children: Callable[..., Child], tmp_path: Path
    ) -> None:
        child = children()
        child.claim(tmp_path / "other")
        alive = owner_of(LocalStore(tmp_path / "other"), KEY)
        assert alive is not None
        assert alive.life() is Life.ALIVE
        before = replace(alive.process, ticks=(alive.process.ticks or 0) - 1)
        write(tmp_path, replace(alive, process=before))
        with take(tmp_path) as ownership:
            assert ownership.took_over is not None

    def test_a_name_with_parentheses_is_no_obstacle(
        self, children: Callable[..., Child], tmp_path: Path
    ) -> None:
        child = children()
        child.claim(tmp_path)
        child.tell("rename", tmp_path)
        child.answer()
        assert b"(x) Z 1 2 (y)" in Path(f"/proc/{child.process.pid}/stat").read_bytes()
        with pytest.raises(Owned):
            take(tmp_path)

    def test_a_process_is_not_told_from_afar(self) -> None:
        assert HERE.life(HERE) is Life.ALIVE
        for other in (
            replace(HERE, boot="before"),
            replace(HERE, namespace="pid:[1]"),
            replace(HERE, boot=None, namespace=None, ticks=None),
        ):
            assert HERE.life(other) is Life.UNSEEN
            assert other.life(HERE) is Life.UNSEEN
        bare = replace(HERE, boot=None, namespace=None, ticks=None)
        assert bare.life(bare) is Life.UNSEEN

    def test_a_process_that_proc_hides_is_not_taken_for_dead(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def hidden(path: Path) -> bytes:
            raise FileNotFoundError(path)

        def foreign(pid: int, signal: int) -> None:
            raise PermissionError(pid)

        monkeypatch.setattr(Path, "read_bytes", hidden)
        assert HERE.life(HERE) is Life.UNSEEN
        monkeypatch.setattr(os, "kill", foreign)
        assert HERE.life(HERE) is Life.UNSEEN


class TestFromElsewhere:
    def test_a_living_owner_is_refused_within_a_beat(
        self, children: Callable[..., Child], tmp_path: Path
    ) -> None:
        child = children(ELSEWHERE)
        child.claim(tmp_path, beat=QUICK)
        began = time.monotonic()
        with pytest.raises(Owned, match="far-away, pid 7, since "):
            take(tmp_path, stale=PATIENT)
        assert time.monotonic() - began < PATIENT / 2

    def test_a_dead_owner_is_followed_after_a_silence_and_waiting_is_told(
        self, tmp_path: Path
    ) -> None:
        write(tmp_path, left(ELSEWHERE))
        began, said = time.monotonic(), list[str]()
        with take(tmp_path, stale=0.5, say=said.append) as ownership:
            assert time.monotonic() - began >= 0.5
            assert ownership.took_over is not None
            assert ownership.took_over.process == ELSEWHERE
        assert said == [
            "this run is owned by far-away, pid 7, since 2031-02-03 04:05:06+00:00; "
            "waiting up to 0.5 s for a sign of life"
        ]

    def test_after_a_reboot_the_same_pid_and_start_are_another_process(
        self, tmp_path: Path
    ) -> None:
        write(tmp_path, left(replace(HERE, boot="the boot before")))
        began = time.monotonic()
        with take(tmp_path, stale=0.3):
            assert time.monotonic() - began >= 0.3

    def test_an_owner_that_leaves_while_it_is_watched_is_followed(self, tmp_path: Path) -> None:
        gone = left(ELSEWHERE)
        write(tmp_path, gone)
        leaving = threading.Timer(0.3, lambda: write(tmp_path, replace(gone, released=True)))
        leaving.start()
        began = time.monotonic()
        with take(tmp_path, stale=PATIENT) as ownership:
            assert time.monotonic() - began < PATIENT / 2
            assert ownership.took_over is None
        leaving.join()

    def test_without_proc_the_heartbeat_decides(self, tmp_path: Path) -> None:
        bare = replace(HERE, boot=None, namespace=None, ticks=None)
        with take(tmp_path, here=bare, beat=QUICK), pytest.raises(Owned):
            take(tmp_path, here=replace(bare, pid=1), stale=PATIENT)
        write(tmp_path, left(bare), 2)
        with take(tmp_path, here=replace(bare, pid=1), stale=0.2) as ownership:
            assert ownership.took_over is not None

    @pytest.mark.parametrize("jump", [-HOUR, HOUR])
    def test_a_clock_that_jumps_takes_no_run_away(self, jump: float, tmp_path: Path) -> None:
        jumps = iter([0.0, 0.0, *[jump, 0.0, jump] * 10_000])

        def wall() -> float:
            return time.time() + next(jumps)

        with take(tmp_path, here=ELSEWHERE, beat=QUICK, wall=wall) as ownership:
            for _ in range(3):
                with pytest.raises(Owned):
                    take(tmp_path, stale=PATIENT, wall=lambda: time.time() - jump)
            ownership.check()

    @pytest.mark.parametrize("jump", [-HOUR, 0.0, HOUR])
    def test_a_clock_that_jumps_keeps_no_run(self, jump: float, tmp_path: Path) -> None:
        write(tmp_path, left(ELSEWHERE, at=time.time() + jump))
        began = time.monotonic()
        with take(tmp_path, stale=0.3) as ownership:
            assert ownership.took_over is not None
        assert 0.3 <= time.monotonic() - began < 3


class TestAReturningOwner:
    @pytest.mark.parametrize("ask_first", [True, False])
    def test_is_fenced_before_its_next_write(
        self, ask_first: bool, children: Callable[..., Child], tmp_path: Path
    ) -> None:
        child = children(ELSEWHERE)
        child.claim(tmp_path, beat=1)
        child.process.send_signal(signal.SIGSTOP)
        with take(tmp_path, stale=2.5) as ownership:
            if ask_first:  # its first act is the question, before any beat
                child.tell("check", tmp_path)
            child.process.send_signal(signal.SIGCONT)
            if not ask_first:
                time.sleep(1.5)
                child.tell("check", tmp_path)
            answer = child.answer()
            assert answer.startswith("OwnershipLost: this run was taken over by")
            assert f"pid {HERE.pid}, " in answer
            ownership.check()
            child.process.communicate()  # it ends in order and releases nothing
            assert owner_of(LocalStore(tmp_path), KEY) == ownership.owner

    def test_learns_of_it_from_its_own_heartbeat(self, tmp_path: Path) -> None:
        first = take(tmp_path, beat=QUICK)
        write(tmp_path, left(ELSEWHERE), 2)
        with pytest.raises(OwnershipLost, match="taken over by far-away, pid 7"):
            wait_until_lost(first)

    def test_asks_storage_only_if_it_has_not_renewed_for_a_while(self, tmp_path: Path) -> None:
        class Counting(LocalStore):
            asked = 0

            def read(self, key: str) -> bytes | None:
                self.asked += 1
                return super().read(key)

        store = Counting(tmp_path)
        with claim(store, KEY, beat=60) as ownership:
            before = store.asked
            for _ in range(100):
                ownership.check()
            assert store.asked == before


def until(holds: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(QUICK)


def wait_until_lost(ownership: Ownership, seconds: float = 5) -> None:
    """Ask until it raises."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ownership.check()
        time.sleep(QUICK)


class Refusing(LocalStore):
    """Storage that can be made to refuse every write."""

    refuses = False

    def replace(self, key: str, data: bytes) -> None:
        if self.refuses:
            raise StoreError(f"cannot write {key}: the disk is full")
        super().replace(key, data)


def beats(folder: Path) -> int:
    owner = owner_of(LocalStore(folder), KEY)
    assert owner is not None
    return owner.beat


class TestStorage:
    def test_a_refused_beat_disturbs_nobody_and_is_tried_again(self, tmp_path: Path) -> None:
        store = Refusing(tmp_path)
        with claim(store, KEY, beat=QUICK) as ownership:
            store.refuses = True
            time.sleep(5 * QUICK)
            before = beats(tmp_path)
            time.sleep(5 * QUICK)
            ownership.check()
            assert beats(tmp_path) == before
            store.refuses = False
            until(lambda: beats(tmp_path) > before)
            ownership.check()

    def test_who_lost_a_run_for_that_is_told_so(self, tmp_path: Path) -> None:
        store = Refusing(tmp_path)
        ownership = claim(store, KEY, beat=QUICK)
        store.refuses = True
        time.sleep(5 * QUICK)
        write(tmp_path, left(ELSEWHERE), 2)
        with pytest.raises(OwnershipLost, match="could not be renewed: cannot write"):
            wait_until_lost(ownership)

    def test_a_folder_that_was_removed_stays_so_and_its_owner_stops(self, tmp_path: Path) -> None:
        folder = tmp_path / "results"
        folder.mkdir()
        with claim(LocalStore(folder, must_exist=True), KEY, beat=QUICK) as ownership:
            shutil.rmtree(folder)
            with pytest.raises(OwnershipLost, match="removed or replaced"):
                wait_until_lost(ownership)
        assert not folder.exists()

    def test_the_owner_of_a_removed_folder_leaves_its_successor_alone(
        self, tmp_path: Path
    ) -> None:
        first = take(tmp_path, beat=QUICK)
        shutil.rmtree(tmp_path / KEY)
        with take(tmp_path, beat=60) as second:
            with pytest.raises(OwnershipLost, match="removed or replaced"):
                wait_until_lost(first)
            first.release()
            assert owner_of(LocalStore(tmp_path), KEY) == second.owner

    def test_a_claim_counts_though_storage_loses_the_answer(self, tmp_path: Path) -> None:
        class Forgetful(LocalStore):
            def create_exclusive(self, key: str, data: bytes) -> bool:
                super().create_exclusive(key, data)
                return False

        with claim(Forgetful(tmp_path), KEY) as ownership:
            assert owner_of(LocalStore(tmp_path), KEY) == ownership.owner

    def test_storage_that_refuses_a_claim_is_named_and_nothing_is_owned(
        self, tmp_path: Path
    ) -> None:
        class Full(LocalStore):
            def create_exclusive(self, key: str, data: bytes) -> bool:
                raise StoreError(f"cannot create {key}: the disk is full")

        with pytest.raises(StoreError, match="disk is full"):
            claim(Full(tmp_path), KEY)
        assert files(tmp_path) == []

    def test_a_draft_that_a_faster_owner_swept_is_a_refusal_not_a_fault(
        self, tmp_path: Path
    ) -> None:
        faster = list[Ownership]()

        class Swept(LocalStore):
            def create_exclusive(self, key: str, data: bytes) -> bool:
                faster.append(take(self.root))
                raise StoreError(f"cannot create {key}: no such file")

        with pytest.raises(Owned):
            claim(Swept(tmp_path), KEY)
        faster[0].check()

    @pytest.mark.parametrize(
        "garbage",
        [b"", b"{", b"[]", b"null", b"\xff\0", b'{"token": 1}', b"[" * 100_000, b"9" * 5000],
        ids=range(8),
    )
    def test_an_owner_file_that_is_torn_is_watched_then_followed(
        self, garbage: bytes, tmp_path: Path
    ) -> None:
        LocalStore(tmp_path).replace(f"{KEY}/3", garbage)
        assert owner_of(LocalStore(tmp_path), KEY) is None
        began = time.monotonic()
        with take(tmp_path, stale=0.2) as ownership:
            assert time.monotonic() - began >= 0.2
            assert ownership.took_over is None
        assert files(tmp_path) == [f"{KEY}/4"]

    def test_a_torn_file_that_somebody_writes_is_owned(self, tmp_path: Path) -> None:
        store, done = LocalStore(tmp_path), threading.Event()
        store.replace(f"{KEY}/1", b"0")

        def scribble() -> None:
            n = 0
            while not done.wait(QUICK):
                n += 1
                store.replace(f"{KEY}/1", b"?" * n)

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(scribble)
            try:
                with pytest.raises(Owned, match="its owner file is torn"):
                    take(tmp_path, stale=PATIENT)
            finally:
                done.set()
            writing.result()

    def test_an_owner_mends_its_own_torn_file(self, tmp_path: Path) -> None:
        with take(tmp_path, beat=QUICK) as ownership:
            LocalStore(tmp_path).replace(f"{KEY}/1", b"torn")
            until(lambda: owner_of(LocalStore(tmp_path), KEY) is not None)
            ownership.check()

    def test_files_that_are_no_generations_are_passed_over(self, tmp_path: Path) -> None:
        for name in ("x", "01", "²", "-3", "2/deep"):
            LocalStore(tmp_path).replace(f"{KEY}/{name}", b"")
        with take(tmp_path):
            assert f"{KEY}/1" in files(tmp_path)


FORK = """
import os, sys
from pathlib import Path
from raytao.runs.owner import OwnershipLost, claim
from raytao.runs.owner_file import owner_of
from raytao.runs.store import LocalStore

store = LocalStore(Path(sys.argv[1]))
with claim(store, ".owner", beat=0.05) as ownership:
    pid = os.fork()
    if pid == 0:
        try:
            ownership.check()
            print("the fork owns it too", flush=True)
        except OwnershipLost as lost:
            print(lost, flush=True)
        ownership.release()
        sys.exit(0)
    os.waitpid(pid, 0)
    ownership.check()
    assert owner_of(store, ".owner").token == ownership.owner.token
    print("still mine", flush=True)
assert owner_of(store, ".owner") is None
"""


def test_a_fork_owns_nothing_and_releases_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, *_, last = done.stdout.splitlines()
    assert "is a fork of the one that owns the run" in first
    assert last == "still mine"


TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=9)
SOME = st.builds(
    Owner,
    token=TEXT,
    process=st.builds(
        Process,
        host=TEXT,
        pid=st.integers(1, 2**31 - 1),
        boot=st.none() | TEXT,
        namespace=st.none() | TEXT,
        ticks=st.none() | st.integers(0),
    ),
    started=TEXT,
    beat=st.integers(0),
    at=st.integers(0, 10**10).map(float),
    released=st.booleans(),
)


class TestTheFile:
    @given(SOME)
    def test_reads_back_as_it_was_written(self, owner: Owner) -> None:
        assert Owner.from_bytes(owner.to_bytes()) == owner

    @given(SOME, st.data())
    def test_torn_anywhere_is_no_owner(self, owner: Owner, data: st.DataObject) -> None:
        whole = owner.to_bytes()
        assert Owner.from_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *(("pid", pid) for pid in (0, -1, 2**31, "7", True, None)),
            *(("host", host) for host in (None, 7, "\x1b[2J", "two\nlines")),
            *(("at", at) for at in (None, "now", float("nan"), float("inf"), -1, 1e300)),
            *(("beat", beat) for beat in (None, "x", float("inf"))),
            ("started", "\x1b]0;x\x07"),
            ("token", None),
        ],
    )
    def test_with_a_field_of_another_kind_is_no_owner(self, field: str, value: Any) -> None:
        raw = json.loads(left(ELSEWHERE).to_bytes())
        assert Owner.from_bytes(json.dumps({**raw, field: value}).encode()) is None
        assert (
            Owner.from_bytes(json.dumps({k: raw[k] for k in raw if k != field}).encode()) is None
        )


def test_readers_elsewhere_judge_by_the_age_of_the_last_beat() -> None:
    heard = left(ELSEWHERE, at=1000.0)
    assert heard.silent_for(1012.0) == 12
    assert heard.silent_for(990.0) == 0  # clocks that differ
    assert heard.seems_alive(1012.0)
    assert not heard.seems_alive(1000.0 + STALE_SECONDS)
    assert not left(replace(HERE, ticks=0)).seems_alive()
