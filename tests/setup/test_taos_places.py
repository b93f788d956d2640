"""A run file in TAO's words, and arguments beside it: which wins, and where a mistake is."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytao.errors import SettingsError, UserError
from raytao.setup.reopen import relocated
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def setup_of(text: str, *assignments: str, network: str = "toy") -> Setup:
    Path("run.yaml").write_text(f"network: {network}\n{text}")
    return resolve("run.yaml", assignments)


def place_of(text: str, *assignments: str, network: str = "toy") -> str:
    """Where the error of a run file is said to be."""
    with pytest.raises(UserError) as caught:
        setup_of(text, *assignments, network=network)
    return str(caught.value.where)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("automl_settings:\n  metric: los\n", "run.yaml:3:3"),
        ("automl_settings:\n  automl_algorithm: asha\n", "run.yaml:3:3"),
        ("automl_settings:\n  automl_settings: {automl_R: 9}\n", "run.yaml:3:3"),
        ("automl_settings:\n  automl_remove_hyperparameters: [model.z]\n", "run.yaml:3:3"),
        ("slots: 1\nautoml_add_hyperparameters: [model.z]\n", "run.yaml:3:1"),
        (
            "search: {remove: [model.y]}\n"
            "automl_range_override:\n- {parameter: model.x, valid_max: 2}\n",
            "run.yaml:3:1",
        ),
        ("automl_range_override:\n- {parameter: model.x, valid_max: '2'}\n", "run.yaml:2:1"),
        ("automl_algorithm: h\nnu: 3\nR: 0\n", "run.yaml:4:1"),
        ("automl_algorithm: h\nautoml_reduction_factor: 3\nR: 0\n", "run.yaml:4:1"),
        ("R: 9\nautoml_Rr: 9\n", "run.yaml:3:1"),
    ],
)
def test_a_mistake_in_taos_words_is_shown_where_they_stand(text: str, place: str) -> None:
    assert place_of(text) == place


def test_a_name_that_the_spec_spells_otherwise_is_found_too() -> None:
    name = "classwise_config.value.cost_function_config.class_weight"
    text = (
        f"automl_add_hyperparameters: [{name}]\n"
        f"automl_range_override:\n- {{parameter: {name}, valid_min: 3, valid_max: 2}}\n"
    )
    assert place_of(text, network="detectnet_v2") == "run.yaml:3:1"


def test_a_mistake_in_an_argument_of_taos_is_not_the_files() -> None:
    said = "the argument 'automl_R=9'"
    assert place_of("automl_algorithm: bayesian\n", "automl_R=9") == said
    assert place_of("", "automl_R=9") == said


def test_the_brain_that_an_argument_names_reads_the_files_numbers() -> None:
    for argument in ("automl_algorithm=hyperband", "brain.name=hyperband"):
        setup = setup_of("automl_R: 4\nautoml_max_recommendations: 5\n", argument)
        assert setup.settings.brain == {"name": "hyperband", "R": 4}
        assert setup.notes[0] == "automl_max_recommendations: Bayesian's, not used by hyperband"


def test_an_argument_for_the_brain_of_a_run_that_names_none_is_for_the_usual_one() -> None:
    for argument in ("automl_max_recommendations=3", "brain.max_recommendations=3"):
        found = setup_of("", argument).settings.brain
        assert found == {"name": "bayesian", "max_recommendations": 3}
    found = setup_of("", "brain.R=4", "brain.name=hyperband").settings.brain
    assert found == {"name": "hyperband", "R": 4}


def test_a_run_is_lengthened_in_taos_words_too() -> None:
    setup = setup_of("brain: {name: bayesian, max_recommendations: 3}\n")
    more = relocated(setup, ["automl_max_recommendations=7"])
    assert more.settings.brain["max_recommendations"] == 7
    kept = relocated(setup, ["automl_delete_intermediate_ckpt='False'"])
    assert kept.settings.delete_intermediate_checkpoints is False
    for fixed in ("automl_algorithm=hyperband", "automl_enabled=False", "metric=loss"):
        with pytest.raises(SettingsError, match="cannot be changed when a run is resumed"):
            relocated(setup, [fixed])


def test_an_unknown_network_may_be_one_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hint = "more networks of TAO: pip install --no-deps nvidia-tao-core"
    for version, told in (("", True), ("7.3.0", False)):
        monkeypatch.setattr("raytao.tao.networks.installed", lambda found=version: found)
        with pytest.raises(UserError, match="unknown network 'rtdetrr'") as caught:
            setup_of("", network="rtdetrr")
        assert (hint in caught.value.remedy) is told


def test_a_network_that_no_folder_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ring").symlink_to("ring")
    for name in (r'"a\0b/"', "./ring", "ring/net"):
        assert place_of("", network=name) == "run.yaml:1:1"
