"""``AutoML.fit`` on Ray: TAO's pasted settings run, and the results are at hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

import raytao
from raytao.errors import FolderError, SettingsError
from raytao.setup.folder import read_state
from raytao.testing.places import local

pytestmark = [pytest.mark.ray, pytest.mark.integration]

# As a notebook of TAO 5.2 sends them (TAO facts: settings keys, 5.0-5.5).
TAO_5_2: dict[str, Any] = {
    "automl_enabled": True,
    "automl_algorithm": "bayesian",
    "metric": "kpi",
    "automl_max_recommendations": 4,
    "automl_delete_intermediate_ckpt": "False",
    "automl_R": 27,
    "automl_nu": 3,
    "epoch_multiplier": 10,
    "automl_add_hyperparameters": "['model.depth']",
    "automl_remove_hyperparameters": "[\"train.optim.momentum\", 'model.dropout']",
    "override_automl_disabled_params": False,
}
# As a job of TAO 7.3 is created (TAO facts: settings keys, 7.3).
TAO_7_3: dict[str, Any] = {
    "automl_settings": {
        "automl_enabled": True,
        "automl_algorithm": "hyperband",
        "automl_delete_intermediate_ckpt": True,
        "override_automl_disabled_params": False,
        "automl_hyperparameters": "['train.optim.lr', 'model.width', 'model.depth']",
        "automl_range_override": [
            {"parameter": "train.optim.lr", "valid_min": 0.001, "valid_max": 0.02},
            {"parameter": "model.width", "valid_options": [8, 12]},
        ],
        "algorithm_specific_params": {
            "automl_max_epochs": 3,
            "automl_reduction_factor": 3,
            "epoch_multiplier": 1,
        },
        "metric": "val_loss",
    }
}
DIGITS = {"dataset.name": "digits", "dataset.train_fraction": 0.2, "train.num_epochs": 3}


@pytest.fixture(scope="module", autouse=True)
def own_ray() -> Iterator[None]:
    """A Ray that the user started, as notebooks do."""
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def search(folder: Path, **settings: Any) -> raytao.AutoML:
    return raytao.AutoML(
        network="image_classification", set=DIGITS, results_dir=folder, **settings
    )


def test_settings_of_tao_5_2_run(tmp_path: Path) -> None:
    run = search(tmp_path / "run", **TAO_5_2).fit()
    table = run.table()
    assert len(table) == 4
    assert "model.depth" in table
    assert not {"train.optim.momentum", "model.dropout"} & set(table.columns)
    assert run.status == "Done"
    best = run.best
    assert best is not None
    assert best.metric == "val_acc"
    assert best.value == table["val_acc"].max()
    weights = [*(tmp_path / "run").glob("experiment_*/weights/*.pth")]
    assert len({path.parent for path in weights}) == 4, "the string 'False' keeps checkpoints"


def test_settings_of_tao_7_3_run(tmp_path: Path) -> None:
    run = search(tmp_path / "run", **TAO_7_3).fit()
    table = run.table()
    assert sorted(table["epochs"]) == [1, 1, 3]
    assert {"train.optim.lr", "model.width", "model.depth"} == set(table.columns[5:])
    drawn = table.drop(index=0)  # recommendation 0 is the user's spec
    assert drawn["train.optim.lr"].between(0.001, 0.02).all()
    assert drawn["model.width"].isin([8, 12]).all()
    best = run.best
    assert best is not None
    assert best.metric == "val_loss"
    assert best.value == table["val_loss"].min()


def test_with_automl_off_the_users_spec_is_trained_once(tmp_path: Path) -> None:
    off = {**TAO_5_2, "automl_enabled": "False"}
    run = search(tmp_path / "run", **off).fit()
    assert len(run.table()) == 1
    assert run.baseline is not None
    assert run.best is not None
    assert run.best.number == run.baseline.number == 0
    assert read_state(tmp_path / "run").epochs == 3


def test_a_misspelt_key_of_taos_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    settings = {k: v for k, v in TAO_5_2.items() if k != "automl_max_recommendations"}
    with pytest.raises(SettingsError, match="automl_max_recomendations") as refused:
        search(tmp_path / "run", **settings, automl_max_recomendations=3)
    assert "did you mean 'automl_max_recommendations'?" in refused.value.remedy
    inner = {**TAO_7_3["automl_settings"], "automl_algoritm": "hyperband"}
    with pytest.raises(SettingsError, match="automl_algoritm") as refused:
        search(tmp_path / "run", automl_settings=inner)
    assert "did you mean 'automl_algorithm'?" in refused.value.remedy
    assert not (tmp_path / "run").exists()


def test_the_users_own_ray_is_used_and_left_running(tmp_path: Path) -> None:
    before = ray.get_runtime_context().gcs_address
    brain = {"name": "random", "max_recommendations": 1}
    tuner = search(tmp_path / "run", brain=brain)
    tuner.fit()
    assert ray.is_initialized()
    assert ray.get_runtime_context().gcs_address == before
    with pytest.raises(FolderError, match="finished"):
        tuner.fit()
    assert tuner.fit(resume=True).status == "Done"


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_the_best_is_loaded_measured_and_exported(tmp_path: Path) -> None:
    import torch

    run = search(tmp_path / "run", brain={"name": "random", "max_recommendations": 2}).fit()
    best = run.best
    assert best is not None
    tested = read_state(tmp_path / "run").tested
    assert tested is not None
    assert best.evaluate() == tested.metrics
    module = best.load()
    pixels = torch.zeros(3, 1, 8, 8)
    answer = module(pixels)
    assert answer.shape == (3, 10)
    with pytest.raises(FolderError, match="not 99"):
        dataclasses.replace(best, number=99).load()
    with pytest.raises(FolderError, match=r"no weights.*\n.*ctx\.save"):
        dataclasses.replace(best, checkpoint=None).load()
    read: Any = torch.jit.load  # torch ships no types for it
    exported = read(best.export("torchscript", tmp_path / "model.pt"))
    assert torch.allclose(exported(pixels), answer, atol=1e-5)


def test_a_run_shows_itself(tmp_path: Path) -> None:
    run = search(tmp_path / "run", brain={"name": "random", "max_recommendations": 2}).fit()
    assert eval(repr(run), {"raytao": raytao}).table().equals(run.table())
    page = run._repr_html_()
    assert "Done" in page
    assert "2 of 2" in page
    for what in ("incumbent", "curves"):
        assert run.plot(what)._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(SettingsError, match=r"no .brackets. to draw"):
        run.plot("brackets")
    with pytest.raises(SettingsError, match=r"no picture .curve."):
        run.plot("curve")
    assert local(run.report()).read_text().startswith("<!")
