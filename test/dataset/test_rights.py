"""The rights record: what is known is carried along, what is not is said."""

import json

import numpy as np
import polars as pl
import pytest

from bunny.core.config import RightsConfig
from bunny.dataset import rights
from bunny.table import store

MODELS = [{"name": "yunet", "role": "face detection", "licence": "MIT", "source": "OpenCV"}]


BASE = {"name": "toy", "licence": "MIT", "hash": "00"}


def _record(models=MODELS, **changes):
    known = {
        "film_title": "Big Buck Bunny",
        "film_licence": "CC-BY-3.0",
        "film_source": "https://peach.blender.org",
        "consent": "no people are shown",
    }
    given = RightsConfig(**(known | changes))
    return rights.make_record("film.mp4", "ab" * 32, given, models, "2026-11-21")


def test_a_full_record_has_nothing_to_note():
    made = rights.with_base(_record(), BASE)
    assert made["notes"] == []
    assert made["film"]["title"] == "Big Buck Bunny"
    assert made["date"] == "2026-11-21"
    assert json.loads(json.dumps(made)) == made


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"film_licence": " "}, "licence of the film not given: do not publish"),
        ({"consent": ""}, "consent of the people shown not given"),
        ({"models": [{**MODELS[0], "licence": ""}]}, "unknown licence: yunet"),
    ],
)
def test_what_is_missing_is_said(changes, note):
    assert _record(**changes)["notes"] == [note]


def test_an_unknown_licence_of_the_base_is_said():
    made = rights.with_base(_record(), {**BASE, "name": "org/base", "licence": None})
    assert made["notes"] == ["unknown licence: org/base"]


def test_metadata_is_strings_that_give_the_record_back():
    made = rights.with_base(_record(), BASE)
    metadata = rights.to_metadata(made)
    assert all(isinstance(v, str) for v in metadata.values())
    assert metadata["rights_film"] == "Big Buck Bunny, CC-BY-3.0"
    assert metadata["rights_models"] == "yunet (MIT)"
    assert metadata["rights_base_model"] == "toy (MIT)"
    assert json.loads(metadata["rights"]) == made


def test_metadata_goes_into_an_adapters_header(tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    path = tmp_path / "adapter.safetensors"
    save_file({"a": np.zeros(1)}, path, metadata=rights.to_metadata(_record(film_licence="")))
    with safe_open(path, "np") as file:
        assert file.metadata()["rights_film"] == "Big Buck Bunny, licence not given"
        assert "do not publish" in file.metadata()["rights_note"]


@pytest.mark.parametrize(
    ("licence", "lines"),
    [
        ("CC-BY-3.0", "license: cc-by-3.0"),
        ("", "license: unknown"),
        ("All rights: reserved\n", "license: other\nlicense_name: all-rights-reserved"),
        ("mit\nconfigs: []", "license: other\nlicense_name: mit-configs"),
    ],
)
def test_the_cards_licence_is_the_hubs(licence, lines):
    assert rights.to_front_matter(_record(film_licence=licence)) == lines


def test_words_hold_one_line_each():
    text = rights.to_text(_record(film_title="A\n# B", consent=""))
    assert "- film: A # B" in text.splitlines()
    assert "| yunet | face detection | MIT | OpenCV |" in text
    assert text.endswith("**Consent of the people shown not given.**")


def test_models_are_those_that_the_tables_name():
    def face(index, detector, recogniser):
        return {"face_id": str(index), "detector": detector, "recogniser": recogniser}

    faces = pl.DataFrame([face(0, "yunet", "sface"), face(1, "yunet", None)])
    captions = {"version": 1, "status": "done", "text": "a"}
    tables = {
        "face": faces,
        "embedding": pl.DataFrame({"model": ["efficientnet-lite0+lab4"]}),
        "region": pl.DataFrame({"model": ["house-made"]}),
        "caption": store.from_rows(
            "caption",
            [
                {"frame_id": "1", "provider": "tags", "model": "tags-1", **captions},
                {"frame_id": "2", "provider": "local", "model": "qwen", **captions},
            ],
        ),
    }
    found = rights.used_models(tables)
    assert [(m["name"], m["licence"]) for m in found] == [
        ("efficientnet-lite0", "Apache-2.0"),
        ("house-made", ""),
        ("sface", "Apache-2.0"),
        ("yunet", "MIT"),
        ("qwen", ""),
    ]
    assert rights.used_models({}) == []
