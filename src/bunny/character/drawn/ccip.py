"""CCIP embeddings of anime characters: similarity, and votes and thresholds of its regions.

Contrastive Anime Character Image Pre-training (7eu7d7 and narugo1992, DeepGHS 2023) gives pictures
of one character a small difference, between 0 and 1. Where "the same character" begins differs by
model and is published beside each, so differences are put on a scale where it is always 0.5.

Unlike windows, a box is where a detector saw a figure, and CCIP's threshold holds for two single
pictures. So frames in which the figure is not seen say nothing against it: only its own track
votes, and there is no penalty for having no rival.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from PIL import Image

from bunny.character.drawn import onnx_model, window_search
from bunny.character.drawn.onnx_model import OnnxModel, PublishedModel
from bunny.core.error import UserError
from bunny.table.box import crop_shares

NAME = "ccip"
KEY = "detection.drawn_embedding"
PUBLISHED = PublishedModel(repository="deepghs/ccip_onnx", model="ccip-caformer-24-randaug-pruned")
FEATURE, METRIC, THRESHOLD = "model_feat.onnx", "model_metrics.onnx", "metrics.json"
SIZE_PX = 384  # side of the square that its authors stretch a picture to
# Of RGB in [0, 1], as its authors have it (CLIP's, one digit of the green mean left out).
MEAN = (0.48145466, 0.4578275, 0.40821073)
SCALE = (0.26862954, 0.26130258, 0.27577711)
SAME = 0.5  # similarity at the published difference from which two are the same character

# As `window_search.WEIGHT`, the centre of similarity as far below the usual threshold as there.
WEIGHT = (14.0, 0.47, 4.0, 0.10)


class CcipNet:
    """Embeds pictures of one character each and says how alike two of them are.

    Parameters
    ----------
    source : str
        Folder, hub id ``owner/name`` or ``owner/name/model``; empty: as published.
    num_threads : int
        That one picture may use.

    Raises
    ------
    UserError
        If a file is missing or is no such model.

    Notes
    -----
    Files, preparation and threshold as `imgutils.metrics.ccip` of DeepGHS has them.
    """

    def __init__(self, source: str = "", *, num_threads: int = 1) -> None:
        folder = onnx_model.find_folder(KEY, source, PUBLISHED, (FEATURE, METRIC, THRESHOLD))
        name = {"input_name": "input", "output_name": "output", "num_threads": num_threads}
        self._feature = OnnxModel(folder, FEATURE, **name)
        self._metric = OnnxModel(folder, METRIC, input_rank=2, **name)
        self.max_difference = _read_threshold(folder)
        self.name = folder.name if NAME in folder.name else f"{NAME}-{folder.name}"
        self.licence = self._feature.licence

    def embed(self, image: np.ndarray) -> np.ndarray:
        """Embed a picture of one character.

        Parameters
        ----------
        image : np.ndarray, shape (height, width, 3), uint8, BGR

        Returns
        -------
        np.ndarray, shape (d,), float32
            As the network gives it: of no particular length.
        """
        size_px = self._feature.size_px or (SIZE_PX, SIZE_PX)
        pixels = onnx_model.to_pixels(
            image, size_px, resample=Image.Resampling.BILINEAR, mean=MEAN, scale=SCALE
        )
        return self._feature.run(pixels).reshape(-1)

    def embed_boxes(self, image: np.ndarray, box: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Embed what is in boxes (n, 4) in shares of a picture; (n, d)."""
        return np.stack([self.embed(crop_shares(image, one)) for one in box])

    def compare(self, feature: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Similarity of pictures to pictures.

        Parameters
        ----------
        feature : np.ndarray, shape (n, d)
        reference : np.ndarray, shape (m, d)

        Returns
        -------
        np.ndarray, shape (n, m), float32
            From `to_similarity`.

        Raises
        ------
        UserError
            If the metric model gives no table of n + m pictures by as many.
        """
        num = len(feature)
        together = np.vstack([feature, reference])
        difference = self._metric.run(together)
        if difference.shape != (len(together), len(together)):
            raise UserError(
                f"{KEY}: expected {METRIC} of {self.name} to give differences of shape "
                f"{(len(together), len(together))}, got {difference.shape}; "
                f"download {PUBLISHED.model} of {PUBLISHED.repository}"
            )
        return to_similarity(difference[:num, num:], self.max_difference)

    def find_candidates(
        self, image: np.ndarray, box: np.ndarray, reference: Mapping[str, np.ndarray]
    ) -> list[window_search.RegionCandidate]:
        """Find the best of some boxes for each character.

        Parameters
        ----------
        image : np.ndarray, shape (height, width, 3), uint8, BGR
        box : np.ndarray, shape (n, 4)
            Where a figure was found, in shares of width and height.
        reference : mapping of character to np.ndarray, shape (m, d)

        Returns
        -------
        list of window_search.RegionCandidate
            By character; `similarity` is that to its nearest reference picture, on the scale of
            `to_similarity`.
        """
        names = sorted(name for name in reference if len(reference[name]))
        if not names or not len(box):
            return []
        looks = np.vstack([reference[name] for name in names])
        owner = np.repeat(np.arange(len(names)), [len(reference[name]) for name in names])
        near = self.compare(self.embed_boxes(image, box), looks)
        columns = [near[:, owner == i].max(axis=1) for i in range(len(names))]
        return window_search.choose_candidates(box, np.stack(columns, axis=1), names)


def to_similarity(difference: np.ndarray, max_difference: float) -> np.ndarray:
    """Put differences on a scale that is the same for all CCIP models.

    Parameters
    ----------
    difference : np.ndarray
        In [0, 1], of the metric model.
    max_difference : float
        Published with the model: up to here two pictures show the same character.

    Returns
    -------
    np.ndarray, float32
        In [-1, 1]: 1 at no difference, `SAME` at `max_difference`, 0 at twice that.
    """
    return np.clip(1 - difference / (2 * max_difference), -1, 1).astype(np.float32)


def is_named(setting: str) -> bool:
    """Whether a setting says ``ccip`` or ``ccip:<folder or hub id>``."""
    return setting.partition(":")[0] == NAME


def source_of(setting: str) -> str:
    """Folder or hub id of ``ccip:<folder or hub id>``; empty without one."""
    return setting.partition(":")[2]


def _read_threshold(folder: onnx_model.ModelFolder) -> float:
    """Published difference up to which two are the same character."""
    said = folder.read_json(THRESHOLD)
    value = said.get("threshold") if isinstance(said, dict) else None
    if not isinstance(value, int | float) or not 0 < value < 1:
        raise UserError(
            f"{KEY}: expected a number between 0 and 1 as threshold in {folder.path / THRESHOLD}, "
            f"found {value}; download it again"
        )
    return float(value)


def is_compared() -> pl.Expr:
    """Whether CCIP compared a row of table `region`."""
    return pl.col("model").str.contains(NAME, literal=True)


def vote(region: pl.LazyFrame) -> pl.LazyFrame:
    """Let the regions of a figure's track vote on each of them.

    Parameters
    ----------
    region : pl.LazyFrame
        Rows of table `region`, `track_id` by `figure_label.link_regions`.

    Returns
    -------
    pl.LazyFrame
        `region` with `support`: half its own similarity, half the mean of its track.
    """
    together = pl.col("similarity").mean().over("track_id")
    support = (0.5 * pl.col("similarity") + 0.5 * together).cast(pl.Float32)
    return region.with_columns(support.alias("support"))


def select_regions(
    region: pl.LazyFrame, characters: Sequence[str], *, threshold: float, min_margin: float
) -> pl.LazyFrame:
    """Keep the regions that are their candidate.

    Parameters
    ----------
    region : pl.LazyFrame
        With `support`.
    characters : sequence of str
        Those that are looked for by this route.
    threshold : float
        On the scale of `ccip.to_similarity`, inclusive; `ccip.SAME` is the model's own.
    min_margin : float
        By which the best must beat the second, inclusive.
    """
    return region.filter(
        pl.col("candidate").is_in(list(characters)),
        pl.col("support") >= threshold,
        pl.col("margin") >= min_margin,
    )
