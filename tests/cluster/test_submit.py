"""What is sent to a cluster, what is refused before, and how a job is known again."""

from __future__ import annotations

import base64
import pickle
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, TCPServer
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import raytao
from raytao.automl.whole import whole
from raytao.cli.submitting import listed
from raytao.cluster.door import Unreachable, ask_version, is_loopback, knock, server_address
from raytao.cluster.job_server import INTERRUPTED, RESULTS, Job, JobServer, Quiet, same_base
from raytao.cluster.package import Package, environment, package, read_function, with_wheel
from raytao.cluster.submit import Submission, follow, how_it_ended, submit
from raytao.cluster.token import find_token, open_to_others
from raytao.errors import DataError, SettingsError, SpecError, UserError
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.spec import Document, elsewhere
from raytao.tao.sent import SENT, sent_name

VARIABLES = (
    *("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"),
    *("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"),
)
RUN = """
network: toy
brain: {name: hyperband, R: 9, nu: 3, epoch_multiplier: 1}
set: {train.sleep: 0.25}
resources: {cpus: 0.5}
seed: 3
results_dir: /mnt/results/toy
"""
CARD = """
name: tiny
description: a network of the user's
epoch_key: epochs
kpi: acc
metrics: {acc: maximize}
spec_format: yaml
command: {train: 'sh {folder}/go.sh {spec}', status: {stdout: jsonl}}
"""
TABLE = (
    "parameter,display_name,value_type,description,default_value,examples,valid_min,valid_max,"
    "valid_options,required,regex,popular,automl_enabled,math_cond,parent_param,depends_on\n"
    "lr,Rate,float,Rate,0.1,,0.001,1,,,,,TRUE,,,\n"
)


@pytest.fixture(autouse=True)
def nobody_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and an environment that know no cluster."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home/.ray").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def run_file(folder: Path, text: str = RUN) -> str:
    (folder / "run.yaml").write_text(text)
    return str(folder / "run.yaml")


def packed(setup: Setup, beside: Path = Path(), **options: bool) -> Package:
    return package(setup, "run", beside, **options)


def unpacked(sent: Package, folder: Path) -> Setup:
    """What `raytao run` makes of it on the cluster."""
    folder.mkdir()
    sent.write(folder)
    return resolve(str(folder / sent.file))


def elsewhere_resolve(run: str, *assignments: str) -> Setup:
    with elsewhere():
        return resolve(run, assignments)


# What is sent


def test_what_is_sent_means_the_same_run(nobody_logged_in: Path, tmp_path: Path) -> None:
    run = run_file(nobody_logged_in)
    setup = resolve(run, ["model.x=0.75", "slots=3", "search.remove=[model.fruit]"])
    there = unpacked(packed(setup), tmp_path / "there")
    assert there.identity() == setup.identity()
    assert there.results == setup.results
    assert there.settings.slots == 3
    assert there.settings.resources == setup.settings.resources


def test_a_shipped_run_is_sent_whole_with_its_network_by_name(tmp_path: Path) -> None:
    setup = elsewhere_resolve("digits_hyperband", "results_dir=s3://bucket/run")
    sent = packed(setup)
    assert sorted(sent.files) == ["run.yaml", "train_spec.yaml"]
    assert unpacked(sent, tmp_path / "there").identity() == setup.identity()
    assert sent.entrypoint == 'cd / && exec raytao run "$OLDPWD/run.yaml" --resume=auto'


def test_first_configurations_travel_as_copies(nobody_logged_in: Path, tmp_path: Path) -> None:
    (nobody_logged_in / "good.yaml").write_text("model: {x: 0.5}\n")
    run = run_file(nobody_logged_in, RUN + "initial: [good.yaml, {model.x: 0.25}]\n")
    setup = resolve(run)
    sent = packed(setup, nobody_logged_in)
    assert "initial_1.yaml" in sent.files
    (nobody_logged_in / "good.yaml").unlink()
    assert unpacked(sent, tmp_path / "there").identity() == setup.identity()


def test_nothing_else_of_the_users_folder_is_sent(nobody_logged_in: Path) -> None:
    (nobody_logged_in / "secret.txt").write_text("hunter2")
    sent = packed(resolve(run_file(nobody_logged_in)), nobody_logged_in)
    assert sorted(sent.files) == ["run.yaml", "train_spec.yaml"]
    assert not any(b"hunter2" in content for content in sent.files.values())


def test_a_folder_network_is_found_again_where_it_was_sent(
    nobody_logged_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = nobody_logged_in / "tiny"
    (net / "__pycache__").mkdir(parents=True)
    (net / "__pycache__/x.pyc").write_text("")
    (net / "card.yaml").write_text(CARD)
    (net / "spec.yaml").write_text("epochs: 2\nlr: 0.1\n")
    (net / "params.csv").write_text(TABLE)
    (net / "go.sh").write_text("echo")
    (net / "go.sh").chmod(0o755)
    run = run_file(
        nobody_logged_in,
        "network: ./tiny\nbrain: {name: random, max_recommendations: 2}\nresults_dir: /mnt/r\n",
    )
    setup = resolve(run)
    sent = packed(setup, nobody_logged_in)
    place = sent_name(net.resolve())
    assert {Path(name).name for name in sent.files if name.startswith(SENT)} == {
        *("card.yaml", "spec.yaml", "params.csv", "go.sh")
    }
    (tmp_path / "job").mkdir()
    sent.write(tmp_path / "job")
    assert (tmp_path / "job" / place / "go.sh").stat().st_mode & 0o100
    net.rename(tmp_path / "gone")
    monkeypatch.syspath_prepend(str(tmp_path / "job"))
    there = resolve(str(tmp_path / "job/run.yaml"))
    assert there.identity() == setup.identity()
    assert there.card.folder == tmp_path / "job" / place


def test_a_wheel_comes_first_and_is_run_as_a_module(nobody_logged_in: Path) -> None:
    wheel = nobody_logged_in / "raytao-9.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("raytao/__init__.py", "__version__ = '9'")
        archive.writestr("raytao-9.dist-info/entry_points.txt", "")
    sent = with_wheel(packed(resolve(run_file(nobody_logged_in))), wheel)
    assert sent.command == ("python", "-m", "raytao", "run")
    assert {"raytao/__init__.py", "raytao-9.dist-info/entry_points.txt"} < set(sent.files)
    with pytest.raises(SettingsError, match=r"no wheel"):
        with_wheel(sent, nobody_logged_in / "run.yaml")


def test_a_function_of_a_module_travels_whole(
    nobody_logged_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nobody_logged_in / "mine_helper.py").write_text("def half(x):\n    return x / 2\n")
    (nobody_logged_in / "mine_train.py").write_text(
        "import mine_helper\n\ndef train(params):\n    return mine_helper.half(params['x'])\n"
    )
    monkeypatch.syspath_prepend(str(nobody_logged_in))
    import mine_train  # type: ignore[import-not-found]  # written above

    function = whole(mine_train.train)
    for name in ("mine_train", "mine_helper"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(nobody_logged_in)])
    assert pickle.loads(base64.b64decode(function.text()))({"x": 3.0}) == 1.5


def test_a_function_is_read_back_with_its_space(tmp_path: Path) -> None:
    automl = raytao.AutoML(
        train=lambda params: params["x"] ** 2,
        space={"x": (-1.0, 1.0), "kind": ["a", "b"]},
        metric="loss",
        brain={"name": "random", "max_recommendations": 3},
        results_dir="/mnt/results/own",
    )
    setup = automl._setup
    sent = packed(setup)
    assert (*sent.command, sent.file) == ("raytao", "run-function", "function.json")
    sent.write(tmp_path)
    there = read_function(tmp_path / "function.json")
    assert there.identity() == setup.identity()
    assert there.results == setup.results
    assert there.function is not None
    assert there.function.pickled == setup.function.pickled  # type: ignore[union-attr]  # its own


# What is refused before


@pytest.mark.parametrize("results", ["results/run1", ""])
def test_a_relative_results_folder_is_refused(nobody_logged_in: Path, results: str) -> None:
    text = RUN.replace("results_dir: /mnt/results/toy", f"results_dir: {results}" * bool(results))
    with pytest.raises(SettingsError, match="results_dir") as refused:
        packed(resolve(run_file(nobody_logged_in, text)))
    assert "s3://" in refused.value.remedy


def test_data_of_this_machine_are_refused_and_the_clusters_are_not(
    nobody_logged_in: Path, tmp_path: Path
) -> None:
    (nobody_logged_in / "images").mkdir()
    words = ("results_dir=/mnt/r", "dataset.name=folder")
    with pytest.raises(SpecError, match=r"dataset\.root is 'images'"):
        packed(elsewhere_resolve("digits_hyperband", *words, "dataset.root=images"))
    there = "dataset.root=/only/the/cluster/has/it"
    packed(elsewhere_resolve("digits_hyperband", *words, there))
    with pytest.raises(DataError):
        resolve("digits_hyperband", [*words, there])


def test_a_variable_of_the_cluster_need_not_be_set_here(nobody_logged_in: Path) -> None:
    reference = "dataset.root=${env:ONLY_ON_THE_CLUSTER}"
    setup = elsewhere_resolve(
        "digits_hyperband", "results_dir=/mnt/r", "dataset.name=folder", reference
    )
    assert b"${env:ONLY_ON_THE_CLUSTER}" in packed(setup).files["train_spec.yaml"]


def test_an_address_of_a_ray_is_refused_and_a_job_servers_is_dropped(
    nobody_logged_in: Path, tmp_path: Path
) -> None:
    run = run_file(nobody_logged_in)
    with pytest.raises(SettingsError, match=r"address is '10\.0\.0\.1:6379'"):
        packed(resolve(run, ["address=10.0.0.1:6379"]))
    sent = packed(resolve(run, ["address=http://head:8265"]))
    assert unpacked(sent, tmp_path / "there").settings.address is None


def test_a_loop_of_ones_own_cannot_be_submitted() -> None:
    automl = raytao.AutoML(space={"x": (0.0, 1.0)}, metric="loss", results_dir="/mnt/r")
    with pytest.raises(SettingsError, match="loop of your own"):
        packed(automl._setup)


@pytest.mark.parametrize(
    ("name", "value"),
    [("AWS_SECRET_ACCESS_KEY", "x"), ("WANDB_API_KEY", "x"), ("PROXY", "http://ann:pw@host:1/")],
)
def test_no_secret_is_sent_along(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert environment(["AWS_PROFILE"]) == {"AWS_PROFILE": "lab"}
    with pytest.raises(SettingsError, match="plain text") as refused:
        environment(["AWS_PROFILE", name])
    assert value not in str(refused.value) or value == "x"
    with pytest.raises(SettingsError, match="no such variable"):
        environment(["NOT_SET_AT_ALL"])


# How it is known again


def test_a_job_is_the_same_as_long_as_the_run_and_its_folder_are(nobody_logged_in: Path) -> None:
    run = run_file(nobody_logged_in)
    same = [packed(resolve(run)), packed(resolve(run, ["address=http://head:8265"]))]
    others = [
        packed(resolve(run, ["results_dir=/mnt/results/other"])),
        packed(resolve(run, ["seed=4"])),
        packed(resolve(run, ["slots=2"])),
        packed(resolve(run, ["model.x=0.9"])),
    ]
    assert len({one.identity for one in same}) == 1
    assert len({one.identity for one in (same[0], *others)}) == 1 + len(others)


@given(st.lists(st.integers(1, 200), unique=True), st.sampled_from(["SUCCEEDED", "RUNNING"]))
def test_attempts_are_counted_as_numbers(numbers: list[int], status: str) -> None:
    jobs = [Job(f"run-ab12-{n}", status) for n in numbers]
    noise = [Job("run-ab12-x", status), Job("other-run-ab12-7", status), Job("run-ab12", status)]
    found = same_base([*noise, *jobs], "run-ab12")
    assert [n for n, _ in found] == sorted(numbers)


class OneServer(JobServer):
    """A list of jobs in the place of a server: what is decided from it, not how it is reached."""

    def __init__(self, *jobs: Job) -> None:
        self.list = [*jobs]
        self.begun: list[tuple[str, str]] = []

    def jobs(self) -> list[Job]:
        return self.list

    def submit(self, job_id: str, entrypoint: str, **options: Any) -> bool:
        names = sorted(path.name for path in options["folder"].iterdir())
        assert names == ["run.yaml", "train_spec.yaml"]
        self.begun.append((job_id, entrypoint))
        return True


def test_a_running_job_is_joined_and_an_ended_one_is_followed_by_the_next_attempt(
    nobody_logged_in: Path,
) -> None:
    wanted = Submission(packed(resolve(run_file(nobody_logged_in))), {})
    base = f"run-{wanted.package.identity}"
    fresh = OneServer()
    assert submit(fresh, wanted).id == f"{base}-1"
    assert fresh.begun == [(f"{base}-1", wanted.package.entrypoint)]
    for status in ("PENDING", "RUNNING"):
        busy = OneServer(Job(f"{base}-1", "FAILED"), Job(f"{base}-2", status))
        joined = submit(busy, wanted)
        assert (joined.id, joined.attached, busy.begun) == (f"{base}-2", True, [])
    for status in ("SUCCEEDED", "FAILED", "STOPPED"):
        over = OneServer(Job(f"{base}-9", status), Job(f"{base}-10", status))
        assert submit(over, wanted).id == f"{base}-11"


class Dropping(OneServer):
    """A log whose connection breaks after every few characters, and begins anew each time."""

    LOG = "one\ntwo\nthree\nfour\n"

    def __init__(self, breaks: Sequence[int]) -> None:
        super().__init__()
        self.breaks = [*breaks]

    @property
    def address(self) -> str:
        return "http://server"

    def job(self, job_id: str) -> Job:
        return Job(job_id, "RUNNING" if self.breaks else "SUCCEEDED", code=0)

    def tail(self, job_id: str) -> Iterator[str]:
        end = self.breaks.pop(0) if self.breaks else None
        yield from (self.LOG[:end][i : i + 3] for i in range(0, len(self.LOG[:end]), 3))
        if end is not None:
            raise Quiet("nothing") if end % 2 else Unreachable("the connection was lost")


@given(st.lists(st.integers(0, 19), max_size=4))
def test_a_connection_that_drops_loses_and_repeats_nothing(breaks: list[int]) -> None:
    shown: list[str] = []
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("raytao.cluster.submit.PAUSE_SECONDS", 0)
        job = follow(Dropping(breaks), "id", shown.append, said.append)
    assert "".join(shown) == Dropping.LOG
    assert job.exit_code == 0
    assert bool(said) == any(end % 2 == 0 for end in breaks)


def test_a_job_is_given_up_when_nothing_answers_for_long() -> None:
    class Gone(Dropping):
        def job(self, job_id: str) -> Job:
            raise Unreachable("gone")

    with pytest.raises(Unreachable, match="gone"):
        follow(Gone([]), "id", lambda _: None, lambda _: None, patience=-1)


@pytest.mark.parametrize(
    ("job", "code", "said"),
    [
        (Job("a", "SUCCEEDED", code=0), 0, "done"),
        (Job("a", "FAILED", code=2), 2, "exit code 2"),
        (Job("a", "FAILED", code=127), 127, "--wheel"),
        (Job("a", "FAILED", "no such package"), 1, "no such package"),
        (Job("a", "STOPPED"), INTERRUPTED, "submit it again"),
    ],
)
def test_a_job_ends_as_its_run_does(job: Job, code: int, said: str) -> None:
    assert job.exit_code == code
    assert said in how_it_ended(job)


# The door


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("http://head:8265", "http://head:8265"),
        ("http://head:8265/", "http://head:8265"),
        ("head", "http://head:8265"),
        ("head:9000", "http://head:9000"),
        ("https://ray.example.org/team", "https://ray.example.org/team"),
        ("http://[::1]:8265", "http://[::1]:8265"),
    ],
)
def test_an_address_is_read_as_people_write_it(given: str, meant: str) -> None:
    assert server_address(given) == meant


@pytest.mark.parametrize(
    "given", ["auto", "ray://head:10001", "http://", "http://a b", "http://h:x", "http://u:p@h:1"]
)
def test_what_is_no_address_of_a_job_server_is_refused(given: str) -> None:
    with pytest.raises(SettingsError) as refused:
        server_address(given)
    assert "u:p@" not in str(refused.value)


def test_the_variables_are_asked_in_rays_order(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="no address"):
        server_address(None)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")  # a Ray's own: no job server listens there
    with pytest.raises(SettingsError, match="RAY_ADDRESS"):
        server_address(None)
    monkeypatch.setenv("RAY_ADDRESS", "http://two:8265")
    assert server_address(None) == "http://two:8265"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://one:8265")
    assert server_address(None) == "http://one:8265"
    assert server_address("http://three:8265") == "http://three:8265"


def test_loopback_is_known_by_address_and_not_by_name() -> None:
    assert is_loopback("http://localhost:1")
    assert is_loopback("http://127.0.0.9:1")
    assert is_loopback("http://[::1]:1")
    assert not is_loopback("http://192.0.2.1:1")
    with pytest.raises(Unreachable, match="unknown"):
        is_loopback("http://no-such-host.invalid:1")


@contextmanager
def web_server(code: int, body: bytes, **headers: str) -> Iterator[tuple[str, list[str | None]]]:
    """A web server that is no Ray; what it was shown as authorization."""
    shown: list[str | None] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(self.headers.get("Authorization"))
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", shown
        finally:
            server.shutdown()
            thread.join()


def test_what_is_no_job_server_is_told_and_never_sees_the_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "hunter22")
    for code, headers in ((200, {}), (302, {"Location": "http://192.0.2.1/"}), (404, {})):
        with web_server(code, b"<html>", **headers) as (address, shown):
            with pytest.raises(SettingsError, match="no job server"):
                knock(address)
            assert shown == [None]


def test_a_port_that_speaks_no_http_is_told_from_a_job_server() -> None:
    """As Ray's own port, which is easily taken for the dashboard's."""

    class OtherLanguage(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1 << 16)
            self.request.sendall(b"\x00\x00\x18\x04\x00\x00\x00\x00\x00\r\n")

    with TCPServer(("127.0.0.1", 0), OtherLanguage) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(SettingsError, match="speaks no HTTP") as refused:
            knock(f"127.0.0.1:{server.server_address[1]}")
        thread.join()
    assert "8265" in refused.value.remedy


def test_jobs_are_listed_in_columns() -> None:
    found = [Job("a", "RUNNING", metadata={RESULTS: "/r/1"}), Job("bcd-1", "STOPPED", started=0.0)]
    found.append(Job("ef", "SUCCEEDED", started=0.0, metadata={RESULTS: "/r/2"}))
    one, two, three = listed(found)
    assert one.index("RUNNING") == two.index("STOPPED") == three.index("SUCCEEDED")
    assert one.index("/r/1") == three.index("/r/2")


def test_an_old_ray_is_refused() -> None:
    body = b'{"ray_version": "2.49.2"}'
    with web_server(200, body) as (address, _):
        assert ask_version(address, None) == (200, "2.49.2")
        with pytest.raises(SettingsError, match="CVE-2025-62593"):
            knock(address)


def test_nobody_there_is_no_mistake_of_the_user() -> None:
    with pytest.raises(Unreachable, match="no job server answers"):
        knock("http://127.0.0.1:1")
    assert not issubclass(Unreachable, UserError)


# The token


def test_the_token_is_looked_for_where_ray_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_token() is None
    file = tmp_path / "home/.ray/auth_token"
    file.write_text("from-home\n")
    file.chmod(0o644)
    token = find_token()
    assert token is not None
    assert (token.value, token.file) == ("from-home", file)
    assert open_to_others(file) == "0644"
    assert "from-home" not in repr(token)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match="not there"):
        find_token()
    monkeypatch.setenv("RAY_AUTH_TOKEN", "from-variable")
    token = find_token()
    assert token is not None
    assert (token.value, token.file) == ("from-variable", None)


def test_the_run_file_of_a_job_is_a_run_file(nobody_logged_in: Path) -> None:
    sent = packed(resolve(run_file(nobody_logged_in)))
    written = Document.parse(sent.files["run.yaml"], file="run.yaml").plain()
    assert written["results_dir"] == "/mnt/results/toy"
    assert "set" not in written
    assert written["spec"] == "train_spec.yaml"
