"""CITATION.cff: valid by the Citation File Format 1.2.0, and of this very version."""

from __future__ import annotations

import tomllib
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
CITED = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

KEYS = {
    *("cff-version", "message", "title", "authors", "type", "abstract", "version", "license"),
    *("keywords", "date-released", "repository-code", "url", "doi", "contact", "identifiers"),
    *("commit", "license-url", "preferred-citation", "references", "repository"),
    "repository-artifact",
}
"""All that the format knows at the top."""


def test_it_has_what_the_format_requires_and_nothing_unknown() -> None:
    assert {"cff-version", "message", "title", "authors"} <= set(CITED) <= KEYS
    assert CITED["cff-version"] == "1.2.0"
    assert CITED["type"] in ("software", "dataset")
    assert all(set(one) == {"name"} and one["name"] for one in CITED["authors"])
    assert all(
        isinstance(CITED[key], str) and CITED[key] for key in ("message", "title", "version")
    )


def test_it_is_of_this_project_and_version() -> None:
    assert CITED["version"] == PROJECT["version"]
    assert CITED["license"] == PROJECT["license"]
    assert list(CITED["keywords"]) == PROJECT["keywords"]
    assert CITED["title"].startswith(PROJECT["name"])
