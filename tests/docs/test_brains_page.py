"""docs/brains.md: its figures are those of benchmarks/RESULTS.md, its settings are the brains'."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from raytao.brains.bayesian import Bayesian
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.brains.random import Random

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "brains.md").read_text()
RESULTS = (ROOT / "benchmarks" / "RESULTS.md").read_text()
QUOTED = [line for line in PAGE.splitlines() if re.search(r"\| [\d×to ]+ \|.*±", line)]


def test_every_row_of_figures_is_one_of_the_results_word_for_word() -> None:
    assert len(QUOTED) >= 14
    assert [row for row in QUOTED if row not in RESULTS.splitlines()] == []


@pytest.mark.parametrize(
    ("told", "source"),
    [
        ("regret is 1.9 higher with eight workers", "1.9 more than with one worker"),
        (
            "eight workers were busy for 95.86 %",
            "| Hyperband, sync, brackets overlap | 8 | 95.86 |",
        ),
        ("256 for 56.41 %", "| | 256 | 56.41 |"),
        ("busy for 100.00 %", "| **Bayesian** | 8 | 100.00 | 100.00 |"),
        ("99.94 % or more", "| | 256 | 100.00 | 99.94 |"),
        (
            "three seeds, Hyperband, Bayesian and ASHA",
            "Three seeds do not tell the first three apart",
        ),
    ],
)
def test_a_figure_in_a_sentence_stands_in_the_results(told: str, source: str) -> None:
    assert told in re.sub(r"\s+", " ", PAGE)
    assert source in re.sub(r"[ \t]+", " ", RESULTS)


def test_every_setting_it_names_is_one_and_none_is_missing() -> None:
    section = PAGE.split("\n## hyperband\n")[1]
    assert [name for name in HyperbandSettings.model_fields if f"`{name}" not in PAGE] == []
    assert [name for name in Bayesian.Settings.model_fields if f"`{name}" not in PAGE] == []
    for name in ("mode", "sampler", "promotion"):
        default = HyperbandSettings.model_fields[name].default
        assert f"| `{name}` | `{default}`" in section
    assert {Bayesian.name, Hyperband.name, Random.name} == {"bayesian", "hyperband", "random"}
    assert Bayesian.Settings.model_fields["max_recommendations"].default == 20
    assert Bayesian.Settings.model_fields["initial_points"].default == 3
