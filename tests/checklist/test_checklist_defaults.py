"""Row 26 of TAO's checklist: which parameters a network's search has by default."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from raytao.cli.main import main
from raytao.space import Eligibility
from raytao.tao.networks import find_card, known_networks


@pytest.mark.parametrize("network", known_networks())
def test_row_026_the_parameters_searched_by_default_are_told_for_every_network(
    network: str,
) -> None:
    done = CliRunner().invoke(main, ["params", network, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    listed = [entry["name"] for entry in told["searched"]]
    why = {entry["name"]: entry["why"] for entry in told["not_searchable"]}
    enabled = [r for r in find_card(network).table() if r.automl_enabled is Eligibility.SEARCHED]
    assert listed == [row.parameter for row in enabled if row.parameter not in why]
    assert all(why[row.parameter] for row in enabled if row.parameter not in listed)
