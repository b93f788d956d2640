"""The public names as directives of autodoc."""

from __future__ import annotations

from typing import Final

SECTIONS: Final = {
    "Tune": (
        ("autoclass", "raytao.AutoML"),
        ("autofunction", "raytao.open"),
        ("autoclass", "raytao.Run"),
        ("autoclass", "raytao.automl.Recommendation"),
    ),
    "In a Ray Tune script": (
        ("autoclass", "raytao.tune.BayesianSearch"),
        ("autoclass", "raytao.tune.HyperbandScheduler"),
    ),
    "Brains": (
        ("autoclass", "raytao.brains.base.Brain"),
        ("autoclass", "raytao.brains.base.Task"),
        ("autoclass", "raytao.brains.base.Plan"),
    ),
    "Networks": (
        ("autoclass", "raytao.networks.base.Network"),
        ("autoclass", "raytao.networks.base.TrainContext"),
    ),
    "Trackers": (("autoclass", "raytao.tracking.base.Tracker"),),
    "Errors": tuple(
        ("autoexception", f"raytao.errors.{name}")
        for name in (
            *("RaytaoError", "UserError", "SettingsError", "SpecError", "TableError"),
            *("SpaceError", "BudgetError", "DataError", "FolderError", "DamagedRun", "NewerRun"),
        )
    ),
}
"""Heading -> (directive, what it describes)."""


def api_reference() -> str:
    """A section a subject."""
    return "\n\n".join(
        "\n".join([f"## {title}", "", "```{eval-rst}", *map(_directive, entries), "```"])
        for title, entries in SECTIONS.items()
    )


def _directive(entry: tuple[str, str]) -> str:
    kind, name = entry
    members = "   :members:\n" if kind == "autoclass" else ""
    return f".. {kind}:: {name}\n{members}"
