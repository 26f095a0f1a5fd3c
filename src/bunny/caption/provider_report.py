"""Providers compared by their kept answers: agreement, refusals, tokens, cost and latency."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from bunny.caption import accidental_word, caption_claim
from bunny.caption.answer import KeptAnswer
from bunny.table import store

AWAY = ("bedrock", "openai", "anthropic")  # providers that are paid


def newest_answers(answers: Sequence[KeptAnswer]) -> dict[str, dict[str, KeptAnswer]]:
    """The newest answer of each model to each picture, by ``provider model`` and frame_id."""
    found: dict[str, dict[str, KeptAnswer]] = {}
    for row in answers:  # the oldest first
        found.setdefault(f"{row['provider']} {row['model']}", {})[row["frame_id"]] = row
    return found


def summarize(answers: Sequence[KeptAnswer]) -> pl.DataFrame:
    """Table `caption_audit_provider`: every answer counts, since every one was paid."""
    groups: dict[tuple[str, str], list[KeptAnswer]] = {}
    for row in answers:
        groups.setdefault((row["provider"], row["model"] or ""), []).append(row)
    rows = [
        {
            "provider": provider,
            "model": model,
            "num_answers": len(own),
            "num_refused": sum(row["status"] == "refused" for row in own),
            "num_failed": sum(row["status"] == "failed" for row in own),
            **{key: _total(own, key) for key in ("input_tokens", "output_tokens")},
            "cost_usd": _cost(provider, own),
            "latency_median_s": _quantile(own, 0.5),
            "latency_p95_s": _quantile(own, 0.95),
        }
        for (provider, model), own in sorted(groups.items())
    ]
    return store.from_rows("caption_audit_provider", rows)


def agreement(one: str, other: str, triggers: Sequence[str]) -> float:
    """How far two captions of one picture say the same, in [0, 1].

    Notes
    -----
    The Dice coefficient of their content words, in which each framing and light counts as one
    word, by whatever name it is said.
    """
    first, second = (_content(text, triggers) for text in (one, other))
    if not first and not second:
        return 1.0
    return 2 * len(first & second) / (len(first) + len(second))


def compare(
    newest: Mapping[str, Mapping[str, KeptAnswer]], triggers: Sequence[str]
) -> tuple[pl.DataFrame, dict[str, float]]:
    """Table `caption_audit_pair`, and the least agreement about each picture.

    Parameters
    ----------
    newest : mapping
        From `newest_answers`.
    triggers : sequence of str
        Trigger words and names; both are told these, so that they prove nothing.
    """
    rows: list[dict[str, object]] = []
    least: dict[str, float] = {}
    for one, other in combinations(sorted(newest), 2):
        texts = {
            frame_id: (newest[one][frame_id]["text"] or "", newest[other][frame_id]["text"] or "")
            for frame_id in sorted(set(newest[one]) & set(newest[other]))
            if all(newest[name][frame_id]["status"] == "done" for name in (one, other))
        }
        if not texts:
            continue
        values = {key: agreement(*pair, triggers) for key, pair in texts.items()}
        rows.append(
            {
                "one": one,
                "other": other,
                "num_pictures": len(texts),
                "agreement": float(np.mean(list(values.values()))),
                "framing": _same(texts.values(), caption_claim.FRAMING_WORDS),
                "light": _same(texts.values(), caption_claim.LIGHT_WORDS),
                "least_frame_id": min(values, key=lambda key: (values[key], key)),
            }
        )
        for key, value in values.items():
            least[key] = min(value, least.get(key, 1.0))
    return store.from_rows("caption_audit_pair", rows), least


def _content(text: str, triggers: Sequence[str]) -> frozenset[str]:
    claims: list[str] = []
    for words in (caption_claim.FRAMING_WORDS, caption_claim.LIGHT_WORDS):
        claims += caption_claim.said(text, words)
        text = caption_claim.without_said(text, words)
    return accidental_word.words_of(text, triggers) | frozenset(claims)


def _same(pairs: Any, words: Mapping[str, str]) -> float | None:
    """Share of pairs that say the same of those where both say something."""
    said = [tuple(caption_claim.said(text, words) for text in pair) for pair in pairs]
    both = [one == other for one, other in said if one and other]
    return float(np.mean(both)) if both else None


def _total(rows: Sequence[KeptAnswer], key: str) -> float | None:
    values = [row.get(key) for row in rows]
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _cost(provider: str, rows: Sequence[KeptAnswer]) -> float | None:
    """What answers cost; those of this machine and of a local server without a price nothing."""
    total = _total(rows, "cost_usd")
    return total if provider in AWAY else total or 0.0


def _quantile(rows: Sequence[KeptAnswer], share: float) -> float | None:
    known = [value for row in rows if (value := row.get("latency_s")) is not None]
    return float(np.quantile(known, share)) if known else None
