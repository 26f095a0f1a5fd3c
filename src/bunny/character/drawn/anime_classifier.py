"""Drawn or photographed: the classifier that DeepGHS publishes as ONNX."""

import numpy as np
from PIL import Image

from bunny.character.drawn import onnx_model
from bunny.character.drawn.onnx_model import OnnxModel, Published
from bunny.core.error import UserError

NAME = "anime-real"
KEY = "detection.drawn_classifier"
PUBLISHED = Published(repository="deepghs/anime_real_cls", model="mobilenetv3_v1.1_dist_ls0.1")
FILE, LABELS = "model.onnx", "meta.json"
SIZE_PX = 384  # side of the square a picture is stretched to, where the file names none
HALF = (0.5, 0.5, 0.5)  # mean and scale of RGB in [0, 1]
DRAWN = "anime"  # its word for drawn; the other is "real"


class DrawnClassifier:
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

    def __init__(self, setting: str = NAME, *, num_threads: int = 1) -> None:
        word, _, source = setting.partition(":")
        if word != NAME:
            raise UserError(f"{KEY}: expected {NAME} or {NAME}:<folder or hub id>, found {setting}")
        folder = onnx_model.find_folder(KEY, source, PUBLISHED, (FILE, LABELS))
        self._net = OnnxModel(
            folder, FILE, input_name="input", output_name="output", num_threads=num_threads
        )
        said = folder.read_json(LABELS)
        self._labels = said.get("labels", []) if isinstance(said, dict) else []
        if DRAWN not in self._labels:
            raise UserError(
                f"{KEY}: expected {DRAWN} among the labels in {folder.path / LABELS}, found "
                f"{', '.join(map(str, self._labels)) or 'none'}; give the model of the right kind"
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
        size_px = self._net.size_px or (SIZE_PX, SIZE_PX)
        pixels = onnx_model.to_pixels(
            image, size_px, resample=Image.Resampling.BILINEAR, mean=HALF, scale=HALF
        )
        chance = self._net.run(pixels)
        if chance.shape != (1, len(self._labels)) or abs(float(chance.sum()) - 1) > 1e-3:
            raise UserError(
                f"{KEY}: expected {self.name} to give probabilities of {', '.join(self._labels)}, "
                f"got {chance.ravel()[:4].tolist()} of shape {chance.shape}; give the model of "
                "the right kind"
            )
        return float(chance[0, self._labels.index(DRAWN)])
