"""Facts of each kept picture from the tables: characters, shot size, place, light."""

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from bunny.caption import statement
from bunny.table.box import BOX, Box

# Tables that facts are gathered from.
TABLES = ("quality", "frame", "shot", "label", "cluster", "face", "region", "shot_medium")

# Height of the largest subject over the picture's height. A face is about three quarters of a head
# and a standing adult is seven to eight heads tall, so a picture cut at the chest (where film
# grammar ends the close-up: Bordwell and Thompson, Film Art, ch. 5, "shot scale") has a face of
# about 0.3 of its height, one cut at the knees 0.12. Of whole figures (regions) a box that fills
# the picture from edge to edge is cut off somewhere: a close-up; half the height parts medium from
# wide.
FACE_SHARE = {"close-up": 0.30, "medium": 0.12}
REGION_SHARE = {"close-up": 0.92, "medium": 0.50}
MACHINE_SCENE = re.compile(r"scene-\d.*")  # other ids of a scene are a person's name for it
# A light is named only where it is sure, for a wrong word would unlearn what the base knows of it.
# By mean BT.709 luma in [0, 1] and colour cast in CIELAB. Under a day's exposure of 0.4 to 0.6
# (middle grey, 18 %, is coded as 0.41) night is shot or graded down by two stops or so, to 0.15 to
# 0.25, or less with a blue cast for moonlight; what is dark and warm is a room by lamps at any
# hour. A low sun colours all red and yellow, but so do skin, wood and lamps: where the cast is
# faint, and in close-ups, which a face fills, it says nothing.
FACE_MEASURES = (
    "face_id",
    "landmark",
    "score",
    "pitch",
    "brightness",
    "clothes_lab",
    "beside_lab",
)
LIGHT_COLUMNS = ("brightness", "cast_red", "cast_yellow")  # columns of table quality
DARK_BELOW, DAY_FROM = 0.25, 0.45
WARM_FROM, BLUE_UP_TO = 4.0, -6.0  # b*: dark is night below the one, dim at most at the other
LOW_SUN, LOW_SUN_BELOW = (6.0, 15.0), 0.60  # least a* and b*, luma
WARM, WARM_BELOW = (6.0, 8.0), 0.65  # from here on it may be the sun, or not


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Facts about one picture from measurements, without looking at it."""

    frame_id: str
    file: str | None
    characters: tuple[str, ...]  # names, the largest subject first, each once
    num_unknown: int  # faces that nobody is known to own
    shot_size: str | None  # close-up, medium, wide; None without a subject
    place: str | None  # "place-003", or what a person called it
    light: str | None  # day, dusk, night; None where it is not sure, or the shot is no drawing
    motion: str  # static, dynamic
    subjects: tuple[tuple[float, float, float, float], ...]  # boxes in shares of the picture
    colours: tuple[str, ...] = ()  # of the background; filled by who opens the picture
    centres: tuple[float, ...] = ()  # of `characters`, from left to right in [0, 1]
    place_name: str | None = None  # what a person called the place
    num_unsure: int = 0  # faces in `num_unknown` that a viewer may not see
    # In words of `statement`, empty where they are not sure:
    view: str = ""  # this and the next two only where the subject is alone
    clothes: str = ""
    beside: str = ""
    lighting: str = ""  # photographed and rendered shots only


def gather(
    quality: pl.DataFrame,
    frame: pl.DataFrame,
    shot: pl.DataFrame,
    label: pl.DataFrame,
    cluster: pl.DataFrame,
    face: pl.DataFrame | None = None,
    region: pl.DataFrame | None = None,
    shot_medium: pl.DataFrame | None = None,
) -> list[Facts]:
    """Join the tables into one `Facts` for each kept picture, in order of `frame_id`.

    Parameters
    ----------
    quality, frame, shot, label, cluster : pl.DataFrame
        Tables of one film as `bunny.table.schema` declares them.
    face, region, shot_medium : pl.DataFrame, optional
        Without them nothing is known of views, clothes and backgrounds, and every shot counts as
        drawn.
    """
    places = cluster.filter(pl.col("level") == "scene").select(
        frame_id="item_id", scene_id="cluster_id"
    )
    rows = (
        quality.filter(pl.col("is_kept"))
        .select("frame_id", *LIGHT_COLUMNS)
        .join(frame.drop("reason", "error"), on="frame_id")
        .join(shot.select("shot_index", "kind"), on="shot_index", how="left")
        .join(places, on="frame_id", how="left")
        .sort("frame_id")
    )
    drawn = drawn_shots(shot_medium)
    labels: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in label.sort("subject_id").iter_rows(named=True):
        labels[row["frame_id"]].append(row)
    measured = subject_measures(face, region)
    return [
        _with_statements(_facts(row, own := labels[row["frame_id"]]), row, own, measured, drawn)
        for row in rows.iter_rows(named=True)
    ]


def subject_measures(
    face: pl.DataFrame | None, region: pl.DataFrame | None
) -> dict[str, dict[str, Any]]:
    """Measures that statements about a subject rest on, by its id in table `label`."""
    found: dict[str, dict[str, Any]] = {}
    if face is not None:
        found |= {row["face_id"]: row for row in face.select(FACE_MEASURES).iter_rows(named=True)}
    if region is not None:
        columns = region.select("region_id", "beside_lab")
        found |= {row["region_id"]: row for row in columns.iter_rows(named=True)}
    return found


def drawn_shots(shot_medium: pl.DataFrame | None) -> set[int] | None:
    """Shots that are drawn; None: all."""
    return None if shot_medium is None else set(shot_medium.filter("is_drawn")["shot_index"])


def subject_statements(measure: dict[str, Any] | None) -> dict[str, str]:
    """View, clothes and what is beside a subject, from a row of `subject_measures`."""
    row = measure or {}
    return {
        "view": statement.view_words(
            *(row.get(name) for name in ("landmark", "score", "pitch", "brightness"))
        ),
        "clothes": statement.clothes_words(row.get("clothes_lab"), row.get("brightness")),
        "beside": statement.beside_words(row.get("beside_lab")),
    }


def shot_size(subject_type: str, height_share: float) -> str:
    """Name the framing of a subject.

    Parameters
    ----------
    subject_type : {"face", "region"}
        A face, or a window around a whole figure.
    height_share : float
        Height of its box over the picture's, in [0, 1].

    Returns
    -------
    {"close-up", "medium", "wide"}
    """
    least = FACE_SHARE if subject_type == "face" else REGION_SHARE
    if height_share >= least["close-up"]:
        return "close-up"
    return "medium" if height_share >= least["medium"] else "wide"


def light_word(
    brightness: float | None,
    cast_red: float | None = None,
    cast_yellow: float | None = None,
    *,
    is_close_up: bool = False,
) -> str | None:
    """Name the light of a picture, or None where its measures do not tell.

    Parameters
    ----------
    brightness : float or None
        Mean BT.709 luma in [0, 1]; None is not measured.
    cast_red, cast_yellow : float or None
        Mean CIELAB a* and b*; None counts as neutral.
    is_close_up : bool
        Whether one subject fills the picture, so that its own colour is most of the cast.

    Returns
    -------
    {"day", "dusk", "night"} or None

    Examples
    --------
    >>> light_word(0.6), light_word(0.4, 3, -12), light_word(0.5, 14, 22), light_word(0.3)
    ('day', 'night', 'dusk', None)
    """
    if brightness is None:
        return None
    red, yellow = cast_red or 0.0, cast_yellow or 0.0
    if brightness < DARK_BELOW:
        return "night" if yellow < WARM_FROM else None
    if brightness < DAY_FROM and yellow <= BLUE_UP_TO:
        return "night"
    if brightness < LOW_SUN_BELOW and red >= LOW_SUN[0] and yellow >= LOW_SUN[1]:
        return None if is_close_up else "dusk"
    is_warm = brightness < WARM_BELOW and red >= WARM[0] and yellow >= WARM[1]
    return "day" if brightness >= DAY_FROM and not is_warm else None


def _facts(row: dict[str, Any], labels: list[dict[str, Any]]) -> Facts:
    """Facts of one picture from its joined row and its labels."""
    seen = [s for s in labels if s["character"] is not None or s["subject_type"] == "face"]
    seen.sort(key=lambda s: -_figure_height(s))
    named = [s["character"] for s in seen if s["character"] is not None]
    height, width = row["height_px"] or 1, row["width_px"] or 1
    first = {s["character"]: s for s in reversed(seen) if s["character"] is not None}
    scene = row["scene_id"]
    is_named = scene is not None and not MACHINE_SCENE.fullmatch(scene)
    largest = seen[0] if seen else None
    size = None
    if largest is not None:
        height_share = (largest["y1_px"] - largest["y0_px"]) / height
        size = shot_size(largest["subject_type"], height_share)
    return Facts(
        frame_id=row["frame_id"],
        file=row["file"],
        characters=tuple(dict.fromkeys(named)),
        num_unknown=len(seen) - len(named),
        shot_size=size,
        place=scene if is_named or scene is None else scene.replace("scene", "place"),
        light=light_word(*(row[name] for name in LIGHT_COLUMNS), is_close_up=size == "close-up"),
        motion=row["kind"] or "static",
        subjects=tuple(_body(s, width, height) for s in seen),
        centres=tuple(_centre(first[name], width) for name in dict.fromkeys(named)),
        place_name=scene if is_named else None,
    )


def _with_statements(
    facts: Facts,
    row: dict[str, Any],
    labels: list[dict[str, Any]],
    measured: dict[str, dict[str, Any]],
    drawn: set[int] | None,
) -> Facts:
    """The facts with what is surely said of them."""
    unknown = [s for s in labels if s["character"] is None and s["subject_type"] == "face"]
    more: dict[str, Any] = {"num_unsure": sum(not is_seen(s, measured) for s in unknown)}
    if drawn is not None and row["shot_index"] not in drawn:
        more["light"] = None
        is_close_up = facts.shot_size == "close-up"
        more["lighting"] = statement.light_words(
            *(row[name] for name in LIGHT_COLUMNS), is_close_up=is_close_up
        )
    if len(facts.characters) == 1 and not unknown:
        (own, *_) = sorted(
            (s for s in labels if s["character"] is not None), key=lambda s: -_figure_height(s)
        )
        more |= subject_statements(measured.get(own["subject_id"]))
    return replace(facts, **more)


def is_seen(label: dict[str, Any], measured: dict[str, dict[str, Any]]) -> bool:
    """Whether a viewer surely sees the face of a label; true where it was not measured."""
    row = measured.get(label["subject_id"])
    return row is None or statement.is_visible(row.get("score"), row.get("brightness"))


def _centre(subject: dict[str, Any], width: int) -> float:
    """Where the middle of a box lies between the picture's left and right edge."""
    return (subject["x0_px"] + subject["x1_px"]) / 2 / width


def _figure_height(subject: dict[str, Any]) -> float:
    """Height of the figure in pixels, guessed as seven faces where only a face is known."""
    height = subject["y1_px"] - subject["y0_px"]
    return height * 7 if subject["subject_type"] == "face" else height


def _body(subject: dict[str, Any], width: int, height: int) -> Box:
    """Box of the whole figure in shares."""
    box = tuple(subject[key] for key in BOX)
    return figure_box(box, (width, height), is_face=subject["subject_type"] == "face")


def figure_box(box: Box, size: tuple[int, int], *, is_face: bool) -> Box:
    """Box of the whole figure in shares; below a face lies a body three faces wide.

    Parameters
    ----------
    box : tuple
        Of a figure or a face, in pixels.
    size : tuple
        Width and height of the picture.

    Examples
    --------
    >>> figure_box((40, 20, 60, 40), (100, 200), is_face=True)
    (0.2, 0.05, 0.8, 0.8)
    """
    x0, y0, x1, y1 = box
    if is_face:
        wide, tall = x1 - x0, y1 - y0
        x0, x1, y0, y1 = x0 - wide, x1 + wide, y0 - 0.5 * tall, y1 + 6 * tall
    return x0 / size[0], y0 / size[1], x1 / size[0], y1 / size[1]
