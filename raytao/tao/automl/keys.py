"""The names of TAO's AutoML settings: what each means in a run file, and what it may be.

Names of 5.0-5.5 in the notebooks' spelling and on the wire, and those of 7.3. Facts: TAO facts,
1.2, 1.3, 2.2 and 2.11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from raytao.types import freeze

SECTION: Final = "(further keys)"
SWITCH: Final = "(search or plain training)"
SHOWN: Final = "(what a notebook shows while it waits)"
NOTHING: Final = "(an algorithm that raytao has not)"


@dataclass(frozen=True)
class Key:
    """One of TAO's names.

    ``means`` is the dotted setting of a run file, or SECTION, SWITCH, SHOWN, NOTHING; ``found``
    the versions of TAO that know the name; ``owner`` the algorithm that alone reads it.
    """

    means: str
    found: str
    owner: str = ""


KEYS: Final[Mapping[str, Key]] = freeze(
    {
        "automl_information": Key(SECTION, "5.0-5.2"),
        "automl_settings": Key(SECTION, "5.3-7.3"),
        "algorithm_specific_params": Key(SECTION, "7.3"),
        "automl_enabled": Key(SWITCH, "5.0-7.3"),
        "automl_algorithm": Key("brain.name", "5.0-7.3"),
        "metric": Key("metric", "5.0-7.3"),
        "model_name": Key("network", "5.0-5.2"),
        "network_arch": Key("network", "5.0-7.3"),
        "poll_automl_stats": Key(SHOWN, "5.0"),
        "automl_max_recommendations": Key("brain.max_recommendations", "5.0-7.3", "Bayesian"),
        "max_recommendations": Key("brain.max_recommendations", "5.0-5.5", "Bayesian"),
        "R": Key("brain.R", "5.0-5.5", "Hyperband"),
        "automl_R": Key("brain.R", "5.0-5.5", "Hyperband"),
        "automl_max_epochs": Key("brain.R", "7.3", "Hyperband"),
        "nu": Key("brain.nu", "5.0-5.5", "Hyperband"),
        "automl_nu": Key("brain.nu", "5.0-5.5", "Hyperband"),
        "automl_reduction_factor": Key("brain.nu", "7.3", "Hyperband"),
        "epoch_multiplier": Key("brain.epoch_multiplier", "5.0-7.3", "Hyperband"),
        "additional_automl_parameters": Key("search.add", "5.0-5.5"),
        "automl_add_hyperparameters": Key("search.add", "5.0-5.5"),
        "remove_default_automl_parameters": Key("search.remove", "5.0-5.5"),
        "automl_remove_hyperparameters": Key("search.remove", "5.0-5.5"),
        "automl_hyperparameters": Key("search.only", "7.3"),
        "automl_range_override": Key("search.ranges", "7.3"),
        "override_automl_disabled_params": Key("search.override_disabled", "5.3-7.3"),
        "automl_delete_intermediate_ckpt": Key("delete_intermediate_checkpoints", "5.0-7.3"),
        "automl_kde_samples": Key(NOTHING, "7.3", "BOHB"),
        "automl_top_n_percent": Key(NOTHING, "7.3", "BOHB"),
        "automl_min_points_in_model": Key(NOTHING, "7.3", "BOHB"),
        "automl_max_concurrent": Key(NOTHING, "7.3", "ASHA"),
        "automl_max_trials": Key(NOTHING, "7.3", "ASHA"),
        "automl_min_top_configs": Key(NOTHING, "7.3", "ASHA"),
        "automl_mutation_factor": Key(NOTHING, "7.3", "DEHB"),
        "automl_crossover_prob": Key(NOTHING, "7.3", "DEHB"),
        "automl_early_stop_threshold": Key(NOTHING, "7.3", "HyperbandES"),
        "automl_min_early_stop_epochs": Key(NOTHING, "7.3", "HyperbandES"),
        "automl_population_size": Key(NOTHING, "7.3", "PBT"),
        "automl_eval_interval": Key(NOTHING, "7.3", "PBT"),
        "automl_perturbation_factor": Key(NOTHING, "7.3", "PBT"),
        "automl_max_generations": Key(NOTHING, "7.3", "PBT"),
    }
)
"""Every name that TAO gives a setting of its AutoML."""


def setting_named(name: str) -> str:
    """The dotted setting of a run file that a name means; of any other name, the name itself.

    >>> setting_named("automl_nu"), setting_named("brain.nu"), setting_named("automl_enabled")
    ('brain.nu', 'brain.nu', 'automl_enabled')
    """
    means = KEYS[name].means if name in KEYS else name
    return name if means in (SECTION, SWITCH, SHOWN, NOTHING) else means


INSIDE: Final[Mapping[str, frozenset[str]]] = freeze(
    {
        "automl_information": frozenset(KEYS) - {"automl_information"},
        "automl_settings": frozenset(KEYS) - {"automl_information", "automl_settings"},
        "algorithm_specific_params": frozenset(name for name, key in KEYS.items() if key.owner),
    }
)
"""The names that may stand inside each section."""

ALGORITHMS: Final[Mapping[str, str]] = freeze(
    {"bayesian": "bayesian", "b": "bayesian", "hyperband": "hyperband", "h": "hyperband"}
)
"""Values of ``automl_algorithm``, in small letters, and raytao's brain for each."""

_ES = "its default mode promotes whom a model predicts to be the best at full length"

NEAREST: Final[Mapping[str, str]] = freeze(
    {
        "asha": "hyperband, whose mode: async is of that kind (automl_max_concurrent is slots)",
        "bfbo": "bayesian, also a Gaussian process, with several trials at once if slots allow",
        "bohb": "hyperband, whose default sampler proposes by a model, from all rungs' results",
        "dehb": "hyperband, whose default sampler proposes by a model where DEHB would mutate",
        "hes": f"hyperband: {_ES}",
        "hyperband_es": f"hyperband: {_ES}",
        "pbt": "bayesian; nothing here changes a trial's values while it trains",
    }
)
"""Algorithms of TAO 7.3 that raytao has no brain for, and which of its brains comes closest."""

READS: Final[Mapping[str, tuple[str, ...]]] = freeze(
    {
        "bayesian": ("brain.max_recommendations",),
        "random": ("brain.max_recommendations",),
        "hyperband": ("brain.R", "brain.nu", "brain.epoch_multiplier"),
    }
)
"""What a brain takes of TAO's numbers; a brain that is not listed is given all of them."""

_GREATER_THAN_1 = "automl_max_epochs, automl_reduction_factor must be greater than 1"

LEAST: Final[Mapping[str, tuple[int, str]]] = freeze(
    {
        "brain.max_recommendations": (1, "automl_max_recommendations must be greater than 0"),
        "brain.R": (2, _GREATER_THAN_1),
        "brain.nu": (2, _GREATER_THAN_1),
        "brain.epoch_multiplier": (1, "epoch_multiplier must be greater than 0"),
    }
)
"""The smallest legal value of a number, and the rule in the words of TAO 7.3."""

ORDER: Final = "automl_reduction_factor must be less than or equal to automl_max_epochs"
"""TAO 7.3 of nu and R."""

DISABLED: Final = ("mal", "nvpanoptix3d")
"""Networks that TAO trains without AutoML only (5.0-7.3: mal; 7.3: both)."""

UNSUPPORTED: Final = "automl_enabled cannot be True for unsupported network"
"""TAO's answer to one of these."""

RANGE_KEYS: Final = (
    *("valid_min", "valid_max", "valid_options", "option_weights"),
    *("math_cond", "depends_on"),
)
"""Keys of an entry of ``automl_range_override`` (7.3), beside ``parameter``: ``search.ranges``."""

WITHOUT_EFFECT: Final[Mapping[str, str]] = freeze(
    {
        "parent_param": "whatever a depends_on names is a parent here",
        "disable_list": "a number is searched as a number here, and never becomes a list",
        "default_value": "the default is the train spec's own value",
    }
)
"""Keys of such an entry that change nothing here, and why."""

LONGEST: Final = 5000
"""Characters of a list that is written as a string; TAO's own limit."""
