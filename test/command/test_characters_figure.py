"""Unknown drawn figures of a film built here: they are listed, get a name, and a set is made."""

import json
import re
import shutil

import cv2
import numpy as np
import plain_row
import polars as pl
import pytest

from bunny.command import characters
from bunny.command.correct import open_state
from bunny.core import atomic, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.dataset import reference_picture
from bunny.review import create_event, event_log
from bunny.review.create_event import EventContext
from bunny.stage.caption import Caption
from bunny.stage.cluster import Cluster
from bunny.stage.dataset import Dataset
from bunny.stage.detect import Detect
from bunny.stage.review import Review
from bunny.table import corrected, store
from bunny.view.report import film as report_film
from bunny.view.report import section

pytestmark = pytest.mark.slow

ANA = EventContext(user="ana")

WIDTH, HEIGHT, SHOTS, A_SHOT = 320, 240, 4, 2
PIP, DOT = (60, 40, 150, 160), (220, 60, 300, 150)  # boxes; both move by 10 px a frame
SMALL = {
    "models": {"characters": ["pip"], "resolution": 64},
    "dataset": {"min_subject_sharpness": 0.0, "cut_from": "picture"},
}


def draw(number):
    """Pip, red with a yellow hat, and in the first two shots Dot, a blue ring."""
    shot, step = divmod(number, A_SHOT)
    image = np.full((HEIGHT, WIDTH, 3), (90 + 30 * shot, 150, 200 - 30 * shot), np.uint8)
    x = 105 + 10 * step
    cv2.circle(image, (x, 110), 44, (40, 40, 220), -1)
    cv2.ellipse(image, (x, 66), (44, 18), 0, 0, 360, (40, 220, 240), -1)
    for eye in (-14, 14):
        cv2.circle(image, (x + eye, 105), 6, (255, 255, 255), -1)
        cv2.circle(image, (x + eye, 105), 3, (0, 0, 0), -1)
    if shot < 2:
        cv2.circle(image, (260 + 10 * step, 105), 32, (200, 60, 30), 14)
    return image


def figure(film_id, number, name, box, vector, **more):
    shot, step = divmod(number, A_SHOT)
    x0, y0, x1, y1 = box
    return {
        "figure_id": f"{film_id}-{number:08d}-{name}",
        "frame_id": f"{film_id}-{number:08d}",
        "shot_index": shot,
        "x0_px": x0 + 10.0 * step,
        "y0_px": y0,
        "x1_px": x1 + 10.0 * step,
        "y1_px": y1,
        "objectness": 0.99,
        "embedding": vector,
        "track_id": f"{film_id}-{name}{shot}",
        "source": "segment",
        "model": "made",
        **more,
    }


def figures(film_id):
    """Pip in all shots and Dot in two, and a thing that was seen once."""
    rows = [figure(film_id, i, "g0", PIP, [1.0, 0.0, 0.0]) for i in range(SHOTS * A_SHOT)]
    rows += [figure(film_id, i, "g1", DOT, [0.0, 1.0, 0.0]) for i in range(2 * A_SHOT)]
    return [*rows, figure(film_id, 0, "g2", (0, 200, 30, 230), [0.0, 0.0, 1.0])]


def make_film(folder):
    film = folder / "drawn film.mp4"
    film.write_bytes(b"film")
    space = workspace.create(folder, "data", film, None)
    rows = {name: [] for name in ("frame", "quality", "measure", "shot", "film")}
    for i in range(SHOTS * A_SHOT):
        file, frame_id = f"frame/{i:08d}.png", f"{space.film_id}-{i:08d}"
        atomic.write_bytes(space.root / file, cv2.imencode(".png", draw(i))[1].tobytes())
        rows["frame"].append(
            plain_row.frame(i, i // A_SHOT, (WIDTH, HEIGHT), per_s=1, film_id=space.film_id)
        )
        rows["quality"].append(plain_row.quality(frame_id, i, brightness=0.5))
    rows["shot"] = [
        plain_row.shot(s, length=A_SHOT, per_s=1, film_id=space.film_id) for s in range(SHOTS)
    ]
    rows["film"].append(
        plain_row.film(SHOTS * A_SHOT, (WIDTH, HEIGHT), per_s=1, film_id=space.film_id)
    )
    for name, content in rows.items():
        store.write(space.table, name, store.from_rows(name, content))
    return space


def run(space, *stages):
    config = Config.model_validate(SMALL)
    for stage in stages:
        stage(config, space.root, space.root).execute()


def write_figures(space, rows):
    store.write(space.table, "figure", store.from_rows("figure", rows))


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    """Nobody is named; both figures are known by their groups."""
    space = make_film(tmp_path_factory.mktemp("film"))
    run(space, Detect)
    write_figures(space, figures(space.film_id))
    run(space, Cluster)
    return space


@pytest.fixture
def film(grouped, tmp_path, monkeypatch):
    """A copy of it, as the newest film of the data folder `data`."""
    shutil.copytree(grouped.root, tmp_path / "data" / "output" / grouped.film_id)
    monkeypatch.chdir(tmp_path)
    return workspace.locate(tmp_path, "data", grouped.film_id)


def test_unknown_figures_are_listed_with_a_picture(film):
    found = characters.list_characters(None)
    columns = ("name", "is_named", "num_faces", "num_figures", "num_shots")
    assert found.people.select(columns).rows() == [
        ("figure-01", False, 0, 8, 4),
        ("figure-02", False, 0, 4, 2),
    ]
    picture = cv2.imread(str(film.root / "character" / "figure-01.jpg"))
    red = (picture[..., 2] > 180) & (picture[..., 0] < 90)
    assert red.mean() > 0.2
    assert "figure-01  8 figures, 4 shots, 0:00–0:07, similarity 1.00" in found.to_text()
    assert "1 unknown drawn figures that match no other" in found.to_text()


def test_views_of_a_figure_are_cut_closely_and_from_several_shots(film):
    done = characters.name_character(None, "figure-01=pip")
    assert (done.person, done.name) == ("figure-01", "pip")
    assert len(done.pictures) == 5
    frames = {int(path.stem.split("_")[-1].split("-")[0]) // A_SHOT for path in done.pictures}
    assert frames == {0, 1, 2, 3}
    for path in done.pictures:
        assert re.fullmatch(r"from_film_.*-g\d+\.png", path.name)
        image = cv2.imread(str(path))
        margin = round(120 * 0.05)
        high, wide = 120 + 2 * margin, 90 + 2 * margin
        assert image.shape[1] == reference_picture.MIN_PX  # the shorter side was enlarged
        assert image.shape[0] == pytest.approx(high * reference_picture.MIN_PX / wide, abs=2)
    assert "detect" in done.stale


def test_nobody_gets_two_names(film):
    characters.name_character(None, "figure-01=pip")
    with pytest.raises(UserError, match="already named pip"):
        characters.name_character(None, "figure-01=dot")


def test_a_name_that_unknown_figures_have_is_none(film):
    with pytest.raises(UserError, match="this one is reserved for unnamed people"):
        characters.name_character(None, "figure-01=figure-02")


def test_views_with_another_figure_on_them_do_not_serve(film):
    """Dot stands before Pip in all frames but the last; what belongs to no group is no other."""
    rows = figures(film.film_id)
    before = (100, 60, 180, 150)
    rows = [row for row in rows if not row["figure_id"].endswith("g1")]
    rows += [figure(film.film_id, i, "g1", before, [0.0, 1.0, 0.0]) for i in range(7)]
    rows += [figure(film.film_id, 7, "g3", (70, 50, 140, 150), [0.0, 0.0, -1.0], track_id=None)]
    write_figures(film, rows)
    run(film, Cluster)
    done = characters.name_character(None, "figure-01=pip")
    assert [path.name for path in done.pictures] == ["from_film_00000007-g0.png"]


def test_a_head_does_not_stand_before_its_own_body(film):
    """Heads are unlike whole figures, so they are a group of their own."""
    head = (70, 40, 140, 90)
    rows = [row | {"kind": "full"} for row in figures(film.film_id) if row["track_id"][-2] == "0"]
    heads = {"kind": "head", "source": "face"}
    rows += [figure(film.film_id, i, "g1", head, [0.0, 1.0, 0.0], **heads) for i in range(8)]
    write_figures(film, rows)
    run(film, Cluster)
    for name in ("figure-01=pip", "figure-02=hat"):
        assert len(characters.name_character(None, name).pictures) == 5


def test_the_report_shows_unknown_figures(film):
    groups = report_film.people(
        section.ReportData(root=film.root, film_id=film.film_id, config=Config())
    ).groups
    assert [group.title for group in groups] == ["figure-01", "figure-02"]


def test_a_figure_that_is_never_alone_is_refused(film):
    around = [figure(film.film_id, i, "g1", (40, 30, 170, 170), [0.0, 1.0, 0.0]) for i in range(8)]
    rows = [row for row in figures(film.film_id) if not row["figure_id"].endswith("g1")]
    write_figures(film, rows + around)
    run(film, Cluster)
    with pytest.raises(UserError, match="shows only this figure, none of 8 does"):
        characters.name_character(None, "figure-01=pip")
    assert not (film.root / "named").exists()


def test_blurred_views_come_last(film):
    """Tiles of all frames but one are without detail."""
    tiles = [np.full(144, 900.0 if i == 3 else 0.5, np.float32) for i in range(8)]
    rows = [
        {
            "frame_id": f"{film.film_id}-{i:08d}",
            "tile_sharpness": tile,
            "signature": np.zeros(1024, np.uint8),
            "contrast": 0.2,
        }
        for i, tile in enumerate(tiles)
    ]
    store.write(film.table, "measure", store.from_rows("measure", rows))
    done = characters.name_character(None, "figure-01=pip")
    assert done.pictures[0].name == "from_film_00000003-g0.png"


def test_after_a_name_the_next_run_labels_and_a_set_is_made(film):
    characters.name_character(None, "figure-01=pip")
    run(film, Detect, Cluster, Review, Caption, Dataset)
    known = store.read(film.table, "reference")
    assert set(known["route"]) == {"region"} and known["error"].null_count() == 5
    people = characters.list_characters(None).people
    assert people.row(0, named=True)["name"] == "pip"
    assert store.read(film.table, "dataset").height >= 4


def test_a_group_that_is_put_into_a_character_on_the_board_becomes_its_labels(film):
    run(film, Review)
    state = open_state(film, Config.model_validate(SMALL))
    members = state.members("figure-01", "character")
    assert len(members) == SHOTS
    event_log.append(film.root, [create_event.assign(state, ANA, members, "pip")])
    run(film, Review, Caption, Dataset)
    label = corrected.read_or_empty(film.table, "label")
    assert set(label.select("character", "subject_type", "source").rows()) == {
        ("pip", "region", "person")
    }
    assert label.height == SHOTS * A_SHOT
    unknown = corrected.read_or_empty(film.table, "cluster").filter(pl.col("level") == "unknown")
    assert unknown["cluster_id"].drop_nulls().unique().to_list() == ["figure-02"]
    assert store.read(film.table, "dataset")["character"].unique().to_list() == ["pip"]
    assert store.read(film.table, "dataset").height >= 4
    rights = json.loads((film.root / "dataset" / "rights.json").read_text())
    assert "made" in [model["name"] for model in rights["models"]]


def with_candidate(film, number, name, candidate="pip", score=0.4):
    """Write the table anew with a candidate for one figure."""
    rows = figures(film.film_id)
    for row in rows:
        if row["figure_id"].endswith(f"{number:08d}-{name}"):
            row |= {"candidate": candidate, "similarity": 0.5, "margin": 0.1, "score": score}
    write_figures(film, rows)
    run(film, Cluster, Review)
    return store.read(film.table, "asset")


def test_perhaps_pip_comes_first_among_the_questions(film):
    """One view of Dot's first track speaks for Pip, little as it is."""
    asset = with_candidate(film, 0, "g1").filter(pl.col("level") == "character")
    likely = asset.filter(pl.col("perhaps") == "pip")
    assert likely["asset_id"].to_list() == [f"{film.film_id}-g10"]
    assert likely["question"].to_list() == [0]
    assert (asset.filter(pl.col("perhaps").is_null())["question"].fill_null(1) > 0).all()


def test_a_score_that_speaks_against_it_is_no_perhaps(film):
    assert with_candidate(film, 0, "g1", score=-0.1)["perhaps"].null_count() == (
        store.read(film.table, "asset").height
    )


def test_what_was_said_ends_the_question(film):
    """Dot is put where she belongs, and the others of her group stay in it."""
    with_candidate(film, 0, "g1")
    config = Config.model_validate(SMALL)
    state = open_state(film, config)
    members = [f"{film.film_id}-g10"]
    event_log.append(film.root, [create_event.assign(state, ANA, members, "dot")])
    run(film, Review)
    row = store.read(film.table, "asset").filter(pl.col("asset_id") == members[0])
    assert row["question"].to_list() == [None] and row["name"].to_list() == ["dot"]


def test_who_is_said_not_to_be_pip_is_asked_about_no_more(film):
    with_candidate(film, 0, "g1")
    config = Config.model_validate(SMALL)
    state = open_state(film, config)
    pip = state.members("figure-01", "character")
    event_log.append(film.root, [create_event.assign(state, ANA, pip, "pip")])
    run(film, Review)
    state = open_state(film, config)
    event_log.append(film.root, [create_event.reject(state, ANA, [f"{film.film_id}-g10"], "pip")])
    run(film, Review)
    row = store.read(film.table, "asset").filter(pl.col("perhaps") == "pip")
    assert row["rejected_from"].to_list() == [["pip"]]
    assert row["cluster_id"].to_list() == ["figure-02"]
    asset = store.read(film.table, "asset").filter(pl.col("cluster_id") == "figure-02")
    assert asset.height == 2 and asset["question"].n_unique() == 1  # as the rest of its group


def test_figures_taken_out_of_their_group_are_a_figure_of_their_own(film):
    run(film, Review)
    state = open_state(film, Config.model_validate(SMALL))
    members = state.members("figure-01", "character")[:2]
    event_log.append(film.root, [create_event.split(state, ANA, members)])
    run(film, Review)
    names = characters.list_characters(None).people["name"].to_list()
    assert names[:2] == ["figure-01", "figure-02"] and names[2].startswith("figure-")
