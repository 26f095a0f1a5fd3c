"""`bunny caption`: captions of a film, or what they would cost."""

from collections.abc import Sequence

from bunny import pipeline
from bunny.command import film_workspace
from bunny.core import log

OFFLINE = "no picture is left to ask about; nothing would be sent"


def caption(film: str | None, data_dir: str | None, overrides: Sequence[str]) -> str:
    """Run stage caption of a known film; says how many captions there are and what to know.

    Raises
    ------
    UserError
        If no film, or more than one, begins with `film`, or a provider cannot be asked.
    """
    space, config = film_workspace.open_film(film, data_dir, overrides)
    log.configure(space.log / space.film_id)
    done = pipeline.run_stage("caption", space, config)
    how = "were up to date" if done.status == "skipped" else f"written, {done.failed} failed"
    note = f"; {done.note}" if done.note else ""
    return f"{space.film_id}: {done.rows} captions {how}{note}"


def estimate(film: str | None, data_dir: str | None, overrides: Sequence[str]) -> str:
    """What is still to ask of each served provider and what it costs at most; nothing is sent.

    Each provider is taken to answer all that comes to it, so those after it have nothing to do.
    """
    from bunny.stage.caption import Caption

    space, config = film_workspace.open_film(film, data_dir, overrides)
    found = Caption(config, space.root, space.root).estimate()
    lines = [line.to_text() for line in found if line.num_pictures]
    return "\n".join(f"{space.film_id}: {line}" for line in lines or [OFFLINE])
