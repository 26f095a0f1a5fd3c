"""Vectors of the library in files that only grow, and what a kill leaves behind."""

import numpy as np
import pytest

from bunny.core import workspace
from bunny.core.error import UserError
from bunny.series import people_library


def vectors(count, dimension=3, start=0):
    return np.arange(start, start + count * dimension, dtype=np.float32).reshape(count, dimension)


def test_vectors_are_read_as_they_were_appended(tmp_path):
    assert people_library.read_vectors(tmp_path, "sface").shape == (0, 0)
    people_library.append_vectors(tmp_path, "sface", 0, vectors(2))
    people_library.append_vectors(tmp_path, "sface", 2, vectors(1, start=6))
    assert people_library.read_vectors(tmp_path, "sface").tolist() == vectors(3).tolist()


def test_what_no_table_names_is_written_over(tmp_path):
    people_library.append_vectors(tmp_path, "sface", 0, vectors(1))
    people_library.append_vectors(tmp_path, "sface", 1, vectors(5, start=90))  # then a kill
    people_library.append_vectors(tmp_path, "sface", 1, vectors(1, start=3))
    assert people_library.read_vectors(tmp_path, "sface").tolist() == vectors(2).tolist()


def test_a_row_cut_by_a_kill_is_no_vector(tmp_path):
    people_library.append_vectors(tmp_path, "sface", 0, vectors(2))
    (path,) = (tmp_path / "vector").iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    assert people_library.read_vectors(tmp_path, "sface").tolist() == vectors(1).tolist()


def test_models_have_files_of_their_own(tmp_path):
    people_library.append_vectors(tmp_path, "sface", 0, vectors(1))
    people_library.append_vectors(tmp_path, "bunny/figure 1", 0, vectors(1, 4))
    assert people_library.read_vectors(tmp_path, "bunny/figure 1").shape == (1, 4)
    assert sorted(p.name for p in (tmp_path / "vector").iterdir()) == [
        "bunny-figure-1-4.f32",
        "sface-3.f32",
    ]
    with pytest.raises(UserError, match="expected vectors of 3 numbers, got 4"):
        people_library.append_vectors(tmp_path, "sface", 1, vectors(1, 4))


def test_a_library_that_is_written_to_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "LIBRARY_WAIT_S", 0.05)
    with (
        workspace.lock_library(tmp_path),
        pytest.raises(UserError, match="another command is writing"),
        workspace.lock_library(tmp_path),
    ):
        pass
