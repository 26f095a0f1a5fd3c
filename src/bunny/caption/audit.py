"""Audit of captions: what they claim against what the tables know, rule by rule.

A rule has a weight in [0, 1], how sure it makes us that the caption is to be mended; the doubt of
a caption is 1 less the product of (1 - weight) over the rules that it breaks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bunny.caption import (
    accidental_word,
    caption_claim,
    metadata_facts,
    near_identical,
    provider_report,
    trigger,
)
from bunny.caption.answer import AnswerStore, KeptAnswer
from bunny.caption.metadata_facts import Facts
from bunny.core.config import CaptioningConfig
from bunny.core.error import UserError
from bunny.table import corrected, schema, store

MIN_WORDS = 3
MAX_WORDS = 77  # a CLIP text encoder reads 77 tokens and drops the rest; a word is one or more
MIN_AGREEMENT = 0.3  # between two models; captions of different pictures reach 0.1 to 0.2
PERSON = "person"  # provider of what a person wrote
_ORDER = {"close-up": 0, "medium": 1, "wide": 2}


@dataclass(frozen=True, kw_only=True)
class AuditRule:
    """A rule over the columns that `audit_captions` joins."""

    name: str
    is_broken: pl.Expr  # true where the caption breaks it; null counts as not
    reason: pl.Expr  # the sentence that says why
    weight: float  # in [0, 1]


def _listed(name: str, column: str, before: str, weight: float) -> AuditRule:
    """A rule that is broken where a list has something, which its reason names."""
    return AuditRule(
        name=name,
        is_broken=pl.col(column).list.len() > 0,
        reason=pl.format(f"{before}: {{}}", pl.col(column).list.join(", ")),
        weight=weight,
    )


def _contradicted(said: str, known: str, before: str) -> tuple[pl.Expr, pl.Expr]:
    """Whether a caption says something, but not what the tables know; and the reason."""
    is_other = ~pl.col(said).list.contains(pl.col(known)) & (pl.col(said).list.len() > 0)
    said_words = pl.col(said).list.join(" and ")
    reason = pl.format(f"{before} {{}}, the tables say {{}}", said_words, pl.col(known))
    return is_other & pl.col(known).is_not_null(), reason


_FRAMING_DISTANCE = (
    pl.col("said_framing").list.eval(pl.element().replace_strict(_ORDER, return_dtype=pl.Int64))
).list.first() - pl.col("shot_size").replace_strict(_ORDER, default=None, return_dtype=pl.Int64)
_IS_OTHER_FRAMING, _FRAMING_REASON = _contradicted(
    "said_framing", "shot_size", "framing: the caption says"
)
_IS_OTHER_LIGHT, _LIGHT_REASON = _contradicted("said_light", "light", "light: the caption says")
_NUMBERS = pl.col("said_number").list
_NUM_SEEN = pl.col("num_labelled") + pl.col("num_unknown")
_IS_COUNTED = _NUMBERS.contains(_NUM_SEEN) | _NUMBERS.contains(pl.col("num_unknown"))

RULES = (
    AuditRule(
        name="no_caption",
        is_broken=pl.col("status") != "done",
        reason=pl.format("{}: {}", "status", pl.col("error").fill_null("no reason is known")),
        weight=1.0,
    ),
    _listed("missing_trigger", "missing", "no trigger word of", weight=0.9),
    _listed("leaked_name", "leaked", "not labelled, but called", weight=0.8),
    _listed("fused_trigger", "fused", "trigger word inside", weight=0.7),
    _listed("repeated_trigger", "repeated", "said twice", weight=0.4),
    AuditRule(
        name="wrong_number",
        is_broken=(_NUMBERS.len() > 0) & ~_IS_COUNTED,
        reason=pl.format(
            "number: the caption says {}, {} labelled and {} unknown are seen",
            _NUMBERS.eval(pl.element().cast(pl.String)).list.join(" and "),
            "num_labelled",
            "num_unknown",
        ),
        weight=0.5,
    ),
    AuditRule(
        name="wrong_framing",
        is_broken=_IS_OTHER_FRAMING & (_FRAMING_DISTANCE.abs() > 1),
        reason=_FRAMING_REASON,
        weight=0.6,
    ),
    AuditRule(  # the limits between two neighbours are ours, and a model may draw them elsewhere
        name="other_framing",
        is_broken=_IS_OTHER_FRAMING & (_FRAMING_DISTANCE.abs() == 1),
        reason=_FRAMING_REASON,
        weight=0.15,
    ),
    AuditRule(name="wrong_light", is_broken=_IS_OTHER_LIGHT, reason=_LIGHT_REASON, weight=0.4),
    AuditRule(
        name="near_identical",
        is_broken=pl.col("nearest_similarity") >= near_identical.MIN_SIMILARITY,
        reason=pl.format("reads like the caption at {} in another shot", "nearest_at"),
        weight=0.2,
    ),
    _listed("accidental_word", "accidental", "the trigger word would learn", weight=0.2),
    AuditRule(
        name="disagreement",
        is_broken=pl.col("agreement") < MIN_AGREEMENT,
        reason=pl.format(
            "two models agree on {} % of their words", (pl.col("agreement") * 100).round().cast(int)
        ),
        weight=0.3,
    ),
    AuditRule(
        name="too_short",
        is_broken=(pl.col("num_words") < MIN_WORDS) & (pl.col("status") == "done"),
        reason=pl.format("length: {} of at least {} words", "num_words", pl.lit(MIN_WORDS)),
        weight=0.3,
    ),
    AuditRule(
        name="too_long",
        is_broken=pl.col("num_words") > MAX_WORDS,
        reason=pl.format("length: {} words, a CLIP text encoder reads 77 tokens", "num_words"),
        weight=0.3,
    ),
)


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
    facts = metadata_facts.gather(
        **{name: corrected.read_or_empty(table, name) for name in metadata_facts.TABLES}
    )
    names = sorted({name for known in facts for name in known.characters})
    label = corrected.read_or_empty(table, "label")
    names = sorted({*names, *label["character"].drop_nulls().to_list()})
    caption = store.read(table, "caption")
    if is_machine_only:
        caption = caption.filter(pl.col("provider") != PERSON)
    frame = store.read(table, "frame")
    return audit_captions(
        caption,
        facts,
        dict(frame.select("frame_id", "shot_index").iter_rows()),
        {name: trigger.trigger_word(captioning.trigger_word, name) for name in names},
        captioning.class_word,
        AnswerStore(root / "stage" / "caption" / "answer").every(),
        times=dict(frame.select("frame_id", "timestamp_s").iter_rows()),
    )


def time_in_film(frame_id: str, times: Mapping[str, float]) -> str:
    """A frame's time as `min:s`, or its id where the time is unknown.

    Examples
    --------
    >>> time_in_film("f-1", {"f-1": 83.44}), time_in_film("f-2", {})
    ('1:23.4', 'f-2')
    """
    if frame_id not in times:
        return frame_id
    minutes, seconds = divmod(round(times[frame_id], 1), 60)
    return f"{minutes:.0f}:{seconds:04.1f}"


def audit_captions(
    caption: pl.DataFrame,
    facts: Sequence[Facts],
    shots: Mapping[str, int],
    triggers: Mapping[str, str],
    class_word: str = "",
    answers: Sequence[KeptAnswer] = (),
    times: Mapping[str, float] | None = None,
) -> CaptionAudit:
    """Audit the newest version of each caption.

    Parameters
    ----------
    facts : sequence of Facts
        Of the pictures, as the tables know them now.
    shots : mapping
        Shot of each frame_id.
    triggers : mapping
        Trigger word of every character.
    answers : sequence of KeptAnswer
        As `AnswerStore.every` gives them.
    times : mapping, optional
        Time in the film of each frame_id, in seconds; reasons name other pictures by it.
    """
    newest = caption.sort("version").unique("frame_id", keep="last").sort("frame_id")
    told = set(newest["frame_id"])
    kept = [row for row in answers if row["frame_id"] in told]
    words = _words(newest, triggers, class_word)
    pairs, least = provider_report.compare(
        provider_report.newest_answers(kept), (*triggers.values(), *triggers)
    )
    joined = (
        newest.drop("light", strict=False)  # the tables' own light is joined below
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
    at = {frame_id: time_in_film(frame_id, times or {}) for frame_id in told}
    joined = joined.with_columns(
        nearest_at=pl.col("nearest_frame_id").replace_strict(
            at, default=None, return_dtype=pl.String
        )
    )
    done = joined.filter(pl.col("status") == "done")
    claims = caption_claim.read_claims(done, triggers)
    joined = joined.join(claims, on="frame_id", how="left", maintain_order="left")
    joined = joined.with_columns(_accidental(joined, words, triggers, class_word))
    return CaptionAudit(
        captions=_judge(joined),
        words=store.check("caption_audit_word", words).sort(
            "lift", "character", "word", descending=[True, False, False]
        ),
        providers=provider_report.summarize(kept),
        pairs=pairs,
    )


def by_doubt(judged: pl.DataFrame) -> pl.DataFrame:
    """Table `caption_audit` with the most doubtful captions first."""
    return judged.sort("doubt", "frame_id", descending=[True, False])


def count_broken(judged: pl.DataFrame) -> dict[str, int]:
    """Number of captions that break each rule, those that any breaks, in order of `RULES`."""
    count = dict(judged.explode("rules")["rules"].drop_nulls().value_counts().iter_rows())
    return {rule.name: count[rule.name] for rule in RULES if rule.name in count}


def count_foreign(caption: pl.DataFrame, triggers: Mapping[str, str]) -> int:
    """Count finished captions that call a character without a label, by trigger word or name.

    Parameters
    ----------
    caption : pl.DataFrame
        Table `caption`; `characters` are the labelled ones.
    triggers : mapping
        Trigger word of every character of the film.
    """
    done = caption.filter(pl.col("status") == "done")
    return sum(
        any(
            name not in (labelled or ())
            and (trigger.has_word(text or "", word) or trigger.has_word(text or "", name))
            for name, word in triggers.items()
        )
        for text, labelled in done.select("text", "characters").iter_rows()
    )


def count_long(caption: pl.DataFrame) -> int:
    """Count finished captions of more than `MAX_WORDS` words."""
    done = caption.filter(pl.col("status") == "done")["text"].to_list()
    return sum(len((text or "").split()) > MAX_WORDS for text in done)


def _judge(joined: pl.DataFrame) -> pl.DataFrame:
    """Table `caption_audit`: rules that each caption breaks, their reasons, and its doubt.

    What a person wrote has no doubt, but keeps its reasons.
    """
    ordered = sorted(RULES, key=lambda rule: -rule.weight)
    is_broken = [rule.is_broken.fill_null(False) for rule in ordered]
    names = [
        pl.when(broken).then(pl.lit(rule.name))
        for rule, broken in zip(ordered, is_broken, strict=True)
    ]
    reasons = [
        pl.when(broken).then(rule.reason) for rule, broken in zip(ordered, is_broken, strict=True)
    ]
    kept = pl.lit(1.0)
    for rule, broken in zip(ordered, is_broken, strict=True):
        kept = kept * pl.when(broken).then(1 - rule.weight).otherwise(1.0)
    judged = joined.with_columns(
        rules=pl.concat_list(names).list.drop_nulls(),
        reasons=pl.concat_list(reasons).list.drop_nulls(),
        doubt=pl.when(pl.col("provider") == PERSON).then(0.0).otherwise(1 - kept),
    )
    columns = schema.TABLE["caption_audit"].column_names()
    return by_doubt(store.check("caption_audit", judged.select(columns)))


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
