"""Tune sends no secret of the driver's to the actors: Ray would write it into its logs."""

from __future__ import annotations

import pytest
from ray.tune.execution import class_cache

from raytao.tune.environment import secrets_kept_back


def sent() -> set[str]:
    return set(class_cache.ENV_VARS_TO_PROPAGATE)


def test_secrets_are_kept_back_for_the_time_of_a_run() -> None:
    before = sent()
    assert {"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} <= before
    with secrets_kept_back():
        during = sent()
    assert not [name for name in during if "KEY" in name or "TOKEN" in name]
    assert during
    assert sent() == before


def test_they_are_sent_again_after_a_run_that_broke() -> None:
    before = sent()
    with pytest.raises(ZeroDivisionError), secrets_kept_back():
        raise ZeroDivisionError
    assert sent() == before
