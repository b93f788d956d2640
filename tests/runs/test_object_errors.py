"""What object storage refuses is told in a sentence: at once where it will not pass by itself."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from raytao.runs.object_errors import refused
from raytao.runs.object_requests import connect
from raytao.runs.object_store import ObjectStore
from raytao.runs.patience import PatientStore
from raytao.runs.store import Store, StoreError

pytestmark = pytest.mark.timeout(60)
"""A session with S3 takes a second to make, and more where others work."""

SECRET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCY"
ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>{}</Message></Error>"


class Replies:
    """A server that answers every request with the same error; it counts them."""

    def __init__(self) -> None:
        self.status, self.code, self.text = 500, "InternalError", "no"
        self.asked = 0
        replies = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                replies.asked += 1
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = ERROR.format(replies.code, replies.text).encode()
                if not replies.status:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(replies.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_DELETE = do_HEAD = do_POST = answer

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[Replies]:
    replies = Replies()
    yield replies
    replies.stop()


@pytest.fixture
def replies(server: Replies, monkeypatch: pytest.MonkeyPatch) -> Replies:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("raytao.runs.object_requests.uneven_sleep", lambda seconds: None)
    server.asked = 0
    return server


ACTS: list[Callable[[Store], object]] = [
    lambda store: store.list(),
    lambda store: store.read("x"),
    lambda store: store.replace("x", b"1"),
    lambda store: store.append_batch("x", b"1", at=0),
    lambda store: store.delete("x"),
    lambda store: store.create_exclusive("x", b"1"),
]


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (403, "InvalidAccessKeyId", r"the credentials were refused \(InvalidAccessKeyId\)"),
        (403, "SignatureDoesNotMatch", r"the credentials were refused \(SignatureDoesNotMatch\)"),
        (400, "ExpiredToken", r"the credentials were refused \(ExpiredToken\)"),
        (403, "AccessDenied", r"access was denied \(AccessDenied\); the credentials must allow"),
        (403, "RequestTimeTooSkewed", "this machine's clock is wrong"),
        (404, "NoSuchBucket", "there is no bucket s3://bucket\n  make it, or name another"),
        (501, "NotImplemented", "cannot create an object only where there is none"),
        (400, "InvalidArgument", "no"),
    ],
)
def test_what_will_not_pass_is_told_at_once_with_what_to_do(
    replies: Replies, status: int, code: str, told: str
) -> None:
    replies.status, replies.code, replies.text = status, code, f"no {SECRET}"
    with pytest.raises(StoreError, match=told) as no:
        PatientStore(ObjectStore("s3://bucket/run"), sleep=_never).replace("x", b"1")
    assert replies.asked == 1
    assert SECRET not in str(no.value)
    assert ("AWS_PROFILE" in str(no.value)) == ("credentials" in told)


@pytest.mark.parametrize(("status", "code"), [(404, "NoSuchBucket"), (400, "InvalidArgument")])
def test_every_operation_tells_at_once(replies: Replies, status: int, code: str) -> None:
    replies.status, replies.code, replies.text = status, code, "no"
    for act in ACTS:
        replies.asked = 0
        with pytest.raises(StoreError):
            act(PatientStore(ObjectStore("s3://bucket/run"), sleep=_never))
        assert replies.asked == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (503, "SlowDown"),
        (500, "InternalError"),
        (400, "RequestTimeout"),
        (429, "Whatever"),
        (0, ""),
    ],
)
def test_what_may_pass_is_tried_again_with_pauses_that_grow(
    replies: Replies, status: int, code: str
) -> None:
    replies.status, replies.code, replies.text = status, code, "wait"
    waited: list[float] = []
    with pytest.raises(StoreError, match=r"tried 8 times in 61\.5 s") as no:
        PatientStore(ObjectStore("s3://bucket/run"), sleep=waited.append).replace("x", b"1")
    assert no.value.may_pass
    assert waited == sorted(waited)
    assert replies.asked == 3 * 8 or not status  # a lost connection is made anew once more


def test_a_creation_whose_outcome_is_unknown_is_not_tried_again_unseen(replies: Replies) -> None:
    replies.status, replies.code = 503, "SlowDown"
    store = ObjectStore("s3://bucket/run")
    with pytest.raises(StoreError) as no:
        store._bucket.create("x", b"1")
    assert no.value.may_pass
    assert replies.asked == 1


def test_where_nobody_listens_it_may_pass(
    replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(StoreError, match="Could not connect to the endpoint") as no:
        ObjectStore("s3://bucket/run").list()
    assert no.value.may_pass


def test_no_credentials_are_told_with_where_they_are_looked_for(
    replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError, match="no credentials were found\n  set AWS_PROFILE") as no:
        PatientStore(ObjectStore("s3://bucket/run"), sleep=_never).list()
    assert no.value.code == errno.EACCES
    monkeypatch.setenv("AWS_PROFILE", "nobodys")
    with pytest.raises(StoreError, match="no credentials were found"):
        ObjectStore("s3://bucket/run").list()
    assert replies.asked == 0


def test_a_package_that_is_missing_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> object:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("raytao.runs.object_requests._connected", {})
    monkeypatch.setattr("raytao.runs.object_requests.import_module", missing)
    with pytest.raises(StoreError, match=r"pip install 'raytao\[s3\]'"):
        connect("s3")


def test_storage_that_creates_twice_is_refused() -> None:
    class Careless:
        """Like some that speak S3 and pass over the headers that they do not know."""

        def find(self, path: str, *, detail: bool, prefix: str) -> dict[str, dict[str, object]]:
            return {}

        info = cat_file = cp_file = rm_file = None

        def pipe_file(self, path: str, value: bytes, *, mode: str, **more: object) -> None:
            return

    def careless() -> object:
        return Careless()

    store = ObjectStore("s3://bucket/run", filesystem=careless)  # type: ignore[arg-type]  # all it needs here
    with pytest.raises(StoreError, match=r"conditional writes\), so two drivers could own") as no:
        store.create_exclusive("owner", b"me")
    assert not no.value.may_pass


class HttpError(Exception):
    """As gcsfs has one."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Anonymous caller, {code}")
        self.code = code


class DefaultCredentialsError(Exception):
    """As google.auth has one."""


class ClientAuthenticationError(Exception):
    """As azure.core has one."""

    status_code = 401
    error_code = "InvalidAuthenticationInfo"


@pytest.mark.parametrize(
    ("place", "error", "told", "may_pass"),
    [
        ("gs://b/x", HttpError(401), "gcloud auth application-default login", False),
        ("gs://b/x", HttpError(503), "Anonymous caller, 503", True),
        ("gs://b/x", OSError("Forbidden: https://b"), "access was denied", False),
        ("gs://b/x", DefaultCredentialsError(), "no credentials were found", False),
        ("az://b/x", ClientAuthenticationError(), "AZURE_STORAGE_ACCOUNT_NAME", False),
        ("s3://b/x", TimeoutError(), "TimeoutError", True),
        ("s3://b/x", ConnectionResetError(104, "reset"), "reset", True),
        ("s3://b/x", OSError(28, "No space left"), "No space left", True),
        ("s3://b/x", ValueError("odd"), "odd", False),
        ("s3://b/x", ValueError("no: https://h/x?signature=AbCdEfGh123"), "signature=***", False),
    ],
)
def test_each_librarys_errors_are_known_by_their_names(
    place: str, error: Exception, told: str, may_pass: bool
) -> None:
    found = refused("read", place, error)
    assert told in str(found)
    assert found.may_pass == may_pass
    assert "AbCdEfGh123" not in str(found)


def _never(seconds: float) -> None:
    raise AssertionError("nobody waits for what will not pass")
