"""Tune's domains as parameters: what a trial gets is what Tune itself could have drawn."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray import tune
from ray.tune.search.sample import Domain

from raytao.errors import SettingsError, SpaceError
from raytao.space import Bool, Categorical, Condition, Float, Int, Ordered, Space
from raytao.tune import BayesianSearch
from raytao.tune.domains import direction_of, from_mapping, from_space, score_of
from raytao.types import Direction

shares = st.floats(0, 1)

DOMAINS: dict[str, Domain] = {
    "uniform": tune.uniform(-1.5, 2),
    "loguniform": tune.loguniform(1e-5, 1e-1),
    "quniform": tune.quniform(0.1, 0.9, 0.1),
    "qloguniform": tune.qloguniform(0.5, 64, 0.5),
    "randint": tune.randint(1, 4),
    "lograndint": tune.lograndint(1, 1000),
    "qrandint": tune.qrandint(8, 64, 8),
    "qrandint of 1": tune.qrandint(1, 4, 1),
    "qlograndint": tune.qlograndint(4, 256, 4),
    "choice": tune.choice(["sgd", None, (0.9, 0.99), True]),
}


def value_at(domain: Domain, share: float) -> Any:
    """What a trial gets for a coordinate of the unit interval."""
    space = from_mapping({"x": domain})
    return space.config(space.space.decode([share]))["x"]


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
@given(share=shares)
def test_every_value_is_one_that_the_domain_has(domain: Domain, share: float) -> None:
    assert domain.is_valid(value_at(domain, share))


@given(share=shares)
def test_an_integer_never_reaches_its_upper_end(share: float) -> None:
    assert value_at(tune.randint(1, 4), share) in (1, 2, 3)
    assert value_at(tune.lograndint(1, 4), share) in (1, 2, 3)


@given(share=shares)
def test_a_quantised_value_is_a_multiple_and_may_be_the_upper_end(share: float) -> None:
    assert value_at(tune.qrandint(8, 32, 8), share) in (8, 16, 24, 32)
    assert value_at(tune.quniform(0.1, 0.4, 0.1), share) in (0.1, 0.2, 0.3, 0.4)


def test_values_have_the_types_that_tune_gives_them() -> None:
    types = {name: type(value_at(domain, 0.4)) for name, domain in DOMAINS.items()}
    floats = {name for name, kind in types.items() if kind is float}
    assert floats == {"uniform", "loguniform", "quniform", "qloguniform"}
    assert types["randint"] is int


def test_numbers_that_rise_or_fall_are_ordered_and_other_options_are_not() -> None:
    given = {
        "batch": tune.choice([16, 32, 64]),
        "decay": tune.choice([1e-2, 1e-3]),
        "mixed": tune.choice([3, 1, 2]),
        "switch": tune.choice([False, True]),
        "name": tune.choice(["a", "b"]),
    }
    kinds = {p.name: type(p) for p in from_mapping(given).space.parameters}
    ordered, unordered = Ordered, Categorical
    assert kinds == {
        "batch": ordered,
        "decay": ordered,
        "mixed": unordered,
        "switch": unordered,
        "name": unordered,
    }


def test_a_logarithmic_domain_is_searched_by_magnitude() -> None:
    assert value_at(tune.loguniform(1e-4, 1), 0.5) == pytest.approx(1e-2)
    assert value_at(tune.lograndint(1, 10_001), 0.5) == 71  # the root of 5000


def test_nested_dicts_are_written_as_they_came_and_constants_are_left_to_tune() -> None:
    space = from_mapping(
        {"optim": {"lr": tune.uniform(0, 1), "name": "sgd"}, "depth": Int("", 2, 2)}
    )
    assert space.space.names == ("optim/lr", "depth")
    assert space.constants == ("optim/name",)
    assert space.config({"optim/lr": 0.5, "depth": 2}) == {"optim": {"lr": 0.5}, "depth": 2}


def test_a_raytao_space_is_written_flat() -> None:
    space = Space([Bool("train.amp"), Float("train.lr", 0, 1)])
    assert from_space(space).config({"train.lr": 0.5}) == {"train.lr": 0.5}


UNSUPPORTED: dict[str, Any] = {
    "randn": tune.randn(0, 1),
    "qrandn": tune.qrandn(0, 1, 0.1),
    "sample_from": tune.sample_from(lambda spec: 1),
    "grid_search": tune.grid_search([1, 2]),
    "a list": [1, tune.uniform(0, 1)],
    "dicts in a list": [{"lr": tune.uniform(0, 1)}],
    "no options": tune.choice([]),
    "an empty range": tune.randint(3, 3),
}


@pytest.mark.parametrize("domain", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_cannot_be_searched_is_named(domain: Any) -> None:
    with pytest.raises(SpaceError, match="optim/odd"):
        from_mapping({"optim": {"odd": domain}})


def test_a_space_of_constants_is_refused() -> None:
    with pytest.raises(SpaceError, match="nothing to search"):
        from_mapping({"lr": 0.1})


def test_a_search_has_no_constants_of_its_own() -> None:
    with pytest.raises(SpaceError, match="epochs: no domain"):
        BayesianSearch({"lr": tune.uniform(0, 1), "epochs": 3})


def test_a_conditional_parameter_needs_a_space_of_its_own() -> None:
    momentum = Float("", 0, 1, conditions=(Condition("==", "optim", 0),))
    given = {"optim": tune.choice(["sgd", "adamw"]), "momentum": momentum}
    with pytest.raises(SpaceError, match="momentum: param_space cannot hold a conditional"):
        BayesianSearch().set_search_properties("loss", "min", given)
    search = BayesianSearch(given, metric="loss", mode="min", seed=1)
    configs = [search.suggest(str(n)) for n in range(8)]
    assert all(("momentum" in config) == (config["optim"] == "sgd") for config in configs)
    assert {config["optim"] for config in configs} == {"sgd", "adamw"}


@given(value=st.floats(allow_nan=True, allow_infinity=True))
def test_a_score_is_finite_and_larger_is_better(value: float) -> None:
    falling = score_of({"loss": value}, "loss", direction_of("min"))
    rising = score_of({"loss": value}, "loss", direction_of("max"))
    if math.isfinite(value):
        assert (falling, rising) == (-value, value)
    else:
        assert falling is rising is None


@pytest.mark.parametrize("result", [{}, {"loss": None}, {"loss": "high"}])
def test_a_result_without_a_number_has_no_score(result: dict[str, Any]) -> None:
    assert score_of(result, "loss", Direction.MINIMIZE) is None


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(SettingsError, match="mode 'maximise' is unknown"):
        BayesianSearch(metric="accuracy", mode="maximise")
