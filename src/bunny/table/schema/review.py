"""Tables of corrections and of labels, clusters and assets after them."""

from typing import Literal, get_args

import dataframely as dy

from bunny.table.schema.character import ClusterSchema, Label

EventKind = Literal[
    "assign",
    "reject",
    "merge",
    "split",
    "rename",
    "approve",
    "comment",
    "caption_edit",
    "frame_caption_edit",
    "undo",
]
Level = Literal["scene", "character"]


class LabelCorrected(Label):
    """Who a face or a region is after people corrected it; read in the stead of `label`."""


class ClusterCorrected(ClusterSchema):
    """Table `cluster` after corrections, read in its stead; a named scene goes by its name."""


class Identification(dy.Schema):
    """A doubtful face or figure, and who a model said it is that compared it with references."""

    asset_id = dy.String(primary_key=True)
    subject_id = dy.String()  # the view that was shown
    frame_id = dy.String()
    candidate = dy.String()  # the likeliest character by the embedding
    chance = dy.Float32(min=0, max=1)  # that it is the candidate, before the model was asked
    margin = dy.Float32(nullable=True)  # to the second best; null: there is no other
    choices = dy.List(dy.String())  # whose references were shown, the likeliest first
    # A character, or "none" of them; null: no answer. The same references in two orders.
    first_answer = dy.String(nullable=True)
    second_answer = dy.String(nullable=True)
    answer = dy.String(nullable=True)  # what both say; null: they differ, or one is missing
    provider = dy.String()
    model = dy.String()
    error = dy.String(nullable=True)
    input_tokens = dy.Int64(min=0, nullable=True)  # of both answers
    output_tokens = dy.Int64(min=0, nullable=True)
    cost_usd = dy.Float64(min=0, nullable=True)  # null: the price is not known


class CaptionEdit(dy.Schema):
    """Words that a person gave a shot; they outlive every captioning."""

    shot_index = dy.Int32(primary_key=True, min=0)
    text = dy.String()
    user = dy.String()


class FrameCaptionEdit(dy.Schema):
    """Words that a person gave a single picture; they go over those of its shot."""

    frame_id = dy.String(primary_key=True)
    text = dy.String()
    user = dy.String()


class Asset(dy.Schema):
    """One item of the library as people see it: where a shot plays, or who a figure in it is."""

    asset_id = dy.String(primary_key=True)  # "<film_id>-s<shot>"; a figure: its track's id
    level = dy.Enum(get_args(Level))
    shot_index = dy.Int32(min=0)
    first_frame_index = dy.Int64(min=0)  # of the shot, or where the figure was seen; half-open
    end_frame_index = dy.Int64(min=1)
    start_s = dy.Float64(nullable=True)  # the same span in time; null: only known by frames
    end_s = dy.Float64(nullable=True)
    timestamp_s = dy.Float64()  # of the picture that stands for it
    frame_id = dy.String(nullable=True)  # that picture; null: none could be made
    subject_id = dy.String(nullable=True)  # a figure's best face_id, region_id or figure_id
    x0_px = dy.Float32(nullable=True)  # a figure's box in that picture
    y0_px = dy.Float32(nullable=True)
    x1_px = dy.Float32(nullable=True)
    y1_px = dy.Float32(nullable=True)
    # Views of a figure, five numbers each: time, then the box in shares of the picture as shown.
    boxes = dy.List(dy.Float64(), nullable=True)
    cluster_id = dy.String(nullable=True)  # after corrections; null: the noise bucket
    name = dy.String(nullable=True)  # what people call that cluster; null: nobody named it
    machine_cluster_id = dy.String(nullable=True)  # before corrections
    similarity = dy.Float32(min=-1, max=1, nullable=True)  # to its cluster's centroid
    margin = dy.Float32(nullable=True)  # to the second best cluster
    doubt = dy.Float32(min=0, max=1)  # 1: look at it first; 0: a person said so
    question = dy.Int32(nullable=True, min=0)  # equal: asked together; 0 is worth most; null: none
    perhaps = dy.String(nullable=True)  # a character that a nameless drawn figure may be
    source = dy.Enum(["machine", "learned", "person"])  # who put it there
    is_approved = dy.Bool()
    rejected_from = dy.List(dy.String())  # clusters that people said it is not in
    who = dy.List(dy.String())  # characters seen in the shot, after corrections, sorted
    comments = dy.Int32(min=0)


class ShotVector(dy.Schema):
    """What shots are compared by: the unit mean of their frames' scene vectors."""

    asset_id = dy.String(primary_key=True)
    model = dy.String()
    vector = dy.Any()  # Array(Float32, d)


class FigureVector(dy.Schema):
    """What figures are compared by: the unit mean of their good views."""

    asset_id = dy.String(primary_key=True)
    model = dy.String(primary_key=True)  # faces and drawn figures differ; d is the longest,
    vector = dy.Any()  # Array(Float32, d); shorter ones end in zeros, which changes no cosine


class SubjectVector(dy.Schema):
    """Picture vector of a drawn figure's region; faces have theirs in `face`."""

    subject_id = dy.String(primary_key=True)
    model = dy.String()
    vector = dy.Any()  # Array(Float32, d), unit length
    error = dy.String(nullable=True)


class Feedback(dy.Schema):
    """The record of corrections, `feedback.jsonl`, as a table; see `review.event_log`."""

    event_id = dy.String(primary_key=True)
    time = dy.String()  # ISO 8601, UTC, microseconds
    user = dy.String()
    kind = dy.Enum(get_args(EventKind))
    level = dy.Enum(get_args(Level))
    num_items = dy.Int32(min=0)
    asset_ids = dy.List(dy.String())  # what the anchors stand for in today's tables
    cluster_id = dy.String(nullable=True)  # likewise
    text = dy.String(nullable=True)  # a name, comment or caption
    reason = dy.String(nullable=True)
    origin = dy.String()  # board, cli, propagated, database
    is_undone = dy.Bool()
    is_lost = dy.Bool()  # nothing in today's tables answers to its anchors


class TrainingFeedback(dy.Schema):
    """Pairs that corrections say are alike (1) or not (0), for metric learning."""

    anchor_id = dy.String(primary_key=True)
    positive_id = dy.String(primary_key=True)  # the item that the anchor is compared with
    label = dy.Int8(min=0, max=1)
    level = dy.Enum(get_args(Level))
    event_id = dy.String()
