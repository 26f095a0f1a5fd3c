"""Hugging Face Hub: ids of its repositories, and files fetched into the local cache."""

import re
from collections.abc import Sequence
from pathlib import Path

from bunny.core.error import UserError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
MAX_REASON = 160  # characters


def is_hub_id(text: str) -> bool:
    """Whether a text has the form ``owner/name``; it may be the path of a folder as well.

    Examples
    --------
    >>> is_hub_id("google/owlv2-base"), is_hub_id("toy"), is_hub_id("a/b/c")
    (True, False, False)
    """
    return HUB_ID.fullmatch(text) is not None


def fetch(about: str, repository: str, patterns: Sequence[str], advice: str) -> Path:
    """Folder of the local cache with the files of a repository that match a pattern.

    Parameters
    ----------
    about : str
        What asks for them, before the sentence of a refusal.
    repository : str
        ``owner/name``.
    patterns : sequence of str
        As of `fnmatch`.
    advice : str
        What else to do where the hub cannot be reached, at the end of the sentence.

    Raises
    ------
    UserError
        If huggingface_hub is not installed, or neither the hub nor the cache has the repository.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise UserError(
            f"{about}: downloading {repository} needs the package huggingface_hub, "
            "which is not installed; run `uv sync --extra hub` or give a folder"
        ) from error
    try:
        return Path(snapshot_download(repository, allow_patterns=list(patterns)))
    except Exception as error:
        raise UserError(
            f"{about}: could not get {repository} from the hub or its local cache: "
            f"{type(error).__name__} ({one_line(error)}); check the name and the network, {advice}"
        ) from error


def find_cached(repository: str, patterns: Sequence[str]) -> Path | None:
    """Folder of the local cache with what it has of a repository; None where that is nothing."""
    try:
        from huggingface_hub import snapshot_download

        return Path(
            snapshot_download(repository, allow_patterns=list(patterns), local_files_only=True)
        )
    except (ImportError, OSError):
        return None


def one_line(error: Exception) -> str:
    """The text of an error on one line, cut at `MAX_REASON` characters."""
    return " ".join(str(error).split())[:MAX_REASON]
