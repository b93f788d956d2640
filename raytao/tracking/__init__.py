"""Telling a run to a tracking service, from the driver's side and never in its way."""

from raytao.tracking.base import Tracker
from raytao.tracking.opening import Trackings, open_tracking
from raytao.tracking.sync import Synced, sync_run
from raytao.tracking.thread import Tracking

__all__ = ["Synced", "Tracker", "Tracking", "Trackings", "open_tracking", "sync_run"]
