"""`bunny export json`: metadata.json of a film."""

from pathlib import Path

from bunny.command import film_workspace


def export(film: str | None, data_dir: str | None, output: Path | None) -> str:
    """Write metadata.json of a known film; returns its path as text."""
    from bunny.core import atomic, input_path
    from bunny.table import metadata

    space, _ = film_workspace.open_film(film, data_dir, parts=())
    path = output or space.root / "metadata.json"
    input_path.check_output_file(path)
    atomic.write_bytes(path, metadata.to_json(space.table).encode())
    return str(path)
