"""What Ray Tune sends along with a trial's actor: not the driver's secrets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ray.tune.execution import class_cache

from raytao.redact import is_secret_name


@contextmanager
def secrets_kept_back() -> Iterator[None]:
    """Have Tune send no secret variable of this process to the actors of the block.

    Tune puts AWS_SECRET_ACCESS_KEY and its like, if they are set, into the actors' runtime
    environment (`ray.tune.execution.class_cache`), and Ray writes runtime environments in plain
    text into its logs. A trial has the environment of its own node.
    """
    sent: set[str] = class_cache.ENV_VARS_TO_PROPAGATE
    secret = {name for name in sent if is_secret_name(name)}
    sent -= secret
    try:
        yield
    finally:
        sent |= secret
