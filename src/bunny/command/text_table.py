"""Tables as lines of text."""

import polars as pl


def lines(table: pl.DataFrame) -> list[str]:
    """A table as lines of text, its columns aligned.

    Examples
    --------
    >>> lines(pl.DataFrame({"film_id": ["one-1a2b"], "pictures": [12]}))
    ['film_id   pictures', 'one-1a2b  12']
    """
    rows = [table.columns, *([str(cell) for cell in row] for row in table.iter_rows())]
    width = [max(len(row[k]) for row in rows) for k in range(len(table.columns))]
    return [
        "  ".join(cell.ljust(size) for cell, size in zip(row, width, strict=True)).rstrip()
        for row in rows
    ]
