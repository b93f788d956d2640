"""What a notebook sees: `AutoML`, `Run` and `open_run`; `raytao` offers them by name."""

from __future__ import annotations

from raytao.automl.facade import AutoML
from raytao.automl.recommendation import Recommendation
from raytao.automl.run import Run, open_run

__all__ = ["AutoML", "Recommendation", "Run", "open_run"]
