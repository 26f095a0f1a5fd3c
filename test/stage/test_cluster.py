"""Stage cluster on pictures and tables built here."""

import bare_film
import cv2
import numpy as np
import plain_row
import polars as pl
import pytest
from face_row import face_row

from bunny.core.config import ClusteringConfig, Config
from bunny.scene import cluster_table
from bunny.stage.cluster import Cluster
from bunny.table import store


def _place(seed):
    """A picture of large soft patches, its own for each seed."""
    small = np.random.default_rng(seed).integers(0, 255, (3, 5, 3), dtype=np.uint8)
    return cv2.resize(small, (320, 180), interpolation=cv2.INTER_CUBIC)


def _film(folder, images, faces=(), labels=(), regions=(), figures=()):
    rows = []
    for i, image in enumerate(images):
        path = folder / "frame" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" if image is None else cv2.imencode(".png", image)[1].tobytes())
        rows.append(plain_row.frame(i, i, frame_id=f"f{i}", file=f"frame/{i}.png"))
    tables = {"face": faces, "label": labels, "region": regions, "figure": figures}
    for name, table in {"frame": rows, **tables}.items():
        store.write(folder / "table", name, store.from_rows(name, table))
    bare_film.write_source(folder)
    return folder


def _face(face_id, vector, x=0.0):
    more = {"shot_index": int(face_id[1]), "sharpness": 100.0, "track_id": f"t{face_id}"}
    return face_row(face_id, vector, x_px=x, side_px=40.0, **more)


def _label(subject_id, character, kind="face", x1=40.0):
    place = {"frame_id": subject_id[:2], "shot_index": int(subject_id[1])}
    box = plain_row.box(0.0, 0.0, x1, 40.0)
    return plain_row.label(subject_id, character, subject_type=kind, **place, **box)


def _stage(folder, **clustering):
    return Cluster(Config.model_validate({"clustering": clustering}), folder, folder)


def test_a_place_that_comes_back_is_one_scene_and_damage_is_counted(tmp_path):
    one, other = _place(1), _place(2)
    brighter = np.clip(one * 1.05, 0, 255).astype(np.uint8)
    film = _film(tmp_path, [one, other, other, brighter, None])
    result = _stage(film, noise_threshold=-1.0).execute()
    assert (result.status, result.failed, result.tables["embedding"]) == ("done", 1, 5)
    rows = store.read(film / "table", "cluster").sort("item_id")
    scenes = rows["cluster_id"].to_list()
    assert scenes[0] == scenes[3] == "scene-001" and scenes[1] == scenes[2] == "scene-002"
    assert rows.height == 4
    errors = store.read(film / "table", "embedding")["error"].drop_nulls().to_list()
    assert errors == ["expected a picture in frame/4.png, could not read it"]


def test_a_moved_threshold_reads_no_picture(tmp_path):
    film = _film(tmp_path, [_place(1), _place(2)])
    _stage(film).execute()
    for path in (film / "frame").iterdir():
        path.unlink()
    _stage(film, scene_threshold=-1.0, noise_threshold=-1.0).execute()
    assert store.read(film / "table", "cluster")["cluster_id"].to_list() == ["scene-001"] * 2


def test_another_seed_makes_the_stage_run_again(tmp_path):
    """The orders that stability is measured with are drawn by it."""
    film = _film(tmp_path, [])
    Cluster(Config(seed=1), film, film).execute()
    again = [Cluster(Config(seed=seed), film, film).can_resume() for seed in (1, 2)]
    assert again == [True, False]


def test_the_note_says_how_stable_people_are_by_the_method_that_is_set(tmp_path):
    """Of these ten faces one method finds the same people again more often than the other."""
    angle = np.random.default_rng(7).uniform(0, 0.6 * np.pi, 10)
    faces = [_face(f"f{i}a", [np.cos(a), np.sin(a)]) for i, a in enumerate(angle)]
    labels = [_label(face["face_id"], None) for face in faces]
    note = {}
    for method in ("agglomerative", "hdbscan"):
        film = _film(tmp_path / method, [], faces, labels)
        note[method] = _stage(film, unknown_method=method, stability_runs=3).execute().note
        rows = store.read(film / "table", "stability")
        own = (pl.col("method") == method) & (pl.col("compared_with") == "sample")
        (value,) = rows.filter(own)["rand_index"]
        assert f"(stability {value:.2f} with 90 % of the shots)" in note[method]
    assert len({text.partition("stability")[2] for text in note.values()}) == 2


def test_a_film_without_frames(tmp_path):
    assert _stage(_film(tmp_path, [])).execute().tables == {
        "cluster": 0,
        "embedding": 0,
        "subject_vector": 0,
        "stability": 0,
    }


def _region(region_id, track_id, box):
    x0, y0, x1, y1 = box
    return {
        "region_id": region_id,
        "frame_id": region_id[:2],
        "shot_index": int(region_id[1]),
        "candidate": "toon",
        "x0_px": x0,
        "y0_px": y0,
        "x1_px": x1,
        "y1_px": y1,
        "similarity": 0.6,
        "margin": 0.2,
        "track_id": track_id,
        "model": "m",
    }


def test_a_drawn_figure_has_a_vector_of_its_own_whatever_is_around_it(tmp_path):
    images = [_place(seed) for seed in (1, 2, 3)]
    for image, seed in zip(images, (7, 7, 8), strict=True):
        image[20:120, 30:130] = cv2.resize(_place(seed), (100, 100))
    box = (30.0, 20.0, 130.0, 120.0)
    regions = [_region(f"f{i}r", f"t{i}", box) for i in range(3)]
    film = _film(tmp_path, [*images, None], regions=[*regions, _region("f3r", "t3", box)])
    _stage(film).execute()
    rows = store.read(film / "table", "subject_vector")
    vector = dict(rows.drop_nulls("vector").select("subject_id", "vector").iter_rows())
    one, same, other = (np.array(vector[f"f{i}r"]) for i in range(3))
    assert one @ same > 0.999 and one @ other < 0.9
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert rows["error"].drop_nulls().to_list() == ["could not read picture frame/3.png"]


def test_another_name_opens_no_picture(tmp_path):
    region = _region("f0r", "t0", (10.0, 10.0, 90.0, 90.0))
    film = _film(tmp_path, [_place(1)], regions=[region])
    _stage(film).execute()
    before = store.read(film / "table", "subject_vector")
    (film / "frame" / "0.png").unlink()
    label = store.from_rows("label", [_label("f0r", "toon", "region")])
    store.write(film / "table", "label", label)
    assert _stage(film).execute().failed == 0
    assert store.read(film / "table", "subject_vector").equals(before)


@pytest.mark.parametrize("method", ["incremental", "agglomerative", "hdbscan"])
def test_scenes_over_all_frames_and_how_sure_they_are(tmp_path, method):
    one, other = _place(1), _place(2)
    film = _film(tmp_path, [one, other, one, other])
    note = _stage(film, scene_method=method, noise_threshold=-1.0).execute().note
    rows = store.read(film / "table", "cluster").sort("item_id")
    assert rows["cluster_id"].to_list() == ["scene-001", "scene-002"] * 2
    assert rows["similarity"].to_list() == pytest.approx([1] * 4, abs=1e-5)
    asked = "with shots in other orders" if method == "incremental" else "with 90 % of the shots"
    assert note == f"2 scenes (stability 1.00 {asked})"
    stability = store.read(film / "table", "stability")
    assert stability.height == 7 and stability["rand_index"].to_list() == [1] * 7
    assert stability["level"].unique().to_list() == ["scene"]  # no unknown people


def test_without_runs_nothing_is_said_of_stability(tmp_path):
    film = _film(tmp_path, [_place(1), _place(2)])
    result = _stage(film, stability_runs=0, noise_threshold=-1.0).execute()
    assert result.note == "2 scenes"
    assert result.tables["stability"] == 0


def test_characters_stand_inside_their_scene():
    anna, ben = np.eye(2, dtype=np.float32)
    mixed = np.array([0.6, 0.8], np.float32)
    face = store.from_rows("face", [_face("f0a", anna), _face("f1a", mixed), _face("f2a", ben)])
    label = store.from_rows(
        "label",
        [
            _label("f0a", "anna"),
            _label("f1a", "anna"),
            _label("f2a", "ben"),
            _label("f0r", "toon", "region"),
            _label("f1b", None),
        ],
    )
    scenes = [{"item_id": f"f{i}", "scene_id": s} for i, s in enumerate(["scene-001"] * 2 + [None])]
    rows = {row["item_id"]: row for row in cluster_table.character_rows(label, face, scenes)}
    assert set(rows) == {"f0a", "f1a", "f2a", "f0r"}
    assert rows["f0a"]["cluster_id"] == rows["f1a"]["cluster_id"] == "scene-001/anna"
    # the mean of (1, 0) and (0.6, 0.8) points along (2, 1): 2 / sqrt(5) to the first
    assert rows["f0a"]["similarity"] == pytest.approx(2 / 5**0.5)
    assert rows["f0r"]["cluster_id"] == "scene-001/toon" and "similarity" not in rows["f0r"]
    assert rows["f2a"]["cluster_id"] is None and rows["f2a"]["is_noise"]
    assert store.from_rows("cluster", rows.values()).height == 4


def test_unknown_faces_are_persons_and_a_drawn_characters_own_face_is_none():
    anna, ben, carl = np.eye(3, dtype=np.float32)
    faces = [_face("f0a", anna), _face("f1a", anna), _face("f2a", ben), _face("f3a", carl, x=9.0)]
    label = store.from_rows(
        "label",
        [*(_label(f["face_id"], None) for f in faces), _label("f3r", "toon", "region", x1=90.0)],
    )
    nameless = cluster_table.unknown_faces(label, store.from_rows("face", faces))
    rows = cluster_table.person_rows(nameless, ClusteringConfig())
    found = {row["item_id"]: (row["cluster_id"], row["is_noise"]) for row in rows}
    assert found == {"f0a": ("person-01", False), "f1a": ("person-01", False), "f2a": (None, True)}
    assert store.from_rows("cluster", rows).height == 3


def test_how_sure_unknown_people_are():
    anna, ben = np.eye(2, dtype=np.float32)
    faces = [
        _face(f"f{i}a", (anna, ben)[i % 2]) | {"shot_index": i, "track_id": f"t{i}"}
        for i in range(8)
    ]
    label = store.from_rows("label", [_label(face["face_id"], None) for face in faces])
    nameless = cluster_table.unknown_faces(label, store.from_rows("face", faces))
    rows = cluster_table.person_stability(nameless, ClusteringConfig(stability_runs=3), 0)
    assert rows.rows() == [
        ("unknown", "agglomerative", "hdbscan", 1.0, 1.0, 1, 2),
        ("unknown", "agglomerative", "sample", 1.0, 1.0, 3, 2),
        ("unknown", "hdbscan", "sample", 1.0, 1.0, 3, 2),
    ]
    assert (
        cluster_table.stability_note(rows, "unknown", "hdbscan")
        == " (stability 1.00 with 90 % of the shots)"
    )
    assert cluster_table.person_stability(nameless[:1], ClusteringConfig(), 0).is_empty()


def _figure(frame, track, vector, x0=0.0):
    return {
        "figure_id": f"f{frame}-g{track}",
        "frame_id": f"f{frame}",
        "shot_index": frame,
        **plain_row.box(x0, 0.0, x0 + 40, 40.0),
        "objectness": 0.99,
        "embedding": vector,
        "track_id": track,
        "source": "window",
        "model": "made",
    }


def test_unknown_figures_get_groups_beside_unknown_people(tmp_path):
    """A labelled figure is in none of them; one that was seen once and no more is noise."""
    faces = [_face("f0a", [1.0, 0.0, 0.0]), _face("f1a", [1.0, 0.0, 0.0])]
    labels = [_label("f0a", None), _label("f1a", None), _label("f2r", "toon", "region")]
    figures = [_figure(frame, "t", [0.0, 1.0, 0.0], 100.0) for frame in (0, 1, 2)]
    figures += [_figure(2, "named", [0.0, 1.0, 0.0]), _figure(1, "once", [0.0, 0.0, 1.0], 200.0)]
    film = _film(tmp_path, [_place(i) for i in range(3)], faces, labels, figures=figures)
    note = _stage(film).execute().note
    rows = store.read(film / "table", "cluster").filter(pl.col("level") == "unknown")
    assert dict(rows.select("item_id", "cluster_id").iter_rows()) == {
        "f0a": "person-01",
        "f1a": "person-01",
        "f1-gonce": None,
        "f0-gt": "figure-01",
        "f1-gt": "figure-01",
        "f2-gt": "figure-01",
    }
    assert "1 unknown person (" in note and note.endswith(", 1 unknown figure")
    stability = store.read(film / "table", "stability").filter(pl.col("level") == "figure")
    assert stability["num_clusters"].max() == 1


def test_another_threshold_for_figures_leaves_people_as_they_are(tmp_path):
    figures = [_figure(0, "a", [1.0, 0.0]), _figure(1, "b", [0.6, 0.8])]
    film = _film(tmp_path, [_place(1), _place(2)], figures=figures)
    for threshold, ids in ((0.59, ["figure-01"] * 2), (0.61, [None, None])):
        _stage(film, figure_threshold=threshold).execute()
        rows = store.read(film / "table", "cluster").filter(pl.col("level") == "unknown")
        assert rows["cluster_id"].to_list() == ids


@pytest.mark.parametrize(("threshold", "ids"), [(0.59, ["person-01"] * 2), (0.61, [None] * 2)])
def test_unknown_people_are_as_alike_as_is_set(threshold, ids):
    faces = [_face("f0a", [1.0, 0.0]), _face("f1a", [0.6, 0.8])]
    label = store.from_rows("label", [_label(face["face_id"], None) for face in faces])
    nameless = cluster_table.unknown_faces(label, store.from_rows("face", faces))
    rows = cluster_table.person_rows(nameless, ClusteringConfig(character_threshold=threshold))
    assert [row["cluster_id"] for row in rows] == ids


def _angled(*degrees):
    """Unit vectors in a plane."""
    return [[float(np.cos(a)), float(np.sin(a))] for a in np.radians(degrees)]


def _scenes(vectors, **wanted):
    """Numbers of the scenes of frames with these vectors; None: noise."""
    ids = [f"f{i}" for i in range(len(vectors))]
    known = pl.DataFrame({"frame_id": ids, "shot_index": range(len(ids)), "vector": vectors})
    known = known.cast({"vector": pl.Array(pl.Float32, 2)})
    rows = cluster_table.scene_rows(known, ClusteringConfig(**wanted))
    return [row["cluster_id"] and int(row["cluster_id"][-3:]) for row in rows]


@pytest.mark.parametrize(("threshold", "last"), [(0.5, 2), (0.7, None)])
def test_a_frame_alone_is_noise_below_the_threshold_that_is_set(threshold, last):
    """Two frames are the same, and the third is like them to 0.6."""
    vectors = [[1.0, 0.0], [1.0, 0.0], [0.6, 0.8]]
    assert _scenes(vectors, scene_threshold=0.9, noise_threshold=threshold) == [1, 1, last]


@pytest.mark.parametrize(
    ("method", "scenes"), [("incremental", [1, 1, 1, 2]), ("agglomerative", [1, 2, 2, 3])]
)
def test_scenes_are_found_by_the_method_that_is_set(method, scenes):
    """The second and third are nearest to each other; in the film's order the first is first."""
    assert _scenes(_angled(0, 25, 44, 75), scene_method=method) == scenes


def test_scene_vectors_are_of_the_pictures_that_are_there(tmp_path):
    """Made in another way pictures have the same names; what was measured on them differs."""
    film = _film(tmp_path, [_place(1)])
    _stage(film).execute()
    first = store.read(film / "table", "embedding")["vector"][0].to_list()
    (film / "frame" / "0.png").write_bytes(cv2.imencode(".png", _place(2))[1].tobytes())
    measure = store.from_rows("measure", [{"frame_id": "f0", "brightness": 0.4}])
    store.write(film / "table", "measure", measure)
    _stage(film, stability_runs=0).execute()
    assert store.read(film / "table", "embedding")["vector"][0].to_list() != first
