"""Where a film plays: vectors of frames, clusters of them, and how far those hold."""

import dataframely as dy


class Embedding(dy.Schema):
    """Scene vector of a frame."""

    frame_id = dy.String(primary_key=True)
    model = dy.String(primary_key=True)
    vector = dy.Any()
    error = dy.String(nullable=True)


class Cluster(dy.Schema):
    """Which cluster an item is in, or the noise bucket."""

    # frame_id (scene), face_id or region_id (character), face_id or figure_id (unknown)
    item_id = dy.String(primary_key=True)
    level = dy.Enum(["scene", "character", "unknown"], primary_key=True)
    shot_index = dy.Int32(min=0)
    # "scene-003", "scene-003/anna", "person-01", "figure-01"; null: noise
    cluster_id = dy.String(nullable=True)
    scene_id = dy.String(nullable=True)
    character = dy.String(nullable=True)
    similarity = dy.Float32(min=-1, max=1, nullable=True)  # to the centroid at the time of joining
    is_noise = dy.Bool()


class Stability(dy.Schema):
    """How far groupings of the same vectors agree: by other orders, methods, samples."""

    level = dy.Enum(["scene", "unknown", "figure"], primary_key=True)  # unknown: people
    method = dy.String(primary_key=True)  # incremental, agglomerative, hdbscan
    compared_with = dy.String(primary_key=True)  # order, sample, another method
    rand_index = dy.Float32(nullable=True, min=-1, max=1)  # adjusted; mean over the runs
    lowest = dy.Float32(nullable=True, min=-1, max=1)
    num_runs = dy.Int32(min=0)
    num_clusters = dy.Int32(min=0)
