"""Report section on the audit of captions: what is doubtful, words by accident, providers."""

from __future__ import annotations

import polars as pl

from bunny.caption import audit as caption_audit
from bunny.caption.audit import CaptionAudit
from bunny.core.error import UserError
from bunny.view import tile
from bunny.view.report.section import ReportData, ReportSection, ReportTable, group, share

MAX_PICTURES = 12
MAX_WORDS = 12
ID, TITLE = "caption-audit", "Audit of the captions"


def audit(data: ReportData) -> ReportSection:
    """Rules that captions break, the most doubtful captions, accidental words, providers."""
    if data.table("caption").is_empty():
        missing = data.why_nothing("caption", "No caption was written.")
        return ReportSection(id=ID, title=TITLE, missing=missing)
    try:
        found = caption_audit.audit_film(data.root, data.config.captioning)
    except UserError as error:
        return ReportSection(id=ID, title=TITLE, missing=str(error))
    num_found = found.captions.filter(pl.col("rules").list.len() > 0).height
    text = f"{share(num_found, found.captions.height)} captions have findings."
    doubtful = found.captions.filter(pl.col("doubt") > 0)
    tiles = tile.doubtful_captions(data.root, doubtful, data.table("frame"), MAX_PICTURES)
    note = "edit them in notebook 05_caption, or with `bunny correct caption FILM FRAME --text`"
    return ReportSection(
        id=ID,
        title=TITLE,
        texts=[text],
        grids=[grid for grid in tables(found) if grid.rows],
        groups=[group(tiles, "Most doubtful first", note, kind="large")] if tiles else [],
    )


def tables(found: CaptionAudit) -> list[ReportTable]:
    """Rules, accidental words, providers and their agreement, as tables of words."""
    counts = caption_audit.count_broken(found.captions)
    return [
        ReportTable(
            head=("finding", "captions"),
            rows=[(name.replace("_", " "), str(number)) for name, number in counts.items()],
            numeric=(1,),
        ),
        ReportTable(
            head=("character", "learned by accident", "kind", "its captions", "others", "lift"),
            rows=[_word_row(row) for row in found.words.head(MAX_WORDS).to_dicts()],
            numeric=(3, 4, 5),
        ),
        ReportTable(
            head=("model", "answers", "refused", "failed", "tokens", "USD", "median s", "p95 s"),
            rows=[_provider_row(row) for row in found.providers.to_dicts()],
            numeric=tuple(range(1, 8)),
        ),
        ReportTable(
            head=("two models", "pictures", "same words", "framing", "light", "least similar"),
            rows=[_pair_row(row) for row in found.pairs.to_dicts()],
            numeric=(1, 2, 3, 4),
        ),
    ]


def _word_row(row: dict) -> tuple[str, ...]:
    shares = (f"{row['share']:.0%}", f"{row['share_elsewhere']:.0%}", f"{row['lift']:.1f}")
    return (row["character"], row["word"], row["kind"], *shares)


def _provider_row(row: dict) -> tuple[str, ...]:
    counts = (str(row[f"num_{key}"]) for key in ("answers", "refused", "failed"))
    known = [row[key] for key in ("input_tokens", "output_tokens") if row[key] is not None]
    latency = (_number(row[f"latency_{key}_s"], ".2f") for key in ("median", "p95"))
    tokens = f"{sum(known):,}" if known else ""
    name = f"{row['provider']} {row['model']}"
    return (name, *counts, tokens, _number(row["cost_usd"], ".4f"), *latency)


def _pair_row(row: dict) -> tuple[str, ...]:
    shares = (_number(row[key], ".0%") for key in ("agreement", "framing", "light"))
    name = f"{row['one']}, {row['other']}"
    return (name, str(row["num_pictures"]), *shares, row["least_frame_id"])


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
