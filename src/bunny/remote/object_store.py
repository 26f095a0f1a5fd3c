"""Whole objects of an S3 bucket: read, written on a condition, uploaded, downloaded, deleted.

Clients and errors are those of `core.s3`. Nothing is renamed, and a bucket is listed only to find
what can be deleted (`sweep`), since a list may lag behind.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any

from bunny.core import atomic, file_hash, http_body, s3
from bunny.core.error import BunnyError, UserError

MULTIPART_BYTES = 16 << 20  # larger files are sent in parts, from the disk; others from memory
CHUNK = 1 << 20
THREADS = 8  # requests at a time; botocore keeps ten connections
BATCH = 1000  # objects that one request may delete, by S3
DENIED = ("AccessDenied", "403", "MethodNotAllowed", "NotImplemented", "InvalidRequest")
READ_ONLY = ("AccessDenied", "403", "AllAccessDisabled", "MethodNotAllowed", "405")
LARGEST_BYTES = 256 << 20  # largest object that is read into memory


class ChangedError(Exception):
    """The object is not what the condition asked for: somebody else wrote it."""


class GoneError(BunnyError):
    """There is no such object any more."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An object as a list of the bucket has it, or one of its versions."""

    key: str
    size: int
    modified: float  # seconds since 1970, by the server's clock
    version_id: str = ""  # empty where the bucket keeps none
    is_latest: bool = True


class ObjectStore:
    """Objects below one address.

    Parameters
    ----------
    address : str
        ``s3://bucket`` or ``s3://bucket/prefix``.

    Raises
    ------
    UserError
        If that is no such address, or there are no credentials.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        bucket, prefix = s3.split_address(address)
        prefix = prefix.rstrip("/")
        if not address.startswith(s3.SCHEME) or not bucket:
            raise UserError(
                f"project.data_dir: expected s3://bucket or s3://bucket/prefix, got {address}"
            )
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        self._client = s3.connect()

    @property
    def endpoint(self) -> str:
        """Address of the server."""
        return str(self._client.meta.endpoint_url)

    def check_conditions(self) -> bool:
        """Refuse a server that writes an object although the condition of the write fails.

        Gives False if the credentials may not write; nothing can be overwritten then.

        Raises
        ------
        UserError
            If it ignores If-None-Match or If-Match: two machines would overwrite each other.
        """
        key = f"object/{uuid.uuid4().hex * 2}"  # `sweep` deletes what a kill leaves of it
        with self._explained(key):
            try:
                self._put(key, b"")
            except self._client.exceptions.ClientError as error:
                if s3.error_code(error) in READ_ONLY:
                    return False
                raise
            try:
                ignored = [
                    header
                    for header, name, value in (
                        ("If-None-Match", "IfNoneMatch", "*"),
                        ("If-Match", "IfMatch", f'"{"0" * 32}"'),
                    )
                    if not self._is_refused(key, **{name: value})
                ]
            finally:
                with suppress(self._client.exceptions.ClientError):  # may be forbidden
                    self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)
        if ignored:
            raise UserError(
                f"{self.address}: expected a server that refuses a write whose condition fails, "
                f"found one that ignores {' and '.join(ignored)}, so that two machines would "
                "overwrite each other's work; use a server with conditional writes, e.g. AWS S3 "
                "or a current MinIO"
            )
        return True

    def _is_refused(self, key: str, **condition: str) -> bool:
        """Whether the server refuses to write an object on a condition that does not hold."""
        try:
            self._put(key, b"", **condition)
        except self._client.exceptions.ClientError as error:
            if s3.error_code(error) in (*s3.CHANGED, *s3.GONE):
                return True
            if s3.error_code(error) in s3.UNKNOWN_REQUEST:
                return False
            raise
        return False

    def get(self, key: str) -> tuple[bytes, str] | None:
        """Content and ETag of a small object; None where there is none."""

        def read() -> tuple[bytes, str]:
            found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            chunks = found["Body"].iter_chunks(CHUNK)
            try:
                data = b"".join(http_body.bounded(chunks, s3.ANSWER_S, LARGEST_BYTES))
            except (ValueError, TimeoutError) as error:
                found["Body"].close()
                raise BunnyError(f"{self.address}/{key}: {error}; check the server") from error
            return data, found["ETag"]

        with self._explained(key):
            try:
                return s3.ask(read)
            except self._client.exceptions.ClientError as error:
                if s3.error_code(error) in s3.GONE:
                    return None
                raise

    def put(self, key: str, data: bytes, match: str | None) -> str:
        """Write a small object if it is still what it was; gives its ETag.

        Parameters
        ----------
        match : str or None
            ETag that it must have; None: it must not be there.

        Raises
        ------
        ChangedError
            If it is another one.
        """
        condition = {"IfNoneMatch": "*"} if match is None else {"IfMatch": match}
        with self._explained(key):
            try:
                return self._put(key, data, **condition)
            except self._client.exceptions.ClientError as error:
                if s3.error_code(error) not in (*s3.CHANGED, *s3.GONE):
                    raise
        # A first try whose answer was lost looks like a change: it is ours if the content is.
        now = self.get(key)
        if now is not None and now[0] == data:
            return now[1]
        raise ChangedError(key)

    def upload(self, key: str, path: Path, sha256: str, *, is_new: bool) -> bool:
        """Send a file under a key that has its hash.

        Parameters
        ----------
        is_new : bool
            Nothing was sent under that key before; else nothing is where it is there already.

        Returns
        -------
        bool
            Whether its content was that; False: it was written to, and is to be hashed again.
        """
        size = path.stat().st_size
        with self._explained(key):
            if not is_new and self._size(key) == size:
                return True
            if size > MULTIPART_BYTES:
                return self._upload_parts(key, path, sha256)
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != sha256:
                return False
            self._put(key, data)
        return True

    def _put(self, key: str, data: bytes, **condition: str) -> str:
        """Write an object; gives its ETag."""
        where = {"Bucket": self._bucket, "Key": self._prefix + key}
        done = s3.ask(lambda: self._client.put_object(**where, Body=data, **condition))
        return done["ETag"]

    def _upload_parts(self, key: str, path: Path, sha256: str) -> bool:
        """Send a large file in parts; one that changes meanwhile does not stay."""
        stamp = file_hash.identity(path)
        self._client.upload_file(str(path), self._bucket, self._prefix + key)
        if file_hash.identity(path) == stamp or file_hash.hash_file(path) == sha256:
            return True
        self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)
        return False

    def download(self, key: str, path: Path, sha256: str) -> None:
        """Fetch a file; it takes its place only when it is whole.

        Its time is that of the object, so that every machine knows how old it is. The fraction of
        the second, which S3 does not keep, comes from the hash: no two versions have one time.

        Raises
        ------
        GoneError
            If there is none.
        BunnyError
            If what came is not what its hash says, after the tries that the settings of the
            connection allow.
        """
        path.parent.mkdir(parents=True, exist_ok=True)

        def write(temporary: Path) -> None:
            for _ in range(s3.ATTEMPTS):
                found, modified = self._stream(key, temporary)
                if found == sha256:
                    stamp = int(modified.timestamp()) * 10**9 + int(sha256[:8], 16) % 10**9
                    os.utime(temporary, ns=(stamp, stamp))
                    return
            raise BunnyError(
                f"{self.address}/{key}: expected an object that matches the hash in its name, got "
                "another; restore the bucket's object or run the film again"
            )

        atomic.write_file(path, write)

    def _stream(self, key: str, path: Path) -> tuple[str, datetime]:
        """Write an object to a file; gives the hash of what came, be it cut, and its time."""
        digest = hashlib.sha256()
        with self._explained(key), path.open("wb") as out:
            where = {"Bucket": self._bucket, "Key": self._prefix + key}
            try:
                found = s3.ask(lambda: self._client.get_object(**where))
            except self._client.exceptions.ClientError as error:
                if s3.error_code(error) not in s3.GONE:
                    raise
                raise GoneError(
                    f"{self.address}/{key}: expected an object, found none; restore it or run the "
                    "film again"
                ) from error
            if "ContentLength" not in found:  # it might never end
                found["Body"].close()
                raise BunnyError(
                    f"{self.address}/{key}: expected an answer with its size, got one without; "
                    "use another server"
                )
            try:
                for part in found["Body"].iter_chunks(CHUNK):
                    digest.update(part)
                    out.write(part)
            except s3.cut_errors():
                return "cut off", found["LastModified"]
        return digest.hexdigest(), found["LastModified"]

    # -- lists and deletion -------------------------------------------------------------------

    def keeps_versions(self) -> bool | None:
        """Whether the bucket keeps earlier versions of objects; None: it may not be asked."""
        with self._explained(""):
            try:
                found = s3.ask(lambda: self._client.get_bucket_versioning(Bucket=self._bucket))
            except self._client.exceptions.ClientError as error:
                if s3.error_code(error) in DENIED:
                    return None
                raise
        return "Status" in found

    def list_objects(self, prefix: str, *, has_versions: bool) -> tuple[list[Entry], float]:
        """Objects whose keys begin so, and the server's time when the list was begun.

        Parameters
        ----------
        has_versions : bool
            All versions of each, and marks of deletion, which have no bytes.
        """
        found: list[Entry] = []
        began: list[float] = []
        with self._explained(prefix):
            for page in self._pages(prefix, has_versions=has_versions):
                said = page["ResponseMetadata"]["HTTPHeaders"].get("date")
                now = parsedate_to_datetime(said) if said else datetime.now(UTC)
                began.append(now.timestamp())
                for kind in ("Contents", "Versions", "DeleteMarkers"):
                    found += [self._entry(one) for one in page.get(kind, ())]
        return found, began[0]

    def _pages(self, prefix: str, *, has_versions: bool) -> Iterator[dict[str, Any]]:
        """Answers that make up a list."""
        where = {"Bucket": self._bucket, "Prefix": self._prefix + prefix}
        name = "list_object_versions" if has_versions else "list_objects_v2"
        more: dict[str, str] = {}
        while True:
            page = s3.ask(lambda: getattr(self._client, name)(**where, **more))  # noqa: B023
            yield page
            if not page.get("IsTruncated"):
                return
            if has_versions:
                more = {
                    "KeyMarker": page["NextKeyMarker"],
                    "VersionIdMarker": page["NextVersionIdMarker"],
                }
            else:
                more = {"ContinuationToken": page["NextContinuationToken"]}

    def _entry(self, one: dict[str, Any]) -> Entry:
        return Entry(
            key=one["Key"].removeprefix(self._prefix),
            size=one.get("Size", 0),
            modified=one["LastModified"].timestamp(),
            version_id=one.get("VersionId", ""),
            is_latest=one.get("IsLatest", True),
        )

    def delete(self, entries: Sequence[Entry]) -> list[Entry]:
        """Delete objects or versions of them; gives the versions that the server keeps.

        Of a version that may not be deleted the object is hidden at least.

        Raises
        ------
        UserError
            If no object may be deleted.
        """
        refused: list[Entry] = []
        for start in range(0, len(entries), BATCH):
            refused += self._delete_batch(entries[start : start + BATCH])
        if any(not one.version_id for one in refused):
            raise UserError(f"{self.address}: {s3.REASON['AccessDenied']}")
        hidden = [Entry(key=one.key, size=0, modified=0) for one in refused if one.is_latest]
        if hidden:
            self.delete(hidden)
        return refused

    def _delete_batch(self, entries: Sequence[Entry]) -> list[Entry]:
        """See `delete`; what the server could not do just now is asked for again."""
        left = {(self._prefix + one.key, one.version_id): one for one in entries}
        refused: list[Entry] = []
        for _ in range(s3.ATTEMPTS):
            wanted = [
                {"Key": key, **({"VersionId": version} if version else {})} for key, version in left
            ]
            if not wanted:
                return refused
            with self._explained(""):
                done = s3.ask(
                    lambda: self._client.delete_objects(
                        Bucket=self._bucket,
                        Delete={"Objects": wanted, "Quiet": True},  # noqa: B023
                    )
                )
            failed = {(e["Key"], e.get("VersionId", "")): e["Code"] for e in done.get("Errors", ())}
            refused += [left[one] for one, code in failed.items() if code in DENIED]
            left = {one: left[one] for one, code in failed.items() if code not in DENIED}
        raise BunnyError(f"{self.address}: {len(left)} objects could not be deleted; run it again")

    def abort_uploads(self, prefix: str, before: float) -> None:
        """End uploads in parts that were begun earlier than that, seconds since 1970.

        What a killed machine had sent of a large file lies there without being listed.
        """
        where = {"Bucket": self._bucket}
        with self._explained(prefix):
            try:
                found = s3.ask(
                    lambda: self._client.list_multipart_uploads(
                        **where, Prefix=self._prefix + prefix
                    )
                )
            except self._client.exceptions.ClientError as error:
                if s3.error_code(error) in DENIED:
                    return
                raise
            for one in found.get("Uploads", ()):
                if one["Initiated"].timestamp() < before:
                    which = {"Key": one["Key"], "UploadId": one["UploadId"]}
                    s3.ask(partial(self._client.abort_multipart_upload, **where, **which))

    def delete_one(self, key: str, match: str) -> bool:
        """Delete a small object if it is still what it was; gives whether it is gone.

        Parameters
        ----------
        match : str
            ETag that it must have. Servers that know no such condition are asked for it before.
        """
        found = self.get(key)
        if found is None:
            return True
        if found[1] != match:
            return False
        where = {"Bucket": self._bucket, "Key": self._prefix + key, "IfMatch": match}
        with self._explained(key):
            try:
                s3.ask(lambda: self._client.delete_object(**where))
            except self._client.exceptions.ClientError as error:
                code = s3.error_code(error)
                if code not in (*s3.GONE, *s3.CHANGED):
                    raise
                return code in s3.GONE
        return True

    def _size(self, key: str) -> int | None:
        where = {"Bucket": self._bucket, "Key": self._prefix + key}
        try:
            return int(s3.ask(lambda: self._client.head_object(**where))["ContentLength"])
        except self._client.exceptions.ClientError as error:
            if s3.error_code(error) in s3.GONE:
                return None
            raise

    def _explained(self, key: str) -> AbstractContextManager[None]:
        return s3.explained(self.address, f"{self.address}/{key}")


@contextmanager
def request_pool(given: Executor | None, name: str) -> Iterator[Executor]:
    """Threads for requests: those that are given, else `THREADS` of their own."""
    if given is not None:
        yield given
        return
    with ThreadPoolExecutor(THREADS, name) as pool:
        yield pool


def end_requests(futures: Collection[Future[Any]]) -> None:
    """Begin none of them any more, and wait for those that are under way."""
    for one in futures:
        one.cancel()
    wait(futures)
