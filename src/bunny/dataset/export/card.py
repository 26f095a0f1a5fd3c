"""The card of an exported set: what is in it, how to load it, and its rights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from bunny.dataset import rights
from bunny.dataset.export import folder
from bunny.dataset.export.record import About

FILE = "README.md"


def write(target: Path, about: About, counts: Mapping[str, int], loading: str, more: str) -> None:
    """Write ``rights.json`` and ``README.md``.

    Parameters
    ----------
    target : Path
    about : About
    counts : mapping
        Pictures by split.
    loading : str
        How the set is loaded, in Markdown.
    more : str
        Further lines of the card's YAML; empty for none.
    """
    record = json.dumps(about.rights, ensure_ascii=False, indent=1)
    folder.write_text(target / rights.FILE, record)
    matter = [rights.to_front_matter(about.rights), *([more] if more else [])]
    rows = [f"| {split} | {count} |" for split, count in counts.items()]
    parts = [
        "\n".join(["---", *matter, "---"]),
        f"# Pictures of {' '.join(about.character.split())}",
        f"A training set for one character, made by Diffusion Bunny. The captions call it "
        f"`{about.subject}`.",
        "\n".join(["| split | pictures |", "|---|---|", *rows]),
        loading,
        "## Rights",
        rights.to_text(about.rights),
    ]
    folder.write_text(target / FILE, "\n\n".join(parts))
