"""Films of which nothing is there but the record of their source, and tables without rows."""

import json
from pathlib import Path

from bunny.core import atomic, workspace
from bunny.table import store


def write_source(film_dir: Path, references: Path | None = None) -> None:
    """Say that the folder's tables come from a film that is nowhere."""
    source = {
        "film": "film.mp4",
        "content_hash": "0" * 64,
        "references": references and str(references),
        "reference_hash": workspace.hash_references(references),
    }
    atomic.write_bytes(film_dir / "source.json", json.dumps(source).encode())


# Tables of extract and detect that later stages read, in films that were never made.
EMPTY = (
    "film",
    "extra_frame",
    "measure",
    "face",
    "drawn_face",
    "embedding",
    "region",
    "figure",
    "reference",
)


def make(root: Path) -> workspace.Workspace:
    """A film without frames, on which stage cluster can run."""
    space = workspace.locate(root, "data", "film-0123abcd")
    write_source(space.root)
    for name in ("frame", "measure", "face", "label", "region", "figure"):
        store.write(space.table, name, store.from_rows(name, []))
    return space
