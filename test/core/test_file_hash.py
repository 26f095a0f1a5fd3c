"""Hashes of files and folders, worked out with hashlib over the bytes."""

import hashlib

import pytest

from bunny.core import file_hash


def test_a_file_is_hashed_by_its_content(tmp_path):
    (tmp_path / "a").write_bytes(b"film")
    wanted = hashlib.sha256(b"film").hexdigest()
    assert file_hash.hash_file(tmp_path / "a") == file_hash.hash_path(tmp_path / "a") == wanted
    with pytest.raises(FileNotFoundError):
        file_hash.hash_file(tmp_path / "gone")


def test_a_folder_is_hashed_by_names_and_contents_in_order(tmp_path):
    (tmp_path / "one" / "in").mkdir(parents=True)
    (tmp_path / "one" / "in" / "b").write_bytes(b"2")
    (tmp_path / "one" / "a").write_bytes(b"1")
    wanted = hashlib.sha256(b"a\x001in/b\x002").hexdigest()
    assert file_hash.hash_path(tmp_path / "one") == wanted
