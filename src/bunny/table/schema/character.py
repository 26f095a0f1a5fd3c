"""Tables of faces, tracks, drawn figures, references, labels, scene vectors and clusters."""

import dataframely as dy

from bunny.table.schema.path_column import IS_PATH


class Face(dy.Schema):
    """One detected face with its embedding."""

    face_id = dy.String(primary_key=True)  # "<frame_id>-f<index>"
    frame_id = dy.String()
    shot_index = dy.Int32(min=0)
    x0_px = dy.Float32()
    y0_px = dy.Float32()
    x1_px = dy.Float32()
    y1_px = dy.Float32()
    detector = dy.String()
    score = dy.Float32(min=0)
    landmark = dy.Any()  # Array(Float32, 10): right eye, left eye, nose, mouth corners
    yaw = dy.Float32(min=-1, max=1, nullable=True)  # -1 and 1 are profiles, 0 is frontal
    pitch = dy.Float32(min=-1, max=1, nullable=True)  # 0 level, 1 looking down, -1 up
    mouth = dy.Float32(min=0, nullable=True)  # width of the mouth over the distance of the eyes
    size_px = dy.Float32(min=0)  # height of the box
    sharpness = dy.Float32(min=0, nullable=True)  # variance of the Laplacian in the box
    brightness = dy.Float32(min=0, max=1, nullable=True)  # mean luma in the box
    # Median L*, a*, b* and the share of pixels near them; see `character.appearance`.
    clothes_lab = dy.Array(dy.Float32(nullable=True), 4, nullable=True)  # under the face
    beside_lab = dy.Array(dy.Float32(nullable=True), 4, nullable=True)  # on both sides of the head
    recogniser = dy.String(nullable=True)
    embedding = dy.Any()  # Array(Float32, d), unit length
    track_id = dy.String(nullable=True)
    error = dy.String(nullable=True)


class DrawnFace(dy.Schema):
    """One face that was detected in a drawn shot; it has no embedding and is never named."""

    face_id = dy.String(primary_key=True)  # "<frame_id>-f<index>"
    frame_id = dy.String()
    shot_index = dy.Int32(min=0)
    x0_px = dy.Float32()
    y0_px = dy.Float32()
    x1_px = dy.Float32()
    y1_px = dy.Float32()
    detector = dy.String()
    score = dy.Float32(min=0)
    size_px = dy.Float32(min=0)  # height of the box


class FrameMedium(dy.Schema):
    """How drawn a frame that its shot is judged by looks; see `character.drawn.medium`."""

    frame_id = dy.String(primary_key=True)
    shot_index = dy.Int32(min=0)
    drawn_logit = dy.Float32(nullable=True)  # above 0 drawn; null: the picture could not be read


class ShotMedium(dy.Schema):
    """Whether a shot is drawn, or photographed or rendered."""

    shot_index = dy.Int32(min=0, primary_key=True)
    num_frames = dy.Int32(min=0)  # it was judged by; 0: by the rest of the film
    drawn_logit = dy.Float32(nullable=True)  # mean of its frames
    drawn_probability = dy.Float32(min=0, max=1)  # after the rest of the film was heard
    is_drawn = dy.Bool()


class Track(dy.Schema):
    """One face followed through a shot."""

    track_id = dy.String(primary_key=True)  # "<film_id>-t<index>"
    shot_index = dy.Int32(min=0)
    first_frame_index = dy.Int64(min=0)
    last_frame_index = dy.Int64(min=0)
    num_faces = dy.Int32(min=1)
    best_face_id = dy.String()
    embedding = dy.Any()


class Region(dy.Schema):
    """The best window of a frame for one drawn or animal character."""

    region_id = dy.String(primary_key=True)  # "<frame_id>-r<index>"
    frame_id = dy.String()
    shot_index = dy.Int32(min=0)
    candidate = dy.String()  # the character whose reference it was compared with
    x0_px = dy.Float32()
    y0_px = dy.Float32()
    x1_px = dy.Float32()
    y1_px = dy.Float32()
    # To the nearest reference picture: centred cosine, or `ccip.to_similarity` where CCIP compared.
    similarity = dy.Float32(min=-1, max=1)
    margin = dy.Float32()  # similarity minus the best other candidate's at the same window
    support = dy.Float32(nullable=True)  # half similarity, half its mean over the shot's frames
    track_id = dy.String(nullable=True)  # one figure followed through its shot
    model = dy.String()
    licence = dy.String(nullable=True)  # of the model's weights, by their cards
    # Median L*, a*, b* of what is seen on both sides, and the share of pixels near them.
    beside_lab = dy.Array(dy.Float32(nullable=True), 4, nullable=True)


class Figure(dy.Schema):
    """One drawn figure that was found in a frame, whoever it is."""

    figure_id = dy.String(primary_key=True)  # "<frame_id>-g<index>"
    frame_id = dy.String()
    shot_index = dy.Int32(min=0)
    x0_px = dy.Float32()
    y0_px = dy.Float32()
    x1_px = dy.Float32()
    y1_px = dy.Float32()
    objectness = dy.Float32(min=0, max=1)  # that there is a figure at all
    embedding = dy.Any()  # Array(Float32, d), unit length
    track_id = dy.String(nullable=True)  # one figure followed through its shot
    kind = dy.Enum(["head", "bust", "full"], nullable=True)
    source = dy.Enum(["window", "motion", "segment", "face"])  # what proposed its box
    candidate = dy.String(nullable=True)  # the character that it is most like
    similarity = dy.Float32(min=-1, max=1, nullable=True)  # to that character's references
    margin = dy.Float32(nullable=True)  # to the second best character
    score = dy.Float32(nullable=True)  # normalised; positive speaks for the candidate
    model = dy.String()  # what made the embedding
    # Median L*, a*, b* of what is seen on both sides, and the share of pixels near them.
    beside_lab = dy.Array(dy.Float32(nullable=True), 4, nullable=True)
    error = dy.String(nullable=True)


class Label(dy.Schema):
    """Who a face or a region is; `character` null means unknown."""

    subject_id = dy.String(primary_key=True)  # a face_id, a region_id or a figure_id
    subject_type = dy.Enum(["face", "region"])
    character = dy.String(nullable=True)
    frame_id = dy.String()
    shot_index = dy.Int32(min=0)
    x0_px = dy.Float32()
    y0_px = dy.Float32()
    x1_px = dy.Float32()
    y1_px = dy.Float32()
    distance = dy.Float32(nullable=True, min=0)  # 1 - cosine similarity to the nearest reference
    margin = dy.Float32(nullable=True)  # to the second best character
    confidence = dy.Float32(min=0, max=1)
    source = dy.Enum(["reference", "cluster", "model", "person"])


class Pair(dy.Schema):
    """Two faces of a film of which it is known for nothing whether they are one person."""

    pair_id = dy.String(primary_key=True)  # "<face_id>+<face_id>"
    kind = dy.Enum(["same-track", "same-frame"])  # one person; two people
    one_id = dy.String()
    other_id = dy.String()
    similarity = dy.Float32(min=-1, max=1)  # on the common scale
    adapted_similarity = dy.Float32(min=-1, max=1, nullable=True)


class Calibration(dy.Schema):
    """The threshold that holds for a film and what it rests on."""

    route = dy.Enum(["face", "region"], primary_key=True)
    threshold = dy.Float32(min=-1, max=2)
    source = dy.Enum(["film", "settings"])  # measured on the film's own pairs, or as configured
    num_same = dy.Int64(min=0)
    num_different = dy.Int64(min=0)
    separation = dy.Float32(nullable=True)  # of held-out pairs, before adaptation
    adapted_separation = dy.Float32(nullable=True)  # and after it
    is_adapted = dy.Bool()
    note = dy.String(nullable=True)


class Reference(dy.Schema):
    """One reference picture and what it gave."""

    reference_id = dy.String(primary_key=True, metadata=IS_PATH)  # "<character>/<file>"
    character = dy.String()
    content_hash = dy.String()
    route = dy.Enum(["face", "region"])  # a face was found, or the whole picture is the subject
    drawn_probability = dy.Float32(min=0, max=1, nullable=True)  # null: not looked at
    is_drawn = dy.Bool(nullable=True)
    num_faces = dy.Int32(min=0)
    recogniser = dy.String(nullable=True)
    face_embedding = dy.Any()
    picture_embedding = dy.Any()
    error = dy.String(nullable=True)


class Embedding(dy.Schema):
    """Scene vector of a frame."""

    frame_id = dy.String(primary_key=True)
    model = dy.String(primary_key=True)
    vector = dy.Any()
    error = dy.String(nullable=True)


class ClusterSchema(dy.Schema):
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
