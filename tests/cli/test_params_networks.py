"""``raytao params`` without a name, and over all networks: nothing is hidden by what is broken."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from core_packages import CONFIG, MISSING, PACKAGE, hide, package, use

from raytao.cli.main import main
from raytao.tao.core.package import core_networks

OWN = "image_classification"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["params", *arguments])


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, **schemas: str) -> None:
    """Let a package be installed whose networks have these schemas."""
    package(folder, schemas, {name: CONFIG for name in schemas})
    use(folder, monkeypatch)


def lines(text: str) -> dict[str, str]:
    """The lines of a table, by their first word."""
    return {line.split()[0]: line for line in text.splitlines() if line.strip()}


def test_the_networks_are_listed_by_who_trains_and_describes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, **{"some": "", OWN: ""})
    text = invoke().stdout
    own, core = text.index(f"\n  {OWN}  "), text.index("installed nvidia-tao-core 7.3.0\n")
    assert own < core < text.index(f"  {OWN}@7.3, some")
    assert max(map(len, text.splitlines())) <= 80
    listed = json.loads(invoke("--json").stdout)
    assert listed["some"] == "of nvidia-tao-core 7.3.0"
    assert "toy" not in listed


def test_without_the_package_the_list_says_how_to_get_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hide(monkeypatch)
    text = invoke().stdout
    assert f"\n  {OWN}  " in text
    assert "more networks of TAO: pip install --no-deps nvidia-tao-core" in text


def test_a_name_that_two_describe_says_so_and_each_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, **{OWN: ""})
    assert f"raytao params {OWN}@7.3" in invoke(OWN).stdout
    theirs = invoke(f"{OWN}@7.3").stdout
    assert "As nvidia-tao-core 7.3.0 describes it, for data of type pictures." in theirs
    assert "raytao params" not in theirs


def test_what_is_mended_and_what_nobody_told_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, some="")
    text = invoke("some").stdout
    assert "\nnot as in TAO's own table\n  - model.num_select: never above" in text
    assert "\nto be checked: TAO's documents do not tell\n  - the package tells" in text
    found = json.loads(invoke("some", "--json").stdout)
    assert found["unverified"]
    assert found["tao_version"] == "7.3.0"
    why = {entry["name"]: entry["why"] for entry in found["not_searchable"]}
    assert why["train.optim.betas"] == "type list"
    assert why["train.optim.odd"].startswith("math_cond '!= 0' is not understood")
    ranges = {entry["name"]: entry["range"] for entry in found["may_be_added"]}
    assert ranges["train.optim.decay"] == "range required"


def test_every_network_has_a_line_and_a_broken_one_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, broken="import no_such_module\n", some="")
    done = invoke("--every")
    found = lines(done.stdout)
    assert done.exit_code == 1
    assert found["some"].split() == ["some", "4", *found["some"].split()[2:4], "val_acc"]
    assert "failed:" in found["broken"]
    assert "refused:" in found["mal"]
    assert OWN in found
    assert done.stdout.splitlines()[-1].endswith(" searched parameters, 1 failed")


def test_the_counts_of_every_network_are_those_of_its_own_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, some="")
    done = invoke("--every", "--json")
    assert done.exit_code == 0, done.output
    counted: dict[str, Any] = {one["name"]: one for one in json.loads(done.stdout)["networks"]}
    for name in ("some", OWN):
        page = json.loads(invoke(name, "--json").stdout)
        assert counted[name]["searched"] == len(page["searched"])
        assert counted[name]["addable"] == len(page["may_be_added"])
        assert counted[name]["not_searchable"] == len(page["not_searchable"])


def test_every_network_of_nvidias_package_is_shown_in_one_run() -> None:
    if find_spec(PACKAGE) is None:
        pytest.skip(MISSING)
    done = invoke("--every")
    found = lines(done.stdout)
    for name in core_networks():
        line = found.get(f"{name}@7.3", found.get(name, ""))
        assert line, name
        assert "failed" not in line
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].endswith(" searched parameters, none failed")


def test_a_network_that_tao_refuses_is_refused_in_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, mal="")
    done = invoke("mal")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "automl_enabled cannot be True for unsupported network" in done.stderr


def test_every_takes_no_name() -> None:
    done = invoke("--every", OWN)
    assert done.exit_code == 2
    assert "--every takes no NETWORK" in done.stderr
