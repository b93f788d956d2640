"""Dockerfiles: a pinned image of the right Ray, no secret baked in, not root at the end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from raytao.cluster.files.everywhere import secrets_in_text
from raytao.cluster.files.finding import Finding, Page
from raytao.cluster.files.images import objection_to_image, objection_to_pin
from raytao.errors import Where, did_you_mean
from raytao.redact import is_secret_name

_KNOWN = (
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK"),
    *("LABEL", "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME"),
    "WORKDIR",
)


@dataclass(frozen=True)
class _Instruction:
    name: str
    text: str
    where: Where


def check_dockerfile(page: Page) -> list[Finding]:
    """Everything that is wrong with a Dockerfile."""
    instructions = list(_instructions(page))
    found = [*_unknown(instructions), *_images(instructions), *_secrets(instructions)]
    return [*found, *_user(instructions, page), *secrets_in_text(page)]


def _instructions(page: Page) -> Iterator[_Instruction]:
    """Instructions with their continued lines; comments between those are left out."""
    begun: _Instruction | None = None
    for number, line in enumerate(page.lines, 1):
        text = line.strip()
        if text.startswith("#") or (begun is None and not text):
            continue
        if begun is None:
            name, _, rest = text.partition(" ")
            begun = _Instruction(name.upper(), rest.strip(), Where(page.file, number))
        else:
            begun = _Instruction(begun.name, f"{begun.text} {text}", begun.where)
        if begun.text.endswith("\\"):
            begun = _Instruction(begun.name, begun.text[:-1].rstrip(), begun.where)
        else:
            yield begun
            begun = None
    if begun is not None:
        yield begun


def _unknown(instructions: list[_Instruction]) -> Iterator[Finding]:
    for one in instructions:
        if one.name not in _KNOWN:
            rule = "Docker knows no such instruction"
            yield Finding(one.where, one.name, "unknown", rule, did_you_mean(one.name, _KNOWN))


def _images(instructions: list[_Instruction]) -> Iterator[Finding]:
    """The last stage runs Ray; those before it need only be pinned."""
    stages = [one for one in instructions if one.name == "FROM"]
    named: set[str] = set()
    for stage in stages:
        words = [word for word in stage.text.split() if not word.startswith("--")]
        image = words[0] if words else ""
        judge = objection_to_image if stage is stages[-1] else objection_to_pin
        objection = None if image in named or "$" in image else judge(image)
        if objection is not None:
            yield Finding(stage.where, "FROM", repr(image), *objection)
        if len(words) == 3 and words[1].upper() == "AS":
            named.add(words[2])


def _secrets(instructions: list[_Instruction]) -> Iterator[Finding]:
    for one in instructions:
        if one.name in ("ENV", "ARG"):
            names = re.findall(r"(?:^|\s)([A-Za-z_][A-Za-z0-9_]*)(?==|\s|$)", one.text)
            for name in names[: None if "=" in one.text else 1]:
                if is_secret_name(name):
                    rule = f"whoever has the image has {name}: its history keeps it"
                    remedy = "give it when the container starts, or by RUN --mount=type=secret"
                    yield Finding(one.where, one.name, "…", rule, remedy)


def _user(instructions: list[_Instruction], page: Page) -> Iterator[Finding]:
    users = [one for one in instructions if one.name == "USER"]
    rule, remedy = "what a run starts must not be root", "end with: USER ray"
    if not users:
        last = instructions[-1].where if instructions else Where(page.file, 1)
        yield Finding(last, "USER", "", rule, remedy)
    elif users[-1].text.split(":")[0] in ("root", "0"):
        yield Finding(users[-1].where, "USER", repr(users[-1].text), rule, remedy)
