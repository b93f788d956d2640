"""What counts as a secret, and that none is left in a text that was redacted."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.redact import MARK, Redactor, has_login, redact, redactor, secret_of

SECRET = "wJalr/XUtn+FEMI\"K7'MDENG\\bPx"
NAMES = [
    *("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "HF_TOKEN", "WANDB_API_KEY"),
    *("PGPASSWORD", "OPENAI_APIKEY", "DB_PASSWD", "GOOGLE_CREDENTIALS", "MYSQL_PWD"),
    *("npm_auth", "AZURE_STORAGE_CONNECTION_STRING", "SSH_PASSPHRASE", "API_KEY_2", "KEY"),
]
values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=8)
around = st.text(max_size=20)


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_whose_name_says_so_is_secret(name: str) -> None:
    assert Redactor({name: SECRET})(f"the value is {SECRET}.") == f"the value is {MARK}."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SSH_AUTH_SOCK", "/tmp/ssh-nowhere/agent.1"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/nowhere"),
        ("TOKENIZERS_PARALLELISM", "disabled"),
        ("KEYBOARD_LAYOUT", "neo-qwertz"),
        ("PWD", "/home/somebody"),
        ("OLDPWD", "/home/somebody"),
        ("RAY_AUTH_MODE", "token-based"),
        ("HF_TOKEN", "short"),
        ("MONKEY", "orang-utan"),
        ("GOOGLE_APPLICATION_CREDENTIALS", str(Path(__file__).absolute())),
    ],
)
def test_what_only_sounds_like_a_secret_is_left_alone(name: str, value: str) -> None:
    assert Redactor({name: value})(f"see {value}") == f"see {value}"


@given(values, around, around)
def test_no_form_of_a_secret_value_is_left(value: str, before: str, after: str) -> None:
    hide = Redactor({"API_TOKEN": value})
    forms = [value, json.dumps(value), json.dumps(value, ensure_ascii=False), repr(value)]
    for form in [*forms, quote(value), quote(value, safe="")]:
        shown = hide(before + form + after)
        assert value not in shown
        assert json.dumps(value)[1:-1] not in shown


def test_every_line_of_a_private_key_is_secret() -> None:
    lines = ["-----BEGIN KEY-----", "MIIEpAIBAAKCAQEA7", "bzQ9x0kfGmPqY2Lw"]
    hide = Redactor({"SSH_PRIVATE_KEY": "\n".join(lines) + "\n"})
    for line in lines:
        assert line not in hide(f"loaded {line} from the agent")


def test_a_password_within_an_address_of_the_environment_is_secret() -> None:
    hide = Redactor({"MLFLOW_TRACKING_URI": "https://ann:correct-horse@host", "HOME": "/home/ann"})
    assert hide("login of ann with correct-horse failed") == f"login of ann with {MARK} failed"


def test_the_environment_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    assert redact(f"got {SECRET}") == f"got {SECRET}"
    monkeypatch.setenv("NEW_API_KEY", SECRET)
    assert redact(f"got {SECRET}") == f"got {MARK}"


def test_a_variable_is_secret_where_a_spec_uses_it_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGIN_OF_ANN", SECRET)
    monkeypatch.setenv("DATA_FOLDER", "/mnt/pictures")
    spec = {"data": {"password": "${env:LOGIN_OF_ANN}", "root": "${env:DATA_FOLDER}/train"}}
    assert redactor(spec)(f"{SECRET} /mnt/pictures") == f"{MARK} /mnt/pictures"
    spec = {"data": {"url": "s3://ann:${env:LOGIN_OF_ANN}@bucket"}}
    assert redactor(spec)(SECRET) == MARK


def test_redacting_a_line_takes_microseconds() -> None:
    hide = Redactor({f"KEY_{n}": f"{SECRET}{n}" for n in range(20)})
    text = "epoch 3: loss 0.25, accuracy 0.9\n" * 2_000  # 64 KiB
    began = time.perf_counter()
    for _ in range(10):
        hide(text)
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize("text", ["://" * 20_000, "?" + "a" * 60_000, "https://" + "a" * 60_000])
def test_no_text_makes_it_slow(text: str) -> None:
    began = time.perf_counter()
    redact(text)
    has_login(text)
    assert time.perf_counter() - began < 2.0


LITERAL: list[Mapping[str, Any]] = [
    {"dataset": {"password": "hunter2"}},
    {"dataset.password": 12345678},
    {"data": {"apiKey": "abc"}},
    {"model.access_key": "abc"},
    {"model": {"hub": [{"auth_token": "abc"}]}},
    {"aws_secret": "abc"},
    {"credentials": "abc"},
    {"token": "abc"},
    {"password": "prefix${env:REST}"},
    {"root": "s3://ann:hunter2@bucket/data"},
    {"root": "https://ghp_abcdef@github.com/x"},
    {"root": "https://host/data?page=1&api_key=abc"},
    {"roots": ["/data", "s3://ann:hunter2@bucket"]},
]
INNOCENT: list[Mapping[str, Any]] = [
    {"tokenizer": "bert", "num_tokens": 8, "key_frames": "all", "token_dim": 64},
    {"pad_token": "<pad>", "mask_token": "[MASK]", "cls_token": "cls", "special_token": "x"},
    {"token": "<s>", "use_class_token": True, "token_": None, "secret": "", "password": None},
    {"monkey": "x", "keys": ["a"], "primary_key": "id", "token": 5, "secret": False},
    {"password": "${env:PW}", "root": "s3://${env:USER}:${env:PW}@bucket"},
    {"root": "https://host/?token=${env:T}", "url": "ssh://git@host/x", "at": "a@b.c"},
    {"root": "http://host:5000/a@b", "db": "sqlite:///a:b@c.db", "password": "???"},
]


@pytest.mark.parametrize("values", LITERAL, ids=str)
def test_a_literal_secret_is_found_and_not_told(values: Mapping[str, Any]) -> None:
    found = secret_of(values)
    assert found is not None
    assert "hunter2" not in str(found)
    assert found.key.split(".")[0] == str(next(iter(values))).split(".")[0]


@pytest.mark.parametrize("values", INNOCENT, ids=str)
def test_an_innocent_value_is_no_secret(values: Mapping[str, Any]) -> None:
    assert secret_of(values) is None


def test_the_value_of_a_secret_variable_is_a_secret_anywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NGC_API_KEY", SECRET)
    found = secret_of({"model": {"name": f"resnet-{SECRET}"}})
    assert found is not None
    assert found.key == "model.name"
    assert found.why == "it holds the value of the environment variable NGC_API_KEY"
