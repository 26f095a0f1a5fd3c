"""Tables of fine-tunes, adapters, evaluations and generated pictures."""

import dataframely as dy

from bunny.table.schema.path_column import IS_PATH


class TrainingRun(dy.Schema):
    """One fine-tune."""

    run_id = dy.String(primary_key=True, metadata=IS_PATH)
    character = dy.String()
    trigger = dy.String()
    base_model = dy.String()
    base_hash = dy.String(nullable=True)
    base_licence = dy.String(nullable=True)
    config_json = dy.String()
    seed = dy.Int64()
    num_images = dy.Int32(min=0)
    num_held_out = dy.Int32(min=0)
    num_steps = dy.Int32(min=0)
    seconds = dy.Float64(min=0)
    loss_first = dy.Float32(nullable=True)  # mean of the first tenth of the steps
    loss_last = dy.Float32(nullable=True)
    held_out_loss_first = dy.Float32(nullable=True)  # fixed noise and times, before training
    held_out_loss_last = dy.Float32(nullable=True)
    adapter_file = dy.String(nullable=True, metadata=IS_PATH)  # relative to the checkpoint folder
    adapter_hash = dy.String(nullable=True)
    status = dy.Enum(["done", "failed", "stopped"])
    error = dy.String(nullable=True)


class TrainingStep(dy.Schema):
    """The loss curve."""

    run_id = dy.String(primary_key=True, metadata=IS_PATH)
    step = dy.Int32(primary_key=True, min=0)
    loss = dy.Float32(nullable=True)
    held_out_loss = dy.Float32(nullable=True)
    learning_rate = dy.Float64(nullable=True)
    probe_loss = dy.Float32(nullable=True)  # on training pictures, at fixed noise and times


class Adapter(dy.Schema):
    """One checkpoint of a fine-tune as an adapter that can be loaded."""

    run_id = dy.String(primary_key=True, metadata=IS_PATH)
    step = dy.Int32(primary_key=True, min=0)
    character = dy.String()
    file = dy.String(metadata=IS_PATH)  # relative to the checkpoint folder
    hash = dy.String()
    held_out_loss = dy.Float32(nullable=True)
    is_last = dy.Bool()


PROMPT_SET = ["choose", "report", "class", "pair", "other", "real"]


class Evaluation(dy.Schema):
    """What was measured on a checkpoint's drawings, one number a row, with its interval."""

    run_id = dy.String(primary_key=True, metadata=IS_PATH)
    character = dy.String(primary_key=True)  # whom the pictures were asked to show
    step = dy.Int32(primary_key=True, min=0)  # 0: the base alone
    # choose: checkpoints are chosen by these; report: figures to go by; class: the class word
    # alone; pair: with another character; other: another character alone; real: the film's own
    prompt_set = dy.Enum(PROMPT_SET, primary_key=True)
    metric = dy.String(primary_key=True)  # see `evaluation.run_metric`
    about = dy.String(primary_key=True)  # a prompt, or whom it was taken for; "": all of them
    value = dy.Float64(nullable=True)
    low = dy.Float64(nullable=True)  # 95 % interval: bootstrap over prompts and seeds, or Wilson
    high = dy.Float64(nullable=True)
    n = dy.Int32(min=0)  # pictures behind it


class EvaluationPicture(dy.Schema):
    """One picture drawn for the evaluation, or one of the film (real), with what was seen in it."""

    picture_id = dy.String(primary_key=True)
    run_id = dy.String(metadata=IS_PATH)
    character = dy.String()  # whom it was asked to show, or shows
    step = dy.Int32(min=0)  # 0: the base alone
    prompt_set = dy.Enum(PROMPT_SET)
    prompt = dy.String(nullable=True)  # null of real ones
    seed = dy.Int64(nullable=True)
    file = dy.String(nullable=True, metadata=IS_PATH)
    likeness = dy.Float32(nullable=True)  # the recogniser's score; null: no face was found
    identity = dy.Float32(nullable=True)  # score where 0 is a stranger, 1 the character itself
    is_somebody = dy.Bool(nullable=True)  # a face was found; null: not asked
    recognised = dy.String(nullable=True)  # as whom; nobody, unknown
    agreement = dy.Float32(nullable=True)  # with its prompt
    nearest = dy.Float32(nullable=True)  # cosine to the most similar training picture
    nearest_id = dy.String(nullable=True)  # that picture's image_id
    is_copy = dy.Bool(nullable=True)
    num_alike = dy.Int32(nullable=True)  # separate places that look like the run's character
    error = dy.String(nullable=True)


class Picture(dy.Schema):
    """One drawn picture with all that is needed to draw it again."""

    picture_id = dy.String(primary_key=True)
    run_id = dy.String(nullable=True, metadata=IS_PATH)
    character = dy.String(nullable=True)
    file = dy.String(nullable=True, metadata=IS_PATH)
    prompt = dy.String()
    negative_prompt = dy.String(nullable=True)
    seed = dy.Int64()
    num_steps = dy.Int32(min=1)
    guidance_scale = dy.Float32(min=0)
    width_px = dy.Int32(min=1)
    height_px = dy.Int32(min=1)
    base_model = dy.String()
    adapter_file = dy.String(nullable=True, metadata=IS_PATH)  # null: the base alone
    adapter_hash = dy.String(nullable=True)
    step = dy.Int32(nullable=True, min=0)  # of the checkpoint
    strength = dy.Float32(nullable=True, min=0)  # of the adapter
    blend = dy.String(nullable=True)  # JSON: further adapters with file, hash and strength
    scheduler = dy.String(nullable=True)  # diffusers' class
    init_frame = dy.String(nullable=True)  # the frame_id that drawing started from
    init_strength = dy.Float32(nullable=True, min=0, max=1)
    is_flagged = dy.Bool(nullable=True)  # by the safety checker; null: it was not asked
    similarity = dy.Float32(nullable=True)  # to held-out pictures of the character
    error = dy.String(nullable=True)
