"""Stage caption: captions and tags of kept pictures, from the tables alone or by a model."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

from bunny.caption import audit, colour, metadata_facts
from bunny.caption import tags as caption_tags
from bunny.caption.metadata_facts import Facts
from bunny.contract import fingerprint, stage
from bunny.contract.shard import Shards
from bunny.core import file_hash
from bunny.table import store

VERSION = 1  # of the captions made here; people's edits get higher ones
EDITED_VERSION = 2  # of those with a person\'s words
MAX_SIDE_PX = 768  # of a picture that is sent: vision models scale to about this themselves
JPEG_QUALITY = 85
MODEL_KEYS = ("model", "max_tokens", "temperature")


class Caption(stage.BaseStage):
    """Captions and tags of the kept pictures.

    Answers of models are kept one by one in `stage/caption/answer`, by the hash of all that was
    asked; neither `--force` nor a changed table pays twice for the same question.
    """

    name = "caption"
    version = 2
    reads = ("frame", "quality", "shot", "label", "cluster")
    writes = ("caption",)
    is_corrected = True
    unit = "caption"

    def settings(self) -> dict[str, Any]:
        """Provider, the words for characters, and what shapes the captions of that provider."""
        keys = ["provider", "trigger_word", "class_word"]
        if self.config.captioning.provider != "tags":
            keys += MODEL_KEYS
        elif self.config.captioning.max_tag_share < 1:
            keys.append("max_tag_share")
        return stage.settings_of(self.config, "captioning", *keys)

    def parts(self) -> dict[str, Any]:
        """As of every stage, and the words that people gave shots."""
        parts = super().parts()
        if self._edits:
            parts["tables"]["caption_edit"] = fingerprint.table_hash(self.input_dir, "caption_edit")
        return parts

    @cached_property
    def _edits(self) -> dict[int, str]:
        """Words that people gave shots, by shot."""
        table = store.read_or_empty(self.input_dir / "table", "caption_edit")
        return dict(table.select("shot_index", "text").iter_rows())

    def run(self) -> stage.StageOutput:
        """Compose or ask, then check every caption against the labels."""
        tables = {name: self.read(name) for name in self.reads}
        facts = metadata_facts.gather(**tables)
        names = sorted(tables["label"]["character"].drop_nulls().unique())
        template = self.config.captioning.trigger_word
        triggers = {name: caption_tags.trigger_word(template, name) for name in names}
        is_offline = self.config.captioning.provider == "tags"
        rows = self._compose(facts, triggers) if is_offline else self._ask(facts, triggers)
        shot = dict(tables["frame"].select("frame_id", "shot_index").iter_rows())
        rows += _edited(rows, shot, self._edits, triggers)
        table = store.from_rows("caption", rows)
        failed = table["status"].ne("done").sum()
        checked = audit.check(table, triggers)
        return stage.StageOutput(
            tables={"caption": table},
            num_items=table.height,
            num_failed=int(failed),
            note=_note(audit.count(checked), table, int(failed)),
        )

    # -- provider tags -----------------------------------------------------------------------

    def _compose(self, facts: list[Facts], triggers: dict[str, str]) -> list[dict[str, Any]]:
        """Rows made from facts and the colours of the background.

        What is true of nearly every picture stays among the tags, where it can be searched for.
        """
        rows: list[dict[str, Any]] = []
        seen: dict[int, Facts] = {}
        with self.bar(len(facts)) as bar:
            for i, known in enumerate(facts):
                rows.append(_row(known, "tags"))
                try:
                    seen[i] = self._look(known)
                except (OSError, ValueError) as error:
                    rows[i] |= {"status": "failed", "error": str(error)}
                bar.update()
        settings = self.config.captioning
        dropped = caption_tags.frequent_tags(list(seen.values()), settings.max_tag_share)
        for i, known in seen.items():
            said = caption_tags.without_tags(known, dropped)
            text = caption_tags.write_caption(said, triggers, settings.class_word)
            tags = caption_tags.write_tags(known, triggers)
            rows[i] |= {"text": text, "tags": tags, "status": "done"}
        return rows

    def _look(self, facts: Facts) -> Facts:
        """Open the picture once, small, for its background colours."""
        picture = _decode(self.input_dir, facts.file, cv2.IMREAD_REDUCED_COLOR_4)
        return replace(facts, colours=colour.name_background(picture, facts.subjects))

    # -- providers with a model --------------------------------------------------------------

    def _ask(self, facts: list[Facts], triggers: dict[str, str]) -> list[dict[str, Any]]:
        """Rows made of kept answers and of new ones for what was never asked."""
        from bunny.caption import program

        answers = Shards(self.folder / "answer", "v1")
        rows: dict[int, dict[str, Any]] = {}
        pending: list[tuple[int, int, Facts]] = []  # place in `facts`, key, facts
        for i, known in enumerate(facts):
            row = _row(known, self.config.captioning.provider)
            try:
                key = self._key(known, triggers, program.prompt_hash())
            except (OSError, ValueError) as error:
                rows[i] = row | {"status": "failed", "error": str(error)}
                continue
            row |= {"model": self.config.captioning.model, "prompt_hash": program.prompt_hash()}
            if answers.is_done(key):
                kept = answers.get(key, "caption").row(0, named=True)
                rows[i] = kept | {"frame_id": known.frame_id, "characters": row["characters"]}
            else:
                rows[i] = row
                pending.append((i, key, known))
        if pending:
            captioner = program.Captioner(self._provider())  # refuses a missing credential here

            def keep(index: int, answer: Any) -> None:
                i, key, _ = pending[index]
                row = store.from_rows("caption", [rows[i] | _answer_columns(answer)])
                answers.put(key, {"caption": row})

            makers = [self._maker(known, triggers) for _, _, known in pending]
            in_flight = min(self.config.captioning.batch_size, len(pending))
            done = len(facts) - len(pending)
            with self.bar(len(facts), done) as bar:
                for index, answer in program.ask_all(
                    captioner, makers, in_flight, program.CircuitBreaker(), keep
                ):
                    rows[pending[index][0]] |= _answer_columns(answer)
                    bar.update()
                    done += 1
                    self._note_progress(done, len(facts))
        return [_mend(rows[i], facts[i], triggers) for i in range(len(facts))]

    def _provider(self) -> Any:
        """The domain's settings of the provider."""
        from bunny.caption.provider import ProviderSettings

        c = self.config.captioning
        return ProviderSettings(
            provider=c.provider,
            model=c.model,
            max_tokens=c.max_tokens,
            temperature=c.temperature,
            endpoint_url=c.endpoint_url,
            timeout_s=c.timeout_seconds,
            max_retries=c.max_retries,
            region=self.config.aws.region,
            profile=self.config.aws.profile,
        )

    def _key(self, facts: Facts, triggers: dict[str, str], prompt: str) -> int:
        """Number made of all that an answer depends on; where the model is served is not of it."""
        picture = file_hash.hash_file(self.input_dir / str(facts.file))
        c = self.config.captioning
        asked = [picture, MAX_SIDE_PX, JPEG_QUALITY, prompt, c.provider, c.model, c.max_tokens]
        asked += [c.temperature, self._facts_told(facts, triggers)]
        return int(hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:15], 16)

    def _facts_told(self, facts: Facts, triggers: dict[str, str]) -> list[str]:
        """What the model is told: nothing that a new clustering would number anew."""
        kind = self.config.captioning.class_word
        return [f"{triggers[n]} is a {kind}" for n in facts.characters] + caption_tags.framing_tags(
            facts
        )

    def _maker(self, facts: Facts, triggers: dict[str, str]) -> Callable[[], Any]:
        """Makes the question when its turn comes: only then is the picture opened."""
        from bunny.caption.program import CaptionQuestion

        def make() -> CaptionQuestion:
            picture = _decode(self.input_dir, facts.file, cv2.IMREAD_COLOR)
            return CaptionQuestion(
                frame_id=facts.frame_id,
                picture=_encode(picture),
                facts=tuple(self._facts_told(facts, triggers)),
                trigger_words=tuple(triggers[name] for name in facts.characters),
            )

        return make


def _row(facts: Facts, provider: str) -> dict[str, Any]:
    """The columns that are known before there is a caption."""
    return {
        "frame_id": facts.frame_id,
        "version": VERSION,
        "characters": list(facts.characters),
        "provider": provider,
    }


def _answer_columns(answer: Any) -> dict[str, Any]:
    names = ("status", "text", "error", "input_tokens", "output_tokens", "cost_usd")
    return {name: getattr(answer, name) for name in names} | {"tags": list(answer.tags)}


def _mend(row: dict[str, Any], facts: Facts, triggers: dict[str, str]) -> dict[str, Any]:
    """Put trigger words that the model left out in front, note it; tag them and the place."""
    if row["status"] != "done":
        return row
    words = [triggers[name] for name in facts.characters]
    text, added = audit.add_triggers(row["text"], words)
    note = f"put in front: {', '.join(added)}" if added else None
    tags = [*words, *row["tags"], *([facts.place] if facts.place else [])]
    return row | {"text": text, "tags": list(dict.fromkeys(tags)), "note": note}


def _edited(
    rows: list[dict[str, Any]],
    shot: dict[str, int],
    edits: dict[int, str],
    triggers: dict[str, str],
) -> list[dict[str, Any]]:
    """The next version of captions of shots whose words a person gave."""
    found = []
    for row in rows:
        if (text := edits.get(shot[row["frame_id"]])) is None:
            continue
        text, added = audit.add_triggers(text, [triggers[name] for name in row["characters"]])
        found.append(
            {
                **{key: row[key] for key in ("frame_id", "characters")},
                "tags": row.get("tags"),
                "version": EDITED_VERSION,
                "provider": "person",
                "text": text,
                "status": "done",
                "note": f"put in front: {', '.join(added)}" if added else None,
            }
        )
    return found


def _decode(folder: Path, file: str | None, flags: int) -> np.ndarray:
    """Read a picture as BGR; says in one sentence when it is missing or damaged."""
    if file is None:
        raise ValueError("this frame has no picture in the tables; run stage extract again")
    data = np.frombuffer((folder / file).read_bytes(), dtype=np.uint8)
    picture = cv2.imdecode(data, flags) if data.size else None
    if picture is None:
        raise ValueError(f"{file}: could not decode this picture; run stage extract again")
    return picture


def _encode(picture: np.ndarray) -> bytes:
    """JPEG of at most `MAX_SIDE_PX`."""
    scale = min(1.0, MAX_SIDE_PX / max(picture.shape[:2]))
    if scale < 1:
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        picture = cv2.resize(picture, tuple(max(1, s) for s in size), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def _note(counts: dict[str, int], table: pl.DataFrame, num_failed: int) -> str:
    """What the user should know about these captions."""
    words = []
    if num_added := table["note"].is_not_null().sum():
        words.append(f"trigger words added to {num_added} captions")
    if counts["num_foreign"]:
        words.append(f"{counts['num_foreign']} captions mention a character without a label")
    if counts["num_long"]:
        words.append(f"{counts['num_long']} captions are longer than {audit.MAX_WORDS} words")
    if num_failed:
        words.append(f"{num_failed} captions failed; retry them with `--only caption --force`")
    return ", ".join(words)
