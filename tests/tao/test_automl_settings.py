"""What users paste from TAO's notebooks becomes what a run file of raytao would say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.brains.base import Brain
from raytao.brains.bayesian import Bayesian
from raytao.brains.hyperband import Hyperband
from raytao.errors import SettingsError
from raytao.setup.places import Places
from raytao.setup.settings import Settings, validate
from raytao.tao.automl.keys import (
    DISABLED,
    INSIDE,
    KEYS,
    LEAST,
    LONGEST,
    NEAREST,
    NOTHING,
    SECTION,
    WITHOUT_EFFECT,
)
from raytao.tao.automl.settings import Translated, from_tao
from raytao.types import Json

OWN = tuple(Settings.model_fields)

NOTEBOOK_5_2 = {  # its variables, as the documentation names them
    "network_arch": "image_classification",
    "metric": "kpi",
    "automl_enabled": True,
    "automl_algorithm": "Bayesian",
    "max_recommendations": 20,
    "R": 27,
    "nu": 3,
    "epoch_multiplier": 1,
    "additional_automl_parameters": ["model.dropout"],
    "remove_default_automl_parameters": [],
}
WIRE_5_2 = {  # what it sends
    "network_arch": "image_classification",
    "metric": "kpi",
    "automl_enabled": True,
    "automl_algorithm": "Bayesian",
    "automl_max_recommendations": 20,
    "automl_R": 27,
    "automl_nu": 3,
    "epoch_multiplier": 1,
    "automl_add_hyperparameters": "['model.dropout']",
    "automl_remove_hyperparameters": "[]",
}
BODY_5_5 = {
    "network_arch": "image_classification",
    "metric": "kpi",
    "automl_settings": {
        "automl_enabled": True,
        "automl_algorithm": "hyperband",
        "automl_max_recommendations": 20,
        "automl_delete_intermediate_ckpt": True,
        "override_automl_disabled_params": False,
        "automl_R": 27,
        "automl_nu": 3,
        "epoch_multiplier": 1,
        "automl_add_hyperparameters": "['model.dropout', 'train.batch_size']",
        "automl_remove_hyperparameters": "['train.optim.lr']",
    },
}
JOB_7_3 = {
    "network_arch": "image_classification",
    "automl_settings": {
        "automl_enabled": True,
        "automl_algorithm": "hyperband",
        "automl_delete_intermediate_ckpt": "False",
        "override_automl_disabled_params": True,
        "automl_hyperparameters": '["train.optim.lr", "train.optim.name"]',
        "automl_range_override": [
            {"parameter": "train.optim.lr", "valid_min": 0.001, "valid_max": 0.1},
            {
                "parameter": "train.optim.name",
                "valid_options": ["sgd", "adamw"],
                "option_weights": [0.3, 0.7],
                "valid_min": None,
                "math_cond": None,
                "depends_on": None,
                "disable_list": False,
            },
        ],
        "algorithm_specific_params": {
            "automl_max_epochs": 27,
            "automl_reduction_factor": 3,
            "epoch_multiplier": 1,
        },
        "metric": "val_acc",
    },
}

TEXT = st.text("aR_.0'\"\\[],{}: \t\n\x00é\u2028\U0001f600")
"""What quoting stumbles over; all of Unicode takes seconds to tabulate in a fresh checkout."""

BRAINS: dict[str, type[Brain]] = {"bayesian": Bayesian, "hyperband": Hyperband}
FLAGS = ("automl_enabled", "automl_delete_intermediate_ckpt", "override_automl_disabled_params")
NUMBERS = tuple(n for n, k in KEYS.items() if k.owner and k.means != NOTHING)
LISTS = tuple(n for n, k in KEYS.items() if k.means in ("search.add", "search.remove"))

NO_LISTS: list[Json] = [
    *("train.optim.lr", "['a'", "{'a'}", "('a',)", "[x]", "['a'] + ['b']", "1", "None"),
    *("__import__('os').getcwd()", "[" * 4000, "-" * 4000 + "1", "['\\d', '\x00']"),
    *(3, {"a": 1}, b"[]"),
]


BLANKS: list[Json] = [None, "", [], False]


def translated(given: Mapping[str, Json]) -> Translated:
    return from_tao(given, own=OWN)


def settings(**given: Json) -> dict[str, Json]:
    return translated(given).settings


def refused(**given: Json) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        translated(given)
    return caught.value


def checked(found: Translated) -> Settings:
    """The translation, after raytao's own check of a run file."""
    ready: Settings = validate(Settings, found.settings, place=Places("AutoML(…)"))
    return ready


class TestWholeDictionaries:
    @pytest.mark.parametrize("pasted", [NOTEBOOK_5_2, WIRE_5_2], ids=["notebook", "wire"])
    def test_5_2_flat(self, pasted: dict[str, Json]) -> None:
        found = translated(pasted)
        assert found.settings == {
            "network": "image_classification",
            "metric": "kpi",
            "brain": {"name": "bayesian", "max_recommendations": 20},
            "search": {"add": ["model.dropout"]},
        }
        assert len(found.notes) == 1
        assert found.notes[0].endswith("epoch_multiplier: Hyperband's, not used by bayesian")

    def test_5_2_in_its_own_variable(self) -> None:
        inside = {k: v for k, v in WIRE_5_2.items() if k != "network_arch"}
        pasted = {"network_arch": "image_classification", "automl_information": inside}
        assert translated(pasted) == translated(WIRE_5_2)

    def test_5_5_nested(self) -> None:
        assert translated(BODY_5_5) == Translated(
            {
                "network": "image_classification",
                "metric": "kpi",
                "brain": {"name": "hyperband", "R": 27, "nu": 3, "epoch_multiplier": 1},
                "search": {
                    "add": ["model.dropout", "train.batch_size"],
                    "remove": ["train.optim.lr"],
                    "override_disabled": False,
                },
                "delete_intermediate_checkpoints": True,
            },
            ("automl_max_recommendations: Bayesian's, not used by hyperband",),
        )

    def test_7_3_nested_twice(self) -> None:
        assert translated(JOB_7_3) == Translated(
            {
                "network": "image_classification",
                "metric": "val_acc",
                "brain": {"name": "hyperband", "R": 27, "nu": 3, "epoch_multiplier": 1},
                "search": {
                    "only": ["train.optim.lr", "train.optim.name"],
                    "ranges": {
                        "train.optim.lr": {"valid_min": 0.001, "valid_max": 0.1},
                        "train.optim.name": {
                            "valid_options": ["sgd", "adamw"],
                            "option_weights": [0.3, 0.7],
                        },
                    },
                    "override_disabled": True,
                },
                "delete_intermediate_checkpoints": False,
            }
        )

    def test_7_3_unpacked(self) -> None:
        inside: Any = JOB_7_3["automl_settings"]
        pasted = {"network": "image_classification", **inside}
        assert translated(pasted) == translated(JOB_7_3)

    @pytest.mark.parametrize("pasted", [NOTEBOOK_5_2, WIRE_5_2, BODY_5_5, JOB_7_3])
    def test_raytao_itself_accepts_what_comes_out(self, pasted: dict[str, Json]) -> None:
        ready = checked(translated(pasted))
        brain = dict(ready.brain)
        model = BRAINS[brain.pop("name")].Settings
        assert model.model_validate(brain).model_dump(include=set(brain)) == brain

    def test_the_users_dictionaries_are_left_alone(self) -> None:
        pasted = {**JOB_7_3, "brain": None, "search": {"add": []}}
        before = json.dumps(pasted)
        translated(pasted)
        assert json.dumps(pasted) == before


class TestRaytaosOwn:
    @given(st.dictionaries(st.sampled_from(OWN), st.integers() | TEXT | st.just({"x": [1]})))
    def test_settings_of_raytao_alone_stay_as_they_are(self, given: dict[str, Json]) -> None:
        assert translated(given) == Translated(given, ())

    @given(st.dictionaries(st.sampled_from(["spec", "set", "seed", "slots"]), st.integers()))
    def test_they_stay_as_they_are_beside_taos(self, given: dict[str, Json]) -> None:
        found = translated({**given, **WIRE_5_2}).settings
        assert found == {**given, **translated(WIRE_5_2).settings}

    def test_a_brain_stays_as_given_where_tao_adds_nothing(self) -> None:
        found = translated({"brain": "hyperband", "automl_enabled": True, "automl_settings": {}})
        assert found == Translated({"brain": "hyperband"})

    @pytest.mark.parametrize("brain", ["hyperband", {"name": "hyperband"}])
    def test_a_brain_is_given_taos_numbers(self, brain: Json) -> None:
        assert settings(brain=brain, automl_R=9)["brain"] == {"name": "hyperband", "R": 9}

    def test_random_reads_the_number_of_trials(self) -> None:
        found = translated({"brain": "random", "max_recommendations": 4, "R": 9})
        assert found.settings["brain"] == {"name": "random", "max_recommendations": 4}
        assert found.notes == ("R: Hyperband's, not used by random",)

    def test_a_brain_of_a_plugin_is_given_all_that_raytao_has_a_word_for(self) -> None:
        found = translated(
            {"brain": "own", "max_recommendations": 4, "R": 9, "automl_max_trials": 7}
        )
        assert found.settings["brain"] == {"name": "own", "max_recommendations": 4, "R": 9}
        assert found.notes == ("automl_max_trials: ASHA's, not used by own",)

    @pytest.mark.parametrize("name", ["R", "automl_R", "automl_max_epochs"])
    def test_two_values_for_one_number_are_refused(self, name: str) -> None:
        error = refused(brain={"name": "hyperband", name: 9}, automl_R=27)
        assert error.message == f"brain.{name} is 9, but automl_R is 27"
        assert error.remedy == "both set brain.R: keep one of them"

    def test_a_search_is_merged_where_the_keys_are_others(self) -> None:
        found = settings(search={"add": ["a"]}, automl_remove_hyperparameters="['b']")
        assert found["search"] == {"add": ["a"], "remove": ["b"]}

    @pytest.mark.parametrize("name", ["add", "additional_automl_parameters"])
    def test_a_search_that_says_otherwise_is_refused(self, name: str) -> None:
        error = refused(search={name: ["a"]}, automl_add_hyperparameters="['b']")
        assert error.message == f"search.{name} is ['a'], but automl_add_hyperparameters is ['b']"

    @pytest.mark.parametrize("name", ["add", "additional_automl_parameters"])
    def test_a_search_that_says_the_same_is_kept(self, name: str) -> None:
        found = settings(search={name: ["a"]}, automl_add_hyperparameters="['a']")
        assert found["search"] == {name: ["a"]}

    def test_an_empty_list_of_tao_leaves_the_search_as_given(self) -> None:
        found = translated({"search": {"only": ["a"]}, "automl_hyperparameters": "[]"})
        assert found == Translated({"search": {"only": ["a"]}, "brain": {"name": "bayesian"}})

    @pytest.mark.parametrize("name", ["network_arch", "model_name"])
    def test_two_networks_are_refused(self, name: str) -> None:
        assert settings(network="toy", **{name: "toy"})["network"] == "toy"
        assert refused(network="toy", **{name: "dino"}).message == (
            f"network is 'toy', but {name} is 'dino'"
        )

    @pytest.mark.parametrize(("section", "value"), [("brain", 3), ("search", 3), ("search", "a")])
    def test_a_section_that_is_no_mapping_is_refused(self, section: str, value: Json) -> None:
        error = refused(**{section: value}, automl_hyperparameters="['a']")
        assert error.message == f"'{section}' must be a mapping of keys to values, not {value!r}"

    @pytest.mark.parametrize("section", ["brain", "search"])
    def test_none_is_no_value_of_the_users(self, section: str) -> None:
        assert settings(network=None, network_arch="toy")["network"] == "toy"
        found = settings(**{section: None}, automl_add_hyperparameters=["a"])
        assert found == {"brain": {"name": "bayesian"}, "search": {"add": ["a"]}}


class TestAlgorithm:
    @pytest.mark.parametrize(
        ("name", "brain"),
        [
            ("bayesian", "bayesian"),
            ("Bayesian", "bayesian"),
            ("b", "bayesian"),
            ("HyperBand", "hyperband"),
            ("H", "hyperband"),
        ],
    )
    def test_its_name_in_any_case(self, name: str, brain: str) -> None:
        assert settings(automl_algorithm=name)["brain"] == {"name": brain}

    def test_bayesian_unless_it_is_named(self) -> None:
        assert settings(network_arch="toy") == {"network": "toy", "brain": {"name": "bayesian"}}

    @pytest.mark.parametrize("name", NEAREST)
    def test_what_raytao_has_not_is_refused_by_name(self, name: str) -> None:
        error = refused(automl_algorithm=name.upper())
        known = f"TAO's algorithm {name.upper()!r} is not among raytao's brains"
        assert error.message == f"automl_algorithm: {known}"
        said = "it may be bayesian, hyperband; nearest is "
        assert error.remedy.removeprefix(said).startswith(("bayesian", "hyperband"))

    def test_a_misspelt_one_is_refused_with_the_nearest(self) -> None:
        error = refused(automl_settings={"automl_algorithm": "Hyperbnd"})
        assert error.message == (
            "automl_settings.automl_algorithm must be one of: bayesian, hyperband; not 'Hyperbnd'"
        )
        assert error.remedy == "did you mean 'hyperband'?"

    def test_a_brain_and_an_algorithm_are_refused(self) -> None:
        error = refused(brain="hyperband", automl_algorithm="h")
        assert "automl_algorithm names the brain 'hyperband', but brain is" in error.message

    @pytest.mark.parametrize("name", NUMBERS)
    def test_its_number_may_be_a_string(self, name: str) -> None:
        owner = KEYS[name].owner
        assert settings(automl_algorithm=owner, **{name: "27"}) == settings(
            automl_algorithm=owner, **{name: 27}
        )
        part = KEYS[name].means.removeprefix("brain.")
        assert settings(automl_algorithm=owner, **{name: " 27"})["brain"][part] == 27

    @pytest.mark.parametrize("name", NUMBERS)
    def test_a_number_below_the_least_is_refused_in_taos_words(self, name: str) -> None:
        least, rule = LEAST[KEYS[name].means]
        pasted = {"automl_algorithm": KEYS[name].owner}
        other = {"nu": 2} if KEYS[name].means == "brain.R" else {}
        assert translated({**pasted, **other, name: least}).settings["brain"]
        for number in (least - 1, -3, str(least - 1)):
            error = refused(automl_settings={**pasted, name: number})
            assert error.message == f"automl_settings.{name} is {int(number)}: {rule}"

    @pytest.mark.parametrize("name", NUMBERS)
    def test_a_number_that_nobody_uses_is_not_looked_at(self, name: str) -> None:
        other = "Bayesian" if KEYS[name].owner == "Hyperband" else "Hyperband"
        found = translated({"automl_algorithm": other, name: -1})
        assert found.settings == {"brain": {"name": other.lower()}}

    @given(st.integers(2, 99), st.integers(2, 99))
    def test_a_nu_beyond_r_is_refused_wherever_the_two_stand(self, R: int, nu: int) -> None:
        for pasted in (
            {"automl_algorithm": "h", "automl_R": R, "automl_nu": nu},
            {"brain": {"name": "hyperband", "R": R}, "automl_nu": nu},
            {"brain": {"name": "hyperband", "nu": nu}, "automl_max_epochs": R},
        ):
            if nu <= R:
                assert translated(pasted).settings["brain"]
            else:
                assert "automl_reduction_factor must be less than" in refused(**pasted).message

    def test_a_nu_beyond_the_default_r_is_refused(self) -> None:
        assert refused(automl_algorithm="h", nu=28).message == (
            "nu is 28: automl_reduction_factor must be less than or equal to automl_max_epochs"
        )
        assert settings(automl_algorithm="h", nu=27)["brain"]["nu"] == 27

    @pytest.mark.parametrize("value", [True, 2.5, 27.0, "R", "", "2.5", [27], "9" * 5000])
    @pytest.mark.parametrize("name", NUMBERS)
    def test_a_number_of_another_type_is_refused(self, name: str, value: Json) -> None:
        assert refused(**{name: value}).message.startswith(f"{name!r} must be an integer, not ")

    def test_one_note_tells_of_all_that_is_not_used(self) -> None:
        pasted = {"automl_R": 27, "automl_max_trials": 9, "automl_nu": 3, "automl_kde_samples": 64}
        found = translated(pasted)
        assert found.settings == {"brain": {"name": "bayesian"}}
        assert found.notes == (
            "automl_R, automl_nu: Hyperband's; automl_max_trials: ASHA's; "
            "automl_kde_samples: BOHB's, not used by bayesian",
        )


class TestPlainTraining:
    @pytest.mark.parametrize("off", [False, "False", "false"])
    def test_one_training_and_a_note(self, off: Json) -> None:
        found = translated({"network_arch": "toy", "automl_enabled": off})
        assert found.settings == {
            "network": "toy",
            "brain": {"name": "bayesian", "max_recommendations": 1},
        }
        assert found.notes == (
            "automl_enabled is False: one training of the train spec as it stands, no search",
        )

    @given(
        st.dictionaries(
            st.sampled_from([n for n, k in KEYS.items() if n not in FLAGS and k.means != SECTION]),
            st.none() | st.integers() | TEXT,
        )
    )
    def test_what_says_how_to_search_is_not_looked_at(self, junk: dict[str, Json]) -> None:
        kept = ("metric", "network_arch", "model_name", "poll_automl_stats")
        search = {name: value for name, value in junk.items() if name not in kept}
        off = {"automl_enabled": False, "automl_algorithm": "asha"}
        assert translated({**off, **search}) == translated({"automl_enabled": False})

    def test_an_unknown_key_is_refused_all_the_same(self) -> None:
        assert refused(automl_enabled=False, automl_r=27).message == "unknown key 'automl_r'"

    def test_a_brain_contradicts_it(self) -> None:
        error = refused(automl_enabled=False, brain="hyperband")
        assert "automl_enabled is False, which means no search, but brain is" in error.message


class TestFlags:
    @pytest.mark.parametrize("name", FLAGS[1:])
    def test_the_string_false_is_false(self, name: str) -> None:
        for text in ("False", "false", "True", "true"):
            flag = text.lower() == "true"
            assert settings(**{name: text}) == settings(**{name: flag})
        assert settings(**{name: "False"}) != settings(**{name: "True"})

    @pytest.mark.parametrize("value", [[], {}, 0, 1, 0.0, "", "yes", "no"])
    @pytest.mark.parametrize("name", FLAGS)
    def test_anything_else_is_refused(self, name: str, value: Json) -> None:
        error = refused(automl_settings={name: value})
        path = f"automl_settings.{name}"
        assert error.message == f"'{path}' must be True or False, not {value!r}"

    @pytest.mark.parametrize("name", [n for n, k in KEYS.items() if k.means != SECTION])
    def test_none_is_no_value(self, name: str) -> None:
        default = translated({"automl_settings": None})
        assert default == Translated({"brain": {"name": "bayesian"}})
        given: dict[str, Json] = {"automl_settings": {name: None}}
        found = translated(given)
        assert found.settings == default.settings
        assert len(found.notes) == (name == "automl_hyperparameters")

    @pytest.mark.parametrize("value", [True, "True", False, "false"])
    def test_what_a_notebook_shows_is_a_note(self, value: Json) -> None:
        (note,) = translated({"poll_automl_stats": value}).notes
        shown = "status indicators: raytao status" if value in (True, "True") else "raytao logs"
        assert shown in note
        assert translated({"poll_automl_stats": value}).settings == settings(automl_settings={})
        assert "must be True or False" in refused(poll_automl_stats="yes").message


class TestLists:
    @given(st.sampled_from(LISTS), st.lists(TEXT))
    def test_the_string_of_a_list_is_that_list(self, name: str, names: list[str]) -> None:
        for text in (str(names), json.dumps(names), f"  {names}\n"):
            if len(text) <= LONGEST:
                assert settings(**{name: text}) == settings(**{name: names})

    @given(st.lists(TEXT, min_size=1))
    def test_the_whole_list_of_7_3_too(self, names: list[str]) -> None:
        assert settings(automl_hyperparameters=str(names))["search"] == {"only": names}

    @pytest.mark.parametrize("empty", ["", " ", "[]", [], None, ()])
    @pytest.mark.parametrize("name", [*LISTS, "automl_range_override"])
    def test_an_empty_one_changes_nothing(self, name: str, empty: Json) -> None:
        assert translated({name: empty}) == Translated({"brain": {"name": "bayesian"}})

    @pytest.mark.parametrize("empty", ["", "[]", [], None])
    def test_an_empty_whole_list_is_the_default_search_and_told(self, empty: Json) -> None:
        found = translated({"automl_settings": {"automl_hyperparameters": empty}})
        assert found.settings == {"brain": {"name": "bayesian"}}
        assert found.notes == (
            "automl_settings.automl_hyperparameters is empty: the network's default search; "
            "TAO would search nothing",
        )

    @pytest.mark.parametrize("value", NO_LISTS)
    @pytest.mark.parametrize("name", [*LISTS, "automl_hyperparameters", "automl_range_override"])
    def test_what_is_no_list_is_refused_with_its_value(self, name: str, value: Json) -> None:
        message = refused(**{name: value}).message
        assert message.startswith(f"{name!r} must be a list such as [")
        assert f"not {value!r}"[:60] in message

    @given(st.text(alphabet="[]{}()'\",:\\-~01ejT "))
    def test_no_string_does_worse_than_being_refused(self, text: str) -> None:
        try:
            found = settings(automl_add_hyperparameters=text)
        except SettingsError:
            return
        assert all(type(name) is str for name in found.get("search", {}).get("add", []))

    def test_a_name_that_is_no_string_is_refused(self) -> None:
        error = refused(automl_add_hyperparameters="['a', 3]")
        assert error.message == (
            "'automl_add_hyperparameters[1]' must be the name of a parameter, not 3"
        )

    def test_the_longest_string_is_taos(self) -> None:
        fits = json.dumps(["x" * (LONGEST - 4)])
        assert len(fits) == LONGEST
        assert settings(automl_add_hyperparameters=fits)["search"]["add"] == json.loads(fits)
        error = refused(automl_add_hyperparameters=fits + " ")
        assert "must be at most 5000 characters long" in error.message
        assert len(error.message) < 200


class TestRanges:
    def test_the_string_of_a_list_is_that_list(self) -> None:
        ranges: Any = JOB_7_3["automl_settings"]
        override = ranges["automl_range_override"]
        found = settings(automl_range_override=override)
        assert list(found["search"]["ranges"]) == ["train.optim.lr", "train.optim.name"]
        assert settings(automl_range_override=json.dumps(override)) == found
        assert settings(automl_range_override=str(override)) == found

    @pytest.mark.parametrize("key", WITHOUT_EFFECT)
    def test_what_has_no_effect_is_told(self, key: str) -> None:
        for blank in BLANKS:
            quiet = translated({"automl_range_override": [{"parameter": "lr", key: blank}]})
            assert quiet.settings["search"]["ranges"] == {"lr": {}}
            assert quiet.notes == ()
        entry = {"parameter": "lr", "valid_max": 1, key: True}
        found = translated({"automl_settings": {"automl_range_override": str([entry])}})
        assert found.settings["search"]["ranges"] == {"lr": {"valid_max": 1}}
        (note,) = found.notes
        path = f"automl_settings.automl_range_override[0].{key}"
        assert note == f"{path} has no effect: {WITHOUT_EFFECT[key]}"

    @pytest.mark.parametrize("key", ["math_cond", "depends_on"])
    def test_a_condition_is_replaced_or_taken_away(self, key: str) -> None:
        for text in ("> 0", ""):
            found = settings(automl_range_override=[{"parameter": "lr", key: text}])
            assert found["search"]["ranges"] == {"lr": {key: text}}
        error = refused(automl_range_override=[{"parameter": "lr", key: 3}])
        assert error.message == f"'automl_range_override[0].{key}' must be a string, not 3"

    def test_one_number_is_searched_between_lists_if_no_list_is_wanted(self) -> None:
        entry = {"parameter": "lr", "valid_min": [1e-5, 1e-6], "valid_max": [1e-3, 1e-4]}
        found = translated({"automl_range_override": [{**entry, "disable_list": True}]})
        bounds = {"valid_min": 1e-5, "valid_max": 1e-3}
        assert found.settings["search"]["ranges"] == {"lr": bounds}
        assert found.notes == ()
        error = refused(automl_range_override=[entry])
        assert "Parameter 'lr': ranges of lists are not searched" in error.message

    @pytest.mark.parametrize(
        ("low", "high", "said"),
        [
            ([1], [2, 3], "Parameter 'lr': valid_min and valid_max must have same length"),
            ([1, 5], [2, 5], "Parameter 'lr': valid_min[1] must be less than valid_max[1]"),
            ([1], 2, "valid_min and valid_max must both be lists, or both numbers"),
            (None, [2], "valid_min and valid_max must both be lists, or both numbers"),
            (["a"], [2], "'automl_range_override[0].valid_min[0]' must be a number"),
            ([True], [2], "'automl_range_override[0].valid_min[0]' must be a number"),
        ],
    )
    def test_lists_that_are_no_range_are_refused(self, low: Json, high: Json, said: str) -> None:
        entry = {"parameter": "lr", "valid_min": low, "valid_max": high, "disable_list": True}
        assert said in refused(automl_range_override=[entry]).message

    def test_an_unknown_key_is_refused_with_the_nearest(self) -> None:
        error = refused(automl_range_override=[{"parameter": "lr"}, {"parametr": "x"}])
        assert error.message == "unknown key 'automl_range_override[1].parametr'"
        assert error.remedy == "did you mean 'parameter'?"

    @pytest.mark.parametrize("item", [{}, {"parameter": None}, {"parameter": ""}])
    def test_an_entry_without_a_parameter_is_refused(self, item: Json) -> None:
        error = refused(automl_range_override=[item])
        assert "'automl_range_override[0].parameter' must be the name" in error.message

    def test_an_entry_that_is_no_mapping_is_refused(self) -> None:
        error = refused(automl_range_override=["lr"])
        assert "'automl_range_override[0]' must be a mapping such as {" in error.message

    def test_a_parameter_may_have_one_range(self) -> None:
        low, high = {"parameter": "lr", "valid_min": 0.1}, {"parameter": "lr", "valid_max": 0.2}
        assert settings(automl_range_override=[low, low])["search"]["ranges"] == {
            "lr": {"valid_min": 0.1}
        }
        assert refused(automl_range_override=[low, high]).remedy == (
            "both set search.ranges.lr: keep one of them"
        )

    def test_a_bound_of_zero_is_a_bound(self) -> None:
        item = {"parameter": "lr", "valid_min": 0, "valid_max": 0.5}
        assert settings(automl_range_override=[item])["search"]["ranges"] == {
            "lr": {"valid_min": 0, "valid_max": 0.5}
        }


class TestNames:
    @pytest.mark.parametrize("means", ["brain.R", "brain.nu", "brain.max_recommendations"])
    @given(number=st.integers(2, 27))
    def test_all_spellings_of_a_number_mean_the_same(self, means: str, number: int) -> None:
        spellings = [name for name, key in KEYS.items() if key.means == means]
        owner = KEYS[spellings[0]].owner
        fits = {} if means != "brain.R" else {"nu": 2}
        found = [settings(automl_algorithm=owner, **fits, **{name: number}) for name in spellings]
        brain = {"name": owner.lower(), **fits, means.removeprefix("brain."): number}
        assert found == [{"brain": brain}] * len(spellings)

    @pytest.mark.parametrize("means", ["search.add", "search.remove"])
    @given(names=st.lists(TEXT, min_size=1))
    def test_all_spellings_of_a_list_mean_the_same(self, means: str, names: list[str]) -> None:
        spellings = [name for name, key in KEYS.items() if key.means == means]
        found = [settings(**{name: names})["search"] for name in spellings]
        assert found == [{means.removeprefix("search."): names}] * 2

    @pytest.mark.parametrize("name", KEYS)
    def test_a_dropped_letter_is_refused_with_the_right_name(self, name: str) -> None:
        for i in range(len(name)):
            wrong = name[:i] + name[i + 1 :]
            error = refused(**{wrong: 1})
            assert error.message == f"unknown key {wrong!r}"
            if wrong:
                assert error.remedy == f"did you mean {name!r}?"

    @pytest.mark.parametrize("section", INSIDE)
    def test_inside_a_section_too(self, section: str) -> None:
        for name in INSIDE[section]:
            error = refused(**{section: {name[:-1] + "~": 1}})
            assert error.message == f"unknown key '{section}.{name[:-1]}~'"
            if len(name) > 2:
                assert error.remedy == f"did you mean {name!r}?"

    @pytest.mark.parametrize(
        ("wrong", "right"),
        [
            ("metrc", "metric"),
            ("automl_max_recomendations", "automl_max_recommendations"),
            ("results_dr", "results_dir"),
        ],
    )
    def test_raytaos_names_and_taos_are_suggested(self, wrong: str, right: str) -> None:
        assert refused(**{wrong: 1}).remedy == f"did you mean {right!r}?"

    def test_raytaos_names_have_no_place_inside_taos_sections(self) -> None:
        error = refused(automl_settings={"seed": 3})
        assert error.message == "unknown key 'automl_settings.seed'"

    def test_the_search_has_no_place_among_the_numbers_of_an_algorithm(self) -> None:
        error = refused(algorithm_specific_params={"automl_hyperparameters": "[]"})
        assert error.message == "unknown key 'algorithm_specific_params.automl_hyperparameters'"

    @pytest.mark.parametrize("section", INSIDE)
    def test_a_section_is_a_mapping(self, section: str) -> None:
        error = refused(**{section: "{}"})
        assert error.message == f"'{section}' must be a mapping of keys to values, not '{{}}'"

    @pytest.mark.parametrize("name", ["automl_R", "automl_max_trials"])
    def test_a_name_given_twice_must_say_the_same(self, name: str) -> None:
        once: dict[str, Json] = {"automl_algorithm": "h", name: 27}
        assert translated({**once, "algorithm_specific_params": {name: 27}}) == translated(once)
        error = refused(**once, automl_settings={name: 9})
        assert error.message == f"{name} is 27, but automl_settings.{name} is 9"

    def test_equal_values_may_be_written_differently(self) -> None:
        assert settings(automl_algorithm="h", R=27, automl_R="27")["brain"]["R"] == 27
        found = settings(automl_add_hyperparameters="['a']", additional_automl_parameters=["a"])
        assert found["search"] == {"add": ["a"]}

    def test_a_metric_inside_and_outside_must_be_the_same(self) -> None:
        inside = {"metric": "kpi"}
        assert settings(metric="kpi", automl_settings=inside)["metric"] == "kpi"
        error = refused(metric="loss", automl_settings=inside)
        assert error.message == "metric is 'loss', but automl_settings.metric is 'kpi'"

    def test_every_name_tells_the_versions_that_know_it(self) -> None:
        versions = {key.found for key in KEYS.values()}
        assert versions <= {"5.0", "5.0-5.2", "5.0-5.5", "5.0-7.3", "5.3-7.3", "7.3"}


class TestNetworks:
    @pytest.mark.parametrize("name", DISABLED)
    def test_one_that_tao_has_no_search_for_is_refused(self, name: str) -> None:
        for pasted in (
            {"network": name},
            {"network_arch": name, "automl_enabled": True},
            {"automl_information": {"model_name": name}},
        ):
            assert refused(**pasted).message == (
                f"automl_enabled cannot be True for unsupported network {name!r}"
            )
        assert settings(network_arch=name, automl_enabled=False)["network"] == name

    def test_the_metric_that_no_network_logs_is_told(self) -> None:
        assert "'kpi' is the network's own" in translated({"metric": "map", "nu": 3}).notes[1]
        assert translated({"metric": "map"}).notes == ()
