"""Logging: JSON lines to a file, short lines to the terminal, no secret in either."""

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "DATABASE_URL")
MIN_SECRET_LENGTH = 6  # shorter values would blot out ordinary words
PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)")  # of an address, RFC 3986 section 3.2.1
JSON_FIELDS = "%(asctime)s %(levelname)s %(name)s %(message)s"
CONTEXT: ContextVar[dict[str, str | int] | None] = ContextVar("bunny_log_context", default=None)


class TerminalHandler(logging.StreamHandler):
    """Writes above a running progress bar instead of through it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line to standard error."""
        from tqdm.auto import tqdm

        try:
            tqdm.write(self.format(record), file=sys.stderr)
        except OSError:
            self.handleError(record)


class QuietFileHandler(logging.FileHandler):
    """Leaves out what the disk does not take: the terminal has it, and a run says why it ends."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 of logging
        """Say nothing of a full disk; other faults are shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class ContextFilter(logging.Filter):
    """Adds what is worked on, see `context`, unless the record says it itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, with its film, stage and item where they are known."""
        for key, value in (CONTEXT.get() or {}).items():
            if not hasattr(record, key):
                setattr(record, key, redact(value) if isinstance(value, str) else value)
        return True


@contextmanager
def context(**fields: str | int) -> Iterator[None]:
    """Name what is worked on, for every line that is logged meanwhile.

    Parameters
    ----------
    **fields
        film, stage, shard, item; those of an outer context stay where they are not named anew.
        Other threads have them when they work in a copy of the context, as those of
        `contract.machine.thread_pool`.
    """
    token = CONTEXT.set({**(CONTEXT.get() or {}), **fields})
    try:
        yield
    finally:
        CONTEXT.reset(token)


class RedactingFilter(logging.Filter):
    """Replaces the values of secret environment variables by their names."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, cleaned."""
        record.msg, record.args = redact(record.getMessage()), ()
        return True


def redact(text: str) -> str:
    """Replace every secret value of the environment in `text` by `<NAME>`.

    Of an address with a password the password is secret by itself too, as it stands there and as
    it reads; passwords of other addresses are replaced by `***`.
    """
    for name, value in os.environ.items():
        if any(w in name.upper() for w in SECRET_WORDS):
            for secret in (value, *_passwords(value)):
                if len(secret) >= MIN_SECRET_LENGTH:
                    text = text.replace(secret, f"<{name}>")
    return PASSWORD.sub(r"\1***", text)


def _passwords(value: str) -> list[str]:
    """Passwords of an address `scheme://user:password@host/...`, if the value is one."""
    _, sign, rest = value.partition("://")
    user, at, _ = rest.rpartition("@")
    password = user.partition(":")[2]
    return [password, unquote(password)] if sign and at and password else []


def configure(folder: Path | None, *, is_verbose: bool = False) -> Path | None:
    """Send records of this package to the terminal and, when `folder` is given, to a file in it.

    Returns
    -------
    Path or None
        The file, `<UTC time>-<process>.jsonl`, one JSON object a line.
    """
    root = logging.getLogger("bunny")
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(logging.DEBUG)
    root.propagate = False
    terminal = TerminalHandler()
    terminal.setLevel(logging.DEBUG if is_verbose else logging.INFO)
    terminal.setFormatter(logging.Formatter("%(message)s"))
    terminal.addFilter(RedactingFilter())
    root.addHandler(terminal)
    if folder is None:
        return None
    from pythonjsonlogger.json import JsonFormatter

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.jsonl"
    file = QuietFileHandler(path, encoding="utf-8", delay=True)
    file.setFormatter(JsonFormatter(JSON_FIELDS))
    file.addFilter(ContextFilter())
    file.addFilter(RedactingFilter())
    root.addHandler(file)
    return path
