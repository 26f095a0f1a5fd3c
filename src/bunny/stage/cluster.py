"""Stage cluster: scenes, characters in scenes, groups of unknown faces and figures.

Scene vectors are measured once; the thresholds decide over them. Three levels stand in table
`cluster`: `scene` (item: a frame), `character` (item: a labelled face or region, in its scene) and
`unknown` (item: an unnamed face, or a drawn figure that no name covers).
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
import polars as pl

from bunny.character import forgotten
from bunny.character.drawn import efficientnet, figure_cluster, figure_vector
from bunny.contract import stage
from bunny.contract.row_count import plural
from bunny.contract.shard import ShardWork
from bunny.core import image_file, safe_path
from bunny.scene import cluster_table, embed
from bunny.table import store


class Cluster(stage.BaseStage):
    """Groups frames into scenes, characters inside scenes, unknown faces and drawn figures."""

    name = "cluster"
    version = 6
    reads = ("frame", "measure", "face", "label", "region", "figure")
    writes = ("cluster", "embedding", "subject_vector", "stability")

    def settings(self) -> dict:
        """All of `clustering`, the seed of stability's orders, and what is painted over."""
        own = stage.settings_of(self.config, "clustering") | {"seed": self.config.seed}
        return own | self._hidden

    @cached_property
    def _hidden(self) -> dict:
        """Places that were painted over in the pictures, where there are any."""
        return forgotten.hidden_settings(self.input_dir)

    def needs(self) -> tuple[str, ...]:
        """The pictures that are looked at."""
        return ("frame/*",)

    def run(self) -> stage.StageOutput:
        """Measure scene vectors that are missing, then group."""
        frame = self.read("frame").filter(pl.col("file").is_not_null())
        frame = frame.sort("frame_index", "frame_id")
        label = self.read("label")
        views = figure_vector.choose_regions(self.read("region"), label, frame)
        with self.bar(frame.height + views.height) as bar:
            embedding = self._embeddings(frame, bar.update)
            figure = self._figures(views, bar.update)
        wanted = self.config.clustering
        known = cluster_table.embedded_frames(frame, embedding)
        scenes = cluster_table.scene_rows(known, wanted)
        face = self.read("face")
        kept = label.join(frame, on="frame_id", how="semi", maintain_order="left")
        characters = cluster_table.character_rows(kept, face, scenes)
        nameless = cluster_table.unknown_faces(label, face)
        drawn = figure_cluster.uncovered(self.read("figure"), label)
        unknown = cluster_table.person_rows(nameless, wanted)
        unknown += cluster_table.figure_rows(drawn, wanted)
        stability = pl.concat(
            measure(own, wanted, self.config.seed)
            for measure, own in (
                (cluster_table.scene_stability, known),
                (cluster_table.person_stability, nameless),
                (cluster_table.figure_stability, drawn),
            )
        )
        failed = embedding["error"].is_not_null().sum()
        rows = store.from_rows("cluster", [*scenes, *characters, *unknown])
        return stage.StageOutput(
            tables={
                "cluster": rows,
                "embedding": embedding,
                "stability": stability,
                "subject_vector": figure_vector.centre_on_film(figure, embedding),
            },
            num_items=frame.height,
            num_failed=int(failed),
            note=_note(
                rows,
                cluster_table.stability_note(stability, "scene", wanted.scene_method),
                cluster_table.stability_note(stability, "unknown", wanted.unknown_method),
            ),
        )

    @cached_property
    def _net(self) -> efficientnet.EfficientNet:
        return efficientnet.EfficientNet()

    def _embeddings(self, frame: pl.DataFrame, advance: Callable[[int], object]) -> pl.DataFrame:
        depends = {**self.picture_hashes(), **self._hidden, "model": embed.MODEL}
        shards = self.shards("scene", depends)
        size = self.config.pipeline.shard_size
        if shards.has_all(frame.height, size):
            advance(frame.height)
            return shards.collect("embedding")
        _ = self._net  # loaded before threads ask for it
        work = ShardWork(
            measure=lambda row: {"embedding": [self._embedding_row(row)]},
            tables=["embedding"],
            advance=advance,
        )
        self.fill(shards, frame, work)
        return shards.collect("embedding")

    def _embedding_row(self, frame: Mapping) -> dict:
        row = {"frame_id": frame["frame_id"], "model": embed.MODEL}
        image = self._read_picture(frame)
        if image is None:
            return {**row, "error": f"expected a picture in {frame['file']}, could not read it"}
        return {**row, "vector": embed.embed_frame(image, self._net.embed)}

    def _figures(self, views: pl.DataFrame, advance: Callable[[int], object]) -> pl.DataFrame:
        """Vectors of drawn figures' regions, not centred."""
        depends = {
            **self.picture_hashes(),
            **self._hidden,
            "views": hashlib.sha256(views.write_json().encode()).hexdigest(),
            "model": figure_vector.MODEL,
        }
        shards = self.shards("figure", depends)
        size = self.config.pipeline.shard_size
        if shards.has_all(views.height, size):
            advance(views.height)
            return shards.collect("subject_vector")
        net = self._net  # loaded before threads ask for it
        with self.pool() as pool:
            return figure_vector.describe_regions(
                views, shards, size, self._read_picture, net, pool, advance
            )

    def _read_picture(self, frame: Mapping) -> np.ndarray | None:
        """Pixels of a frame's file as BGR; None when there is no picture in it."""
        return image_file.read(safe_path.join(self.input_dir, frame["file"]))


def _note(rows: pl.DataFrame, sure: str, sure_people: str) -> str:
    """One sentence for the user: how many scenes, unknown people and figures, and how sure."""
    ids = rows.drop_nulls("cluster_id").filter(pl.col("level") != "character")["cluster_id"]
    kind = ids.unique().str.split("-").list.first()
    scenes, people, figures = (kind.to_list().count(one) for one in ("scene", "person", "figure"))
    noise = rows.filter((pl.col("level") == "scene") & pl.col("is_noise")).height
    words = [f"{plural(scenes, 'scene')}{sure}"]
    words += [f"{plural(noise, 'frame')} in no scene"] if noise else []
    words += (
        [f"{people} unknown {'person' if people == 1 else 'people'}{sure_people}"] if people else []
    )
    words += [plural(figures, "unknown figure")] if figures else []
    return ", ".join(words)
