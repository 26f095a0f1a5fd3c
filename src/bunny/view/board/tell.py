"""Items of the library in the words of a board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bunny.view import style


def item(row: Mapping[str, Any]) -> dict[str, Any]:
    """What stands under a picture and says how it is drawn.

    Parameters
    ----------
    row : mapping
        Of a numbered table, see `query.number`.
    """
    return {
        "row": row["row"],
        "asset": row["asset_id"],
        "cluster": row["cluster_id"] or "",
        "name": row["name"],
        "doubt": round(row["doubt"], 3),
        "approved": row["is_approved"],
        "source": row["source"],
        "comments": row["comments"],
        "rejected": len(row["rejected_from"]),
        "who": row["who"],
        "shot": row["shot_index"],
        "time": row["timestamp_s"],
    }


def facts(row: Mapping[str, Any], caption: str) -> list[list[str]]:
    """All that is known of an item, as pairs of a word and a text; what is empty is left out.

    Parameters
    ----------
    row : mapping
        Of table `asset`.
    caption : str
        Of its shot.
    """
    found = {
        "cluster": row["name"] or row["cluster_id"] or "noise",
        "put there by": row["source"],
        "of the machine": row["machine_cluster_id"] or "noise",
        "similarity": "" if row["similarity"] is None else f"{row['similarity']:.3f}",
        "margin": "" if row["margin"] is None else f"{row['margin']:.3f}",
        "doubt": f"{row['doubt']:.2f}",
        "at": style.clock(row["timestamp_s"]),
        "frames": f"{row['first_frame_index']} to {row['end_frame_index'] - 1}",
        "with": ", ".join(row["who"]),
        "not in": ", ".join(row["rejected_from"]),
        "caption": caption,
    }
    return [[key, text] for key, text in found.items() if text]
