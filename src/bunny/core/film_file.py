"""A film's bytes: a local file, or an object of S3 that is streamed.

An object is read by range requests into a bounded number of blocks in memory, with the next block
fetched ahead; nothing of it is written to disk. All requests ask for the object as it was when it
was first seen (If-Match), so that a film that is replaced meanwhile is noticed.
"""

from __future__ import annotations

import base64
import hashlib
import io
import signal
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import FrameType
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from bunny.core import file_hash, s3
from bunny.core.error import BunnyError, UserError

if TYPE_CHECKING:
    from av.container import InputContainer

BLOCK_BYTES, NUM_BLOCKS = 1 << 20, 32  # in memory for a film
HASH_BYTES = 8 << 20  # of a request when all of a film is read for its hash
MOST_OPEN = 2  # films whose blocks are kept
# A playlist must not make the decoder fetch from elsewhere: other local files at most, and of an
# object nothing.
LOCAL_PROTOCOLS, STREAMED_PROTOCOLS = "file,crypto,data", "data"


class FilmMissingError(UserError):
    """There is no object at an address."""


class ReadInterruptError(KeyboardInterrupt, Exception):
    """Ctrl+C while FFmpeg waits for bytes; PyAV hands on `Exception` and drops the rest."""


@dataclass(frozen=True)
class FilmAddress:
    """A film in object storage, with the part of `Path` that films need.

    Its text is kept as it was given: a `Path` would make ``s3:/bucket/key`` of it.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def name(self) -> str:
        """Last part of the key."""
        return PurePosixPath(s3.split_address(self.text)[1]).name

    @property
    def stem(self) -> str:
        """Name without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """Suffix of the name, with its dot."""
        return PurePosixPath(self.name).suffix

    def exists(self) -> bool:
        """Whether there is such an object; asks the server."""
        try:
            stamp(self)
        except FilmMissingError:
            return False
        return True

    def is_dir(self) -> bool:
        """Never: folders of pictures are local."""
        return False

    def resolve(self) -> FilmAddress:
        """Itself: an address is absolute."""
        return self


FilmPlace: TypeAlias = Path | FilmAddress


def is_address(text: str) -> bool:
    """Whether a text names an object of S3 and not a local file."""
    return text.startswith(s3.SCHEME)


def locate(text: str) -> FilmPlace:
    """The path or address that a text names, as an argument, a list or `source.json` gives it."""
    return FilmAddress(text) if is_address(text) else Path(text)


def check(address: FilmAddress) -> None:
    """Refuse what cannot be a film, and take the object as it is now.

    Raises
    ------
    UserError
        No bucket or key in the address, no such object, no right to read it, 0 bytes.
    """
    if not all(s3.split_address(address.text)) or address.text.endswith("/"):
        raise UserError(
            f"{address}: expected a film at s3://bucket/key, found "
            f"{'a folder' if s3.split_address(address.text)[0] else 'no bucket'}; give the film "
            "itself, and copy folders of pictures to this machine"
        )
    _keep(address, StreamedFilm(address))


def stamp(place: FilmPlace) -> str:
    """What changes with a film's bytes; asks the server of an address.

    Returns
    -------
    str
        Size, times and inode of a file; ETag and size of an object; empty where there is no file.
    """
    if isinstance(place, FilmAddress):
        return StreamedFilm(place).stamp
    return file_hash.stamp(place.stat()) if place.is_file() else ""


def sha256(place: FilmPlace) -> str:
    """SHA-256 of a film, or of a folder's files; see `file_hash.hash_path`.

    Notes
    -----
    An object that was uploaded with a SHA-256 of all of it has it in its head (S3 checked it
    then); any other is read once from its first byte to its last.
    """
    return (
        _streamed(place).sha256() if isinstance(place, FilmAddress) else file_hash.hash_path(place)
    )


def open_bytes(place: FilmPlace) -> BinaryIO | StreamedFile:
    """Open a film for reading its bytes."""
    return StreamedFile(_streamed(place)) if isinstance(place, FilmAddress) else place.open("rb")


def open_container(place: FilmPlace, *, unread: Sequence[tuple[int, int]] = ()) -> InputContainer:
    """Open a film by PyAV, as a context manager.

    Parameters
    ----------
    unread : sequence of (int, int)
        Ranges of an object that read as zeros once it is open, and are not fetched; packets are
        then as the container describes them, as there is nothing in them to parse.
    """
    import av

    if not isinstance(place, FilmAddress):
        options = {"protocol_whitelist": LOCAL_PROTOCOLS}
        return av.open(f"file:{place}", "r", options=options, metadata_errors="replace")
    _guard_interrupt()
    file = StreamedFile(_streamed(place))
    options = {"protocol_whitelist": STREAMED_PROTOCOLS}
    if unread:
        options["fflags"] = "+noparse"
    container = av.open(file, "r", options=options, metadata_errors="replace")
    file.unread = tuple(unread)
    return container


class StreamedFilm:
    """One object as it was when this was made, and the blocks of it that are in memory."""

    def __init__(self, address: FilmAddress) -> None:
        from fsspec.caching import BackgroundBlockCache

        self.address = address
        self._bucket, self._key = s3.split_address(address.text)
        self._client, self._etag = s3.connect(), ""
        self._etag, self.size = self._look()
        self.stamp = f"{self._etag}|{self.size}"
        self.cache = BackgroundBlockCache(BLOCK_BYTES, self.fetch, self.size, NUM_BLOCKS)
        self._lock = threading.Lock()  # readers of several threads share the blocks

    def read(self, start: int, end: int) -> bytes:
        """Bytes of a range; through the blocks."""
        with self._lock:
            return self.cache._fetch(start, end)

    def fetch(self, start: int, end: int) -> bytes:
        """Bytes of a range from the server, asked for again where the answer is cut off.

        Raises
        ------
        UserError
            If the object is another one now, or gone.
        BunnyError
            If the answer does not come whole after several tries.
        """
        end = min(end, self.size)
        with self._explained():
            return s3.ask(lambda: self._get(start, end)["Body"].read())

    def sha256(self) -> str:
        """See `sha256` of this module."""
        with self._explained():
            where = {"Bucket": self._bucket, "Key": self._key, "IfMatch": self._etag}
            head = s3.ask(lambda: self._client.head_object(**where, ChecksumMode="ENABLED"))
        known = head.get("ChecksumSHA256", "-")  # one made of the hashes of parts has a dash
        if "-" not in known and head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
            return base64.b64decode(known).hex()
        from tqdm.auto import tqdm

        digest = hashlib.sha256()
        with tqdm(total=self.size, desc="hash", unit="B", unit_scale=True) as bar:
            for start in range(0, self.size, HASH_BYTES):
                data = self.fetch(start, start + HASH_BYTES)
                digest.update(data)
                bar.update(len(data))
        return digest.hexdigest()

    def _look(self) -> tuple[str, int]:
        """ETag and size, by a range request: unlike HEAD its refusal says what is wrong."""
        with self._explained():
            try:
                found = s3.ask(lambda: self._get(0, 1))
            except self._client.exceptions.ClientError as error:
                if s3.error_code(error) in s3.BEYOND:
                    raise self._empty() from error
                raise
            found["Body"].close()
        size = int(found["ContentRange"].rpartition("/")[2])
        if not size:
            raise self._empty()
        return found["ETag"], size

    def _get(self, start: int, end: int) -> dict[str, Any]:
        """The answer to a range request."""
        same = {"IfMatch": self._etag} if self._etag else {}
        found = self._client.get_object(
            Bucket=self._bucket, Key=self._key, Range=f"bytes={start}-{end - 1}", **same
        )
        if found["ContentLength"] == 0:
            raise self._empty()
        if "ContentRange" not in found or found["ContentLength"] != end - start:
            found["Body"].close()
            raise UserError(
                f"{self.address}: expected a server that answers range requests, found one that "
                "does not; copy the film to this machine"
            )
        if found["ETag"] != (self._etag or found["ETag"]):  # a server that ignores If-Match
            found["Body"].close()
            raise self._replaced()
        return found

    def _replaced(self) -> UserError:
        return UserError(
            f"{self.address}: the film was replaced while it was being read; run it again"
        )

    def _empty(self) -> UserError:
        return UserError(
            f"{self.address}: expected a film, found an object of 0 bytes; copy it again"
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors of the connection into sentences, see `s3.explained`."""
        address = str(self.address)
        with s3.explained(address, address):
            try:
                yield
            except self._client.exceptions.ClientError as error:
                code = s3.error_code(error)
                if code in s3.GONE:
                    raise FilmMissingError(
                        f"{address}: expected a film, found no such object; check the address"
                    ) from error
                if code in (*s3.CHANGED, *s3.BEYOND):
                    raise self._replaced() from error
                raise


class StreamedFile(io.RawIOBase):
    """A place in an object, for PyAV: one reader, in one thread at a time."""

    def __init__(self, film: StreamedFilm) -> None:
        self.name = film.address.name  # FFmpeg looks at the suffix
        self.unread: tuple[tuple[int, int], ...] = ()
        self.is_stopped = False  # by Ctrl+C, see `_on_interrupt`
        self._film, self._at, self._has_failed = film, 0, False

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Offset of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to an offset from the beginning (0), from here (1) or from the end (2)."""
        self._at = max(0, offset + (0, self._at, self._film.size)[whence])
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next bytes; fewer than asked for where the film ends.

        Raises
        ------
        ReadInterruptError
            After Ctrl+C.
        BunnyError
            From `StreamedFilm.fetch`; once, as PyAV keeps one error and prints others.
        """
        try:
            data = b"" if self._has_failed else self._next(size)
        except KeyboardInterrupt as stop:
            self._has_failed = True
            raise ReadInterruptError from stop
        except BunnyError:
            self._has_failed = True
            raise
        if self.is_stopped and not self._has_failed:
            self._has_failed = True
            raise ReadInterruptError
        self._at += len(data)
        return data

    def _next(self, size: int) -> bytes:
        end = self._film.size if size < 0 else min(self._film.size, self._at + size)
        for first, last in self.unread:
            if first <= self._at < last:
                return bytes(min(end, last) - self._at)
            if self._at < first < end:
                end = first
        return self._film.read(self._at, end) if end > self._at else b""


# Films whose blocks are kept; last used last.
opened: OrderedDict[FilmAddress, StreamedFilm] = OrderedDict()
_lock = threading.RLock()


def _streamed(address: FilmAddress) -> StreamedFilm:
    """The object as it was when this process first saw it, or last checked it."""
    with _lock:
        return _keep(address, opened.get(address) or StreamedFilm(address))


def _keep(address: FilmAddress, film: StreamedFilm) -> StreamedFilm:
    with _lock:
        opened[address] = film
        opened.move_to_end(address)
        while len(opened) > MOST_OPEN:
            opened.popitem(last=False)
    return film


def _guard_interrupt() -> None:
    """Let Ctrl+C come through PyAV, which would take it for the end of the film."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _on_interrupt)


def _on_interrupt(number: int, frame: FrameType | None) -> None:
    """Raise `KeyboardInterrupt`, but where it would leave `StreamedFile` by a way that PyAV drops.

    There the file is told, and raises `ReadInterruptError` before it gives another byte.
    """
    own = (StreamedFile.read, StreamedFile.seek, StreamedFile.tell)
    if frame is not None and frame.f_code in [method.__code__ for method in own]:
        frame.f_locals["self"].is_stopped = True
        return
    signal.default_int_handler(number, frame)
