"""A film of few small pictures with its tables, and stage caption on it."""

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bare_film
import cv2
import numpy as np

from bunny.core.config import Config
from bunny.stage.caption import Caption
from bunny.table import store

BESIDE = Path(__file__).parents[1] / "caption"
service = SimpleNamespace(**runpy.run_path(str(BESIDE / "service.py")))
make_tables = runpy.run_path(str(BESIDE / "table.py"))["make_tables"]
GREEN, BLUE, RED = (80, 160, 90), (220, 140, 80), (50, 60, 200)  # BGR


def write(folder: Path, num_frames: int = 3) -> Path:
    """Tables and pictures: f0 green with a red bunny, f1 blue, the others shades of grey."""
    bare_film.write_source(folder)
    for name, table in make_tables(num_frames).items():
        store.write(folder / "table", name, table)
    (folder / "frame").mkdir()
    for i in range(num_frames):
        picture = np.full((100, 200, 3), (GREEN, BLUE)[i] if i < 2 else 140 + i, np.uint8)
        if i == 0:
            picture[20:80, 60:120] = RED
        cv2.imwrite(str(folder / "frame" / f"f{i}.png"), picture)
    return folder


def stage(folder: Path, force: bool = False, share: float = 0.5, **captioning: Any) -> Caption:
    """Stage caption with settings of section captioning."""
    pipeline = {"force_rerun": force, "max_failed_share": share}
    config = Config.model_validate({"captioning": captioning, "pipeline": pipeline})
    return Caption(config, folder, folder)


def captions(folder: Path) -> list[dict]:
    """Rows of table caption."""
    return store.read(folder / "table", "caption").to_dicts()


def local(url: str, **more: Any) -> dict[str, Any]:
    """Settings of a local server at an address."""
    return {
        "providers": ["local"],
        "local": {
            "model": more.pop("model", "seer"),
            "endpoint_url": more.pop("endpoint_url", None) or f"{url}/v1",
        },
        "max_retries": 0,
        **more,
    }
