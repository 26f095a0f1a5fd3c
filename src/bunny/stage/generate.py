"""Stage 7: draw the prompts with each character's adapter and, beside it, with the base alone."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import polars as pl

from bunny import workspace
from bunny.caption import tag
from bunny.error import UserError
from bunny.stage.contract import BaseStage, Work, settings_of, table_hash
from bunny.stage.shard import Shards
from bunny.table import store
from bunny.training import base as base_model
from bunny.training import generate, score
from bunny.training.base import Base

logger = logging.getLogger(__name__)

BACKGROUND_MAX = 32  # frames whose mean vector is taken off before pictures are compared


class Generate(BaseStage):
    """Adapters in; pictures with their provenance, a grid and their likeness out."""

    name: ClassVar[str] = "generate"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("frame", "quality", "dataset", "training_run")
    writes: ClassVar[tuple[str, ...]] = ("picture",)
    unit: ClassVar[str] = "picture"

    def settings(self) -> dict[str, Any]:
        """All of `generation`, the base and the words for the character."""
        return {
            **settings_of(self.config, "generation"),
            **settings_of(self.config, "captioning", "trigger_word", "class_word"),
            "models.base_model": self.config.models.base_model,
            "base_hash": base_model.hash_base(self.config.models.base_model),
        }

    def has_files(self) -> bool:
        """Whether all pictures are there."""
        files = store.read(self.output_dir / "table", "picture")["file"].drop_nulls()
        return all((self.output_dir / file).is_file() for file in files)

    def run(self) -> Work:
        """Draw for each finished fine-tune."""
        runs = self.read("training_run").filter(pl.col("status") == "done")
        if not runs.height:
            reason = "there is no finished fine-tune, so there is nothing to draw with"
            return Work(
                tables={"picture": store.from_rows("picture", [])}, num_items=0, note=reason
            )
        loaded = base_model.load_base(self.config.models.base_model)
        rows: list[dict[str, Any]] = []
        notes: list[str] = []
        total = runs.height * 2 * len(self._prompts("")) * len(self.config.generation.seeds)
        with self.bar(total) as bar:
            for run in runs.to_dicts():
                drawn = self._draw_run(loaded, run, bar, total)
                rows += self._score(drawn, run["character"])
                notes.append(_note(run["character"], rows))
                self._write_grid(drawn, run)
        table = store.from_rows("picture", rows)
        failed = int(table["error"].is_not_null().sum())
        return Work(
            tables={"picture": table},
            num_items=table.height,
            num_failed=failed,
            note="; ".join(notes),
        )

    def _prompts(self, subject: str) -> list[str]:
        """The prompts of the settings for one character."""
        return [p.replace("{trigger}", subject) for p in self.config.generation.prompts]

    def _draw_run(
        self, loaded: Base, run: dict[str, Any], bar: Any, total: int
    ) -> list[dict[str, Any]]:
        """Rows of all pictures of one fine-tune; a prompt is a shard."""
        space = workspace.of_film_dir(self.output_dir)
        adapter = generate.Adapter(
            path=space.checkpoint / run["adapter_file"],
            hash=run["adapter_hash"],
            strength=self.config.generation.lora_strength,
        )
        if run["base_hash"] != loaded.hash:
            raise UserError(
                f"models.base_model: expected the base that {run['character']} was trained on "
                f"({run['base_model']}), got {loaded.name}; run the stage finetune again"
            )
        words = tag.trigger_word(self.config.captioning.trigger_word, run["character"])
        prompts = self._prompts(f"{words} {self.config.captioning.class_word}".strip())
        depends = {"settings": self.settings(), "run": table_hash(self.input_dir, "training_run")}
        shards = self.shards(f"picture-{run['run_id']}", depends)
        for index, prompt in enumerate(prompts):
            if not self._is_drawn(shards, index):
                rows = self._draw_prompt(loaded, run, adapter, index, prompt)
                shards.put(index, {"picture": store.from_rows("picture", rows)}, total)
            bar.update(2 * len(self.config.generation.seeds))
        return shards.collect("picture").to_dicts()

    def _is_drawn(self, shards: Shards, index: int) -> bool:
        """Whether the shard and all its files are there."""
        if not shards.is_done(index):
            return False
        files = shards.get(index, "picture")["file"].drop_nulls()
        return all((self.output_dir / file).is_file() for file in files)

    def _draw_prompt(
        self, loaded: Base, run: dict[str, Any], adapter: generate.Adapter, index: int, prompt: str
    ) -> list[dict[str, Any]]:
        """Draw one prompt with every seed, with the adapter and without."""
        settings = self.config.generation
        drawings = [
            generate.Drawing(
                prompt=prompt,
                negative_prompt=settings.negative_prompt,
                seed=seed,
                num_steps=settings.num_steps,
                guidance_scale=settings.guidance_scale,
                width_px=loaded.resolution_px,
                height_px=loaded.resolution_px,
            )
            for seed in settings.seeds
        ]
        rows: list[dict[str, Any]] = []
        for kind, chosen in (("adapter", adapter), ("base", None)):

            def keep(at: int, picture: Any, error: str | None, kind=kind, chosen=chosen) -> None:
                drawing = drawings[at]
                name = f"{index:02d}-{at:02d}-{kind}"
                file = f"picture/{Path(run['adapter_file']).parent.name}/{name}.png"
                if picture is not None:
                    facts = generate.provenance_of(loaded, drawing, chosen)
                    facts |= {"run_id": run["run_id"], "character": run["character"]}
                    generate.save_png(self.output_dir / file, picture, facts)
                row = _row(run, loaded, drawing, chosen is not None, f"{run['run_id']}-{name}")
                rows.append({**row, "file": None if error else file, "error": error})

            generate.draw(loaded, drawings, chosen, on_picture=keep)
        return rows

    def _score(self, rows: list[dict[str, Any]], character: str) -> list[dict[str, Any]]:
        """Fill `similarity`: likeness to crops of the character that were not trained on."""
        held_out = self.read("dataset").filter(
            pl.col("character") == character, pl.col("split") == "held-out"
        )
        references = _read_all(self.output_dir, held_out["file"].to_list())
        drawn = [row for row in rows if row["file"]]
        if not references or not drawn:
            return rows
        from bunny.character.picture import PictureNet

        net = PictureNet()

        def embed(pictures: Sequence[np.ndarray]) -> np.ndarray:
            return np.stack([net.embed(picture) for picture in pictures])

        pictures = _read_all(self.output_dir, [row["file"] for row in drawn])
        values = score.similarity(embed, pictures, references, self._background())
        found = {row["picture_id"]: float(v) for row, v in zip(drawn, values, strict=True)}
        return [{**row, "similarity": found.get(row["picture_id"])} for row in rows]

    def _background(self) -> list[np.ndarray]:
        """Frames spread over the film."""
        kept = self.read("quality").filter(pl.col("is_kept")).select("frame_id")
        files = (
            self.read("frame").join(kept, on="frame_id").sort("frame_index")["file"].drop_nulls()
        )
        step = max(1, len(files) // BACKGROUND_MAX)
        return _read_all(self.output_dir, files.to_list()[::step])

    def _write_grid(self, rows: list[dict[str, Any]], run: dict[str, Any]) -> None:
        """Lay the pictures out, one row a prompt, the base's seeds beside the adapter's."""
        from PIL import Image

        def load(file: str | None) -> Any:
            if file is None:
                return None
            with Image.open(self.output_dir / file) as picture:
                return picture.convert("RGB")

        by_prompt: dict[str, dict[tuple[bool, int], str | None]] = {}
        for row in rows:
            place = (row["adapter_hash"] is not None, row["seed"])
            by_prompt.setdefault(row["prompt"], {})[place] = row["file"]
        columns = sorted({place for files in by_prompt.values() for place in files})
        table = [[load(files.get(c)) for c in columns] for files in by_prompt.values()]
        titles = [f"{'adapter' if has else 'base'}, seed {seed}" for has, seed in columns]
        if not any(picture for line in table for picture in line):
            return
        path = self.output_dir / "picture" / Path(run["adapter_file"]).parent.name / "grid.png"
        facts = {"run_id": run["run_id"], "adapter_hash": run["adapter_hash"]}
        generate.save_png(path, generate.draw_grid(table, titles), facts)


def _row(
    run: dict[str, Any],
    loaded: Base,
    drawing: generate.Drawing,
    has_adapter: bool,
    picture_id: str,
) -> dict[str, Any]:
    """A row of the table ``picture`` without its file."""
    return {
        "picture_id": picture_id,
        "run_id": run["run_id"],
        "character": run["character"],
        "prompt": drawing.prompt,
        "negative_prompt": drawing.negative_prompt or None,
        "seed": drawing.seed,
        "num_steps": drawing.num_steps,
        "guidance_scale": drawing.guidance_scale,
        "width_px": drawing.width_px,
        "height_px": drawing.height_px,
        "base_model": loaded.name,
        "adapter_file": run["adapter_file"] if has_adapter else None,
        "adapter_hash": run["adapter_hash"] if has_adapter else None,
        "similarity": None,
    }


def _note(character: str, rows: list[dict[str, Any]]) -> str:
    """One sentence on the likeness."""
    mine = [row for row in rows if row["character"] == character]
    found = score.compare([r["similarity"] for r in mine], [bool(r["adapter_hash"]) for r in mine])
    if found.difference is None:
        return f"{character}: no held-out picture to compare with"
    return (
        f"{character}: likeness to held-out pictures {found.adapter:.3f} with the adapter, "
        f"{found.base:.3f} without"
    )


def _read_all(folder: Path, files: Sequence[str]) -> list[np.ndarray]:
    """Pictures as BGR uint8; unreadable ones are left out."""
    paths = [folder / file for file in files]
    found = [
        cv2.imdecode(np.frombuffer(p.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        for p in paths
        if p.is_file()
    ]
    return [picture for picture in found if picture is not None]
