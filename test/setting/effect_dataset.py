"""Effects of the settings of the training set, its rights and timelines."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from setting_effect import Effect, Seen

RUN = ("dataset",)
BEAR = {"models.characters": ["bruno"]}  # smaller in the picture than the bunny, less sure


def _reasons(seen: Seen) -> dict[str, int]:
    """How many views were left out for what is no likeness to another one."""
    reasons = seen.table("candidate")["reason"].cast(str)
    return dict(Counter(r for r in reasons if r not in ("chosen", "duplicate")))


def _sizes(seen: Seen) -> list[tuple[int, int]]:
    return sorted(seen.table("dataset").select("width_px", "height_px").unique().rows())


def _windows(seen: Seen) -> set[str]:
    """Which windows of the views were cut; c0 is the tightest."""
    return {image_id.rpartition("-")[2] for image_id in seen.table("dataset")["image_id"]}


def _masks(seen: Seen) -> tuple[int, int]:
    """Masks that the table names and that are there."""
    named = seen.table("dataset")["mask_file"].drop_nulls()
    return len(named), sum((seen.space.root / file).is_file() for file in named)


def _num_pictures(seen: Seen) -> int:
    return seen.table("dataset").height


def _sources(seen: Seen) -> set[bool]:
    """Whether pictures come from the film itself."""
    return set(seen.table("dataset")["is_recovered"])


def _roles(seen: Seen) -> dict[str, int]:
    return dict(Counter(seen.table("dataset")["role"].cast(str)))


def _bucket_steps(seen: Seen) -> Any:
    """Sizes of the stage's pictures, and the step that an export tells its trainer."""
    seen.bunny("export", "kohya")
    [told] = seen.space.root.rglob("dataset.toml")
    return _sizes(seen), re.search(r"bucket_reso_steps = (\d+)", told.read_text()).group(1)


def _rights(*keys: str):
    """What the set's record and that of an export say of the rights."""

    def look(seen: Seen) -> list[str]:
        seen.bunny("export", "imagefolder")
        found = []
        for folder in ("dataset", "export"):
            [record] = (seen.space.root / folder).rglob("rights.json")
            known = json.loads(record.read_text(encoding="utf-8"))
            for key in keys:
                known = known[key]
            found.append(known)
        return found

    return look


def _right(*keys: str) -> Effect:
    return Effect(
        values=("Mine", "Yours"),
        stages=RUN,
        look=_rights(*keys),
        gives=(["Mine"] * 2, ["Yours"] * 2),
    )


def _timeline(seen: Seen, form: str) -> str:
    """A timeline of the film's second shot."""
    output = seen.data / f"cut.{form}"
    seen.bunny("export", "timeline", "--what", "shots:1", "--format", form, "--out", output)
    return output.read_text(encoding="utf-8")


def _reels(seen: Seen) -> list[str]:
    """The reel of the one event of an edit decision list."""
    return re.findall(r"^001 +(\S+)", _timeline(seen, "edl"), flags=re.MULTILINE)


def _clips(seen: Seen) -> list[list[int]]:
    said = seen.bunny("export", "timeline", "--what", "shots:1", "--json")
    return json.loads(said.out)["clips"]


def _media(seen: Seen) -> list[str]:
    """Where a timeline looks for the film."""
    return re.findall(r'src="(file:[^"]+)"', _timeline(seen, "fcpx"))


EFFECT = {
    "dataset.min_confidence": Effect(
        values=(0.6, 0.97),
        given=BEAR,
        stages=RUN,
        look=_reasons,
        gives=({}, {"doubtful": 5}),
    ),
    "dataset.min_subject_px": Effect(
        values=(24, 260), stages=RUN, look=_reasons, gives=({}, {"small": 3})
    ),
    "dataset.min_subject_sharpness": Effect(
        values=(10.0, 800.0), stages=RUN, look=_reasons, gives=({}, {"soft": 3})
    ),
    "dataset.aspect": Effect(
        values=("square", "buckets"),
        given={"dataset.bucket_step_px": 32, "models.resolution": 128},
        stages=RUN,
        look=_sizes,
        gives=([(128, 128)], [(96, 160), (128, 128)]),
    ),
    "dataset.bucket_step_px": Effect(
        values=(32, 64),
        given={"dataset.aspect": "buckets", "models.resolution": 128},
        stages=RUN,
        look=_bucket_steps,
        gives=(([(96, 160), (128, 128)], "32"), ([(128, 128)], "64")),
    ),
    "dataset.max_upscale": Effect(
        values=(1.4, 1.5),  # the picture is 360 px high: 512 / 360 = 1.42
        given={"models.resolution": 512},
        stages=RUN,
        look=_num_pictures,
        gives=(0, 5),
    ),
    "dataset.has_wider_crops": Effect(
        values=(False, True),
        given=BEAR,
        stages=RUN,
        look=_windows,
        gives=({"c0"}, {"c0", "c1"}),
    ),
    "dataset.mask": Effect(
        values=("none", "grabcut"), stages=RUN, look=_masks, gives=((0, 0), (5, 5))
    ),
    "dataset.cut_from": Effect(
        values=("picture", "film"), stages=RUN, look=_sources, gives=({False}, {True})
    ),
    "dataset.num_class_images": Effect(
        values=(0, 1),
        stages=RUN,
        look=_roles,
        gives=({"subject": 5}, {"subject": 5, "class": 1}),
    ),
    "rights.film_title": _right("film", "title"),
    "rights.film_licence": _right("film", "licence"),
    "rights.film_source": _right("film", "source"),
    "rights.consent": _right("consent"),
    "timeline.reel": Effect(values=("OWL", "FOX2"), look=_reels, gives=(["OWL"], ["FOX2"])),
    "timeline.handle_frames": Effect(
        values=(0, 5), look=_clips, gives=([[1, 54, 126]], [[1, 49, 131]])
    ),
    "timeline.media_path": Effect(
        values=("/mnt/reel/", "/mnt/other.mov"),
        look=_media,
        gives=(["file:///mnt/reel/three%20shots.mp4"], ["file:///mnt/other.mov"]),
    ),
}
