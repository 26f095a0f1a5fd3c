"""What files are, by their bytes."""

import pytest

from bunny.video.container import describe_content, is_encrypted


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xd8\xff\xe0" + bytes(50), "a JPEG picture"),
        (b"<!doctype HTML><p>Not found", "a web page"),
        (b"%PDF-1.7", "a PDF document"),
        (b"short", "a text"),
        ("zwei Wörter".encode(), "a text"),
        (bytes([0, 0, 0, 16]) + b"ftypisom" + bytes(4), "without its index"),
        (b"", "0 bytes"),
    ],
)
def test_known_content_is_named_with_advice(tmp_path, data, words):
    path = tmp_path / "x"
    path.write_bytes(data)
    found = describe_content(path)
    assert words in found and ";" in found


@pytest.mark.parametrize(
    "data",
    [
        bytes(range(256)),
        bytes([0, 0, 0, 16]) + b"ftypisom" + bytes(4) + bytes([0, 0, 0, 8]) + b"moov",
        bytes([0, 0, 0, 1]) + b"ftyp" + bytes([0] * 7 + [16]) + bytes([0, 0, 0, 8]) + b"moov",
    ],
)
def test_other_bytes_tell_nothing(tmp_path, data):
    path = tmp_path / "x"
    path.write_bytes(data)
    assert describe_content(path) is None


def test_a_letter_cut_in_two_at_the_end_is_still_text(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"a" * 4095 + "é".encode() * 100)
    assert describe_content(path).startswith("a text")


def _box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (_box(b"ftyp", b"isom") + _box(b"moov", _box(b"schm", bytes(4) + b"cenc")), True),
        (_box(b"ftyp", b"isom") + _box(b"moov", _box(b"schm", bytes(4) + b"cbcs")), True),
        (_box(b"ftyp", b"isom") + _box(b"moov", _box(b"stsd", bytes(8))), False),
        # the words in the pictures' own bytes say nothing
        (_box(b"ftyp", b"isom") + _box(b"mdat", b"schm" + bytes(4) + b"cenc"), False),
        (b"schm" + bytes(4) + b"cenc", False),
        (b"", False),
    ],
)
def test_encryption_is_told_by_its_scheme_in_the_index(tmp_path, data, wanted):
    path = tmp_path / "x"
    path.write_bytes(data)
    assert is_encrypted(path) is wanted
