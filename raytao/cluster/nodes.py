"""Whether every node of a cluster has the raytao and the Python of this driver.

A trial's actor is loaded on its node by name. A node with another raytao would train other code
than the driver believes, and one without raytao would fail every trial that lands there; both are
told before anything is written.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import raytao
from raytao.errors import SettingsError

PATIENCE_SECONDS: Final = 60.0
"""How long all nodes together may take to answer: a busy one first has to start a Python."""

LISTED: Final = 8
"""Nodes that an error names."""

INSTALL: Final = (
    "put the same wheel or image on every node, or send raytao along with the job:\n"
    "    pip install --no-deps --target sent raytao-….whl\n"
    "    ray job submit --working-dir sent -- python -m raytao run …"
)


@dataclass(frozen=True)
class Versions:
    """What a Python process would train with; ``python`` is major and minor."""

    raytao: str
    python: str

    def __str__(self) -> str:
        return f"raytao {self.raytao} on Python {self.python}"


@dataclass(frozen=True)
class Unfit:
    """raytao does not load there, or nothing runs there at all."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class Silent:
    """No answer came in time."""

    seconds: float

    def __str__(self) -> str:
        return f"no answer in {self.seconds:g} s"


Answer: TypeAlias = Versions | Unfit | Silent

Said = TypeVar("Said")


def check_nodes(seconds: float = PATIENCE_SECONDS) -> None:
    """Ask every living node, all at once, what a trial would find there.

    Raises:
        SettingsError: naming each node that has other versions, no raytao, or no answer.
    """
    compare(versions_here(), ask_nodes(seconds))


def versions_here() -> Versions:
    """The versions of this process."""
    return Versions(raytao.__version__, _minor(platform.python_version()))


def compare(here: Versions, answers: Mapping[str, Answer]) -> None:
    """Refuse nodes that differ from ``here``; ``answers`` are by the node's name.

    Raises:
        SettingsError: naming them, what they have, and the remedy.
    """
    wrong = {node: answer for node, answer in answers.items() if answer != here}
    if not wrong:
        return
    lines = [f"    node {node}: {answer}" for node, answer in wrong.items()]
    if len(lines) > LISTED:
        lines[LISTED:] = [f"    and {len(lines) - LISTED} more nodes"]
    silent = all(isinstance(answer, Silent) for answer in wrong.values())
    waiting = "see `ray status`: wait until every node is up, or take the silent one out"
    raise SettingsError(
        f"this driver has {here}; every node must have the same\n" + "\n".join(lines),
        remedy=waiting if silent else INSTALL,
    )


def ask_nodes(seconds: float) -> dict[str, Answer]:
    """The versions of all nodes that live; see `ask_each`."""
    answers = ask_each(_question(), seconds)
    return {node: _versions(said) for node, said in answers.items()}


def ask_each(
    question: Callable[..., Said], seconds: float, *arguments: object, trains: bool = False
) -> dict[str, Said | Unfit | Silent]:
    """The answers of all nodes that live, by ``host (address)``; waits ``seconds`` in all.

    A node that is gone by the time its answer is missed is left out: nothing will run there.

    Args:
        question: runs on every node. A function of a module travels as its name.
        seconds: for all of them together.
        arguments: of the question.
        trains: ask only those with CPUs, where trials may run.
    """
    task: Any = ray.remote(num_cpus=0)(question)  # no CPU: a full or empty node answers
    asked = {
        node_id: task.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False)
        ).remote(*arguments)
        for node_id in _living(trains=trains)
    }
    deadline = time.monotonic() + seconds
    answers = {node_id: _answer(task, deadline, seconds) for node_id, task in asked.items()}
    names = _living()
    return {_unique(names, node): answers[node] for node in answers if node in names}


def _living(*, trains: bool = False) -> dict[str, str]:
    """Names of the living nodes, or of those of them with CPUs, by Ray's id."""
    return {
        node["NodeID"]: f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
        for node in ray.nodes()
        if node["Alive"] and (node["Resources"].get("CPU") or not trains)
    }


def _unique(names: Mapping[str, str], node_id: str) -> str:
    """A node's name, with its id where several nodes share a machine."""
    name = names[node_id]
    shared = list(names.values()).count(name) > 1
    return f"{name[:-1]}, {node_id[-8:]})" if shared else name


def _question() -> Callable[[], tuple[str, str]]:
    """The task, made where it is sent: such a function travels whole, not as a name in raytao."""

    def question() -> tuple[str, str]:
        import platform

        try:
            import raytao
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it is the answer
            return "", f"raytao does not load ({type(error).__name__}: {error})"
        return raytao.__version__, platform.python_version()

    return question


def _answer(task: Any, deadline: float, seconds: float) -> Any:
    try:
        return ray.get(task, timeout=max(0.0, deadline - time.monotonic()))
    except ray.exceptions.GetTimeoutError:
        ray.cancel(task, force=True)
        return Silent(seconds)
    except RayError as error:
        return Unfit(f"no task runs there ({_first_line(error)})")


def _versions(said: tuple[str, str] | Unfit | Silent) -> Answer:
    if isinstance(said, Unfit | Silent):
        return said
    version, python = said
    return Versions(version, _minor(python)) if version else Unfit(python)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
