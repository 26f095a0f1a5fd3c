"""Audit of captions against the labels: missing and foreign characters, length."""

from collections.abc import Iterable, Mapping

import polars as pl

from bunny.caption.trigger import has_word

MIN_WORDS = 3
MAX_WORDS = 77  # a CLIP text encoder reads 77 tokens and drops the rest; a word is one or more


def add_triggers(text: str, triggers: Iterable[str]) -> tuple[str, list[str]]:
    """Put the trigger words that a caption lacks in front of it.

    Returns
    -------
    str
        The caption.
    list of str
        The trigger words that were put in front; empty when none was missing.
    """
    missing = [word for word in dict.fromkeys(triggers) if not has_word(text, word)]
    return ", ".join([*missing, text] if text else missing), missing


def check(caption: pl.DataFrame, triggers: Mapping[str, str]) -> pl.DataFrame:
    """Compare each finished caption with the characters of its row.

    Parameters
    ----------
    caption : pl.DataFrame
        Table `caption`; `characters` are the labelled ones.
    triggers : mapping
        Trigger word of every character of the film.

    Returns
    -------
    pl.DataFrame
        One row for each caption with status done: `frame_id`, `missing` and `foreign` (lists of
        characters: labelled but not called; called but not labelled), `num_words`, `is_short`,
        `is_long`.
    """
    rows = [
        _check_one(row, triggers)
        for row in caption.filter(pl.col("status") == "done").iter_rows(named=True)
    ]
    schema = {
        "frame_id": pl.String,
        "missing": pl.List(pl.String),
        "foreign": pl.List(pl.String),
        "num_words": pl.Int32,
        "is_short": pl.Boolean,
        "is_long": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=schema)


def count(checked: pl.DataFrame) -> dict[str, int]:
    """Number of captions with each fault, from the rows of `check`."""
    return {
        "num_captions": checked.height,
        "num_missing": checked.filter(pl.col("missing").list.len() > 0).height,
        "num_foreign": checked.filter(pl.col("foreign").list.len() > 0).height,
        "num_short": int(checked["is_short"].sum()),
        "num_long": int(checked["is_long"].sum()),
    }


def _check_one(row: Mapping, triggers: Mapping[str, str]) -> dict:
    labelled = row["characters"] or []
    text = row["text"] or ""
    num_words = len(text.split())
    return {
        "frame_id": row["frame_id"],
        "missing": [n for n in labelled if not has_word(text, triggers[n])],
        "foreign": [
            name
            for name, word in triggers.items()
            if name not in labelled and (has_word(text, word) or has_word(text, name))
        ],
        "num_words": num_words,
        "is_short": num_words < MIN_WORDS,
        "is_long": num_words > MAX_WORDS,
    }
