"""A run's files on a real S3 server, shared by threads, forks and processes."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.runs.object_store import ObjectStore
from raytao.runs.owner import Owned, Ownership, claim
from raytao.runs.owner_file import owner_of
from raytao.runs.process import Process
from raytao.runs.store import Store
from raytao.testing.append_contract import law
from raytao.testing.store_contract import Operation, StoreContract, operations
from tests.runs.s3_server import s3_address, s3_variables

__all__ = ["s3_address", "s3_variables"]
"""Fixtures."""

pytestmark = pytest.mark.integration

CROWD = 4

CLAIM = """
import sys
from raytao.runs.object_store import ObjectStore
from raytao.runs.owner import Owned, claim
store = ObjectStore(sys.argv[1])
store.list()
print("ready", flush=True)
sys.stdin.readline()
try:
    owner = claim(store, ".owner", say=lambda text: None)
except Owned as taken:
    print("taken", taken.owner.token, flush=True)
else:
    print("mine", owner.owner.token, flush=True)
sys.stdin.readline()
"""


class TestObjectStoreOnS3IsAStore(StoreContract):
    """Each request takes milliseconds, so there are fewer examples."""

    address: str

    @pytest.fixture(autouse=True)
    def _address(self, s3_address: str) -> None:
        type(self).address = s3_address

    def make_store(self, folder: Path) -> Store:
        return ObjectStore(f"{self.address}{folder}")

    @law(5)
    @given(todo=operations())
    def test_any_writes_leave_what_a_dictionary_would_hold(
        self, todo: list[Operation], tmp_path: Path
    ) -> None:
        self.follow(todo, tmp_path)

    @law(5)
    @given(
        before=st.binary(max_size=5),
        data=st.binary(max_size=5),
        part=st.integers(0, 5),
        more=st.binary(max_size=5),
    )
    def test_a_batch_that_was_written_in_part_can_be_tried_again_with_more(
        self, before: bytes, data: bytes, part: int, more: bytes, tmp_path: Path
    ) -> None:
        self.try_again(before, data, part, more, tmp_path)


def test_of_many_threads_that_claim_a_run_one_owns_it(s3_address: str) -> None:
    line = Barrier(CROWD)

    def race(who: int) -> Ownership | None:
        store, here = ObjectStore(s3_address), Process.this()
        line.wait()
        try:
            return claim(store, ".owner", say=lambda text: None, here=here)
        except Owned:
            return None

    with ThreadPoolExecutor(CROWD) as pool:
        won = [owner for owner in pool.map(race, range(CROWD)) if owner is not None]
    assert len(won) == 1
    found = owner_of(ObjectStore(s3_address), ".owner")
    assert found is not None
    assert found.token == won[0].owner.token
    won[0].release()
    assert owner_of(ObjectStore(s3_address), ".owner") is None


def test_of_many_processes_that_claim_a_run_one_owns_it(s3_address: str) -> None:
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, s3_address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(CROWD)
    ]
    told = []
    for process in crowd:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in crowd:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in crowd:
        assert process.stdout is not None
        told.append(process.stdout.readline().split())
    for process in crowd:
        process.communicate("done\n", timeout=60)
    assert sorted(word for word, _ in told) == ["mine", *["taken"] * (CROWD - 1)]
    assert len({token for _, token in told}) == 1


def test_a_fork_has_a_connection_of_its_own(s3_address: str) -> None:
    store = ObjectStore(s3_address)
    store.replace("parent", b"1")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            store.replace("child", b"2")
            code = 0 if store.read("parent") == b"1" else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.read("child") == b"2"


def test_a_file_that_is_sent_in_parts_is_created_once_as_well(s3_address: str) -> None:
    store = ObjectStore(s3_address)
    weights = bytes(range(256)) * 410_000  # above 100 MiB fsspec sends 50 MiB at a time
    assert store.create_exclusive("weights", weights)  # and finds that it cannot do so again
    assert not store.create_exclusive("weights", b"other")
    assert store.read("weights") == weights


def test_a_log_on_s3_is_one_plain_object_for_other_programs(s3_address: str) -> None:
    store = ObjectStore(s3_address)
    for n in range(40):
        store.append_batch("log.txt", b"line %d\n" % n)
    store.settle()
    s3 = import_module("fsspec").filesystem("s3", skip_instance_cache=True)
    assert s3.find(s3_address) == [f"{s3_address.removeprefix('s3://')}/log.txt"]
    assert s3.cat_file(f"{s3_address}/log.txt") == b"".join(b"line %d\n" % n for n in range(40))
