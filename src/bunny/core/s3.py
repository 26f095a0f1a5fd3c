"""S3 clients as AWS's own tools make them, and one sentence for each thing that goes wrong.

boto3 does the work: retries and credentials are botocore's own (environment, profile, instance),
and so is the endpoint. AWS has no variable for time-outs, hence the setting of the project.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

from bunny.core import http_body
from bunny.core.error import BunnyError, UserError

SCHEME = "s3://"
ATTEMPTS, CONNECT_S, READ_S = 6, 10.0, 60.0
ANSWER_S, ANSWER_BYTES = 300.0, 64 << 20  # limits for answers other than objects, e.g. lists
GONE = ("404", "NoSuchKey", "NotFound")
CHANGED = ("412", "PreconditionFailed", "409", "ConditionalRequestConflict")
BEYOND = ("416", "InvalidRange")
UNKNOWN_REQUEST = ("501", "NotImplemented", "InvalidRequest", "InvalidArgument")
REASON = {
    "NoSuchBucket": "there is no such bucket; create it or correct the address",
    "AccessDenied": "access was denied; check the credentials and the bucket's policy",
    "403": "access was denied; check the credentials and the bucket's policy",
    "InvalidAccessKeyId": "the server does not know the access key; check the credentials",
    "SignatureDoesNotMatch": "the secret key is wrong; check the credentials",
    "ExpiredToken": "the credentials have expired; renew them",
    "InvalidObjectState": "it is stored in an archive tier; restore it first",
}


Answer = TypeVar("Answer")
_timeout: list[float] = [READ_S]  # one; of clients that are made from now on


def set_timeout(seconds: float) -> None:
    """Say how long clients wait for a connection, and for the next bytes of an answer."""
    _timeout[:] = [seconds]


def timeout() -> float:
    """Seconds that clients wait for the next bytes of an answer."""
    return _timeout[0]


def connect() -> Any:
    """The client of S3 as the environment says; AWS_MAX_ATTEMPTS and AWS_RETRY_MODE count too.

    It may be used by several threads, and is made once, which takes half a second.

    Raises
    ------
    UserError
        If its endpoint is no address, or the profile is not known.
    """
    own = (one for one in os.environ.items() if one[0].startswith("AWS_") or one[0] == "HOME")
    return _make_client(tuple(sorted(own)), timeout())


@lru_cache(maxsize=2)
def _make_client(environment: tuple[tuple[str, str], ...], timeout_s: float) -> Any:
    """See `connect`; `environment` is what the client depends on."""
    from boto3.session import Session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError
    from botocore.session import get_session

    try:
        session = get_session()
        chosen = {
            name: session.get_config_variable(name) for name in ("max_attempts", "retry_mode")
        }
        config = Config(
            retries={
                "mode": chosen["retry_mode"] or "standard",
                "total_max_attempts": chosen["max_attempts"] or ATTEMPTS,
            },
            connect_timeout=min(CONNECT_S, timeout_s),
            read_timeout=timeout_s,
        )
        client = Session(botocore_session=session).client("s3", config=config)
        return http_body.bound_client(client, ANSWER_S, ANSWER_BYTES)
    except ValueError as error:
        raise UserError(
            "AWS_ENDPOINT_URL: expected an address like https://host:port, found something else; "
            "correct it"
        ) from error
    except BotoCoreError as error:
        raise UserError(
            f"expected valid AWS settings, found invalid ones ({type(error).__name__}); check "
            "AWS_PROFILE and ~/.aws"
        ) from error


def split_address(address: str) -> tuple[str, str]:
    """Bucket and key of ``s3://bucket/key``; either may be empty."""
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    return bucket, key


def error_code(error: Any) -> str:
    """Code of a botocore `ClientError`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def cut_errors() -> tuple[type[Exception], ...]:
    """What is raised when an answer is cut off in the middle, which botocore does not try again."""
    from botocore.exceptions import HTTPClientError, IncompleteReadError
    from urllib3.exceptions import HTTPError  # in the text of a refusal

    return HTTPClientError, IncompleteReadError, HTTPError


def ask(request: Callable[[], Answer]) -> Answer:
    """Make a request, and read its answer, again where the answer is cut off or stops."""
    for _ in range(ATTEMPTS - 1):
        try:
            return request()
        except cut_errors():
            continue
    return request()


@contextmanager
def explained(address: str, where: str) -> Iterator[None]:
    """Turn errors of the connection into sentences; no credential or signed URL stands in them.

    Parameters
    ----------
    address : str
        What the user named.
    where : str
        Object that is asked for; named where the server gives a code that is not known here.

    Raises
    ------
    UserError
        For what the user can mend.
    BunnyError
        For what may pass by itself.
    """
    from botocore import exceptions
    from urllib3.exceptions import HTTPError

    try:
        yield
    except exceptions.NoCredentialsError as error:
        raise UserError(
            f"{address}: expected credentials in the environment or ~/.aws, found none; "
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        ) from error
    except exceptions.ClientError as error:
        code = error_code(error)
        if code in REASON:
            raise UserError(f"{address}: {REASON[code]}") from error
        raise BunnyError(f"{where}: the server answered {code}; try again later") from error
    except exceptions.ParamValidationError as error:
        raise UserError(
            f"{address}: expected a bucket name of letters, digits, dots and dashes, found "
            "another; correct the address"
        ) from error
    except (exceptions.BotoCoreError, HTTPError) as error:
        kind = UserError if isinstance(error, exceptions.ConnectionError) else BunnyError
        raise kind(
            f"{address}: no answer from the server ({type(error).__name__}); check the "
            "connection and AWS_ENDPOINT_URL, then run again"
        ) from error
