"""Parameters that choose what is not trained by epochs, and brains that go by epochs."""

from __future__ import annotations

from collections.abc import Collection

from raytao.brains.base import Plan
from raytao.errors import SettingsError


def refuse_rungs(searched: Collection[str], epochless: Collection[str], plan: Plan) -> None:
    """Refuse rungs where a searched parameter may choose a trainer that has no epochs.

    A trial that cannot be stopped early, nor gone on with, has nothing that a rung could compare:
    of TAO's networks ``model.head.type`` of classification_pyt is such a choice.

    Args:
        searched: names of the parameters that are searched.
        epochless: names of those that may choose such a trainer.
        plan: of the brain.

    Raises:
        SettingsError: in TAO's words, naming the parameter.
    """
    chosen = [name for name in searched if name in epochless]
    if chosen and any(row.rung > 0 for row in plan.rows):
        raise SettingsError(
            f"{', '.join(chosen)} may choose a model that is not trained by epochs: Hyperband not "
            "supported when non-epoch based models are chosen",
            remedy="Change algorithm to bayesian, or take it out of the search (search.remove)",
        )
