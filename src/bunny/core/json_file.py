"""JSON files of one object: records of stages, sources, settings of a film."""

import json
from pathlib import Path
from typing import Any


def read_object(path: Path) -> dict[str, Any]:
    """Read the object that a file holds.

    Raises
    ------
    OSError
        If there is no such file or it cannot be read.
    ValueError
        If it holds anything but one JSON object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError(f"expected a JSON object, found {type(found).__name__}")
    return found
