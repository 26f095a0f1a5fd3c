"""`--data-dir`: each command finds the films that lie elsewhere, and those alone."""

import pytest
from set_on_disk import make_set

from bunny.core import workspace
from bunny.table import store

ELSEWHERE = "elsewhere"


@pytest.fixture
def film(tmp_path):
    """A film with a set of anna in another data folder; none in the project's own."""
    path = tmp_path / "film.mp4"
    path.write_bytes(b"a film")
    space = workspace.create(tmp_path, ELSEWHERE, path, None)
    rows = make_set(space, "anna", 4, 0)
    store.write(space.table, "dataset", store.from_rows("dataset", rows))
    for name in ("shot", "label", "frame", "cluster", "asset", "caption"):
        store.write(space.table, name, store.from_rows(name, []))
    return space


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("doctor", "--workspace"), "1 film"),
        (("clean",), "would free"),
        (("clean", "--expired"), "would free"),
        (("approve", "--show"), "the set of anna is not approved"),
        (("export", "kohya", "--output", "out"), "anna as kohya: 3 img"),
        (("library", "add", "--json"), '"film_id": "film-'),
        (("search", "bunny"), ""),
        (("pack", "--output", "film.zip"), "files of film-"),
        (("status",), "film-"),
        (("forget", "anna"), "4 training pictures"),
    ],
)
def test_the_film_is_found_there_and_nowhere_else(bunny, film, words, said):
    _, out, err = bunny(*words, "--data-dir", ELSEWHERE)
    assert "no film" not in err and "found none" not in err
    assert said in out
    _, here, err = bunny(*words)
    assert not said or said not in here
    assert "film-" not in here + err.replace("film-id", "")
