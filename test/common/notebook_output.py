"""What the cells of an executed notebook showed."""

import json
from pathlib import Path

# What JupyterLab, the classic Notebook and VS Code all show without an extension.
MIME = frozenset(
    {
        "text/plain",
        "text/html",
        "text/markdown",
        "image/png",
        "image/jpeg",
        "application/vnd.jupyter.widget-view+json",
    }
)


def read_kinds(path: Path) -> set[str]:
    """MIME types of all outputs, and `stderr` or `error` where a cell said or raised something."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    found: set[str] = set()
    for output in [one for cell in cells for one in cell.get("outputs", ())]:
        found |= set(output.get("data", ()))
        found |= {output["output_type"]} & {"error"} | {output.get("name", "")} & {"stderr"}
    return found
