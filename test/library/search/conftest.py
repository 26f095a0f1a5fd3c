"""Films for search: their tables as the stages write them, a few frames each."""

import cv2
import numpy as np
import pytest
import table_row

from bunny.core import atomic, workspace
from bunny.scene import embed

FRAMES_A_SHOT, SHOT_S = 2, 4.0
SIDE = {"width_px": 64, "height_px": 36}
BOX = {"x0_px": 10.0, "y0_px": 0.0, "x1_px": 40.0, "y1_px": 36.0}


def _label(frame_id, number, shot):
    return [
        {"subject_id": f"{frame_id}-r{k:02d}", "subject_type": "region", "character": name}
        | {"frame_id": frame_id, "shot_index": number, **BOX}
        for k, name in enumerate(shot.get("who", ()))
    ]


def _shot(film_id, number):
    first = number * FRAMES_A_SHOT
    start_s = number * SHOT_S
    return {
        "film_id": film_id,
        "shot_index": number,
        "first_frame_index": first,
        "end_frame_index": first + FRAMES_A_SHOT,
        "start_s": start_s,
        "end_s": start_s + SHOT_S,
    }


def write_film(folder, name, shots):
    """A film of shots of four seconds, a frame at each shot's second 0 and 2.

    A shot says `who`, `text`, `tags`, `luma`, `sharp`, `scene`, `vector`, `colour` (BGR); what it
    says in a list of two under `texts` goes to its frames one by one.
    """
    film = folder / f"{name}.mp4"
    film.write_bytes(name.encode())
    space = workspace.create(folder, "data", film, None)
    rows = {n: [] for n in ("frame", "shot", "quality", "label", "cluster", "caption", "embedding")}
    for number, shot in enumerate(shots):
        rows["shot"].append(_shot(space.film_id, number))
        for k in range(FRAMES_A_SHOT):
            index = number * FRAMES_A_SHOT + k
            frame_id, file = f"{space.film_id}-{index:08d}", f"frame/{index:08d}.png"
            image = np.full((36, 64, 3), shot.get("colour", (90, 90, 90)), np.uint8)
            atomic.write_bytes(space.root / file, cv2.imencode(".png", image)[1].tobytes())
            ids = {"film_id": space.film_id, "frame_id": frame_id, "file": file}
            at = {"frame_index": index, "shot_index": number, "timestamp_s": index * 2.0}
            rows["frame"].append(ids | at | {"time_base_num": 2, "time_base_den": 1} | SIDE)
            quality = {"brightness": shot.get("luma", 0.5), "blur_score": shot.get("sharp", 0.8)}
            rows["quality"].append({"frame_id": frame_id, **quality})
            rows["label"] += _label(frame_id, number, shot)
            scene = {"cluster_id": shot.get("scene"), "is_noise": shot.get("scene") is None}
            rows["cluster"].append({"item_id": frame_id, "shot_index": number, **scene})
            text = shot.get("texts", [shot.get("text")] * 2)[k]
            if text is not None:
                words = {"text": text, "tags": shot.get("tags", [])}
                rows["caption"].append({"frame_id": frame_id, **words})
            if "vector" in shot:
                vector = np.asarray(shot["vector"], np.float32)
                own = {"model": shot.get("model", embed.MODEL), "frame_id": frame_id}
                rows["embedding"].append({"vector": vector / np.linalg.norm(vector), **own})
    for table, own in rows.items():
        table_row.write(space.table, table, own)
    return space


@pytest.fixture
def make_film(tmp_path, monkeypatch):
    """Writes a film into the data folder `data` of an empty project: name, shots."""
    monkeypatch.chdir(tmp_path)
    return lambda name, shots: write_film(tmp_path, name, shots)


@pytest.fixture
def meadow(make_film):
    """Four shots: a bunny on grass, a bear by night, both, nobody."""
    green = {"text": "bunny on the grass, day", "tags": ["green background"]}
    dark = {"text": "bruno by a fire, night", "luma": 0.1, "sharp": 0.2}
    both = {"who": ["bunny", "bruno"], "text": "bunny and bruno on the grass, day"}
    return make_film(
        "meadow",
        [
            green | {"who": ["bunny"], "scene": "scene-001", "vector": [1, 0, 0]},
            dark | {"who": ["bruno"], "scene": "scene-002", "vector": [0, 1, 0]},
            both | {"scene": "scene-001", "vector": [0.9, 0.1, 0]},
            {"text": "an empty kitchen, day", "vector": [0, 0, 1]},
        ],
    )
