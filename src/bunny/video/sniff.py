"""What a file is that no decoder opens, told from its bytes."""

from pathlib import Path

MP4_BOX = frozenset({b"ftyp", b"mdat", b"wide", b"free", b"moov"})
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
    if head[4:8] in MP4_BOX and b"moov" not in _top_boxes(path):
        return "an MP4 without its index (moov), so it was cut off; copy or record it again"
    if _is_text(head):
        return "a text; give the film itself"
    return None


def _top_boxes(path: Path) -> set[bytes]:
    """Types of the outermost boxes of an MP4 (ISO/IEC 14496-12)."""
    found, at, size = set(), 0, path.stat().st_size
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            found.add(head[4:8])
            at += length if length >= 8 else size
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
