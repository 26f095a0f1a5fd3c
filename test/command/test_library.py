"""`bunny library` on films built here: one person named once, a set drawn from all films."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import plain_row
import polars as pl
import pytest
from face_row import face_row
from photo_film import NUM_FRAMES, astronaut_pictures, make_film, run

from bunny.command import library
from bunny.core import atomic, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.review.learn import linear_map, method, threshold_rule, version
from bunny.series import people_library
from bunny.stage.review import Review
from bunny.table import store

pytestmark = pytest.mark.slow


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
    _draw_by_settings(bunny)
    _draw_sets(films, bunny)


def _draw_by_settings(bunny):
    """Words, sizes, masks and the split are those of the settings; 160 px are no steps of 64."""
    wanted = {
        "captioning.trigger_word": "{name} ohwx",
        "captioning.class_word": "woman",
        "dataset.bucket_step_px": 32,
        "dataset.cut_from": "picture",
        "dataset.mask": "grabcut",
        "dataset.min_mask_quality": 0,
        "dataset.num_class_images": 0,
        "filtering.duplicate_distance": 0,
        "filtering.duplicate_structure": 1.0,
        "models.batch_size": 3,
        "models.resolution": 160,
    }
    sets = [word for key, value in wanted.items() for word in ("--set", f"{key}={value}")]
    folder, held = Path("by settings"), set()
    for seed in range(3):  # of four shots, each a group of its own, one is held out
        line = ("library", "set", folder, "--format", "kohya", *sets, "--set", f"seed={seed}")
        code, _, err = bunny(*line)
        assert code == 0, err
        table = pl.read_ndjson(folder / "manifest.jsonl").filter(split="held-out")
        held |= set(table.select("film", "shot_index").rows())
    assert len(held) > 1
    subject = "1_Eileen ohwx woman"
    pictures = {path.name for path in (folder / "img" / subject).glob("*.png")}
    assert pictures == {path.name for path in (folder / "mask" / subject).iterdir()} != set()
    said = (folder / "dataset.toml").read_text().splitlines()
    assert {"resolution = 160", "bucket_reso_steps = 32", "batch_size = 3"} <= set(said)


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


def contents(folder):
    """All files below a folder; a film's log and what it notes of hashes are no part."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("hash.json", ".lock")
    }


def test_a_dry_run_shows_what_would_be_named_and_writes_nothing(films, bunny, tmp_path):
    """The same table comes before anything is written, and holds what the films are given."""
    one, two, none = films
    assert bunny("library", "add")[0] == 0
    before = contents(tmp_path / "data")
    line = ("library", "name", "identity-0001=Eileen")
    code, out, err = bunny(*line, "--dry-run", "--sheet", tmp_path / "sheet.png")
    assert code == 0, err
    assert contents(tmp_path / "data") == before
    head, *rows, last = out.splitlines()[1:]
    assert out.startswith("identity-0001 (identity-0001) would be Eileen\n")
    assert head.split() == ["film", "group", "name", "seen"]
    assert last.startswith("dry run: nothing was changed")
    expected = [
        [space.film_id, "person-01", "Eileen", "2", "tracks,", "similarity"] for space in (one, two)
    ]
    assert [row.split()[:-1] for row in rows] == expected
    assert all(0.36 <= float(row.split()[-1]) <= 1 for row in rows)
    assert cv2.imread(str(tmp_path / "sheet.png")).std() > 20
    report = json.loads(bunny(*line, "--dry-run", "--json")[1])
    assert report["is_dry_run"] and report["given"].keys() == {one.film_id, two.film_id}
    assert contents(tmp_path / "data") == before
    code, out, _ = bunny(*line)
    assert code == 0 and out.splitlines()[:3] == [head, *rows]
    assert "would" not in out and contents(tmp_path / "data") != before
    assert (one.root / "named/Eileen").is_dir() and not (none.root / "named").exists()
    code, _, err = bunny(*line, "--dry-run", "--run")
    assert (code, err) == (2, "bunny: --dry-run and --run cannot be combined; leave one out\n")
    code, _, err = bunny(*line, "--dry-run", "--sheet", tmp_path)
    assert code == 2 and "expected an output file, got a folder" in err


def test_a_name_is_shown_as_it_was_written_before_the_first_file(films, bunny, monkeypatch):
    """What is said comes first: a terminal that breaks there leaves all films as they were."""
    one, *_ = films
    assert bunny("library", "add")[0] == 0
    home = one.root.parents[1]
    before = contents(home)

    def stop(text):
        assert text.splitlines()[1].startswith(one.film_id)
        raise UserError("stopped")

    with pytest.raises(UserError, match="stopped"):
        library.name(["identity-0001=Eileen"], str(home), say=stop)
    assert contents(home) == before


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


def write_people(folder, name, people, references=None, rejected=None):
    """A film of faces and figures with vectors by hand, each in a frame of its own.

    `people` gives each one's vector by name, an unknown one's after `person-` or `figure-`;
    `references` that of the one picture that each of some names has. `rejected` says by name whom
    people said somebody is not.
    """
    film, home = folder / f"{name}.mp4", folder / f"{name} references"
    film.write_bytes(name.encode())
    rows = {
        one: []
        for one in (
            "face",
            "track",
            "figure",
            "label",
            "cluster",
            "reference",
            "asset",
            "figure_vector",
        )
    }
    box = plain_row.box(0.0, 0.0, 112.0, 112.0)
    for k, (who, vector) in enumerate(people.items()):
        kind = "figure" if who.startswith("figure") else "face"
        item, track = f"{name}-{k}", f"{name}-t{k}"
        place = {"frame_id": item, "shot_index": k, **box}
        if kind == "figure":
            about = {"objectness": 0.9, "source": "window", "model": "by hand"}
            seen = {**place, **about, "figure_id": item, "embedding": vector, "track_id": track}
        else:
            seen = face_row(item, vector, **place, sharpness=500.0, track_id=track)
            rows["track"].append(
                {
                    "track_id": track,
                    "shot_index": k,
                    "first_frame_index": k,
                    "last_frame_index": k,
                    "num_faces": 1,
                    "best_face_id": item,
                    "embedding": vector,
                }
            )
        rows[kind].append(seen)
        for other in (rejected or {}).get(who, ()):
            rows["asset"].append(
                {
                    "asset_id": track,
                    "level": "character",
                    "shot_index": k,
                    "first_frame_index": k,
                    "end_frame_index": k + 1,
                    "timestamp_s": float(k),
                    "doubt": 0.5,
                    "source": "person",
                    "is_approved": False,
                    "rejected_from": [other],
                    "who": [],
                    "comments": 0,
                }
            )
            model = "by hand" if kind == "figure" else "sface"
            rows["figure_vector"].append(
                {"asset_id": track, "model": model, "vector": np.pad(vector, (0, 8))}
            )
        if "-" in who:
            rows["cluster"].append(
                {
                    "item_id": item,
                    "level": "unknown",
                    "shot_index": k,
                    "cluster_id": who,
                    "is_noise": False,
                }
            )
        else:
            rows["label"].append(plain_row.label(item, who, subject_type="face", **place))
    for who, vector in (references or {}).items():
        atomic.write_bytes(home / who / "1.png", b"a picture")
        rows["reference"].append(
            {
                "reference_id": f"{who}/1.png",
                "character": who,
                "content_hash": "0",
                "route": "face",
                "num_faces": 1,
                "recogniser": "sface",
                "face_embedding": vector,
            }
        )
    space = workspace.create(folder, "data", film, home if references else None)
    for table, own in rows.items():
        store.write(space.table, table, store.from_rows(table, own))
    return space.film_id


def at(plane, degrees):
    """A unit vector of eight numbers in one of four planes that have nothing in common."""
    vector = np.zeros(8, np.float32)
    vector[2 * plane : 2 * plane + 2] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


def test_who_is_one_person_in_two_films_follows_the_thresholds_of_the_settings(bunny, tmp_path):
    """Cosines of 60 and 75 degrees are 0.5 and 0.259; a threshold of 0.7 asks for 0.49 of pairs.

    person-03 of the third film is 31 degrees from one and 33 from another: 0.857 and 0.839.
    """
    first = {
        "anna": at(0, 0),
        "person-01": at(1, 0),
        "figure-01": at(2, 0),
        "person-02": at(3, 0),
        "person-03": at(3, 64),
    }
    second = {
        "anna": at(0, 75),
        "person-01": at(1, 60),
        "figure-01": at(2, 60),
        "person-02": at(3, 0),
        "person-03": at(3, 64),
    }
    one, two = write_people(tmp_path, "one", first), write_people(tmp_path, "two", second)
    three = write_people(tmp_path, "three", {"person-03": at(3, 31)})
    loose = {
        "detection.similarity_threshold": 0.25,
        "clustering.character_threshold": 0.7,
        "clustering.figure_threshold": 0.45,
        "detection.min_margin": 0.01,
    }

    def groups(*settings):
        shutil.rmtree(tmp_path / "data" / "library", ignore_errors=True)
        code, out, err = bunny("library", "add", one, two, three, "--json", *settings)
        assert code == 0, err
        return {frozenset(found["members"]) for found in json.loads(out)["identities"]}

    def both(name):
        return {f"{one}/{name}", f"{two}/{name}"}

    always = {frozenset(both("person-03"))}
    apart = {frozenset([f"{film_id}/anna"]) for film_id in (one, two)}
    assert groups() == always | apart | {frozenset(both("person-02"))}
    sets = [word for key, value in loose.items() for word in ("--set", f"{key}={value}")]
    joined = {frozenset(both(who)) for who in ("anna", "person-01", "figure-01")}
    assert groups(*sets) == always | joined | {
        frozenset({*both("person-02"), f"{three}/person-03"})
    }


def rejected_of(folder, film_id):
    """What a film's folder says people of others rejected: film, item, whom it is not."""
    table = store.read_or_empty(folder / "data/output" / film_id / "table", "rejected_elsewhere")
    assert all(len(vector) == 8 for vector in table["vector"])  # without the table's zeros
    return table.select("said_in", "asset_id", "character").rows()


def test_who_people_said_is_not_anna_holds_her_references_back_in_other_films(bunny, tmp_path):
    """A face at 40 degrees was taken out of Anna's in film "three"; another film has one at 45."""
    anna, other = at(0, 0), at(0, 45)
    one = write_people(tmp_path, "one", {"anna": anna}, {"anna": anna})
    two = write_people(tmp_path, "two", {"person-01": other})
    said = {"anna": at(0, 2), "person-09": at(0, 40)}
    three = write_people(tmp_path, "three", said, rejected={"person-09": ["anna"]})
    assert json.loads(bunny("library", "add", one, two, "--json")[1])["given"] == {two: ["anna"]}
    shutil.rmtree(tmp_path / "data/library")
    shutil.rmtree(tmp_path / "data/output" / two / "named")
    code, out, err = bunny("library", "add", one, two, three, "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["given"] == {three: ["anna"]}  # for the one that people left in it
    assert f"{two}: anna not given (no unnamed person resembles it)" in report["done"]
    assert rejected_of(tmp_path, one) == [(three, "three-t1", "anna")]
    assert rejected_of(tmp_path, two) == rejected_of(tmp_path, three) == []
    assert [Path(line.split()[2]).name for line in report["commands"]] == ["one.mp4", "three.mp4"]
    before = (tmp_path / "data/output" / one / "table/rejected_elsewhere.parquet").stat()
    assert json.loads(bunny("library", "add", three, "--json")[1])["commands"] == []
    after = (tmp_path / "data/output" / one / "table/rejected_elsewhere.parquet").stat()
    assert after.st_mtime_ns == before.st_mtime_ns
    assert bunny("library", "remove", three)[0] == 0
    assert rejected_of(tmp_path, one) == []
    vectors = np.fromfile(next((tmp_path / "data/library/vector").iterdir()), np.float32)
    assert vectors.reshape(-1, 8).any(axis=1).tolist() == [True] * 2 + [False] * 6
    assert json.loads(bunny("library", "add", two, "--json")[1])["given"] == {two: ["anna"]}


def test_a_drawn_figure_that_is_like_a_rejected_one_gets_no_references(bunny, tmp_path):
    """Two figures at 20 degrees are one; then people say that one at 22 is not who they are."""
    one, two = (
        write_people(tmp_path, name, {"figure-01": at(2, angle)})
        for name, angle in (("one", 0), ("two", 20))
    )
    assert bunny("library", "add")[0] == 0
    folder = tmp_path / "data/library"
    row = {
        "reference_id": "bunny/from_film_one.png",
        "identity_id": "identity-0001",
        "film_id": one,
        "sha256": "0",
        "model": "by hand",
        "vector": None,
    }
    store.write(folder, "library_reference", store.from_rows("library_reference", [row]))
    atomic.write_bytes(folder / "reference" / row["reference_id"], b"a drawn picture")

    def offered():
        code, out, err = bunny("library", "name", "identity-0001=bunny", "--dry-run")
        assert code == 0, err
        return {tuple(line.split()) for line in out.splitlines() if line.startswith(("one", "two"))}

    seen = ("figure-01", "bunny", "1", "view,", "similarity", "0.94")
    assert offered() == {(one, *seen), (two, *seen)}
    write_people(tmp_path, "three", {"figure-07": at(2, 22)}, rejected={"figure-07": ["bunny"]})
    assert bunny("library", "add")[0] == 0
    code, out, err = bunny("library", "name", "identity-0001=bunny", "--json")
    assert code == 0, err
    assert json.loads(out)["given"] == {one: ["bunny"]}  # 0.93 like that one, 0.94 like the other
    assert not (tmp_path / "data/output" / two / "named").exists()


def test_a_forgotten_person_leaves_no_vector_where_they_were_rejected_from_others(bunny, tmp_path):
    """Bert was taken out of Anna's in one film, of which another film has a copy."""
    said = {"anna": at(0, 0), "bert": at(1, 0)}
    one = write_people(tmp_path, "one", said, rejected={"bert": ["anna"]})
    two = write_people(tmp_path, "two", {"anna": at(0, 3)})
    assert bunny("library", "add")[0] == 0
    assert rejected_of(tmp_path, two) == [(one, "one-t1", "anna")]
    code, _, err = bunny("forget", "bert", "--yes")
    assert code == 0, err
    assert rejected_of(tmp_path, two) == []
    library = people_library.read(tmp_path / "data/library")
    assert library.rejection.is_empty()
    vectors = people_library.read_vectors(tmp_path / "data/library", "sface")
    assert not (np.asarray(vectors) @ at(1, 0) > 0.5).any()


@pytest.mark.parametrize(
    ("similarity", "margin", "becomes"),
    [(0.3, 0.01, "given"), (0.3, 0.05, "not like it"), (0.32, 0.01, "not asked")],
)
def test_a_film_gets_references_by_the_thresholds_of_the_settings(
    bunny, tmp_path, similarity, margin, becomes
):
    """The second film's unknown person is 0.31 like Anna, and 0.29 like Ben, whom it knows."""
    person = np.eye(8, dtype=np.float32)
    anna, ben = (
        a * person[0] + np.sqrt(1 - a**2) * b for a, b in ((0.31, person[1]), (0.29, person[2]))
    )
    one = write_people(tmp_path, "one", {"anna": anna}, {"anna": anna})
    two = write_people(tmp_path, "two", {"person-01": person[0]}, {"ben": ben})
    settings = (f"detection.similarity_threshold={similarity}", f"detection.min_margin={margin}")
    sets = [word for setting in settings for word in ("--set", setting)]
    code, out, err = bunny("library add --json", one, two, *sets)
    assert code == 0, err
    report = json.loads(out)
    note = f"{two}: anna not given (no unnamed person resembles it)"
    assert report["given"] == ({two: ["anna"]} if becomes == "given" else {})
    assert (note in report["done"]) == (becomes == "not like it")


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
    ("train",),
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
        (shared.relative_to(folder).as_posix(), "is not the picture that the films share")
    ]
    shared.write_bytes(picture)
    table = folder / "library_identity.parquet"
    table.write_bytes(table.read_bytes()[:-20])
    [(place, what)] = problems()
    assert place == "library_identity.parquet" and what.startswith("does not match its schema")
    code, out, _ = bunny("doctor", "--workspace")
    assert code != 0 and "restore it from a backup" in out
