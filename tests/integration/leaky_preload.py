"""A module whose import fails, with a secret in the text; see leaky_network.py."""

from __future__ import annotations

import os

if "LEAKY_CARD" in os.environ:
    raise ImportError(os.environ["AWS_SECRET_ACCESS_KEY"])
