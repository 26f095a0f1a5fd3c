"""Numbers of table rows in the words of the lines that a run and `bunny status` print."""

from collections.abc import Mapping

# One row and several; tables that only later stages read are not mentioned.
WORDS = {
    "frame": ("frame", "frames"),
    "shot": ("shot", "shots"),
    "quality": ("frame checked", "frames checked"),
    "label": ("label", "labels"),
    "face": ("face", "faces"),
    "track": ("track", "tracks"),
    "region": ("region", "regions"),
    "reference": ("reference picture", "reference pictures"),
    "extra_frame": ("extra frame", "extra frames"),
    "skipped_frame": ("skipped frame", "skipped frames"),
    "figure": ("drawn figure", "drawn figures"),
    "drawn_face": ("drawn face", "drawn faces"),
    "cluster": ("item grouped", "items grouped"),
    "asset": ("item", "items"),
    "feedback": ("correction", "corrections"),
    "caption_edit": ("edited shot caption", "edited shot captions"),
    "frame_caption_edit": ("edited picture caption", "edited picture captions"),
    "identification": ("suggestion by a model", "suggestions by a model"),
    "caption": ("caption", "captions"),
    "dataset": ("training picture", "training pictures"),
    "candidate": ("candidate", "candidates"),
    "clip": ("clip", "clips"),
    "clip_candidate": ("candidate", "candidates"),
    "clip_overlay": ("logo", "logos"),
    "training_pair": ("pair considered", "pairs considered"),
    "training_run": ("training run", "training runs"),
    "adapter": ("adapter", "adapters"),
    "evaluation": ("measurement", "measurements"),
    "evaluation_picture": ("picture", "pictures"),
    "picture": ("picture", "pictures"),
}


def plural(number: int, word: str) -> str:
    """Write a count with its word.

    Examples
    --------
    >>> plural(1, "shot"), plural(0, "shot"), plural(12000, "shot")
    ('1 shot', '0 shots', '12,000 shots')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def describe(rows: Mapping[str, int]) -> str:
    """Rows by table as a list of words without zeros.

    Parameters
    ----------
    rows : mapping of str to int
        The stage's main table first.

    Examples
    --------
    >>> describe({"label": 1240, "face": 1, "region": 0, "calibration": 1})
    '1,240 labels, 1 face'
    >>> describe({"clip": 0, "clip_candidate": 0})
    'no clips'
    """
    known = {table: number for table, number in rows.items() if table in WORDS}
    parts = [f"{number:,} {WORDS[table][number != 1]}" for table, number in known.items() if number]
    return ", ".join(parts) or (f"no {WORDS[next(iter(known))][1]}" if known else "")
