"""Audit of a film's captions: its tables and kept answers in, tables of the audit out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from bunny.caption import (
    accidental_word,
    audit_rule,
    caption_claim,
    metadata_facts,
    near_identical,
    provider_report,
    trigger,
)
from bunny.caption.answer import AnswerStore
from bunny.caption.metadata_facts import Facts
from bunny.core.config import CaptioningConfig
from bunny.core.error import UserError
from bunny.table import corrected, store

FACTS = ("frame", "shot", "label", "cluster", "quality")  # tables that facts are gathered from


@dataclass(frozen=True, kw_only=True, eq=False)
class CaptionAudit:
    """Tables of an audit, as `bunny.table.schema` declares them."""

    captions: pl.DataFrame  # caption_audit, the most doubtful first
    words: pl.DataFrame  # caption_audit_word, the largest lift first
    providers: pl.DataFrame  # caption_audit_provider
    pairs: pl.DataFrame  # caption_audit_pair

    def write(self, table: Path) -> None:
        """Write the tables into the film's table folder."""
        store.write(table, "caption_audit", self.captions)
        store.write(table, "caption_audit_word", self.words)
        store.write(table, "caption_audit_provider", self.providers)
        store.write(table, "caption_audit_pair", self.pairs)


def audit_film(
    root: Path, captioning: CaptioningConfig, *, is_machine_only: bool = False
) -> CaptionAudit:
    """Audit the newest captions of a film; nothing is asked and no picture opened.

    Parameters
    ----------
    root : Path
        The film's folder.
    captioning : CaptioningConfig
        Trigger words, as they are in the captions.
    is_machine_only : bool
        Leave out what people wrote: the machine's captions are audited in its stead.

    Raises
    ------
    UserError
        If stage caption has not run.
    """
    table = root / "table"
    if not store.exists(table, "caption"):
        raise UserError(
            f"{root.name}: expected captions to audit, found none; run `bunny caption "
            f"{root.name}` first"
        )
    facts = metadata_facts.gather(**{name: corrected.read_or_empty(table, name) for name in FACTS})
    names = sorted({name for known in facts for name in known.characters})
    label = corrected.read_or_empty(table, "label")
    names = sorted({*names, *label["character"].drop_nulls().to_list()})
    caption = store.read(table, "caption")
    if is_machine_only:
        caption = caption.filter(pl.col("provider") != audit_rule.PERSON)
    return audit_captions(
        caption,
        facts,
        dict(store.read(table, "frame").select("frame_id", "shot_index").iter_rows()),
        {name: trigger.trigger_word(captioning.trigger_word, name) for name in names},
        captioning.class_word,
        AnswerStore(root / "stage" / "caption" / "answer").every(),
    )


def audit_captions(
    caption: pl.DataFrame,
    facts: Sequence[Facts],
    shots: Mapping[str, int],
    triggers: Mapping[str, str],
    class_word: str = "",
    answers: Sequence[Mapping[str, Any]] = (),
) -> CaptionAudit:
    """Audit the newest version of each caption.

    Parameters
    ----------
    caption : pl.DataFrame
        Table `caption`.
    facts : sequence of Facts
        Of the pictures, as the tables know them now.
    shots : mapping
        Shot of each frame_id.
    triggers : mapping
        Trigger word of every character.
    answers : sequence of mapping
        As `AnswerStore.every` gives them.
    """
    newest = caption.sort("version").unique("frame_id", keep="last").sort("frame_id")
    told = set(newest["frame_id"])
    kept = [row for row in answers if row["frame_id"] in told]
    words = _words(newest, triggers, class_word)
    pairs, least = provider_report.compare(
        provider_report.newest_answers(kept), (*triggers.values(), *triggers)
    )
    joined = (
        newest.drop("light", strict=False)  # as the caption says it; the tables' own comes below
        .with_columns(
            pl.col("status").cast(pl.String),
            shot_index=pl.col("frame_id").replace_strict(shots, default=None),
            agreement=pl.col("frame_id").replace_strict(
                least, default=None, return_dtype=pl.Float64
            ),
        )
        .join(_known(facts), on="frame_id", how="left", maintain_order="left")
        .with_columns(
            num_labelled=pl.col("characters").list.len().fill_null(0).cast(pl.Int64),
            num_unknown=pl.col("num_unknown").fill_null(0),
        )
    )
    joined = _with_neighbours(joined)
    done = joined.filter(pl.col("status") == "done")
    claims = caption_claim.read_claims(done, triggers)
    joined = joined.join(claims, on="frame_id", how="left", maintain_order="left")
    joined = joined.with_columns(_accidental(joined, words, triggers, class_word))
    providers = provider_report.summarize(kept)
    return CaptionAudit(
        captions=audit_rule.judge(joined),
        words=store.check("caption_audit_word", words).sort(
            "lift", "character", "word", descending=[True, False, False]
        ),
        providers=store.from_rows("caption_audit_provider", providers.to_dicts()),
        pairs=store.from_rows("caption_audit_pair", pairs),
    )


def _known(facts: Sequence[Facts]) -> pl.DataFrame:
    rows = [(f.frame_id, f.num_unknown, f.shot_size, f.light) for f in facts]
    schema = {
        "frame_id": pl.String,
        "num_unknown": pl.Int64,
        "shot_size": pl.String,
        "light": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _words(newest: pl.DataFrame, triggers: Mapping[str, str], class_word: str) -> pl.DataFrame:
    """Accidental words of the finished captions."""
    done = newest.filter(pl.col("status") == "done")
    who = [list(names or ()) for names in done["characters"].to_list()]
    return accidental_word.find_words(done["text"].to_list(), who, triggers, class_word)


def _with_neighbours(joined: pl.DataFrame) -> pl.DataFrame:
    """Add the nearest caption of another shot."""
    texts = [text or "" for text in joined["text"].to_list()]
    nearest, similarity = near_identical.nearest_captions(texts, joined["shot_index"].to_list())
    ids = joined["frame_id"].to_list()
    return joined.with_columns(
        pl.Series("nearest_frame_id", [ids[i] if i >= 0 else None for i in nearest], pl.String),
        pl.Series("nearest_similarity", similarity).replace(0.0, None),
    )


def _accidental(
    joined: pl.DataFrame, words: pl.DataFrame, triggers: Mapping[str, str], class_word: str
) -> pl.Series:
    """Accidental words of places and garments that each caption says."""
    by_name: dict[str, set[str]] = {}
    named = words.filter(pl.col("kind") != "other")
    for name, word in named.select("character", "word").iter_rows():
        by_name.setdefault(name, set()).add(word)
    found = []
    for text, names in joined.select("text", "characters").iter_rows():
        said = accidental_word.words_of(text or "", triggers.values(), class_word)
        found.append(
            sorted({w for name in names or () for w in by_name.get(name, ()) if w in said})
        )
    return pl.Series("accidental", found, dtype=pl.List(pl.String))
