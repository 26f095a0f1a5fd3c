"""Write the figures and pictures of README and guide, and the notebook pages, from one demo run.

    uv run bunny demo
    uv run bunny run sample --notebooks
    uv run python python_script/write_guide.py sample

Figures go to `memory_bank/guide/demo.json` and from there into the blocks of README.md and
`memory_bank/guide/*.md` (`<!-- write_guide: NAME -->` to `<!-- end -->`), pictures to
`memory_bank/picture/`, pages to `memory_bank/notebook/`. `--text` only fills the blocks again from
the kept figures. Without Chromium the board's picture stays as it is.
"""

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import render_notebooks
from PIL import Image, ImageOps

from bunny import demo, pipeline
from bunny.character import label_score
from bunny.command import film_workspace
from bunny.command.run import DEMO_SETTINGS
from bunny.contract import fingerprint
from bunny.core import config as configuration
from bunny.core import workspace
from bunny.core.config import Config
from bunny.core.error import BunnyError, UserError
from bunny.core.workspace import Workspace
from bunny.table import store
from bunny.training.family import known_base
from bunny.view import contact_sheet

ROOT = Path(__file__).resolve().parents[1]
RECORD = Path("memory_bank/guide/demo.json")
PICTURE = Path("memory_bank/picture")
BLOCK = re.compile(r"(<!-- write_guide: ([a-z_]+) -->\n).*?(<!-- end -->)", re.DOTALL)
SHEET = (2, 10, 108)  # rows, columns, side in pixels
GAP_PX = 12  # between sheet and grid
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")

Record = dict[str, Any]


def main() -> int:
    """Measure the demo's workspace, then write pictures, pages and texts."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("film", nargs="?", default="sample", help="film id, or how it begins")
    parser.add_argument("--data-dir", help="folder of workspaces")
    parser.add_argument("--text", action="store_true", help="only fill the blocks again")
    given = parser.parse_args()
    try:
        if not given.text:
            write_from_run(*film_workspace.open_film(given.film, given.data_dir))
        write_blocks(ROOT)
    except BunnyError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1
    return 0


def write_from_run(space: Workspace, config: Config) -> None:
    """Write the record, the pictures and the notebook pages of a finished demo.

    Raises
    ------
    UserError
        If a stage of the film is not up to date.
    """
    late = [state.name for state in pipeline.status(space, config) if state.state != "done"]
    if late:
        raise UserError(
            f"{space.film_id}: expected every stage to be done, but {', '.join(late)} is not; "
            "run `bunny demo`"
        )
    record = {"made_from": stage_digests(), **measure(space)}
    text = json.dumps(record, indent=2) + "\n"
    (ROOT / RECORD).write_text(text, encoding="utf-8", newline="\n")
    sheet, grid = draw_training_set(space), open_grid(space)
    sheet = sheet.resize((grid.width, round(sheet.height * grid.width / sheet.width)))
    both = Image.new("RGB", (grid.width, sheet.height + GAP_PX + grid.height), "white")
    both.paste(sheet, (0, 0))
    both.paste(grid, (0, sheet.height + GAP_PX))
    (ROOT / PICTURE / "demo.png").write_bytes(contact_sheet.to_png(both))
    save_board_screenshot(space, ROOT / PICTURE / "board.png")
    render_notebooks.write_pages(space, ROOT / render_notebooks.OUTPUT)


def stage_digests() -> dict[str, str]:
    """Digest of the inputs of each stage other than tables, by stage name.

    That is the stage's version, its settings in the demo, the film and the references: a page is
    older than the tables it shows where one of these has changed since.
    """
    with tempfile.TemporaryDirectory(prefix="bunny-guide-") as folder:
        root = Path(folder)
        space = workspace.create(root, "data", demo.film_path(), demo.reference_dir())
        config = configuration.load(root, own=DEMO_SETTINGS, environment={})
        found: dict[str, str] = {}
        for name in pipeline.STAGE:
            parts = pipeline.make_stage(name, space, config).parts()
            kept = {key: parts[key] for key in ("version", "settings", "outside")}
            found[name] = fingerprint.digest(kept)[:16]
        return found


def measure(space: Workspace) -> Record:
    """Figures of a finished demo, as JSON values."""
    label, frame = (store.read(space.table, name) for name in ("label", "frame"))
    named = label.filter(pl.col("character").is_not_null())
    score = label_score.score_labels(label, frame, demo.truth("box")).filter(character="all")
    bunny = training_set(space)
    lines = sorted(set(bunny["caption"].to_list()), key=lambda text: (-len(text), text))
    records = [fingerprint.read_record(space.root, name) for name in pipeline.STAGE]
    return {
        "film_seconds": round(float(store.read(space.table, "film")["duration_s"][0])),
        "num_labels": named.height,
        "num_wrong": int((score["num_labelled"] - score["num_right"])[0]),
        "num_pictures": bunny.height,
        "smallest_px": int(bunny.select(pl.min_horizontal("width_px", "height_px").min()).item()),
        "largest_px": int(bunny.select(pl.max_horizontal("width_px", "height_px").max()).item()),
        "num_captions": len(lines),
        "captions": lines[:: max(1, len(lines) // 3)][:3],
        "minutes": round(sum(record.get("seconds", 0.0) for record in records) / 60, 1),
    }


def training_set(space: Workspace) -> pl.DataFrame:
    """Rows of table `dataset` with the bunny's pictures, in the film's order."""
    rows = store.read(space.table, "dataset").filter(character="bunny", role="subject")
    return rows.sort("frame_id", "image_id")


def draw_training_set(space: Workspace) -> Image.Image:
    """Lay out pictures from all over the bunny's training set."""
    rows, columns, side = SHEET
    order = training_set(space)
    step = max(1, order.height // (rows * columns))
    files = order.gather_every(step).head(rows * columns)["file"].to_list()
    sheet = Image.new("RGB", (columns * side, rows * side), "white")
    for index, name in enumerate(files):
        with Image.open(space.root / name) as picture:
            tile = ImageOps.fit(picture.convert("RGB"), (side, side))
        sheet.paste(tile, (index % columns * side, index // columns * side))
    return sheet


def open_grid(space: Workspace) -> Image.Image:
    """The grid of base model and adapter that stage generate drew last."""
    grids = sorted((space.root / "picture").glob("*/grid.png"), key=lambda p: p.stat().st_mtime)
    if not grids:
        raise UserError(
            f"{space.film_id}: expected a grid of generated pictures, found none; run `bunny demo`"
        )
    with Image.open(grids[-1]) as grid:
        return grid.convert("RGB")


def save_board_screenshot(space: Workspace, path: Path) -> None:
    """Save a screenshot of the review board with all shots of the film."""
    from playwright import sync_api

    browser = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if browser is None:
        print("no Chromium on this machine: the board's picture stays as it is", file=sys.stderr)
        return
    start = [sys.executable, "-m", "bunny", "review", space.film_id, "--port", "0", "--no-browser"]
    where = ["--data-dir", str(space.root.parents[1])]
    with (
        subprocess.Popen([*start, *where], stdout=subprocess.PIPE, encoding="utf-8") as server,
        sync_api.sync_playwright() as driver,
    ):
        try:
            line = server.stdout.readline() if server.stdout else ""
            address = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", line)
            if address is None:
                raise UserError(f"the board printed {line!r} instead of its address")
            with driver.chromium.launch(executable_path=browser, args=["--no-sandbox"]) as window:
                page = window.new_page(viewport={"width": 1280, "height": 720})
                page.goto(address.group(0), timeout=120_000)
                page.wait_for_selector(".bb.is-ready", timeout=120_000)
                page.wait_for_function(
                    "[...document.querySelectorAll('.bb-cell:not([hidden]) img')]"
                    ".every(image => image.naturalWidth)"
                )
                path.write_bytes(page.screenshot())
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)


# -- texts ---------------------------------------------------------------------------------------


def write_blocks(root: Path) -> None:
    """Fill the blocks of README.md and the guide from the kept figures."""
    record = json.loads((root / RECORD).read_text(encoding="utf-8"))
    for path in pages(root):
        text = path.read_text(encoding="utf-8")
        path.write_text(fill(text, record), encoding="utf-8", newline="\n")


def pages(root: Path) -> list[Path]:
    """Files that may have blocks."""
    return [root / "README.md", *sorted((root / "memory_bank" / "guide").glob("*.md"))]


def fill(text: str, record: Record) -> str:
    """Replace the inside of each block of a text.

    Raises
    ------
    KeyError
        For a block of an unknown name.
    """
    return BLOCK.sub(lambda m: f"{m[1]}{TEXT[m[2]](record)}\n{m[3]}", text)


def demo_caption(record: Record) -> str:
    """Words below the picture of the README."""
    wrong = record["num_wrong"]
    right = "None" if wrong == 0 else f"{wrong:,}"
    return (
        f"*Above: 20 of the {record['num_pictures']} training pictures that the demo cuts from its "
        f"{record['film_seconds']}-second film ({record['smallest_px']} to "
        f"{record['largest_px']} px). {right} of its {record['num_labels']} labels "
        f"{'are' if wrong > 1 else 'is'} wrong.\nBelow: places where the film never shows the "
        "bunny, drawn by the base model alone and with the adapter. The base is a toy of 128 px.*"
    )


def demo_time(record: Record) -> str:
    """Sentence on the duration of the demo."""
    return (
        f"The demo downloads the packages, then runs every stage in about {record['minutes']:.0f} "
        "minutes on two cores."
    )


def base_table(_: Record) -> str:
    """Known base models with memory and time, and where the figures come from."""
    rows = ["| base | example | size | GPU memory | 1,000 pictures take |", "|---|---|---|---|---|"]
    sources: dict[str, str] = {}
    for base in sorted(known_base.KNOWN, key=lambda one: (one.resolution_px, one.title)):
        told = ["not published", "not published"]
        if cost := base.cost:
            minutes = round(1000 * cost.seconds_per_step / 60)
            told = [f"{cost.memory_gb} GB", f"{minutes} min on an {cost.card}"]
            sources[base.family] = cost.source
        drawn = " (drawn film)" if base.is_for_drawn else ""
        cells = [f"{base.title}{drawn}", f"`{base.hub_id}`", f"{base.resolution_px} px", *told]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*rows, "", f"Sources: {'; '.join(sources.values())}."])


def caption_examples(record: Record) -> str:
    """Captions of the demo's training set."""
    lines = "\n".join(f"- {text}" for text in record["captions"])
    return (
        f"The demo's {record['num_pictures']} training pictures have {record['num_captions']} "
        f"different captions, for example:\n\n{lines}"
    )


TEXT: dict[str, Callable[[Record], str]] = {
    "demo_caption": demo_caption,
    "demo_time": demo_time,
    "base_table": base_table,
    "caption_examples": caption_examples,
}

if __name__ == "__main__":
    raise SystemExit(main())
