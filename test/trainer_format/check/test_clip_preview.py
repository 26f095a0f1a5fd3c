"""What is said beforehand of a folder: ours keeps all, others lose what they lose."""

import json

import pytest
import tiny_clip

from bunny.core.error import UserError
from bunny.trainer_format.check import clip_preview
from bunny.trainer_format.export import configuration

FORMS = list(configuration.WRITERS)
PAIR_FORMS = [form for form, number in configuration.MAX_REFERENCES.items() if number]


@pytest.mark.parametrize("form", FORMS)
def test_an_export_is_kept_whole(export, form):
    found = clip_preview.preview_folder(export(form), form)
    assert [f.effect for f in found.found] == ["kept"] * 4
    assert found.frames == {33: 2, 49: 1}
    assert (found.num_clips, found.num_pictures, found.exit_code) == (3, 1, 0)
    assert all(f.reason == "" for f in found.found)


@pytest.mark.parametrize("form", PAIR_FORMS)
def test_pairs_are_kept_whole_with_as_many_references_as_the_trainer_takes(export, form):
    found = clip_preview.preview_folder(export(form, "pairs"), form)
    assert found.count("kept") == 3 and found.num_pictures == 3
    expected = 4 if configuration.MAX_REFERENCES[form] > 1 else 3
    assert found.num_references == expected


@pytest.mark.parametrize("form", ["musubi", "diffusion-pipe", "ai-toolkit", "simpletuner"])
def test_a_missing_reference_is_told(export, form):
    place = export(form, "pairs")
    (place / "pair/reference/64x96-1/control_1/p2.png").unlink()
    found = clip_preview.preview_folder(place, form)
    assert [(f.file, f.reason) for f in found.found if f.effect == "dropped"] == [
        ("pair/reference/64x96-1/target/p2.png", "reference missing: p2.png")
    ]
    assert found.exit_code == 2


def test_a_missing_caption_and_a_damaged_clip_are_told(export):
    place = export("musubi")
    (place / "clip/128x96x33/a1.txt").unlink()
    (place / "clip/128x96x33/a2.mp4").write_bytes(b"no clip")
    found = clip_preview.preview_folder(place, "musubi")
    reasons = {f.file: f.reason for f in found.found if f.effect == "dropped"}
    assert reasons == {
        "clip/128x96x33/a1.mp4": "no caption of the same name",
        "clip/128x96x33/a2.mp4": "cannot be read",
    }


def test_clips_of_another_rate_are_told(export):
    found = clip_preview.preview_folder(export("simpletuner"), "simpletuner", model="ltx")
    assert found.count("resampled") == 3 and found.exit_code == 2
    assert "motion is 1.50 times" in found.to_text()


def test_a_plain_folder_is_taken_as_the_trainer_would(tmp_path):
    for name, frames in (("a", 81), ("b", 40), ("c", 20)):
        tiny_clip.write_clip(tmp_path / f"{name}.mp4", frames, 16, (64, 64))
        (tmp_path / f"{name}.txt").write_text("anna\n")
    found = clip_preview.preview_folder(tmp_path, "musubi", frames=33)
    assert {f.file: (f.effect, f.num_frames) for f in found.found} == {
        "a.mp4": ("cut", 33),
        "b.mp4": ("cut", 33),
        "c.mp4": ("dropped", 0),
    }
    said = json.loads(found.to_json())
    assert said["count"] == {"dropped": 1, "resampled": 0, "cut": 2, "kept": 0}
    assert clip_preview.preview_folder(tmp_path, "ltx").frames == {81: 1}  # the longest there is


def test_a_size_that_crops_is_told(tmp_path):
    tiny_clip.write_clip(tmp_path / "a.mp4", 33, 16, (128, 96))
    (tmp_path / "a.txt").write_text("anna\n")
    found = clip_preview.preview_folder(tmp_path, "musubi", size=(96, 96))
    assert found.found[0].effect == "cut"
    assert found.found[0].reason == "128x96 to 96x96, 25% cropped"


def test_what_is_no_folder_of_clips_is_refused(tmp_path):
    with pytest.raises(UserError, match="expected clips or a configuration file"):
        clip_preview.preview_folder(tmp_path, "ltx")
    with pytest.raises(UserError, match="no such folder"):
        clip_preview.preview_folder(tmp_path / "none", "ltx")
    (tmp_path / "training.json").write_text("[")
    with pytest.raises(UserError, match="cannot read it"):
        clip_preview.preview_folder(tmp_path, "finetrainers")
