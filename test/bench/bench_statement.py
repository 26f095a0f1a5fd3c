"""Precision of what captions say of drawn figures, against the truth of the sample film.

`bunny run` of the sample film first, then `python test/bench/bench_statement.py WORKSPACE`, the
film's folder. Every window of every view is captioned, also those that no set takes. Shots of even
index are those that the limits were set on, odd ones were held out.
"""

import argparse
from collections import Counter
from pathlib import Path

import polars as pl

from bunny import demo
from bunny.core.config import DatasetConfig
from bunny.dataset import candidate, crop, view, window_caption
from bunny.table import corrected, store
from bunny.table.box import BOX

HALF = 0.5  # a wide shot's height at most
WHOLE = 0.95  # the part of a full body inside the window at least
CORRECTED = ("label", "cluster")


def main() -> None:
    """Count statements and how many of them are right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    table = parser.parse_args().workspace / "table"
    names = {n: corrected.table_name(table, n) if n in CORRECTED else n for n in candidate.TABLES}
    tables = {n: store.read_or_empty(table, name) for n, name in names.items()}
    tables["region"] = store.read_or_empty(table, "region")
    truth = {(r["frame_index"], r["character"]): r for r in demo.truth("box").to_dicts()}
    rule = crop.CropSetting(shapes=crop.shapes(DatasetConfig()))
    said, right = Counter(), Counter()
    for character in tables["label"]["character"].drop_nulls().unique().sort():
        views = candidate.gather(character, tables, pl.DataFrame(schema=SUBJECT))
        for one in views:
            known = truth.get((one.frame_index, character))
            if known is None or one.is_face:
                continue
            half = "held out" if one.shot_index % 2 else "set on"
            for window in crop.windows(one, rule):
                draft = window_caption.make_draft(one, window)
                for name in _said(draft, character):
                    said[name, half] += 1
                    right[name, half] += _is_right(name, known, window, one)
    for (name, half), number in sorted(said.items()):
        print(f"{name}, {half}: {right[name, half]} of {number}")


SUBJECT = {"subject_id": pl.String, "sharpness": pl.Float32, "luma": pl.Float32}


def _said(draft, character: str) -> list[str]:
    alone = len(draft.characters) == 1
    side = draft.sides.get(character) if alone else None
    return [words for words in (draft.parts.get("framing"), side) if words]


def _is_right(words: str, known: dict, window: crop.CropWindow, one: view.CharacterView) -> bool:
    """Whether a statement is true of the figure as it was drawn."""
    box, area = tuple(known[side] for side in BOX), crop.box_of(window)
    high, wide = area[3] - area[1], area[2] - area[0]
    inside = view.share_inside(box, area)
    middle = ((box[0] + box[2]) / 2 - area[0]) / wide
    return {
        "close-up": known["shot_size"] == "close-up",
        "wide shot": (box[3] - box[1]) / high <= HALF and inside >= WHOLE,
        "full body": known["visible_share"] >= WHOLE and inside >= WHOLE,
        "on the left": middle < 0.45,
        "on the right": middle > 0.55,
    }[words]


if __name__ == "__main__":
    main()
