"""Stage detect: characters in each frame, by face or, where drawn or animal, by appearance.

Pixels are read under two keys, one for faces and one for regions; thresholds are decided on what
they left behind. Only films with a drawn character among the references pay for the second route.
Faces of drawn shots go to a table of their own, `drawn_face`: none is embedded, named or grouped.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import polars as pl

from bunny.character import label, reference, reference_check, reference_measure, table_rows, track
from bunny.character.drawn import (
    efficientnet,
    figure_embedding,
    figure_label,
    figure_search,
    medium,
    region_search,
    window_search,
)
from bunny.character.face import detect
from bunny.character.model_set import DetectionModels
from bunny.contract import stage
from bunny.contract.shard import fill_missing
from bunny.core import image_file
from bunny.dataset import addition
from bunny.table import store
from bunny.video import extra_frame


class Detect(stage.BaseStage):
    """Finds faces and regions, follows faces, matches both with the references."""

    name = "detect"
    version = 4
    reads = ("frame", "shot", "film", "measure")
    writes = (
        *("label", "face", "track", "region", "reference", "extra_frame", "pair", "calibration"),
        *("figure", "drawn_face", "frame_medium", "shot_medium"),
    )
    uses_references = True

    def settings(self) -> dict:
        """All of `detection`, and how extract made pictures where more are made here."""
        chosen = stage.settings_of(self.config, "detection")
        if self.config.detection.medium == "auto":
            chosen |= {"medium is told by": medium.digest()}
        dense = addition.dense_spans(addition.read(self.input_dir))
        if self.config.detection.extra_interval_seconds or dense:
            chosen |= extra_frame.settings(self.config)
        return chosen | ({"looked at again": [list(span) for span in dense]} if dense else {})

    def run(self) -> stage.StageOutput:
        """Measure what is not measured yet, then decide."""
        frame = self.read("frame").filter(pl.col("file").is_not_null()).sort("frame_index")
        judged = self._frame_media(frame)
        shots = medium.decide_shots(judged, frame["shot_index"], self.config.detection.medium)
        known = self._references(shots)
        cast = label.read_reference_set(known)
        sources, described = self._describe(known)
        plain, drawn = self._split(frame, known, shots)
        between, drawn_between = self._between(frame, cast, shots, drawn)
        total = frame.height + plain.height + drawn.height + between.height + drawn_between.height
        with self.bar(total) as bar:
            raw, drawn_face = self._faces(frame, shots, bar.update)
            more, beside = self._extra_faces(frame, between, bar.update)
            region = self._regions(plain, frame, known, bar.update)
            figures, more_drawn = self._figures(drawn, drawn_between, frame, described, bar.update)
        more = pl.concat([more, more_drawn]).sort("frame_index")
        broken = raw.filter(pl.col("error").is_not_null())
        raw = table_rows.stack("face", raw, beside)
        seen = pl.concat([frame, more]) if more.height else frame
        face = self._select(raw)
        face, tracks = track.link_tracks(face, seen, self._film_id(frame))
        looked_at = frame.filter(~pl.col("frame_id").is_in(broken["frame_id"].to_list()))
        counts = looked_at.group_by("shot_index").agg(pl.len().alias("num_frames"))
        setting = self._label_setting()
        learned = label.calibrate_film(face, tracks, cast, setting, self.config.seed)
        region = figure_label.link_regions(region, frame, self._film_id(frame))
        region = label.vote(region, counts, setting)
        figures = figure_label.vote(figure_label.link_figures(figures, seen, self._film_id(frame)))
        of_figures = store.from_rows("region", figure_label.to_regions(figures).to_dicts())
        region = pl.concat([region.select(of_figures.columns), of_figures])
        labels = label.decide(face, tracks, region, cast, setting, learned)
        calibration = label.calibration_row(setting, learned)
        tables = {
            "label": store.from_rows("label", labels),
            "face": table_rows.stack("face", face, broken),
            "track": store.from_rows("track", tracks),
            "region": store.check("region", region),
            "figure": store.check("figure", figures),
            "reference": known,
            "extra_frame": more,
            "pair": store.check("pair", learned.pair),
            "calibration": store.from_rows("calibration", [calibration] if frame.height else []),
            "drawn_face": drawn_face,
            "frame_medium": judged,
            "shot_medium": store.check("shot_medium", shots),
        }
        return stage.StageOutput(
            tables=tables,
            num_items=frame.height,
            num_failed=broken.height,
            note="; ".join(
                part
                for part in (
                    table_rows.medium_note(shots) + table_rows.note(tables["label"], known, broken),
                    self._judge_references(sources, known, described),
                )
                if part
            ),
        )

    @cached_property
    def _models(self) -> DetectionModels:
        return DetectionModels(self.config.detection)

    # -- measuring ----------------------------------------------------------------------------

    def _frame_media(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Table `frame_medium`: how drawn a few frames of each shot look; none where it is set."""
        if self.config.detection.medium != "auto":
            return store.from_rows("frame_medium", [])
        chosen = table_rows.choose_medium_frames(frame, self.input_dir / "table")
        depends = {**self.picture_hashes(), "classifier": self._classifier()}
        shards = self.shards("medium", depends)
        with efficientnet.worker_pool(self.num_workers) as pool:
            fill_missing(
                shards,
                chosen,
                self.config.pipeline.shard_size,
                lambda row: table_rows.medium_row(row, self._read, self._models),
                pool,
                tables=["frame_medium"],
            )
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
        if not shards.is_done(0):
            sources = reference.list_files(Path(self.source["references"]))
            score = self.config.detection.min_face_score
            found = reference.measure(
                sources,
                self._models.detector,
                self._models.recogniser,
                min_score=score,
                judge=reference_measure.drawn_probability(
                    self.config.detection, self._models, shots
                ),
            )
            is_drawn = self.config.detection.is_drawn_enabled
            rows = [
                table_rows.reference_row(item, self._models, is_drawn_enabled=is_drawn)
                for item in found
            ]
            shards.put(0, {"reference": store.from_rows("reference", rows)})
        known = shards.collect("reference")
        reference.check_usable(known.select("reference_id", "character", "error").iter_rows())
        return known

    def _describe(
        self, known: pl.DataFrame
    ) -> tuple[list[reference.ReferenceFile], dict[str, np.ndarray]]:
        """Reference pictures, and the drawn ones described, by their ids."""
        if self.source["references"] is None:
            return [], {}
        sources = reference.list_files(Path(self.source["references"]))
        used = reference_measure.drawn_references(known)
        if not used or not self.config.detection.is_drawn_enabled:
            return sources, {}
        drawn = [source for source in sources if source.reference_id in used]
        return sources, reference_measure.describe_drawn(drawn, self._models.figure_net)

    def _judge_references(
        self,
        sources: list[reference.ReferenceFile],
        known: pl.DataFrame,
        described: Mapping[str, np.ndarray],
    ) -> str:
        """One line on how many references could be better."""
        net = self._models.figure_net if described else None
        pictures = reference_measure.make_pictures(sources, known, described, net)
        wanted, recogniser = self.config.detection, self._models.recogniser_name
        return reference_check.summarise(reference_measure.judge(pictures, net, wanted, recogniser))

    def _classifier(self) -> str:
        """What tells drawings: the model that is set, or the digest of the built-in weights."""
        return self.config.detection.drawn_classifier or medium.digest()

    def _faces(
        self, frame: pl.DataFrame, shots: pl.DataFrame, advance: Callable[[int], object]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Tables `face` and `drawn_face`: all above the detector's floor, embedded or only found.

        An unreadable frame is one row of `face` with an error.
        """
        drawn_shots = medium.drawn_shots(shots)
        depends = {
            **self._models.names(),
            **self.picture_hashes(),
            "drawn": sorted(drawn_shots),
        }
        shards = self.shards("face", depends)

        def look(row: Mapping) -> dict[str, list[dict]]:
            image = self._read(row)
            if image is None or row["shot_index"] not in drawn_shots:
                return {"face": table_rows.face_rows(row, image, self._models)}
            return {"drawn_face": table_rows.drawn_face_rows(row, image, self._models)}

        with self.pool() as pool:
            fill_missing(
                shards,
                frame,
                self.config.pipeline.shard_size,
                look,
                pool,
                tables=["face", "drawn_face"],
                advance=advance,
            )
        return shards.collect("face"), shards.collect("drawn_face")

    def _split(
        self, frame: pl.DataFrame, known: pl.DataFrame, shots: pl.DataFrame
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Frames for the search by windows and frames for the search of drawn figures.

        A model that the settings name looks at every frame; without one photographed frames and
        references are the windows', drawn ones the figures'.
        """
        wanted = self.config.detection
        nothing = frame.clear()
        if not wanted.is_drawn_enabled:
            return nothing, nothing
        is_region = pl.col("route").cast(pl.String) == "region"
        regions = known.filter(pl.col("error").is_null(), is_region)
        if wanted.drawn_detector or wanted.drawn_embedding:
            return (frame if regions.height else nothing), nothing
        in_drawn = pl.col("shot_index").is_in(medium.drawn_shots(shots))
        has_plain = regions.filter(~pl.col("is_drawn").fill_null(False)).height > 0
        return (
            frame.filter(~in_drawn) if has_plain else nothing,
            frame.filter(in_drawn),
        )

    def _between(
        self,
        frame: pl.DataFrame,
        cast: label.ReferenceSet,
        shots: pl.DataFrame,
        drawn: pl.DataFrame,
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Frames to look at besides the kept ones: for faces of references, for drawn figures."""
        interval_s = self.config.detection.extra_interval_seconds
        dense = addition.dense_spans(addition.read(self.input_dir))
        has_use = bool(cast.face or (drawn.height and cast.drawn))
        if not (interval_s or dense) or not has_use or not frame.height:
            return extra_frame.NO_FRAMES, extra_frame.NO_FRAMES
        shot, between = self.read("shot"), extra_frame.NO_FRAMES
        if interval_s:
            between = extra_frame.plan(shot, frame, interval_s)
        between = extra_frame.add_dense_spans(shot, frame, between, dense)
        in_drawn = pl.col("shot_index").is_in(medium.drawn_shots(shots))
        has_figures = pl.col("shot_index").is_in(drawn["shot_index"].unique().to_list())
        for_faces = between.filter(~in_drawn) if cast.face else between.clear()
        return for_faces, (between.filter(has_figures) if cast.drawn else between.clear())

    def _extra_faces(
        self, frame: pl.DataFrame, between: pl.DataFrame, advance: Callable[[int], object]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows of `extra_frame` and the faces in them, decoded from the film."""
        tables = ("extra_frame", "face")
        if not between.height:
            return store.from_rows("extra_frame", []), store.from_rows("face", [])
        depends = {
            **self._models.names(),
            **extra_frame.settings(self.config),
            "film": self.source["content_hash"],
            "between": extra_frame.frames_hash(between),
        }
        shards = self.shards("extra", depends)
        source = extra_frame.ExtraFrameReader(self.config, self.source, self.read("film"), frame)

        def look(item: tuple[dict, np.ndarray | None]) -> dict[str, list[dict]]:
            row, image = item
            faces = [] if image is None else table_rows.face_rows(row, image, self._models)
            return {"extra_frame": [row], "face": faces}

        with self.pool() as pool:
            fill_missing(
                shards,
                between,
                self.config.pipeline.shard_size,
                look,
                pool,
                tables=tables,
                open_items=source.read,
                advance=advance,
            )
        found = shards.collect("extra_frame").sort("frame_index")
        return found, shards.collect("face")

    def _regions(
        self,
        frame: pl.DataFrame,
        whole: pl.DataFrame,
        known: pl.DataFrame,
        advance: Callable[[int], object],
    ) -> pl.DataFrame:
        """Best places of every character in some frames of the whole film."""
        if not frame.height:
            return store.from_rows("region", [])
        usable = known.filter(pl.col("error").is_null())
        if not (self.config.detection.drawn_detector or self.config.detection.drawn_embedding):
            usable = usable.filter(~pl.col("is_drawn").fill_null(False))
        depends = {
            **self.picture_hashes(),
            "shots": frame["shot_index"].unique().sort().to_list(),
            "references": self.source["reference_hash"],
            "used": usable["reference_id"].to_list(),
            "models": [self.config.detection.drawn_detector, self.config.detection.drawn_embedding],
        }
        shards = self.shards("region", depends)
        if shards.has_all(frame.height, self.config.pipeline.shard_size):
            advance(frame.height)
            return shards.collect("region")
        with efficientnet.worker_pool(self.num_workers) as pool:
            finder = self._finder(whole, usable, shards.folder, pool)
            fill_missing(
                shards,
                frame,
                self.config.pipeline.shard_size,
                lambda row: self._look(row, finder),
                pool,
                tables=["region"],
                advance=advance,
            )
        return shards.collect("region")

    def _finder(
        self, frame: pl.DataFrame, known: pl.DataFrame, folder: Path, pool: Executor
    ) -> region_search.RegionFinder:
        """What looks for the characters in a picture."""
        usable = set(known["reference_id"].to_list())
        listed = reference.list_files(Path(self.source["references"]))
        return region_search.make_finder(
            self.config.detection,
            self._models,
            [source for source in listed if source.reference_id in usable],
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
        }
        kept, size = self.shards("figure", depends), self.config.pipeline.shard_size
        depends |= {
            "film": self.source["content_hash"],
            "between": extra_frame.frames_hash(between),
        }
        more = self.shards("figure_extra", depends | extra_frame.settings(self.config))
        with efficientnet.worker_pool(self.num_workers) as pool:
            net = self._models.figure_net
            mean = region_search.mean_window(
                frame,
                kept.folder / "mean.npy",
                self._read,
                partial(figure_search.mean_window, net),
                figure_embedding.RAW,
                pool,
            )
            listed = reference.list_files(Path(self.source["references"])) if used else []
            by_character = reference_measure.group_by_character(listed, described)
            cast = figure_search.make_reference_set(net, by_character, mean)

            def look(row: Mapping) -> dict[str, list[dict]]:
                image = self._read(row)
                found = [] if image is None else figure_search.find(net, image, cast)
                return {"figure": table_rows.figure_rows(row, image, found)}

            def look_between(item: tuple[dict, np.ndarray | None]) -> dict[str, list[dict]]:
                row, image = item
                quick, found = figure_search.QUICK, []
                if image is not None:
                    found = figure_search.find(net, image, cast, quick)
                return {"extra_frame": [row], "figure": table_rows.figure_rows(row, image, found)}

            fill_missing(kept, frame, size, look, pool, tables=["figure"], advance=advance)
            if between.height:
                source = extra_frame.ExtraFrameReader(
                    self.config, self.source, self.read("film"), whole
                )
                fill_missing(
                    more,
                    between,
                    size,
                    look_between,
                    pool,
                    tables=tables,
                    open_items=source.read,
                    advance=advance,
                )
        parts = [kept.collect("figure")] + ([more.collect("figure")] if between.height else [])
        beside = more.collect("extra_frame") if between.height else store.from_rows(tables[1], [])
        return table_rows.stack("figure", *parts), beside

    def _look(self, row: Mapping, finder: region_search.RegionFinder) -> dict[str, list[dict]]:
        image = self._read(row)
        if image is None:
            return {"region": []}
        found = finder.find(image)
        rows = table_rows.region_rows(row, image.shape, finder.name, found, finder.licence)
        return {"region": rows}

    def _read(self, frame: Mapping) -> np.ndarray | None:
        """Pixels of a frame as BGR; None when there is no picture in its file."""
        return image_file.read(self.input_dir / frame["file"])

    # -- deciding -----------------------------------------------------------------------------

    def _select(self, raw: pl.DataFrame) -> pl.DataFrame:
        wanted = self.config.detection
        return detect.select_faces(
            raw.lazy().filter(pl.col("error").is_null()),
            min_score=wanted.min_face_score,
            min_size_px=wanted.min_face_px,
            max_per_frame=wanted.max_faces_per_frame,
        ).collect()

    def _label_setting(self) -> label.LabelSetting:
        wanted = self.config.detection
        return label.LabelSetting(
            similarity_threshold=wanted.similarity_threshold,
            min_margin=wanted.min_margin,
            drawn_threshold=wanted.drawn_threshold,
            drawn_margin=wanted.drawn_margin,
            ccip_threshold=wanted.ccip_threshold,
            figure_score=wanted.figure_score,
            figure_presence=wanted.figure_presence,
            calibration=wanted.calibration,
            is_adapted=wanted.is_adapted,
        )

    @staticmethod
    def _film_id(frame: pl.DataFrame) -> str:
        return frame["film_id"][0] if frame.height else ""
