"""Drawn shots and references in stage detect: faces are found there and never recognised."""

import bare_film
import cv2
import numpy as np
import plain_row
import polars as pl
import pytest
from figure_embedding import medium_picture

from bunny.character import detection_row
from bunny.character.drawn import efficientnet, medium
from bunny.core.config import Config
from bunny.quality import luma, measure, reason
from bunny.stage.detect import Detect
from bunny.table import store

pytestmark = pytest.mark.slow

PHOTOGRAPHED = (
    "sintel_trailer-720p.mp4",
    "open_reel.mp4",
    "short_hamilton_clip.mp4",
    "chaplin.mp4",
    "bigbuckbunny.mp4",
    "big_buck_bunny_0_30.webm",
    "single_face.mp4",
    "WolfgangLanger_Pexels.mp4",
    "play107.mkv",
    "play113.mkv",
)
DRAWN = ("steamboat.mp4", "popeye-sindbad-a.mp4")


@pytest.fixture(scope="module")
def astronaut():
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[:, :, ::-1])


@pytest.fixture(scope="module")
def redrawn(astronaut):
    """The same picture with flat areas and outlines; YuNet still finds the face."""
    flat = medium_picture._flat(astronaut, np.random.default_rng(0))
    return medium_picture._with_lines(flat, astronaut, np.random.default_rng(0))


def _film(folder, images, reference):
    rows = []
    for i, image in enumerate(images):
        (folder / "film" / "frame").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "film" / "frame" / f"{i}.png"), image)
        rows.append(plain_row.frame(i, i, (512, 512), file=f"frame/{i}.png"))
    store.write(folder / "film" / "table", "frame", store.from_rows("frame", rows))
    (folder / "reference" / "eileen").mkdir(parents=True)
    cv2.imwrite(str(folder / "reference" / "eileen" / "1.png"), reference)
    bare_film.write_source(folder / "film", folder / "reference")
    return folder / "film"


def _detect(film, chosen="auto"):
    setting = {"extra_interval_seconds": 0, "medium": chosen, "is_drawn_enabled": False}
    stage = Detect(Config.model_validate({"detection": setting}), film, film)
    result = stage.execute()
    names = ("face", "drawn_face", "label", "track", "shot_medium", "reference", "pair")
    return result, {name: store.read(film / "table", name) for name in names}


def test_a_drawn_shots_face_is_found_and_not_recognised(tmp_path, astronaut, redrawn):
    film = _film(tmp_path, [astronaut, redrawn], astronaut[:280, 90:370])
    result, table = _detect(film)
    assert table["shot_medium"]["is_drawn"].to_list() == [False, True]
    assert table["face"]["shot_index"].to_list() == [0]
    assert table["drawn_face"]["shot_index"].to_list() == [1]
    assert "embedding" not in table["drawn_face"].columns
    assert table["label"].select("shot_index", "character").rows() == [(0, "eileen")]
    assert table["track"]["shot_index"].to_list() == [0]
    assert result.note.startswith("drawn: 1 of 2 shots; found eileen in 1 frames")


def test_the_setting_photographed_recognises_all_and_drawn_none(tmp_path, astronaut, redrawn):
    film = _film(tmp_path, [astronaut, redrawn], astronaut[:280, 90:370])
    _, table = _detect(film, "photographed")
    assert table["face"]["shot_index"].to_list() == [0, 1] and not table["drawn_face"].height
    assert table["face"]["embedding"].null_count() == 0
    assert table["reference"]["route"].to_list() == ["face"]
    result, table = _detect(film, "drawn")
    assert table["drawn_face"]["shot_index"].to_list() == [0, 1] and not table["face"].height
    assert not table["label"].height and not table["track"].height
    (reference,) = table["reference"].iter_rows(named=True)
    assert (reference["route"], reference["num_faces"]) == ("region", 1)
    assert reference["face_embedding"] is None and reference["recogniser"] is None
    assert result.note.startswith("drawn film; ")


@pytest.mark.parametrize("is_drawn", [True, False])
def test_a_reference_takes_the_route_of_what_it_is(tmp_path, astronaut, redrawn, is_drawn):
    image = redrawn if is_drawn else astronaut
    _, table = _detect(_film(tmp_path, [image], image[:280, 90:370]))
    (reference,) = table["reference"].iter_rows(named=True)
    assert (reference["is_drawn"], reference["num_faces"]) == (is_drawn, 1)
    assert reference["route"] == ("region" if is_drawn else "face")
    assert (reference["face_embedding"] is None) == is_drawn
    assert (reference["drawn_probability"] > 0.5) == is_drawn


def test_cards_and_black_frames_are_not_judged(tmp_path):
    frame = pl.DataFrame(
        {"frame_id": ["a", "b", "c"], "shot_index": [0, 0, 1], "frame_index": [0, 1, 2]}
    )
    usual = {"brightness": 0.5, "dynamic_range": 0.8, "background_share": 0.1, "text_lines": 0}
    card = usual | {"background_share": 0.95, "text_lines": 1}
    rows = [{"frame_id": "a", **usual}, {"frame_id": "b", **card}, {"frame_id": "c", **card}]
    assert detection_row.choose_medium_frames(frame, tmp_path).height == 3
    store.write(tmp_path, "measure", store.from_rows("measure", rows))
    assert detection_row.choose_medium_frames(frame, tmp_path)["frame_id"].to_list() == ["a"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "name", "is_drawn"),
    [("video", n, False) for n in PHOTOGRAPHED] + [("toon", n, True) for n in DRAWN],
)
def test_real_films_are_told(material, folder, name, is_drawn):
    """Twelve frames, each taken for a shot; what is no picture goes with the rest."""
    images = _frames(material / folder / name)
    classifier = medium.MediumClassifier(efficientnet.EfficientNet())
    rows = [
        {"frame_id": str(i), "shot_index": i, "drawn_logit": classifier.drawn_logit(image)}
        for i, image in enumerate(images)
    ]
    judged = store.from_rows("frame_medium", rows)
    shots = medium.decide_shots(judged, judged["shot_index"])
    assert shots.height >= 3
    assert shots["is_drawn"].to_list() == [is_drawn] * shots.height


def _frames(path, wanted=12):
    """Frames that show a picture, without bars."""
    capture = cv2.VideoCapture(str(path))
    number = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    chosen = set(np.linspace(0, number - 1, wanted).astype(int).tolist())
    spread = [capture.retrieve()[1] for i in range(number) if capture.grab() and i in chosen]
    capture.release()
    shown = []
    for image in spread:
        row = pl.DataFrame([vars(measure.measure_frame(image))], schema_overrides=OBJECT)
        if row.select(reason.kind_expr())["kind"][0] == "picture":
            x0, y0, x1, y1 = luma.content_box(luma.to_luma(image))
            shown.append(image[y0:y1, x0:x1])
    return shown


OBJECT = {"tile_sharpness": pl.Object, "signature": pl.Object, "phash": pl.UInt64}
