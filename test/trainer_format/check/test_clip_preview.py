"""What is said beforehand of a folder: ours keeps all, others lose what they lose."""

import json
import re
import shutil

import av
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


def effects(found):
    """Effect and reason of each file that is not kept."""
    return {f.file: (f.effect, f.reason) for f in found.found if f.effect != "kept"}


@pytest.mark.parametrize(
    ("form", "effect"),
    [
        ("musubi", "stops"),  # PIL opens what the JSON lines name
        ("diffusion-pipe", "stops"),  # "No control file exists for image"
        ("ai-toolkit", "changed"),  # references that exist are collected, others passed over
        ("simpletuner", "changed"),  # a warning, the sample goes on without it
        ("diffsynth", "stops"),
        ("ltx", "stops"),  # "invalid paths in 'reference_video'"
    ],
)
def test_a_missing_reference_is_told(export, form, effect):
    place = export(form, "pairs")
    (place / "pair/reference/64x96-1/control_1/p2.png").unlink()
    found = clip_preview.preview_folder(place, form)
    told = {"pair/reference/64x96-1/target/p2.png": (effect, "reference missing: p2.png")}
    assert effects(found) == told and found.exit_code == 2


@pytest.mark.parametrize(
    ("form", "uncaptioned", "unreadable", "missing"),
    [
        # a caption that is not there is opened all the same; so is each clip
        ("musubi", "stops", "stops", "dropped"),
        ("diffusion-pipe", "dropped", "dropped", "dropped"),  # warnings: "Skipping"
        ("ai-toolkit", "changed", "dropped", "dropped"),  # an empty caption; "Error processing"
        ("simpletuner", "stops", "dropped", "dropped"),  # FileNotFoundError; "Error processing"
        ("diffsynth", None, "stops", "stops"),  # captions are in the metadata
        ("ltx", None, "dropped", "stops"),  # "Failed to read video"; "invalid paths"
        ("finetrainers", "dropped", "stops", "dropped"),  # it looks for the files of captions
    ],
)
def test_lost_and_damaged_files_are_told_as_the_trainer_takes_them(
    export, form, uncaptioned, unreadable, missing
):
    place = export(form)
    home = place / "clip" / "128x96x33"
    (home / "a1.txt").unlink()
    (home / "a2.mp4").write_bytes(b"no clip")
    (place / "clip" / "96x128x49" / "b1.mp4").unlink()
    found = clip_preview.preview_folder(place, form)
    told = {name: effect for name, (effect, _) in effects(found).items()}
    wanted = {"clip/128x96x33/a1.mp4": uncaptioned, "clip/128x96x33/a2.mp4": unreadable}
    wanted["clip/96x128x49/b1.mp4"] = missing
    assert told == {name: effect for name, effect in wanted.items() if effect}
    assert found.exit_code == 2
    if missing == "dropped":
        assert "missing, as manifest.jsonl lists it" in found.to_text()
    assert ("stops training" in found.to_text()) == ("stops" in told.values())


def test_musubi_passes_over_a_picture_without_a_caption(export):
    place = export("musubi")
    (place / "still/64x96/s1.txt").unlink()
    found = clip_preview.preview_folder(place, "musubi")
    assert effects(found) == {"still/64x96/s1.png": ("dropped", "no caption of the same name")}


@pytest.mark.parametrize(
    ("form", "effect", "num_frames"),
    [
        ("musubi", "stops", 0),  # decoding fails before the target is reached
        ("diffusion-pipe", "stops", 0),  # "less frames than the target_frames"
        ("ai-toolkit", "changed", 49),  # the last frame again
        ("simpletuner", "dropped", 0),  # fewer than min_frames
        ("diffsynth", "changed", None),  # the nearest 4n+1 below
        ("ltx", "stops", 0),
        ("finetrainers", "stops", 0),  # decord: "av_read_frame"
    ],
)
def test_a_clip_that_was_cut_off_is_no_whole_one(export, form, effect, num_frames):
    place = export(form)
    file = place / "clip" / "96x128x49" / "b1.mp4"
    cut_off(file)
    found = clip_preview.preview_folder(place, form)
    (one,) = (f for f in found.found if f.effect != "kept")
    assert one.file == "clip/96x128x49/b1.mp4" and one.effect == effect
    assert re.match(r"only \d+ of 49 frames can be read", one.reason)
    assert found.exit_code == 2
    assert 1 < one.num_frames < 49 if num_frames is None else one.num_frames == num_frames


def cut_off(file):
    """Lose the last part of a clip whose index stands before its frames."""
    moved = file.with_suffix(".moved")
    with (
        av.open(str(file)) as source,
        av.open(str(moved), "w", "mp4", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = moved.read_bytes()
    moved.unlink()
    file.write_bytes(data[: len(data) * 3 // 4])


def test_an_export_that_was_copied_leads_to_where_it_was(export, tmp_path):
    place = export("musubi")
    said = {"made_by": "diffusion-bunny", "format": "musubi", "files": [], "place": str(place)}
    (place / "export.json").write_text(json.dumps(said))
    assert clip_preview.preview_folder(place, "musubi").exit_code == 0
    shutil.copytree(place, tmp_path / "copy")
    with pytest.raises(UserError, match="expected an export where it was written, found one of"):
        clip_preview.preview_folder(tmp_path / "copy", "musubi")


def test_clips_of_another_rate_are_told(export):
    found = clip_preview.preview_folder(export("simpletuner"), "simpletuner", model="ltx")
    assert found.count("resampled") == 3 and found.exit_code == 2
    assert "motion is 1.50 times" in found.to_text()
    assert "as SimpleTuner loads it (commit bc8e6ab)" in found.to_text()


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
    assert {k: n for k, n in said["count"].items() if n} == {"dropped": 1, "cut": 2}
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
