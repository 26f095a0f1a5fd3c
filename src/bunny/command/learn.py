"""`bunny learn`: learn from a film's corrections, put it into use if it is better, go back."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from bunny.command import film_workspace
from bunny.contract import machine
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.review import event_log, rejected_elsewhere
from bunny.review.learn import cross_validation, item, method, triplet, version
from bunny.table import store

LEVEL = {"scene": "scenes", "character": "characters"}


@dataclass(frozen=True, kw_only=True)
class LearnResult:
    """What was learned of one film, and what is in use now."""

    space: Workspace
    num_corrections: int
    parts: Sequence[Mapping[str, Any]]  # see `_part`
    version: int  # that was made; 0: none
    in_use: int  # 0: none
    note: str  # what to do next

    def to_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps(
            {
                "film_id": self.space.film_id,
                "corrections": self.num_corrections,
                "parts": [dict(part) for part in self.parts],
                "version": self.version or None,
                "in_use": self.in_use or None,
                "note": self.note,
            }
        )

    def to_text(self) -> str:
        """Lines for a person."""
        lines = [f"{self.space.film_id}: {self.num_corrections} corrections"]
        return "\n".join([*lines, *(f"  {_sentence(part)}" for part in self.parts), self.note])


@dataclass(frozen=True, kw_only=True)
class AdapterVersionList:
    """Versions of a film."""

    space: Workspace
    table: pl.DataFrame  # of `version.read_versions`
    in_use: int

    def to_json(self) -> str:
        """One JSON object on one line."""
        rows = self.table.to_dicts()
        report = {"film_id": self.space.film_id, "in_use": self.in_use or None, "versions": rows}
        return json.dumps(report)

    def to_text(self) -> str:
        """Lines for a person."""
        used = f"version {self.in_use} is in use" if self.in_use else "no learned version is in use"
        lines = [f"{self.space.film_id}: {used}"]
        for row in self.table.iter_rows(named=True):
            mark = "*" if row["is_in_use"] else " "
            lines.append(
                f"  {mark} {row['version']}  {row['time'][:16].replace('T', ' ')}  "
                f"{row['corrections']} corrections  {LEVEL[row['level']]} ({row['model']}): "
                f"{method.WORDS[row['method']]} accuracy "
                f"{row['accuracy']:.3f}, without learning {row['none']:.3f}"
            )
        return "\n".join(lines)


def learn(
    film: str | None, data_dir: str | None = None, overrides: Sequence[str] = ()
) -> LearnResult:
    """Learn from the corrections of a film; put a new version into use where one is better.

    Parameters
    ----------
    film : str or None
        A film_id or how it begins; None: the newest.

    Raises
    ------
    UserError
        If there is no such film, it has no clusters yet, or people said too little.
    """
    space, config = film_workspace.open_film(film, data_dir, overrides, ())
    asset, feedback, vectors = _read(space, config)
    num = item.count_corrections(feedback)
    if num < config.review.min_learn_events:
        raise UserError(
            f"{space.film_id}: expected {config.review.min_learn_events} corrections that assign, "
            f"approve, split off or reject items (review.min_learn_events), got {num}; correct "
            "more with `bunny review`"
        )
    items = item.collect(asset, vectors, feedback)
    trials = _try_all({key: own for key, own in items.items() if own.is_said.any()}, config)
    learned = {key: one.learned for key, one in trials.items() if one.learned is not None}
    parts = [version.trial_record(key, one, items[key]) for key, one in trials.items()]
    made = 0
    if learned:
        about = {
            "film_id": space.film_id,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "corrections": num,
            "settings": _settings(config),
            "trials": parts,
        }
        made = version.save(space.checkpoint, learned, about).number
        version.use(space.checkpoint, made)
    in_use = version.current(space.checkpoint)
    return LearnResult(
        space=space,
        num_corrections=num,
        parts=parts,
        version=made,
        in_use=in_use,
        note=_note(space, data_dir, made, in_use, config),
    )


def roll_back(
    film: str | None,
    to: int | None = None,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
) -> LearnResult:
    """Put an earlier version into use.

    Parameters
    ----------
    to : int, optional
        0: nothing that was learned; without it the version before the one in use, or nothing.

    Raises
    ------
    UserError
        If there is no such version, or nothing is in use to go back from.
    """
    space, config = film_workspace.open_film(film, data_dir, overrides, ())
    now = version.current(space.checkpoint)
    if to is None:
        if not now:
            raise UserError(
                f"{space.film_id}: no version is in use, so there is nothing to roll back; choose "
                "one with --to (`bunny learn --list` shows them)"
            )
        to = max((n for n in version.numbers(space.checkpoint) if n < now), default=0)
    version.use(space.checkpoint, to)
    return LearnResult(
        space=space,
        num_corrections=event_log.count(space.root),
        parts=(),
        version=0,
        in_use=to,
        note=_note(space, data_dir, 0, to, config),
    )


def list_versions(
    film: str | None, data_dir: str | None = None, overrides: Sequence[str] = ()
) -> AdapterVersionList:
    """Say which versions a film has.

    Raises
    ------
    UserError
        If there is no such film, or a record cannot be read.
    """
    space, _ = film_workspace.open_film(film, data_dir, overrides, ())
    in_use = version.current(space.checkpoint)
    return AdapterVersionList(
        space=space, table=version.read_versions(space.checkpoint), in_use=in_use
    )


def _read(space: Workspace, config: Config) -> tuple[pl.DataFrame, pl.DataFrame, list]:
    """Assets, corrections and vectors of `item.read_corrected`."""
    if not store.exists(space.table, "cluster"):
        raise UserError(
            f"{space.film_id}: expected clusters to learn from, found none; run stage cluster "
            "first: `bunny run FILM --until review`"
        )
    tables = {name: store.read_or_empty(space.table, name) for name in item.TABLES}
    noise = config.clustering.noise_threshold
    tables["reference"] = store.read_or_empty(space.table, "reference")
    rejected = store.read_or_empty(space.table, rejected_elsewhere.TABLE)
    tables["label"], _ = rejected_elsewhere.take_names_back(tables, rejected, space.film_id)
    events = event_log.read(space.root)
    asset, feedback, (scenes, figures) = item.read_corrected(tables, events, space.film_id, noise)
    asset, figures = rejected_elsewhere.add_examples(asset, figures, rejected)
    return asset, feedback, [scenes, figures]


def _try_all(
    items: Mapping[item.Key, item.Items], config: Config
) -> dict[item.Key, cross_validation.MethodTrial]:
    """Try the methods on every level and model; a bar says which one they are at."""
    trials = {}
    with machine.progress_bar("learn", "kind", len(items)) as bar:
        for key, own in items.items():
            bar.set_postfix_str(f"{LEVEL[key[0]]}, {len(own.asset_id)} items")
            trials[key] = _try(own, config)
            bar.update()
    return trials


def _try(items: item.Items, config: Config) -> cross_validation.MethodTrial:
    wanted = config.review.learn_method
    return cross_validation.run(
        items,
        method.METHODS if wanted == "auto" else (wanted,),
        held_out_share=config.review.learn_held_out_share,
        training=triplet.TripletTraining(**_settings(config)),
    )


def _settings(config: Config) -> dict[str, Any]:
    review = config.review
    return {"steps": review.learn_steps, "margin": review.triplet_margin, "seed": config.seed}


def _sentence(part: Mapping[str, Any]) -> str:
    """One line on a level and model, methods with the best first."""
    where = f"{LEVEL[part['level']]} ({part['model']})"
    if not part["judged"]:
        return f"{where}: {part['placed']} items corrected; {part['reason']}"
    rows = sorted(part["methods"], key=lambda row: -row["accuracy"])
    figures = ", ".join(f"{row['accuracy']:.3f} ({method.WORDS[row['method']]})" for row in rows)
    text = (
        f"{where}: accuracy on {part['judged']} held-out items in {part['groups']} groups: "
        f"{figures}; {part['reason']}"
    )
    if part["best"] == method.NONE:
        return text
    return f"{text}; {method.WORDS[part['best']]} moves {part['moved']} of {part['items']} items"


def _note(space: Workspace, data_dir: str | None, made: int, in_use: int, config: Config) -> str:
    """What holds now, and what to type next."""
    place = "" if data_dir is None else f" --data-dir {shlex.quote(data_dir)}"
    run = f"bunny run {shlex.quote(space.source()['film'])} --until review{place}"
    if not in_use:
        return f"no learned version is in use; to update the library, run: {run}"
    if not config.review.is_learned_used:
        return f"version {in_use} is ready; review.is_learned_used is false, so it is not used"
    word = "deployed" if made == in_use else "in use"
    return f"version {in_use} {word}; to apply it to the library, run: {run}"
