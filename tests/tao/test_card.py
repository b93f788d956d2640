"""Cards: what raytao knows of a network without importing its trainer."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytao import catalog
from raytao.errors import SettingsError
from raytao.networks.base import Network
from raytao.tao.card import Card, load_card
from raytao.testing.toy import Toy
from raytao.types import Direction

GOOD = (Path(__file__).parents[2] / "raytao/testing/toy/card.yaml").read_text()


class Plugin(Toy):
    """A network of another package, whose card lies in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def card_folder(self) -> Path | None:
        return self._folder


def card_of(folder: Path, text: str) -> Card:
    (folder / "card.yaml").write_text(text)
    return load_card(Plugin(folder))


@pytest.mark.parametrize("name", catalog.registered("raytao.networks"))
class TestEveryRegisteredNetwork:
    def network(self, name: str) -> Network:
        network: Network = catalog.load("raytao.networks", name, kind="network", base=Network)()
        return network

    def test_its_card_is_its_own(self, name: str) -> None:
        card = load_card(self.network(name))
        assert card.name == name
        assert card.description

    def test_the_spec_has_every_key_that_the_card_names(self, name: str) -> None:
        card = load_card(self.network(name))
        spec = card.default_spec()
        for key in filter(None, (card.epoch_key, card.seed_key, card.gpus_key)):
            assert isinstance(spec.get(key), int)
        assert card.batch_key is None or isinstance(spec.get(card.batch_key), int)

    def test_the_kpi_is_one_of_its_metrics(self, name: str) -> None:
        card = load_card(self.network(name))
        assert card.metric("kpi") == card.metric(card.kpi)
        assert card.kpi in card.metrics

    def test_the_spec_has_a_value_for_every_row_of_the_table(self, name: str) -> None:
        card = load_card(self.network(name))
        spec = card.default_spec()
        assert [row.parameter for row in card.table() if not spec.has(row.parameter)] == []


def test_a_metric_is_resolved_with_its_direction() -> None:
    card = load_card(Toy())
    assert card.metric("kpi") == ("value", Direction.MAXIMIZE)
    assert card.metric("loss") == ("loss", Direction.MINIMIZE)


def test_an_unknown_metric_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="'toy' reports no metric 'los'") as caught:
        load_card(Toy()).metric("los")
    assert caught.value.remedy == "did you mean 'loss'?"


def test_a_plugin_brings_its_own_folder(tmp_path: Path) -> None:
    card = card_of(tmp_path, GOOD.replace("kpi: value", "kpi: loss"))
    assert card.folder == tmp_path
    assert card.metric("kpi") == ("loss", Direction.MINIMIZE)


def test_a_missing_card_is_named_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"'toy' has no card: .*card\.yaml is missing"):
        load_card(Plugin(tmp_path))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epoch_key:", "epochkey:"),
        ("maximize", "upwards"),
        ("name: toy", "name: [toy"),
        ("kpi: value\n", ""),
        ("name: toy", "name: toy\nname: toy"),
    ],
)
def test_a_malformed_card_is_refused_with_its_path(old: str, new: str, tmp_path: Path) -> None:
    assert old in GOOD
    with pytest.raises(SettingsError, match=r"the card .*card\.yaml is malformed"):
        card_of(tmp_path, GOOD.replace(old, new))
