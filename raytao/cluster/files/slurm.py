"""Batch scripts of Slurm: bash's own reading, the ``#SBATCH`` lines, and what they start."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from raytao.cluster.files.entrypoints import Verify, entrypoint_findings
from raytao.cluster.files.everywhere import TOKEN, open_host, secrets_in_text
from raytao.cluster.files.finding import Finding, Page
from raytao.cluster.files.shell import commands
from raytao.errors import Where

LEAST_NOTICE: Final = 60
"""Seconds before the end at which trials must be told: a checkpoint takes some."""

_OPTIONS: Final = (
    *("account", "array", "begin", "chdir", "comment", "constraint", "cpus-per-gpu"),
    *("cpus-per-task", "dependency", "error", "exclude", "exclusive", "export", "gpu-bind"),
    *("gpus", "gpus-per-node", "gpus-per-task", "gres", "job-name", "licenses", "mail-type"),
    *("mail-user", "mem", "mem-per-cpu", "mem-per-gpu", "no-requeue", "nodelist", "nodes"),
    *("ntasks", "ntasks-per-node", "open-mode", "output", "partition", "qos", "requeue"),
    *("reservation", "signal", "switches", "time", "time-min", "tmp", "wait", "wrap"),
)
_SHORT: Final = {"t": "time", "N": "nodes", "n": "ntasks", "J": "job-name", "p": "partition"}
_NEAR: Final = 0.8


@dataclass(frozen=True)
class _Option:
    name: str
    value: str
    where: Where


def check_slurm(page: Page, verify: Verify) -> list[Finding]:
    """Everything that is wrong with a batch script."""
    options, found = _options(page)
    found += [*_syntax(page), *_required(options, page), *_ray(page)]
    found += secrets_in_text(page)
    requeued = any(option.name == "requeue" for option in options)
    found += entrypoint_findings(page.text, "command", page.at, verify, repeated=requeued)
    return found


def _syntax(page: Page) -> Iterator[Finding]:
    """What ``bash -n`` says: it reads the script and runs nothing of it."""
    if not re.match(r"#!.*\bbash\b", page.lines[0]):
        rule, remedy = "Slurm runs the script with what its first line names", "begin: #!/bin/bash"
        yield Finding(Where(page.file, 1), "first line", repr(page.lines[0]), rule, remedy)
    command = ["bash", "--norc", "-n", "/dev/stdin"]
    done = subprocess.run(command, input=page.text, capture_output=True, text=True, check=False)
    for line, said in re.findall(r"line (\d+): (.*)", done.stderr)[:1]:
        where = Where(page.file, int(line))
        yield Finding(where, "bash", "not read", said, "mend the script; `bash -n` tells more")


def _options(page: Page) -> tuple[list[_Option], list[Finding]]:
    """The ``#SBATCH`` lines, and those that Slurm would not take, or would not see."""
    options: list[_Option] = []
    found: list[Finding] = []
    begun = False
    for number, line in enumerate(page.lines, 1):
        if line.startswith("#SBATCH"):
            where = Where(page.file, number)
            for option in _parsed(line, where):
                options.append(option)
                found += _unknown(option)
            if begun:
                rule = "Slurm stops reading options at the first command"
                found.append(Finding(where, "#SBATCH", repr(line), rule, "move it up"))
        elif line.strip() and not line.startswith("#"):
            begun = True
    return options, found


def _parsed(line: str, where: Where) -> Iterator[_Option]:
    words = line.removeprefix("#SBATCH").split(" #")[0].split()
    for number, word in enumerate(words):
        after = words[number + 1] if number + 1 < len(words) else ""
        after = "" if after.startswith("-") else after
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            yield _Option(name, value if equals else after, where)
        elif word.startswith("-") and word[1:2] in _SHORT:
            yield _Option(_SHORT[word[1]], word[2:] or after, where)


def _unknown(option: _Option) -> Iterator[Finding]:
    near = get_close_matches(option.name, _OPTIONS, n=1, cutoff=_NEAR)
    if near and option.name not in _OPTIONS:
        key = f"--{option.name}"
        rule, remedy = "sbatch knows no such option", f"did you mean '--{near[0]}'?"
        yield Finding(option.where, key, "unknown", rule, remedy)


def _required(options: list[_Option], page: Page) -> Iterator[Finding]:
    given = {option.name: option for option in options}
    last = options[-1].where if options else Where(page.file, 1)
    needed = {
        "requeue": ("nodes that are taken away end the run for good", "add #SBATCH --requeue"),
        "time": ("nothing ends a run that hangs: no cap on cost", "add #SBATCH --time=HH:MM:SS"),
        "signal": ("the end comes without a checkpoint", "add #SBATCH --signal=B:TERM@120"),
    }
    for name, (rule, remedy) in needed.items():
        if name not in given:
            yield Finding(last, f"--{name}", "", rule, remedy)
    signal = given.get("signal")
    if signal is not None:
        told = re.fullmatch(r"(?:R?B:|BR:)(?:SIG)?TERM@(\d+)", signal.value)
        if told is None or int(told[1]) < LEAST_NOTICE:
            rule = f"the script must be told at least {LEAST_NOTICE} s before the end, with TERM"
            yield Finding(signal.where, "--signal", repr(signal.value), rule, "write B:TERM@120")
    tasks = given.get("ntasks-per-node")
    if "symmetric-run" in page.text and (tasks is None or tasks.value != "1"):
        rule = "`ray symmetric-run` starts one Ray a node, and must be run once on each"
        shown = repr(tasks.value) if tasks else ""
        where = tasks.where if tasks else last
        yield Finding(where, "--ntasks-per-node", shown, rule, "write --ntasks-per-node=1")


def _ray(page: Page) -> Iterator[Finding]:
    """Ray asks for a token, and is told where its head is."""
    code = "\n".join(line for line in page.lines if not line.startswith("#"))
    if not re.search(rf"^\s*export {TOKEN}\b", code, flags=re.MULTILINE) and "ray " in code:
        rule = "Ray's ports are open to everybody on the network: it must ask for a token"
        yield Finding(page.at("symmetric-run"), "RAY_AUTH_MODE", "", rule, f"export {TOKEN}")
    for words in commands(page.text):
        if "symmetric-run" not in words:
            continue
        for option in ("--address", "--"):
            if not any(word == option or word.startswith(f"{option}=") for word in words):
                rule = "`ray symmetric-run` needs it"
                remedy = f"add {option}" if option == "--" else "add --address HOST:PORT"
                yield Finding(page.at("symmetric-run"), option, "", rule, remedy)
        host = open_host(" ".join(words))
        if host is not None and TOKEN not in code:
            rule = "without a token this is a shell for whoever finds it"
            place = page.at("--dashboard-host")
            yield Finding(place, "--dashboard-host", repr(host), rule, "write 127.0.0.1")
