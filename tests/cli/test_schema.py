"""The schema of run files knows what the settings know: every key and no other one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types
from pydantic import BaseModel

from raytao import catalog
from raytao.brains.base import Brain
from raytao.cli.main import main
from raytao.errors import RaytaoError, SettingsError
from raytao.networks.command import CommandSettings
from raytao.setup.brain import find_brain
from raytao.setup.places import Places
from raytao.setup.reference import run_file_reference
from raytao.setup.resources import Resources, When
from raytao.setup.schema import names_of, run_file_schema
from raytao.setup.settings import Search, Settings, Tracking, validate
from raytao.spec import Document
from raytao.tao.automl.keys import KEYS
from raytao.tao.automl.settings import from_tao
from raytao.tao.card import card_folders

ROOT = Path(__file__).parents[2]
NOWHERE = Places("here")
CHECK = Draft202012Validator(run_file_schema())

EVERYTHING: Mapping[str, Any] = {
    "network": "image_classification",
    "command": {"timeout_s": 3600, "status": {"csv": "metrics.csv"}},
    "spec": "my_spec.yaml",
    "set": {"train": {"num_epochs": 20}, "train.optim.lr": 0.1},
    "metric": {"name": "val_loss", "direction": "minimize"},
    "brain": {"name": "hyperband", "automl_R": 9, "nu": 3, "mode": "sync"},
    "search": {
        "automl_add_hyperparameters": ["model.depth"],
        "remove": ["train.optim.momentum"],
        "ranges": {"train.optim.lr": [0.001, 0.05], "model.width": {"valid_options": [16, 24]}},
    },
    "initial": [{"train.optim.lr": 0.01}, "recommendation_7.yaml"],
    "warm_start": {"runs": ["results/earlier"], "best": 3},
    "resources": {
        "cpus": 2,
        "gpus": "1 if model.width > 64 else 0.5",
        "custom": {"disk": 1.0},
        "when": [{"if": "model.width > 128", "gpus": 2, "labels": {"size": "large"}}],
    },
    "slots": 4,
    "limits": {"idle_seconds": 1800},
    "retries": {"failures": 1, "smaller_batch": 2, "alike": None},
    "budget": {"hours": 8, "epochs": 500},
    "checkpoint_gb": 50,
    "seed": 1,
    "results_dir": "results/my_run",
    "evaluate": False,
    "automl_delete_intermediate_ckpt": True,
    "address": "auto",
    "tracking": {"name": "mlflow", "uri": "http://127.0.0.1:5000", "experiment": "mine"},
}
SHORT: Sequence[Mapping[str, Any]] = [
    {"metric": "kpi"},
    {"brain": "random"},
    {"brain": "package.brains:Mine"},
    {"brain": {"name": "package.brains:Mine", "of": "its own"}},
    {"warm_start": "results/earlier"},
    {"warm_start": ["results/earlier"]},
    {"warm_start": None},
    {"tracking": "tensorboard"},
    {"tracking": ["mlflow", {"name": "tensorboard"}]},
    {"tracking": None},
    {"spec": None, "slots": None},
    {"command": {"status": {"stdout": "jsonl"}}},
    *({"command": {"status": {name: "status.txt"}}} for name in ("tao_jsonl", "jsonl", "csv")),
    {"command": {"status": {"regex": r"(?P<epoch>\d+) (?P<acc>\S+)", "file": "log.txt"}}},
]
WRONG: Sequence[Mapping[str, Any]] = [
    {"slots": 0},
    {"slots": "many"},
    {"seed": -1},
    {"metric": {"direction": "up"}},
    {"brain": {"mode": "sync"}},
    {"brain": {"name": "hyperband", "mode": "often"}},
    {"brain": "hyperbant"},
    {"budget": {"hours": 0}},
    {"search": {"add": "model.depth"}},
    {"search": {"ranges": {"model.depth": [1, 2, 3]}}},
    {"resources": {"when": [{"gpus": 1}]}},
    {"warm_start": {"best": 3}},
    {"network": 3},
]


def complaints(data: Mapping[str, Any]) -> list[str]:
    return [f"{list(e.absolute_path)}: {e.message[:200]}" for e in CHECK.iter_errors(data)]


def refused(data: Mapping[str, Any]) -> bool:
    """Whether the settings, TAO's names read, or the brain's own refuse it."""
    try:
        told = from_tao(data, own=Settings.model_fields)
        found: Settings = validate(Settings, told.settings, place=NOWHERE)
        if ":" not in str(found.brain.get("name")):
            find_brain(found, NOWHERE)
        if found.command:
            whole = {"train": "x {spec}", "status": {"stdout": "jsonl"}, **found.command}
            validate(CommandSettings, whole, place=NOWHERE)
    except SettingsError:
        return True
    return False


def yaml_blocks(text: str) -> Iterator[str]:
    """Blocks of YAML in a Markdown page that are run files, whole or in part."""
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        if not re.search(r"^(epoch_key|kpi):", block, re.MULTILINE):  # a network's card
            yield block


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(run_file_schema())
    result = CliRunner().invoke(main, ["schema"])
    assert json.loads(result.stdout) == run_file_schema()


def test_a_run_file_with_everything_is_valid() -> None:
    assert not refused({k: v for k, v in EVERYTHING.items() if k != "command"})
    assert complaints(EVERYTHING) == []


@pytest.mark.parametrize("short", SHORT, ids=map(str, SHORT))
def test_every_short_form_is_valid(short: Mapping[str, Any]) -> None:
    data = {"network": "toy", **short}
    assert complaints(data) == []
    assert not refused(data)


@pytest.mark.parametrize("wrong", WRONG, ids=map(str, WRONG))
def test_a_wrong_value_is_none_for_the_schema_too(wrong: Mapping[str, Any]) -> None:
    data = {"network": "toy", **wrong}
    assert refused(data)
    assert complaints(data)


@pytest.mark.parametrize("file", sorted((ROOT / "configs/runs").glob("*.yaml")), ids=str)
def test_shipped_run_files_are_valid(file: Path) -> None:
    assert complaints(Document.load(file).plain()) == []


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_run_files_in_the_documentation_are_valid(page: Path) -> None:
    for block in yaml_blocks(page.read_text()):
        try:
            data = Document.parse(block, file=str(page)).plain()
        except RaytaoError:
            continue  # no whole file: two ways to write a line, say
        if data.keys() <= CHECK.schema["properties"].keys():
            assert complaints({"network": "toy", **data}) == [], block


def test_the_readme_has_a_run_file_with_every_section() -> None:
    (block,) = (b for b in yaml_blocks(PAGES[0].read_text()) if "checkpoint_gb" in b)
    assert complaints(Document.parse(block, file="README.md").plain()) == []


@pytest.mark.parametrize("network", ["image_classification", "detectnet_v2", "unet"])
@pytest.mark.parametrize("brain", ["bayesian", "hyperband", "random"])
def test_drafts_are_valid(network: str, brain: str, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    CliRunner().invoke(main, ["init", network, "--brain", brain, "-o", str(file)])
    assert complaints(Document.load(file).plain()) == []


def places(data: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all mappings whose keys the settings know."""
    free = {("set",), ("initial", 0), ("resources", "custom"), ("search", "ranges")}
    if isinstance(data, Mapping):
        if above not in free:
            yield above
        for key, value in data.items():
            if above != ("set",):
                yield from places(value, (*above, key))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from places(value, (*above, number))


PLACES = [
    place
    for place in places(EVERYTHING)
    if place != ("resources", "when", 0, "labels") and place[:1] != ("command",)
]


@settings(max_examples=60)
@given(place=st.sampled_from(PLACES), key=st.text(st.sampled_from("abnR_u."), max_size=6))
def test_a_key_that_the_settings_do_not_know_is_none_for_the_schema(
    place: tuple[Any, ...], key: str
) -> None:
    data = json.loads(json.dumps({k: v for k, v in EVERYTHING.items() if k != "command"}))
    inner = data
    for step in place:
        inner = inner[step]
    known = place == ("brain",) and key == "R"  # `automl_R` stands there: the same thing twice
    if key not in inner and not known:
        inner[key] = None
        assert complaints(data) or not refused(data)


@pytest.mark.parametrize("section", ["automl_settings", "automl_information"])
def test_taos_names_are_known_where_tao_has_them(section: str) -> None:
    for name in KEYS:
        data = {"network": "toy", name: None}
        assert (complaints(data) == []) or name in Settings.model_fields or refused(data), name
    inside = {section: {"automl_R": "27", "network_arch": "toy", "metric": "kpi"}}
    assert complaints(inside) == []
    assert complaints({section: {"automl_Q": 1}})
    assert complaints({"automl_R": 27})  # no network


def test_every_key_of_the_models_is_in_the_reference() -> None:
    page = run_file_reference()
    brains = [
        catalog.load("raytao.brains", name, kind="brain", base=Brain).Settings
        for name in ("bayesian", "hyperband", "random")
    ]
    models: list[type[BaseModel]] = [Settings, Resources, When, Search, Tracking, CommandSettings]
    for model in (*models, *brains):
        for name, field in model.model_fields.items():
            first, *others = names_of(name, field)
            assert re.search(rf"^\| `([a-z_]+\.)?{first}` \| .+ \| .+ \| .+ \|$", page, re.M), name
            assert all(f"`{other}`" in page for other in others), others
    assert all(f"| `{name}` |" in page for name in KEYS)


def test_every_key_has_a_description() -> None:
    def walk(schema: Any, path: str = "") -> Iterator[str]:
        for name, part in schema.get("properties", {}).items():
            if not part.get("description"):
                yield f"{path}.{name}"
            yield from walk(part, f"{path}.{name}")
        for choice in schema.get("anyOf", ()):
            yield from walk(choice, path)

    schema = run_file_schema()
    assert list(walk(schema)) == []
    for name, part in schema["$defs"].items():
        assert list(walk(part, name)) == []


def test_the_toy_and_the_cards_are_networks_for_editors() -> None:
    known = CHECK.schema["properties"]["network"]["anyOf"][0]["enum"]
    assert set(card_folders()) <= set(known)
    assert "toy" not in known
