"""Replacements in captions: words that are said otherwise or not at all, from a file."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bunny.core.config.layer import read_yaml
from bunny.core.error import UserError

KEY = "captioning.replacements"
CSV_SUFFIX = ".csv"


def read_replacements(path: str) -> dict[str, str]:
    """Words and what stands in their place, from a YAML mapping or a CSV file of two columns.

    Parameters
    ----------
    path : str
        Empty: none.

    Returns
    -------
    dict
        In lower case; an empty value removes the word.

    Raises
    ------
    UserError
        If it is missing or of another form.
    """
    if not path:
        return {}
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(
            f"{KEY}: expected a YAML or CSV file, found no file {file}; leave it empty for none"
        )
    rows = _read_csv(file) if file.suffix.lower() == CSV_SUFFIX else list(read_yaml(file).items())
    found = {}
    for word, other in rows:
        if not isinstance(word, str) or not word.strip() or not isinstance(other, str | None):
            raise UserError(
                f"{KEY}: expected a word and its replacement as text in {file}, got "
                f"{word!r}: {other!r}; put both in quotes, an empty one removes the word"
            )
        found[" ".join(word.lower().split())] = " ".join((other or "").split())
    return found


def replace_words(text: str, replacements: Mapping[str, str]) -> str:
    """A text with whole words replaced, in any case of letters, each once.

    Examples
    --------
    >>> replace_words("A film still of a cosy home, day", {"film still of": "", "cosy": "warm"})
    'A a warm home, day'
    """
    if not replacements:
        return text
    every = "|".join(re.escape(word) for word in sorted(replacements, key=len, reverse=True))
    pattern = re.compile(rf"(?<!\w)(?:{every})(?!\w)", re.IGNORECASE)
    replaced = pattern.sub(lambda found: replacements[" ".join(found[0].lower().split())], text)
    clauses = (" ".join(clause.split()) for clause in replaced.split(","))
    return re.sub(r"\s+([.!?])", r"\1", ", ".join(clause for clause in clauses if clause))


def _read_csv(file: Path) -> list[tuple[Any, Any]]:
    """Rows of two columns; a first row word,replacement is a heading."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{KEY}: expected a CSV file in UTF-8, could not read {file} ({error}); save it as "
            "UTF-8 with two columns"
        ) from error
    if wrong := next((row for row in rows if len(row) != 2), None):
        raise UserError(
            f"{KEY}: expected two columns in {file}, got {','.join(wrong)!r}; put one comma "
            "between a word and its replacement, and quotes around words that have commas"
        )
    is_headed = bool(rows) and rows[0][0].strip().lower() == "word"
    return [(word, other) for word, other in rows[1 if is_headed else 0 :]]
