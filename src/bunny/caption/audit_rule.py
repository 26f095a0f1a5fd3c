"""Rules of the audit: expressions over what captions claim and what the tables know.

A rule has a weight in [0, 1], how sure it makes us that the caption is to be mended; the doubt of
a caption is 1 less the product of (1 - weight) over the rules that it breaks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from bunny.caption import audit, near_identical
from bunny.table import schema, store

MIN_AGREEMENT = 0.3  # of two models; captions of other pictures of a film reach 0.1 to 0.2
PERSON = "person"  # provider of what a person wrote
_ORDER = {"close-up": 0, "medium": 1, "wide": 2}


@dataclass(frozen=True, kw_only=True)
class AuditRule:
    """A rule over the columns of `join`.

    Attributes
    ----------
    name : str
    is_broken : pl.Expr
        True where the caption breaks it; null counts as not.
    reason : pl.Expr
        The sentence that says why.
    weight : float
        In [0, 1].
    """

    name: str
    is_broken: pl.Expr
    reason: pl.Expr
    weight: float


def _listed(column: str, before: str) -> dict[str, pl.Expr]:
    """A rule that is broken where a list has something, which its reason names."""
    return {
        "is_broken": pl.col(column).list.len() > 0,
        "reason": pl.format(f"{before}: {{}}", pl.col(column).list.join(", ")),
    }


def _contradicted(said: str, known: str, before: str) -> dict[str, pl.Expr]:
    """A rule that is broken where a caption says something, but not what the tables know."""
    is_other = ~pl.col(said).list.contains(pl.col(known)) & (pl.col(said).list.len() > 0)
    said_words = pl.col(said).list.join(" and ")
    return {
        "is_broken": is_other & pl.col(known).is_not_null(),
        "reason": pl.format(f"{before} {{}}, the tables say {{}}", said_words, pl.col(known)),
    }


_FRAMING_DISTANCE = (
    pl.col("said_framing").list.eval(pl.element().replace_strict(_ORDER, return_dtype=pl.Int64))
).list.first() - pl.col("shot_size").replace_strict(_ORDER, default=None, return_dtype=pl.Int64)
_FRAMING = _contradicted("said_framing", "shot_size", "framing: the caption says")
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
    AuditRule(name="missing_trigger", **_listed("missing", "no trigger word of"), weight=0.9),
    AuditRule(name="leaked_name", **_listed("leaked", "not labelled, but called"), weight=0.8),
    AuditRule(name="fused_trigger", **_listed("fused", "trigger word inside"), weight=0.7),
    AuditRule(name="repeated_trigger", **_listed("repeated", "said twice"), weight=0.4),
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
        is_broken=_FRAMING["is_broken"] & (_FRAMING_DISTANCE.abs() > 1),
        reason=_FRAMING["reason"],
        weight=0.6,
    ),
    AuditRule(  # the limits between two neighbours are ours, and a model may draw them elsewhere
        name="other_framing",
        is_broken=_FRAMING["is_broken"] & (_FRAMING_DISTANCE.abs() == 1),
        reason=_FRAMING["reason"],
        weight=0.15,
    ),
    AuditRule(
        name="wrong_light",
        **_contradicted("said_light", "light", "light: the caption says"),
        weight=0.4,
    ),
    AuditRule(
        name="near_identical",
        is_broken=pl.col("nearest_similarity") >= near_identical.MIN_SIMILARITY,
        reason=pl.format("reads like that of {} in another shot", pl.col("nearest_frame_id")),
        weight=0.2,
    ),
    AuditRule(
        name="accidental_word",
        **_listed("accidental", "the trigger word would learn"),
        weight=0.2,
    ),
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
        is_broken=(pl.col("num_words") < audit.MIN_WORDS) & (pl.col("status") == "done"),
        reason=pl.format("length: {} of at least {} words", "num_words", pl.lit(audit.MIN_WORDS)),
        weight=0.3,
    ),
    AuditRule(
        name="too_long",
        is_broken=pl.col("num_words") > audit.MAX_WORDS,
        reason=pl.format("length: {} words, a CLIP text encoder reads 77 tokens", "num_words"),
        weight=0.3,
    ),
)


def judge(joined: pl.DataFrame, rules: Sequence[AuditRule] = RULES) -> pl.DataFrame:
    """Table `caption_audit`: rules that each caption breaks, their reasons, and its doubt.

    Parameters
    ----------
    joined : pl.DataFrame
        A row for each caption with the columns of table `caption_audit` before the judgement, of
        `caption_claim.read_claims`, and `status`, `error`, `num_labelled`, `num_unknown`,
        `shot_size`, `light`, `accidental` (list of words).

    Returns
    -------
    pl.DataFrame
        The most doubtful first. What a person wrote has no doubt, but keeps its reasons.
    """
    ordered = sorted(rules, key=lambda rule: -rule.weight)
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


def by_doubt(judged: pl.DataFrame) -> pl.DataFrame:
    """Table `caption_audit` with the most doubtful captions first."""
    return judged.sort("doubt", "frame_id", descending=[True, False])


def count_broken(judged: pl.DataFrame) -> dict[str, int]:
    """Number of captions that break each rule, those that any breaks, in order of `RULES`."""
    count = dict(judged.explode("rules")["rules"].drop_nulls().value_counts().iter_rows())
    return {rule.name: count[rule.name] for rule in RULES if rule.name in count}
