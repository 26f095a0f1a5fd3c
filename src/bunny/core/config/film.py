"""Sections of the stages that look at the film: pictures, who is in them, where it plays."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from bunny.core.config import filter_preset
from bunny.core.config.section import Section


class Extraction(Section):
    """Stage 1: which pictures are taken from the film."""

    method: Literal["keyframe", "interval", "shot"] = "shot"
    interval_seconds: float = Field(2.0, gt=0, le=3600)
    output_format: Literal["jpg", "png", "webp"] = "jpg"
    quality: int = Field(95, ge=1, le=100)
    cut_threshold: float = Field(1.0, gt=0, le=10)
    min_shot_frames: int = Field(4, ge=1, le=1000)
    static_motion: float = Field(0.006, ge=0, le=1)
    frames_per_dynamic_shot: int = Field(3, ge=1, le=100)
    extra_interval_seconds: float = Field(0.0, ge=0, le=3600)
    shot_detector: Literal[
        "fast", "hybrid", "transnet", "scenedetect-adaptive", "scenedetect-content"
    ] = "fast"
    video_stream: int = Field(-1, ge=-1, le=1000)
    crop_bars: bool = True
    deinterlace: Literal["auto", "on", "off"] = "auto"
    tone_curve: Literal["bt2390", "hable", "reinhard", "clip"] = "bt2390"


class Filtering(Section):
    """Stage 2: which pictures are good enough; thresholds not given are those of the preset."""

    preset: Literal["strict", "balanced", "generous"] = "balanced"
    keep_about: int = Field(0, ge=0, le=10_000_000)
    blur_threshold: float = Field(0.2, ge=0, le=1)
    batch_size: int = Field(1, ge=1, le=10_000)
    keep_best_per_batch: int = Field(1, ge=1, le=10_000)
    min_brightness: float = Field(0.06, ge=0, le=1)
    max_brightness: float = Field(0.96, ge=0, le=1)
    min_contrast: float = Field(0.02, ge=0, le=1)
    max_smear: float = Field(1.0, ge=0, le=1)
    max_blockiness: float = Field(1.0, ge=0, le=1)
    max_subtitle_share: float = Field(1.0, ge=0, le=1)
    drop_kinds: tuple[Literal["black", "blank", "title", "credit"], ...] = (
        "black",
        "blank",
        "title",
        "credit",
    )
    duplicate_distance: int = Field(4, ge=0, le=64)
    duplicate_structure: float = Field(0.9, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        """Take from the preset what is not given."""
        return filter_preset.resolve(values) if isinstance(values, Mapping) else values


class Detection(Section):
    """Stage 3: who is seen."""

    face_detection_model: Literal["yunet", "mtcnn", "hog", "cnn"] = "yunet"
    has_small_faces: bool = True
    extra_interval_seconds: float = Field(0.5, ge=0, le=3600)
    recogniser: Literal["auto", "sface", "dlib"] = "auto"
    min_face_score: float = Field(0.7, ge=0, le=1)
    min_face_px: int = Field(24, ge=4, le=4000)
    max_faces_per_frame: int = Field(20, ge=1, le=1000)
    similarity_threshold: float = Field(0.38, ge=-1, le=1)
    min_margin: float = Field(0.05, ge=0, le=2)
    calibration: Literal["film", "fixed"] = "film"
    is_adapted: bool = True
    medium: Literal["auto", "photographed", "drawn"] = "auto"
    is_drawn_enabled: bool = True
    drawn_threshold: float = Field(0.45, ge=-1, le=1)
    drawn_margin: float = Field(0.10, ge=0, le=2)
    figure_score: float = Field(0.8, ge=-1, le=2)
    figure_presence: float = Field(0.88, ge=-1, le=2)
    drawn_detector: str = ""
    drawn_embedding: str = ""
    ccip_threshold: float = Field(0.5, ge=-1, le=1)
    drawn_classifier: str = ""


class Clustering(Section):
    """Stage 4: where and who, by cosine similarity to cluster centroids."""

    scene_threshold: float = Field(0.85, ge=-1, le=1)
    character_threshold: float = Field(0.75, ge=-1, le=1)
    figure_threshold: float = Field(0.6, ge=-1, le=1)
    noise_threshold: float = Field(0.5, ge=-1, le=1)
    unknown_method: Literal["agglomerative", "hdbscan"] = "agglomerative"
    scene_method: Literal["incremental", "agglomerative", "hdbscan"] = "incremental"
    stability_runs: int = Field(8, ge=0, le=1000)
