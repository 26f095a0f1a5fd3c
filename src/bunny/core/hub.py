"""Hugging Face Hub: ids of its repositories, and files fetched into the local cache and checked."""

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bunny.core import disk_full
from bunny.core.error import UserError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
MAX_REASON = 160  # characters
RESUME = "run the same command again, files that are complete are kept"
# Names of errors of the hub's client, which are of several HTTP libraries, and what they mean.
UNREACHABLE = {"ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol"}
CUT_OFF = {"ReadError", "ReadTimeout", "RemoteProtocolError", "IncompleteRead"}
NOT_GIVEN = {"RepositoryNotFoundError", "GatedRepoError", "RevisionNotFoundError"}


@dataclass(frozen=True, kw_only=True)
class HubDownload:
    """Files of a repository that are to be fetched."""

    repository: str
    num_bytes: int  # all files together
    num_missing: int  # bytes that are not in the cache yet


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
    client = _client(about, repository)
    try:
        return Path(client.snapshot_download(repository, allow_patterns=list(patterns)))
    except Exception as error:
        raise UserError(
            f"{about}: could not get {repository} from the hub or its local cache: "
            f"{type(error).__name__} ({one_line(error)}); check the name and the network, {advice}"
        ) from error


def plan_download(about: str, repository: str, patterns: Sequence[str]) -> HubDownload:
    """Ask the hub how large the files of a repository are.

    Raises
    ------
    UserError
        If the hub cannot be reached, or does not give the repository.
    """
    client = _client(about, repository)
    from huggingface_hub.utils import tqdm

    class NoBar(tqdm):
        """A bar that is not shown."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})

    try:
        files = client.snapshot_download(
            repository, allow_patterns=list(patterns), dry_run=True, tqdm_class=NoBar
        )
    except Exception as error:
        raise _refusal(about, repository, error) from error
    return HubDownload(
        repository=repository,
        num_bytes=sum(file.file_size or 0 for file in files),
        num_missing=sum(file.file_size or 0 for file in files if file.will_download),
    )


def download(about: str, repository: str, patterns: Sequence[str]) -> Path:
    """Fetch files of a repository into the local cache and compare their hashes with the hub's.

    A file appears in the cache when it is complete; one with another hash is removed.

    Raises
    ------
    UserError
        If the connection is lost, the disk is full, or a file has another hash than the hub says.
    """
    client = _client(about, repository)
    try:
        folder = Path(client.snapshot_download(repository, allow_patterns=list(patterns)))
        checked = client.HfApi().verify_repo_checksums(repository)
    except Exception as error:
        raise _refusal(about, repository, error) from error
    wrong = [folder / one["path"] for one in checked.mismatches]
    for path in wrong:
        path.resolve().unlink(missing_ok=True)  # the blob that the path links to
        path.unlink(missing_ok=True)
    if wrong:
        names = ", ".join(path.relative_to(folder).as_posix() for path in wrong)
        raise UserError(
            f"{about}: {names} of {repository} was damaged on the way (its hash is not the hub's) "
            f"and has been removed; {RESUME}"
        )
    return folder


def check_space(about: str, num_bytes: int) -> None:
    """Refuse a download that the disk of the hub's cache has no room for."""
    cache = cache_dir()
    there = next(one for one in (cache, *cache.parents) if one.is_dir())
    free = shutil.disk_usage(there).free
    if free < num_bytes:
        raise UserError(
            f"{about}: no space left: expected {num_bytes / 1e6:.0f} MB free on the disk of "
            f"{cache}, found {free / 1e6:.0f} MB; free some space, or set HF_HOME to another disk"
        )


def find_cached(repository: str, patterns: Sequence[str]) -> Path | None:
    """Folder of the local cache with what it has of a repository; None where that is nothing."""
    try:
        from huggingface_hub import snapshot_download

        return Path(
            snapshot_download(repository, allow_patterns=list(patterns), local_files_only=True)
        )
    except (ImportError, OSError):
        return None


def cache_dir() -> Path:
    """Folder of the local cache; the hub's own default where huggingface_hub is not installed."""
    try:
        from huggingface_hub import constants
    except ImportError:
        return Path.home() / ".cache" / "huggingface" / "hub"
    return Path(constants.HF_HUB_CACHE)


def has_repository(repository: str) -> bool:
    """Whether the local cache has any file of a repository."""
    return (cache_dir() / f"models--{repository.replace('/', '--')}" / "snapshots").is_dir()


def _client(about: str, repository: str) -> Any:
    """The package huggingface_hub."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError(
            f"{about}: downloading {repository} needs the package huggingface_hub, "
            "which is not installed; run `uv sync --extra hub` or give a folder"
        ) from error
    return huggingface_hub


def _refusal(about: str, repository: str, error: Exception) -> UserError:
    """The error of a download in one sentence."""
    names = {type(one).__name__ for one in _chain(error)}
    head = f"{about}: could not get {repository}: "
    if disk := disk_full.describe(error):
        return UserError(head + disk)
    if "OfflineModeIsEnabled" in names:
        return UserError(f"{head}HF_HUB_OFFLINE is set, so the hub is not asked; unset it")
    if names & UNREACHABLE:
        from huggingface_hub import constants

        return UserError(
            f"{head}the hub ({constants.ENDPOINT}) could not be reached; check the network, or set "
            "HF_ENDPOINT to a mirror"
        )
    if names & CUT_OFF or "Consistency check failed" in str(error):
        return UserError(f"{head}the connection was cut off; {RESUME}")
    if names & NOT_GIVEN:
        return UserError(
            f"{head}the hub has no such repository or does not give it without an access token; "
            "check the name, or set HF_TOKEN"
        )
    return UserError(f"{head}{type(error).__name__} ({one_line(error)}); {RESUME}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def one_line(error: Exception) -> str:
    """The text of an error on one line, cut at `MAX_REASON` characters."""
    return " ".join(str(error).split())[:MAX_REASON]
