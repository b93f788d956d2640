"""An S3 server on this machine, as a fixture; a test that uses it gets a prefix of its own."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.request import Request, urlopen

import pytest

BUCKET = "raytao-tests"


@contextmanager
def s3_server() -> Iterator[Mapping[str, str]]:
    """Serve S3 with one empty bucket; the variables by which every client finds it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    try:
        bucket = Request(f"{variables['AWS_ENDPOINT_URL']}/{BUCKET}", method="PUT")
        with urlopen(bucket):
            yield variables
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3_variables() -> Iterator[Mapping[str, str]]:
    """One server for all tests of a session."""
    with s3_server() as variables:
        yield variables


@pytest.fixture
def s3_address(s3_variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """An address on the server where nothing is yet; this process's environment knows the way."""
    for name, value in s3_variables.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"
