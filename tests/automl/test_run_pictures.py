"""A run in a notebook: pictures by one call, a frame with honest types, importance."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import raytao
from raytao.analysis.importance import TooFewTrials
from raytao.automl.run import Run
from raytao.errors import SettingsError
from raytao.report.pictures.gallery import KEYS
from raytao.space import Float
from raytao.space.conditions import Condition

SGD = Condition("==", "kind", "sgd")


def ran(folder: Path, trials: int) -> Run:
    """A run of ``ask`` and ``tell``, without Ray."""
    search = raytao.AutoML(
        space={
            "kind": ["sgd", "adam"],
            "lr": (1e-4, 1e-1),
            "layers": (1, 4),
            "flip": [True, False],
            "momentum": Float("momentum", 0.0, 0.99, conditions=(SGD,)),
        },
        metric="acc",
        brain={"name": "random", "max_recommendations": trials},
        results_dir=folder,
    )
    while (trial := search.ask()) is not None:
        if trial.number == 3:
            search.tell(trial, None)
        else:
            search.tell(trial, 1 - float(str(trial.params["lr"])))
    return raytao.open(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return ran(tmp_path_factory.mktemp("pictures") / "run", 16)


@pytest.mark.parametrize("key", [key for key in KEYS if key != "brackets"])
def test_every_picture_is_one_call_and_is_told_in_words(run: Run, key: str) -> None:
    chart = run.plot(key)
    assert chart._repr_png_().startswith(b"\x89PNG")
    assert repr(chart) == chart.caption
    assert len(chart.caption) > 20


def test_what_cannot_be_drawn_is_refused_with_its_reason(run: Run, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no 'brackets' to draw\. This brain has no rungs"):
        run.plot("brackets")
    with pytest.raises(SettingsError, match="no picture 'paralel'") as caught:
        run.plot("paralel")
    assert "parallel" in caught.value.remedy
    few = ran(tmp_path / "few", 5)
    with pytest.raises(SettingsError, match="10"):
        few.plot("importance")
    with pytest.raises(TooFewTrials):
        few.importance()


def test_a_table_has_numbers_where_there_are_numbers_and_na_where_there_is_nothing(
    run: Run,
) -> None:
    table = run.table()
    types = {name: str(kind) for name, kind in table.dtypes.items()}
    assert types["acc"] == types["lr"] == types["momentum"] == "float64"
    assert types["epochs"] == types["best_epoch"] == types["layers"] == "Int64"
    assert types["flip"] == "boolean"
    sgd = table["kind"] == "sgd"
    assert table["momentum"].notna().equals(sgd)
    assert pd.isna(table.loc[3, "acc"])
    assert pd.isna(table.loc[3, "best_epoch"])
    assert table.loc[3, "state"] == "failed"
    assert table["acc"].drop(index=3).notna().all()


def test_no_trial_of_a_run_that_nobody_drives_is_running(tmp_path: Path) -> None:
    search = raytao.AutoML(space={"lr": (0.0, 1.0)}, metric="acc", results_dir=tmp_path / "r")
    assert search.ask() is not None
    assert search.table()["state"].tolist() == ["running"]
    search.close()
    assert raytao.open(tmp_path / "r").table()["state"].tolist() == ["interrupted"]


def test_importance_is_a_frame_of_shares_with_their_intervals(run: Run) -> None:
    frame = run.importance()
    assert list(frame.columns) == ["kind", "parameter", "share", "low", "high"]
    assert frame.iloc[0][["kind", "parameter"]].tolist() == ["alone", "lr"]
    assert (frame["low"] <= frame["high"]).all()
    assert frame[frame["kind"] != "local"]["share"].sum() <= 1 + 1e-9
    assert frame.attrs["trials"] == 15
    assert any("failed" in note for note in frame.attrs["notes"])
    assert frame.equals(run.importance())


def test_a_run_tells_its_own_trackers_or_says_that_it_has_none(run: Run) -> None:
    with pytest.raises(SettingsError, match=r"no tracker\n.*raytao sync .* --tracker mlflow"):
        run.sync()


def test_the_page_tells_what_gpus_cost_where_their_price_is_given(
    run: Run, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="price"):
        run.report(tmp_path / "page.html", gpu_price=-1.0)
    assert not (tmp_path / "page.html").exists()
    run.report(tmp_path / "page.html", gpu_price=2.5)
    assert "2.5" in (tmp_path / "page.html").read_text()
