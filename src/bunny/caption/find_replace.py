"""Find and replace over captions: a preview of what would change, before anything is written."""

import re

import polars as pl

from bunny.core.error import UserError


def preview(caption: pl.DataFrame, old: str, new: str) -> pl.DataFrame:
    """Captions that would change, as they are and as they would read.

    Parameters
    ----------
    caption : pl.DataFrame
        `frame_id` and `text` of the selected captions; those without a text are passed over.
    old : str
        Words to find: whole words, in any case of letters, no pattern.
    new : str
        What to say instead, as it is; "" leaves the words out.

    Returns
    -------
    pl.DataFrame
        `frame_id`, `before`, `after`, in order of `frame_id`.

    Raises
    ------
    UserError
        If there is nothing to find, or a caption would be left without a word.
    """
    if not old.strip():
        raise UserError("replace: expected words to find, got none; give at least one")
    rows = [
        {"frame_id": frame_id, "before": text, "after": replace_words(text, old, new)}
        for frame_id, text in caption.select("frame_id", "text").drop_nulls().iter_rows()
    ]
    schema = {"frame_id": pl.String, "before": pl.String, "after": pl.String}
    found = pl.DataFrame(rows, schema=schema).filter(pl.col("before") != pl.col("after"))
    empty = found.filter(pl.col("after") == "")["frame_id"].to_list()
    if empty:
        raise UserError(
            f"replace: without {old!r} the caption of {empty[0]} would be empty; "
            "select other captions or give other words"
        )
    return found.sort("frame_id")


def replace_words(text: str, old: str, new: str) -> str:
    """The text with some of its words replaced; a comma that is left with nothing goes too.

    Examples
    --------
    >>> replace_words("a Red hat, in a red house", "red", "blue"), replace_words("a, b, c", "b", "")
    ('a blue hat, in a blue house', 'a, c')
    """
    found = re.compile(rf"(?<!\w){re.escape(old.strip())}(?!\w)", re.IGNORECASE)
    changed, number = found.subn(lambda _: new.strip(), text)
    if not number:
        return text
    if new.strip():
        return changed
    parts = [" ".join(part.split()) for part in changed.split(",")]
    return ", ".join(part for part in parts if part)
