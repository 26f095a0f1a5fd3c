"""Stage detect on pictures built here, and on real film where it is at hand."""

import shutil

import bare_film
import cv2
import hub_server
import numpy as np
import plain_row
import polars as pl
import pytest
import tiny_onnx

from bunny.character.drawn import figure_embedding
from bunny.core import hub_model, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.stage.detect import Detect
from bunny.table import store
from bunny.view.widget import preview


def _write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


def _film(folder, images, references=None):
    rows = []
    for i, image in enumerate(images):
        name = f"frame/{i:03d}.png"
        if image is None:
            (folder / "frame").mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"damaged")
        else:
            _write(folder / name, image)
        rows.append(plain_row.frame(i, i // 2, (512, 512), file=name))
    store.write(folder / "table", "frame", store.from_rows("frame", rows))
    bare_film.write_source(folder, references)
    return folder


def _stage(folder, **detection):
    chosen = {"extra_interval_seconds": 0, **detection}  # there is no film, only its pictures
    return Detect(Config.model_validate({"detection": chosen}), folder, folder)


def _labels(folder):
    return store.read(folder / "table", "label").sort("subject_id")


@pytest.fixture(scope="module")
def astronaut():
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[:, :, ::-1])


@pytest.fixture
def film(tmp_path, astronaut):
    """Two frames with Eileen, one with nobody, one damaged; her picture is a tight crop."""
    _write(tmp_path / "reference" / "eileen.png", astronaut[:280, 90:370])
    dark = (astronaut * 0.7).astype(np.uint8)
    images = [astronaut, dark[:, ::-1], np.full_like(astronaut, 90), None]
    return _film(tmp_path / "film", images, tmp_path / "reference")


def test_names_the_face_and_counts_the_damaged_frame(film):
    result = _stage(film).execute()
    assert (result.status, result.rows, result.failed) == ("done", 2, 1)
    assert result.tables["face"] == 3 and result.tables["region"] == 0  # one row is the error
    labels = _labels(film)
    assert labels["character"].to_list() == ["eileen", "eileen"]
    assert labels["confidence"].min() > 0.9
    assert "eileen in 2 frames" in result.note and "1 frames could not be read" in result.note
    assert result.note.endswith(
        "; reference pictures: 1 of 1 could be better (see `bunny references DIR`)"
    )


def test_a_renamed_reference_is_stale_and_its_new_name_appears(tmp_path, astronaut):
    folder = tmp_path / "reference"
    _write(folder / "eileen.png", astronaut[:280, 90:370])
    film = _film(tmp_path / "film", [astronaut], folder)
    _stage(film).execute()
    assert _labels(film)["character"].to_list() == ["eileen"]
    (folder / "eileen.png").rename(folder / "bella.png")
    space = workspace.Workspace(film_id="f", root=film, checkpoint=film, log=film)
    workspace.write_source(space, "x", "c", folder)
    assert not _stage(film).can_resume()
    assert _stage(film).why_stale() == "references changed"
    assert _stage(film).execute().status == "done"
    assert _labels(film)["character"].to_list() == ["bella"]
    assert store.read(film / "table", "reference")["character"].to_list() == ["bella"]


def test_a_moved_threshold_reads_no_picture(film):
    _stage(film).execute()
    for path in (film / "frame").iterdir():
        path.unlink()
    result = _stage(film, similarity_threshold=0.999).execute()
    assert result.tables["face"] == 3 and result.failed == 1
    assert _labels(film)["character"].to_list() == [None, None]
    assert _stage(film, min_face_px=200).execute().tables["face"] == 1


def test_runs_are_equal_bit_by_bit(film):
    _stage(film).execute()
    before = {p.name: p.read_bytes() for p in (film / "table").iterdir()}
    settings = {"pipeline": {"force_rerun": True}, "detection": {"extra_interval_seconds": 0}}
    stage = Detect(Config.model_validate(settings), film, film)
    assert stage.execute().status == "done"
    assert {p.name: p.read_bytes() for p in (film / "table").iterdir()} == before


def test_without_references_faces_are_still_found(tmp_path, astronaut):
    film = _film(tmp_path, [astronaut])
    result = _stage(film).execute()
    assert result.tables["face"] == 1 and "no character can be recognised" in result.note
    (label,) = _labels(film).iter_rows(named=True)
    assert (label["character"], label["distance"], label["margin"]) == (None, None, None)


def test_a_film_without_frames_gives_empty_tables(tmp_path):
    result = _stage(_film(tmp_path, [])).execute()
    assert set(result.tables.values()) == {0}


def test_a_character_with_only_a_group_picture_is_refused(tmp_path, astronaut):
    pair = np.hstack([astronaut, astronaut[:, ::-1]])
    _write(tmp_path / "reference" / "eileen.png", pair)
    film = _film(tmp_path / "film", [astronaut], tmp_path / "reference")
    with pytest.raises(UserError, match=r"eileen/eileen.png: expected one face, found 2; crop"):
        _stage(film).execute()


@pytest.mark.slow
def test_a_drawn_character_is_found_beside_a_rival(tmp_path):
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(60, 190, (9, 16, 3), dtype=np.uint8), (640, 360))
    left, nobody = ground.copy(), ground.copy()
    _draw(left, (180, 190), (60, 210, 240), round_ears=True)
    for name, colour, ears in (("sun", (60, 210, 240), True), ("moss", (70, 120, 40), False)):
        picture = np.full((240, 240, 3), 235, np.uint8)
        _draw(picture, (120, 130), colour, round_ears=ears)
        _write(tmp_path / "reference" / name / "1.png", picture)
    film = _film(tmp_path / "film", [left, left, nobody, nobody], tmp_path / "reference")
    result = _stage(film, medium="photographed").execute()  # as rendered film is looked at
    labels = _labels(film).filter(pl.col("subject_type") == "region")
    assert set(labels.select("frame_id", "character").rows()) == {
        ("film-00000000", "sun"),
        ("film-00000001", "sun"),
    }
    middle = labels.select((pl.col("x0_px") + pl.col("x1_px")) / 2).to_series()
    assert (middle - 180).abs().max() < 90
    assert result.tables["reference"] == 2
    off = _stage(film, is_drawn_enabled=False).execute()
    assert off.tables["region"] == 0


@pytest.mark.slow
def test_drawn_figures_are_found_with_and_without_anybody_to_compare(tmp_path):
    ground = np.full((360, 640, 3), (190, 205, 215), np.uint8)
    scene = ground.copy()
    _draw(scene, (180, 190), (60, 210, 240), round_ears=True)
    picture = np.full((240, 240, 3), 235, np.uint8)
    _draw(picture, (120, 130), (60, 210, 240), round_ears=True)
    _write(tmp_path / "reference" / "sun" / "1.png", picture)
    for name, references in (("alone", None), ("film", tmp_path / "reference")):
        film = _film(tmp_path / name, [scene, scene, ground, ground], references)
        result = _stage(film, medium="drawn").execute()
        figures = store.read(film / "table", "figure")
        assert result.tables["face"] == 0 and result.tables["track"] == 0
        assert set(figures["candidate"].drop_nulls()) <= {"sun"}
        assert figures["track_id"].null_count() == 0
        assert len(figures["embedding"][0]) == figure_embedding.UNIT
    seen = figures.filter(pl.col("candidate") == "sun").sort("similarity", descending=True)
    assert set(seen["frame_id"][:2]) == {"film-00000000", "film-00000001"}
    regions = store.read(film / "table", "region")
    ids = figures.drop_nulls("candidate")["figure_id"].str.replace("-g", "-r", literal=True)
    assert sorted(regions["region_id"]) == sorted(ids)
    again = _stage(film, medium="drawn", figure_score=0.0, figure_presence=0.0).execute()
    named = _labels(film).drop_nulls("character")
    assert again.tables["label"] >= 2 and set(named["character"]) == {"sun"}


@pytest.mark.parametrize("embedding", ["", "dino"])
def test_a_detector_from_a_folder_takes_the_place_of_the_search(
    tmp_path, guided_folders, embedding
):
    rng = np.random.default_rng(0)
    for name in ("ann", "ben"):
        _write(tmp_path / "reference" / name / "1.png", rng.integers(0, 255, (60, 60, 3), np.uint8))
    image = rng.integers(0, 255, (48, 80, 3), np.uint8)
    film = _film(tmp_path / "film", [image], tmp_path / "reference")
    chosen = {
        "drawn_detector": guided_folders["owl"],
        "drawn_embedding": guided_folders.get(embedding, ""),
    }
    assert _stage(film, **chosen).execute().status == "done"
    region = store.read(film / "table", "region")
    assert region.height and set(region["model"]) == {"owl+dino" if embedding else "owl"}
    assert set(region["candidate"]) <= {"ann", "ben"}
    assert region["x1_px"].max() <= 80 and region["y1_px"].max() <= 48


RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)  # BGR
LEFT, RIGHT = [0.05, 0.1, 0.35, 0.9], [0.6, 0.1, 0.95, 0.9]


@pytest.fixture
def plain_film(tmp_path):
    """Rose is red and moss is green; both, then rose alone, then nobody of them but blue."""
    for name, colour in (("rose", RED), ("moss", GREEN)):
        _write(tmp_path / "reference" / name / "1.png", np.full((64, 64, 3), colour, np.uint8))
    images = []
    for left, right in ((RED, GREEN), (RED, BLUE), (BLUE, BLUE)):
        image = np.full((80, 120, 3), 255, np.uint8)
        for (x0, y0, x1, y1), colour in ((LEFT, left), (RIGHT, right)):
            image[round(y0 * 80) : round(y1 * 80), round(x0 * 120) : round(x1 * 120)] = colour
        images.append(image)
    return _film(tmp_path / "film", images, tmp_path / "reference")


@pytest.fixture
def anime_models(tmp_path):
    """CCIP that compares mean colours and a detector that sees a figure at the left and right."""
    ccip = tiny_onnx.save_ccip(tmp_path / "model" / "ccip-tiny")
    person = tiny_onnx.save_detector(
        tmp_path / "model" / "tiny", tiny_onnx.yolo([*LEFT, 0.9], [*RIGHT, 0.8])
    )
    return {"drawn_detector": f"anime-person:{person}", "drawn_embedding": f"ccip:{ccip}"}


def _named_regions(folder):
    rows = _labels(folder).filter(pl.col("subject_type") == "region")
    return set(rows.select("frame_id", "character").rows())


def test_ccip_names_the_figures_that_an_anime_detector_finds(plain_film, anime_models):
    assert _stage(plain_film, **anime_models).execute().status == "done"
    assert _named_regions(plain_film) == {
        ("film-00000000", "rose"),
        ("film-00000000", "moss"),
        ("film-00000001", "rose"),
    }
    region = store.read(plain_film / "table", "region")
    assert set(region["model"]) == {"anime-person-tiny+ccip-tiny"}
    assert set(region["licence"]) == {"unknown, openrail"}
    rose = _labels(plain_film).filter(pl.col("character") == "rose").row(0, named=True)
    box = [rose[c] for c in ("x0_px", "y0_px", "x1_px", "y1_px")]
    assert box == pytest.approx([6, 8, 42, 72], abs=0.01)
    assert rose["distance"] == pytest.approx(0, abs=0.05) and rose["confidence"] > 0.9


@pytest.mark.slow
def test_the_threshold_of_ccip_is_its_own_and_reads_no_picture(plain_film, anime_models):
    _stage(plain_film, **anime_models).execute()
    before = _named_regions(plain_film)
    for path in (plain_film / "frame").iterdir():
        path.unlink()
    _stage(plain_film, **anime_models, drawn_threshold=1.0).execute()
    assert _named_regions(plain_film) == before  # that of windows has no say
    _stage(plain_film, **anime_models, ccip_threshold=1.0).execute()
    assert len(_named_regions(plain_film)) < len(before)


@pytest.mark.parametrize("threshold", [0.5, 0.9999])
def test_the_explorer_decides_on_ccip_as_the_stage(plain_film, anime_models, threshold):
    stage = _stage(plain_film, **anime_models, ccip_threshold=threshold)
    stage.execute()
    settings = stage.config.detection
    seen = preview.read_tables(plain_film / "table")
    verdict = preview.judge(seen, preview.compare(seen, settings), settings)
    found = store.check("label", verdict.label).sort("subject_id")
    assert found.equals(_labels(plain_film))
    assert verdict.threshold["figure"] == threshold


@pytest.mark.slow
def test_ccip_compares_what_the_windows_find(tmp_path, anime_models):
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(60, 190, (9, 16, 3), dtype=np.uint8), (640, 360))
    left = ground.copy()
    _draw(left, (180, 190), (60, 210, 240), round_ears=True)
    for name, colour, ears in (("sun", (60, 210, 240), True), ("moss", (70, 120, 40), False)):
        picture = np.full((240, 240, 3), 235, np.uint8)
        _draw(picture, (120, 130), colour, round_ears=ears)
        _write(tmp_path / "reference" / name / "1.png", picture)
    film = _film(tmp_path / "film", [left, left], tmp_path / "reference")
    anime_models.pop("drawn_detector")
    assert _stage(film, **anime_models).execute().status == "done"
    region = store.read(film / "table", "region")
    assert set(region["model"]) == {"efficientnet-lite0+ccip-tiny"}
    assert set(region["licence"]) == {"Apache-2.0, openrail"}


@pytest.fixture
def downloaded(tmp_path, monkeypatch):
    """Puts the tiny models of `anime_models` into an empty cache of the hub, and takes them out."""
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))

    def put(*names):
        shutil.rmtree(cache, ignore_errors=True)
        for name in names:
            own = "ccip-tiny" if name == "ccip" else "tiny"
            hub_server.fill_cache(cache, hub_model.MODELS[name], tmp_path / "model" / own)

    return put


@pytest.mark.parametrize(
    "names", [["ccip", "anime-person"], pytest.param(["ccip"], marks=pytest.mark.slow)]
)
def test_models_that_are_here_are_used_in_drawn_shots(plain_film, anime_models, downloaded, names):
    plain = {"medium": "drawn", "drawn_detector": "", "drawn_embedding": ""}
    _stage(plain_film, **plain).execute()
    before = {p.name: p.read_bytes() for p in (plain_film / "table").iterdir()}
    auto = _stage(plain_film, medium="drawn")
    assert auto.can_resume()  # without the models it is the built-in search

    downloaded(*names)
    auto = _stage(plain_film, medium="drawn")
    assert not auto.can_resume()
    assert auto.why_stale() == f"models for drawn shots None -> {' and '.join(names)}"
    note = auto.execute().note
    assert note.startswith(f"drawn film, searched with {' and '.join(names)}; ")
    region = store.read(plain_film / "table", "region")
    compared = region.filter(pl.col("model").str.contains("ccip"))
    assert compared.height and set(compared["region_id"].str.slice(-4, 2)) == {"r1"}
    if "anime-person" in names:
        named = _labels(plain_film).filter(
            pl.col("subject_id").is_in(compared["region_id"].implode())
        )
        assert set(named.select("frame_id", "character").rows()) == {
            ("film-00000000", "rose"),
            ("film-00000000", "moss"),
            ("film-00000001", "rose"),
        }
    assert _stage(plain_film, medium="drawn").can_resume()

    downloaded()
    without = _stage(plain_film, medium="drawn")
    assert without.why_stale() == f"models for drawn shots {' and '.join(names)} -> None"
    without.execute()
    assert {p.name: p.read_bytes() for p in (plain_film / "table").iterdir()} == before


def test_a_film_without_drawn_shots_does_not_care_for_models_of_drawn_ones(
    plain_film, anime_models, downloaded
):
    _stage(plain_film, medium="photographed").execute()
    downloaded("ccip", "anime-person")
    assert _stage(plain_film, medium="photographed").can_resume()


def test_models_that_do_not_go_together_are_refused(plain_film, anime_models, guided_folders):
    detector = {"drawn_detector": anime_models["drawn_detector"]}
    with pytest.raises(UserError, match="cannot recognise them; expected ccip"):
        _stage(plain_film, **detector).execute()
    with pytest.raises(UserError, match="expected anime-person, anime-head, anime-face or nothing"):
        _stage(plain_film, **anime_models | {"drawn_detector": guided_folders["owl"]}).execute()


def test_a_picture_that_is_drawn_never_takes_the_route_of_faces(tmp_path, astronaut):
    pair = np.hstack([astronaut, astronaut[:, ::-1]])
    _write(tmp_path / "reference" / "eileen.png", pair)
    film = _film(tmp_path / "film", [astronaut], tmp_path / "reference")
    labels = ("anime", "real") if astronaut.mean() > 127.5 else ("real", "anime")
    folder = tiny_onnx.save_classifier(tmp_path / "model", labels=labels)
    _stage(film, drawn_classifier=f"anime-real:{folder}").execute()
    (row,) = store.read(film / "table", "reference").iter_rows(named=True)
    assert (row["route"], row["num_faces"], row["error"]) == ("region", 2, None)
    assert row["picture_embedding"] is not None


def _draw(image, middle, colour, *, round_ears):
    """A head with eyes and two ears on a body."""
    x, y = middle
    cv2.ellipse(image, (x, y + 60), (45, 50), 0, 0, 360, colour, -1)
    for side in (-1, 1):
        if round_ears:
            cv2.circle(image, (x + side * 42, y - 55), 22, colour, -1)
        else:
            points = np.array(
                [(x + side * 10, y - 40), (x + side * 50, y - 30), (x + side * 45, y - 100)]
            )
            cv2.fillPoly(image, [points], colour)
    cv2.circle(image, (x, y - 20), 52, colour, -1)
    for side in (-20, 20):
        cv2.circle(image, (x + side, y - 28), 14, (255, 255, 255), -1)
        cv2.circle(image, (x + side, y - 28), 6, (20, 20, 20), -1)
    cv2.ellipse(image, (x, y), (18, 8), 0, 0, 180, (40, 40, 160), -1)


@pytest.mark.slow
def test_miranda_in_the_hamilton_clip_and_nobody_is_biden(tmp_path, material):
    images = []
    capture = cv2.VideoCapture(str(material / "video" / "short_hamilton_clip.mp4"))
    wanted = {2, 12, 30, 60, 100, 160, 220, 260}  # two a shot
    for index in range(275):
        ok, image = capture.read()
        if ok and index in wanted:
            images.append(image)
    capture.release()
    film = _film(tmp_path, images, material / "refs" / "hamilton")
    _stage(film).execute()
    named = set(_labels(film).drop_nulls("character").select("shot_index", "character").rows())
    assert {(0, "lin-manuel-miranda"), (2, "lin-manuel-miranda")} <= named
    assert named <= {
        (0, "lin-manuel-miranda"),
        (2, "lin-manuel-miranda"),
        (3, "obama"),
        (0, "alex-lacamoire"),
        (1, "alex-lacamoire"),
    }
