"""A made-up library: table `asset`, small pictures of it, and the tables beside them."""

import json

import cv2
import numpy as np
import polars as pl
import table_row

from bunny.table import store

SHOT_S = 2.0
FPS = 24
WIDTH, HEIGHT = 320, 180
FIGURE = (100.0, 30.0, 180.0, 150.0)
ASSET = {"similarity": 0.8, "margin": 0.2, "doubt": 0.5}


def asset_row(number, level="scene", cluster=None, **values):
    """One row; a scene's is shot `number`, a character's is a figure in it."""
    first = round(number * SHOT_S * FPS)
    box = FIGURE if level == "character" else (None,) * 4
    name = cluster if level == "character" and not str(cluster).startswith("person-") else None
    return table_row.fill(
        "asset",
        ASSET | values,
        asset_id=f"made-{level[0]}{number:05d}",
        level=level,
        shot_index=number,
        first_frame_index=first,
        end_frame_index=first + round(SHOT_S * FPS),
        timestamp_s=number * SHOT_S + 1,
        frame_id=f"made-{number:08d}",
        subject_id=f"made-{number:08d}-f00" if level == "character" else None,
        cluster_id=cluster,
        name=name,
        machine_cluster_id=cluster,
        start_s=number * SHOT_S,
        end_s=(number + 1) * SHOT_S,
        boxes=[] if None in box else [number * SHOT_S + 1, 0.31, 0.17, 0.56, 0.83],
        **table_row.box(*box),
    )


def asset(rows):
    """Rows as table `asset`, checked."""
    return store.check("asset", store.from_rows("asset", rows))


def small_rows(num_scenes=4, per_scene=6, num_noise=5, names=("anna", "bruno", "person-01")):
    """Scenes of shots, some in the noise bucket, and a figure in every second shot."""
    rng = np.random.default_rng(0)
    total = num_scenes * per_scene + num_noise
    clusters = [f"scene-{i // per_scene + 1:03d}" for i in range(num_scenes * per_scene)]
    rows = []
    who = {i: names[i // 2 % len(names)] for i in range(0, total, 2)}
    for i, cluster in enumerate([*clusters, *[None] * num_noise]):
        doubt = 1.0 if cluster is None else float(np.round(rng.uniform(0.05, 0.7), 3))
        seen = [who[i]] if i in who and not who[i].startswith("person") else []
        rows.append(asset_row(i, cluster=cluster, doubt=doubt, who=seen))
    rows += [asset_row(i, "character", name, doubt=0.3) for i, name in who.items()]
    return rows


def picture(number, scene, width=WIDTH, height=HEIGHT):
    """A place with a figure in it, BGR: those of a scene share their colours."""
    rng = np.random.default_rng(1000 + (scene or 0))
    top, low, body = (rng.integers(40, 230, 3) for _ in range(3))
    image = np.linspace(top, low, height)[:, None].repeat(width, 1).astype(np.uint8)
    cv2.rectangle(image, (0, height * 3 // 4), (width, height), tuple(map(int, low // 2)), -1)
    x = width * 7 // 16 + number * 13 % 40 - 20
    cv2.circle(image, (x, height // 3), height // 7, tuple(map(int, body)), -1, cv2.LINE_AA)
    cv2.ellipse(
        image, (x, height), (height // 5, height // 2), 0, 180, 360, tuple(map(int, body)), -1
    )
    cv2.putText(image, str(number), (8, 24), 0, 0.7, (255, 255, 255), 1, cv2.LINE_AA)
    return image


def write_film(root, rows, num_vectors=8):
    """The film's folder: tables, pictures and `source.json`."""
    (root / "frame").mkdir(parents=True)
    store.write(root / "table", "asset", asset(rows))
    shots = [row for row in rows if row["level"] == "scene"]
    scenes = {c: i for i, c in enumerate(sorted({r["cluster_id"] or "" for r in shots}))}
    frames = []
    for row in shots:
        number = row["shot_index"]
        path = root / "frame" / f"{number:08d}.jpg"
        cv2.imwrite(str(path), picture(number, scenes[row["cluster_id"] or ""] * 7 + 1))
        frames.append(frame_row(row, f"frame/{path.name}"))
    store.write(root / "table", "frame", store.from_rows("frame", frames))
    vectors = store.from_rows("shot_vector", _vectors(shots, scenes, num_vectors))
    store.write(root / "table", "shot_vector", vectors)
    source = {"film": str(root / "made.mp4"), "content_hash": "0" * 64, "references": None}
    (root / "source.json").write_text(json.dumps({**source, "reference_hash": ""}))
    return root


def frame_row(row, file, width=WIDTH, height=HEIGHT):
    """The picture that stands for a shot."""
    return table_row.fill(
        "frame",
        frame_id=row["frame_id"],
        film_id="made",
        shot_index=row["shot_index"],
        frame_index=row["first_frame_index"] + FPS,
        time_base_den=FPS,
        timestamp_s=row["timestamp_s"],
        file=file,
        width_px=width,
        height_px=height,
        crop_x0_px=0,
        crop_y0_px=0,
        crop_x1_px=width,
        crop_y1_px=height,
        reason="shot-middle",
    )


def _vectors(shots, scenes, size):
    """Shots of a scene point one way; those in the noise bucket between the first two."""
    rows = []
    for row in shots:
        vector = np.zeros(size, np.float32)
        vector[scenes[row["cluster_id"] or ""] % size] = 1.0
        vector[-1] = 0.1 * (row["shot_index"] % 3)
        vector /= np.linalg.norm(vector)
        rows.append({"asset_id": row["asset_id"], "model": "made", "vector": vector.tolist()})
    return rows


def many(num_shots=50_000, num_clusters=300, noise_share=0.05, seed=0):
    """Table `asset` of a very long film, made at once."""
    rng = np.random.default_rng(seed)
    number = np.arange(num_shots)
    cluster = rng.zipf(1.3, num_shots) % num_clusters + 1
    is_noise = rng.random(num_shots) < noise_share
    names = ["anna", "bruno", "carla", "dora", "emil"]
    ids = [None if n else f"scene-{c:03d}" for c, n in zip(cluster, is_noise, strict=True)]
    who = [[names[w]] if w < len(names) else [] for w in rng.integers(0, 8, num_shots)]
    start_s = number * SHOT_S
    values = {
        "asset_id": [f"made-s{i:05d}" for i in number],
        "shot_index": number,
        "first_frame_index": number * 48,
        "end_frame_index": number * 48 + 48,
        "timestamp_s": start_s + 1,
        "frame_id": [f"made-{i:08d}" for i in number],
        "cluster_id": ids,
        "machine_cluster_id": ids,
        "similarity": rng.uniform(0.5, 1, num_shots),
        "margin": rng.uniform(0, 0.5, num_shots),
        "doubt": rng.uniform(0, 1, num_shots),
        "who": who,
        "start_s": start_s,
        "end_s": start_s + SHOT_S,
    }
    rest = asset([asset_row(0)]).drop(values)
    return store.check("asset", pl.DataFrame(values).join(rest, how="cross"))
