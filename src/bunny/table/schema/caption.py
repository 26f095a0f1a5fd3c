"""Tables of the audit of captions."""

import dataframely as dy


class CaptionAudit(dy.Schema):
    """The newest caption of a picture, what is doubtful about it, and why."""

    frame_id = dy.String(primary_key=True)
    version = dy.Int32(min=1)
    provider = dy.String()
    text = dy.String(nullable=True)  # null: refused or failed
    doubt = dy.Float64(min=0, max=1)  # 1: look at it first; 0: nothing was found, or a person's
    rules = dy.List(dy.String())  # names of the rules that it breaks, the gravest first
    reasons = dy.List(dy.String())  # a sentence for each
    nearest_frame_id = dy.String(nullable=True)  # of another shot, whose caption is most like it
    nearest_similarity = dy.Float64(min=0, max=1, nullable=True)
    agreement = dy.Float64(min=0, max=1, nullable=True)  # of its providers; null: only one answered


class CaptionAuditWord(dy.Schema):
    """Word that a trigger word would learn by accident."""

    character = dy.String(primary_key=True)
    word = dy.String(primary_key=True)
    kind = dy.Enum(["place", "garment", "other"])
    num_pictures = dy.Int64(min=1)
    share = dy.Float64(min=0, max=1)  # of the character's captions
    share_elsewhere = dy.Float64(min=0, max=1)  # of the others, by Laplace's rule
    lift = dy.Float64(min=0)


class CaptionAuditProvider(dy.Schema):
    """Answers of a model that are kept: how many, how good, how dear and how slow."""

    provider = dy.String(primary_key=True)
    model = dy.String(primary_key=True)
    num_answers = dy.Int64(min=1)
    num_refused = dy.Int64(min=0)
    num_failed = dy.Int64(min=0)
    input_tokens = dy.Int64(min=0, nullable=True)
    output_tokens = dy.Int64(min=0, nullable=True)
    cost_usd = dy.Float64(min=0, nullable=True)  # null: not known of every answer
    latency_median_s = dy.Float64(min=0, nullable=True)
    latency_p95_s = dy.Float64(min=0, nullable=True)


class CaptionAuditPair(dy.Schema):
    """Agreement of two models on the pictures that both captioned."""

    one = dy.String(primary_key=True)  # "local seer"
    other = dy.String(primary_key=True)
    num_pictures = dy.Int64(min=1)
    agreement = dy.Float64(min=0, max=1)  # mean of the pictures'
    framing = dy.Float64(min=0, max=1, nullable=True)  # of those where both say one
    light = dy.Float64(min=0, max=1, nullable=True)
    least_frame_id = dy.String()  # the picture that they agree on least
