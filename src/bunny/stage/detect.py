"""Stage detect: characters in each frame, by face or, where drawn or animal, by appearance.

Pixels are read under two keys, one for faces and one for regions; thresholds are decided on what
they left behind. Only films with a drawn character among the references pay for the second route.
Faces of drawn shots go to a table of their own, `drawn_face`: none is embedded, named or grouped.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import polars as pl

from bunny.character import (
    appearance,
    detection_row,
    film_label,
    forgotten,
    label,
    reference,
    reference_check,
    reference_measure,
    search_effort,
    searched_frame,
)
from bunny.character.drawn import (
    drawn_model,
    efficientnet,
    figure_embedding,
    figure_search,
    medium,
    region_search,
    window_search,
)
from bunny.character.model_set import DetectionModels
from bunny.contract import stage
from bunny.contract.shard import ShardWork, fill_missing, plan_missing
from bunny.core import image_file, onnx_session, safe_path
from bunny.core.config import DetectionConfig
from bunny.dataset import addition
from bunny.table import store
from bunny.video import extra_frame


@dataclass(frozen=True, kw_only=True)
class _Measured:
    found: film_label.FilmDetections
    known: pl.DataFrame  # table `reference`
    described: dict[str, np.ndarray]  # drawn references, by their ids
    tables: dict[str, pl.DataFrame]  # that need no decision


class Detect(stage.BaseStage):
    """Finds faces and regions, follows faces, matches both with the references."""

    name = "detect"
    version = 8
    reads = ("frame", "shot", "film", "measure", "change")
    writes = (
        "label",
        "face",
        "track",
        "region",
        "reference",
        "extra_frame",
        "pair",
        "calibration",
        "figure",
        "drawn_face",
        "frame_medium",
        "shot_medium",
        "skipped_frame",
    )
    uses_references = True

    def settings(self) -> dict:
        """All of `detection`, the seed, and how extract made pictures where more are made here.

        `auto` counts as the models that it finds on this machine, in films with drawn shots only.
        """
        chosen = stage.settings_of(self.config, "detection") | forgotten.settings(self.input_dir)
        chosen["detection.drawn_detector"] = self._named.drawn_detector
        chosen["detection.drawn_embedding"] = self._named.drawn_embedding
        shots = store.read_or_empty(self.output_dir / "table", "shot_medium")
        if medium.drawn_shots(shots) and self._auto:
            chosen |= {"models for drawn shots": drawn_model.describe(self._auto)}
        chosen |= stage.unless_default(self.config, "seed")
        if self.config.detection.medium == "auto":
            chosen |= {"medium classifier": medium.digest()}
        dense = addition.dense_spans(addition.read(self.input_dir))
        if self.config.detection.extra_interval_seconds or dense:
            chosen |= extra_frame.settings(self.config.extraction)
        return chosen | ({"added spans": [list(span) for span in dense]} if dense else {})

    def needs(self) -> tuple[str, ...]:
        """The pictures that are looked at."""
        return ("frame/*",)

    def run(self) -> stage.StageOutput:
        """Measure what is not measured yet, then decide."""
        seen = self.measure()
        found, raw = seen.found, seen.found.face
        judged_references = self._judge_references(seen.known, seen.described)
        self.__dict__.pop("_models", None)  # deciding needs none of them
        onnx_session.release_sessions()
        cast = label.read_reference_set(seen.known)
        decided = film_label.label_film(found, cast, self.config.detection, self.config.seed)
        tables = {**decided, "extra_frame": found.extra_frame, **seen.tables}
        broken = raw.filter(pl.col("error").is_not_null())
        used = drawn_model.describe(self._auto)
        note = detection_row.medium_note(seen.tables["shot_medium"], used)
        note += detection_row.note(tables["label"], seen.known, broken)
        return stage.StageOutput(
            tables=tables,
            num_items=found.frame.height,
            num_failed=broken.height,
            note="; ".join(part for part in (note, judged_references) if part),
        )

    def measure(self) -> _Measured:
        """What the pictures of the film and the references hold."""
        frame = self.read("frame").filter(pl.col("file").is_not_null()).sort("frame_index")
        judged = self._frame_media(frame)
        shots = medium.decide_shots(judged, frame["shot_index"], self.config.detection.medium)
        known = self._references(shots)
        cast = label.read_reference_set(known)
        described = self._describe(known)
        plain, drawn = searched_frame.split_frames(frame, known, shots, self.config.detection)
        between, drawn_between = self._between(frame, cast, shots, drawn)
        total = frame.height + plain.height + drawn.height + between.height + drawn_between.height
        with self.bar(total) as bar:
            raw, drawn_face = self._faces(frame, shots, bar.update)
            wanted, skipped = self._plan_search(between, frame, raw, cast)
            bar.update(skipped.height)
            more, beside = self._extra_faces(frame, wanted, bar.update)
            usable = searched_frame.window_references(known, self.config.detection)
            region = self._regions(plain, frame, usable, self._named, bar.update)
            if self._auto:
                usable = searched_frame.drawn_references(known)
                auto = self._regions(drawn, frame, usable, self._auto, lambda number: None)
                # The built-in search numbers its own places of these frames from r00 on.
                number = pl.col("region_id").str.replace(r"-r(\d+)$", "-r1$1")
                region = pl.concat([region, auto.with_columns(number)])
            figures, more_drawn = self._figures(drawn, drawn_between, frame, described, bar.update)
        found = film_label.FilmDetections(
            frame=frame,
            extra_frame=pl.concat([more, more_drawn]).sort("frame_index"),
            face=raw,
            extra_face=beside,
            region=region,
            figure=figures,
        )
        tables = {
            "reference": known,
            "drawn_face": drawn_face,
            "skipped_frame": skipped,
            "frame_medium": judged,
            "shot_medium": store.check("shot_medium", shots),
        }
        return _Measured(found=found, known=known, described=described, tables=tables)

    @cached_property
    def _places(self) -> list[forgotten.ForgottenTrack]:
        return forgotten.tracks(self.input_dir)

    @cached_property
    def _named(self) -> DetectionConfig:
        return drawn_model.resolve(self.config.detection)

    @cached_property
    def _auto(self) -> DetectionConfig | None:
        return drawn_model.find_auto(self.config.detection)

    @cached_property
    def _models(self) -> DetectionModels:
        return DetectionModels(self.config.detection)

    @cached_property
    def _reference_files(self) -> list[reference.ReferenceFile]:
        folder = self.source["references"]
        return [] if folder is None else reference.list_files(Path(folder))

    # -- measuring ----------------------------------------------------------------------------

    def _frame_media(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Table `frame_medium`: how drawn a few frames of each shot look; none where it is set."""
        if self.config.detection.medium != "auto":
            return store.from_rows("frame_medium", [])
        chosen = detection_row.choose_medium_frames(frame, self.input_dir / "table")
        if self.config.detection.effort == "thorough":
            return self._judge_media(chosen, "medium")
        first = self._judge_media(medium.middle_frames(chosen), "medium_first")
        if self.config.detection.effort == "fast":
            return first
        doubted = medium.doubted_shots(first)
        more = chosen.filter(pl.col("shot_index").is_in(doubted))
        more = more.join(first, on="frame_id", how="anti")
        return pl.concat([first, self._judge_media(more, "medium_more")]).sort("frame_id")

    def _judge_media(self, chosen: pl.DataFrame, shards_name: str) -> pl.DataFrame:
        """Rows of `frame_medium` of these frames."""
        frames = chosen["frame_id"].to_list()
        depends = {**self.picture_hashes(), "classifier": self._classifier(), "frames": frames}
        shards = self.shards(shards_name, depends)
        work = ShardWork(
            measure=lambda row: detection_row.medium_row(row, self._read, self._models),
            tables=["frame_medium"],
        )
        self.fill(shards, chosen, work)
        return shards.collect("frame_medium")

    def _references(self, shots: pl.DataFrame) -> pl.DataFrame:
        """Table `reference`; measured again when pictures, models or the medium change."""
        if self.source["references"] is None:
            return store.from_rows("reference", [])
        depends = {
            **self._models.names(),
            "references": self.source["reference_hash"],
            "min_face_score": self.config.detection.min_face_score,
            "medium": [self.config.detection.medium, self._classifier(), medium.film_lean(shots)],
        }
        shards = self.shards("reference", depends)
        with shards.claim("reference", is_waiting=True):
            if not shards.is_done(0):
                wanted = self.config.detection
                rows = detection_row.reference_rows(
                    self._reference_files, wanted, self._models, shots
                )
                shards.put(0, {"reference": store.from_rows("reference", rows)})
        known = shards.collect("reference")
        reference.check_usable(known.select("reference_id", "character", "error").iter_rows())
        return known

    def _describe(self, known: pl.DataFrame) -> dict[str, np.ndarray]:
        """Drawn references described, by their ids."""
        used = reference_measure.drawn_references(known)
        if not used or not self.config.detection.is_drawn_enabled:
            return {}
        drawn = [source for source in self._reference_files if source.reference_id in used]
        return reference_measure.describe_drawn(drawn, self._models.figure_net)

    def _judge_references(self, known: pl.DataFrame, described: Mapping[str, np.ndarray]) -> str:
        """One line on how many references could be better."""
        net = self._models.figure_net if described else None
        pictures = reference_measure.make_pictures(self._reference_files, known, described, net)
        wanted, recogniser = self.config.detection, self._models.recogniser_name
        return reference_check.summarise(reference_measure.judge(pictures, net, wanted, recogniser))

    def _classifier(self) -> str:
        """What tells drawings: the model that is set, or the digest of the built-in weights."""
        return self.config.detection.drawn_classifier or medium.digest()

    def _faces(
        self, frame: pl.DataFrame, shots: pl.DataFrame, advance: Callable[[int], object]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Tables `face` and `drawn_face`: embedded, or only found; an error where unreadable."""
        drawn_shots = medium.drawn_shots(shots)
        depends = {
            **self._models.names(),
            **self.picture_hashes(),
            "drawn": sorted(drawn_shots),
            "appearance": appearance.VERSION,
        }
        shards = self.shards("face", depends)

        def look(row: Mapping) -> dict[str, list[dict]]:
            image = self._read(row)
            if image is None or row["shot_index"] not in drawn_shots:
                return {"face": detection_row.face_rows(row, image, self._models)}
            return {"drawn_face": detection_row.drawn_face_rows(row, image, self._models)}

        work = ShardWork(measure=look, tables=["face", "drawn_face"], advance=advance)
        self.fill(shards, frame, work)
        return shards.collect("face"), shards.collect("drawn_face")

    def _between(
        self,
        frame: pl.DataFrame,
        cast: label.ReferenceSet,
        shots: pl.DataFrame,
        drawn: pl.DataFrame,
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Frames to search besides the kept ones: for faces, for drawn figures."""
        interval_s = self.config.detection.extra_interval_seconds
        dense = addition.dense_spans(addition.read(self.input_dir))
        if not searched_frame.has_between(frame, cast, drawn, interval_s=interval_s, dense=dense):
            return extra_frame.NO_FRAMES, extra_frame.NO_FRAMES
        return searched_frame.choose_between(
            self.read("shot"), frame, cast, shots, drawn, interval_s=interval_s, dense=dense
        )

    def _plan_search(
        self,
        between: pl.DataFrame,
        frame: pl.DataFrame,
        face: pl.DataFrame,
        cast: label.ReferenceSet,
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Frames between to search for faces, and table `skipped_frame` of the others."""
        table_dir = self.input_dir / "table"
        return search_effort.plan_search(
            between,
            search_effort.FoundSoFar(
                shot=store.read_or_empty(table_dir, "shot"),
                frame=frame,
                face=face,
                change=store.read_or_empty(table_dir, "change"),
            ),
            cast,
            effort=self.config.detection.effort,
            interval_s=self.config.detection.extra_interval_seconds,
            asked=addition.dense_spans(addition.read(self.input_dir)),
        )

    def _extra_faces(
        self, frame: pl.DataFrame, between: pl.DataFrame, advance: Callable[[int], object]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows of `extra_frame` and the faces in them, decoded from the film.

        Which frames are wanted depends on the references; those that were searched for others
        before are not decoded again.
        """
        if not between.height:
            return store.from_rows("extra_frame", []), store.from_rows("face", [])
        depends = {
            **self._models.names(),
            **extra_frame.settings(self.config.extraction),
            "film": self.source["content_hash"],
            "appearance": appearance.VERSION,
        }
        shards = self.shards("extra", depends)
        size = self.config.pipeline.shard_size
        missing, first = plan_missing(shards, between, "extra_frame", size)
        advance(between.height - missing.height)

        def look(item: tuple[dict, np.ndarray | None]) -> dict[str, list[dict]]:
            row, image = item[0], forgotten.hide(item[1], item[0], self._places)
            faces = [] if image is None else detection_row.face_rows(row, image, self._models)
            return {"extra_frame": [detection_row.with_colours(row, image)], "face": faces}

        work = ShardWork(
            measure=look,
            tables=("extra_frame", "face"),
            open_items=self._film_reader(frame).read,
            advance=advance,
        )
        self.fill(shards, missing, work, first)
        found = shards.collect("extra_frame").join(between, on="frame_index", how="semi")
        face = shards.collect("face").join(found, on="frame_id", how="semi")
        return found.sort("frame_index"), face.sort("face_id")

    def _film_reader(self, frame: pl.DataFrame) -> extra_frame.ExtraFrameReader:
        """What decodes the film again, its pictures cut as those of table `frame` are."""
        return extra_frame.ExtraFrameReader(
            self.config.extraction,
            self.source["film"],
            self.read("film"),
            frame,
            num_threads=0 if self.config.pipeline.parallel_processing else 1,
        )

    def _regions(
        self,
        frame: pl.DataFrame,
        whole: pl.DataFrame,
        usable: pl.DataFrame,
        wanted: DetectionConfig,
        advance: Callable[[int], object],
    ) -> pl.DataFrame:
        """Best places of every character in some frames of the whole film.

        Rows of table `reference` are compared by the models that `wanted` names.
        """
        if not frame.height or (wanted is self._auto and not usable.height):
            return store.from_rows("region", [])
        depends = {
            **self.picture_hashes(),
            "shots": frame["shot_index"].unique().sort().to_list(),
            "references": self.source["reference_hash"],
            "used": usable["reference_id"].to_list(),
            "models": [wanted.drawn_detector, wanted.drawn_embedding],
            "appearance": appearance.VERSION,
        }
        shards = self.shards("region_auto" if wanted is self._auto else "region", depends)
        if shards.has_all(frame.height, self.config.pipeline.shard_size):
            advance(frame.height)
            return shards.collect("region")
        with self.pool() as pool:
            finder = self._finder(whole, usable, wanted, shards.folder, pool)
            work = ShardWork(
                measure=lambda row: {
                    "region": detection_row.find_regions(row, self._read(row), finder)
                },
                tables=["region"],
                advance=advance,
            )
            fill_missing(shards, frame, self.config.pipeline.shard_size, work, pool)
        return shards.collect("region")

    def _finder(
        self,
        frame: pl.DataFrame,
        known: pl.DataFrame,
        wanted: DetectionConfig,
        folder: Path,
        pool: Executor,
    ) -> region_search.RegionFinder:
        """What looks for the characters in a picture."""
        usable = set(known["reference_id"].to_list())
        return region_search.make_finder(
            wanted,
            self._models,
            [source for source in self._reference_files if source.reference_id in usable],
            lambda: region_search.mean_window(
                frame,
                folder / "mean.npy",
                self._read,
                partial(window_search.mean_window, self._models.net),
                efficientnet.DIMENSION,
                pool,
            ),
            pool,
        )

    def _figures(
        self,
        frame: pl.DataFrame,
        between: pl.DataFrame,
        whole: pl.DataFrame,
        described: Mapping[str, np.ndarray],
        advance: Callable[[int], object],
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Table `figure` of drawn frames and of frames between them, and rows of `extra_frame`."""
        tables = ("figure", "extra_frame")
        if not frame.height:
            return store.from_rows("figure", []), store.from_rows("extra_frame", [])
        used = set(described)
        depends = {
            **self.picture_hashes(),
            "shots": frame["shot_index"].unique().sort().to_list(),
            "references": self.source["reference_hash"] if used else None,
            "used": sorted(used),
            "model": [figure_embedding.digest(), figure_search.VERSION],
            "appearance": appearance.VERSION,
        }
        kept, size = self.shards("figure", depends), self.config.pipeline.shard_size
        depends |= {
            "film": self.source["content_hash"],
            "between": extra_frame.frames_hash(between),
        }
        more = self.shards("figure_extra", depends | extra_frame.settings(self.config.extraction))
        with self.pool() as pool:
            net = self._models.figure_net
            cast = self._figure_references(frame, kept.folder, described, pool)

            def look(row: Mapping) -> dict[str, list[dict]]:
                return {"figure": detection_row.find_figures(row, self._read(row), net, cast)}

            def look_between(item: tuple[dict, np.ndarray | None]) -> dict[str, list[dict]]:
                image = forgotten.hide(item[1], item[0], self._places)
                found = detection_row.find_figures(item[0], image, net, cast, figure_search.QUICK)
                row = detection_row.with_colours(item[0], image)
                return {"extra_frame": [row], "figure": found}

            work = ShardWork(measure=look, tables=["figure"], advance=advance)
            fill_missing(kept, frame, size, work, pool)
            if between.height:
                source = self._film_reader(whole)
                work = ShardWork(
                    measure=look_between, tables=tables, open_items=source.read, advance=advance
                )
                fill_missing(more, between, size, work, pool)
        parts = [kept.collect("figure")] + ([more.collect("figure")] if between.height else [])
        beside = more.collect("extra_frame") if between.height else store.from_rows(tables[1], [])
        return detection_row.stack("figure", *parts), beside

    def _figure_references(
        self, frame: pl.DataFrame, folder: Path, described: Mapping[str, np.ndarray], pool: Executor
    ) -> figure_search.FigureReferenceSet:
        """Drawn references by character, and the film's mean window that they are told from."""
        net = self._models.figure_net
        mean = region_search.mean_window(
            frame,
            folder / "mean.npy",
            self._read,
            partial(figure_search.mean_window, net),
            figure_embedding.RAW,
            pool,
        )
        by_character = reference_measure.group_by_character(self._reference_files, described)
        return figure_search.make_reference_set(net, by_character, mean)

    def _read(self, frame: Mapping) -> np.ndarray | None:
        """Pixels of a frame as BGR, forgotten people painted over; None: none in its file."""
        return forgotten.hide(
            image_file.read(safe_path.join(self.input_dir, frame["file"])), frame, self._places
        )
