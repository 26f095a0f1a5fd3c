"""`bunny export clips|pairs` and `bunny check --format` through the command line."""

import hashlib
import json
from pathlib import Path

import av
import cv2
import numpy as np
import plain_row
import pytest
import table_row
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


@pytest.fixture
def film(space):
    """The film of the clips: 48 frames a second, of which the clips show each third."""
    place = Path(space.source()["film"])
    tiny_clip.write_clip(place, 150, 48)
    rows = store.read(space.table, "clip").to_dicts()
    span = {"start_s": 1.0, "end_s": 1 + 33 / 16, "frame_indices": list(range(48, 145, 3))}
    store.write(space.table, "clip", store.from_rows("clip", [row | span for row in rows]))
    table_row.write(space.table, "film", [plain_row.film(150, (128, 96), per_s=48)])
    store.write(space.table, "frame", store.from_rows("frame", []))
    frames = [{"shot_index": 3, "frame_index": n, "timestamp_s": n / 48} for n in range(150)]
    table_row.write(space.table, "clip_frame", frames)
    return place


def read_clip(path):
    """Rate and the red of each frame's middle."""
    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        return float(container.streams.video[0].average_rate), [int(f[48, 64, 0]) for f in frames]


@pytest.mark.parametrize("form", [*FORMS, "finetrainers"])
def test_clips_are_exported_and_checked(bunny, space, film, tmp_path, form):
    code, out, err = bunny("export clips --debug --output out --format", form)
    assert (code, err) == (0, "")
    assert f"anna as {form}: 2 clips, 0 stills, " in out and "1 held out and left out" in out
    assert ("2 written again at 24 fps" in out) == (form == "ltx")
    assert "2 kept, 0 cut, 0 resampled, 0 dropped" in out
    assert json.loads((tmp_path / "out" / "rights.json").read_text())["film"]["file"]
    assert sorted(p.name for p in (tmp_path / "out").rglob("*.mp4")) == ["c1.mp4", "c2.mp4"]
    code, out, _ = bunny("check", "out", "--json")  # the format and model that were exported
    assert code == 0 and json.loads(out)["count"]["kept"] == 2
    assert json.loads(out)["trainer"] == form


@pytest.mark.parametrize(("form", "model"), [("musubi", "hunyuan"), ("finetrainers", "ltx")])
def test_clips_of_another_rate_are_written_again_from_the_film(
    bunny, space, film, tmp_path, form, model
):
    """They begin and end where they did, so that motion keeps its speed."""
    words = ("export", "clips", "--output", "out", "--format", form, "--model", model, "--json")
    code, out, err = bunny(*words)
    assert (code, err) == (0, "") and json.loads(out)["findings"]["count"]["kept"] == 2
    file = tmp_path / "out" / "clip" / "128x96x49" / "c1.mp4"
    rate, reds = read_clip(file)
    wanted = [4 * (n % 60) for n in range(48, 145, 2)]
    assert rate == 24 and len(reds) == 49
    assert np.corrcoef(reds, wanted)[0, 1] > 0.99
    assert np.flatnonzero(np.diff(reds) < -100).tolist() == [5, 35]  # before frames 60 and 120
    line = json.loads((tmp_path / "out" / "manifest.jsonl").read_text().splitlines()[0])
    assert line["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert line["end_s"] == pytest.approx(1 + 49 / 24)


def test_a_film_that_is_gone_and_clips_that_are_too_short_are_refused(bunny, space, film):
    rows = [row | {"frame_indices": [48, 51], "num_frames": 2} for row in clip_rows(space)]
    words = ("export", "clips", "--format", "musubi", "--model", "hunyuan")
    film.rename(film.with_name("elsewhere.mp4"))
    code, _, err = bunny(*words)
    assert code == 2 and "to write 2 clips again at 24 frames per second for hunyuan" in err
    film.with_name("elsewhere.mp4").rename(film)
    store.write(space.table, "clip", store.from_rows("clip", rows))
    code, _, err = bunny(*words)
    assert code == 2 and "expected one of at least 9 frames at 24 frames per second" in err


def clip_rows(space):
    return store.read(space.table, "clip").to_dicts()


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
    code, out, err = bunny(*words, "--format", "diffsynth", "--json")
    assert (code, err) == (0, "")
    counts = {"pairs": 1, "references": 1, "references left out": 1, "held out and left out": 0}
    assert json.loads(out)["counts"] == counts
    assert json.loads(out)["findings"]["count"]["kept"] == 1
    head, line = (tmp_path / "out" / "metadata.csv").read_text().splitlines()
    home = "pair/clip/128x96x33-1"
    files = [f"{home}/target/anna-clip-0004.mp4", f"{home}/control_1/anna-clip-0004.png"]
    assert head == "video,vace_reference_image,prompt"
    assert line == f"{files[0]},{files[1]},anna walks"
    assert (tmp_path / "out" / files[0]).read_bytes() == (space.root / clip["file"]).read_bytes()
    said = (tmp_path / "out" / "arguments.txt").read_text()
    assert "--num_frames 33\n" in said
    assert "--data_file_keys video,vace_reference_image\n" in said
    reference = cv2.imread(str(tmp_path / "out" / files[1]))  # a square in the middle of 128 x 96
    assert reference.shape == (96, 128, 3)
    assert (reference[:, :16] == 255).all() and (reference[:, 17:111] == 64).all()
    (tmp_path / "out" / files[1]).unlink()
    code, out, _ = bunny("check", "out", "--format", "diffsynth", "--model", "wan")
    assert code == 2 and "stops training 1: reference missing" in out
    cv2.imwrite(str(tmp_path / "out" / files[1]), np.zeros((64, 64, 3), np.uint8))
    code, out, _ = bunny("check", "out")
    assert code == 2
    assert "reference of 64x64 for a clip of 128x96: both must have one size" in out


def test_clips_that_have_references_are_written_again_too(bunny, space, film, tmp_path):
    """Wan VACE is trained at 16 frames a second: 49 frames of 24 become 33."""
    span = {"fps": 24.0, "num_frames": 49, "frame_indices": list(range(48, 145, 2))}
    store.write(space.table, "clip", store.from_rows("clip", [r | span for r in clip_rows(space)]))
    row = pair_row(space, 4, "clip", target_clip_id="c1")
    row["files"][0] = "clip/anna/c1.mp4"
    store.write(space.table, "training_pair", store.from_rows("training_pair", [row]))
    words = ("export", "pairs", "--kind", "clip", "--format", "diffsynth", "--output", "out")
    code, out, err = bunny(*words)
    assert (code, err) == (0, "") and "1 written again at 16 fps" in out and "1 kept" in out
    (file,) = (tmp_path / "out").rglob("*.mp4")
    rate, reds = read_clip(file)
    assert (rate, len(reds)) == (16, 33) and np.flatnonzero(np.diff(reds) < -100).size == 2
    store.write(space.table, "clip", store.from_rows("clip", clip_rows(space)[1:]))
    code, _, err = bunny(*words)
    assert code == 2 and "expected their 1 clips in table clip, 1 are gone (first: c1)" in err


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
        (
            ("export", "clips", "--model", "ltx"),
            "expected a model that musubi trains (wan, hunyuan",
        ),
        (("export", "clips", "--stills"), "expected a training set"),
        (("export", "pairs", "--kind", "both"), "--kind: expected reference, edit"),
        (("export", "pairs", "--format", "finetrainers"), "expected a trainer that loads refer"),
        (("check", "--format", "musubi"), "expected a folder of clips or pairs, got no folder"),
        (("check", "out", "--format", "ltx", "--model", "wan"), "a model that ltx trains (ltx)"),
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
