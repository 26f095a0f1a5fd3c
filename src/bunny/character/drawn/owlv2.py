"""OWLv2 image-guided detection of drawn characters, with DINOv2 embeddings if asked for.

The detector proposes boxes and says how much each is like the thing on a reference picture; with
an embedding model the boxes are cut out and compared by it instead. What comes out has the form of
`window_search.RegionCandidate`, so voting, tracks and thresholds are the same as for the offline
route.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bunny.character.drawn import onnx_model, window_search
from bunny.core import hub
from bunny.core.error import UserError
from bunny.core.vector import l2_normalize
from bunny.table.box import crop_shares

CLIP_MEAN, CLIP_SCALE = (0.4815, 0.4578, 0.4082), (0.2686, 0.2613, 0.2758)  # OpenAI CLIP, RGB
IMAGENET_MEAN, IMAGENET_SCALE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of DINOv2, RGB
EMBEDDING_PX = 224  # side DINOv2's own preprocessing gives it
NUM_PROPOSALS = 24  # boxes of a frame that are looked at, the likeliest things first
MIN_SIDE = 0.02  # of the frame; smaller boxes are no figure


@dataclass(frozen=True, kw_only=True)
class ReferenceQuery:
    """Query of a reference picture for the detector and, if asked for, an embedding."""

    query: np.ndarray  # (d,)
    embedding: np.ndarray | None  # (e,), unit length


class Owlv2Detector:
    """An OWLv2 detector and, if named, a DINOv2-like embedder; loaded once.

    Parameters
    ----------
    detector : str
        Local folder as `save_pretrained` writes it, or hub id ``owner/name``.
    embedding : str
        The same; empty to let the detector alone compare.

    Raises
    ------
    UserError
        If a model is neither, cannot be had, or is of another kind.
    """

    def __init__(self, detector: str, embedding: str = "") -> None:
        self.network = _load("detection.drawn_detector", detector, "Owlv2ForObjectDetection")
        self._embedder = _load("detection.drawn_embedding", embedding) if embedding else None
        self.name = "+".join(Path(source).name for source in (detector, embedding) if source)
        self.licence = {s: onnx_model.licence_of(s) for s in (detector, embedding) if s}

    def describe_reference(self, image: np.ndarray) -> ReferenceQuery:
        """Describe one reference picture (height, width, 3) uint8 BGR by its likeliest thing."""
        import torch

        feature, grid = self._features(image)
        with torch.inference_mode():
            query, index, boxes = self.network.embed_image_query(feature, grid)
        box = to_shares(boxes[0, index[0]].numpy(), image.shape)[0]
        return ReferenceQuery(query=query[0, 0].numpy(), embedding=self.embed(image, [box])[0])

    def find_candidates(
        self, image: np.ndarray, reference: Mapping[str, Sequence[ReferenceQuery]]
    ) -> list[window_search.RegionCandidate]:
        """Find the best place for each character.

        Parameters
        ----------
        image : np.ndarray, shape (height, width, 3), uint8, BGR
        reference : mapping of character to sequence of ReferenceQuery
            From `describe_reference`.

        Returns
        -------
        list of window_search.RegionCandidate
            By character; `similarity` is the embeddings' cosine or, without an embedder, the
            detector's own probability. Those below `window_search.FLOOR` or nowhere ahead are left
            out.
        """
        names = sorted(name for name in reference if len(reference[name]))
        if not names:
            return []
        looks = [look for name in names for look in reference[name]]
        owner = np.repeat(np.arange(len(names)), [len(reference[name]) for name in names])
        box, chance = self.propose(image, np.stack([look.query for look in looks]))
        if not len(box):
            return []
        if self._embedder is not None:
            seen = np.stack([one for one in self.embed(image, box) if one is not None])
            known = [look.embedding for look in looks if look.embedding is not None]
            chance = seen @ np.stack(known).T
        columns = [chance[:, owner == i].max(axis=1) for i in range(len(names))]
        return window_search.choose_candidates(box, np.stack(columns, axis=1), names)

    def propose(self, image: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (n, 4) in shares and their probability (n, m) of being each query."""
        import torch

        feature, grid = self._features(image)
        net = self.network
        with torch.inference_mode():
            boxes = net.box_predictor(feature, grid)[0].numpy()
            things = net.objectness_predictor(feature)[0].numpy()
            logits, _ = net.class_predictor(feature, torch.from_numpy(query)[None])
        chance = torch.sigmoid(logits)[0].numpy()
        box = to_shares(boxes, image.shape)
        is_there = (box[:, 2:] - box[:, :2]).min(axis=1) >= MIN_SIDE
        rank = np.where(is_there, np.maximum(things, logits[0].numpy().max(axis=1)), -np.inf)
        first = np.argsort(-rank, kind="stable")[:NUM_PROPOSALS]
        first = first[is_there[first]]
        return box[first], chance[first]

    def _features(self, image: np.ndarray) -> tuple[Any, Any]:
        """The detector's features (1, n, d) and as a grid (1, rows, columns, d)."""
        import torch

        side = self.network.config.vision_config.image_size
        with torch.inference_mode():
            pixels = prepare(_pad(image), side, CLIP_MEAN, CLIP_SCALE)
            grid, _ = self.network.image_embedder(torch.from_numpy(pixels))
            return grid.flatten(1, 2), grid

    def embed(
        self, image: np.ndarray, box: Sequence[np.ndarray] | np.ndarray
    ) -> list[np.ndarray | None]:
        """Unit vectors of boxes cut out of a picture; None each without an embedder."""
        import torch

        if self._embedder is None:
            return [None] * len(box)
        cuts = [
            prepare(crop_shares(image, one), EMBEDDING_PX, IMAGENET_MEAN, IMAGENET_SCALE)
            for one in box
        ]
        with torch.inference_mode():
            found = self._embedder(pixel_values=torch.from_numpy(np.vstack(cuts)))
        return list(l2_normalize(found.last_hidden_state[:, 0].numpy()))


def _load(key: str, source: str, kind: str = "AutoModel") -> Any:
    """Load a model from a folder or a hub; safetensors only."""
    import transformers

    path = Path(source)
    if not path.is_dir() and not hub.is_hub_id(source):
        raise UserError(
            f"{key}: expected a folder or a hub id owner/name, found no folder {source}"
        )
    try:
        config = transformers.AutoConfig.from_pretrained(source)
        if kind != "AutoModel" and config.model_type != "owlv2":
            raise UserError(
                f"{key}: expected an OWLv2 model, {source} is {config.model_type}; "
                "give one such as google/owlv2-base-patch16-ensemble"
            )
        net = getattr(transformers, kind).from_pretrained(source, use_safetensors=True)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{key}: {source} could not be loaded ({str(error).splitlines()[0]}); check the name, "
            "the connection or the folder"
        ) from error
    return net.eval()


def _pad(image: np.ndarray) -> np.ndarray:
    """Make a picture square at its lower right, as OWLv2 was trained; grey as its authors do."""
    side = max(image.shape[:2])
    down, right = side - image.shape[0], side - image.shape[1]
    return cv2.copyMakeBorder(image, 0, down, 0, right, cv2.BORDER_CONSTANT, value=(128,) * 3)


def prepare(image: np.ndarray, side: int, mean: tuple, scale: tuple) -> np.ndarray:
    """(1, 3, side, side) float32, RGB, normalised."""
    shrinks = side < max(image.shape[:2])
    mode = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    pixels = cv2.resize(image, (side, side), interpolation=mode)[:, :, ::-1] / np.float32(255)
    pixels = (pixels - np.asarray(mean, np.float32)) / np.asarray(scale, np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32)


def to_shares(box: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """From centre and size in shares of the padded square to corners in shares of the picture."""
    half = box[:, 2:] / 2
    corner = np.hstack([box[:, :2] - half, box[:, :2] + half])
    side = max(shape[:2])
    corner *= np.array([side / shape[1], side / shape[0]] * 2)
    return np.clip(corner, 0, 1).astype(np.float32)
