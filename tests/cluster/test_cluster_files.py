"""Every file in cluster/ passes its check, and each mistake that is planted in one is found."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import raytao
from raytao.cli.checking import objection_to
from raytao.cli.main import main
from raytao.cluster.files.check import Checked, check_file, files_in
from raytao.cluster.files.finding import Page, manifests
from raytao.cluster.files.images import objection_to_image, objection_to_pin
from raytao.cluster.files.shell import raytao_calls
from raytao.errors import SpecError, UserError
from raytao.spec import Document

ROOT = Path(raytao.__file__).parents[1]
CLUSTER = ROOT / "cluster"
KUBERAY = ROOT.parent / "shared/kuberay"
"""KubeRay's own schemas. They are no part of the project: where they lie, they are asked, too."""

FILES = sorted(str(path.relative_to(CLUSTER)) for path in files_in(CLUSTER))
ENUMS_OF_OURS = ("K8sJobMode",)
"""Values that KubeRay's schema takes for any text."""


@dataclass(frozen=True)
class Mistake:
    """One of planted_mistakes.yaml, whose head says what the keys mean."""

    file: str
    name: str
    old: str
    new: str
    says: str
    on: str = ""
    without: str = ""

    @property
    def text(self) -> str:
        """The file with the mistake in it."""
        shipped = (CLUSTER / self.file).read_text()
        assert self.old in shipped, f"{self.file} has changed: {self.old!r}"
        planted = shipped.replace(self.old, self.new, 1)
        return planted.replace(self.without, "") if self.without else planted

    @property
    def line(self) -> int:
        """Where it must be found."""
        lines = self.text.splitlines()
        if self.on:
            return next(n for n, line in enumerate(lines, 1) if self.on in line)
        before = (CLUSTER / self.file).read_text().splitlines()
        pairs = enumerate(zip(before, lines, strict=False), 1)
        return next(n for n, (old, new) in pairs if old != new)


def planted() -> list[Mistake]:
    listed = Document.load(Path(__file__).with_name("planted_mistakes.yaml")).plain()
    return [Mistake(file, **one) for file, mistakes in listed.items() for one in mistakes]


MISTAKES = planted()
BY_NAME = [pytest.param(one, id=one.name) for one in MISTAKES]


@lru_cache
def asked(arguments: tuple[str, ...]) -> UserError | None:
    """What the command line says; asked once for the same arguments."""
    return objection_to(main, arguments)


def checked(path: Path) -> Checked:
    return check_file(path, lambda arguments: asked(tuple(arguments)))


def written(mistake: Mistake, folder: Path) -> Path:
    path = folder / Path(mistake.file).name
    path.write_text(mistake.text)
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["cluster", "check", *map(str, arguments)])


@pytest.mark.parametrize("file", FILES)
def test_a_shipped_file_has_no_mistake(file: str) -> None:
    found = checked(CLUSTER / file)
    assert [str(finding) for finding in found.mistakes] == []


def test_every_target_has_its_file() -> None:
    wanted = {
        *("aws.yaml", "gcp.yaml", "azure.yaml", "local.yaml", "fake-multi-node.yaml"),
        *("kuberay/rayjob.yaml", "kuberay/raycluster.yaml", "kuberay/networkpolicy.yaml"),
        *("slurm/raytao.sbatch", "skypilot.yaml", "anyscale-job.yaml"),
        *("Dockerfile", "Dockerfile.cpu"),
    }
    assert set(FILES) == wanted


def test_mistakes_of_every_kind_are_planted() -> None:
    assert len(MISTAKES) >= 60
    names = [mistake.name for mistake in MISTAKES]
    assert len(set(names)) == len(names)
    untouched = {"fake-multi-node.yaml"}  # of the same kind as local.yaml
    assert {mistake.file for mistake in MISTAKES} == set(FILES) - untouched


@pytest.mark.parametrize("mistake", BY_NAME)
def test_a_planted_mistake_is_found_at_its_line(mistake: Mistake, tmp_path: Path) -> None:
    found = checked(written(mistake, tmp_path)).mistakes
    assert found, "nothing was found"
    assert any(mistake.says in str(finding) for finding in found), list(map(str, found))
    lines = {finding.where.line for finding in found if mistake.says in str(finding)}
    elsewhere = {finding.where.line for finding in found} - lines
    assert lines == {mistake.line}, list(map(str, found))
    assert elsewhere == set() or mistake.without, list(map(str, found))
    assert all(finding.key and finding.rule and finding.remedy for finding in found)


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    for mistake in (one for one in MISTAKES if "abcdefgh12345678" in one.new):
        shown = run(written(mistake, tmp_path)).output
        assert "secret" in shown
        assert "abcdefgh12345678" not in shown


def test_mistakes_are_the_users_and_notes_are_not(tmp_path: Path) -> None:
    clean = run(CLUSTER)
    assert clean.exit_code == 0
    assert "note: 'registry.example.com' stands for a name of yours" in clean.output
    broken = run(CLUSTER / "aws.yaml", written(MISTAKES[0], tmp_path))
    assert broken.exit_code == 2
    assert f"{tmp_path / 'aws.yaml'} (Ray cluster): 1 mistake" in broken.output


def test_the_same_as_data(tmp_path: Path) -> None:
    path = written(MISTAKES[0], tmp_path)
    answer = json.loads(run(path, "--json").output)
    assert answer["mistakes"] == 1
    (file,) = answer["files"]
    assert file["kind"] == "Ray cluster"
    first = file["findings"][0]
    assert set(first) == {"file", "line", "column", "key", "value", "rule", "remedy", "note"}
    assert (first["line"], first["key"]) == (MISTAKES[0].line, "max_wokers")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("notes.yaml", "a: 1\n", "no file that starts a cluster"),
        ("notes.md", "# notes\n", "no file that starts a cluster"),
        ("empty.yaml", "", "the file is empty"),
        ("missing.yaml", None, "cannot be read"),
    ],
)
def test_what_is_no_cluster_file_is_refused(
    name: str, text: str | None, says: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    done = run(path)
    assert done.exit_code == 2
    assert says in done.output
    assert "Traceback" not in done.output


def test_a_folder_without_cluster_files_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.exit_code == 2
    assert "no cluster file" in done.output


def test_a_file_that_cannot_be_read_keeps_nobody_from_checking_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xed\xff")
    (tmp_path / "aws.yaml").write_text(MISTAKES[0].text)
    (tmp_path / "run.yaml").write_text("network: image_classification\nseed: 1\n")
    done = run(tmp_path)
    assert done.exit_code == 2
    assert "a.yaml:1:1: the file is not read" in done.output
    assert "aws.yaml (Ray cluster): 1 mistake" in done.output
    assert "run.yaml" not in done.output


UNEXPECTED = (7, "x", [["x"]], {"a": [3]}, None)


def ways(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a document."""
    yield from (way,) if way else ()
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in inner:
            yield from ways(one, (*way, key))


@pytest.mark.parametrize("file", [file for file in FILES if file.endswith(".yaml")])
def test_what_stands_at_the_wrong_place_is_no_traceback(file: str, tmp_path: Path) -> None:
    """Every seventh value of a file is something else, in turn."""
    (shipped,), _ = manifests(Page(file, (CLUSTER / file).read_text()))
    for number, way in list(enumerate(ways(shipped.plain)))[3::7]:
        broken = deepcopy(shipped.plain)
        inner = broken
        for key in way[:-1]:
            inner = inner[key]
        inner[way[-1]] = UNEXPECTED[number % len(UNEXPECTED)]
        path = tmp_path / Path(file).name
        path.write_text(json.dumps(broken, indent=1))
        refused = ""
        try:
            checked(path)
        except SpecError as error:
            refused = str(error)
        assert not refused or "no file that starts a cluster" in refused


SHELL = {
    "raytao run a": ["run a"],
    "A=1 exec raytao run a > log 2>&1 &": ["run a"],
    "timeout 24h raytao run a; raytao status b": ["run a", "status b"],
    "ray job submit --working-dir x -- raytao run a": ["run a"],
    "srun ray symmetric-run \\\n  --address x -- raytao run a \\\n  slots=2 &": ["run a slots=2"],
    "if [ $RANK = 0 ]; then raytao run a; fi": ["run a"],
    "python3 -m raytao run a": ["run a"],
    "bash -c 'raytao run a'": ["run a"],
    "echo raytao run a": [],
    "# raytao run a": [],
    "sky jobs launch --name raytao": [],
    "echo 'not closed": [],
}


@pytest.mark.parametrize(("script", "calls"), SHELL.items(), ids=SHELL)
def test_the_raytao_commands_of_a_script_are_seen(script: str, calls: list[str]) -> None:
    assert [" ".join(call) for call in raytao_calls(script)] == calls


def test_an_image_says_which_ray_and_which_python_it_has() -> None:
    from raytao.cluster.files.images import python_here, ray_here

    ray, python = f"{ray_here()}.0", f"py{python_here().replace('.', '')}"
    good = (
        *(f"rayproject/ray:{ray}-{python}-cpu", f"docker.io/rayproject/ray:{ray}-{python}-cu128"),
        *(f"host:5000/me/raytao:0.1.0-ray{ray}-{python}", f"me/x:ray{ray}-{python}@sha256:0a"),
    )
    assert [image for image in good if objection_to_image(image)] == []
    bad = (
        *("rayproject/ray", "rayproject/ray:latest", "rayproject/ray:nightly-py311-gpu"),
        *(f"rayproject/ray:{ray}", f"rayproject/ray:1.0.0-{python}", f"me/raytao:{ray}-{python}"),
        *("host:5000/me/raytao", f"me/raytao:ray{ray}0.1-{python}", "me/x@sha256:0a"),
    )
    assert [image for image in bad if objection_to_image(image) is None] == []
    assert objection_to_pin("busybox@sha256:0a") is None
    assert objection_to_pin("busybox") is not None


def test_a_document_further_down_keeps_its_lines() -> None:
    text = "# head\n---\na: 1\n---\n# only a comment\n---\nb:\n  c: 2\n"
    first, second = manifests(Page("x.yaml", text))[0]
    assert (first.where("a").line, second.where("b", "c").line) == (3, 8)


def commands_for_people() -> list[tuple[str, list[str]]]:
    """Every raytao command in the READMEs' blocks and in the files' headers."""
    readme = (CLUSTER / "README.md").read_text()
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", readme, flags=re.DOTALL)
    within = re.findall(r"(?<!`)`(raytao [^`]+)`(?!`)", readme)
    at_the_top = (CLUSTER.parent / "README.md").read_text()
    blocks += re.findall(r"```bash\n(.*?)```", at_the_top, flags=re.DOTALL)
    shown = [("README.md", text) for text in (*blocks, *within)]
    for file in FILES:
        for line in (CLUSTER / file).read_text().splitlines():
            if told := re.match(r"#\s+(?:start|submit|watch|stop)?\s+(\S.*)", line):
                shown.append((file, told[1]))
    return [(file, call) for file, text in shown for call in raytao_calls(text)]


def test_the_commands_that_people_are_told_are_raytaos() -> None:
    found = commands_for_people()
    assert len(found) >= 25
    verbs = [call for _, call in found if len(call) == 1]
    assert [call for call in verbs if call[0] not in main.commands] == []
    whole = [(file, call) for file, call in found if len(call) > 1]
    wrong = [(file, call, objection_to(main, call)) for file, call in whole]
    assert [(file, call, str(error)) for file, call, error in wrong if error is not None] == []


def test_every_file_says_how_to_start_submit_and_stop() -> None:
    for file in FILES:
        head = (CLUSTER / file).read_text().split("\n\n")[0]
        for verb in ("start", "submit", "stop"):
            assert re.search(rf"^# {verb} ", head, flags=re.MULTILINE), f"{file}: {verb}"


def test_the_readme_has_a_screen_for_every_target() -> None:
    readme = (CLUSTER / "README.md").read_text()
    chapters = re.split(r"^## ", readme, flags=re.MULTILINE)[1:]
    assert {c.split("\n")[0]: len(c.splitlines()) for c in chapters if c.count("\n") > 41} == {}
    for file in FILES:
        assert f"`{file}`" in readme, file


def test_checking_loads_nothing_heavy() -> None:
    body = """
import sys
from raytao.cli.main import main
for arguments in (["cluster", "check", "--help"], ["cluster", "check", {files}]):
    try:
        main(arguments)
    except SystemExit as end:
        assert not end.code, end.code
print([name for name in {heavy} if name in sys.modules])
"""
    files = ", ".join(repr(str(CLUSTER / name)) for name in ("Dockerfile", "kuberay/rayjob.yaml"))
    heavy = ("ray", "torch", "mlflow", "sklearn", "scipy", "pandas")
    code = body.format(files=files, heavy=heavy)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_command_line_that_cannot_be_is_refused() -> None:
    for arguments in (
        [],
        ["rum"],
        ["run"],
        ["run", "x", "--resume", "maybe"],
        ["cluster", "chek"],
    ):
        assert isinstance(objection_to(main, arguments), UserError), arguments
    for arguments in (["--version"], ["run", "run.yaml", "slots=2"], ["cluster", "check", "x"]):
        assert objection_to(main, arguments) is None, arguments


if KUBERAY.is_dir():  # without the folder there are no cases: a skip would be a failure

    def made_strict(schema: Any) -> Any:
        """The schema, with unknown keys refused as the README beside it says."""
        if isinstance(schema, list):
            return [made_strict(one) for one in schema]
        if not isinstance(schema, dict):
            return schema
        made = {key: made_strict(value) for key, value in schema.items()}
        if made.get("x-kubernetes-int-or-string"):
            made.pop("type", None)
        open_to_others = made.get("x-kubernetes-preserve-unknown-fields", False)
        if made.get("type") == "object" and "properties" in made and not open_to_others:
            made.setdefault("additionalProperties", False)
        return made

    STRICT = {
        kind: made_strict(json.loads((KUBERAY / f"{kind.lower()}s-v1.schema.json").read_text()))
        for kind in ("RayCluster", "RayJob")
    }

    def refusals(text: str) -> list[str]:
        """What KubeRay's strict schema says to a manifest."""
        from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # no types

        (manifest,), unreadable = manifests(Page("manifest", text))
        assert unreadable == []
        kind: Any = manifest.get("kind")
        return [e.message for e in Draft202012Validator(STRICT[kind]).iter_errors(manifest.plain)]

    @pytest.mark.parametrize("file", ["kuberay/raycluster.yaml", "kuberay/rayjob.yaml"])
    def test_kuberays_own_schema_takes_a_shipped_manifest(file: str) -> None:
        assert refusals((CLUSTER / file).read_text()) == []

    @pytest.mark.parametrize(
        "mistake",
        [
            pytest.param(one, id=one.name)
            for one in MISTAKES
            if one.file.startswith("kuberay/ray") and "did you mean" in one.says
        ],
    )
    def test_what_kuberays_own_schema_refuses_is_what_we_refuse(mistake: Mistake) -> None:
        assert bool(refusals(mistake.text)) == (mistake.old not in ENUMS_OF_OURS)
