"""`bunny characters` on a film built here: who is listed, and how a name is given and kept."""

import json
import shutil

import cv2
import numpy as np
import plain_row
import pytest
from PIL import Image

from bunny.character import reference
from bunny.command import characters
from bunny.core import atomic, workspace
from bunny.core.config import Config, DetectionConfig
from bunny.core.error import UserError
from bunny.dataset import reference_picture
from bunny.stage.cluster import Cluster
from bunny.stage.detect import Detect
from bunny.table import store
from bunny.view.widget import preview

NUM_FRAMES = 4


@pytest.fixture(scope="module")
def astronaut():
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[:, :, ::-1])


def make_film(folder, astronaut, references=None):
    """Four frames of the astronaut in two shots, and one without anybody."""
    film = folder / "my film.mp4"
    film.write_bytes(b"film")
    space = workspace.create(folder, "data", film, references)
    dark = (astronaut * 0.7).astype(np.uint8)
    images = [astronaut, dark, astronaut[:, ::-1], dark[:, ::-1], np.full_like(astronaut, 90)]
    rows = []
    for i, image in enumerate(images):
        name = f"frame/{i:08d}.png"
        atomic.write_bytes(space.root / name, cv2.imencode(".png", image)[1].tobytes())
        rows.append(plain_row.frame(i, i // 2, (512, 512), per_s=1, film_id=space.film_id))
    store.write(space.table, "frame", store.from_rows("frame", rows))
    for name in ("shot", "film"):
        store.write(space.table, name, store.from_rows(name, []))
    return space


def run(space, *stages, **detection):
    config = Config.model_validate({"detection": detection})
    for stage in stages or (Detect, Cluster):
        stage(config, space.root, space.root).execute()


@pytest.fixture(scope="module")
def clustered(tmp_path_factory, astronaut):
    """Nobody is named yet: all faces are one unknown person."""
    space = make_film(tmp_path_factory.mktemp("film"), astronaut)
    run(space)
    return space


@pytest.fixture
def film(clustered, tmp_path, monkeypatch):
    """A copy of it, as the newest film of the data folder `data`."""
    root = tmp_path / "data" / "output" / clustered.film_id
    shutil.copytree(clustered.root, root)
    monkeypatch.chdir(tmp_path)
    return workspace.locate(tmp_path, "data", clustered.film_id)


def named_files(space):
    return sorted((space.root / "named").rglob("*.png"))


def test_everybody_is_listed_with_a_picture(film):
    found = characters.list_characters(None)
    assert found.people.select("name", "is_named", "num_faces", "num_shots").rows() == [
        ("person-01", False, NUM_FRAMES, 2)
    ]
    with Image.open(film.root / "character" / "person-01.jpg") as picture:
        assert max(picture.size) <= 320 and min(picture.size) > 60
    with Image.open(found.sheet) as sheet:
        assert sheet.format == "PNG" and sheet.width > 160
    assert "person-01  4 faces, 2 shots, 0:00–0:03" in found.to_text()
    assert found.to_text().splitlines()[-1] == str(film.root / "characters.png")
    report = json.loads(found.to_json())
    (person,) = report["characters"]
    assert (person["name"], person["num_faces"], person["first_s"]) == ("person-01", 4, 0.0)
    assert person["picture"].endswith("/character/person-01.jpg")


def test_pictures_of_people_who_are_gone_are_removed(film):
    atomic.write_bytes(film.root / "character" / "old.jpg", b"x")
    characters.list_characters(None)
    assert [p.name for p in (film.root / "character").iterdir()] == ["person-01.jpg"]


def test_a_name_is_given_and_outlives_new_runs(film):
    done = characters.name_character(None, "person-01=Eileen")
    assert 1 <= len(done.pictures) <= NUM_FRAMES
    assert all(p.name.startswith("from_film_0000000") for p in done.pictures)
    assert "detect" in done.stale and "extract" not in done.stale
    assert done.command.startswith("bunny run '") and "--until cluster" in done.command
    assert json.loads(done.to_json())["name"] == "Eileen"
    assert "person-01 is now Eileen" in done.to_text()
    run(film)
    (row,) = characters.list_characters(None).people.to_dicts()
    assert (row["name"], row["is_named"], row["num_faces"]) == ("Eileen", True, NUM_FRAMES)


def test_pictures_show_one_face_with_margin(film):
    characters.name_character(None, "person-01=Eileen")
    for path in named_files(film):
        image = cv2.imread(str(path))
        assert min(image.shape[:2]) >= reference_picture.MIN_PX


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("person-01", "expected PERSON=NAME, e.g. person-02=anna"),
        ("=anna", "expected PERSON=NAME"),
        ("person-07=anna", r"expected one of the unknown people \(person-01\)"),
        ("person-01=a/../anna", "looks like a path"),
        ("person-01=person-02", "this one is reserved for unnamed people"),
    ],
)
def test_what_cannot_be_named(film, choice, words):
    with pytest.raises(UserError, match=words):
        characters.name_character(None, choice)
    assert not (film.root / "named").exists()


def test_a_face_below_the_score_that_is_set_is_no_view(film):
    """Faces are found again in what is cut out, and none is as sure as that."""
    with pytest.raises(UserError, match="expected a picture that shows only this person's face"):
        characters.name_character(None, "person-01=Eileen", None, ("detection.min_face_score=1.0",))


def test_a_face_that_is_less_alike_than_is_set_is_no_view(film):
    """What is cut out is enlarged, so its vector is near the face's own and not the same."""
    words = "expected a picture that shows only this person's face"
    wanted = ("detection.similarity_threshold=1.0",)
    with pytest.raises(UserError, match=words):
        characters.name_character(None, "person-01=Eileen", None, wanted)


@pytest.mark.parametrize("moved", ["recogniser=dlib", "face_detection_model=hog"])
def test_views_are_judged_by_the_recogniser_that_is_set(film, moved):
    """The film was measured with SFace, so for dlib there is nothing that a view must be like."""
    wanted = (f"detection.{moved}", "detection.similarity_threshold=1.0")
    assert characters.name_character(None, "person-01=Eileen", None, wanted).pictures


@pytest.mark.parametrize("has_small_faces", [True, False])
def test_a_view_with_a_small_face_alone_serves_where_small_faces_are_looked_for(
    tmp_path, astronaut, has_small_faces
):
    """A face of 20 px in a picture of 1920."""
    picture = np.full((1080, 1920, 3), 120, np.uint8)
    picture[500:590, 900:990] = cv2.resize(astronaut, (90, 90), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "one.png"), picture)
    one = reference.ReferenceFile(reference_id="f0", character="anna", path=tmp_path / "one.png")
    wanted = DetectionConfig(has_small_faces=has_small_faces)
    usable = reference_picture._usable_views([one], store.from_rows("face", []), wanted)
    assert usable == [one] * has_small_faces


def test_nobody_gets_two_names(film):
    characters.name_character(None, "person-01=Eileen")
    with pytest.raises(UserError, match="already named Eileen"):
        characters.name_character(None, "person-01=Anna")


def test_a_taken_name_needs_add(film, bunny, tmp_path, astronaut):
    """The user's own folder has an anna; her name is matched whatever its case."""
    user = tmp_path / "mine"
    atomic.write_bytes(
        user / "anna.png", cv2.imencode(".png", astronaut[:280, 90:370])[1].tobytes()
    )
    source = film.source()
    workspace.write_source(film, source["film"], source["content_hash"], user)
    code, _, err = bunny("characters", "--name", "person-01=Anna")
    assert code == 2 and "anna is already a character of this film; " in err and "--add" in err
    code, out, _ = bunny("characters", "--name", "person-01=Anna", "--add", "--json")
    assert (code, json.loads(out)["name"]) == (0, "anna")
    assert [p.name for p in user.iterdir()] == ["anna.png"]
    assert (film.root / "reference" / "anna.png").exists()
    assert film.source()["given_references"] == str(user)


def test_without_a_picture_nobody_is_named(film):
    for path in (film.root / "frame").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="expected a picture that shows only this person's face"):
        characters.name_character(None, "person-01=Eileen")


def test_another_face_in_the_picture_is_left_out(film):
    """A second face right beside hers: no crop shows her alone."""
    face = store.read(film.table, "face").to_dicts()
    beside = [
        f | {"face_id": f["face_id"] + "x", "x0_px": f["x1_px"] - 5, "x1_px": f["x1_px"] + 50}
        for f in face
    ]
    store.write(film.table, "face", store.from_rows("face", [*face, *beside]))
    with pytest.raises(UserError, match="none of 4 does"):
        characters.name_character(None, "person-01=Eileen")


def test_before_the_stages_it_says_which_to_run(tmp_path, astronaut, monkeypatch):
    space = make_film(tmp_path, astronaut)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run stage detect first"):
        characters.list_characters(None)
    with pytest.raises(UserError, match="run stage cluster first"):
        characters.name_character(None, "person-01=anna")
    run(space, Detect)
    found = characters.list_characters(None)
    assert found.people.is_empty()
    assert found.notes == ["unknown people are not grouped yet; run stage cluster"]


def test_no_film_is_the_users_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="expected a film"):
        characters.list_characters("nothing")


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"similarity_threshold": 0.95},
        {"similarity_threshold": 0.2, "min_margin": 0.3},
        {"drawn_threshold": 0.2, "drawn_margin": 0.0},
        {"calibration": "fixed"},
    ],
)
def test_the_explorer_decides_as_the_stage(drawn_film, changed):
    """Row by row the same table, for a film with a person and a drawn figure."""
    run(drawn_film, Detect, **changed)
    written = store.read(drawn_film.table, "label")
    settings = Config.model_validate({"detection": changed}).detection
    seen = preview.read_tables(drawn_film.table)
    found = preview.judge(seen, preview.compare(seen, settings), settings).label
    assert store.check("label", found).equals(written)
    if changed.get("drawn_threshold"):  # figures are among the rows that were compared
        assert set(written["subject_type"]) == {"face", "region"}


@pytest.fixture(scope="module")
def drawn_film(tmp_path_factory, astronaut):
    """Her face and a drawn figure are looked for in five frames."""
    folder = tmp_path_factory.mktemp("drawn")
    figure = np.full((224, 224, 3), 255, np.uint8)
    cv2.circle(figure, (112, 112), 80, (40, 90, 240), -1)
    for name, image in (("eileen", astronaut[:280, 90:370]), ("ball", figure)):
        data = cv2.imencode(".png", image)[1].tobytes()
        atomic.write_bytes(folder / "mine" / f"{name}.png", data)
    return make_film(folder, astronaut, folder / "mine")
