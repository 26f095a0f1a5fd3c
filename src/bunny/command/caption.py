"""`bunny caption`: captions of a film, what they would cost, their audit, and find and replace."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from bunny import pipeline
from bunny.command import correct, film_workspace
from bunny.command.option.common import FilmOptions
from bunny.core import log
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.table import corrected, store

if TYPE_CHECKING:
    from bunny.caption.audit import CaptionAudit

ASKED = ("frame/*", "stage/caption/*")  # what answers are asked and kept with
OFFLINE = "no picture is left to caption; nothing would be sent"
SHOWN = 12  # captions that an audit or a preview prints


def caption(chosen: FilmOptions) -> str:
    """Run stage caption of a known film; says how many captions there are and what to know.

    Raises
    ------
    UserError
        If no film, or more than one, begins so, or a provider cannot be asked.
    """
    space, config = film_workspace.open_film(chosen.film, chosen.data_dir, chosen.overrides, ())
    log.configure(space.log / space.film_id)
    done = pipeline.run_stage("caption", space, config)
    how = "were up to date" if done.status == "skipped" else f"written, {done.failed} failed"
    note = f"; {done.note}" if done.note else ""
    return f"{space.film_id}: {done.rows} captions {how}{note}"


def hint(space: Workspace, config: Config) -> str:
    """The line that ends a run whose captions no model wrote; empty where one did."""
    from bunny.caption import local_captioner

    written = store.read_or_empty(space.table, "caption")["provider"].unique().to_list()
    if written != [local_captioner.TAGS] or config.captioning.has_background_colours:
        return ""  # that setting is for bases that were trained on such captions
    command = f"`bunny caption {space.film_id} --set captioning.providers=auto`"
    return (
        "captions     composed from the tables; for captions by a model on this machine, install "
        f"one (e.g. {local_captioner.SUGGESTION}) and run {command}"
    )


def estimate(chosen: FilmOptions) -> str:
    """What is still to ask of each served provider and what it costs at most; nothing is sent.

    Each provider is taken to answer all that comes to it, so those after it have nothing to do.
    """
    from bunny.stage.caption import Caption

    space, config = film_workspace.open_film(chosen.film, chosen.data_dir, chosen.overrides, ASKED)
    found = Caption(config, space.root, space.root).estimate()
    lines = [line.to_text() for line in found if line.num_pictures]
    return "\n".join(f"{space.film_id}: {line}" for line in lines or [OFFLINE])


def audit(chosen: FilmOptions) -> str:
    """Audit the captions of a film, write the tables of the audit, and give them as text.

    Raises
    ------
    UserError
        If no film, or more than one, begins so, or it has no captions.
    """
    from bunny.caption import audit

    space, config = film_workspace.open_film(chosen.film, chosen.data_dir, chosen.overrides, ())
    found = audit.audit_film(space.root, config.captioning)
    found.write(space.table)
    where = f"tables caption_audit, _word, _provider, _pair are in {space.table.as_posix()}"
    num_found = found.captions.filter(pl.col("rules").list.len() > 0).height
    head = f"{space.film_id}: {found.captions.height} captions audited, {num_found} with findings"
    frame = corrected.read_or_empty(space.table, "frame").select("frame_id", "timestamp_s")
    return "\n".join([head, *_audit_lines(found, dict(frame.iter_rows())), where])


def replace(
    chosen: FilmOptions, old: str, new: str, *, character: str = "", is_sure: bool = False
) -> str:
    """Replace words in the newest captions; without `is_sure` only say what would change.

    Parameters
    ----------
    old, new : str
        Whole words, in any case of letters; a `new` of "" leaves them out.
    character : str
        Only captions of pictures with this character; "": of all.

    Raises
    ------
    UserError
        As `find_replace.preview`, or if nobody is called so.
    """
    from bunny.caption import find_replace
    from bunny.review import create_event

    library = correct.open_reviewed_film(chosen.film, chosen.data_dir, chosen.overrides)
    film_id = library.space.film_id
    caption = store.read_or_empty(library.space.table, "caption").sort("version")
    newest = caption.unique("frame_id", keep="last").filter(status="done")
    if character:
        newest = newest.filter(pl.col("characters").list.contains(character))
        if newest.is_empty():
            raise UserError(f"--character {character}: no caption of {film_id} has this character")
    changed = find_replace.preview(newest, old, new)
    lines = [f"  {key}: {before}\n   -> {after}" for key, before, after in changed.iter_rows()]
    if len(lines) > SHOWN:
        lines[SHOWN:] = [f"  and {len(lines) - SHOWN} more"]
    if changed.is_empty() or not is_sure:
        hint = "" if changed.is_empty() else "; nothing was changed; add --yes to change them"
        return "\n".join([f"{film_id}: {changed.height} captions would change{hint}", *lines])
    frame = store.read(library.space.table, "frame")
    texts = dict(changed.select("frame_id", "after").iter_rows())
    reason = f"replaced {old!r} by {new!r}"
    context = create_event.EventContext(user=library.user, origin="cli", reason=reason)
    event = create_event.frame_caption_edit(
        library.state, context, create_event.frame_captions(frame, texts)
    )
    library.say([event])
    last = [
        f"undo with `bunny correct undo {film_id}`",
        correct.next_command(library, chosen.data_dir),
    ]
    return "\n".join([f"{film_id}: {changed.height} captions changed", *lines, *last])


def optimize(chosen: FilmOptions, *, is_on: bool = True) -> str:
    """Tune the prompt by people's captions and use it if it is better; or go back to ours.

    Raises
    ------
    UserError
        As stage caption's `optimize`.
    """
    from bunny.caption import tuned_prompt
    from bunny.stage.caption import Caption

    space, config = film_workspace.open_film(chosen.film, chosen.data_dir, chosen.overrides, ASKED)
    stage = Caption(config, space.root, space.root)
    if not is_on:
        was_used = tuned_prompt.switch_off(stage.folder)
        now = "is used again" if was_used else "was in use"
        return f"{space.film_id}: the built-in prompt {now}; its stored answers are reused"
    log.configure(space.log / space.film_id)
    found = stage.optimize()
    lines = [
        f"{space.film_id}: learned from {found.num_train} pictures ({found.num_edited} in all were "
        f"edited by people); mean score on {found.num_held_out} held-out pictures:"
    ]
    lines += [f"  {kind:<14} {value:.3f}" for kind, value in found.scores.items()]
    if found.best is None or not found.is_better:
        return "\n".join(
            [*lines, ("no prompt is reliably better than the built-in one, so none is used")]
        )
    where = f"stage/caption/program/{found.best.prompt_hash}.json"
    return "\n".join(
        [
            *lines,
            f"now in use: {found.best.kind}, {where}",
            f"go back with `bunny caption {space.film_id} --no-optimize`",
        ]
    )


def _audit_lines(found: "CaptionAudit", times: Mapping[str, float]) -> list[str]:
    """Tables of an audit as lines: rules, captions, words, providers, agreement.

    Pictures are named by their time in the film beside their id.
    """
    from bunny.caption import audit

    lines = ["captions by rule:"]
    lines += [f"  {name:<18} {n:>6}" for name, n in audit.count_broken(found.captions).items()]
    doubtful = found.captions.filter(pl.col("doubt") > 0).head(SHOWN)
    lines += ["most doubtful:"] if doubtful.height else []
    for row in doubtful.iter_rows(named=True):
        at = audit.time_in_film(row["frame_id"], times)
        reasons = "; ".join(row["reasons"])
        lines.append(f"  {row['doubt']:.2f}  {at} ({row['frame_id']})  {reasons}")
        lines += [f"        {row['text']}"] if row["text"] else []
    lines += ["words that a trigger word would learn by accident:"] if found.words.height else []
    for row in found.words.head(SHOWN).iter_rows(named=True):
        lines.append(
            f"  {row['character']}: {row['word']} ({row['kind']}), {row['share']:.0%} of its "
            f"captions, {row['share_elsewhere']:.0%} elsewhere, lift {row['lift']:.1f}"
        )
    lines += ["kept answers:"] if found.providers.height else []
    for row in found.providers.iter_rows(named=True):
        cost = "cost unknown" if row["cost_usd"] is None else f"{row['cost_usd']:.4f} USD"
        tokens = (row["input_tokens"] or 0) + (row["output_tokens"] or 0)
        lines.append(
            f"  {row['provider']} {row['model']}: {row['num_answers']} answers, "
            f"{row['num_refused']} refused, {row['num_failed']} failed, {tokens} tokens, {cost}, "
            f"median {row['latency_median_s'] or 0:.2f} s, p95 {row['latency_p95_s'] or 0:.2f} s"
        )
    for row in found.pairs.iter_rows(named=True):
        least = audit.time_in_film(row["least_frame_id"], times)
        lines.append(
            f"  {row['one']} and {row['other']}: {row['agreement']:.0%} of the words shared over "
            f"{row['num_pictures']} pictures, fewest at {least}"
        )
    return lines
