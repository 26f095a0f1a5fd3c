"""Hashes of files and folders, worked out with hashlib over the bytes."""

import hashlib
import os

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


def test_a_hash_is_made_again_only_when_a_file_changed(tmp_path):
    folder, cache, made = tmp_path / "folder", tmp_path / "deep" / "cache.json", []
    folder.mkdir()
    (folder / "a").write_bytes(b"1")

    def count(path):
        made.append(path)
        return f"hash {len(made)}"

    def known(kind="content"):
        return file_hash.remembered(cache, kind, folder, count)

    assert [known(), known()] == ["hash 1", "hash 1"]
    assert known("names") == "hash 2"
    stat = (folder / "a").stat()
    (folder / "a").write_bytes(b"2")
    os.utime(folder / "a", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert [known(), known()] == ["hash 3", "hash 3"]
    (folder / "b").write_bytes(b"")
    assert known() == "hash 4"
    cache.write_text("{damaged")
    assert [known(), known()] == ["hash 5", "hash 5"]
