"""`bunny export clips|pairs` and `bunny check --format` through the command line."""

import hashlib
import json

import cv2
import numpy as np
import plain_row
import pytest
import tiny_clip

from bunny.core import atomic, workspace
from bunny.table import store

FORMS = ["musubi", "diffusion-pipe", "ai-toolkit", "simpletuner", "diffsynth", "ltx"]


def clip_row(space, name, **changes):
    file = f"clip/anna/{name}.mp4"
    tiny_clip.write_clip(space.root / file, 33, 16, (128, 96))
    sha256 = hashlib.sha256((space.root / file).read_bytes()).hexdigest()
    return plain_row.clip(
        name,
        (128, 96),
        character="anna",
        shot_index=3,
        start_s=2.0,
        end_s=4.0625,
        motion=1.0,
        frame_indices=list(range(48, 81)),
        file=file,
        caption=f"anna walks, {name}",
        sha256=sha256,
        **changes,
    )


def pair_row(space, number, kind, **changes):
    files = [f"pair/{kind}/anna/{number}-{part}.png" for part in ("target", 1, 2)]
    for shade, file in enumerate(files):
        pixels = np.full((64, 64, 3), 60 * shade + number, np.uint8)
        atomic.write_bytes(space.root / file, cv2.imencode(".png", pixels)[1].tobytes())
    return {
        "pair_id": f"anna-{kind}-{number:04d}",
        "kind": kind,
        "character": "anna",
        "split": "train",
        "target_frame_id": f"f{number}",
        "target_s": 1.0,
        "target_shot_index": 0,
        "reference_frame_ids": ["f8", "f9"],
        "reference_s": [8.0, 9.0],
        "reference_shot_indices": [2, 3],
        "instruction": "anna walks",
        "files": files,
        "sha256": ["a", "b", "c"],
        **changes,
    }


@pytest.fixture
def space(tmp_path):
    """A film with three clips, one of them held out, and pairs of both kinds."""
    film = tmp_path / "My Film.mp4"
    film.write_bytes(b"a film")
    space = workspace.create(tmp_path, "data", film, None)
    clips = [clip_row(space, "c1"), clip_row(space, "c2"), clip_row(space, "c3", split="held-out")]
    store.write(space.table, "clip", store.from_rows("clip", clips))
    pairs = [pair_row(space, 1, "reference"), pair_row(space, 2, "edit")]
    pairs.append(pair_row(space, 3, "reference", reason="background", files=None))
    store.write(space.table, "training_pair", store.from_rows("training_pair", pairs))
    return space


@pytest.mark.parametrize("form", [*FORMS, "finetrainers"])
def test_clips_are_exported_and_checked(bunny, space, tmp_path, form):
    code, out, err = bunny("export clips --debug --output out --model wan --format", form)
    assert (code, err) == (0, "")
    assert f"anna as {form}: 2 clips, 0 stills, 1 held out and left out" in out
    assert "2 kept, 0 cut, 0 resampled, 0 dropped" in out
    assert json.loads((tmp_path / "out" / "rights.json").read_text())["film"]["file"]
    assert sorted(p.name for p in (tmp_path / "out").rglob("*.mp4")) == ["c1.mp4", "c2.mp4"]
    code, out, _ = bunny("check", "out", "--format", form, "--model", "wan", "--json")
    assert code == 0 and json.loads(out)["count"]["kept"] == 2


def test_the_card_says_the_words_that_are_set(bunny, space, tmp_path):
    words = ("--set", "captioning.trigger_word=sks {name}", "--set", "captioning.class_word=woman")
    assert bunny("export", "clips", "--format", "musubi", "--output", "out", *words)[0] == 0
    assert "The captions call it `sks anna woman`." in (tmp_path / "out" / "README.md").read_text()
    assert json.loads((tmp_path / "out" / "export.json").read_text())["trigger"] == "sks anna"


@pytest.mark.parametrize("form", FORMS)
def test_pairs_of_one_kind_are_exported_and_checked(bunny, space, tmp_path, form):
    words = ("export", "pairs", "--format", form, "--output", "out", "--kind", "reference")
    code, out, err = bunny(*words, "--character", "anna", "--data-dir", "data")
    assert (code, err) == (0, "")
    assert "1 pairs" in out and "1 kept" in out
    assert not list((tmp_path / "out").rglob("*edit*"))  # the kinds never mix
    again = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert bunny(*words, "--set", "captioning.temperature=0.2", "--debug")[0] == 0
    assert again == {p: p.read_bytes() for p in again}


def test_references_of_clips_go_to_the_one_trainer_that_loads_them(bunny, space, tmp_path):
    clip = clip_row(space, "c1")
    row = pair_row(space, 4, "clip", target_clip_id="c1")
    row["files"][0] = clip["file"]
    store.write(space.table, "training_pair", store.from_rows("training_pair", [row]))
    words = ("export", "pairs", "--kind", "clip", "--output", "out")
    code, _, err = bunny(*words, "--format", "musubi")
    assert code == 2
    assert "expected a trainer that loads references of clips, got musubi; choose diffsynth" in err
    code, out, err = bunny(*words, "--format", "diffsynth")
    assert (code, err) == (0, "")
    assert "1 pairs, 1 references, 1 references left out" in out and "1 kept" in out
    head, line = (tmp_path / "out" / "metadata.csv").read_text().splitlines()
    home = "pair/clip/128x96x33-1"
    files = [f"{home}/target/anna-clip-0004.mp4", f"{home}/control_1/anna-clip-0004.png"]
    assert head == "video,vace_reference_image,prompt"
    assert line == f"{files[0]},{files[1]},anna walks"
    assert (tmp_path / "out" / files[0]).read_bytes() == (space.root / clip["file"]).read_bytes()
    said = (tmp_path / "out" / "arguments.txt").read_text()
    assert '--num_frames "33"' in said
    assert '--data_file_keys "video,vace_reference_image"' in said
    (tmp_path / "out" / files[1]).unlink()
    code, out, _ = bunny("check", "out", "--format", "diffsynth", "--model", "wan")
    assert code == 2 and "1 dropped" in out


def test_clips_of_another_length_are_told_beforehand(bunny, space, tmp_path):
    place = str(space.root / "clip" / "anna")
    for name in ("c1", "c2", "c3"):
        (space.root / "clip" / "anna" / f"{name}.txt").write_text("anna\n")
    code, out, _ = bunny("check", place, "--format", "musubi", "--frames", "49")
    assert code == 2
    assert "33 frames, no sample: the shortest target is 49" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("export", "clips", "--format", "kohya"), "--format: expected musubi"),
        (("export", "clips", "--character", "bo"), "--character: expected a character with clips"),
        (("export", "clips", "--model", "svd"), "--model: expected auto, wan"),
        (("export", "clips", "--stills"), "expected a training set"),
        (("export", "pairs", "--kind", "both"), "--kind: expected reference, edit"),
        (("export", "pairs", "--format", "finetrainers"), "expected a trainer that loads refer"),
        (("check", "--format", "musubi"), "expected a folder of clips or pairs, got no folder"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(bunny, space, words, told):
    code, _, err = bunny(*words)
    assert code == 2 and told in err


def test_a_film_without_clips_and_a_missing_file_are_told(bunny, space):
    (space.root / "clip" / "anna" / "c1.mp4").unlink()
    code, _, err = bunny("export", "clips", "--no-stills", "--set", "rights.consent=given")
    assert code == 2 and "1 of 2 files are missing (first: c1.mp4)" in err
    store.write(space.table, "clip", store.from_rows("clip", []))
    code, _, err = bunny("export", "clips", "--data-dir", "data")
    assert code == 2 and "stage clip has not looked for them; run `bunny run" in err


@pytest.mark.parametrize(
    ("stage", "table", "words", "note"),
    [
        ("clip", "clip", "expected clips, but stage clip found none", "left out: 3 too short"),
        ("pair", "training_pair", "expected edit pairs, but stage pair found none", "0 edit pairs"),
    ],
)
def test_a_stage_that_found_none_is_not_advised_again(bunny, space, stage, table, words, note):
    store.write(space.table, table, store.from_rows(table, []))
    record = space.stage(stage) / "stage.json"
    atomic.write_bytes(record, json.dumps({"status": "done", "note": note}).encode())
    kind = ("--kind", "edit") if stage == "pair" else ()
    code, _, err = bunny("export", f"{stage}s", *kind, "--data-dir", "data")
    assert code == 2 and words in err and f"({note}); change the settings" in err
    assert "choose one" not in err
