"""Models of stage detect, each loaded once, on first use."""

import threading
from collections.abc import Callable
from functools import cached_property

import numpy as np

from bunny.character.drawn import efficientnet, figure_embedding, medium
from bunny.character.face import detect
from bunny.character.face import recogniser as face_recogniser
from bunny.core.config import DetectionConfig


class DetectionModels:
    """Finds faces, tells them apart and describes pictures, as `detection` says.

    Parameters
    ----------
    wanted : DetectionConfig
        Names of the models.
    """

    def __init__(self, wanted: DetectionConfig) -> None:
        self._wanted = wanted
        self._own = threading.local()

    @cached_property
    def detector(self) -> detect.FaceDetector:
        """Finds faces in a picture."""
        wanted = self._wanted
        return detect.load_detector(
            wanted.face_detection_model,
            has_small_faces=wanted.has_small_faces and wanted.effort != "fast",
            is_thorough=wanted.effort == "thorough",
        )

    @property
    def recogniser(self) -> face_recogniser.FaceRecogniser:
        """Embeds faces; one a thread, since OpenCV's networks are not to be shared."""
        if not hasattr(self._own, "recogniser"):
            self._own.recogniser = face_recogniser.load_recogniser(self.recogniser_name)
        return self._own.recogniser

    @cached_property
    def net(self) -> efficientnet.EfficientNet:
        """Describes pictures and windows of them."""
        return efficientnet.EfficientNet()

    @cached_property
    def drawn_logit(self) -> Callable[[np.ndarray], float | None]:
        """Says how drawn a picture looks: above 0 drawn, below photographed, None: cannot say."""
        if not self._wanted.drawn_classifier:
            return medium.MediumClassifier(self.net).drawn_logit
        from bunny.character.drawn.medium import AnimeRealClassifier

        net = AnimeRealClassifier(self._wanted.drawn_classifier)
        return lambda image: medium.to_logit(net.measure_drawn(image))

    @cached_property
    def figure_net(self) -> figure_embedding.FigureNet:
        """Describes drawn figures."""
        return figure_embedding.FigureNet()

    @property
    def recogniser_name(self) -> str:
        """The recogniser that fits the detector, or the one that was chosen."""
        return face_recogniser.choose_recogniser(
            self._wanted.recogniser, self._wanted.face_detection_model
        )

    def names(self) -> dict[str, str | bool]:
        """Settings that faces and their embeddings depend on, as JSON values."""
        return {
            "detector": self._wanted.face_detection_model,
            "recogniser": self.recogniser_name,
            "has_small_faces": self._wanted.has_small_faces,
            "effort": self._wanted.effort,
        }
