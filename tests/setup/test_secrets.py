"""A secret that stands in plain text is refused before anything is written, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import raytao
from raytao.cli.main import main
from raytao.errors import SettingsError, SpecError, UserError
from raytao.setup.reopen import relocated
from raytao.setup.resolve import resolve
from raytao.space import Categorical
from raytao.tao.card import load_card
from raytao.testing.toy import Toy

CANARY = "canary-4711"
SPEC = f"{load_card(Toy()).default_spec().dump()}"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(text: str, *assignments: str) -> UserError:
    """The error of a run file; it does not show the secret, and nothing was written."""
    Path("run.yaml").write_text(f"network: toy\n{text}\n")
    before = sorted(Path().iterdir())
    with pytest.raises(UserError) as caught:
        resolve("run.yaml", assignments)
    assert sorted(Path().iterdir()) == before
    assert caught.value.exit_code == 2
    assert CANARY not in str(caught.value)
    return caught.value


def own_spec(text: str) -> str:
    """A run file's line for a spec of the user's own."""
    Path("own.yaml").write_text(SPEC.replace("fruit: apple", f"fruit: {text}"))
    return "spec: own.yaml"


ADDRESS = f"s3://ann:{CANARY}@bucket/data"


def test_a_secret_in_the_spec_s_file_has_the_file_s_line() -> None:
    error = refused(own_spec(ADDRESS))
    assert error.message.startswith("model.fruit holds a secret")
    assert error.where is not None
    assert (error.where.file, error.where.line) == ("own.yaml", 4)
    assert "${env:NAME}" in error.remedy
    assert "where the trial runs" in error.remedy


def test_a_secret_among_the_changes_has_the_run_file_s_line() -> None:
    error = refused(f"set:\n  model.fruit: {ADDRESS}")
    assert error.message.startswith("model.fruit holds a secret")
    assert error.where is not None
    assert (error.where.file, error.where.line) == ("run.yaml", 3)
    assert "${env:NAME}" in error.remedy


def test_a_secret_in_an_argument_is_not_repeated() -> None:
    error = refused("", f"model.fruit={ADDRESS}")
    assert str(error).startswith("the argument 'model.fruit=…'")


def test_a_secret_among_the_arguments_of_python_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^AutoML\(…\): model.fruit holds a secret") as caught:
        raytao.AutoML("toy", spec={"model": {"fruit": ADDRESS}})
    assert CANARY not in str(caught.value)
    with pytest.raises(SettingsError, match=r"AutoML\(…\): brain.api_key holds a secret"):
        raytao.AutoML("toy", brain={"name": "random", "api_key": CANARY})


def test_a_space_of_secrets_is_refused() -> None:
    with pytest.raises(SpecError, match="url holds a secret") as caught:
        raytao.AutoML(space={"url": Categorical("url", ("a", ADDRESS))}, metric="acc", epochs=1)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "remedy"),
    [
        (f"address: ray://ann:{CANARY}@head:10001", "RAY_ADDRESS"),
        (f"tracking: {{uri: 'https://ann:{CANARY}@host'}}", ""),
        (
            f"tracking: {{name: mlflow, experiment: 'https://ann:{CANARY}@host'}}",
            "MLFLOW_TRACKING",
        ),
        (f"brain: {{name: random, token: {CANARY}}}", "leave it out"),
    ],
)
def test_a_secret_in_a_setting_is_refused(setting: str, remedy: str) -> None:
    error = refused(setting)
    assert error.where is not None
    assert error.where.line == 2
    assert remedy in error.remedy


@pytest.mark.parametrize("scheme", ["s3", "gs", "hdfs", "file"])
def test_results_at_an_address_with_a_login_or_of_an_unknown_kind_are_refused(scheme: str) -> None:
    known = scheme in ("s3", "gs")
    error = refused(f"results_dir: {scheme}://ann:{CANARY}@bucket/runs")
    assert f"results_dir: '{scheme}://***@bucket/runs' " in error.message
    assert ("holds a login" if known else "s3://, gs://, az://") in error.message
    assert error.where is not None
    assert error.where.line == 2
    error = refused("", f"results_dir={scheme}://ann:{CANARY}@bucket/runs")
    assert str(error).startswith("the argument 'results_dir=…'")


def test_results_at_an_address_are_taken() -> None:
    Path("run.yaml").write_text("network: toy\nresults_dir: s3://bucket/runs/1\n")
    assert str(resolve("run.yaml").results) == "s3://bucket/runs/1"
    assert str(resolve("run.yaml", ["results_dir=gs://other/2/"]).results) == "gs://other/2"


def test_the_value_of_a_secret_variable_is_refused_anywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NGC_API_KEY", CANARY)
    error = refused(f"results_dir: runs/{CANARY}")
    assert "it holds the value of the environment variable NGC_API_KEY" in error.message


def test_a_resumed_run_takes_no_secret_either() -> None:
    Path("run.yaml").write_text("network: toy\n")
    setup = resolve("run.yaml")
    with pytest.raises(SettingsError, match=r"^the argument 'address=…': address holds") as caught:
        relocated(setup, [f"address=ray://ann:{CANARY}@head:10001"])
    assert CANARY not in str(caught.value)


def test_a_reference_is_no_secret_and_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUIT", "fig")
    Path("run.yaml").write_text(
        f"network: toy\n{own_spec('${env:FRUIT}')}\nsearch: {{only: [model.x]}}"
    )
    setup = resolve("run.yaml")
    assert setup.spec.get("model.fruit") == "${env:FRUIT}"
    assert "${env:FRUIT}" in setup.recommendation({}, 9).dump()
    assert "fig" not in str(setup.opened())


def test_a_reference_to_nothing_is_refused_with_its_line() -> None:
    error = refused(f"{own_spec('${env:NOT_SET_ANYWHERE}')}\nsearch: {{only: [model.x]}}")
    assert "model.fruit refers to ${env:NOT_SET_ANYWHERE}" in error.message
    assert error.where is not None
    assert (error.where.file, error.where.line) == ("own.yaml", 4)


def test_a_reference_in_a_setting_is_refused_for_nobody_would_replace_it() -> None:
    error = refused("results_dir: ${env:SCRATCH}/runs")
    assert "references are for the train spec only" in error.message


@pytest.mark.parametrize(
    "command", ["run run.yaml", "plan run.yaml", "train toy -e own.yaml -r out"], ids=str
)
def test_every_verb_that_reads_a_spec_refuses_it(command: str) -> None:
    Path("run.yaml").write_text(f"network: toy\n{own_spec(ADDRESS)}\n")
    said = CliRunner().invoke(main, command.split())
    assert said.exit_code == 2
    assert "own.yaml:4:" in said.stderr
    assert CANARY not in said.output
    assert not Path("out").exists()
