"""What `bunny where` answers: places of a film, for a person or a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bunny.library.timeline import picture_match
from bunny.library.timeline.clip import file_name
from bunny.library.timeline.locate import Source

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
SHOWN = 12  # places that the text lists
FEW = 24  # answers up to which exports are searched for copies


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Places of the film that belong to what was asked, and how that was found out."""

    asked: str
    how: str
    places: Sequence[dict[str, Any]]

    def to_text(self) -> str:
        """Lines for a person."""
        lines = [f"{self.asked}: {self.how}"]
        for place in self.places[:SHOWN]:
            lines += _lines(place)
        if len(self.places) > SHOWN:
            lines.append(f"  and {len(self.places) - SHOWN} more (--json lists all)")
        return "\n".join(lines)

    def to_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps({"asked": self.asked, "how": self.how, "places": list(self.places)})


def make_answer(source: Source, asked: str, how: str, places: Sequence[dict[str, Any]]) -> Answer:
    """An answer of one film; places of training pictures say where exported copies of them lie.

    Parameters
    ----------
    source : Source
    asked, how : str
    places : sequence of dict
        As `trace.place_of_picture` and `trace.place_of_frame` give them, in order.
    """
    return Answer(asked=asked, how=how, places=_with_exports(source, list(places)))


def _with_exports(source: Source, places: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Places with where copies of their training pictures lie in the film's exported sets."""
    folder = source.root / "export"
    if not folder.is_dir() or len(places) > FEW:
        return places
    copies = [(f.as_posix(), f) for f in sorted(folder.rglob("*")) if f.suffix.lower() in PICTURES]
    found = []
    for place in places:
        file = source.root / (place["file"] or "")
        is_set = "image_id" in place and file.is_file()
        found.append(
            {**place, "exports": picture_match.same_content(file, copies) if is_set else []}
        )
    return found


def _lines(place: dict[str, Any]) -> list[str]:
    """A place for a person."""
    name = place.get("image_id") or place["frame_id"]
    lines = [
        f"  {name}",
        f"    {file_name(place['film'])} shot {place['shot_index']}, frame {place['frame_index']}, "
        f"{place['timecode']}, {place['second']:.3f} s",
    ]
    if "image_id" in place:
        box = " ".join(f"{v:g}" for v in place["box"])
        lines.append(f"    set of {place['character']} ({place['split']}): {place['file']}")
        lines.append(f"    box in the film's picture: {box}")
    elif place["file"]:
        lines.append(f"    picture: {place['file']}")
    if place["labels"]:
        lines.append(f"    seen: {', '.join(place['labels'])}")
    if place["caption"]:
        lines.append(f"    caption: {place['caption']}")
    lines += [f"    exported: {file}" for file in place.get("exports", [])]
    for timeline in place["timelines"]:
        clips = ", ".join(f"#{n}" for n in timeline["clips"])
        gone = "" if timeline["is_there"] else " (moved or deleted since)"
        lines.append(f"    timeline: {timeline['file']} {clips}{gone}")
    return lines
