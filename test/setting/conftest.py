"""The films on which settings are tried, each made once and only copied."""

from pathlib import Path

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
