"""The report.html of a film: one self-contained page, whatever stages have run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bunny.core import atomic
from bunny.view.report import caption_audit, clip, coverage, evaluation, model, pair
from bunny.view.report import film as report_film
from bunny.view.report.section import ReportData, ReportSection

if TYPE_CHECKING:
    from bunny.core.config import Config
    from bunny.core.workspace import Workspace

logger = logging.getLogger(__name__)

TEMPLATE = Path(__file__).parent / "template"
SECTIONS = (
    report_film.inputs,
    report_film.stages,
    report_film.pictures,
    report_film.people,
    report_film.scenes,
    report_film.captions,
    caption_audit.audit,
    coverage.training_set,
    clip.clips,
    pair.pairs,
    model.fine_tune,
    evaluation.evaluation,
    model.drawings,
    model.truth,
)


def write(space: Workspace, config: Config) -> Path:
    """Write the report of a film.

    Parameters
    ----------
    space : Workspace
        The film; tables that were never written give a sentence instead of a section.
    config : Config
        Gives the thresholds that are drawn into the figures.

    Returns
    -------
    Path
        `report.html` in the film's folder.
    """
    data = ReportData(root=space.root, film_id=space.film_id, config=config)
    path = space.root / "report.html"
    atomic.write_bytes(path, render(data).encode())
    logger.debug("report written to %s", path)
    return path


def render(data: ReportData) -> str:
    """Text of the report; everything that came from outside is escaped."""
    return render_page(_page(data))


@dataclass(frozen=True, kw_only=True)
class ReportPage:
    """What is on a page."""

    title: str
    project: str  # name and version
    lead: str
    numbers: Sequence[tuple[str, str]]  # number and word
    sections: Sequence[ReportSection]
    footer: str


def render_page(page: ReportPage) -> str:
    """Text of a page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATE), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("report.html.j2").render(vars(page))


def _page(data: ReportData) -> ReportPage:
    film = data.table("film")
    return ReportPage(
        title=data.film_id if film.is_empty() else Path(film["path"][0]).stem,
        project=f"{data.config.project.name} {data.config.project.version}",
        lead=_lead(data),
        numbers=_numbers(data),
        sections=[section for make in SECTIONS if (section := make(data)) is not None],
        footer=f"{data.film_id} · seed {data.config.seed} · tables in {data.root / 'table'}",
    )


def _lead(data: ReportData) -> str:
    """The outcome in one sentence."""
    run, picture = data.table("training_run"), data.table("picture")
    if not picture.is_empty():
        who = " and ".join(sorted(set(run["character"].to_list()))) or "nobody"
        return (
            f"From the film to a labelled training set, an adapter (LoRA) for {who} and "
            "generated pictures."
        )
    if not data.table("dataset").is_empty():
        return "From the film to a labelled training set; no picture has been generated yet."
    if not data.table("frame").is_empty():
        return "Frames were extracted from the film; there is no training set yet."
    return "No stage has run for this film yet."


def _numbers(data: ReportData) -> list[tuple[str, str]]:
    quality, label = data.table("quality"), data.table("label")
    kept = quality.filter("is_kept").height if not quality.is_empty() else 0
    counts = (
        (data.table("shot").height, "shots"),
        (data.table("frame").height, "frames extracted"),
        (kept, "frames kept"),
        (label["character"].drop_nulls().n_unique(), "characters"),
        (data.table("dataset").height, "training pictures"),
        (data.table("picture").height, "drawings"),
    )
    return [(f"{number:,}", word) for number, word in counts]
