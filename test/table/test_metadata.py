"""The joined view and metadata.json."""

import json

import plain_row
import pytest

from bunny.table import metadata, store

FILM = plain_row.film(24, (64, 36), film_id="f-00000000")


def _frame(index: int) -> dict:
    return plain_row.frame(index, film_id="f-00000000", file=f"frame/{index:08d}.jpg")


def _label(index: int, subject: str, character: str | None, confidence: float) -> dict:
    frame_id = f"f-00000000-{index:08d}"
    place = {"frame_id": frame_id, "shot_index": 0, **plain_row.box(0, 0, 9, 9)}
    subject_id = f"{frame_id}-{subject}"
    more = {"subject_type": "face", "confidence": confidence}
    return plain_row.label(subject_id, character, **place, **more)


@pytest.fixture
def folder(tmp_path):
    store.write(tmp_path, "film", store.from_rows("film", [FILM]))
    store.write(tmp_path, "frame", store.from_rows("frame", [_frame(6), _frame(0)]))
    return tmp_path


def test_tables_not_made_yet_give_null_columns(folder):
    rows = metadata.view(folder).collect()
    assert rows["frame_index"].to_list() == [0, 6]
    assert rows["caption"].null_count() == rows["blur_score"].null_count() == 2


def test_characters_come_best_first_once_each_and_unknown_not_at_all(folder):
    labels = [
        _label(6, "f0", "anna", 0.6),
        _label(6, "f1", "ben", 0.9),
        _label(6, "f2", "anna", 0.8),
        _label(6, "f3", None, 0.0),
    ]
    store.write(folder, "label", store.from_rows("label", labels))
    rows = metadata.view(folder).collect()
    names = [c["name"] for c in rows["characters"].to_list()[1]]
    assert names == ["ben", "anna"]
    assert rows["characters"].to_list()[1][1]["confidence"] == pytest.approx(0.8)


def test_the_newest_caption_stands_in_metadata_json(folder):
    captions = [
        {"frame_id": "f-00000000-00000006", "version": v, "text": t, "provider": "tags"}
        | {"status": "done", "tags": [t]}
        for v, t in ((2, "new"), (1, "old"))
    ]
    store.write(folder, "caption", store.from_rows("caption", captions))
    head = json.loads(metadata.to_json(folder))
    assert head["film_id"] == "f-00000000"
    frame = head["frames"][1]
    assert (frame["id"], frame["timestamp"], frame["caption"], frame["tags"]) == (
        "f-00000000-00000006",
        0.25,
        "new",
        ["new"],
    )
    assert frame["source_path"] == "frame/00000006.jpg"
    assert head["frames"][0]["characters"] == []
