"""The films on which settings are tried, each made once and only copied."""

from pathlib import Path

import pytest
import setting_effect


@pytest.fixture(scope="session")
def small_film(small_project) -> setting_effect.Film:
    """Three shots of the sample film on which every stage has run; see `small_project.py`."""
    workspace = Path(small_project.done["workspace"])
    return setting_effect.Film(
        root=small_project.folder, data=workspace.parents[1], film_id=workspace.name
    )
