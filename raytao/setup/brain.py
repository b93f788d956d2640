"""Which brain a run asks for."""

from __future__ import annotations

from raytao import catalog
from raytao.brains.base import Brain, BrainSettings
from raytao.errors import SettingsError
from raytao.setup.places import Places
from raytao.setup.settings import Settings, validate


def find_brain(settings: Settings, place: Places) -> tuple[type[Brain], BrainSettings]:
    """The brain that the settings name, and its own settings, checked.

    Raises:
        SettingsError: if there is no such brain, or it refuses a key or a value.
    """
    keys = dict(settings.brain)
    name = keys.pop("name", None)
    with place.blame({"brain": ["brain", "name"]}):
        if not isinstance(name, str):
            raise SettingsError("'brain.name' is missing", remedy="for example brain: bayesian")
        cls: type[Brain] = catalog.load("raytao.brains", name, kind="brain", base=Brain)
    return cls, validate(cls.Settings, keys, place=place, below="brain")
