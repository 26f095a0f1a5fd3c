"""A small film's tables and pictures, made by hand: 8 shots of 3 s, 24 pictures of 96x54."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import table_row
from PIL import Image

from bunny.character.drawn import efficientnet as picture_model
from bunny.core import atomic, config, workspace
from bunny.table import store
from bunny.view.report import picture_vector

FILM_ID = "tiny-0123abcd"
NUM_SHOTS = 8
PLACES = ("meadow", "kitchen", "sea")
SIDE = {"width_px": 96, "height_px": 54}
BOX = {"x0_px": 20.0, "y0_px": 8.0, "x1_px": 60.0, "y1_px": 48.0}
COLOURS = ((90, 160, 70), (190, 140, 90), (60, 110, 190))


@pytest.fixture
def settings() -> config.Config:
    return config.Config()


@pytest.fixture
def empty_space(tmp_path) -> workspace.Workspace:
    """A workspace where no stage has run."""
    return make_empty(tmp_path)


@pytest.fixture
def space(empty_space) -> workspace.Workspace:
    """A workspace where all stages have run."""
    return fill(empty_space)


@pytest.fixture(scope="module")
def shared_space(tmp_path_factory) -> workspace.Workspace:
    """The same for tests that only read."""
    return fill(make_empty(tmp_path_factory.mktemp("film")))


@pytest.fixture
def table(space):
    """Read one of the tables of `space` by name."""
    return lambda name: store.read(space.table, name)


def make_empty(root: Path) -> workspace.Workspace:
    space = workspace.locate(root, "data", FILM_ID)
    source = {"film": "/films/tiny.mp4", "content_hash": "01" * 32, "references": None}
    atomic.write_bytes(space.root / "source.json", json.dumps(source).encode())
    return space


def fill(space: workspace.Workspace) -> workspace.Workspace:
    make_film(space)
    make_people(space)
    make_training(space)
    make_looks(space)
    return space


def frame_id(index: int) -> str:
    return f"{FILM_ID}-{index:08d}"


def frame_indices() -> list[int]:
    return [shot * 72 + offset for shot in range(NUM_SHOTS) for offset in (6, 36, 66)]


def make_film(space: workspace.Workspace) -> None:
    """Tables film, shot, frame, measure, quality and the pictures; the stages' records."""
    put(space, "film", [film_row()])
    put(space, "shot", [shot_row(i) for i in range(NUM_SHOTS)])
    put(space, "frame", [frame_row(i) for i in frame_indices()])
    rng = np.random.default_rng(1)
    quality = [quality_row(i, n, rng) for n, i in enumerate(frame_indices())]
    put(space, "quality", quality)
    drop = ("is_kept", "reason", "duplicate_of")
    put(space, "measure", [{k: v for k, v in q.items() if k not in drop} for q in quality])
    for index in frame_indices():
        picture(space.root / f"frame/{index:08d}.jpg", COLOURS[(index // 72) % 3], index)
    names = ("extract", "filter", "detect", "cluster", "caption", "finetune", "generate")
    for number, name in enumerate(names):
        record(space, name, seconds=2.0 * number + 1)


def make_people(space: workspace.Workspace) -> None:
    """Tables face, region, label, reference, embedding, cluster, caption."""
    rng = np.random.default_rng(2)
    anna, ben = rng.normal(size=(2, 16))
    names = ("face", "track", "region", "label", "cluster", "caption", "embedding")
    tables = {name: [] for name in names}
    for n, index in enumerate(frame_indices()):
        shot = index // 72
        who, base = (("anna", anna), ("ben", ben), (None, rng.normal(size=16)))[n % 3]
        vector = unit(base + rng.normal(size=16) * 0.45)
        tables["face"].append(face_row(index, vector))
        tables["track"].append(track_row(index, vector))
        similarity = float(max(vector @ unit(anna), vector @ unit(ben)))
        tables["label"].append(label_row(index, who, 1 - similarity, "face"))
        bunny = 0.3 + 0.4 * (n % 2) + 0.05 * rng.random()
        tables["region"].append(region_row(index, bunny))
        if bunny > 0.45:
            tables["label"].append(label_row(index, "bunny", 1 - bunny, "region"))
        scene = None if n == 10 else f"scene-{shot % 3:03d}"
        tables["cluster"].append(cluster_row(index, scene))
        tables["caption"].append(caption_row(index, who or "somebody", PLACES[shot % 3]))
        place = np.eye(8)[shot % 3] + rng.normal(size=8) * 0.05
        row = {"frame_id": frame_id(index), "model": "lite0", "vector": unit(place)}
        tables["embedding"].append(row)
    for name, rows in tables.items():
        put(space, name, rows)
    drawn = reference_row("bunny", unit(anna + ben)) | {"route": "region", "face_embedding": None}
    cast = [reference_row("anna", unit(anna)), reference_row("ben", unit(ben)), drawn]
    put(space, "reference", cast)


def make_training(space: workspace.Workspace) -> None:
    """Tables candidate, dataset, training_run, training_step, picture and their files."""
    put(space, "candidate", [candidate_row(n, i) for n, i in enumerate(frame_indices())])
    put(space, "dataset", [dataset_row(n, i) for n, i in enumerate(frame_indices()) if n % 2])
    for n, index in enumerate(frame_indices()):
        if n % 2:
            picture(space.root / f"dataset/bunny/{n:04d}.png", COLOURS[n % 3], index, (64, 64))
    put(space, "training_run", [run_row()])
    put(space, "training_step", [step_row(s) for s in range(40)])
    rows = []
    for number, (prompt, has_adapter, seed) in enumerate(
        (p, a, s) for p in ("bunny in snow", "bunny by the sea") for s in (1, 2) for a in (0, 1)
    ):
        rows.append(picture_row(number, prompt, bool(has_adapter), seed))
        picture(space.root / rows[-1]["file"], COLOURS[number % 3], number, (64, 64))
    put(space, "picture", rows)


def make_looks(space: workspace.Workspace) -> None:
    """Vectors of all pictures, as if they had been described before: no network is needed."""
    rng = np.random.default_rng(3)
    paths = [*space.root.glob("frame/*.jpg"), *space.root.glob("dataset/*/*.png")]
    keys = [picture_vector.cache_key(path, picture_model.NAME) for path in sorted(paths)]
    looks = pl.DataFrame([keys, rng.random((len(keys), 8))], schema=picture_vector.SCHEMA)
    store.write_parquet(space.root / picture_vector.FILE, looks)


def put(space: workspace.Workspace, name: str, rows: list[dict]) -> None:
    store.write(space.table, name, store.from_rows(name, rows))


def picture(path: Path, colour, seed: int, size=(96, 54)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    noise = rng.integers(-25, 25, (size[1] // 6 + 1, size[0] // 6 + 1, 1)).repeat(6, 0).repeat(6, 1)
    pixels = np.clip(np.array(colour) + noise[: size[1], : size[0]], 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def record(space: workspace.Workspace, name: str, seconds: float) -> None:
    body = {
        "name": name,
        "status": "done",
        "started_at": "2026-11-20T10:00:00+00:00",
        "seconds": seconds,
        "peak_memory_mb": 300.0,
        "num_items": 24,
        "failed": 1 if name == "extract" else 0,
        "note": "nothing odd" if name == "filter" else "",
        "tables": {"frame": {"rows": 24}} if name == "extract" else {"label": {"rows": 36}},
    }
    atomic.write_bytes(space.stage(name) / "stage.json", json.dumps(body).encode())


def film_row() -> dict:
    return table_row.fill(
        "film",
        film_id=FILM_ID,
        path="/films/tiny.mp4",
        content_hash="01" * 32,
        pixel_format="yuv420p",
        duration_s=24.0,
        num_frames=576,
        **SIDE,
    )


def shot_row(index: int) -> dict:
    return table_row.fill(
        "shot",
        film_id=FILM_ID,
        shot_index=index,
        first_frame_index=index * 72,
        end_frame_index=(index + 1) * 72,
        start_s=index * 3.0,
        end_s=index * 3.0 + 3,
        transition_in=("start", "cut", "dissolve", "cut", "fade", "cut", "cut", "cut")[index],
        motion=0.01 * index,
        kind="static" if index < 3 else "dynamic",
    )


def at(index: int) -> dict:
    return {"frame_id": frame_id(index), "shot_index": index // 72}


def frame_row(index: int) -> dict:
    reason = ("shot-start", "shot-middle", "shot-end")[index % 72 // 30]
    own = {"film_id": FILM_ID, "file": f"frame/{index:08d}.jpg", "reason": reason}
    return table_row.fill("frame", frame_index=index, **at(index), **own, **SIDE)


def quality_row(index: int, number: int, rng: np.random.Generator) -> dict:
    blur = float(rng.uniform(0.05, 0.95))
    reason = "blurred" if blur < 0.2 else "dark" if number == 7 else "kept"
    reason = "duplicate" if number == 12 else reason
    return {
        "frame_id": frame_id(index),
        "laplacian_variance": blur * 900,
        "blur_score": blur,
        "brightness": 0.03 if number == 7 else 0.5,
        "contrast": 0.2,
        "clipped_dark_share": 0.01,
        "clipped_bright_share": 0.0,
        "entropy_bits": 6.0,
        "content_x0_px": 0,
        "content_y0_px": 0,
        "content_x1_px": 96,
        "content_y1_px": 54,
        "phash": int(rng.integers(0, 2**63)),
        "is_kept": reason == "kept",
        "reason": reason,
        "duplicate_of": frame_id(frame_indices()[11]) if reason == "duplicate" else None,
    }


def face_row(index: int, vector) -> dict:
    return table_row.fill(
        "face",
        **BOX,
        **at(index),
        face_id=f"{frame_id(index)}-f0",
        landmark=[0.0] * 10,
        yaw=0.0,
        recogniser="sface",
        sharpness=100.0,
        embedding=vector,
        track_id=f"{FILM_ID}-t{index:05d}",
    )


def track_row(index: int, vector) -> dict:
    return {
        "track_id": f"{FILM_ID}-t{index:05d}",
        "shot_index": index // 72,
        "first_frame_index": index,
        "last_frame_index": index,
        "num_faces": 1,
        "best_face_id": f"{frame_id(index)}-f0",
        "embedding": vector,
    }


def label_row(index: int, who: str | None, distance: float, kind: str) -> dict:
    ids = {"subject_id": f"{frame_id(index)}-{kind[0]}0", "subject_type": kind, "character": who}
    sure = {"distance": distance, "margin": 0.2, "confidence": 0.9 if who else 0.1}
    return table_row.fill("label", **BOX, **at(index), **ids, **sure)


def region_row(index: int, similarity: float) -> dict:
    ids = {"region_id": f"{frame_id(index)}-r0", "candidate": "bunny", "model": "lite0"}
    return table_row.fill("region", similarity=similarity, margin=0.2, **BOX, **at(index), **ids)


def reference_row(who: str, vector) -> dict:
    return table_row.fill(
        "reference",
        reference_id=f"{who}/1.jpg",
        character=who,
        content_hash="ab",
        num_faces=1,
        recogniser="sface",
        face_embedding=vector,
        picture_embedding=vector,
    )


def cluster_row(index: int, scene: str | None) -> dict:
    ids = {"item_id": frame_id(index), "cluster_id": scene, "scene_id": scene}
    is_noise = scene is None
    return table_row.fill(
        "cluster", shot_index=index // 72, similarity=0.9, is_noise=is_noise, **ids
    )


def caption_row(index: int, who: str, place: str) -> dict:
    return table_row.fill(
        "caption",
        frame_id=frame_id(index),
        text=f"{who} in a {place}, medium shot, day",
        tags=[who, place, "medium shot", "day"],
        characters=[who],
    )


def view_at(number: int, index: int) -> dict:
    size = ("close-up", "medium", "wide")[number % 3]
    place = {"place": f"scene-{index // 72 % 3:03d}", "light": "medium", "shot_size": size}
    ids = {"subject_id": f"{frame_id(index)}-r0", "character": "bunny"}
    return BOX | at(index) | place | ids


def candidate_row(number: int, index: int) -> dict:
    return table_row.fill(
        "candidate",
        **view_at(number, index),
        subject_type="region",
        frame_index=index,
        timestamp_s=index / 24,
        pose="frontal" if number % 2 else "left-profile",
        sharpness=50.0,
        is_chosen=number % 2 == 1,
        reason="chosen" if number % 2 else "filtered",
        detail=None if number % 2 else "blurred",
    )


def dataset_row(number: int, index: int) -> dict:
    return table_row.fill(
        "dataset",
        **view_at(number, index),
        image_id=f"bunny-{number:04d}",
        file=f"dataset/bunny/{number:04d}.png",
        height_px=64,
        upscale=1.6,
        pose="frontal",
        caption="bunny in a meadow, medium shot, day",
        split="held-out" if index // 72 == 7 else "train",
    )


RUN = {"run_id": "run-1", "character": "bunny", "base_model": "toy"}


def run_row() -> dict:
    return table_row.fill(
        "training_run",
        **RUN,
        trigger="bunny",
        base_hash="ff",
        base_licence="MIT",
        config_json="{}",
        num_images=12,
        num_held_out=2,
        num_steps=40,
        seconds=30.0,
        loss_first=0.9,
        loss_last=0.5,
        held_out_loss_first=0.95,
        held_out_loss_last=0.7,
        adapter_file="bunny.safetensors",
        adapter_hash="aa",
    )


def step_row(step: int) -> dict:
    return {
        "run_id": "run-1",
        "step": step,
        "loss": 0.5 + 0.4 * 0.9**step + 0.05 * (step % 3),
        "held_out_loss": 0.7 + 0.25 * 0.9**step if step % 10 == 0 else None,
        "learning_rate": 1e-3,
    }


def picture_row(number: int, prompt: str, has_adapter: bool, seed: int) -> dict:
    adapter = {"adapter_file": "bunny.safetensors", "adapter_hash": "aa"} if has_adapter else {}
    return (
        RUN
        | adapter
        | {
            "picture_id": f"p{number}",
            "file": f"picture/p{number}.png",
            "prompt": prompt,
            "negative_prompt": "",
            "seed": seed,
            "num_steps": 10,
            "guidance_scale": 5.0,
            "width_px": 64,
            "height_px": 64,
            "similarity": 0.6 + 0.02 * number if has_adapter else 0.3 + 0.01 * number,
        }
    )
