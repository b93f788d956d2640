"""Stop, pause or cancel a run from outside: from another terminal, notebook or machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from raytao.errors import RaytaoError
from raytao.report.words import outcome
from raytao.runs.owner_file import Owner, owner_of
from raytao.runs.place import Place, store_at
from raytao.runs.process import Process
from raytao.runs.state import RunState
from raytao.runs.store import StoreError
from raytao.setup.ending import end
from raytao.setup.folder import open_folder, read_state
from raytao.setup.request import Ask, post, withdraw
from raytao.tao import layout
from raytao.trials.untold import take_in_untold

PATIENCE_SECONDS: Final = 300.0
"""Longest that one waits for a driver to do what it was asked."""

_LOOK_SECONDS: Final = 0.5

_UNTIL: Final[Mapping[Ask, str]] = {
    Ask.STOP: "its trials have ended the epochs they are in, and the winner is measured",
    Ask.PAUSE: "it has ended its trials and saved",
    Ask.CANCEL: "it has ended its trials",
}


class NotHeard(RaytaoError):
    """The driver has not done in time what it was asked."""


def ask_run(
    ask: Ask, folder: Place, say: Callable[[str], None], patience: float = PATIENCE_SECONDS
) -> RunState:
    """End the run in ``folder`` as ``ask`` says: by its driver, or in place of one that is gone.

    Args:
        ask: how it is to end.
        folder: its results folder.
        say: takes one line for people.
        patience: seconds to wait for the driver. Who stops waiting takes nothing back.

    Returns:
        The state that the run is left in.

    Raises:
        FolderError: if there is no run in the folder.
        NotHeard: if the driver has not done it in time.
        StoreError: if the folder cannot be read or written.
    """
    setup, state = open_folder(folder)
    if state.finished:
        say(f"{folder} is finished ({outcome(state)}); nothing to do")
        return state
    driver = owner_of(store_at(folder), layout.OWNER)
    asked = driver is not None and driver.seems_alive()
    if driver is not None and asked:
        state = _ask_driver(ask, folder, driver, say, patience)
        if state.finished or driver.process == Process.this():
            return state
    if ask is Ask.PAUSE:
        stands = "paused" if asked else f"nobody drives {folder}: nothing to do"
        say(f"{stands}; go on with: raytao resume {folder}")
        return state
    ended = end(setup, ask, say, take_in_untold)
    say(f"ended without a driver, so the test set is not measured: raytao evaluate {folder}")
    return ended


def _ask_driver(
    ask: Ask, folder: Place, driver: Owner, say: Callable[[str], None], patience: float
) -> RunState:
    """Ask, and wait until the driver has left the run."""
    store = store_at(folder.resolve())
    request = post(store, ask, driver.token)
    if driver.process == Process.this():  # a loop in this very thread will never answer
        say(f"asked this process to {ask.value} {folder}: it does as soon as it looks")
        return read_state(folder)
    say(f"asked {driver} to {ask.value}; waiting until {_UNTIL[ask]}")
    deadline = time.monotonic() + patience
    while _is_at_work(driver, folder):
        if time.monotonic() > deadline:
            raise NotHeard(_still_there(ask, folder, driver, patience))
        time.sleep(_LOOK_SECONDS)
    with suppress(StoreError):  # nobody else would do it: it names the driver that is gone
        withdraw(store, request)
    return read_state(folder)


def _is_at_work(driver: Owner, folder: Place) -> bool:
    """Whether it is there still; storage that cannot be read now does not say that it is gone."""
    try:
        owner = owner_of(store_at(folder), layout.OWNER)
    except StoreError:
        return True
    return owner is not None and owner.token == driver.token and owner.seems_alive()


def _still_there(ask: Ask, folder: Place, driver: Owner, patience: float) -> str:
    waited = f"{driver} is still at work after {patience:g} s"
    if read_state(folder).stopped is not None:
        return (
            f"{waited}, but it has heard: its trials end with the epochs they are in\n"
            f"  watch it with: raytao status {folder} --watch"
        )
    return (
        f"{waited} and has not answered; it was asked to {ask.value} and may still do it\n"
        f"  if it hangs: kill {driver.process.pid} (on {driver.process.host}), and then again: "
        f"raytao {ask.value} {folder}"
    )
