"""What a disk refuses is recognised, and told in one sentence."""

import pytest

from bunny.core import disk_full


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "/a/b"), "/a/b: the disk is full"),
        (PermissionError(13, "denied", "/a"), "/a: permission was denied"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the disk is full"),
        (ValueError("something else"), None),
        (FileNotFoundError(2, "No such file"), None),
        (FileNotFoundError(2, "No such file", "/a"), "/a: found no such file"),
        (FileExistsError(17, "File exists", "/a"), "/a: expected a folder or a new path"),
    ],
)
def test_what_a_disk_refuses_is_told_from_other_errors(error, words):
    found = disk_full.describe(error)
    assert found is None if words is None else found.startswith(words)
    wrapped = RuntimeError("save failed")
    wrapped.__cause__ = error
    assert disk_full.describe(wrapped) == (found if found and "resume" in found else None)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left", "/a/.b.tmp"), ": the disk is full; free some space"),
        (RuntimeError("parquet: underlying IO error (os error 28)"), ": the disk is full; free"),
        (FileNotFoundError(2, "No such file", "/a/b"), " (No such file); free some space or give"),
        (
            RuntimeError("invalid thrift: transport error"),  # polars' words on a full disk
            " (invalid thrift: transport error), probably because the disk is full; free some",
        ),
    ],
)
def test_a_write_that_failed_names_what_it_wrote(error, reason):
    text = str(disk_full.write_error("/a/b: could not write this table", error))
    assert text.startswith(f"/a/b: could not write this table{reason}")
    assert text.endswith("then run the same command again to resume")
