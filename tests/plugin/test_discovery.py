"""What is found by name: a package is known from its entry points on, and no longer than them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from raytao import catalog
from raytao.brains.base import Brain
from raytao.brains.random import Random
from raytao.errors import SettingsError

BRAINS = "raytao.brains"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(site: Path, package: str, entry_point: str) -> None:
    """Lay down what an installer leaves of a package that registers a brain."""
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{BRAINS}]\n{entry_point}\n")


def test_a_package_that_registers_a_brain_makes_it_known(site: Path) -> None:
    code = "from raytao.brains.base import Brain\nclass Careful(Brain): pass\n"
    (site / "careful_brains.py").write_text(code)
    assert "careful" not in catalog.registered(BRAINS)
    install(site, "careful", "careful = careful_brains:Careful")
    assert "careful" in catalog.registered(BRAINS)
    found = catalog.load(BRAINS, "careful", kind="brain", base=Brain)
    assert found is sys.modules.pop("careful_brains").Careful


@pytest.mark.parametrize("name", ["os:abort", "careful_brains:Careful", "json:JSONDecoder"])
def test_what_is_no_brain_is_never_called(name: str, site: Path) -> None:
    (site / "careful_brains.py").write_text("class Careful: pass\n")
    with pytest.raises(SettingsError, match="is no brain"):
        catalog.load(BRAINS, name, kind="brain", base=Brain)
    sys.modules.pop("careful_brains", None)


def test_an_unknown_name_is_answered_with_every_users_name(site: Path) -> None:
    install(site, "careful", "careful = careful_brains:Careful")
    with pytest.raises(SettingsError, match="unknown brain 'zzz'") as caught:
        catalog.load(BRAINS, "zzz", kind="brain", base=Brain)
    users = [name for name in catalog.registered(BRAINS) if name not in catalog.FOR_TESTS]
    assert "careful" in users
    assert caught.value.remedy.startswith("known: ")
    assert all(name in caught.value.remedy for name in users[:12])


def test_a_name_that_two_packages_register_is_nobodys(site: Path) -> None:
    install(site, "careful", "random = careful_brains:Careful")
    with pytest.raises(SettingsError, match="by several packages: careful, raytao") as caught:
        catalog.load(BRAINS, "random", kind="brain", base=Brain)
    assert "raytao.brains.random:Random" in caught.value.remedy
    assert catalog.load(BRAINS, "raytao.brains.random:Random", kind="brain", base=Brain) is Random


def test_a_registration_that_is_found_twice_is_one(site: Path) -> None:
    install(site, "fork-of-raytao", "random = raytao.brains.random:Random")
    assert catalog.registered(BRAINS).count("random") == 1
    assert catalog.load(BRAINS, "random", kind="brain", base=Brain) is Random


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module_at_all:Careful", "No module named 'no_such_module_at_all'"),
        ("raytao.brains.random:Rendom", "no attribute 'Rendom'"),
    ],
)
def test_a_package_that_does_not_import_is_named(site: Path, value: str, reason: str) -> None:
    install(site, "careful", f"careful = {value}")
    with pytest.raises(SettingsError, match="'careful' of package 'careful'") as caught:
        catalog.load(BRAINS, "careful", kind="brain", base=Brain)
    assert reason in caught.value.message
    assert "install careful again" in caught.value.remedy
