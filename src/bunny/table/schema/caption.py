"""The words of a frame, and vectors that words and pictures are found by."""

import dataframely as dy


class Caption(dy.Schema):
    """The words of a frame."""

    frame_id = dy.String(primary_key=True)
    version = dy.Int32(primary_key=True, min=1)
    text = dy.String(nullable=True)
    tags = dy.List(dy.String(), nullable=True)
    characters = dy.List(dy.String(), nullable=True)
    provider = dy.String()
    model = dy.String(nullable=True)
    prompt_hash = dy.String(nullable=True)
    input_tokens = dy.Int64(nullable=True, min=0)
    output_tokens = dy.Int64(nullable=True, min=0)
    cost_usd = dy.Float64(nullable=True, min=0)
    status = dy.Enum(["done", "failed", "refused"])
    error = dy.String(nullable=True)
    note = dy.String(nullable=True)  # what was mended or is odd, e.g. a trigger word put in front


class SearchVector(dy.Schema):
    """Vector of a sentence or a picture for search, filed under what it was made from."""

    content_id = dy.String(primary_key=True)  # 32 hex digits of a SHA-256
    model = dy.String()
    vector = dy.Any()  # Array(Float32, d), unit length
