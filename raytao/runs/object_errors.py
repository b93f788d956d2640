"""What an object store's library raises, as a sentence: what to do about it, and never a secret.

The libraries are known by the names of their errors, so none of them is imported here.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

from raytao.redact import redact
from raytao.runs.store import StoreError

REMEDIES: Final[Mapping[str, str]] = {
    "s3": "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN, "
    "too, if they are temporary), or give the machine a role; AWS_ENDPOINT_URL for storage that "
    "is not AWS's; on every node",
    "gs": "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to "
    "a service account's file, or give the machine a service account; on every node",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or "
    "AZURE_STORAGE_CONNECTION_STRING, or give the machine an identity; on every node",
}
"""How the environment says who one is, by scheme."""

NEEDED: Final = "list, read, write and delete objects"
"""What raytao does in a bucket."""

_MISSING: Final = frozenset(
    {
        *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"),
        *("ProfileNotFound", "TokenRetrievalError", "SSOError", "DefaultCredentialsError"),
        *("CredentialUnavailableError", "ConfigNotFound"),
    }
)
"""Errors of a machine on which nobody has said who one is."""

_REFUSED: Final = frozenset(
    {
        *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"),
        *("TokenRefreshRequired", "InvalidSecurity", "AuthFailure", "InvalidClientTokenId"),
        *("ExpiredTokenException", "AuthenticationFailed", "InvalidAuthenticationInfo"),
        *("RefreshError", "ClientAuthenticationError"),
    }
)
"""Codes, and errors, of storage that does not believe it."""

_FORBIDDEN: Final = frozenset(
    {
        *("AccessDenied", "AllAccessDisabled", "AccountProblem", "NotSignedUp"),
        *("AuthorizationFailure", "AuthorizationPermissionMismatch"),
        *("InsufficientAccountPermissions", "PublicAccessNotPermitted"),
    }
)

_NO_BUCKET: Final = frozenset({"NoSuchBucket", "ContainerNotFound", "InvalidBucketName"})

_SKEWED: Final = frozenset({"RequestTimeTooSkewed", "RequestExpired"})

_BUSY: Final = frozenset(
    {
        *("SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded"),
        *("TooManyRequests", "TooManyRequestsException", "BandwidthLimitExceeded"),
        *("ServerBusy", "ServiceUnavailable", "InternalError", "OperationTimedOut"),
        *("RequestTimeout", "OperationAborted", "ConditionalRequestConflict"),
    }
)
"""Codes of storage that asks for a moment."""

_LOST: Final = frozenset(
    {
        *("HTTPClientError", "ConnectionError", "TimeoutError", "FSTimeoutError"),
        *("IncompleteReadError", "IncompleteRead", "ResponseParserError", "ClientError"),
        *("ServiceRequestError", "ServiceResponseError", "TransportError", "ChecksumError"),
        *("ChunkedEncodingError", "gaierror"),
    }
)
"""Errors of a connection; ``ClientError`` is aiohttp's here, for botocore's has an answer."""

_MOMENTARY: Final = frozenset({408, 409, 425, 429})
"""HTTP's codes below 500 that may pass; a conflict is two writes at once."""

_CONDITIONS: Final = frozenset({"NotImplemented", "UnsupportedHeader"})

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{2,60}")

Answer = TypeVar("Answer")


def refused(verb: str, place: str, error: BaseException) -> StoreError:
    """Return what to raise in the place of ``error``.

    Args:
        verb: what was tried, as in ``cannot write``.
        place: the object's address.
        error: what the library has raised.
    """
    scheme = place.partition("://")[0]
    told = f"cannot {verb} {redact(place)}"
    status, codes, kinds = _answer(error)
    named = next(iter(sorted(codes)), "") or (str(status) if status else "")
    remedy = REMEDIES.get(scheme, "see the library's own documentation")
    if kinds & _MISSING:
        return StoreError(f"{told}: no credentials were found\n  {remedy}", errno.EACCES)
    if (kinds | codes) & _REFUSED or status == 401:
        why = f"the credentials were refused{f' ({named})' if named else ''}"
        return StoreError(f"{told}: {why}\n  {remedy}", errno.EACCES)
    if codes & _SKEWED:
        return StoreError(f"{told}: this machine's clock is wrong; set it ({named})", errno.EACCES)
    if codes & _FORBIDDEN or status == 403 or isinstance(error, PermissionError):
        why = f"access was denied{f' ({named})' if named else ''}"
        return StoreError(
            f"{told}: {why}; the credentials must allow to {NEEDED}\n  {remedy}", errno.EACCES
        )
    if codes & _NO_BUCKET or isinstance(error, FileNotFoundError):
        return _no_bucket(told, place)
    if codes & _CONDITIONS or status == 501:
        return unconditional(place)
    return StoreError(f"{told}: {_words(error, named)}", _number(error, status, codes, kinds))


def unless_absent(request: Callable[[], Answer], absent: Answer) -> Answer:
    """Ask for one object; answer ``absent`` if there is no such object in the bucket.

    Raises:
        FileNotFoundError: if there is no such bucket.
    """
    try:
        return request()
    except FileNotFoundError as error:
        if _answer(error)[1] & _NO_BUCKET:
            raise
        return absent


def _no_bucket(told: str, place: str) -> StoreError:
    bucket = redact("/".join(place.split("/", 3)[:3]))
    return StoreError(
        f"{told}: there is no bucket {bucket}\n  make it, or name another: raytao makes none",
        errno.ENXIO,
    )


def unconditional(place: str) -> StoreError:
    """Storage that would let two drivers own one run."""
    return StoreError(
        f"the storage of {redact(place)} cannot create an object only where there is none "
        "(conditional writes), so two drivers could own one run\n"
        "  name storage that can: AWS S3, MinIO of 2024 or later, Google Cloud Storage, Azure",
        errno.EOPNOTSUPP,
    )


def _answer(error: BaseException) -> tuple[int | None, set[str], set[str]]:
    """(HTTP status, codes of the service, names of the errors' classes) of an error's causes."""
    status: int | None = None
    codes, kinds = set[str](), set[str]()
    for cause in _causes(error):
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            status = status or response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            codes.add(str(response.get("Error", {}).get("Code", "")))
        else:
            kinds |= {kind.__name__ for kind in type(cause).__mro__}
        for name in ("status_code", "status", "code", "error_code"):
            value = getattr(cause, name, None)
            if isinstance(value, int) and 100 <= value < 600:
                status = status or int(value)
            elif isinstance(value, str):
                codes.add(str(getattr(value, "value", value)))
        if str(cause).startswith("Forbidden:"):  # how gcsfs tells of a 403
            status = status or 403
    return status, {code for code in codes if _CODE.fullmatch(code)}, kinds


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _number(
    error: BaseException, status: int | None, codes: set[str], kinds: set[str]
) -> int | None:
    """The system's number that says best whether it may pass."""
    if codes & _BUSY or (status is not None and (status >= 500 or status in _MOMENTARY)):
        return errno.EAGAIN
    if kinds & _LOST:
        return errno.ETIMEDOUT if "TimeoutError" in kinds else errno.ENOTCONN
    answered = status is not None or bool(codes)
    return error.errno if isinstance(error, OSError) and not answered else None


def _words(error: BaseException, named: str) -> str:
    """What the library says, on one line and without secrets."""
    said: Any = getattr(error, "strerror", None) or str(error) or type(error).__name__
    text = redact(" ".join(str(said).split()))
    return f"{text[:300]} ({named})" if named and named not in text else text[:300]
