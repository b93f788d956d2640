"""The page of a run as a file beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from raytao.report.page.cost import Price
from raytao.report.page.foreign import render_foreign
from raytao.report.page.whole import render
from raytao.runs.log import read_log
from raytao.runs.place import Place, store_at
from raytao.setup.folder import is_driven, open_folder
from raytao.setup.foreign import open_foreign
from raytao.tao import layout
from raytao.tao.foreign.known import is_foreign


def write_report(
    folder: Place, output: Place | None = None, *, gpu_price: float | None = None
) -> Place:
    """Write the page of the run in ``folder``, ours or one of TAO; return its path.

    Args:
        folder: the results folder.
        output: the file; without it, ``report.html`` in ``folder``.
        gpu_price: of an hour of a GPU, in any currency; with it, the page says what it cost.

    Raises:
        SettingsError: if that is no price.
        FolderError: if there is no run in it.
        DamagedRun: if its log cannot be trusted.
    """
    price = None if gpu_price is None else Price(gpu_price)
    now = datetime.now().astimezone()
    place = folder.resolve()  # the page is read from anywhere
    if is_foreign(place):
        page = render_foreign(open_foreign(place), now)
    else:
        setup, _ = open_folder(folder)
        records = read_log(store_at(folder), layout.EVENTS)
        page = render(
            replace(setup, results=place), records, now, driven=is_driven(folder), price=price
        )
    target = output or folder / layout.REPORT
    store_at(target.parent).replace(target.name, page.encode())
    return target
