"""Telling a run to a tracking service, from the driver's side and never in its way."""

from raytao.tracking.base import Tracker
from raytao.tracking.thread import Tracking, open_tracking

__all__ = ["Tracker", "Tracking", "open_tracking"]
