"""`bunny export feedback`: corrections as JSON lines: anchor, positive, label."""

from __future__ import annotations

import json
from pathlib import Path

from bunny.command import correct
from bunny.core import atomic
from bunny.core.error import UserError
from bunny.review import event_log


def export(
    film: str | None,
    output: Path | None = None,
    data_dir: str | None = None,
    *,
    has_events: bool = False,
) -> str:
    """Write pairs (anchor, positive, label), or the record itself, as JSON lines.

    Parameters
    ----------
    output : Path, optional
        File to write; None: `export/feedback.jsonl` of the film.

    Raises
    ------
    UserError
        If stage review has not run, or the file cannot be written.
    """
    from bunny.review import corrected_table

    library = correct.open_reviewed_film(film, data_dir)
    out = output or library.space.root / "export" / "feedback.jsonl"
    if has_events:
        rows = [event.to_dict() for event in event_log.read(library.space.root)]
    else:
        pairs = corrected_table.constraint_pairs(library.state)
        columns = {"anchor": "anchor_id", "positive": "positive_id", "label": "label"}
        rows = pairs.select(**columns).to_dicts()
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        atomic.write_bytes(out, lines.encode())
    except OSError as error:
        raise UserError(
            f"{out}: cannot write this file ({error.strerror}); give another --out"
        ) from error
    return f"{out}: {len(rows)} {'events' if has_events else 'pairs'}"
