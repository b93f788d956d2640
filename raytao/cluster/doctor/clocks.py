"""Whether the clocks of the nodes agree with the driver's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from raytao.cluster.doctor.finding import Finding, Severity, found

CHECK = "clocks"

WARN_SECONDS: Final = 2.0
WRONG_SECONDS: Final = 30.0
"""Object storage refuses requests whose time is minutes wrong; times in logs mislead before."""


@dataclass(frozen=True)
class Reading:
    """A node's clock, read between two looks at the driver's own, in seconds since 1970."""

    node: float
    before: float
    after: float

    @property
    def skew(self) -> float:
        """How far it is off for sure: the time that the question was on its way is not counted."""
        if self.node < self.before:
            return self.node - self.before
        return max(0.0, self.node - self.after)


def check(readings: Mapping[str, Reading]) -> list[Finding]:
    """Look at every node's; by name."""
    wrong = [
        Finding(
            CHECK,
            Severity.PROBLEM if abs(one.skew) >= WRONG_SECONDS else Severity.WARNING,
            f"its clock is {abs(one.skew):.0f} s {'ahead' if one.skew > 0 else 'behind'}",
            node,
            "let the machine keep time: systemctl enable --now chrony (or systemd-timesyncd)",
        )
        for node, one in readings.items()
        if abs(one.skew) >= WARN_SECONDS
    ]
    return found(CHECK, wrong, f"within {WARN_SECONDS:g} s of the driver's")
