"""`bunny library` on films built here: one person named once, a set drawn from all films."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from photo_film import NUM_FRAMES, astronaut_pictures, make_film, run

from bunny.core import workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.review.learn import linear_map, method, threshold_rule, version
from bunny.stage.review import Review
from bunny.table import store


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder of two films of the astronaut, one brighter and cut closer, and one of nobody."""
    folder = tmp_path_factory.mktemp("ran")
    whole, near = astronaut_pictures()
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    for name, pictures in (("one", whole), ("two", near), ("none", [noise, noise[::-1]])):
        make_film(folder, name, pictures)
    return folder


@pytest.fixture
def films(ran, tmp_path):
    """The films of `ran` in a folder of the test's own."""
    shutil.copytree(ran, tmp_path, dirs_exist_ok=True)
    paths = [tmp_path / f"{name}.mp4" for name in ("one", "two", "none")]
    return tuple(workspace.create(tmp_path, "data", path, None) for path in paths)


def labels(space):
    return store.read(space.table, "label")["character"].to_list()


def test_one_name_is_found_in_all_films_and_a_set_is_drawn_from_them(films, bunny):
    one, two, none = films
    code, out, err = bunny("library", "add", "--json")
    assert code == 0, err
    added = json.loads(out)
    assert [film["num_members"] for film in added["films"]] == [0, 1, 1]  # none, one, two
    (same,) = added["identities"]
    assert same["members"] == [f"{one.film_id}/person-01", f"{two.film_id}/person-01"]

    code, out, err = bunny("library", "name", f"{one.film_id}:person-01=Eileen", "--json")
    assert code == 0, err
    named = json.loads(out)
    assert named["given"] == {one.film_id: ["Eileen"], two.film_id: ["Eileen"]}
    assert not (none.root / "named").exists()
    for space in (one, two):
        assert labels(space) == [None] * NUM_FRAMES
        run(space)
        assert labels(space) == ["Eileen"] * NUM_FRAMES

    code, out, _ = bunny("library", "add")
    assert code == 0 and "1 in the library (0 of them new)" in out
    code, out, _ = bunny("library", "add")
    assert out == "nothing new: all films that ran are in the library\n"
    code, out, _ = bunny("library", "show")
    assert "identity-0001  Eileen  face  2      8" in out
    _draw_sets(films, bunny)


def _draw_sets(films, bunny):
    """By shot and by film, in both formats; the manifest says where each picture is from."""
    one, two, _ = films
    sets = ["--set", "dataset.cut_from=picture", "--set", "dataset.num_class_images=0"]
    sets += ["--set", "models.held_out_share=0.4", "--set", "filtering.duplicate_distance=0"]
    sets += ["--set", "rights.film_licence=CC0-1.0"]
    code, out, err = bunny("library", "set", "by film", "--split", "film", *sets, "--json")
    assert code == 0, err
    *films_of, every = json.loads(out)["coverage"]
    assert [row["film_id"] for row in films_of] == [one.film_id, two.film_id]
    assert every["pictures"] == sum(row["pictures"] for row in films_of) >= 4
    assert sorted(row["held_out"] / row["pictures"] for row in films_of) == [0, 1]
    table = pl.read_ndjson("by film/manifest.jsonl")
    assert set(table["film"]) == {"one.mp4", "two.mp4"}
    assert set(table["film_licence"]) == {"CC0-1.0"}
    of_film = {space.film_id: space.source()["content_hash"] for space in (one, two)}
    assert all(of_film[r["film_id"]] == r["film_hash"] for r in table.iter_rows(named=True))
    assert max(table["frame_index"].to_list()) < NUM_FRAMES  # a film's own numbers
    record = json.loads(Path("by film/rights.json").read_text())
    assert [film["file"] for film in record["films"]] == ["one.mp4", "two.mp4"]
    assert bunny("check", "by film")[0] == 0

    kohya = ["--format", "kohya", "--split", "shot", "--character", "Eileen", "--film", "two"]
    code, out, err = bunny("library", "set", "kohya", *kohya, *sets)
    assert code == 0, err
    assert set(pl.read_ndjson("kohya/manifest.jsonl")["film"]) == {"two.mp4"}
    assert bunny("check", "kohya", "--trainer", "kohya")[0] == 0

    code, out, _ = bunny("library", "remove", "one-", "--json")
    assert [film["film_id"] for film in json.loads(out)["films"]][-1] == two.film_id
    assert not list(one.root.parents[1].glob(f"library/reference/*/*{one.film_id}*"))


def test_a_name_that_is_changed_or_taken_away_takes_its_pictures_along(films, bunny):
    one, two, _ = films
    assert bunny("library", "add")[0] == 0
    assert bunny("library", "name", "identity-0001=Elen")[0] == 0
    assert (two.root / "named" / "Elen").is_dir()
    assert bunny("library", "name", "Elen=Eileen")[0] == 0
    for space in (one, two):
        assert [path.name for path in (space.root / "named").iterdir()] == ["Eileen"]
    code, out, _ = bunny("library", "name", "identity-0001=")
    assert code == 0 and "identity-0001 (identity-0001) is now without a name" in out
    for space in (one, two):
        assert not list((space.root / "named").rglob("*.png"))
        assert space.source()["references"] is None
    assert not list((one.root.parents[1] / "library" / "reference").rglob("*.png"))


def test_a_persons_word_in_a_film_stays_above(films, bunny):
    """The second film has the astronaut under another name, which nothing takes from it."""
    one, two, _ = films
    assert bunny("library", "add")[0] == 0
    two = refer(two, "Commander")
    assert bunny("library", "name", "identity-0001=Eileen")[0] == 0  # before `add` saw that name
    assert [p.name for p in (one.root / "named").iterdir()] == ["Eileen"]
    assert not (two.root / "named").exists()
    assert labels(two) == ["Commander"] * NUM_FRAMES


def test_one_member_gets_a_name_of_its_own(films, bunny):
    """The second film's name went to the first; a person says there that it is somebody else."""
    one, two, _ = films
    two = refer(two, "Commander")
    assert bunny("library", "add")[0] == 0
    assert [p.name for p in (one.root / "named").iterdir()] == ["Commander"]
    code, out, err = bunny("library", "name", f"{one.film_id}:person-01=Eileen", "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["given"] == {one.film_id: ["Eileen"]}
    assert [p.name for p in (one.root / "named").iterdir()] == ["Eileen"]
    assert {row["name"]: row["members"] for row in report["identities"]} == {
        "Commander": [f"{two.film_id}/Commander"],
        "Eileen": [f"{one.film_id}/person-01"],
    }


def refer(space, name):
    """A film run again with its first frame as reference of a name."""
    home = space.root.parents[2]
    folder = home / "references" / name
    folder.mkdir(parents=True)
    (folder / "1.png").write_bytes((space.root / "frame" / "00000000.png").read_bytes())
    film = Path(space.source()["film"])
    space = workspace.create(home, "data", film, folder.parent)
    run(space)
    return space


def test_a_name_that_a_film_has_goes_to_the_film_that_is_added_later(films, bunny):
    one, two, _ = films
    one = refer(one, "Eileen")
    code, out, _ = bunny("library", "add", one.film_id, "--json")
    assert code == 0 and json.loads(out)["identities"][0]["name"] == "Eileen"
    code, out, _ = bunny("library", "add", two.film_id, "--json")
    assert json.loads(out)["given"] == {two.film_id: ["Eileen"]}
    (copy,) = (two.root / "named" / "Eileen").iterdir()
    assert copy.name == f"from_film_{one.film_id}_1.png"
    run(two)
    assert labels(two) == ["Eileen"] * NUM_FRAMES


def test_a_name_from_the_board_goes_to_other_films(films, bunny):
    one, two, _ = films
    Review(Config(), one.root, one.root).execute()
    assert bunny("correct", "rename", one.film_id, "person-01", "Eileen")[0] == 0
    Review(Config(), one.root, one.root).execute()
    assert labels(one) == [None] * NUM_FRAMES  # the machine's own
    code, out, err = bunny("library", "add", "--json")
    assert code == 0, err
    assert json.loads(out)["given"] == {two.film_id: ["Eileen"]}
    run(two)
    assert labels(two) == ["Eileen"] * NUM_FRAMES


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "nothing"], "expected a film whose id begins with nothing"),
        (["name", "anna"], "expected WHO=NAME"),
        (["name", "identity-0001=anna"], "found none; list them with"),
        (["remove", "reel"], "expected one film of the library, found none"),
        (["set", "out"], "--character: expected one of the library (none is named)"),
        (["set", "out", "--format", "zip"], "--format: expected imagefolder, kohya, got zip"),
        (["set", "out", "--split", "scene"], "--split: expected shot, film, got scene"),
        (["share-learned", "reel", "other"], "expected a film whose id begins with reel"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(bunny, arguments, words):
    code, _, err = bunny("library", *arguments)
    assert code == 2 and words in err and len(err.splitlines()) == 1


EVERY = (
    ("add", "reel"),
    ("name", "identity-0001=anna"),
    ("show",),
    ("set", "out"),
    ("remove", "reel"),
    ("share-learned", "reel", "other"),
)


@pytest.mark.parametrize("arguments", EVERY, ids=lambda own: own[0])
def test_each_command_has_its_data_folder_settings_and_tracebacks(bunny, arguments):
    common = ("--data-dir", "elsewhere", "--set", "detection.min_margin=7", "--json", "--debug")
    with pytest.raises(UserError, match=r"detection\.min_margin"):
        bunny("library", *arguments, *common)
    assert bunny("library", *arguments, "--set", "detection.min_margin=7")[0] == 2


def test_an_empty_library_of_another_folder(bunny):
    code, out, _ = bunny("library", "show", "--data-dir", "elsewhere", "--json")
    report = json.loads(out)
    assert code == 0 and report["folder"].endswith("elsewhere/library")
    assert (report["films"], report["identities"], report["noise"]) == ([], [], 0)


def test_what_one_film_learned_is_used_in_another_until_it_is_rolled_back(tmp_path, bunny):
    spaces = []
    for name in ("one", "two"):
        (tmp_path / f"{name}.mp4").write_bytes(name.encode())
        spaces.append(workspace.create(tmp_path, "data", tmp_path / f"{name}.mp4", None))
    one, two = spaces
    assert "found none; run `bunny learn`" in bunny("library", "share-learned", "one", "two")[2]
    own = method.FittedMethod(
        method="threshold",
        space=linear_map.identity(3),
        rule=threshold_rule.ThresholdRule(join=0.5, move=0.1),
    )
    version.save(one.checkpoint, {("character", "sface"): own}, {"corrections": 12})
    version.use(one.checkpoint, 1)
    code, out, err = bunny("library", "share-learned", "one", "two", "--json")
    assert code == 0, err
    assert json.loads(out)["commands"] == [f"bunny run {tmp_path / 'two.mp4'} --until review"]
    made = version.read(two.checkpoint, version.current(two.checkpoint))
    assert made.about["learned_in"] == one.film_id and made.about["corrections"] == 12
    assert version.load(made)["character", "sface"].rule == own.rule
    assert bunny("learn", two.film_id, "--rollback")[0] == 0
    assert version.current(two.checkpoint) == 0


def test_doctor_looks_at_the_library_of_all_films(films, bunny):
    one, two, _ = films
    assert bunny("library", "add")[0] == 0
    assert bunny("library", "name", f"{one.film_id}:person-01=Eileen")[0] == 0
    folder = one.root.parent.parent / "library"

    def problems() -> list[tuple[str, str]]:
        _, out, _ = bunny("doctor", "--workspace", "--json")
        return [
            (found["place"], found["what"])
            for found in json.loads(out)["problems"]
            if found["film_id"] == "library"
        ]

    assert problems() == []
    [vectors] = (folder / "vector").iterdir()
    whole = vectors.read_bytes()
    vectors.write_bytes(whole[: len(whole) // 2])  # the second film's are behind the first's
    [(place, what)] = problems()
    assert place == "vector" and what.startswith(f"vectors of {two.film_id} by ")
    vectors.write_bytes(whole)
    shared = next(path for path in (folder / "reference").rglob("*") if path.is_file())
    picture = shared.read_bytes()
    shared.write_bytes(picture[:-1])
    assert problems() == [
        (shared.relative_to(folder).as_posix(), "is another picture than the one that films share")
    ]
    shared.write_bytes(picture)
    table = folder / "library_identity.parquet"
    table.write_bytes(table.read_bytes()[:-20])
    [(place, what)] = problems()
    assert place == "library_identity.parquet" and what.startswith("cannot be read as declared")
    code, out, _ = bunny("doctor", "--workspace")
    assert code != 0 and "restore it from a copy" in out
