"""Any external trainer as a trial: a command line, and where its epochs and metrics are read."""

from __future__ import annotations

from raytao.networks.command.network import Command
from raytao.networks.command.settings import CommandSettings, Status
from raytao.networks.command.training import TrainerFailed

__all__ = ["Command", "CommandSettings", "Status", "TrainerFailed"]
