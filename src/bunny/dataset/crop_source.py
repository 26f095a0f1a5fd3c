"""Frames that crops are cut from: stored pictures, or the film decoded again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from bunny.dataset import image_folder
from bunny.dataset.crop import Crop
from bunny.dataset.image_folder import CropSource
from bunny.video.extra_frame import CROP, ExtraFrameReader


class CropReader:
    """Reads the frames of crops.

    Parameters
    ----------
    film_dir : Path
        That files of table `frame` lie in.
    tables : mapping
        frame and extra_frame.
    film : ExtraFrameReader
    cut_from : {"auto", "picture", "film"}
        "auto" goes to the film, where it is there, for crops that would be enlarged.
    """

    def __init__(
        self,
        film_dir: Path,
        tables: Mapping[str, pl.DataFrame],
        film: ExtraFrameReader,
        cut_from: str = "auto",
    ) -> None:
        self._film_dir, self._tables, self._film = film_dir, tables, film
        self._cut_from = cut_from

    def read(self, crops: Sequence[Crop]) -> Iterator[CropSource]:
        """Crops with their frames: stored ones, or of the film where that is asked or needed.

        Parameters
        ----------
        crops : sequence of Crop
            By frame index.
        """
        has_film = self._film.is_present()
        wanted = [c for c in crops if self._is_from_film(c, has_film)]
        recovered = self._recovered(wanted)
        again = {c.image_id for c in wanted}
        kept = image_folder.read_crops(
            self._film_dir, [c for c in crops if c.image_id not in again]
        )
        for one in crops:
            yield next(recovered if one.image_id in again else kept)

    def _is_from_film(self, one: Crop, has_film: bool) -> bool:
        """Whether a crop is decoded again: asked for, nowhere stored, or small and film at hand."""
        if one.view.file is None:
            return True
        is_small = one.window.upscale > 1
        return self._cut_from == "film" or (self._cut_from == "auto" and is_small and has_film)

    def _recovered(self, crops: Sequence[Crop]) -> Iterator[CropSource]:
        """Crops of frames decoded again as extract decoded them; in order of the frame."""
        if not crops:
            return
        tables = [self._tables[name] for name in ("frame", "extra_frame")]
        both = pl.concat([table.select("frame_index", *CROP) for table in tables])
        box = {r[0]: None if None in r[1:] else r[1:] for r in both.iter_rows()}
        found = self._film.pictures({c.view.frame_index: box[c.view.frame_index] for c in crops})
        one = next(found, None)
        for item in crops:
            index = item.view.frame_index
            while one is not None and one.frame.index < index:
                one = next(found, None)
            if one is None or one.frame.index != index:
                lost = "this frame could not be decoded again"
                yield CropSource(crop=item, picture=None, error=lost)
            else:
                yield CropSource(crop=item, picture=one.picture, is_recovered=True, error=one.error)
