"""The films on which settings are tried, each made once and only copied."""

import os
from pathlib import Path

import drawn_base
import drawn_shots
import filelock
import film_by_hand
import film_encoded
import numpy as np
import pytest
import setting_effect
import vector_film
import yaml

from bunny.core import workspace

STAGES = ("dataset", "finetune", "evaluate", "generate")
DRAWN = {  # settings of the drawn film: as little as shows an effect
    "dataset": {"has_wider_crops": False},
    "models": {
        "characters": ["bunny"],
        "targets": "attention",
        "lora_rank": 2,
        "lora_alpha": 2,
        "learning_rate": 0.01,
        "schedule": "constant",
        "warmup_steps": 0,
        "training_steps": 2,
        "checkpoint_every": 1,
        "batch_size": 2,
    },
    "evaluation": {
        "choose_prompts": ["{trigger} in a forest"],
        "report_prompts": ["{trigger} on a beach"],
        "seeds": [11],
        "num_steps": 1,
        "num_bootstrap": 20,
        "max_checkpoints": 1,
        "has_other_characters": False,
    },
    "generation": {
        "guidance_scale": 3.0,
        "prompts": ["{trigger} in the snow"],
        "seeds": [1, 2],
        "num_steps": 2,
    },
}


@pytest.fixture(scope="session")
def small_film(small_project) -> setting_effect.Film:
    """Three shots of the sample film on which every stage has run; see `small_project.py`."""
    folder = Path(small_project.done["workspace"])
    return setting_effect.Film(
        root=small_project.folder, data=folder.parents[1], film_id=folder.name
    )


@pytest.fixture(scope="session")
def drawn_film(tmp_path_factory) -> setting_effect.Film:
    """Eight drawn frames and an untrained base: dataset to generate have run, once for all.

    Where several processes run, the first makes it; all of them only copy it.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return _make_drawn(tmp_path_factory.mktemp("drawn"))
    root = tmp_path_factory.getbasetemp().parent / "drawn"
    with filelock.FileLock(root.with_suffix(".lock")):
        if (root / "done").exists():
            return setting_effect.Film(root=root, data=root / "data", film_id="drawn")
        film = _make_drawn(root)
        (root / "done").touch()
        return film


def _make_drawn(root: Path) -> setting_effect.Film:
    drawn_base.save_all(root / "base")
    (root / "config").mkdir()
    settings = {**DRAWN, "models": {**DRAWN["models"], "base_model": str(root / "base" / "sd")}}
    (root / "config" / "main.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    film = setting_effect.Film(root=root, data=root / "data", film_id="drawn")
    drawn_shots.write(film.data / "output" / film.film_id)
    setting_effect.run(film, STAGES)
    return film


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
    return vector_film.review(vector_film.film(root, "plane", vectors, places))


@pytest.fixture(scope="session")
def lit_film(tmp_path_factory) -> setting_effect.Film:
    """Shots of four places in changing light, every sixth in the wrong one; 72 were put right."""
    vectors, own = vector_film.lit()
    is_wrong = np.arange(len(own)) % 6 == 0
    now = np.where(is_wrong, (own + 1) % vector_film.NUM_PLACES, own)
    now, right = ([f"scene-{k:03d}" for k in place] for place in (now, own))
    root = tmp_path_factory.mktemp("lit")
    film = vector_film.review(vector_film.film(root, "lit", vectors, now))
    vector_film.say(film.data / "output" / film.film_id, [(k, now[k], right[k]) for k in range(72)])
    return film


@pytest.fixture(scope="session")
def wide_film(tmp_path_factory) -> setting_effect.Film:
    """Two thousand shots in random directions."""
    vectors = np.random.default_rng(0).standard_normal((2000, 64))
    root = tmp_path_factory.mktemp("wide")
    return vector_film.film(root, "wide", vectors, [None] * len(vectors))


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
def doubtful_film(tmp_path_factory) -> setting_effect.Film:
    """As `named_film`; stage review can run on it."""
    return film_by_hand.doubtful(tmp_path_factory.mktemp("doubtful"))


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
def folder_film(tmp_path_factory) -> setting_effect.Film:
    """A folder of pictures that are the same."""
    return film_encoded.with_pictures(tmp_path_factory.mktemp("folder"))


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
