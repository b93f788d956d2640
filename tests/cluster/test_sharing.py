"""What each of several runs may use of one cluster, and how they learn of each other."""

from __future__ import annotations

import json
from dataclasses import asdict
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.cluster import blackboard
from raytao.cluster.sharing import EXPIRES_SECONDS, NOTES, Part, Shares, joined, shares

parts = st.builds(Part, whole=st.integers(1, 300), wants=st.integers(1, 400))
alike = st.integers(1, 300).flatmap(
    lambda whole: st.lists(
        st.builds(Part, whole=st.just(whole), wants=st.integers(1, 400)), min_size=1, max_size=8
    )
)


@given(st.lists(parts, min_size=1, max_size=8))
def test_together_the_shares_are_no_more_than_the_cluster(runs: list[Part]) -> None:
    given_out = shares(runs)
    used = sum(Fraction(n, r.whole) for n, r in zip(given_out, runs, strict=True) if n > 1)
    assert used <= 1
    for amount, run in zip(given_out, runs, strict=True):
        assert 1 <= amount <= max(1, min(run.wants, run.whole))


@given(alike)
def test_runs_that_want_all_get_the_same_give_or_take_one(runs: list[Part]) -> None:
    greedy = [n for n, r in zip(shares(runs), runs, strict=True) if r.wants >= r.whole]
    assert not greedy or max(greedy) - min(greedy) <= 1


@given(alike)
def test_nothing_is_left_over_while_a_run_has_work_for_it(runs: list[Part]) -> None:
    given_out = shares(runs)
    hungry = any(n < min(r.wants, r.whole) for n, r in zip(given_out, runs, strict=True))
    assert not hungry or sum(given_out) >= runs[0].whole


@given(alike)
def test_a_run_that_wants_less_than_its_even_share_gets_what_it_wants(runs: list[Part]) -> None:
    even = runs[0].whole // len(runs)
    for amount, run in zip(shares(runs), runs, strict=True):
        if run.wants <= even:
            assert amount == run.wants


def test_runs_whose_trials_are_of_different_size_share_the_cluster_and_not_its_trials() -> None:
    small, large = Part(16, 99), Part(4, 99)
    assert shares([small, large]) == [8, 2]


class Board:
    """A blackboard in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.notes: dict[str, bytes] = {}
        self.time = 0.0
        monkeypatch.setattr(blackboard, "write", self.notes.__setitem__)
        monkeypatch.setattr(blackboard, "read", self.notes.get)
        monkeypatch.setattr(blackboard, "wipe", lambda key: self.notes.pop(key, None))
        monkeypatch.setattr(
            blackboard, "keys", lambda start: sorted(k for k in self.notes if k.startswith(start))
        )

    def join(self, name: str) -> Shares:
        return Shares(name, lambda: self.time)


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    return Board(monkeypatch)


def test_a_run_that_is_alone_has_everything(board: Board) -> None:
    one = board.join("one")
    assert one.of(4, 4) == 4
    assert one.alone


def test_two_runs_with_work_for_all_have_half_each(board: Board) -> None:
    one, two = board.join("one"), board.join("two")
    assert one.of(4, 4) == 4
    assert two.of(4, 4) == 2
    assert one.of(4, 4) == 2
    assert not one.alone


def test_what_one_run_has_no_work_for_is_the_others_until_it_has(board: Board) -> None:
    one, two = board.join("one"), board.join("two")
    one.of(4, 1)
    assert two.of(4, 4) == 3
    assert one.of(4, 1) == 2  # it may go on at once, up to its own half
    one.of(4, 4)
    assert two.of(4, 4) == 2


def test_a_run_that_left_takes_nothing(board: Board) -> None:
    one, two = board.join("one"), board.join("two")
    one.of(4, 4)
    two.of(4, 4)
    two.leave()
    assert one.of(4, 4) == 4
    assert one.alone


def test_a_driver_that_died_loses_its_share_after_a_while(board: Board) -> None:
    one, two = board.join("one"), board.join("two")
    two.of(4, 4)
    assert one.of(4, 4) == 2
    for _ in range(3):
        board.time += EXPIRES_SECONDS / 4
        two.of(4, 4)
        assert one.of(4, 4) == 2
    board.time += EXPIRES_SECONDS + 1
    assert one.of(4, 4) == 4
    assert list(board.notes) == [f"{NOTES}one"]


@pytest.mark.parametrize("note", [b"no json", b"{}", b"7", json.dumps({"whole": 4}).encode()])
def test_a_note_that_nobody_can_read_counts_for_nothing(board: Board, note: bytes) -> None:
    board.notes[f"{NOTES}other"] = note
    assert board.join("one").of(4, 4) == 4


def test_a_note_with_more_than_is_known_is_read(board: Board) -> None:
    note = {**asdict(Part(4, 4, 1)), "later": True}
    board.notes[f"{NOTES}other"] = json.dumps(note).encode()
    assert board.join("one").of(4, 4) == 2


def test_a_run_leaves_whatever_ends_it(board: Board) -> None:
    def run() -> None:
        with joined("one") as ours:
            ours.of(4, 4)
            assert list(board.notes) == [f"{NOTES}one"]
            raise RuntimeError("over")

    with pytest.raises(RuntimeError, match="over"):
        run()
    assert board.notes == {}
