"""Whole objects of an S3 bucket: read, written on a condition, uploaded and downloaded by content.

Clients and errors are those of `core.s3`. Nothing here lists a bucket, since a list may lag behind,
and nothing is renamed.
"""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from pathlib import Path

from bunny.core import atomic, s3
from bunny.core.error import BunnyError, UserError

MULTIPART_BYTES = 64 << 20  # larger files are sent in parts
CHUNK = 1 << 20


class ChangedError(Exception):
    """The object is not what the condition asked for: somebody else wrote it."""


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

    def get(self, key: str) -> tuple[bytes, str] | None:
        """Content and ETag of a small object; None where there is none."""
        with self._explained(key):
            for attempt in range(1, s3.ATTEMPTS + 1):
                try:
                    found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
                    return found["Body"].read(), found["ETag"]
                except self._client.exceptions.ClientError as error:
                    if s3.error_code(error) in s3.GONE:
                        return None
                    raise
                except s3.cut_errors():
                    if attempt == s3.ATTEMPTS:
                        raise
        return None

    def put(self, key: str, data: bytes, match: str | None) -> str:
        """Write a small object if it is still what it was; gives its ETag.

        Parameters
        ----------
        key : str
        data : bytes
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
                done = self._client.put_object(
                    Bucket=self._bucket, Key=self._prefix + key, Body=data, **condition
                )
                return done["ETag"]
            except self._client.exceptions.ClientError as error:
                if s3.error_code(error) not in (*s3.CHANGED, *s3.GONE):
                    raise
        # A first try whose answer was lost looks like a change: it is ours if the content is.
        now = self.get(key)
        if now is not None and now[0] == data:
            return now[1]
        raise ChangedError(key)

    def upload(self, key: str, path: Path) -> None:
        """Send a file under a name made of its content; nothing where it is there already."""
        size = path.stat().st_size
        with self._explained(key):
            if self._size(key) == size:
                return
            if size > MULTIPART_BYTES:
                self._client.upload_file(str(path), self._bucket, self._prefix + key)
            else:
                self._client.put_object(
                    Bucket=self._bucket, Key=self._prefix + key, Body=path.read_bytes()
                )

    def download(self, key: str, path: Path, sha256: str) -> None:
        """Fetch a file; it takes its place only when it is whole.

        Raises
        ------
        BunnyError
            If what came is not what its hash says, after the tries that the settings of the
            connection allow.
        """
        path.parent.mkdir(parents=True, exist_ok=True)

        def write(temporary: Path) -> None:
            for _ in range(s3.ATTEMPTS):
                if self._stream(key, temporary) == sha256:
                    return
            raise BunnyError(
                f"{self.address}/{key}: expected an object of its name's hash, got another; "
                "restore the bucket's object or run the film again"
            )

        atomic.write_file(path, write)

    def _stream(self, key: str, path: Path) -> str:
        """Write an object to a file; gives the hash of what came, be it cut."""
        digest = hashlib.sha256()
        with self._explained(key), path.open("wb") as out:
            found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            try:
                for part in found["Body"].iter_chunks(CHUNK):
                    digest.update(part)
                    out.write(part)
            except s3.cut_errors():
                return "cut off"
        return digest.hexdigest()

    def _size(self, key: str) -> int | None:
        try:
            found = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
            return int(found["ContentLength"])
        except self._client.exceptions.ClientError as error:
            if s3.error_code(error) in s3.GONE:
                return None
            raise

    def _explained(self, key: str) -> AbstractContextManager[None]:
        return s3.explained(self.address, f"{self.address}/{key}")
