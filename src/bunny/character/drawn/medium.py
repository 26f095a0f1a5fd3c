"""Drawn or photographed: style and ONNX classifiers, and decisions for each shot.

A picture is drawn when it is cel animation, anime, vector, pencil or ink; live action and 3D
computer graphics are photographed. Faces of drawings are no faces to a recogniser, so it must be
known which is which. A logistic regression on the style of a picture (`EfficientNet.measure_style`)
judges one picture; a film's shots are judged together, since most films are one or the other.
"""

import json
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from bunny.character.drawn import efficientnet, onnx_model
from bunny.character.drawn.onnx_model import OnnxModel, PublishedModel
from bunny.core import file_hash
from bunny.core.error import UserError
from bunny.table import scalar

WEIGHT_FILE = Path(__file__).with_name("medium.json")
FRAMES_PER_SHOT = 3  # that are looked at; the frames of a shot look alike
LEAST_PX = 16  # shorter side of a picture that can be judged
LEAST_DEVIATION = 6.0  # grey levels; a picture with less is blank
STYLE_LIMIT = 4.0  # standard deviations at which a measure is cut
FILM_LIMIT = (-2.0, 1.0)  # logits at which another shot of the film is cut; see `decide_shots`
FILM_SHRINK = 2.0  # shots that the film is taken to have besides, with a logit of 0
REFERENCE_LEAN = 2.0  # logit that a film adds to its references when all its shots are alike

ANIME_REAL = "anime-real"
CLASSIFIER_KEY = "detection.drawn_classifier"
ANIME_REAL_PUBLISHED = PublishedModel(
    repository="deepghs/anime_real_cls", model="mobilenetv3_v1.1_dist_ls0.1"
)
SURE_LOGIT = 2.0  # of one frame; frames of a shot lie 0.8 apart (standard deviation)
FILE, LABELS = "model.onnx", "meta.json"
CLASSIFIER_SIZE_PX = 384  # side of the square a picture is stretched to, where the file names none
HALF = (0.5, 0.5, 0.5)  # mean and scale of RGB in [0, 1]
DRAWN = "anime"  # its word for drawn; the other is "real"


class MediumClassifier:
    """The classifier, loaded once."""

    def __init__(self, net: efficientnet.EfficientNet) -> None:
        kept = json.loads(WEIGHT_FILE.read_text(encoding="utf-8"))
        self._net = net
        self._mean, self._deviation, self._weight = (
            np.array(kept[name], np.float32) for name in ("mean", "deviation", "weight")
        )
        self._bias = float(kept["bias"])

    def drawn_logit(self, image: np.ndarray) -> float | None:
        """Logit of a picture being drawn.

        Parameters
        ----------
        image : np.ndarray, shape (height, width, 3), uint8
            BGR, without letterbox bars.

        Returns
        -------
        float or None
            Above 0 drawn, below 0 photographed or rendered; None: too small or blank to say.
        """
        if not can_be_judged(image):
            return None
        return float(self.logits(self._net.measure_style(image)[None])[0])

    def logits(self, style: np.ndarray) -> np.ndarray:
        """The same of many pictures by their styles, shape (n, 1216); gives (n,)."""
        scaled = np.clip((style - self._mean) / self._deviation, -STYLE_LIMIT, STYLE_LIMIT)
        return scaled @ self._weight + self._bias


def to_logit(probability: float) -> float:
    """Logit of a probability, cut at one in a thousand."""
    cut = min(max(probability, 1e-3), 1 - 1e-3)
    return float(np.log(cut / (1 - cut)))


def can_be_judged(image: np.ndarray) -> bool:
    """Whether a picture has a size and contents by which it could be told."""
    return min(image.shape[:2]) >= LEAST_PX and float(image.std()) >= LEAST_DEVIATION


def digest() -> str:
    """SHA-256 of the weights, 12 digits of it: other weights judge anew."""
    return file_hash.hash_file(WEIGHT_FILE)[:12]


def choose_frames(frame: pl.DataFrame, per_shot: int = FRAMES_PER_SHOT) -> pl.DataFrame:
    """Take frames spread evenly over each shot.

    Parameters
    ----------
    frame : pl.DataFrame
        Columns `shot_index`, `frame_index` and any others.
    per_shot : int
        At most so many of a shot.

    Returns
    -------
    pl.DataFrame
        Rows of `frame` by `frame_index`; every row of a shot that has no more.
    """
    place, num = pl.int_range(pl.len()).over("shot_index"), pl.len().over("shot_index")
    is_taken = (place + 1) * per_shot // num > place * per_shot // num
    return frame.sort("frame_index").filter(is_taken)


def middle_frames(chosen: pl.DataFrame) -> pl.DataFrame:
    """The middle one of the frames that were chosen of each shot."""
    place, num = pl.int_range(pl.len()).over("shot_index"), pl.len().over("shot_index")
    return chosen.sort("frame_index").filter(place == num // 2)


def doubted_shots(first: pl.DataFrame) -> list[int]:
    """Shots whose one judged frame does not say clearly what they are.

    Parameters
    ----------
    first : pl.DataFrame
        Rows of `frame_medium`, one a shot.

    Returns
    -------
    list of int
        Those within `SURE_LOGIT` of either, those unlike most of the film, and those not judged.
    """
    logit = pl.col("drawn_logit").cast(pl.Float64)
    is_unlike = logit.sign() != logit.median().sign()
    is_doubted = (logit.abs() < SURE_LOGIT) | is_unlike
    return first.filter(is_doubted.fill_null(True))["shot_index"].to_list()


def decide_shots(
    frame_medium: pl.DataFrame, shot_index: pl.Series, chosen: str = "auto"
) -> pl.DataFrame:
    """Say of each shot whether it is drawn.

    A shot has the mean logit of its frames. Most films are one or the other, so the film's other
    shots are heard too: their mean, cut to `FILM_LIMIT` each, is added. A shot of a photographed
    film is drawn only where it clearly looks so; photographs in a drawn film are rather believed,
    since a face that is not recognised is the worse loss. A shot with no frame to judge by, of
    cards or of black, is what the film is.

    Parameters
    ----------
    frame_medium : pl.DataFrame
        Rows of the table; those without a logit are not heard.
    shot_index : pl.Series
        Shots that are wanted; repeated numbers are one shot.
    chosen : {"auto", "photographed", "drawn"}
        Anything but "auto" overrides what is measured.

    Returns
    -------
    pl.DataFrame
        Rows of table `shot_medium`, by `shot_index`; all photographed where nothing was judged.
    """
    own = (
        frame_medium.drop_nulls("drawn_logit")
        .sort("frame_id")
        .group_by("shot_index", maintain_order=True)
        .agg(
            num_frames=pl.len().cast(pl.Int32),
            drawn_logit=pl.col("drawn_logit").cast(pl.Float64).mean(),
        )
    )
    heard = pl.col("drawn_logit").clip(*FILM_LIMIT)
    others = pl.col("drawn_logit").count() - pl.col("drawn_logit").is_not_null().cast(pl.Int32)
    lean = (heard.sum() - heard.fill_null(0)) / (others + FILM_SHRINK)
    logit = pl.col("drawn_logit").fill_null(0) + lean
    probability = 1 / (1 + (-logit).exp())
    if chosen != "auto":
        probability = pl.lit(float(chosen == "drawn"))
    return (
        pl.DataFrame({"shot_index": shot_index.unique().sort().cast(pl.Int32)})
        .join(own, on="shot_index", how="left", maintain_order="left")
        .with_columns(
            pl.col("num_frames").fill_null(0),
            pl.col("drawn_logit").cast(pl.Float32),
            drawn_probability=probability.cast(pl.Float32),
        )
        .with_columns(is_drawn=pl.col("drawn_probability") > 0.5)
    )


def drawn_shots(shots: pl.DataFrame) -> frozenset[int]:
    """Numbers of the drawn shots of table `shot_medium`."""
    return frozenset(shots.filter("is_drawn")["shot_index"].to_list())


def is_mostly_drawn(shots: pl.DataFrame) -> bool:
    """Whether more than half of the shots of table `shot_medium` are drawn."""
    return 2 * len(drawn_shots(shots)) > shots.height


def film_lean(shots: pl.DataFrame) -> float:
    """Evidence from a film about whether pictures of it are drawn.

    Returns
    -------
    float
        From -`REFERENCE_LEAN`, no shot is drawn, to `REFERENCE_LEAN`, all are; 0 without shots.
    """
    if not shots.height:
        return 0.0
    return REFERENCE_LEAN * (2 * scalar.as_float(shots["is_drawn"].mean()) - 1)


def reference_probability(logit: float | None, shots: pl.DataFrame) -> float:
    """Probability that a reference picture is drawn, mostly that of its film.

    Parameters
    ----------
    logit : float or None
        From `MediumClassifier.drawn_logit`; None counts as 0.
    shots : pl.DataFrame
        Table `shot_medium` of the film.
    """
    return float(1 / (1 + np.exp(-((logit or 0.0) + film_lean(shots)))))


class AnimeRealClassifier:
    """Says how surely a picture is drawn.

    Parameters
    ----------
    setting : str
        ``anime-real``, alone or followed by ``:`` and a folder or hub id.
    num_threads : int
        That one picture may use.

    Raises
    ------
    UserError
        If a file is missing or is no such model.

    Notes
    -----
    Preparation and labels as `imgutils.generic.classify` of DeepGHS has them.
    """

    def __init__(self, setting: str = ANIME_REAL, *, num_threads: int = 1) -> None:
        word, _, source = setting.partition(":")
        if word != ANIME_REAL:
            raise UserError(
                f"{CLASSIFIER_KEY}: expected {ANIME_REAL} or {ANIME_REAL}:<folder or hub id>, "
                f"found {setting}"
            )
        folder = onnx_model.find_folder(
            CLASSIFIER_KEY, source, ANIME_REAL_PUBLISHED, (FILE, LABELS)
        )
        self._net = OnnxModel(
            folder, FILE, input_name="input", output_name="output", num_threads=num_threads
        )
        said = folder.read_json(LABELS)
        self._labels = said.get("labels", []) if isinstance(said, dict) else []
        if DRAWN not in self._labels:
            raise UserError(
                f"{CLASSIFIER_KEY}: expected {DRAWN} among the labels in "
                f"{folder.path / LABELS}, found "
                f"{', '.join(map(str, self._labels)) or 'none'}; choose a model with "
                "this output"
            )
        self.name = folder.name
        self.licence = self._net.licence

    def measure_drawn(self, image: np.ndarray) -> float:
        """Probability that a picture is drawn.

        Parameters
        ----------
        image : np.ndarray, shape (height, width, 3), uint8, BGR

        Returns
        -------
        float
            In [0, 1].

        Raises
        ------
        UserError
            If the network gives no probabilities of its labels.
        """
        size_px = self._net.size_px or (CLASSIFIER_SIZE_PX, CLASSIFIER_SIZE_PX)
        pixels = onnx_model.to_pixels(
            image, size_px, resample=Image.Resampling.BILINEAR, mean=HALF, scale=HALF
        )
        chance = self._net.run(pixels)
        if chance.shape != (1, len(self._labels)) or abs(float(chance.sum()) - 1) > 1e-3:
            raise UserError(
                f"{CLASSIFIER_KEY}: expected {self.name} to give probabilities of "
                f"{', '.join(self._labels)}, got {chance.ravel()[:4].tolist()} of "
                f"shape {chance.shape}; choose a model with this output"
            )
        return float(chance[0, self._labels.index(DRAWN)])
