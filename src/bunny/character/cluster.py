"""Who the unknown people are among themselves: person-01, person-02, and those seen only once.

Two people under one name spoil a training set, one person under two names is mended by a click, so
groups are split in doubt.
"""

import numpy as np

from bunny.character import embed

NOISE = -1


def group_unknown(
    embedding: np.ndarray, num_faces: np.ndarray, recogniser: str, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Group tracks of unknown faces.

    Parameters
    ----------
    embedding : np.ndarray, shape (n, d)
        One unit vector a track.
    num_faces : np.ndarray, shape (n,)
        Faces of each track.
    recogniser : str
        Its name, for the scale.
    threshold : float
        Cosine to the group's centroid that its members have on average, in [0, 1].

    Returns
    -------
    group : np.ndarray, shape (n,), int
        From 0, the group with most faces first; `NOISE` for a lone track of one face.
    similarity : np.ndarray, shape (n,), float32
        To the group's centroid, on the common scale; 0 for noise.

    Notes
    -----
    Average linkage on pairwise similarity, cut at `threshold` squared: in a large group whose pairs
    have mean cosine c, a member's cosine to the centroid is the square root of c. With the default
    0.75 pairs must agree to 0.56, well above strangers (below 0.31) on film.
    """
    count = len(embedding)
    if not count:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    embedding, num_faces = np.asarray(embedding, np.float32), np.asarray(num_faces)
    raw = _link(embed.to_similarity(embedding @ embedding.T, recogniser), threshold**2)
    group = np.full(count, NOISE, dtype=np.int64)
    similarity = np.zeros(count, dtype=np.float32)
    members = [np.flatnonzero(raw == k) for k in np.unique(raw)]
    members = [own for own in members if num_faces[own].sum() > 1]
    members.sort(key=lambda own: (-int(num_faces[own].sum()), int(own[0])))
    for number, own in enumerate(members):
        centroid = embed.to_unit(embedding[own].sum(axis=0))
        group[own] = number
        similarity[own] = embed.to_similarity(embedding[own] @ centroid, recogniser)
    return group, similarity


def _link(similarity: np.ndarray, least: float) -> np.ndarray:
    """Average linkage down to a least mean similarity; group numbers without order."""
    if len(similarity) == 1:
        return np.zeros(1, dtype=np.int64)
    from sklearn.cluster import AgglomerativeClustering

    distance = np.clip(1 - (similarity + similarity.T) / 2, 0, 2)
    np.fill_diagonal(distance, 0)
    linkage = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="average", distance_threshold=1 - least
    )
    return linkage.fit_predict(distance)
