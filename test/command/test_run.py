"""`bunny run` on several films: the order, what fails, and which references go with which."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from bunny.command import run
from bunny.core.error import BunnyError, UserError

A, B, C = Path("a"), Path("b"), Path("c")


def _photographs(folder, seed):
    folder.mkdir()
    for number in range(3):
        picture = np.random.default_rng(seed + number).integers(0, 255, (6, 10, 3), np.uint8)
        soft = cv2.resize(picture, (160, 96), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number}.png"), soft)
    return folder


def test_references_are_for_all_films_or_for_each_its_own():
    assert run.pair_references([A, B], []) == [(A, None), (B, None)]
    assert run.pair_references([A, B], [C]) == [(A, C), (B, C)]
    assert run.pair_references([A, B], [B, C]) == [(A, B), (B, C)]
    for folders, films in (([A, B], [A, B, C]), ([A, B], [A])):
        with pytest.raises(UserError, match=f"one for each of {len(films)}, got 2"):
            run.pair_references(films, folders)


def test_what_fails_names_its_film_once_and_says_whose_fault_it_is():
    known = run.FilmFailure(film=A, error=UserError("a: expected a film; check it"))
    assert (known.to_text(), known.exit_code) == ("a: expected a film; check it", 2)
    other = run.FilmFailure(film=B, error=BunnyError("no network"))
    assert (other.to_text(), other.exit_code) == ("b: no network", 1)
    bug = run.FilmFailure(film=C, error=KeyError("x"))
    assert (bug.to_text(), bug.exit_code) == ("c: unexpected KeyError: 'x'", 1)


def test_one_film_that_fails_does_not_stop_the_rest(bunny, tmp_path):
    one, two = _photographs(tmp_path / "one", 0), _photographs(tmp_path / "two", 10)
    words = ("--until", "filter", "--json")
    code, out, err = bunny("run", one, tmp_path / "missing.mp4", two, *words)
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 2
    assert [line.get("film_id", "")[:4] for line in lines] == ["one-", "", "two-"]
    assert "missing.mp4: expected a film, found no such file" in lines[1]["error"]
    assert "bunny: " in err and "Traceback" not in err
    assert [line["stages"]["filter"]["status"] for line in (lines[0], lines[2])] == ["done"] * 2
    code, out, _ = bunny("run", one, two, *words)
    states = [json.loads(line)["stages"]["extract"]["status"] for line in out.splitlines()]
    assert (code, states) == (0, ["skipped", "skipped"])


def test_what_is_wrong_for_all_films_is_said_once_before_the_first(bunny, tmp_path):
    films = [_photographs(tmp_path / name, 0) for name in ("one", "two")]
    code, out, err = bunny("run", *films, "--only", "bake")
    assert (code, out) == (2, "") and err.count("stage bake") == 1
    assert not (tmp_path / "data").exists()


WRONG = (
    ("--until captions", "stage captions: expected one of extract, "),
    ("--until finetune", "models.base_model: expected a base model"),
    ("--only filter", "run extract first: `bunny run {film} --until extract`"),
    ("--references nowhere", "nowhere: expected a folder"),
    ("--set extraction.speed=1", "unknown key extraction.speed"),
    ("--set models.base_model=nowhere", "base model nowhere: expected"),
    ("--set models.base_model=toy --set models.resolution=100", "a multiple of 32"),
    ("--set captioning.providers=[openai]", "captioning.openai.model: expected"),
    ("--set detection.drawn_embedding=ccip:./nowhere", "found no folder ./nowhere"),
    ("--assist", "expected pipeline.num_parts of 2 or more"),
)


@pytest.mark.parametrize(("words", "sentence"), WRONG)
def test_what_is_refused_before_the_first_stage_leaves_no_film(bunny, tmp_path, words, sentence):
    film = _photographs(tmp_path / "one", 0)
    code, _, err = bunny("run", film, *words.split())
    assert code == 2 and sentence.format(film=film) in err
    assert list(tmp_path.glob("data/output/*/")) == []


def test_a_film_that_cannot_be_read_does_not_become_the_newest(bunny, tmp_path):
    film, text = _photographs(tmp_path / "one", 0), tmp_path / "text.mp4"
    text.write_text("Once upon a time. " * 50, encoding="utf-8")
    assert bunny("run", film, "--until", "filter")[0] == 0
    [kept] = tmp_path.glob("data/output/*/")
    code, _, err = bunny("run", text)
    assert code == 2 and "expected a film, found a text file" in err
    assert list(tmp_path.glob("data/output/*/")) == [kept]
    assert bunny("run", film, "--until", "captions")[0] == 2  # what a known film has is kept
    assert (kept / "table" / "frame.parquet").exists()


LOADED = """
import sys
from bunny import cli
sys.argv = ["bunny", *sys.argv[1:]]
try:
    cli.main()
except SystemExit as stop:
    code = stop.code or 0
else:
    code = 0
heavy = {"polars", "numpy", "cv2", "av", "dataframely", "torch"} & set(sys.modules)
print("loaded", sorted(heavy), "code", code)
"""


def _loaded(*words, cwd):
    command = [sys.executable, "-c", LOADED, *map(str, words)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    return done.stdout.splitlines()[-1], done.stdout + done.stderr


def test_where_nothing_is_to_be_done_nothing_is_imported(bunny, tmp_path):
    film = _photographs(tmp_path / "one", 0)
    run = ("run", film, "--until", "filter")
    assert bunny(*run)[0] == 0
    said, text = _loaded(*run, cwd=tmp_path)
    assert said == "loaded [] code 0"
    assert text.count("up to date") == 2 and "each kept as a shot" in text
    said, text = _loaded("status", cwd=tmp_path)
    assert said == "loaded [] code 0" and "never run" in text
    (quality,) = (tmp_path / "data" / "output").glob("*/table/quality.parquet")
    quality.write_bytes(quality.read_bytes() + b"x")
    said, text = _loaded("status", cwd=tmp_path)
    assert "polars" in said and "table quality was modified outside its stage" in text
    said, text = _loaded(*run, cwd=tmp_path)
    assert "polars" in said and text.count("up to date") == 1


def test_a_run_ends_with_the_share_of_each_stage(bunny, tmp_path):
    film = _photographs(tmp_path / "one", 0)
    run = ("run", film, "--until", "filter")
    first = bunny(*run)[1].splitlines()[0]
    assert re.fullmatch(r"one-\w+: [\d.]+ s \(extract \d+ %, .*the rest \d+ %\)", first)
    assert sum(map(int, re.findall(r"(\d+) %", first))) == pytest.approx(100, abs=2)
    assert re.fullmatch(r"one-\w+: [\d.]+ s", bunny(*run)[1].splitlines()[0])


def test_stopped_it_says_what_is_kept(bunny, tmp_path, monkeypatch):
    film = _photographs(tmp_path / "one", 0)

    def stop(self):
        self._note_progress(3, 4)
        raise KeyboardInterrupt

    monkeypatch.setattr("bunny.stage.detect.Detect.run", stop)
    code, _, err = bunny("run", film, "--until", "detect")
    assert code == 130
    assert "stopped during detect; kept: extract, filter, about 75% of detect" in err
    assert err.splitlines()[-1] == "bunny: stopped; run the same command again to resume"
