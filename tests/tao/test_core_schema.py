"""Networks of nvidia-tao-core as cards: what the package tells is told, and what is not mended.

The tables are those of TAO facts, section 3.5, of version 7.3.0, which is read here as it is.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core_packages import CONFIG, MISSING, PACKAGE, hide, package, use

from raytao.errors import SettingsError
from raytao.space import Eligibility, Row, build_space
from raytao.space.relations import literal
from raytao.spec import flatten
from raytao.tao.card import Card
from raytao.tao.core.fields import leaves
from raytao.tao.core.package import core_networks, load_schema, refused
from raytao.tao.core.schema import core_card
from raytao.types import Direction

TABLE = Path(__file__).with_name("core_enabled.csv")
LEAVES = {
    "classification_pyt": 174,
    "dino": 181,
    "segformer": 135,
    "mask2former": 196,
    "ocrnet": 140,
    "pointpillars": 114,
    "cosmos-rl": 87,
}
KPIS = {  # TAO facts, section 1.6, the column of 7.3
    "action_recognition": "val_acc",
    "bevfusion": "AP11",
    "centerpose": "val_3DIoU",
    "classification_pyt": "val_acc_1",
    "clip": "val/t2i_mAP",
    "cosmos-rl": "val/avg_loss",
    "deformable_detr": "val_mAP50",
    "depth_net_mono": "val/loss",
    "depth_net_stereo": "val/loss",
    "dino": "val_mAP50",
    "mask_grounding_dino": "[bbox] val_mAP@50",
    "ml_recog": "val Precision at Rank 1",
    "nvdinov2": "train_loss",
    "ocdnet": "hmean",
    "ocrnet": "val_acc",
    "oneformer": "mIoU",
    "optical_inspection": "val_acc",
    "pointpillars": "loss",
    "pose_classification": "val_acc",
    "re_identification": "cmc_rank_1",
    "rtdetr": "val_mAP50",
    "segformer": "val_miou",
    "sparse4d": "val_mAP",
    "stylegan_xl": "fid50k_full",
    "visual_changenet_classify": "val_acc",
    "visual_changenet_segment": "val_acc",
}
EPOCHS = {"cosmos-rl": ("train.epoch", 10), "classification_tf2": ("train.num_epochs", 80)} | {
    "efficientdet_tf2": ("train.num_epochs", 300),
    "dino": ("train.num_epochs", 10),
    "segformer": ("train.num_epochs", 10),
}
OF_OTHER_ACTIONS = (
    "distill.teacher.backbone.freeze_backbone",
    "distill.teacher.backbone.freeze_norm",
)


@pytest.fixture
def core() -> None:
    """NVIDIA's own package."""
    if find_spec(PACKAGE) is None:
        pytest.skip(MISSING)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with a network that is whole, and others that are not."""
    unserved = "@dataclass\nclass ExperimentConfig:\n    train: Train = SECTION(Train())\n"
    schemas = {
        "whole": "",
        "unserved": unserved,
        "broken": "import no_such_module\n",
        "unreadable": "class ExperimentConfig(\n",
        "tool": "@dataclass\nclass ExperimentConfig:\n    data: str = 'no training'\n",
    }
    several = {"whole": CONFIG, "whole_segment": SEGMENT, "broken": CONFIG}
    package(tmp_path, schemas, several | {"half": "{", "service": {"api_params": {}}})
    use(tmp_path, monkeypatch)


SEGMENT: dict[str, Any] = CONFIG | {
    "actions_mapping": {"*": {"network": "whole"}},
    "spec_params": {"train": {"model.task": "segment", "results_dir": "output_dir"}},
}


def enabled(card: Card) -> dict[str, Row]:
    return {r.parameter: r for r in card.table() if r.automl_enabled is Eligibility.SEARCHED}


def expected(network: str) -> Iterator[dict[str, Any]]:
    """TAO's rows of a network, as this one's columns have them."""
    with TABLE.open() as file:
        theirs = [row for row in csv.DictReader(file) if row.pop("network") == network]
    for row in theirs:
        weights = filter(None, row["option_weights"].split(","))
        yield {
            **row,
            "default_value": literal(row["default_value"]),
            "valid_min": float(row["valid_min"]) if row["valid_min"] else None,
            "valid_max": float(row["valid_max"]) if row["valid_max"] else None,
            "valid_options": tuple(filter(None, row["valid_options"].split(","))),
            "option_weights": tuple(map(float, weights)),
            "parent_param": row["parent_param"] == "TRUE",
        }


@pytest.mark.parametrize("network", LEAVES)
@pytest.mark.usefixtures("core")
def test_what_tao_enables_is_enabled_with_its_range(network: str) -> None:
    theirs = {row["parameter"]: row for row in expected(network)}
    for name in OF_OTHER_ACTIONS:  # mended: a training reads none of them
        theirs.pop(name, None)
    if "model.num_select" in theirs:  # mended: TAO has this rule in its code
        theirs["model.num_select"]["depends_on"] = "<= model.num_queries"
    if "train.optm_lr" in theirs:  # one of two types, of which TAO takes the first
        theirs["train.optm_lr"]["value_type"] = "float"
    found = enabled(core_card(network))
    assert sorted(found) == sorted(theirs)
    for name, row in theirs.items():
        own = {column: getattr(found[name], column) for column in row}
        assert own | {"default_value": literal(own["default_value"])} == row


@pytest.mark.parametrize("network", LEAVES)
@pytest.mark.usefixtures("core")
def test_every_leaf_of_a_schema_is_read(network: str) -> None:
    assert sum(1 for _ in leaves(load_schema(network))) == LEAVES[network]


@pytest.mark.usefixtures("core")
def test_each_network_has_taos_kpi_and_losses_are_minimized() -> None:
    assert {name: core_card(name).kpi for name in KPIS} == KPIS
    for name in core_networks():
        for metric, direction in core_card(name).metrics.items():
            assert (direction is Direction.MINIMIZE) >= ("loss" in metric), (name, metric)
    assert core_card("stylegan_xl").metrics["fid50k_full"] is Direction.MINIMIZE
    assert core_card("clip").metrics["val/t2i_MedR"] is Direction.MINIMIZE


@pytest.mark.usefixtures("core")
def test_each_network_has_taos_epoch_key_and_format() -> None:
    cards = {name: core_card(name) for name in EPOCHS}
    found = {n: (c.epoch_key, c.default_spec().get(c.epoch_key)) for n, c in cards.items()}
    assert found == EPOCHS
    formats = {core_card(name).default_spec().format for name in core_networks()}
    assert formats == {"yaml", "toml"}
    assert core_card("cosmos-rl").default_spec().format == "toml"


@pytest.mark.usefixtures("core")
def test_every_proposal_for_every_network_keeps_its_constraints() -> None:
    rng = np.random.default_rng(3)
    searched = 0
    for name in core_networks():
        card = core_card(name)
        rows = [row for row in card.table() if row.parameter != card.epoch_key]
        spec = flatten(card.default_spec().plain())
        if not any(row.searchable for row in enabled(card).values()):
            continue
        space, _ = build_space(rows, card.default_spec().plain(), epochs=spec[card.epoch_key])
        searched += len(space.parameters)
        for _ in range(20):
            params = space.decode(rng.random(space.dim))
            assert space.contains(params)
            values = {**spec, **params}
            if "model.num_select" in params:
                assert values["model.num_select"] <= values["model.num_queries"]
            if "dataset.augmentation.train_random_crop_max" in params:
                low, high = (f"dataset.augmentation.train_random_crop_{m}" for m in ("min", "max"))
                assert values[low] < values[high]
            if "policy.lora.r" in params:
                assert values["policy.lora.r"].bit_count() == 1
    assert searched > 300


@pytest.mark.usefixtures("core")
def test_every_network_that_tao_trains_is_there_but_those_it_refuses() -> None:
    names = core_networks()
    assert {*KPIS, "grounding_dino", "mae", "mask2former", "vila", "codetr"} <= {*names}
    for name in ("mal", "nvpanoptix3d"):
        assert name not in names
        with pytest.raises(SettingsError, match="cannot be True for unsupported network"):
            core_card(name)
        assert refused(name)
    assert not refused("dino")


@pytest.mark.usefixtures("core")
def test_a_network_that_the_service_starts_has_its_command() -> None:
    command = core_card("visual_changenet_segment").command
    assert command is not None
    assert command.train.startswith("visual_changenet train -e {spec} ")
    assert command.resume_args == "train.resume_training_checkpoint_path={checkpoint}"
    assert core_card("visual_changenet_segment").default_spec().get("task") == "segment"
    assert core_card("visual_changenet_classify").default_spec().get("task") == "classify"
    for name in ("vila", "cosmos-rl", "codetr"):
        card = core_card(name)
        assert card.command is None
        assert any("command: …" in sentence for sentence in card.unverified)


@pytest.mark.usefixtures("small")
def test_looking_for_networks_imports_nothing_of_the_package() -> None:
    assert core_networks() == ("broken", "unserved", "whole", "whole_segment")
    assert not [name for name in sys.modules if name.split(".")[0] == PACKAGE]


@pytest.mark.usefixtures("small")
def test_what_stands_in_for_omegaconf_is_gone_after_the_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = sys.modules.get("omegaconf")
    assert core_card("whole").default_spec().get("train.weights") == "???"
    assert sys.modules.get("omegaconf") is before
    with pytest.raises(SettingsError):
        core_card("broken")
    assert sys.modules.get("omegaconf") is before


@pytest.mark.usefixtures("small")
def test_a_schema_that_does_not_load_is_told_in_a_sentence_and_hides_no_other() -> None:
    with pytest.raises(SettingsError, match=r"'broken'.*ModuleNotFoundError.*no_such_module"):
        core_card("broken")
    assert core_card("whole").tao_version == "7.3.0"


@pytest.mark.usefixtures("small")
def test_a_default_spec_holds_what_a_training_reads_and_typed_values() -> None:
    card = core_card("whole")
    model = {"width": 1e10, "task": "classify", "num_queries": 300, "num_select": 300}
    optim = {"lr": 0.0002, "decay": 0.0, "betas": [0.9, 0.999], "nesterov": True, "step": 10}
    train = {"num_epochs": 12, "num_gpus": 1, "seed": 1234, "weights": "???"}
    assert card.default_spec().plain() == {
        "model": {**model, "rate": 1e-06},
        "train": {**train, "optim": {**optim, "odd": 3}},
        "distill": {**model, "rate": 1e-06},
    }
    assert core_card("whole_segment").default_spec().get("model.task") == "segment"
    assert (card.epoch_key, card.seed_key, card.gpus_key) == (
        "train.num_epochs",
        "train.seed",
        "train.num_gpus",
    )


@pytest.mark.usefixtures("small")
def test_rows_that_cannot_be_searched_as_they_stand_are_mended_and_told() -> None:
    card = core_card("whole")
    assert list(enabled(card)) == [
        "model.num_queries",
        "model.num_select",
        "model.rate",
        "train.optim.lr",
    ]
    rows = {row.parameter: row for row in card.table()}
    assert rows["model.rate"].value_type == "float"
    assert rows["train.optim.betas"].value_type == "list"
    assert rows["train.optim.lr"].description == "Rate of learning."
    assert "model.secret" not in rows
    assert "model.told" not in rows
    mended = "\n".join(card.mended)
    for what in (
        "model.num_select: never above model.num_queries",
        "train.optim.decay: not searched by default: range required",
        "distill.rate: not searched by default: distill is an action of its own",
        "fid50k_full is minimized",
    ):
        assert what in mended
    assert list(card.metrics) == ["val_acc", "val_loss", "fid50k_full"]


def test_without_the_package_there_are_no_networks_and_its_names_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hide(monkeypatch)
    assert core_networks() == ()
    with pytest.raises(SettingsError, match="not installed\n  pip install"):
        core_card("dino")
