"""Identity model of one run: the recogniser of its character, calibrated on its film.

Eyes are chosen so that they did not help to build the set: for faces the recogniser that the
film's faces were *not* named with (`face_identity`); for drawn characters `figure_recogniser`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import polars as pl

from bunny.character.drawn.efficientnet import INPUT_PX, EfficientNet
from bunny.core import image_file, safe_path
from bunny.evaluation import (
    face_identity,
    figure_descriptor,
    figure_recogniser,
    gallery,
    identity,
    real_view,
)
from bunny.evaluation.face_identity import FaceRecogniser
from bunny.evaluation.figure_descriptor import FigureDescriptor
from bunny.evaluation.figure_recogniser import FigureRecogniser
from bunny.evaluation.settings import EvaluationInput, EvaluatorSettings
from bunny.training.base import Base

MAX_WORKERS = 4
SOFTENED_BELOW_PX = 2 * INPUT_PX  # larger pictures hide what their autoencoder loses
BATCH = 16


@dataclass(frozen=True, kw_only=True)
class RealScore:
    """A real picture that was measured: whom it shows, its file and each character's score."""

    character: str
    shot: int
    file: str | None
    scores: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class IdentityModel:
    """The recogniser of a run's character; see the module. `shape` is what copies are found by."""

    character: str
    recogniser: FaceRecogniser | FigureRecogniser
    shape: FigureDescriptor
    net: EfficientNet
    real: Sequence[RealScore]

    @property
    def name(self) -> str:
        """Name of the features that the recogniser uses."""
        eyes = self.recogniser
        return eyes.name if isinstance(eyes, FaceRecogniser) else figure_recogniser.NAME

    @property
    def scales(self) -> dict[str, identity.IdentityScale]:
        """Scale of each character that could be measured."""
        return dict(self.recogniser.scales)

    def see(self, picture: np.ndarray, *, is_pair: bool) -> dict[str, Any]:
        """Columns of `evaluation_picture` that say who is in a picture.

        Parameters
        ----------
        picture : np.ndarray, shape (height, width, 3), uint8, BGR
        is_pair : bool
            Two characters were asked for, so places that look like this one are counted.
        """
        if not self.scales:
            return {}
        eyes = self.recogniser
        if isinstance(eyes, FaceRecogniser):
            faces = eyes.look(picture)
            found = self.said(eyes.scores(faces), is_somebody=bool(len(faces.vector)))
            if is_pair and self.character in self.scales:
                floor, crops = self.scales[self.character].floor, eyes.galleries[self.character]
                found["num_alike"] = face_identity.count_alike(faces, crops, floor)
            return found
        found = self.said(eyes.scores(picture))
        if is_pair and self.character in self.scales:
            found["num_alike"] = eyes.count_alike(picture, self.character)
        return found

    def said(self, scores: dict[str, float], *, is_somebody: bool | None = None) -> dict[str, Any]:
        """Columns of `evaluation_picture` from scores; `is_somebody`: a face was found."""
        is_found = is_somebody is not False and bool(np.isfinite(list(scores.values())).any())
        who = identity.recognise(scores, self.scales, self.character, is_somebody=is_found)
        found: dict[str, Any] = {"is_somebody": is_somebody, "recognised": who}
        if self.character in self.scales:
            score = scores[self.character]
            place = self.scales[self.character].to_identity(score)
            found |= {
                "likeness": score if np.isfinite(score) else None,
                "identity": place if np.isfinite(place) else None,
            }
        return found


def load_identity_model(
    given: EvaluationInput, character: str, base: Base, settings: EvaluatorSettings
) -> IdentityModel:
    """Look at the film's real pictures as drawings of a run will be looked at.

    Parameters
    ----------
    character : str
        The run's.
    base : Base
        Real pictures are made as large and as soft as it draws, so that sharpness tells nothing.
    """
    root, tables, net = given.film_dir, given.tables, EfficientNet()
    frames = tables["frame"].sort("frame_index")["file"].drop_nulls().to_list()
    read = (
        image_file.read(safe_path.join(root, f))
        for f in gallery.spread(frames, gallery.MAX_BACKGROUND)
    )
    film = [gallery.shrink(picture, base.resolution_px) for picture in read if picture is not None]
    wanted = settings.evaluation.identity
    if face_identity.uses_face(tables["reference"], character, wanted):
        eyes, real = _face_recogniser(given, character, base.resolution_px, settings)
    else:
        eyes, real = _figure_recogniser(given, character, base, net, settings)
    own = film or [one.picture for one in gallery.of_character(root, tables, character)]
    shape = figure_descriptor.fit(own)
    return IdentityModel(character=character, recogniser=eyes, shape=shape, net=net, real=real)


def _face_recogniser(
    given: EvaluationInput, character: str, side_px: int, settings: EvaluatorSettings
) -> tuple[FaceRecogniser, list[RealScore]]:
    root, tables = given.film_dir, given.tables
    real = gallery.of_character(root, tables, character)
    real += gallery.of_references(given.reference_dir, tables, character)
    if settings.evaluation.has_other_characters:
        real += gallery.of_others(root, tables, character, settings.min_confidence)
    nobody = gallery.background_squares(root, tables, character)
    described = face_identity.load_face_describer(tables["reference"], settings.detection)
    eyes = face_identity.fit(real, nobody, described, side_px)
    scored = [
        RealScore(character=one.character, shot=one.shot, file=one.file, scores=scores)
        for one, scores in eyes.scored
    ]
    return eyes, scored


def _figure_recogniser(
    given: EvaluationInput,
    character: str,
    base: Base,
    net: EfficientNet,
    settings: EvaluatorSettings,
) -> tuple[FigureRecogniser, list[RealScore]]:
    views = real_view.read_views(
        given.film_dir, given.tables, character, settings.min_confidence, base.resolution_px
    )
    pictures = soften([view.picture for view in views], base)
    views = [replace(v, picture=p) for v, p in zip(views, pictures, strict=True)]
    describe, workers = figure_recogniser.PictureDescriber(net), os.cpu_count() or 1
    eyes = figure_recogniser.fit(views, describe, min(MAX_WORKERS, workers), character)
    has_others = settings.evaluation.has_other_characters
    scored = [
        RealScore(character=view.character, shot=view.shot, file=view.file, scores=scores)
        for view, scores in eyes.scored
        if view.character == character
        or (has_others and view.character and character not in view.shown)
    ]
    return eyes, scored


def soften(pictures: Sequence[np.ndarray], base: Base) -> list[np.ndarray]:
    """Pass pictures through a base's autoencoder where it would show; BGR uint8 squares."""
    side = base.resolution_px
    if side >= SOFTENED_BELOW_PX:
        return list(pictures)
    import torch

    vae, found = base.family.vae.to(base.device), []
    for start in range(0, len(pictures), BATCH):
        rgb = np.stack([_fitted(p, side)[:, :, ::-1] for p in pictures[start : start + BATCH]])
        pixels = torch.from_numpy(rgb).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.no_grad():
            drawn = vae.decode(vae.encode(pixels.to(base.device)).latent_dist.mean).sample
        values = ((drawn.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        found += [np.ascontiguousarray(one[:, :, ::-1]) for one in values]
    return found


def _fitted(picture: np.ndarray, side_px: int) -> np.ndarray:
    """A square picture at a side."""
    is_smaller = side_px < min(picture.shape[:2])
    mode = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    return cv2.resize(picture, (side_px, side_px), interpolation=mode)


def count_real(label: pl.DataFrame, frame: pl.DataFrame, character: str) -> tuple[int, int]:
    """Pictures and shots of the film in which a character is labelled."""
    mine = label.filter(pl.col("character") == character)
    mine = mine.join(frame.drop_nulls("file").select("frame_id"), on="frame_id", how="semi")
    return mine.height, mine["shot_index"].n_unique()
