"""Container images: pinned, and with the Ray and the Python of the one who submits."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from typing import Final, NamedTuple

RAYS_OWN: Final = "rayproject/ray"
_TAG_OF_RAY: Final = re.compile(r"(\d+\.\d+)(?:\.\d+)?(?![\d.])")
_NAMED_RAY: Final = re.compile(r"ray[-_]?(\d+\.\d+)(?:\.\d+)?(?![\d.])")
_PYTHON: Final = re.compile(r"(?<![a-z])py(\d)\.?(\d+)(?!\d)")
_MOVING: Final = re.compile(r"^(latest|nightly)\b")


class Objection(NamedTuple):
    """What speaks against a value: the rule that it breaks, and the remedy."""

    rule: str
    remedy: str


def ray_here() -> str:
    """Major and minor version of the Ray that is installed, such as ``2.60``."""
    return ".".join(version("ray").split(".")[:2])


def python_here() -> str:
    """Major and minor version of this Python, such as ``3.11``."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def objection_to_pin(image: str) -> Objection | None:
    """Why an image may be another one tomorrow; None if it may not."""
    tag, digest = _tag(image)
    if not tag and not digest:
        return Objection("without a tag it is whatever is newest", f"write {image}:VERSION")
    if _MOVING.match(tag) and not digest:
        return Objection(
            f"{tag.split('-')[0]!r} is another image tomorrow", "name the version, or the digest"
        )
    return None


def objection_to_image(image: str) -> Objection | None:
    """Why an image that runs Ray is not one of the Ray and the Python that are installed here.

    Its tag must say both, as those of rayproject/ray do (``2.60.0-py311-cu128``); an image of
    one's own says ``ray2.60.0`` where its tag begins with another version.
    """
    unpinned = objection_to_pin(image)
    if unpinned is not None:
        return unpinned
    tag, _ = _tag(image)
    return _other_ray(image, tag) or _other_python(tag)


def _other_ray(image: str, tag: str) -> Objection | None:
    own = _name(image) in (RAYS_OWN, f"docker.io/{RAYS_OWN}")
    found = _TAG_OF_RAY.match(tag) if own else _NAMED_RAY.search(tag)
    if found is None:
        return Objection(
            "its tag does not say which Ray it has",
            f"write it into the tag: …-ray{version('ray')}-py{python_here().replace('.', '')}",
        )
    if found[1] != ray_here():
        return Objection(
            f"it has Ray {found[1]}, and {ray_here()} is installed here: they do not talk",
            f"use an image of Ray {ray_here()}, or install Ray {found[1]} here",
        )
    return None


def _other_python(tag: str) -> Objection | None:
    found = _PYTHON.search(tag)
    if found is None:
        remedy = f"write it into the tag: …-py{python_here().replace('.', '')}"
        return Objection("its tag does not say which Python it has", remedy)
    theirs = f"{found[1]}.{found[2]}"
    if theirs != python_here():
        return Objection(
            f"it has Python {theirs}, and this is {python_here()}: Ray refuses the pair",
            f"use an image of Python {python_here()}",
        )
    return None


def _tag(image: str) -> tuple[str, str]:
    """Tag and digest; empty if there is none."""
    rest, _, digest = image.partition("@")
    last = rest.rpartition("/")[2]
    return last.partition(":")[2], digest


def _name(image: str) -> str:
    rest = image.partition("@")[0]
    folder, slash, last = rest.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"
