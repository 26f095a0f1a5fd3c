"""Face tracks: faces linked through a shot, and the quality of each view.

The frames at hand may lie seconds apart, where place alone proves little, or side by side, where it
proves much: a face joins a track when it looks alike; when it sits where the track was or was
going and does not look unlike; and, one or two frames later, even when it looks like nobody,
because it is turned away or smeared.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from bunny.character.face import recogniser as face_recogniser
from bunny.core.vector import l2_normalize
from bunny.table.box import BOX

BEST_VIEWS = 5  # that make a track's embedding
GOOD_SIZE_PX = 112.0  # recognisers see faces at this size; larger is not better
GOOD_SHARPNESS = 100.0  # variance of the Laplacian; sharper is not better
# Sharpness as the recogniser gets it, at which a face says nothing and at which it says all. Press
# photos of 5 people made smaller and softer keep their similarity to 30 (0.97 of it), have 0.7 of
# it at 10 and 0.5 at 4; two strangers out of focus reach 0.63 below 3 and 0.40 above 10.
NO_DETAIL, FULL_DETAIL = 2.0, 30.0
# When a face joins a track; similarities are on the common scale of `recogniser.to_similarity`.
ALIKE = 0.45  # joins wherever it is
NOT_UNLIKE = 0.15  # joins when it also sits in the track's place
MIN_IOU = 0.2  # of a face in the track's place
MAX_SHIFT = 0.8  # of its centre, in face heights, as the other sign of the same place
MAX_SCALE = 2.0  # ratio of heights in the same place
NEAR_FRAMES = 12  # so far a track's motion is carried on: half a second
NEAR_IOU = 0.5  # where it was expected, so soon: the place is proof enough
POOR_CLARITY = 0.5  # for a face less clear than this, whose look proves nothing
NEVER = -1e3  # a score of what may not be joined; any sum with it loses


def link_faces(
    frame_index: Sequence[int] | np.ndarray,
    box: np.ndarray,
    embedding: np.ndarray,
    recogniser: str,
    clarity: np.ndarray | None = None,
) -> np.ndarray:
    """Link the faces of one shot into tracks.

    Parameters
    ----------
    frame_index : sequence of int, length n
        Which frame each face is in.
    box : np.ndarray, shape (n, 4)
        x0 y0 x1 y1 in pixels.
    embedding : np.ndarray, shape (n, d)
        Unit length.
    recogniser : str
        Its name, for the scale.
    clarity : np.ndarray, shape (n,), optional
        From `measure_clarity`; all clear by default.

    Returns
    -------
    np.ndarray, shape (n,), int
        Track numbers from 0, in order of first appearance; faces of one frame never share one.

    Notes
    -----
    Frame by frame, the assignment with the highest sum of scores (Kuhn 1955, "The Hungarian
    method"). A track is represented by the mean of its embeddings, by its latest one, by its
    latest box, and by that box carried on at constant velocity.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import, and status needs none

    frame_index, box = np.asarray(frame_index, dtype=np.int64), np.asarray(box, dtype=np.float64)
    embedding = np.asarray(embedding, dtype=np.float32)
    poor = np.zeros(len(box), bool) if clarity is None else clarity < POOR_CLARITY
    track = np.full(len(frame_index), -1, dtype=np.int64)
    total = np.zeros_like(embedding)  # sum of a track's embeddings
    last = np.zeros(len(box), np.int64)  # its latest face
    step = np.zeros_like(box)  # motion of its box, pixels a frame
    count = 0
    order = np.argsort(frame_index, kind="stable")
    for here in np.split(order, np.flatnonzero(np.diff(frame_index[order])) + 1):
        if count and len(here):
            latest = last[:count]
            gap = frame_index[here[0]] - frame_index[latest]
            looks = _looks(embedding[here], total[:count], embedding[latest], recogniser)
            ahead = box[latest] + step[:count] * np.minimum(gap, NEAR_FRAMES)[:, None]
            is_blind = poor[here][:, None] | poor[latest][None]
            score = _score(looks, box[here], box[latest], ahead, gap, is_blind)
            for face, number in zip(*linear_sum_assignment(-score), strict=True):
                if score[face, number] > NEVER:
                    one = here[face]
                    track[one] = number
                    step[number] = _motion(box, frame_index, int(last[number]), int(one))
        for one in here[track[here] < 0]:
            track[one] = count
            count += 1
        total[track[here]] += embedding[here]
        last[track[here]] = here
    return track


def view_quality(
    score: np.ndarray, yaw: np.ndarray, size_px: np.ndarray, sharpness: np.ndarray
) -> np.ndarray:
    """Quality of each face for a recogniser, in [0, 1]: confident, frontal, large, sharp."""
    frontal = 1 - 0.7 * np.abs(np.nan_to_num(np.asarray(yaw, dtype=np.float32), nan=1.0))
    large = np.clip(np.asarray(size_px) / GOOD_SIZE_PX, 0, 1)
    sharp = np.clip(np.nan_to_num(np.asarray(sharpness)) / GOOD_SHARPNESS, 0.1, 1) ** 0.5
    return np.clip(score, 0, 1) * frontal * large * sharp


def measure_clarity(size_px: np.ndarray, sharpness: np.ndarray) -> np.ndarray:
    """Clarity of a face for a recogniser, in [0, 1]; 0 is too blurred to tell apart from others.

    Parameters
    ----------
    size_px : np.ndarray, shape (n,)
        Height of the box.
    sharpness : np.ndarray, shape (n,)
        Variance of the Laplacian in the box; NaN counts as 0.

    Notes
    -----
    The face is scaled to 112 pixels before it is recognised. Second derivatives change with the
    square of the scale, their variance with its fourth power; the result is on a log scale between
    `NO_DETAIL` and `FULL_DETAIL`.
    """
    scale = np.minimum(np.asarray(size_px, np.float64) / GOOD_SIZE_PX, 1.5)
    detail = np.nan_to_num(np.asarray(sharpness, np.float64)) * scale**4
    share = np.log(np.maximum(detail, 1e-6) / NO_DETAIL) / np.log(FULL_DETAIL / NO_DETAIL)
    return np.clip(share, 0, 1)


def mean_of_best(embedding: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Embedding of a track: the mean of its best views weighted by quality, of unit length.

    Parameters
    ----------
    embedding : np.ndarray, shape (n, d)
    quality : np.ndarray, shape (n,)
        From `view_quality`.

    Notes
    -----
    Of three views and more, each also counts by the square of its cosine to their mean, so that a
    view unlike the others (a hand, a smear, a wrong link) hardly counts.
    """
    best = np.argsort(-np.asarray(quality), kind="stable")[:BEST_VIEWS]
    views = np.asarray(embedding)[best]
    weight = np.maximum(np.asarray(quality)[best], 1e-3)
    mean = l2_normalize((views * weight[:, None]).sum(axis=0))
    if len(best) < 3:
        return mean
    weight = weight * np.maximum(views @ mean, 1e-3) ** 2
    return l2_normalize((views * weight[:, None]).sum(axis=0))


def overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (..., 4), one broadcast against the other; 0 when empty.

    Examples
    --------
    >>> float(overlap([0, 0, 2, 2], [1, 0, 3, 2])), overlap([[[0, 0, 1, 1]]], [[2, 2, 3, 3]]).shape
    (0.3333333333333333, (1, 1))
    """
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    low = np.maximum(one[..., :2], other[..., :2])
    high = np.minimum(one[..., 2:], other[..., 2:])
    common = np.prod(np.maximum(high - low, 0), axis=-1)
    area = [np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (one, other)]
    union = area[0] + area[1] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def _looks(face: np.ndarray, total: np.ndarray, latest: np.ndarray, recogniser: str) -> np.ndarray:
    """Similarity of faces to tracks (n, k): to their mean or their latest view."""
    mean = l2_normalize(total)
    return face_recogniser.to_similarity(np.maximum(face @ mean.T, face @ latest.T), recogniser)


def _score(looks, box, latest, ahead, gap, is_blind) -> np.ndarray:
    """How well each face continues each track (n, k); `NEVER` where it does not."""
    place = overlap(box[:, None], latest)
    near = np.where(gap <= NEAR_FRAMES, np.maximum(place, overlap(box[:, None], ahead)), place)
    in_place = _is_same_place(box, latest, near)
    sure_place = (gap <= NEAR_FRAMES)[None] & (near >= NEAR_IOU) & is_blind
    joins = (looks >= ALIKE) | (in_place & (looks >= NOT_UNLIKE))
    joins |= in_place & sure_place
    return np.where(joins, looks + 0.5 * near, NEVER)


def _is_same_place(one: np.ndarray, other: np.ndarray, iou: np.ndarray) -> np.ndarray:
    """Whether faces sit where tracks were (n, k): they overlap, or are near, at about one size."""
    heights = (one[:, 3] - one[:, 1])[:, None], (other[:, 3] - other[:, 1])[None]
    larger, smaller = np.maximum(*heights), np.maximum(np.minimum(*heights), 1e-6)
    middle = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (one, other)]
    shift = np.linalg.norm(middle[0][:, None] - middle[1][None], axis=2)
    close = (iou >= MIN_IOU) | (shift <= MAX_SHIFT * larger)
    return close & (larger <= MAX_SCALE * smaller)


def _motion(box, frame_index, before: int, after: int) -> np.ndarray:
    """Pixels a frame that a box moved; none over a gap too long to carry on."""
    gap = frame_index[after] - frame_index[before]
    return (box[after] - box[before]) / gap if gap <= NEAR_FRAMES else np.zeros(4)


def embedding_array(face: pl.DataFrame) -> np.ndarray:
    """Column `embedding` as an array (n, d), float32."""
    column = face["embedding"]
    if isinstance(column.dtype, pl.Array):
        return np.asarray(column.to_numpy(), dtype=np.float32)
    return np.array(column.to_list(), dtype=np.float32)


def link_tracks(
    face: pl.DataFrame, frame: pl.DataFrame, film_id: str
) -> tuple[pl.DataFrame, list[dict]]:
    """Follow faces through their shots.

    Parameters
    ----------
    face : pl.DataFrame
        Rows of table `face`; `track_id` is overwritten.
    frame : pl.DataFrame
        Columns `frame_id`, `frame_index`.

    Returns
    -------
    face : pl.DataFrame
        With `track_id`.
    track : list of dict
        Rows of table `track`.
    """
    face = face.drop("track_id").join(frame.select("frame_id", "frame_index"), on="frame_id")
    face = face.sort("shot_index", "frame_index", "face_id")
    track_ids: dict[str, str] = {}
    rows: list[dict] = []
    for shot in face.partition_by("shot_index", maintain_order=True):
        vector = embedding_array(shot)
        number = link_faces(
            shot["frame_index"].to_list(),
            shot.select(BOX).to_numpy(),
            vector,
            shot["recogniser"][0],
            clarity=measure_clarity(shot["size_px"].to_numpy(), shot["sharpness"].to_numpy()),
        )
        quality = view_quality(
            *(shot[c].to_numpy() for c in ("score", "yaw", "size_px", "sharpness"))
        )
        for k in range(number.max() + 1):
            own = np.flatnonzero(number == k)
            track_id = f"{film_id}-t{len(rows):05d}"
            rows.append(_track_row(track_id, shot[own], vector[own], quality[own]))
            track_ids |= dict.fromkeys(shot["face_id"].gather(own).to_list(), track_id)
    ids = pl.Series("track_id", [track_ids[i] for i in face["face_id"]], dtype=pl.String)
    return face.drop("frame_index").with_columns(ids), rows


def _track_row(track_id: str, faces: pl.DataFrame, vector: np.ndarray, quality: np.ndarray) -> dict:
    return {
        "track_id": track_id,
        "shot_index": faces["shot_index"][0],
        "first_frame_index": faces["frame_index"].min(),
        "last_frame_index": faces["frame_index"].max(),
        "num_faces": faces.height,
        "best_face_id": faces["face_id"][int(np.argmax(quality))],
        "embedding": mean_of_best(vector, quality),
    }
