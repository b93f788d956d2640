"""The run file's model: what may be written, and the sentence for everything else."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from raytao.errors import SettingsError
from raytao.setup.places import Places
from raytao.setup.settings import Settings, validate
from raytao.spec import read_yaml
from raytao.types import Direction


def read(text: str) -> Settings:
    node = read_yaml(f"network: toy\n{text}", file="run.yaml")
    settings: Settings = validate(Settings, dict(node), place=Places("run.yaml", node))
    return settings


def refused(text: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        read(text)
    return caught.value


def test_a_network_is_all_that_must_be_given() -> None:
    settings = read("")
    assert settings.metric.name == "kpi"
    assert settings.metric.direction is None
    assert settings.brain == {"name": "bayesian"}
    assert (settings.seed, settings.slots, settings.evaluate) == (0, None, True)
    assert settings.delete_intermediate_checkpoints
    assert (settings.resources.cpus, settings.resources.gpus) == (1, 0)


def test_a_name_alone_is_short_for_a_section() -> None:
    settings = read("metric: loss\nbrain: hyperband\n")
    assert settings.metric.name == "loss"
    assert settings.brain == {"name": "hyperband"}
    assert read("metric: {name: loss, direction: maximize}").metric.direction is Direction.MAXIMIZE


@pytest.mark.parametrize(
    ("ours", "tao"),
    [
        ("search: {add: [a.b]}", "search: {additional_automl_parameters: [a.b]}"),
        ("search: {remove: [a.b]}", "search: {remove_default_automl_parameters: [a.b]}"),
        (
            "search: {override_disabled: true}",
            "search: {override_automl_disabled_params: true}",
        ),
        ("delete_intermediate_checkpoints: false", "automl_delete_intermediate_ckpt: false"),
    ],
)
def test_tao_s_own_names_mean_the_same(ours: str, tao: str) -> None:
    assert read(ours) == read(tao) != read("")


EMPTY = "give it a value"


@pytest.mark.parametrize(
    ("text", "line", "said", "remedy"),
    [
        ("slts: 2", 2, "unknown key 'slts'", "did you mean 'slots'?"),
        ("seed: 1\nmetrics: loss", 3, "unknown key 'metrics'", "did you mean 'metric'?"),
        (
            "resources:\n  cpus: 1\n  gpu: 1",
            4,
            "unknown key 'resources.gpu'",
            "did you mean 'gpus'?",
        ),
        (
            "search:\n  ranges:\n    a.b: {valid_mn: 1}",
            4,
            "unknown key 'search.ranges.a.b.valid_mn'",
            "did you mean 'valid_min'?",
        ),
        ("slots: many", 2, "'slots' must be an integer, not 'many'", ""),
        ("slots: 1.5", 2, "'slots' must be an integer, not 1.5", ""),
        ("slots: true", 2, "'slots' must be an integer, not True", ""),
        ("slots: '2'", 2, "'slots' must be an integer, not '2'", "write it without quotes: 2"),
        ("seed:", 2, "'seed' must be an integer, not empty", EMPTY),
        ("brain:", 2, "'brain' must be a mapping of keys to values, not empty", EMPTY),
        ("warm_start: {run: y}", 2, "unknown key 'warm_start.run'", "did you mean 'runs'?"),
        (
            "search: {ranges: {a.b: 3}}",
            2,
            "'search.ranges.a.b' must be two bounds, or a mapping, not 3",
            "for example a.b: [0.001, 0.1]; its keys: valid_min, valid_max, valid_options, "
            "option_weights, math_cond, depends_on",
        ),
        (
            "search: {ranges: [a.b]}",
            2,
            "'search.ranges' must be a mapping of keys to values, not ['a.b']",
            "for example ranges: {train.optim.lr: [0.001, 0.1]}",
        ),
        ("slots: 0", 2, "'slots' is 0; it should be greater than or equal to 1", ""),
        ("seed: -1", 2, "'seed' is -1; it should be greater than or equal to 0", ""),
        ("evaluate: maybe", 2, "'evaluate' must be true or false, not 'maybe'", ""),
        ("spec: 3", 2, "'spec' must be a string, not 3", ""),
        (
            "brain: 3",
            2,
            "'brain' must be a mapping of keys to values, not 3",
            "for example brain: bayesian",
        ),
        (
            "search: {add: a.b}",
            2,
            "'search.add' must be a list, not 'a.b'",
            "write search.add: [a.b]",
        ),
        ("search: {add: [3]}", 2, "'search.add.0' must be a string, not 3", ""),
        (
            "search: []",
            2,
            "'search' must be a mapping of keys to values, not []",
            "its keys: add, remove, ranges, only, override_disabled",
        ),
        ("resources: {gpus: -1}", 2, "'resources.gpus' is -1; it should be", ""),
        ("resources: {cpus: [2]}", 2, "'resources.cpus' must be a number, not [2]", ""),
        ("limits:\n  seconds: 0", 3, "'limits.seconds' is 0; it should be greater than 0", ""),
        (
            "metric: {name: loss, direction: up}",
            2,
            "'metric.direction' is 'up'; it should be 'maximize' or 'minimize'",
            "",
        ),
    ],
)
def test_a_mistake_is_told_with_line_value_rule_and_remedy(
    text: str, line: int, said: str, remedy: str
) -> None:
    error = refused(text)
    assert error.where is not None
    assert (error.where.file, error.where.line) == ("run.yaml", line)
    assert error.message.startswith(said)
    assert error.remedy == remedy
    assert str(error).startswith(f"run.yaml:{line}:")


def test_a_missing_key_is_named_with_what_to_add() -> None:
    with pytest.raises(SettingsError, match=r"^run\.yaml: 'network' is missing\n  add network:"):
        validate(Settings, {}, place=Places("run.yaml"))


def test_settings_cannot_be_changed_and_survive_json() -> None:
    settings = read("metric: {name: loss, direction: minimize}\nslots: 2\nset: {a.b: [1, 2]}")
    with pytest.raises(ValueError, match="frozen"):
        settings.slots = 3
    assert Settings.model_validate(settings.model_dump(mode="json")) == settings


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    R: int = Field(default=27, ge=2)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"r": 9}, "run.yaml:4:3: unknown key 'brain.r'"),
        ({"R": 1}, "run.yaml:3:3: 'brain.R' is 1; it should be greater than or equal to 2"),
    ],
)
def test_keys_of_a_part_are_named_from_the_top_of_the_file(
    keys: dict[str, Any], said: str
) -> None:
    node = read_yaml("network: toy\nbrain:\n  R: 1\n  r: 9\n", file="run.yaml")
    with pytest.raises(SettingsError) as caught:
        validate(Inner, keys, place=Places("run.yaml", node), below="brain")
    assert str(caught.value).startswith(said)


class TestPlaces:
    NODE = read_yaml("network: toy\nset:\n  train.lr: 1\nbrain:\n  R: 9\n", file="run.yaml")

    @pytest.mark.parametrize(
        ("keys", "line"),
        [
            (["network"], 1),
            (["set", "train.lr"], 3),
            (["brain", "R"], 5),
            (["brain", "nu"], 4),
            (["brain", "R", "deeper"], 5),
            (["seed"], None),
        ],
    )
    def test_a_key_is_where_it_or_the_nearest_above_it_was_written(
        self, keys: list[str], line: int | None
    ) -> None:
        where = Places("run.yaml", self.NODE)(keys)
        assert (where.file, where.line) == ("run.yaml", line)

    @pytest.mark.parametrize(
        ("keys", "argument"),
        [
            (["brain", "R"], "brain.R=3"),
            (["set", "train.lr"], "train.lr=x"),
            (["resources", "cpus"], "resources={}"),
        ],
    )
    def test_an_argument_that_overrides_a_line_is_named_instead(
        self, keys: list[str], argument: str
    ) -> None:
        places = Places("run.yaml", self.NODE, ("brain.R=3", "train.lr=x", "resources={}"))
        assert places(keys).file == f"the argument {argument!r}"
