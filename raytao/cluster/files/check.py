"""One file, or all of a folder: what kind it is, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from raytao.cluster.files import anyscale, kubernetes, ray_cluster, skypilot
from raytao.cluster.files.dockerfile import check_dockerfile
from raytao.cluster.files.entrypoints import Verify
from raytao.cluster.files.everywhere import disarmed, secret_findings, stand_ins
from raytao.cluster.files.finding import Finding, Manifest, Page, manifests
from raytao.cluster.files.slurm import check_slurm
from raytao.errors import SpecError, Where
from raytao.spec.text import decode, read_file
from raytao.types import Json

KINDS: Final = (
    "a Ray cluster, Kubernetes, SkyPilot or Anyscale (YAML), a Slurm script, a Dockerfile"
)
"""What can be checked, in words."""

_YAML: Final = (".yaml", ".yml")
_Check = Callable[[Manifest, Verify], list[Finding]]
_BY_KEYS: Final[Mapping[str, tuple[tuple[str, ...], _Check]]] = {
    "Ray cluster": (ray_cluster.KEYS, ray_cluster.check_ray_cluster),
    "Kubernetes": (kubernetes.KEYS, kubernetes.check_kubernetes),
    "SkyPilot": (skypilot.KEYS, skypilot.check_skypilot),
    "Anyscale": (anyscale.KEYS, anyscale.check_anyscale),
}
_FEWEST_KEYS: Final = 2
"""How many of a kind's keys a document must have to be of it: one may be written wrong."""


@dataclass(frozen=True)
class Checked:
    """A file of a known kind, and what was found in it, in the order of its lines."""

    file: str
    kind: str
    findings: tuple[Finding, ...]

    @property
    def mistakes(self) -> tuple[Finding, ...]:
        """What is wrong; notes are not."""
        return tuple(finding for finding in self.findings if not finding.note)

    def as_json(self) -> dict[str, Json]:
        """The check as data."""
        found = [finding.as_json() for finding in self.findings]
        return {"file": self.file, "kind": self.kind, "findings": found}


class NoClusterFile(SpecError):
    """A file of no kind that is known here."""


def check_file(path: Path, verify: Verify) -> Checked:
    """Check one file.

    Args:
        path: the file.
        verify: raytao's command line, which reads the commands in the file.

    Raises:
        NoClusterFile: if it is of no kind that is known here.
        SpecError: if the file cannot be read.
    """
    page = Page(str(path), decode(read_file(path), file=str(path)))
    if _is_dockerfile(path):
        return _checked(page, "Dockerfile", [*check_dockerfile(page), *stand_ins(page)])
    if path.suffix in (".sbatch", ".slurm") or re.search("^#SBATCH", page.text, re.MULTILINE):
        return _checked(page, "Slurm", [*check_slurm(page, verify), *stand_ins(page)])
    if path.suffix not in _YAML:
        raise _unknown(page)
    documents, found = manifests(page)
    kinds = [_kind(document) for document in documents]
    kind = next((kind for kind in kinds if kind is not None), None)
    if kind is None and not found:
        raise _unknown(page)
    for document, named in zip(documents, kinds, strict=True):
        if named is not None:
            found += _BY_KEYS[named][1](document, verify)
        found += [*secret_findings(document), *disarmed(document)]
    return _checked(page, kind or "YAML", [*found, *stand_ins(page)])


def check_folder(folder: Path, verify: Verify) -> Iterator[Checked]:
    """Check what starts a cluster in a folder; other files there, as run files, are passed over.

    One that cannot be read is a finding: it keeps nobody from checking the others.
    """
    for path in files_in(folder):
        try:
            yield check_file(path, verify)
        except NoClusterFile:
            continue
        except SpecError as error:
            where = error.where or Where(str(path))
            said = Finding(where, "the file", "not read", error.message, error.remedy)
            yield Checked(str(path), "unread", (said,))


def files_in(folder: Path) -> Iterator[Path]:
    """Files of a folder, and of those in it, that are of a kind known here."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        named = path.suffix in (*_YAML, ".sbatch", ".slurm") or _is_dockerfile(path)
        if named and not hidden and path.is_file():
            yield path


def _is_dockerfile(path: Path) -> bool:
    return path.name.startswith("Dockerfile") or path.suffix == ".dockerfile"


def _kind(document: Manifest) -> str | None:
    """The kind with whose keys a document has most in common."""
    there = set(document.plain)
    common = {kind: len(there.intersection(keys)) for kind, (keys, _) in _BY_KEYS.items()}
    best = max(common, key=lambda kind: common[kind])
    return best if common[best] >= _FEWEST_KEYS else None


def _unknown(page: Page) -> NoClusterFile:
    return NoClusterFile(
        f"{page.file!r} is no file that starts a cluster, as far as its name and its keys tell",
        remedy=f"what can be checked: {KINDS}",
    )


def _checked(page: Page, kind: str, found: list[Finding]) -> Checked:
    unique = dict.fromkeys(found)
    order = sorted(unique, key=lambda f: (f.note, f.where.line or 0, f.where.column or 0))
    return Checked(page.file, kind, tuple(order))
