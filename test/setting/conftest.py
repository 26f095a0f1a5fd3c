"""The films on which settings are tried, each made once and only copied."""

from pathlib import Path

import film_by_hand
import film_encoded
import pytest
import setting_effect


@pytest.fixture(scope="session")
def small_film(small_project) -> setting_effect.Film:
    """Three shots of the sample film on which every stage has run; see `small_project.py`."""
    workspace = Path(small_project.done["workspace"])
    return setting_effect.Film(
        root=small_project.folder, data=workspace.parents[1], film_id=workspace.name
    )


@pytest.fixture(scope="session")
def measured_film(tmp_path_factory) -> setting_effect.Film:
    """Twelve frames with measures by hand, each with one weakness; see `film_by_hand.py`."""
    return film_by_hand.measured(tmp_path_factory.mktemp("measured"))


@pytest.fixture(scope="session")
def placed_film(tmp_path_factory) -> setting_effect.Film:
    """Frames, unknown faces and unknown figures with vectors by hand."""
    return film_by_hand.placed(tmp_path_factory.mktemp("placed"))


@pytest.fixture(scope="session")
def named_film(tmp_path_factory) -> setting_effect.Film:
    """Faces by hand, and references of Anna and Ben."""
    return film_by_hand.named(tmp_path_factory.mktemp("named"))


@pytest.fixture(scope="session")
def stranger_film(tmp_path_factory) -> setting_effect.Film:
    """Ten frames with two strangers each, and one face that is nearly sure to be Anna's."""
    return film_by_hand.with_strangers(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="session")
def varied_film(tmp_path_factory) -> setting_effect.Film:
    """Tracks whose views differ in one way that says nothing of who it is."""
    return film_by_hand.varied(tmp_path_factory.mktemp("varied"))


@pytest.fixture(scope="session")
def region_film(tmp_path_factory) -> setting_effect.Film:
    """Two photographed shots with places that are like Anna, by hand."""
    return film_by_hand.with_regions(tmp_path_factory.mktemp("region"))


@pytest.fixture(scope="session")
def figure_film(tmp_path_factory) -> setting_effect.Film:
    """Two drawn shots with figures that are like Anna, by hand."""
    return film_by_hand.with_figures(tmp_path_factory.mktemp("figure"))


@pytest.fixture(scope="session")
def cut_film(tmp_path_factory) -> setting_effect.Film:
    """Three shots, one of three frames."""
    return film_encoded.with_cuts(tmp_path_factory.mktemp("cut"))


@pytest.fixture(scope="session")
def dissolve_film(tmp_path_factory) -> setting_effect.Film:
    """One shot dissolves into another."""
    return film_encoded.with_dissolve(tmp_path_factory.mktemp("dissolve"))


@pytest.fixture(scope="session")
def stream_film(tmp_path_factory) -> setting_effect.Film:
    """Two streams of pictures, the larger one second."""
    return film_encoded.with_streams(tmp_path_factory.mktemp("stream"))


@pytest.fixture(scope="session")
def bar_film(tmp_path_factory) -> setting_effect.Film:
    """Bars above and below the picture."""
    return film_encoded.with_bars(tmp_path_factory.mktemp("bar"))


@pytest.fixture(scope="session")
def field_film(tmp_path_factory) -> setting_effect.Film:
    """Frames woven of two moments, unmarked."""
    return film_encoded.with_fields(tmp_path_factory.mktemp("field"))


@pytest.fixture(scope="session")
def light_film(tmp_path_factory) -> setting_effect.Film:
    """High dynamic range by PQ."""
    return film_encoded.with_light(tmp_path_factory.mktemp("light"))


@pytest.fixture(scope="session")
def face_film(tmp_path_factory) -> setting_effect.Film:
    """Two seconds of Eileen Collins, with a picture of her."""
    return film_encoded.with_face(tmp_path_factory.mktemp("face"))


@pytest.fixture(scope="session")
def small_face_film(tmp_path_factory) -> setting_effect.Film:
    """One large picture with a small face."""
    return film_encoded.with_small_face(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def colour_film(tmp_path_factory) -> setting_effect.Film:
    """Figures of plain colours, and models that tell them apart."""
    return film_encoded.with_colours(tmp_path_factory.mktemp("colour"))


@pytest.fixture(scope="session")
def woven_face_film(tmp_path_factory) -> setting_effect.Film:
    """Eileen Collins in frames woven of two moments."""
    return film_encoded.with_woven_face(tmp_path_factory.mktemp("woven"))


@pytest.fixture(scope="session")
def bright_face_film(tmp_path_factory) -> setting_effect.Film:
    """Eileen Collins in high dynamic range."""
    return film_encoded.with_bright_face(tmp_path_factory.mktemp("bright"))
