"""Clusters of unknown people (person-01, ...): constrained agglomerative clustering or HDBSCAN.

Two people under one name spoil a training set, one person under two names is mended by a click, so
groups are split in doubt: two faces of one frame are never one person, smears need more likeness
than clear faces, and a group holds together on average, not by a chain.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from bunny.character import calibrate, track
from bunny.character.face import recogniser as face_recogniser
from bunny.core.vector import l2_normalize

NOISE = -1
CLEAR = 0.5  # clarity from which a face seen once is still a person
SMEAR_STEP = 0.25  # more likeness is asked of two smears: strangers out of focus reach 0.63
FAR = 1e6  # distance of two that may not be joined; any mean with it is too large
NOBODY = np.empty(0, np.int64)
NO_GROUPS = (NOBODY, np.empty(0, np.float32))  # as `group_unknown` gives them for no track
MAX_LINKED = 4000  # tracks that are linked with all others; the rest join a group or stay alone


@dataclass(frozen=True, kw_only=True)
class UnknownTracks:
    """Tracks of unknown faces or figures.

    Parameters
    ----------
    embedding : np.ndarray, shape (n, d)
        One unit vector a track.
    num_faces : np.ndarray, shape (n,)
        Faces of each track.
    recogniser : str
        Its name, for the scale.
    clarity : np.ndarray, shape (n,), optional
        From `track.measure_clarity`, of each track's clearest face. Where it is not known, no
        likeness more is asked, and a face seen once is noise.
    apart : np.ndarray, shape (p, 2), int, optional
        Tracks that are two people. More alike than a `twin` they may be one in a mirror.
    is_enough : np.ndarray, shape (n,), bool, optional
        Tracks that are a group even alone. By default those of two faces and more or of a clear
        one.
    """

    embedding: np.ndarray
    num_faces: np.ndarray
    recogniser: str
    clarity: np.ndarray | None = None
    apart: np.ndarray | None = None
    is_enough: np.ndarray | None = None


def group_faces(
    face: pl.DataFrame, *, threshold: float, method: str = "agglomerative"
) -> pl.DataFrame:
    """Group faces by their tracks.

    Parameters
    ----------
    face : pl.DataFrame
        Rows of table `face` with `track_id` and an embedding.
    threshold, method
        As for `group_unknown`.

    Returns
    -------
    pl.DataFrame
        `face_id`, `shot_index`, `group` (from 0, `NOISE` for none), `similarity` (null for noise),
        one row a face, in order of `track_id` and `face_id`.
    """
    face = face.sort("track_id", "face_id")
    if not face.height:
        return join_groups(face, "face_id", NOBODY, *NO_GROUPS)
    number = face["track_id"].rle_id().to_numpy().astype(np.int64)
    counts = np.bincount(number)
    vector, starts = track.embedding_array(face), np.r_[0, np.cumsum(counts)]
    size, sharpness = face["size_px"].to_numpy(), face["sharpness"].to_numpy()
    quality = track.view_quality(face["score"].to_numpy(), face["yaw"].to_numpy(), size, sharpness)
    clarity = np.zeros(len(counts))
    np.maximum.at(clarity, number, track.measure_clarity(size, sharpness))
    tracks = UnknownTracks(
        embedding=track_vectors(vector, quality, starts),
        num_faces=counts,
        recogniser=face["recogniser"][0],
        clarity=clarity,
        apart=cannot_link(face["frame_id"], number),
    )
    return join_groups(face, "face_id", number, *group_unknown(tracks, threshold, method=method))


def join_groups(
    view: pl.DataFrame,
    id_column: str,
    number: np.ndarray,
    group: np.ndarray,
    similarity: np.ndarray,
) -> pl.DataFrame:
    """Give each face or figure the group of its track.

    Parameters
    ----------
    view : pl.DataFrame
        With `shot_index` and the id.
    number : np.ndarray, shape (rows,), int
        Which track each is of.
    group, similarity : np.ndarray, shape (n,)
        From `group_unknown`.

    Returns
    -------
    pl.DataFrame
        The id, `shot_index`, `group`, `similarity` (null for noise).
    """
    own = pl.Series(group[number])
    similar = pl.when(own != NOISE).then(pl.Series(similarity[number]))
    return view.select(id_column, "shot_index", group=own, similarity=similar)


def track_vectors(vector: np.ndarray, quality: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """One unit vector a track (n, d), see `track.mean_of_best`.

    Parameters
    ----------
    vector : np.ndarray, shape (m, d)
        Of views, by track.
    quality : np.ndarray, shape (m,)
    starts : np.ndarray, shape (n + 1,), int
        Where each track's views begin and the last one's end.
    """
    spans = [slice(a, b) for a, b in pairwise(starts)]
    return np.stack([track.mean_of_best(vector[own], quality[own]) for own in spans])


def cannot_link(frame_id: pl.Series, number: np.ndarray) -> np.ndarray:
    """Pairs (p, 2) of tracks that are seen in one frame, each once, the lower number first."""
    seen = pl.DataFrame({"frame_id": frame_id, "number": number})
    both = seen.join(seen, on="frame_id", suffix="_other")
    both = both.filter(pl.col("number") < pl.col("number_other"))
    rows = both.select("number", "number_other").unique().sort("number", "number_other")
    return rows.to_numpy().astype(np.int64)


def group_unknown(
    tracks: UnknownTracks,
    threshold: float,
    *,
    method: str = "agglomerative",
    twin: float = calibrate.TWIN,
) -> tuple[np.ndarray, np.ndarray]:
    """Group tracks of unknown faces or figures.

    Parameters
    ----------
    threshold : float
        Cosine to the group's centroid that its members have on average, in [0, 1].
    method : {"agglomerative", "hdbscan"}
    twin : float
        Similarity; above 1 there are no mirrors.

    Returns
    -------
    group : np.ndarray, shape (n,), int
        From 0, the group with most faces first; `NOISE` for a lone face that is not clear.
    similarity : np.ndarray, shape (n,), float32
        To the group's centroid, on the common scale; 0 for noise.

    Raises
    ------
    ValueError
        If there is no such method.

    Notes
    -----
    Average linkage on pairwise similarity, cut at `threshold` squared: in a large group whose pairs
    have mean cosine c, a member's cosine to the centroid is the square root of c. With the default
    0.75 pairs must agree to 0.56, well above strangers (below 0.36 where clear) on film. HDBSCAN
    (Campello et al. 2013) first parts what lies in different densities; its groups are then linked
    in the same way, because it knows neither a threshold nor who is apart.
    """
    if method not in METHOD:
        raise ValueError(f"expected one of {', '.join(METHOD)}, got {method!r}")
    count, clarity, recogniser = len(tracks.embedding), tracks.clarity, tracks.recogniser
    if not count:
        return NO_GROUPS
    embedding, num_faces = np.asarray(tracks.embedding, np.float32), np.asarray(tracks.num_faces)
    sight = np.ones(count) if clarity is None else np.asarray(clarity)
    apart = np.asarray(np.empty((0, 2)) if tracks.apart is None else tracks.apart, np.int64)
    linked = np.sort(np.argsort(-num_faces, kind="stable")[:MAX_LINKED])
    raw = np.full(count, NOISE, dtype=np.int64)
    distance = _distances(embedding, sight, apart, linked, recogniser, twin)
    raw[linked] = METHOD[method](distance, 1 - threshold**2)
    _join_rest(raw, embedding, apart, recogniser, threshold)
    is_enough = tracks.is_enough
    if is_enough is None:
        is_enough = (num_faces > 1) | ((sight >= CLEAR) & (clarity is not None))
    return _order(raw, embedding, num_faces, is_enough, recogniser)


def _distances(embedding, clarity, apart, rows, recogniser, twin) -> np.ndarray:
    """Pairwise distances of some tracks, about in [0, 2], or `FAR`; two smears lie further."""
    distance = 1 - face_recogniser.to_similarity(embedding[rows] @ embedding[rows].T, recogniser)
    place = np.full(len(embedding), -1)
    place[rows] = np.arange(len(rows))
    one, other = place[apart].T if len(apart) else np.empty((2, 0), np.int64)
    is_here = (one >= 0) & (other >= 0)
    one, other = one[is_here], other[is_here]
    is_two = 1 - distance[one, other] <= twin
    smear = (1 - np.minimum(clarity[rows] / CLEAR, 1)).astype(np.float32)
    poor = np.flatnonzero(smear)
    distance[np.ix_(poor, poor)] += SMEAR_STEP * np.minimum(smear[poor][:, None], smear[poor])
    distance[one[is_two], other[is_two]] = distance[other[is_two], one[is_two]] = FAR
    np.fill_diagonal(distance, 0)
    return distance


def _link(distance: np.ndarray, most: float) -> np.ndarray:
    """Average linkage up to a mean distance; group numbers without order."""
    if len(distance) == 1:
        return np.zeros(1, dtype=np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    tree = linkage(squareform(distance, checks=False), "average")
    return fcluster(tree, most, "distance").astype(np.int64)


def _link_dense(distance: np.ndarray, most: float) -> np.ndarray:
    """HDBSCAN down to the cut, then `_link` inside each group; `NOISE` is left to `_join_rest`."""
    if len(distance) < 3:
        return _link(distance, most)
    from sklearn.cluster import HDBSCAN

    dense = HDBSCAN(
        min_cluster_size=2,
        min_samples=1,
        metric="precomputed",
        allow_single_cluster=True,
        copy=True,  # pyright: ignore[reportArgumentType] a boolean
    ).fit_predict(np.maximum(distance, distance.T))
    group = np.full(len(distance), NOISE, dtype=np.int64)
    following = 0
    for k in range(dense.max() + 1):
        own = np.flatnonzero(dense == k)
        _, parts = np.unique(_link(distance[np.ix_(own, own)], most), return_inverse=True)
        group[own] = following + parts
        following += int(parts.max()) + 1
    return group


METHOD = {"agglomerative": _link, "hdbscan": _link_dense}


def _join_rest(raw, embedding, apart, recogniser, threshold) -> None:
    """Put tracks that were not linked into the group they are most like on average, or alone."""
    rest = np.flatnonzero(raw == NOISE)
    if len(rest) in (0, len(raw)):
        raw[rest] = np.arange(len(rest))
        return
    groups, number = np.unique(raw[raw != NOISE], return_inverse=True)
    total = np.zeros((len(groups), embedding.shape[1]), np.float32)
    np.add.at(total, number, embedding[raw != NOISE])
    mean = total / np.bincount(number)[:, None]
    others: dict[int, list[int]] = {}
    for one, other in apart:
        others.setdefault(int(one), []).append(int(other))
        others.setdefault(int(other), []).append(int(one))
    similarity = face_recogniser.to_similarity(embedding[rest] @ mean.T, recogniser)
    for row, i in zip(similarity, rest, strict=True):
        best = int(row.argmax())
        strangers = raw[others[int(i)]] if int(i) in others else ()
        is_one = row[best] >= threshold**2 and groups[best] not in strangers
        raw[i] = groups[best] if is_one else raw.max() + 1


def _order(raw, embedding, num_faces, is_enough, recogniser) -> tuple[np.ndarray, np.ndarray]:
    """Number groups by their faces; a track alone must be enough for a person, or is noise."""
    order = np.argsort(raw, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(raw[order])) + 1)
    members = [own for own in members if len(own) > 1 or is_enough[own[0]]]
    members.sort(key=lambda own: (-int(num_faces[own].sum()), int(own[0])))
    group = np.full(len(raw), NOISE, dtype=np.int64)
    similarity = np.zeros(len(raw), dtype=np.float32)
    for number, own in enumerate(members):
        centroid = l2_normalize(embedding[own].sum(axis=0))
        group[own] = number
        similarity[own] = face_recogniser.to_similarity(embedding[own] @ centroid, recogniser)
    return group, similarity
