"""Film library: catalogue and vectors of a data folder's films, opened once for searching."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bunny.core import safe_path
from bunny.core.config import DetectionConfig, SearchConfig
from bunny.library.search import catalogue, minilm, vector_space
from bunny.library.search.vector_space import VectorSpace
from bunny.table import store

if TYPE_CHECKING:
    from bunny.caption.clip import ClipEncoder

logger = logging.getLogger(__name__)

TABLE = "table"  # folder of a film's tables
FOLDER = "search"  # of a film: vectors of its words; of the data folder: indexes, hidden


class FilmLibrary:
    """Holds what searches have in common; what costs is read when it is first asked for.

    Parameters
    ----------
    root : mapping of str to Path
        Folder of each film, with its tables in `table/`, by film_id.
    detection : DetectionConfig
        How faces are found in a picture to search by.
    is_whole : bool
        Whether these are all films of their data folder.
    """

    def __init__(
        self,
        root: Mapping[str, Path],
        search: SearchConfig,
        detection: DetectionConfig,
        *,
        is_whole: bool = True,
    ) -> None:
        self.root, self.is_whole = dict(root), is_whole
        self.search_config, self.detection_config = search, detection
        self.known = catalogue.join(
            [
                catalogue.read(folder / TABLE, film_id, catalogue.describe_frames)
                for film_id, folder in self.root.items()
            ]
        )
        self.row = {name: i for i, name in enumerate(self.known.frame["frame_id"])}

    @property
    def people(self) -> list[str]:
        """Names that filters offer."""
        return sorted(set(self.known.shot["shot_who"].explode().drop_nulls()))

    @property
    def places(self) -> list[str]:
        """Places that filters offer: those that people named, else all clusters."""
        frame = self.known.frame
        named = set(frame["place_name"].drop_nulls())
        return sorted(named or set(frame["place"].drop_nulls()))

    @cached_property
    def index_folder(self) -> Path:
        """Folder of the indexes of the data folder's films."""
        return next(iter(self.root.values())).parent / f".{FOLDER}"

    @cached_property
    def clip_model(self) -> ClipEncoder:
        """The CLIP model that `search.text_model` names."""
        from bunny.caption import clip

        return clip.load(
            self.search_config.text_model, setting="search.text_model", otherwise="set it to minilm"
        )

    @cached_property
    def sentence_model(self) -> minilm.EmbedText:
        """MiniLM, which embeds captions and questions."""
        return minilm.load()

    @property
    def has_text_model(self) -> bool:
        """Whether words can be compared by meaning."""
        return self.is_clip or minilm.is_present()

    @property
    def is_clip(self) -> bool:
        """Whether words are compared with pictures, not with captions."""
        return self.search_config.text_model != "minilm"

    def embed_words(self, sentences: Sequence[str]) -> np.ndarray:
        """Vectors of sentences, (n, d) float32."""
        embed = self.clip_model.embed_text if self.is_clip else self.sentence_model
        return embed(sentences)

    @cached_property
    def words(self) -> VectorSpace:
        """Embeddings that words are compared with: captions, or pictures if a CLIP model is set."""
        frame = self.known.frame
        if not self.is_clip:
            contents = [vector_space.content_id(s) for s in frame["sentence"]]
            return self._from_contents("words", contents)
        contents = [
            None if f is None else self._stamp(film, f)
            for film, f in frame.select("film_id", "file").rows()
        ]
        return self._from_contents("clip", contents)

    @cached_property
    def picture(self) -> VectorSpace:
        """Scene vectors of frames; of a film that was clustered by an older way there are none."""
        from bunny.scene import embed  # OpenCV is not needed to search by words

        is_own = pl.col("model") == embed.MODEL
        return self._from_tables("picture", "embedding", lambda table: table.filter(is_own))

    @cached_property
    def face(self) -> dict[str, VectorSpace]:
        """Vectors of faces, by recogniser."""
        names: set[str] = set()
        for folder in self.root.values():
            names |= set(store.read_or_empty(folder / TABLE, "face")["recogniser"].drop_nulls())
        return {
            name: self._from_tables(f"face-{name}", "face", _faces_of(name))
            for name in sorted(names)
        }

    @cached_property
    def figures(self) -> pl.DataFrame:
        """Figures of table `asset` with their vectors: asset_id, shot_index, frame_id, model, …"""
        found = []
        for folder in self.root.values():
            asset = store.read_or_empty(folder / TABLE, "asset")
            vector = store.read_or_empty(folder / TABLE, "figure_vector")
            own = asset.filter(pl.col("level") == "character").join(vector, on="asset_id")
            if own.height:
                found.append(own.select("asset_id", "shot_index", "frame_id", "model", "vector"))
        return pl.concat(found) if found else pl.DataFrame()

    def figure(self, model: str) -> VectorSpace:
        """Vectors of figures of one model."""
        frames = dict(self.figures.select("asset_id", "frame_id").iter_rows())
        frame_id = pl.col("asset_id").replace_strict(frames, default=None, return_dtype=pl.String)

        def pick(table: pl.LazyFrame) -> pl.LazyFrame:
            return table.filter(pl.col("model") == model).select("vector", frame_id=frame_id)

        return self._from_tables(f"figure-{model}", "figure_vector", pick)

    def _from_tables(
        self, name: str, table: str, pick: Callable[[pl.LazyFrame], pl.LazyFrame]
    ) -> VectorSpace:
        tables = [(folder / TABLE, table) for folder in self.root.values()]
        return vector_space.from_tables(name, tables, self.row, pick=pick, is_whole=self.is_whole)

    def _from_contents(self, name: str, contents: Sequence[str | None]) -> VectorSpace:
        return vector_space.from_contents(name, contents, self._keep, is_whole=self.is_whole)

    def _keep(self, contents: list[str], rows: list[int]) -> np.ndarray:
        """Vectors of sentences or pictures, kept in the folder of the film that has them first."""
        name = (
            vector_space.content_id(self.search_config.text_model)[:12]
            if self.is_clip
            else minilm.MODEL
        )
        films = self.known.frame["film_id"].gather(rows).to_list()
        found: list[np.ndarray | None] = [None] * len(rows)
        for film_id in dict.fromkeys(films):
            own = [i for i, f in enumerate(films) if f == film_id]
            vectors = vector_space.cached_vectors(
                self.root[film_id] / FOLDER / name,
                name,
                [contents[i] for i in own],
                lambda places, own=own: self._make([rows[own[p]] for p in places]),
            )
            for i, vector in zip(own, vectors, strict=True):
                found[i] = vector
        filled = [vector for vector in found if vector is not None]
        return np.stack(filled) if filled else np.empty((0, 0), np.float32)

    def _make(self, rows: list[int]) -> np.ndarray:
        frame = self.known.frame[rows]
        if not self.is_clip:
            return self.sentence_model(frame["sentence"].to_list())
        from bunny.character import reference

        files = [
            safe_path.join(self.root[film], f) for film, f in frame.select("film_id", "file").rows()
        ]
        pictures = [reference.read_picture(f) for f in files]
        if bad := [f.name for f, p in zip(files, pictures, strict=True) if p is None]:
            logger.warning("%d pictures could not be read, first: %s", len(bad), bad[0])
        blank = np.zeros((32, 32, 3), np.uint8)
        return self.clip_model.embed_picture([blank if p is None else p for p in pictures])

    def _stamp(self, film_id: str, file: str) -> str:
        """Name of a picture's content: its place, size and time."""
        try:
            stat = (self.root[film_id] / file).stat()
        except OSError:
            return vector_space.content_id(f"{film_id}/{file}|gone")
        return vector_space.content_id(f"{film_id}/{file}|{stat.st_size}|{stat.st_mtime_ns}")


def _faces_of(recogniser: str) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
    """Picker of one recogniser's vectors in table `face`."""
    is_own = pl.col("recogniser") == recogniser
    return lambda table: table.filter(is_own).select("frame_id", vector="embedding")
