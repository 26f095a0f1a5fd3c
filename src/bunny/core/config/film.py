"""Sections of the settings about a film: from its shots to the names of its characters."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from bunny.core.config import filter_preset
from bunny.core.config.section import ConfigSection, Cosine, Share


class ExtractionConfig(ConfigSection):
    """Stage extract: detect shots and extract frames."""

    method: Literal["keyframe", "interval", "shot"] = "shot"
    """keyframe: the codec's I-frames; interval: one frame every interval_seconds; shot: detect
    shots and choose frames in each"""
    interval_seconds: float = Field(default=2.0, gt=0, le=3600)
    """seconds between frames, for method interval"""
    output_format: Literal["jpg", "png", "webp"] = "jpg"
    """format of the extracted pictures"""
    quality: int = Field(default=95, ge=1, le=100)
    """compression quality of jpg and webp"""
    cut_threshold: float = Field(default=1.0, gt=0, le=10)
    """higher: fewer cuts; 1.0 is the calibrated default; from 0.5 on, changes apply without
    decoding again"""
    min_shot_frames: int = Field(default=4, ge=1, le=1000)
    """shorter shots are merged with a neighbour"""
    static_range: Share = 0.035
    """shots whose frames differ by less (range of luma) are static: one frame is extracted"""
    frames_per_dynamic_shot: int = Field(default=3, ge=1, le=100)
    """frames of a dynamic shot: start, middle and end; more are spread between them"""
    extra_interval_seconds: float = Field(default=0.0, ge=0, le=3600)
    """> 0: also extract a frame at this interval within shots (larger sets)"""
    shot_detector: Literal[
        "fast", "accurate", "transnet", "scenedetect-adaptive", "scenedetect-content"
    ] = "fast"
    """accurate: fast combined with TransNetV2, 12 ms more per frame"""
    video_stream: int = Field(default=-1, ge=-1, le=1000)
    """index of the video stream in the container; -1: the largest"""
    folder: Literal["auto", "pictures", "sequence"] = "auto"
    """what a folder holds: pictures (each a shot, all extracted) or a sequence (frames of a film);
    auto: a sequence if numbered without gaps, of one size and with similar neighbours"""
    crop_bars: bool = True
    """crop letterbox and pillarbox bars; table frame records the crop"""
    deinterlace: Literal["auto", "on", "off"] = "auto"
    """auto: only frames that are flagged as interlaced and show combing"""
    tone_curve: Literal["bt2390", "hable", "reinhard", "clip"] = "bt2390"
    """tone mapping of HDR (PQ, HLG) to SDR"""


class FilteringConfig(ConfigSection):
    """Stage filter: which frames are good enough; changes apply without reading pictures again."""

    preset: Literal["strict", "balanced", "generous"] = "balanced"
    """a set of thresholds; any threshold set in the same file or a later one overrides it"""
    keep_about: int = Field(default=0, ge=0, le=10_000_000)
    """> 0: scale the preset until about this many frames are kept; 0: off"""
    blur_threshold: Share = 0.17
    """frames less sharp than this are blurred (1 is sharp)"""
    batch_size: int = Field(default=1, ge=1, le=10_000)
    """keep only the best of this many neighbouring frames; 1: off"""
    keep_best_per_batch: int = Field(default=1, ge=1, le=10_000)
    """frames to keep from each batch"""
    min_brightness: Share = 0.06
    """minimum mean luma"""
    max_brightness: Share = 0.96
    """maximum mean luma"""
    min_contrast: Share = 0.02
    """minimum standard deviation of luma; frames below it are blank"""
    max_smear: Share = 1.0
    """maximum motion blur along one direction; 1: off"""
    max_blockiness: Share = 1.0
    """maximum strength of compression blocks; 1: off"""
    max_subtitle_share: Share = 1.0
    """maximum share of the picture covered by subtitles; 1: off"""
    drop_kinds: tuple[Literal["black", "blank", "title", "credit"], ...] = (
        "black",
        "blank",
        "title",
        "credit",
    )
    """kinds of frames to drop; []: none"""
    duplicate_distance: int = Field(default=4, ge=0, le=64)
    """maximum Hamming distance between perceptual hashes of duplicates"""
    duplicate_structure: Share = 0.9
    """minimum structural similarity of duplicates' thumbnails"""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        """Take from the preset what is not given."""
        return filter_preset.apply_preset(values) if isinstance(values, Mapping) else values


class DetectionConfig(ConfigSection):
    """Stage detect: find and recognise characters."""

    face_detection_model: Literal["yunet", "mtcnn", "hog", "cnn"] = "yunet"
    """face detector; hog and cnn use face_recognition"""
    effort: Literal["fast", "balanced", "thorough"] = "balanced"
    """less effort skips searches that rarely add a face or a name; see table skipped_frame"""
    has_small_faces: bool = True
    """find faces down to 16 px in 1080p (yunet, mtcnn); 6 to 12 times slower"""
    extra_interval_seconds: float = Field(default=0.5, ge=0, le=3600)
    """also search for faces of the references at this interval between kept frames (not stored); 0:
    off"""
    recogniser: Literal["auto", "sface", "dlib"] = "auto"
    """face recognition model; auto: sface with yunet and mtcnn, dlib with hog and cnn"""
    min_face_score: Share = 0.7
    """minimum detector confidence"""
    min_face_px: int = Field(default=24, ge=4, le=4000)
    """smaller faces are ignored"""
    max_faces_per_frame: int = Field(default=20, ge=1, le=1000)
    """only the largest faces are kept"""
    similarity_threshold: Cosine = 0.38
    """minimum cosine similarity to a reference picture"""
    min_margin: float = Field(default=0.05, ge=0, le=2)
    """minimum lead of the best character over the second best"""
    calibration: Literal["film", "fixed"] = "film"
    """film: adapt the threshold to pairs of faces in the film; fixed: use it as given"""
    is_adapted: bool = True
    """adapt face embeddings to the film with pairs of its faces, if that improves held-out pairs"""
    medium: Literal["auto", "photographed", "drawn"] = "auto"
    """photographed includes 3D; drawn: no face recognition; auto: classify each shot and
    reference"""
    is_drawn_enabled: bool = True
    """also search for drawn and animal characters"""
    drawn_threshold: Cosine = 0.45
    """minimum centred cosine of a region with the character, in photographed shots"""
    drawn_margin: float = Field(default=0.10, ge=0, le=2)
    """minimum lead of that character over the second best"""
    figure_score: float = Field(default=0.86, ge=-1, le=2)
    """in drawn shots: minimum similarity plus twice the lead over other characters, if a figure of
    the film reaches figure_presence"""
    figure_presence: float = Field(default=0.94, ge=-1, le=2)
    """score that at least one figure of the film must reach for a character to be found in drawn
    shots"""
    drawn_detector: str = "auto"
    """auto: anime-person in drawn shots if it is downloaded; empty: built-in search; OWLv2 (hub id
    or folder); or anime-person, anime-head, anime-face (also anime-person:<hub id or folder>),
    which require ccip"""
    drawn_embedding: str = "auto"
    """auto: ccip in drawn shots if it is downloaded (`bunny models get anime`); empty: features of
    the detector; DINOv2 (hub id or folder; requires OWLv2); or ccip (also ccip:<hub id or
    folder>) in all shots"""
    ccip_threshold: Cosine = 0.5
    """minimum CCIP similarity; 0.5 is the model's published threshold"""
    drawn_classifier: str = ""
    """empty: only references without a face are matched by appearance; anime-real (also
    anime-real:<hub id or folder>): also those that it classifies as drawn"""


class ClusteringConfig(ConfigSection):
    """Stage cluster: scenes and people by cosine similarity to cluster centroids."""

    scene_threshold: Cosine = 0.85
    """minimum similarity to join a scene"""
    character_threshold: Cosine = 0.75
    """minimum similarity of unknown faces of one person"""
    figure_threshold: Cosine = 0.6
    """minimum mean pairwise cosine of unknown drawn figures of one character"""
    noise_threshold: Cosine = 0.5
    """less similar items are noise and belong to no cluster"""
    unknown_method: Literal["agglomerative", "hdbscan"] = "agglomerative"
    """how unknown faces and figures are clustered"""
    scene_method: Literal["incremental", "agglomerative", "hdbscan"] = "incremental"
    """incremental: in order of the shots; the others are independent of the order"""
    stability_runs: int = Field(default=8, ge=0, le=1000)
    """reruns with other orders and samples that measure stability; 0: none"""


class IdentificationConfig(ConfigSection):
    """Stage review: a served model identifies doubtful faces and figures from the references."""

    provider: Literal["none", "bedrock", "openai", "anthropic", "local"] = "none"
    """model to ask, set up in its section under captioning"""
    max_margin: float = Field(default=0.15, ge=0, le=2)
    """figures whose two most likely characters are closer than this are doubtful"""
    num_candidates: int = Field(default=4, ge=1, le=12)
    """references shown beside a figure"""
    weight: float = Field(default=1.0, ge=0, le=5)
    """0: answers are only reported; 1: an answer given twice counts as evidence that is right nine
    times in ten"""
