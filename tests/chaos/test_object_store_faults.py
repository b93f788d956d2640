"""Killed at every request to object storage, or refused there, a run goes on and loses nothing.

The runs, and what must hold after each of their lives, are those of test_store_faults.py: what is
seen through the store is laid out as a local folder and looked at there. An undisturbed run on
a local disk is what each must be in the end.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import sys
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NoReturn

import pytest

from raytao.errors import RaytaoError
from raytao.runs import object_requests
from raytao.runs.log import read_log
from raytao.runs.object_folder import MANIFEST, is_torn
from raytao.runs.object_store import ObjectStore
from raytao.runs.store import LocalStore, Store
from raytao.tao import layout
from raytao.testing.faults import Fault, FaultyStore, Kill, Moment, Refusal
from raytao.testing.folder_run import Sight, run_in_folder
from raytao.trials.linux import die_with_parent
from tests.chaos.test_store_faults import (
    REFUSED,
    SMALL,
    STRIDE,
    Life,
    Scene,
    check_at_rest,
    check_end,
    in_children,
    scratch,
    undisturbed,
)
from tests.runs.folder_objects import folder_store
from tests.runs.s3_server import BUCKET, s3_server

pytestmark = pytest.mark.chaos

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """A fault, and where it is: in a request, or in an operation of the store above them."""

    fault: Fault | None
    in_request: bool = True


@dataclass(frozen=True)
class Storage:
    """Where a run's objects are: below a local folder, or at an address."""

    top: Path
    address: str = ""

    def store(self, plan: Plan) -> Store:
        if self.address:
            return FaultyStore(ObjectStore(self.address), plan.fault)
        if plan.in_request:
            return folder_store(self.top, plan.fault)[0]
        return FaultyStore(folder_store(self.top)[0], plan.fault)

    def lay_out(self, run: Path) -> None:
        """Make ``run`` a folder of the files that are there, as a reader sees them."""
        store = self.store(Plan(None))
        shutil.rmtree(run, ignore_errors=True)
        torn = is_torn(store, layout.BEST_MODEL)
        for key in store.list():
            if not (torn and key.startswith(f"{layout.BEST_MODEL}/")):
                LocalStore(run).replace(key, store.read(key) or b"")


def live(scene: Scene, folder: Path, storage: Storage, number: int, plan: Plan) -> Life:
    """Work in a child until the fault ends it, or until the run is done."""
    told, me = folder / f"told_{number}", os.getpid()
    child = os.fork()
    if child == 0:
        die_with_parent(me)
        _live(scene, storage, told, plan)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = told.read_text().splitlines()
    assert code != 1, "\n".join(said)
    storage.lay_out(folder / "run")
    records = read_log(LocalStore(folder / "run"), layout.EVENTS)
    return Life(code, [Sight(**json.loads(line)) for line in said], records)


def _live(scene: Scene, storage: Storage, told: Path, plan: Plan) -> NoReturn:
    descriptor = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    code = 1
    try:
        vars(object_requests)["PAUSES"] = ()  # a refusal ends this life at once

        def witness(sight: Sight) -> None:
            os.write(descriptor, json.dumps(asdict(sight)).encode() + b"\n")

        run_in_folder(scene.setup, storage.store(plan), scene.conditions, witness)
        code = 0
    except RaytaoError:
        code = REFUSED
    except BaseException:  # noqa: BLE001 - told by the exit code and the file
        os.write(descriptor, traceback.format_exc().encode())
    finally:
        os._exit(code)


def lives(scene: Scene, folder: Path, storage: Storage, plans: Sequence[Plan]) -> list[Life]:
    """Live through all faults and then to the end; what is there is checked after each life."""
    story: list[Life] = []
    for number, plan in enumerate([*plans, Plan(None)]):
        life = live(scene, folder, storage, number, plan)
        ends = {Refusal: REFUSED, type(None): 0}
        assert life.code in (0, ends.get(type(plan.fault), -signal.SIGKILL))
        check_at_rest(scene, folder / "run", story, life)
        story.append(life)
    check_end(scene, folder / "run", story)
    check_plain(storage)
    return story


def check_plain(storage: Storage) -> None:
    """A run that is over is its files, one object each; nothing else is left."""
    if storage.address:
        return
    store = storage.store(Plan(None))
    there = [p.relative_to(storage.top / "run") for p in storage.top.rglob("*") if p.is_file()]
    manifest = f"{layout.BEST_MODEL}/{MANIFEST}"
    assert {path.as_posix() for path in there} - {manifest} == set(store.list())
    assert not is_torn(store, layout.BEST_MODEL)


def survive(scene: Scene, stories: Sequence[Sequence[Plan]], address: str = "") -> int:
    """Live through each story in storage of its own; how many lives ended early."""
    undisturbed(scene)

    def one(plans: Sequence[Plan]) -> int:
        with scratch() as folder:
            place = f"{address}/{uuid.uuid4().hex}" if address else ""
            story = lives(scene, folder, Storage(folder / "objects", place), plans)
            return sum(life.code != 0 for life in story)

    return in_children(stories, one)


def requests_of(scene: Scene) -> list[str]:
    """The requests of an undisturbed run that change something."""
    with scratch() as folder:
        store, objects = folder_store(folder)
        run_in_folder(scene.setup, store, scene.conditions)
        return objects.requests


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Tell the figures of a test, also under ``-q``."""

    def tell(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n    objects, {line} ")

    return tell


def scenes(chosen: Sequence[Scene]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("scene", chosen, ids=lambda scene: scene.name)


@scenes(SMALL)
def test_a_kill_at_every_request_loses_nothing(scene: Scene, say: Say) -> None:
    points = range(len(requests_of(scene)))[::STRIDE]
    kills = survive(scene, [[Plan(Kill(k))] for k in points])
    say(f"{scene.name}: {kills} kills, one before every request that changes something")
    assert kills == len(points)


@scenes(SMALL)
def test_kills_of_the_run_and_again_of_what_goes_on_lose_nothing(scene: Scene, say: Say) -> None:
    stories = list(chains(scene, seed=1, many=40 // STRIDE or 1, length=3))
    kills = survive(scene, stories)
    say(f"{scene.name}: {kills} kills in {len(stories)} runs, up to three in each")
    assert kills > 2 * len(stories)


@scenes([SMALL[1]])
@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER])
def test_a_kill_at_every_operation_loses_nothing(scene: Scene, moment: Moment, say: Say) -> None:
    points = undisturbed(scene).changes[::STRIDE]
    kills = survive(scene, [[Plan(Kill(k, moment), in_request=False)] for k in points])
    say(f"{scene.name}: {kills} kills, {moment.value} every operation that writes")
    assert kills == len(points)


REFUSALS = {
    "refused once": Refusal(0, errno.EIO),
    "refused once, but done": Refusal(0, errno.EIO, Moment.AFTER),
    "gone": Refusal(0, errno.EIO, for_ever=True),
    "no access": Refusal(0, errno.EACCES, for_ever=True),
}


@scenes([SMALL[1]])
@pytest.mark.parametrize("name", REFUSALS)
def test_an_error_at_every_request_leaves_a_run_that_can_be_resumed(
    scene: Scene, name: str, say: Say
) -> None:
    points = range(len(requests_of(scene)))[:: 2 * STRIDE]
    ends = survive(scene, [[Plan(replace(REFUSALS[name], at=k))] for k in points])
    say(f"{scene.name}: {name}, at {len(points)} requests; {ends} ended the run")
    assert ends > 0.5 * len(points)


@pytest.fixture(scope="module")
def s3() -> Iterator[Mapping[str, str]]:
    with s3_server() as variables:
        yield variables


def test_kills_and_errors_on_s3_lose_nothing(
    s3: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, say: Say
) -> None:
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    scene = SMALL[1]
    points = undisturbed(scene).changes[:: 8 * STRIDE]
    faults: list[Fault] = [Kill(k, Moment.BEFORE) for k in points]
    faults += [Refusal(k, errno.EIO, Moment.AFTER) for k in points[::2]]
    ends = survive(scene, [[Plan(fault)] for fault in faults], f"s3://{BUCKET}")
    say(f"{scene.name}: {ends} kills and errors on an S3 server")
    assert ends > 0.9 * len(faults)


def chains(scene: Scene, seed: int, many: int, length: int) -> Iterator[list[Plan]]:
    """Kills of one run after another, at requests that are mostly reached."""
    dice, most = random.Random(seed), len(requests_of(scene))
    for _ in range(many):
        left, chain = most, list[Plan]()
        for _ in range(length):
            at = dice.randrange(left)
            chain.append(Plan(Kill(at)))
            left = max(20, left - at)
        yield chain
