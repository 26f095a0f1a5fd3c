"""What a file is that no decoder opens, told from its bytes."""

import re
from pathlib import Path

MP4_BOX = frozenset({b"ftyp", b"mdat", b"wide", b"free", b"moov"})
# A sample entry's scheme box: ISO/IEC 23001-7 (common encryption), and Microsoft's PIFF.
SCHEME = re.compile(rb"schm.{4}(cenc|cens|cbc1|cbcs|piff)", re.DOTALL)
MOST_INDEX_BYTES = 64 << 20  # of a moov box that is read
SIGNATURE = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"%PDF", "a PDF document"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
)


def describe_content(path: Path) -> str | None:
    """Say what a file that is no film is; None when its first bytes do not tell.

    Returns
    -------
    str or None
        Words that follow "found": what it is, a semicolon, what to do.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    for signature, words in SIGNATURE:
        if head.lower().startswith(signature.lower()):
            return f"{words}; give the film itself"
    if not head:
        return "a file of 0 bytes; copy it again"
    if head[4:8] in MP4_BOX and "moov" not in _top_boxes(path):
        return "an MP4 without its index (moov), so it was cut off; copy or record it again"
    if _is_text(head):
        return "a text; give the film itself"
    return None


def is_encrypted(path: Path) -> bool:
    """Whether an MP4's pictures are under DRM: without the key they decode to noise, or not."""
    with path.open("rb") as file:
        if file.read(8)[4:] not in MP4_BOX:
            return False
        at, length = _top_boxes(path).get("moov", (0, 0))
        file.seek(at)
        return SCHEME.search(file.read(min(length, MOST_INDEX_BYTES))) is not None


def _top_boxes(path: Path) -> dict[str, tuple[int, int]]:
    """Outermost boxes of an MP4 (ISO/IEC 14496-12) by type: offset and length."""
    found, at, size = {}, 0, path.stat().st_size
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            length = length if length >= 8 else size - at
            found[head[4:8].decode("latin-1")] = at, length
            at += length
    return found


def _is_text(head: bytes) -> bool:
    """Whether bytes are UTF-8 without control characters."""
    try:
        text = head[: len(head) // 4 * 4 or len(head)].decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
        text = head[: error.start].decode()
    return all(c.isprintable() or c in "\r\n\t\f" for c in text)
