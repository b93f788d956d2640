"""A budget that is checked before a run begins."""

from __future__ import annotations

from raytao.errors import SettingsError
from raytao.setup.places import Places
from raytao.setup.settings import Settings


def refuse_endless(settings: Settings, place: Places) -> None:
    """Refuse a budget that can never be spent: the user counts on it.

    Raises:
        SettingsError: if hours of GPUs are counted in a run whose trials get none.
    """
    if settings.budget.gpu_hours is not None and settings.resources.without_gpu:
        raise SettingsError(
            f"budget.gpu_hours is {settings.budget.gpu_hours:g}, but trials get no GPU "
            "(resources.gpus: 0): it could never be spent",
            where=place(["budget", "gpu_hours"]),
            remedy="give trials a GPU (resources.gpus: 1), or set budget.hours or budget.epochs",
        )
