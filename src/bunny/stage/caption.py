"""Stage caption: captions and tags of kept pictures, from the tables alone or by models."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import polars as pl

from bunny.caption import (
    audit,
    colour,
    length,
    local_captioner,
    metadata_facts,
    question,
    replacement,
    trigger,
    tuned_prompt,
    writing,
)
from bunny.caption import tags as caption_tags
from bunny.caption.answer import PARTS, AnswerStore, answer_columns
from bunny.caption.cost import CostEstimate
from bunny.caption.length import TokenLimit
from bunny.caption.metadata_facts import Facts
from bunny.caption.pruning import CoreTags
from bunny.caption.style import caption_tags as said_tags
from bunny.caption.tuned_prompt import TunedPrompt
from bunny.caption.writing import WritingSettings, WrittenCaption
from bunny.character import forgotten
from bunny.contract import fingerprint, stage
from bunny.contract.row_count import plural
from bunny.core import file_hash
from bunny.core.config import CaptioningConfig
from bunny.table import store
from bunny.training.family import folder as family_folder

if TYPE_CHECKING:
    from bunny.caption.optimize import OptimizeResult

logger = logging.getLogger(__name__)

VERSION = 1  # of the captions made here; people's edits get higher ones
EDITED_VERSION = 2  # of those with a person's words
MAX_COST_KEY = "captioning.max_cost_usd"
TAGS = "tags"  # the provider that composes captions from the tables
SERVED = ("bedrock", "openai", "anthropic", "local")
# Settings that shape captions after the answers, left out of the fingerprint where nothing is said.
WRITING = (
    "style",
    "variants",
    "has_sides",
    "max_tag_share",
    "keep_tags",
    "prune_tags",
    "max_caption_tokens",
    "has_background_colours",
)
# Settings of each provider's section that change its captions.
SHAPING = {
    **dict.fromkeys(SERVED, ("model",)),
    "transformers": ("model", "prompt"),
    "tagger": ("model", "general_threshold", "character_threshold"),
    "clip": ("model", "vocabulary", "min_probability"),
}


class Caption(stage.BaseStage):
    """Captions and tags of the kept pictures.

    Answers of models are kept one by one in `stage/caption/answer`, by the hash of all that was
    asked; neither `--force` nor a changed table pays twice for the same question.
    """

    name = "caption"
    version = 5
    reads = metadata_facts.TABLES
    writes = ("caption",)
    is_corrected = True
    unit = "caption"

    def settings(self) -> dict[str, Any]:
        """Providers, the words for characters, and what shapes the captions of those providers."""
        own = self._captioning
        keys = ["providers", "trigger_word", "class_word"]
        if "transformers" in own.providers or set(SERVED) & set(own.providers):
            keys.append("max_tokens")
        if set(SERVED) & set(own.providers):
            keys += ["temperature", *(["max_cost_usd"] if own.max_cost_usd else [])]
        if own.send == "crop" and own.providers != (TAGS,):
            keys.append("send")
        default = type(own)()
        keys += [key for key in WRITING if getattr(own, key) != getattr(default, key)]
        found = stage.settings_of(self.config, "captioning", *keys)
        for name in own.providers:
            values = getattr(own, name, None)
            found |= {f"captioning.{name}.{k}": getattr(values, k) for k in SHAPING.get(name, ())}
        return found | forgotten.hidden_settings(self.input_dir)

    def parts(self) -> fingerprint.FingerprintParts:
        """As of every stage, the words that people gave shots, and a vocabulary's own words."""
        parts = super().parts()
        if self._edits:
            parts["tables"]["caption_edit"] = fingerprint.table_hash(self.input_dir, "caption_edit")
        if "clip" in self._captioning.providers:
            from bunny.caption import provider_loader

            words = provider_loader.vocabulary_hash(self._captioning.clip.vocabulary)
            parts["outside"]["vocabulary"] = words
        if self._frame_edits:
            found = fingerprint.table_hash(self.input_dir, "frame_caption_edit")
            parts["tables"]["frame_caption_edit"] = found
        if self._tuned and set(SERVED) & set(self._captioning.providers):
            parts["outside"]["tuned prompt"] = self._tuned.prompt_hash
        if path := self._captioning.replacements:
            replacement.read_replacements(path)
            parts["outside"]["replacements"] = file_hash.hash_file(Path(path).expanduser())
        parts["outside"]["tokenizer"] = self._limit.digest()
        return parts

    @cached_property
    def _captioning(self) -> CaptioningConfig:
        """The settings, with a captioner of this machine where they say `auto`."""
        return local_captioner.resolve(self.config.captioning, self.folder)

    @cached_property
    def _tuned(self) -> TunedPrompt | None:
        """The prompt that `bunny caption --optimize` put into use."""
        return tuned_prompt.read_current(self.folder)

    @cached_property
    def _frame_edits(self) -> dict[str, str]:
        """Words that people gave single pictures, by frame_id."""
        table = store.read_or_empty(self.input_dir / "table", "frame_caption_edit")
        return dict(table.select("frame_id", "text").iter_rows())

    @cached_property
    def _limit(self) -> TokenLimit:
        """How long captions may be for the base that is to be trained."""
        base = family_folder.find_local(self.config.models.base_model or family_folder.TOY)
        return length.find_limit(base, self._captioning.max_caption_tokens)

    @cached_property
    def _edits(self) -> dict[int, str]:
        """Words that people gave shots, by shot."""
        table = store.read_or_empty(self.input_dir / "table", "caption_edit")
        return dict(table.select("shot_index", "text").iter_rows())

    def needs(self) -> tuple[str, ...]:
        """The pictures that are looked at."""
        return ("frame/*",)

    def run(self) -> stage.StageOutput:
        """Ask the providers in their order, then check every caption against the labels."""
        tables = {name: self.read(name) for name in self.reads}
        facts, triggers = self._gather(tables)
        said = self._say_captioner()
        rows = self._caption(facts, triggers)
        settings = self._writing(triggers)
        core, written = _write(rows, facts, settings)
        rows += _edited(rows, self._every_edit(tables["frame"]), triggers)
        table = store.from_rows("caption", rows)
        is_left = pl.col("error").str.starts_with(MAX_COST_KEY)
        num_left = table.filter(is_left).height  # not asked, so not failed
        failed = table["status"].ne("done").sum() - num_left
        return stage.StageOutput(
            tables={"caption": table},
            num_items=table.height,
            num_failed=int(failed),
            note=", ".join(
                filter(
                    None,
                    (
                        said,
                        _writing_note(written, core, settings),
                        _note(table, triggers, int(failed), num_left),
                    ),
                )
            ),
        )

    def _say_captioner(self) -> str:
        """One sentence about what `auto` found; empty for other providers."""
        if local_captioner.AUTO not in self.config.captioning.providers:
            return ""
        used = local_captioner.keep(self._captioning, self.folder)
        if used is None:
            return "no captioner found on this machine; captions are composed from the tables"
        said = f"captions by {used.name} {used.place} ({used.provider}, found on this machine)"
        logger.info("caption: %s", said)
        return said

    def _writing(self, triggers: dict[str, str]) -> WritingSettings:
        """How captions are written from what the providers gave."""
        own = self._captioning
        return WritingSettings(
            captioning=own,
            triggers=triggers,
            replacements=replacement.read_replacements(own.replacements),
            limit=self._limit,
        )

    def _caption(self, facts: list[Facts], triggers: dict[str, str]) -> list[dict[str, Any]]:
        """A row for each picture; those that no model captioned are composed from the tables."""
        names = self._captioning.providers
        rows: list[dict[str, Any]] = [_row(known) for known in facts]
        with self.bar(len(facts)) as bar:
            if names != (TAGS,):
                self._ask(facts, triggers, rows, bar)
            if TAGS in names:
                left = [i for i, row in enumerate(rows) if row.get("status") != "done"]
                for i in left:
                    rows[i] = _fall_back(rows[i])
                self._compose(left, facts, triggers, rows, bar)
        return rows

    def _compose(
        self,
        indices: Sequence[int],
        facts: list[Facts],
        triggers: dict[str, str],
        rows: list[dict[str, Any]],
        bar: Any,
    ) -> None:
        """Fill rows from facts and the colours of the background."""
        has_colours = self._captioning.has_background_colours
        for i in indices:
            try:
                file = facts[i].file  # opened once, small, for its background colours
                picture = question.decode_picture(self.input_dir, file, cv2.IMREAD_REDUCED_COLOR_4)
                colours = colour.name_background(picture, facts[i].subjects)
                known = replace(facts[i], colours=colours)
                parts = caption_tags.write_parts(known, has_background_colours=has_colours)
                tags = caption_tags.write_tags(known, triggers)
                rows[i] |= {"status": "done", "answer": None, "tags": tags, **parts}
            except (OSError, ValueError) as error:
                rows[i] |= {"status": "failed", "error": str(error)}
            bar.update()

    def estimate(self) -> list[CostEstimate]:
        """What is still to ask of the served providers and what it costs; nothing is sent."""
        from bunny.caption import provider_loader, request_plan

        facts, _ = self._gather({name: self.read(name) for name in self.reads})
        settings = self._captioning
        setups = provider_loader.set_up(settings, self.config.aws, tuned=self._tuned)
        answers = AnswerStore(self.folder / "answer")
        maker = self._maker(facts)
        return request_plan.estimate(setups, maker, answers, settings.max_tokens)

    def optimize(self) -> "OptimizeResult":
        """Tune the prompt of the first served provider; keep what was found, use it if better.

        Raises
        ------
        UserError
            If no served model is among the providers, pictures may not be uploaded, or too few
            captions were edited.
        """
        from bunny.caption import optimize, tuning_film

        tables = {name: self.read(name) for name in self.reads}
        facts, triggers = self._gather(tables)
        film = tuning_film.TuningFilm(
            captioning=self._captioning,
            aws=self.config.aws,
            maker=self._maker(facts),
            answers=AnswerStore(self.folder / "answer"),
            shots=dict(tables["frame"].select("frame_id", "shot_index").iter_rows()),
            edited=self._every_edit(tables["frame"]),
            triggers=triggers,
        )
        found = optimize.optimize(
            film.pictures(),
            film.model,
            {name: name for name in triggers},
            ask=film.ask,
            budget=film.budget,
            current=self._tuned,
        )
        if found.best is not None and found.best.kind != "in use":
            tuned_prompt.write(self.folder, found.best, is_used=found.is_better)
        return found

    def _every_edit(self, frame: pl.DataFrame) -> dict[str, str]:
        """Words that people gave pictures, themselves or with their shot, by frame_id."""
        shot = dict(frame.select("frame_id", "shot_index").iter_rows())
        edits = {key: self._edits[number] for key, number in shot.items() if number in self._edits}
        return edits | self._frame_edits

    def _gather(self, tables: dict[str, pl.DataFrame]) -> tuple[list[Facts], dict[str, str]]:
        """Facts of every kept picture, and the trigger word of every labelled character."""
        names = sorted(tables["label"]["character"].drop_nulls().unique())
        template = self._captioning.trigger_word
        triggers = {name: trigger.trigger_word(template, name) for name in names}
        return metadata_facts.gather(**tables), triggers

    def _maker(self, facts: list[Facts]) -> question.QuestionMaker:
        return question.QuestionMaker(
            folder=self.input_dir, facts=facts, is_cropped=self._captioning.send == "crop"
        )

    def _ask(
        self, facts: list[Facts], triggers: dict[str, str], rows: list[dict[str, Any]], bar: Any
    ) -> None:
        """Fill rows with kept answers, and new ones for what was never asked."""
        from bunny.caption import fallback, provider_loader, request_plan

        settings = self._captioning
        setups = provider_loader.set_up(settings, self.config.aws, tuned=self._tuned)
        maker = self._maker(facts)
        answers = AnswerStore(self.folder / "answer")
        for sentence in request_plan.check_upload(
            setups, maker, answers, is_allowed=settings.allow_upload
        ):
            logger.info("caption: %s", sentence)
        for line in request_plan.estimate(setups, maker, answers, settings.max_tokens):
            if line.num_pictures:
                logger.info("caption: %s", line.to_text())
        chain = fallback.FallbackChain(
            [provider_loader.entry_of(setup, maker, answers) for setup in setups],
            maker.make,
            has_more=TAGS in settings.providers,
        )
        by_name = {setup.name: setup for setup in setups}
        for done, state in enumerate(chain.ask(range(len(facts))), start=1):
            setup = by_name[str(state.provider)]
            row = (
                rows[state.index]
                | answer_columns(state.answer)
                | {
                    "provider": setup.name,
                    "model": setup.model,
                    "prompt_hash": setup.prompt_hash,
                    "fallback_reason": "; ".join(state.reasons) or None,
                }
            )
            rows[state.index] = _complete(row, facts[state.index], triggers)
            if row["status"] == "done" or TAGS not in settings.providers:
                bar.update()
            self._note_progress(done, len(facts))


def _row(facts: Facts) -> dict[str, Any]:
    """The columns that are known before there is a caption."""
    return {
        "frame_id": facts.frame_id,
        "version": VERSION,
        "characters": list(facts.characters),
        "provider": TAGS,
    }


def _fall_back(row: dict[str, Any]) -> dict[str, Any]:
    """The row without the answer of a model that failed, and with the reason why."""
    known = {key: row[key] for key in ("frame_id", "version", "characters")} | {"provider": TAGS}
    if "status" not in row:
        return known
    before = [row["fallback_reason"]] if row["fallback_reason"] else []
    return known | {"fallback_reason": "; ".join([*before, f"{row['provider']}: {row['error']}"])}


def _complete(row: dict[str, Any], facts: Facts, triggers: dict[str, str]) -> dict[str, Any]:
    """The model's words as its answer, with tags of who is seen and of the place."""
    row = row | {"answer": row["text"], "text": None}
    if row["status"] != "done":
        return row
    words = [triggers[name] for name in facts.characters]
    tags = [*words, *row["tags"], *([facts.place] if facts.place else [])]
    return row | {"tags": list(dict.fromkeys(tags))}


def _write(
    rows: list[dict[str, Any]], facts: Sequence[Facts], settings: WritingSettings
) -> tuple[CoreTags, list[WrittenCaption]]:
    """Write the captions of the rows that have an answer, after what goes with whom is known."""
    drafts = {
        i: writing.make_draft(
            known,
            row["answer"],
            {name: row[name] for name in PARTS if row.get(name)},
            said_tags(row["tags"], settings.triggers.values()),
        )
        for i, (row, known) in enumerate(zip(rows, facts, strict=True))
        if row["status"] == "done"
    }
    core = writing.find_core_tags(drafts.values(), settings)
    written = []
    for i, draft in drafts.items():
        found = writing.write(draft, settings, core)
        written.append(found)
        parts = {name: draft.parts.get(name) for name in PARTS}
        variants = {f"text_{name}": text for name, text in found.variants.items()}
        note = found.note(settings.limit)
        rows[i] |= {"answer": draft.answer, **parts, "text": found.text, **variants, "note": note}
    return core, written


def _writing_note(
    written: Sequence[WrittenCaption], core: CoreTags, settings: WritingSettings
) -> str:
    """What was done to the captions, and what was left to the trigger words."""
    words = []
    if number := sum(bool(one.added) for one in written):
        words.append(f"trigger words added to {plural(number, 'caption')}")
    for name, dropped in core.dropped.items():
        if dropped:
            said = ", ".join(f"{w} {core.share[name][w]:.0%}" for w in sorted(dropped))
            words.append(f"left out for the trigger word of {name} to learn: {said}")
    how = " (estimated by words)" if settings.limit.is_estimate else ""
    if number := sum(bool(one.left_out) for one in written):
        most = settings.limit.max_tokens
        words.append(
            f"{plural(number, 'caption')} shortened to {most} tokens{how} (see column note)"
        )
    if number := sum(one.is_too_long for one in written):
        most = settings.limit.max_tokens
        words.append(f"{plural(number, 'caption')} longer than {most} tokens{how}")
    return ", ".join(words)


def _edited(
    rows: list[dict[str, Any]], edits: dict[str, str], triggers: dict[str, str]
) -> list[dict[str, Any]]:
    """The next version of captions whose words a person gave, by frame_id."""
    found = []
    for row in rows:
        if (text := edits.get(row["frame_id"])) is None:
            continue
        text, added = trigger.add_triggers(text, [triggers[name] for name in row["characters"]])
        found.append(
            {
                **{key: row[key] for key in ("frame_id", "characters")},
                "tags": row.get("tags"),
                "version": EDITED_VERSION,
                "provider": "person",
                "text": text,
                "status": "done",
                "note": f"added in front: {', '.join(added)}" if added else None,
            }
        )
    return found


def _note(table: pl.DataFrame, triggers: Mapping[str, str], num_failed: int, num_left: int) -> str:
    """What the user should know about these captions."""
    words = []
    if num_foreign := audit.count_foreign(table, triggers):
        words.append(f"{plural(num_foreign, 'caption')} with a character who has no label there")
    if num_long := audit.count_long(table):
        words.append(f"{plural(num_long, 'caption')} longer than {audit.MAX_WORDS} words")
    if num_fallen_back := table.filter(status="done").drop_nulls("fallback_reason").height:
        words.append(
            f"{plural(num_fallen_back, 'caption')} by a fallback provider (see column "
            "fallback_reason); ask the earlier ones again with `--only caption --force`"
        )
    if num_left:
        words.append(
            f"{plural(num_left, 'picture')} left without a caption: {MAX_COST_KEY} was reached"
        )
    if num_failed:
        words.append(f"{plural(num_failed, 'caption')} failed; retry with `--only caption --force`")
    return ", ".join(words)
