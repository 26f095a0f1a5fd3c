"""Hostile names, links, pictures, tables and records: one sentence, soon, nothing written outside.

`python_script/fuzz.py` damages films and other files at random; a small sample of it runs here.
"""

import os
import re
import shutil
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import attack
import cv2
import numpy as np
import odd_film
import polars as pl
import pytest
from bunny_sentence import sentence

from bunny.core import atomic, config, image_file, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.notebook import to_overrides
from bunny.stage.extract import Extract
from bunny.table import schema, store

pytestmark = pytest.mark.attack

ROOT = Path(__file__).resolve().parents[1]
FILM = "one keyframe.mp4"
FILM_ID = re.compile(r"[a-z0-9-]{1,48}-[0-9a-f]{8}")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses such names itself")
DAMAGED = Path(__file__).parent / "table" / "frame_with_hole.parquet"  # Polars panics reading it


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return odd_film.make(FILM, tmp_path_factory.mktemp("film"))


# -- names ---------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize(
    "name",
    [
        "🐰🐇.mp4",
        "\u202evi\u0430.\u202d فيلم.mp4",
        "con.mp4",
        "nul",
        "...",
        ".mp4",
        " .mp4",
        "a\nb.mp4",
        "-x.mp4",
        "a\x1b[31m.mp4",
        "$(touch pwned).mp4",
        "'; DROP TABLE--.mp4",
        "%s%n{0}.mp4",
        "x" * 251 + ".mp4",
    ],
)
def test_a_film_of_any_name_gets_a_plain_folder(tmp_path, film, name):
    given = shutil.copy(film, tmp_path / name)
    space = workspace.create(tmp_path, "data", Path(given), None)
    assert FILM_ID.fullmatch(space.film_id)
    assert space.root == tmp_path / "data" / "output" / space.film_id
    Extract(Config(), space.root, space.root).execute()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["data", name])


@POSIX
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("x" * 300 + ".mp4", "a name that is too long"),
        ("/".join(["deep" * 50] * 30), "a name that is too long"),
        ("\udce4.mp4", "expected a path in UTF-8"),
        ("loop", "no such file"),
        ("fifo", "found another kind"),
        ("/dev/zero", "found another kind"),
        ("../../../../../../../../etc/passwd", "found a text file"),
        (".", "a folder without pictures"),
        ("", "a folder without pictures"),
        ("http://127.0.0.1:9/film.mp4", "no such file"),
        ("concat:film.mp4|film.mp4", "no such file"),
        ("playlist.m3u8", "found a text file"),
        ("list.mp4", "found a text file"),
        ("archive.mp4", "gzip archive"),
    ],
)
def test_what_is_no_film_is_refused_soon(tmp_path, bunny, path, words):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "playlist.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile '/etc/passwd'\n")
    (tmp_path / "archive.mp4").write_bytes(b"\x1f\x8b\x08" + bytes(5000))
    began = time.monotonic()
    code, _, error = bunny("run", path, "--data-dir", "data", "--until", "filter")
    assert code == 2 and words in sentence(error)
    assert time.monotonic() - began < 30
    assert not list(tmp_path.rglob("*.parquet"))


def test_zero_characters_are_refused_in_lists_and_settings(tmp_path, bunny):
    (tmp_path / "list.csv").write_bytes(b"film\na\0b.mp4\n")
    code, _, error = bunny("run", "a.mp4", "--set", 'project.data_dir="a\\u0000b"')
    assert code == 2 and "zero character" in sentence(error)
    code, _, error = bunny("batch", "--list", "list.csv", "--data-dir", "data")
    assert code == 2 and "\0" not in error


@pytest.mark.parametrize(
    "text", [f"film\n{'x' * 1_000_000}\n", "x" * 1_000_000, 'film\n"' + "x" * 9]
)
def test_a_list_with_a_huge_line_is_refused_in_a_short_sentence(tmp_path, bunny, text):
    (tmp_path / "list.csv").write_text(text)
    code, _, error = bunny("batch", "--list", "list.csv", "--data-dir", "data")
    assert code == 2 and len(sentence(error)) < 500


# -- references -----------------------------------------------------------------------------------


def _png(width: int, height: int, shown: tuple[int, int] | None = None) -> bytes:
    """A black PNG, which is small whatever it promises; `shown` is what is really in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    across, down = shown or (width, height)
    packer = zlib.compressobj(1)
    data = b"".join([packer.compress(bytes(across + 1)) for _ in range(down)]) + packer.flush()
    parts = [(b"IHDR", head), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, part) for kind, part in parts)


def _run_with(bunny, film, folder: Path):
    line = ["run", film, "--references", folder, "--data-dir", "data", "--only", "extract,detect"]
    return bunny(*line)


@POSIX
@pytest.mark.parametrize(
    "name",
    [
        "..png",
        "con.png",
        "a:b.png",
        "x" * 200 + ".png",
        "\u202ex.png",
        "a\nb.png",
        ".hidden.png",
        "...png/x.png",
        "a\x1b[2J.png",
    ],
)
def test_a_reference_of_a_hostile_name_is_refused(tmp_path, bunny, film, name):
    path = tmp_path / "people" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(_png(64, 64))
    code, _, error = _run_with(bunny, film, tmp_path / "people")
    assert code == 2 and "expected a plain character name" in sentence(error)
    assert not {"\x1b", "\u202e"} & set(sentence(error))


@POSIX
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "a link that leads out"),
        (lambda path: path.symlink_to(path.name), "a link that leads out"),
        (lambda path: path.symlink_to("/dev/zero"), "a link that leads out"),
        (lambda path: path.symlink_to("nothing.png"), "a link that leads out"),
        (os.mkfifo, "found another kind"),
    ],
    ids=["out of the folder", "to itself", "to a device", "to nothing", "a pipe"],
)
def test_what_is_no_picture_among_references_is_refused_soon(tmp_path, bunny, film, make, words):
    folder = tmp_path / "people"
    folder.mkdir()
    make(folder / "anna.png")
    (folder / "bo.png").write_bytes(_png(64, 64))
    began = time.monotonic()
    code, _, error = _run_with(bunny, film, folder)
    assert code == 2 and words in sentence(error)
    assert time.monotonic() - began < 30


# -- pictures -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as outside of tests
def test_a_picture_of_more_pixels_than_the_limit_is_never_decoded():
    most = image_file.MAX_PIXELS
    assert image_file.read_size(_png(25_000, most // 25_000, (1, 1))) == (25_000, 10_000)
    bomb = _png(25_001, most // 25_000, (1, 1))
    assert image_file.read_size(bomb) is None and image_file.decode(bomb) is None
    assert image_file.read_size(_png(2**31 - 1, 2**31 - 1, (1, 1))) is None


MEMORY = """
import resource, sys
import cv2
from pathlib import Path
from bunny.core import image_file
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = image_file.read(Path(sys.argv[1]))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(found if found is None else found.shape[0], (after - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in KiB")
@pytest.mark.parametrize(
    ("side", "found", "most_mib"), [(10_000, "10000", 700), (25_000, "None", 100)]
)
def test_a_picture_of_100_megapixels_is_read_and_one_of_625_is_not(tmp_path, side, found, most_mib):
    path = tmp_path / "anna.png"
    path.write_bytes(_png(side, side))
    assert path.stat().st_size < 10e6
    command = [sys.executable, "-c", MEMORY, str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert said[0] == found and int(said[1]) < most_mib


@pytest.mark.filterwarnings("error")
def test_a_bomb_among_references_and_pictures_costs_itself_alone(tmp_path, bunny, film):
    bomb = _png(25_001, 10_000, (1, 1))
    for folder in ("people/anna", "pictures"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "0.png").write_bytes(bomb)
        good = cv2.imencode(".png", odd_film.texture(3))[1].tobytes()
        for number in (1, 2):
            (tmp_path / folder / f"{number}.png").write_bytes(good)
    code, said, _ = bunny("references", "people", "--data-dir", "data")
    assert code == 0 and "0.png" in said and "at most 250 million pixels" in said
    code, _, error = bunny("run", "pictures", "--data-dir", "data", "--only", "extract")
    assert code == 0, error
    [frame] = (tmp_path / "data" / "output").glob("*/table/frame.parquet")
    rows = pl.read_parquet(frame)
    assert rows["error"].is_null().to_list() == [False, True, True]


# -- tables and records ---------------------------------------------------------------------------


@pytest.fixture
def space(tmp_path, film):
    made = workspace.create(tmp_path, "data", film, None)
    Extract(Config(), made.root, made.root).execute()
    return made


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data[:4] + bytes(len(data) - 8) + data[-4:],
        lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1",
        lambda data: b"PAR1",
    ],
    ids=["cut", "empty", "zeros", "a lying length", "a head alone"],
)
def test_a_damaged_table_is_refused_by_name(space, film, bunny, change):
    path = space.table / "measure.parquet"
    path.write_bytes(change(path.read_bytes()))
    code, _, error = bunny("run", film, "--data-dir", "data", "--only", "filter")
    assert code == 2 and "measure.parquet: expected a parquet table" in sentence(error)


def test_a_table_that_polars_panics_at_is_refused(tmp_path):
    """Zeros stand where a page of a column was; Polars 2.1 panics, which is no `Exception`."""
    shutil.copy(DAMAGED, tmp_path / "frame.parquet")
    with pytest.raises(store.DamagedTableError, match=r"frame\.parquet: expected a parquet table"):
        store.read(tmp_path, "frame")


def test_a_table_of_an_older_schema_is_refused_by_its_missing_columns(space, film, bunny):
    path = space.table / "measure.parquet"
    pl.read_parquet(path).drop("frame_id").write_parquet(path)
    code, _, error = bunny("run", film, "--data-dir", "data", "--only", "filter")
    assert code == 2 and "found none named frame_id" in sentence(error)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("/etc/passwd", "found '/etc/passwd', which leads out of it"),
        ("../../../../../../../../etc/passwd", "which leads out of it"),
        ("frame/link.jpg", "frame/link.jpg: expected a path inside"),
        ("linked/passwd", "found a link that leads out of it"),
    ],
)
def test_a_table_that_names_files_elsewhere_reads_none_of_them(space, film, bunny, place, words):
    (space.root / "frame" / "link.jpg").symlink_to("/etc/passwd")
    (space.root / "linked").symlink_to("/etc")
    path = space.table / "frame.parquet"
    pl.read_parquet(path).with_columns(file=pl.lit(place)).write_parquet(path)
    code, said, error = bunny("run", film, "--data-dir", "data", "--only", "detect")
    assert code == 2 and words in sentence(error)
    assert "root:" not in said + error
    parts = (space.table, space.root / "stage")
    files = (p for part in parts for p in part.rglob("*") if p.is_file())
    assert not any(b"root:x" in p.read_bytes() for p in files)


@pytest.mark.parametrize("name", ["stage/extract/stage.json", "stage/state.json", "source.json"])
def test_a_record_of_another_form_is_as_none_or_refused(space, bunny, name):
    said = [b"[]", b"3", b'{"status": 1}', b'{"status": "done", "tables": {"film": 1}}', b"\xff"]
    for data in [*said, b"[" * 100_000]:
        (space.root / name).write_bytes(data)
        code, _, error = bunny("status", space.film_id, "--data-dir", "data")
        assert code == 0 or (code == 2 and "source.json: expected the record" in sentence(error))


def test_no_module_joins_a_folder_with_a_column_of_paths_by_itself():
    columns = "|".join(sorted({column for some in schema.PATH.values() for column in some}))
    own = re.compile(rf'/ \w+\["({columns})"\]')
    assert not [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "src").rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if own.search(line) and ".is_file()" not in line
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"{}",
        b'{"kind": "assign"}',
        b'{"kind": ["assign"], "level": "scene", "event_id": "a", "time": "now", "user": "x"}',
        b'{"kind": "undo", "level": "scene", "event_id": "a", "time": "1", "user": 1, "z": 2}',
        b"[" * 100_000,
        b'{"a": ' * 50_000,
        b"1" * 100_000,
        b"NaN",
    ],
    ids=["bytes", "list", "empty", "short", "types", "unknown", "deep", "deeper", "long", "nan"],
)
def test_a_hostile_line_in_the_record_is_refused_by_its_number(tmp_path, line):
    from bunny.core.error import UserError
    from bunny.review import event_log

    (tmp_path / event_log.FILE).write_bytes(b"\n" + line + b"\n")
    with pytest.raises(UserError, match=r"feedback\.jsonl, line 2") as caught:
        event_log.read(tmp_path)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b]",
        "project: !!python/object/apply:os.system ['touch pwned']",
        "project: !!python/name:os.system",
        "[" * 5000,
        "\0",
        "project: [1, 2]",
        "- 1",
        "project:\n  data_dir: 2026-01-01\n",
        "pipeline:\n  shard_size: 1e400\n",
        "pipeline:\n  shard_size: " + "9" * 5000 + "\n",
        "? {a: b}\n: 1",
        "project: {name: " + "x" * 100_000 + ", other: 1}",
    ],
)
def test_hostile_settings_are_refused_in_a_sentence(tmp_path, bunny, text):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "main.yaml").write_text(text, encoding="utf-8")
    began = time.monotonic()
    code, _, error = bunny("status")
    assert code == 2 and "main.yaml" in sentence(error)
    assert time.monotonic() - began < 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config"]


# -- at random ------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="runs command lines in forks")
@pytest.mark.slow
def test_a_sample_of_damaged_files_is_done_or_refused(tmp_path):
    line = ["--films", "12", "--others", "8", "--workers", "1", "--keep", str(tmp_path)]
    command = [sys.executable, str(ROOT / "python_script" / "fuzz.py"), *line]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "0 of 20 not as promised" in done.stdout
    kinds = re.findall(r"\| (\w+)(?= \|)", done.stdout.splitlines()[0])
    assert {"done", "refused"} <= set(kinds)


def test_every_way_of_damage_changes_bytes_and_is_repeatable():
    import random

    import fuzz

    data, other = np.random.default_rng(0).bytes(5000), bytes(5000)
    found = [fuzz.damage(data, other, random.Random(seed)) for seed in range(60)]
    assert {way for way, _ in found} == {"flip", "cut", "hole", "double", "zero", "join"}
    assert all(changed != data for _, changed in found)
    assert found == [fuzz.damage(data, other, random.Random(seed)) for seed in range(60)]


# -- records --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b"null", b'{"a": {"b": [1]}}', b"\xff\xfe\0", b"[" * 9**5]
)
@pytest.mark.parametrize("name", ["own_setting.json", "source.json"])
def test_a_damaged_record_of_a_film_is_named(bunny, old_film, name, content):
    path = old_film / "output" / "short-film-97512643" / name
    before = path.read_bytes() if path.exists() else None
    path.write_bytes(content)
    try:
        code, _, error = bunny("status", "short", "--data-dir", old_film)
    finally:
        path.unlink() if before is None else path.write_bytes(before)
    assert code == 2 and f"{name}: expected" in sentence(error)


def test_a_picture_that_promises_too_much_comes_from_nowhere(tmp_path, bunny, old_film):
    path = tmp_path / "bomb.png"
    path.write_bytes(_png(20_000, 20_000, (1, 1)))
    for words in ("where", "generate short --again"):
        code, _, error = bunny(words, path, "--data-dir", old_film)
        assert code == 2 and "expected a" in sentence(error)


# -- outputs --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def old_film(tmp_path_factory):
    """A data folder with a small film of an older version."""
    data = tmp_path_factory.mktemp("data")
    source = Path(__file__).parent / "material" / "old_workspace" / "corrected"
    shutil.copytree(source, data / "output" / "short-film-97512643")
    return data


@POSIX
@pytest.mark.parametrize(
    "command",
    [
        "export json --output",
        "export feedback --out",
        "export timeline --out",
        "pack --output",
        "search meadow --html",
        "compare short first --html",
        "export set --character anna --output",
        "generate --output",
    ],
)
def test_an_output_goes_into_no_device_and_through_no_file(tmp_path, bunny, old_film, command):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("mine")
    for output, words in (("pipe", "expected a"), ("file/x", "file is not a folder")):
        code, _, error = bunny(command, tmp_path / output, "--data-dir", old_film)
        assert code == 2 and words in sentence(error)
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "file").read_text() == "mine"
    with pytest.raises(UserError, match="found a device"):
        atomic.write_bytes(tmp_path / "pipe", b"x")


@POSIX
@pytest.mark.parametrize("name", ["🐰", os.fsdecode(b"b\xff"), "x" * 300])
def test_a_data_folder_of_any_name_is_opened_or_refused_in_a_sentence(tmp_path, bunny, name):
    code, _, error = bunny("correct list", "--data-dir", name)
    assert code == 2 and len(sentence(error)) < 500
    [chosen] = to_overrides({"generation.prompts": ["🐰"]})
    assert config.load(tmp_path, [chosen]).generation.prompts == ("🐰",)


def test_attacks_are_listed_with_what_held():
    case = '<testcase name="test_a_name[{}]">{}</testcase>'
    cases = case.format(1, "") + case.format(2, "<failure/>") + case.format(3, "<skipped/>")
    assert attack.to_table(f"<testsuite>{cases}</testsuite>").endswith("|\n| a name | 2 | 1 |\n")
