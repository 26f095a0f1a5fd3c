"""Stage 3: who is seen in each frame, by face and, for drawn characters and animals, by look.

Pixels are read under two keys, one for faces and one for regions; thresholds are decided on what
they left behind. Only films with a drawn character among the references pay for the second route.
"""

import io
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

from bunny.character import detect, drawn, embed, figure, label, picture, proposal, reference
from bunny.stage import contract, extra
from bunny.stage.fill import fill
from bunny.table import schema, store
from bunny.training import addition

logger = logging.getLogger(__name__)


class Detect(contract.BaseStage):
    """Finds faces and regions, follows faces, matches both with the references."""

    name = "detect"
    version = 3
    reads = ("frame", "shot", "film")
    writes = (
        *("label", "face", "track", "region", "reference", "extra_frame", "pair", "calibration"),
    )
    uses_references = True

    def settings(self) -> dict:
        """All of `detection`, and how extract made pictures where more are made here."""
        chosen = contract.settings_of(self.config, "detection")
        dense = addition.dense(addition.read(self.input_dir))
        if self.config.detection.extra_interval_seconds or dense:
            chosen |= extra.settings(self.config)
        return chosen | ({"looked at again": [list(span) for span in dense]} if dense else {})

    def run(self) -> contract.Work:
        """Measure what is not measured yet, then decide."""
        frame = self.read("frame").filter(pl.col("file").is_not_null()).sort("frame_index")
        known = self._references()
        cast = label.read_cast(known)
        has_regions = bool(cast.drawn) and self.config.detection.is_drawn_enabled
        between = self._between(frame, cast)
        with self.bar(frame.height * (2 if has_regions else 1) + between.height) as bar:
            raw = self._faces(frame, bar.update)
            more, beside = self._extra_faces(frame, between, bar.update)
            region = store.from_rows("region", [])
            if has_regions:
                region = self._regions(frame, known, bar.update)
        broken = raw.filter(pl.col("error").is_not_null())
        raw = _stack(raw, beside)
        seen = pl.concat([frame, more]) if more.height else frame
        face = self._select(raw)
        face, tracks = label.link_tracks(face, seen, self._film_id(frame))
        looked_at = frame.filter(~pl.col("frame_id").is_in(broken["frame_id"].to_list()))
        counts = looked_at.group_by("shot_index").agg(pl.len().alias("num_frames"))
        setting = self._label_setting()
        learned = label.learn(face, tracks, cast, setting, self.config.seed)
        region = figure.link_regions(region, frame, self._film_id(frame))
        region = drawn.vote(region.lazy(), counts.lazy(), min_margin=setting.drawn_margin).collect()
        labels = label.decide(face, tracks, region, cast, setting, learned)
        calibration = label.calibration_row(setting, learned)
        tables = {
            "label": store.from_rows("label", labels),
            "face": _stack(face, broken),
            "track": store.from_rows("track", tracks),
            "region": store.check("region", region),
            "reference": known,
            "extra_frame": more,
            "pair": store.check("pair", learned.pair),
            "calibration": store.from_rows("calibration", [calibration] if frame.height else []),
        }
        return contract.Work(
            tables=tables,
            num_items=frame.height,
            num_failed=broken.height,
            note=_note(tables["label"], known, broken),
        )

    # -- models, each loaded once and only when there is something to do ----------------------

    @cached_property
    def _detector(self) -> detect.Detector:
        wanted = self.config.detection
        return detect.load_detector(
            wanted.face_detection_model, has_small_faces=wanted.has_small_faces
        )

    @property
    def _recogniser(self) -> embed.Recogniser:
        """One a thread: OpenCV's networks are not to be shared."""
        if not hasattr(self._own, "recogniser"):
            self._own.recogniser = embed.load_recogniser(self._recogniser_name)
        return self._own.recogniser

    @cached_property
    def _own(self) -> threading.local:
        return threading.local()

    @cached_property
    def _net(self) -> picture.PictureNet:
        return picture.PictureNet()

    @property
    def _recogniser_name(self) -> str:
        wanted = self.config.detection
        return embed.choose_recogniser(wanted.recogniser, wanted.face_detection_model)

    # -- measuring ----------------------------------------------------------------------------

    def _models(self) -> dict[str, Any]:
        return {
            "detector": self.config.detection.face_detection_model,
            "recogniser": self._recogniser_name,
            "has_small_faces": self.config.detection.has_small_faces,
        }

    def _references(self) -> pl.DataFrame:
        """Table `reference`; measured again only when a picture, a model or the floor changes."""
        if self.source["references"] is None:
            return store.from_rows("reference", [])
        depends = {
            **self._models(),
            "references": self.source["reference_hash"],
            "min_face_score": self.config.detection.min_face_score,
        }
        shards = self.shards("reference", depends)
        if not shards.is_done(0):
            sources = reference.list_sources(Path(self.source["references"]))
            score = self.config.detection.min_face_score
            found = reference.measure(sources, self._detector, self._recogniser, min_score=score)
            rows = [self._reference_row(item) for item in found]
            shards.put(0, {"reference": store.from_rows("reference", rows)})
        known = shards.collect("reference")
        reference.check_usable(known.select("reference_id", "character", "error").iter_rows())
        return known

    def _reference_row(self, found: reference.Reference) -> dict:
        is_region = found.error is None and found.num_faces == 0
        embedding = None
        if is_region and self.config.detection.is_drawn_enabled:
            embedding = self._net.embed(reference.read_picture(found.source.path))
        return {
            "reference_id": found.source.reference_id,
            "character": found.source.character,
            "content_hash": found.content_hash,
            "route": "region" if is_region else "face",
            "num_faces": found.num_faces,
            "recogniser": self._recogniser_name if found.face_embedding is not None else None,
            "face_embedding": found.face_embedding,
            "picture_embedding": embedding,
            "error": found.error,
        }

    def _faces(self, frame: pl.DataFrame, advance: Callable[[int], object]) -> pl.DataFrame:
        """All faces above the detector's floor; an unreadable frame is one row with an error."""
        depends = {**self._models(), "frame": contract.table_hash(self.input_dir, "frame")}
        shards = self.shards("face", depends)
        with self.pool() as pool:
            fill(
                shards,
                frame,
                self.config.pipeline.shard_size,
                lambda row: {"face": self._face_rows(row, self._read(row))},
                pool,
                tables=["face"],
                advance=advance,
            )
        return shards.collect("face")

    def _between(self, frame: pl.DataFrame, cast: label.Cast) -> pl.DataFrame:
        """Which frames to look at besides the kept ones; none where no face is looked for."""
        interval_s = self.config.detection.extra_interval_seconds
        dense = addition.dense(addition.read(self.input_dir))
        if not (interval_s or dense) or not cast.face or not frame.height:
            return extra.NOTHING
        shot, between = self.read("shot"), extra.NOTHING
        if interval_s:
            between = extra.plan(shot, frame, interval_s)
        return extra.plan_again(shot, frame, between, dense)

    def _extra_faces(
        self, frame: pl.DataFrame, between: pl.DataFrame, advance: Callable[[int], object]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows of `extra_frame` and the faces in them, decoded from the film."""
        tables = ("extra_frame", "face")
        if not between.height:
            empty = (store.from_rows(name, []) for name in tables)
            return tuple(empty)
        depends = {
            **self._models(),
            **extra.settings(self.config),
            "film": self.source["content_hash"],
            "between": extra.digest(between),
        }
        shards = self.shards("extra", depends)
        source = extra.Source(self.config, self.source, self.read("film"), frame)

        def look(item: tuple[dict, np.ndarray | None]) -> dict[str, list[dict]]:
            row, image = item
            faces = [] if image is None else self._face_rows(row, image)
            return {"extra_frame": [row], "face": faces}

        with self.pool() as pool:
            fill(
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

    def _face_rows(self, frame: Mapping, image: np.ndarray | None) -> list[dict]:
        common = {
            "frame_id": frame["frame_id"],
            "shot_index": frame["shot_index"],
            "detector": self.config.detection.face_detection_model,
        }
        if image is None:
            error = f"expected a picture in {frame['file']}, could not read it"
            nowhere = dict.fromkeys(label.BOX, 0.0) | {"score": 0.0, "size_px": 0.0}
            return [{"face_id": f"{frame['frame_id']}-x", **common, **nowhere, "error": error}]
        return [
            {
                "face_id": f"{frame['frame_id']}-f{i:02d}",
                **common,
                **dict(zip(label.BOX, face.box.tolist(), strict=True)),
                "score": face.score,
                "landmark": face.landmark.ravel(),
                "yaw": face.yaw,
                "pitch": face.pitch,
                "mouth": face.mouth,
                "size_px": face.size_px,
                "sharpness": face.sharpness,
                "brightness": face.brightness,
                "recogniser": self._recogniser_name,
                "embedding": self._recogniser(image, face),
            }
            for i, face in enumerate(self._detector(image))
        ]

    def _regions(
        self, frame: pl.DataFrame, known: pl.DataFrame, advance: Callable[[int], object]
    ) -> pl.DataFrame:
        """Best places of every character in every frame."""
        depends = {
            "frame": contract.table_hash(self.input_dir, "frame"),
            "references": self.source["reference_hash"],
            "used": known.filter(pl.col("error").is_null())["reference_id"].to_list(),
            "models": [self.config.detection.drawn_detector, self.config.detection.drawn_embedding],
        }
        shards = self.shards("region", depends)
        if shards.has_all(frame.height, self.config.pipeline.shard_size):
            advance(frame.height)
            return shards.collect("region")
        with picture.worker_pool(self.num_workers) as pool:
            name, find = self._finder(frame, known, shards.folder, pool)
            fill(
                shards,
                frame,
                self.config.pipeline.shard_size,
                lambda row: {"region": self._region_rows(row, name, find)},
                pool,
                tables=["region"],
                advance=advance,
            )
        return shards.collect("region")

    def _finder(
        self, frame: pl.DataFrame, known: pl.DataFrame, folder: Path, pool: Executor
    ) -> tuple[str, Callable[[np.ndarray], list[drawn.Candidate]]]:
        """What looks for the characters in a picture, and its name."""
        wanted = self.config.detection
        if wanted.drawn_detector:
            from bunny.character.guided import GuidedNet

            net = GuidedNet(wanted.drawn_detector, wanted.drawn_embedding)
            looks = self._looks(known, pool, net.describe_reference)
            return net.name, partial(net.find_candidates, reference=looks)
        _ = self._net  # loaded before threads ask for it
        found = self._looks(known, pool, partial(drawn.describe_reference, self._net))
        stacked = {name: np.vstack(features) for name, features in found.items()}
        mean = self._mean_window(frame, folder / "mean.npy", pool)
        return picture.NAME, lambda image: proposal.search(self._net, image, mean, stacked)

    def _looks(
        self, known: pl.DataFrame, pool: Executor, describe: Callable[[np.ndarray], Any]
    ) -> dict[str, list[Any]]:
        """Every usable reference picture described, by character; people too, as rivals."""
        usable = set(known.filter(pl.col("error").is_null())["reference_id"].to_list())
        listed = reference.list_sources(Path(self.source["references"]))
        sources = [source for source in listed if source.reference_id in usable]
        pictures = (reference.read_picture(source.path) for source in sources)
        looks: dict[str, list[Any]] = {}
        for source, look in zip(sources, pool.map(describe, pictures), strict=True):
            looks.setdefault(source.character, []).append(look)
        return looks

    def _mean_window(self, frame: pl.DataFrame, path: Path, pool: Executor) -> np.ndarray:
        """What all windows of the film share; measured once, from frames spread over it."""
        if path.exists():
            return np.load(path)
        spread = np.unique(np.linspace(0, frame.height - 1, drawn.MEAN_FRAMES).round().astype(int))
        rows = frame[spread.tolist()].iter_rows(named=True)
        found = [one for one in pool.map(self._window_mean, rows) if one is not None]
        mean = np.mean(found, axis=0) if found else np.zeros(picture.DIMENSION, np.float32)
        buffer = io.BytesIO()
        np.save(buffer, mean)
        store.write_bytes(path, buffer.getvalue())
        return mean

    def _window_mean(self, frame: Mapping) -> np.ndarray | None:
        image = self._read(frame)
        return None if image is None else drawn.mean_window(self._net, image)

    def _region_rows(
        self, frame: Mapping, name: str, find: Callable[[np.ndarray], list[drawn.Candidate]]
    ) -> list[dict]:
        image = self._read(frame)
        if image is None:
            return []
        height, width = image.shape[:2]
        scale = np.array([width, height, width, height], dtype=np.float32)
        return [
            {
                "region_id": f"{frame['frame_id']}-r{i:02d}",
                "frame_id": frame["frame_id"],
                "shot_index": frame["shot_index"],
                "candidate": one.character,
                **dict(zip(label.BOX, (one.box * scale).tolist(), strict=True)),
                "similarity": one.similarity,
                "margin": one.margin,
                "model": name,
            }
            for i, one in enumerate(find(image))
        ]

    def _read(self, frame: Mapping) -> np.ndarray | None:
        """Pixels of a frame as BGR; None when there is no picture in its file."""
        try:
            data = np.frombuffer((self.input_dir / frame["file"]).read_bytes(), dtype=np.uint8)
            return cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
        except (OSError, cv2.error) as error:
            logger.debug("frame %s: %s", frame["frame_id"], error)
            return None

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
            calibration=wanted.calibration,
            is_adapted=wanted.is_adapted,
        )

    @staticmethod
    def _film_id(frame: pl.DataFrame) -> str:
        return frame["film_id"][0] if frame.height else ""


def _stack(*parts: pl.DataFrame) -> pl.DataFrame:
    """Rows of `face` one after the other; where a part has no face its vectors have no length."""
    vectors = [pl.col(c).cast(pl.List(pl.Float32)) for c in schema.VECTOR["face"]]
    lists = [part.with_columns(vectors) for part in parts if part.height]
    return store.check("face", pl.concat(lists, how="diagonal_relaxed")) if lists else parts[0]


def _note(labels: pl.DataFrame, known: pl.DataFrame, broken: pl.DataFrame) -> str:
    """One sentence for the user: who was found, which references were of no use."""
    words = []
    counts = (
        labels.drop_nulls("character")
        .group_by("character")
        .agg(pl.col("frame_id").n_unique().alias("n"))
        .sort("character")
    )
    if known.height:
        found = [f"{name} in {n} frames" for name, n in counts.iter_rows()]
        words.append("found " + (", ".join(found) or "none of the characters"))
    else:
        words.append("no references given, so nobody is named")
    words += [
        f"{r['reference_id']}: {r['error']}" for r in known.iter_rows(named=True) if r["error"]
    ]
    if broken.height:
        words.append(f"{broken.height} frames could not be read")
    return "; ".join(words)
