"""Whole objects of an S3 bucket: read, written on a condition, uploaded and downloaded by content.

Clients and errors are those of `core.s3`. Nothing here lists a bucket, since a list may lag behind,
and nothing is renamed.
"""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from pathlib import Path

from bunny.core import atomic, file_hash, s3
from bunny.core.error import BunnyError, UserError

MULTIPART_BYTES = 16 << 20  # larger files are sent in parts, from the disk; others from memory
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

        def read() -> tuple[bytes, str]:
            found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            return found["Body"].read(), found["ETag"]

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
                return self._put(key, data, **condition)
            except self._client.exceptions.ClientError as error:
                if s3.error_code(error) not in (*s3.CHANGED, *s3.GONE):
                    raise
        # A first try whose answer was lost looks like a change: it is ours if the content is.
        now = self.get(key)
        if now is not None and now[0] == data:
            return now[1]
        raise ChangedError(key)

    def upload(self, key: str, path: Path, sha256: str) -> bool:
        """Send a file under a name made of its content; nothing where it is there already.

        Returns
        -------
        bool
            Whether its content was that; False: it was written to, and is to be hashed again.
        """
        size = path.stat().st_size
        with self._explained(key):
            if self._size(key) == size:
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
            where = {"Bucket": self._bucket, "Key": self._prefix + key}
            found = s3.ask(lambda: self._client.get_object(**where))
            try:
                for part in found["Body"].iter_chunks(CHUNK):
                    digest.update(part)
                    out.write(part)
            except s3.cut_errors():
                return "cut off"
        return digest.hexdigest()

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
