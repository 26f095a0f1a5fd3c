"""The report.html of a film: one self-contained page, whatever stages have run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bunny.core import atomic
from bunny.view import html
from bunny.view.report import caption_audit, clip, coverage, evaluation, model, pair, result
from bunny.view.report import film as report_film
from bunny.view.report.result import ReportResult
from bunny.view.report.section import ReportData, ReportSection, ReportTable

if TYPE_CHECKING:
    from bunny.core.config import Config
    from bunny.core.workspace import Workspace

logger = logging.getLogger(__name__)

TEMPLATE = Path(__file__).parent / "template"
RESULT = (
    coverage.training_set,
    evaluation.evaluation,
    model.drawings,
    model.fine_tune,
    clip.clips,
    pair.pairs,
)
WORK = (
    report_film.stages,
    report_film.references,
    report_film.people,
    report_film.pictures,
    report_film.scenes,
    report_film.captions,
    caption_audit.audit,
    model.truth,
)
LAST = (report_film.details,)
PARTS = ("The result in detail", "How it came about", "Files and figures")


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
    parts: Sequence[tuple[str, Sequence[ReportSection]]]  # heading and its sections
    footer: str
    numbers: Sequence[tuple[str, str]] = ()  # number and word
    result: ReportResult | None = None  # first screen


def render_page(page: ReportPage) -> str:
    """Text of a page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATE), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["code"] = lambda text: Markup(html.sentence(str(text)))
    return environment.get_template("report.html.j2").render(vars(page))


def _page(data: ReportData) -> ReportPage:
    film = data.table("film")
    made = [_make(data, RESULT), _make(data, WORK), _make(data, LAST)]
    missing = [(one.title, one.missing) for part in made for one in part if one.missing]
    shown = [[one for one in part if not one.missing] for part in made]
    if missing:
        grids = [ReportTable(rows=missing)]
        shown[-1].append(ReportSection(id="missing", title="Not in this report", grids=grids))
    return ReportPage(
        title=data.film_id if film.is_empty() else Path(film["path"][0]).stem,
        project=f"{data.config.project.name} {data.config.project.version}",
        lead=result.facts(data),
        parts=[part for part in zip(PARTS, shown, strict=True) if part[1]],
        footer=f"{data.film_id} · seed {data.config.seed} · tables in {data.root / 'table'}",
        result=result.result(data),
    )


def _make(data: ReportData, sections: Sequence[Callable[..., ReportSection | None]]):
    """Sections of a part; those that do not concern this film are left out."""
    return [one for make in sections if (one := make(data)) is not None]
