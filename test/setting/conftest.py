"""The films on which settings are tried, each made once and only copied."""

from pathlib import Path

import made_film
import numpy as np
import pytest
import setting_effect

from bunny import workspace


@pytest.fixture(scope="session")
def small_film(small_project) -> setting_effect.Film:
    """Three shots of the sample film on which every stage has run; see `small_project.py`."""
    folder = Path(small_project.done["workspace"])
    return setting_effect.Film(
        root=small_project.folder, data=folder.parents[1], film_id=folder.name
    )


@pytest.fixture(scope="session")
def bare_film(tmp_path_factory) -> setting_effect.Film:
    """A film of which nothing is known yet but its file."""
    root = tmp_path_factory.mktemp("bare")
    (root / "bare.mp4").write_bytes(b"no film, but a file")
    space = workspace.create(root, "films", root / "bare.mp4", None)
    return setting_effect.Film(root=root, data=space.root.parents[1], film_id=space.film_id)


@pytest.fixture(scope="session")
def plane_film(tmp_path_factory) -> setting_effect.Film:
    """Shots that point 0, 15, 30, 50 and 80 degrees away from the first, which is alone."""
    angle = np.radians([0, 15, 30, 50, 80])
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    places = ["scene-001", *["scene-002"] * 4]
    root = tmp_path_factory.mktemp("plane")
    return made_film.review(made_film.film(root, "plane", vectors, places))


@pytest.fixture(scope="session")
def lit_film(tmp_path_factory) -> setting_effect.Film:
    """Shots of four places in changing light, every sixth in the wrong one; 72 were put right."""
    vectors, own = made_film.lit()
    is_wrong = np.arange(len(own)) % 6 == 0
    now = np.where(is_wrong, (own + 1) % made_film.NUM_PLACES, own)
    now, right = ([f"scene-{k:03d}" for k in place] for place in (now, own))
    root = tmp_path_factory.mktemp("lit")
    film = made_film.review(made_film.film(root, "lit", vectors, now))
    made_film.say(film.data / "output" / film.film_id, [(k, now[k], right[k]) for k in range(72)])
    return film


@pytest.fixture(scope="session")
def wide_film(tmp_path_factory) -> setting_effect.Film:
    """Two thousand shots in random directions."""
    vectors = np.random.default_rng(0).standard_normal((2000, 64))
    root = tmp_path_factory.mktemp("wide")
    return made_film.film(root, "wide", vectors, [None] * len(vectors))
