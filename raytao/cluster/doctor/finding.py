"""What a check has found: how bad it is, what, where, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from raytao.types import Json


class Severity(Enum):
    """What a finding means for a run."""

    FINE = "fine"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's.

    Attributes:
        check: the subject: ``versions``.
        severity: what it means.
        what: the fact.
        where: a node, a file, an address; empty: everywhere.
        remedy: what to do; empty where nothing is wrong.
    """

    check: str
    severity: Severity
    what: str
    where: str = ""
    remedy: str = ""

    def to_json(self) -> dict[str, Json]:
        """For programs."""
        return {**vars(self), "severity": self.severity.value}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Finding:
        """What ``to_json`` told.

        Raises:
            LookupError, ValueError: if it is no finding.
        """
        texts = {name: str(told[name]) for name in ("check", "what", "where", "remedy")}
        return cls(severity=Severity(told["severity"]), **texts)


@dataclass(frozen=True)
class Node:
    """A machine of the cluster, or this one.

    Attributes:
        name: for people; empty for this machine where no other is looked at.
        facts: what `raytao.cluster.doctor.probe` saw there.
        gpus: GPUs that Ray counts there; None where no Ray is asked.
    """

    name: str
    facts: Mapping[str, Any]
    gpus: float | None = None


Check: TypeAlias = Callable[[Sequence[Node]], list[Finding]]


def fine(check: str, what: str) -> list[Finding]:
    """Nothing is wrong."""
    return [Finding(check, Severity.FINE, what)]


def found(check: str, findings: Iterable[Finding], otherwise: str) -> list[Finding]:
    """The findings of a check, or that nothing is wrong."""
    return list(findings) or fine(check, otherwise)


def anything_wrong(findings: Iterable[Finding]) -> bool:
    """Whether a run would suffer from any of them."""
    return any(one.severity is Severity.PROBLEM for one in findings)
