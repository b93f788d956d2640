"""Hyperband refuses a search that may choose a model without epochs; other brains do not."""

from __future__ import annotations

import pytest

from raytao.brains.base import Plan, PlanRow
from raytao.errors import SettingsError
from raytao.setup.epochless import refuse_rungs

HEAD = "model.head.type"
RUNGS = Plan((PlanRow(0, 0, trials=3, epochs=1), PlanRow(0, 1, trials=1, epochs=3)))
FULL = Plan((PlanRow(0, 0, trials=20, epochs=3),))


def test_rungs_and_a_model_without_epochs_exclude_each_other() -> None:
    said = "model.head.type .*Hyperband not supported when non-epoch based models are chosen"
    with pytest.raises(SettingsError, match=said) as caught:
        refuse_rungs(["lr", HEAD], [HEAD], RUNGS)
    assert caught.value.remedy.startswith("Change algorithm to bayesian")


@pytest.mark.parametrize(
    ("searched", "epochless", "plan"),
    [(["lr"], [HEAD], RUNGS), (["lr", HEAD], [], RUNGS), (["lr", HEAD], [HEAD], FULL)],
)
def test_what_is_not_searched_or_has_no_rungs_is_none_of_its_business(
    searched: list[str], epochless: list[str], plan: Plan
) -> None:
    refuse_rungs(searched, epochless, plan)
    assert HEAD in (*searched, *epochless)
