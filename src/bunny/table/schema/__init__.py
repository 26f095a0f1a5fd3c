"""Every table of a film, declared once: columns, types, keys, ranges, rules.

`_index` is 0-based, `_id` is text, `is_`/`has_` are booleans, boxes are `x0_px y0_px x1_px y1_px`
in pixels of the stored picture (half-open), times carry exact PTS beside derived seconds, paths
are relative to the film's folder with `/`. Vectors are arrays; where their length depends on the
model they are `Array(Float32, d)`, and `d` is checked by `store`, not here.

A module holds the tables of one part of the house; here they have their names.
"""

import dataframely as dy

from bunny.table.schema import (
    caption,
    character,
    clip,
    dataset,
    film,
    pair,
    review,
    series,
    training,
)
from bunny.table.schema.dataset import LIGHT, POSE, SHOT_SIZE

__all__ = ["LIGHT", "PATH", "POSE", "SHOT_SIZE", "TABLE", "VECTOR", "VERSION"]

TABLE: dict[str, type[dy.Schema]] = {
    "film": film.Film,
    "shot": film.Shot,
    "change": film.Change,
    "frame": film.Frame,
    "extra_frame": film.ExtraFrame,
    "skipped_frame": film.SkippedFrame,
    "measure": film.Measure,
    "quality": film.Quality,
    "face": character.Face,
    "drawn_face": character.DrawnFace,
    "frame_medium": character.FrameMedium,
    "shot_medium": character.ShotMedium,
    "track": character.Track,
    "region": character.Region,
    "figure": character.Figure,
    "label": character.Label,
    "pair": character.Pair,
    "calibration": character.Calibration,
    "reference": character.Reference,
    "embedding": character.Embedding,
    "cluster": character.ClusterSchema,
    "subject_vector": review.SubjectVector,
    "stability": character.Stability,
    "identification": review.Identification,
    "label_corrected": review.LabelCorrected,
    "cluster_corrected": review.ClusterCorrected,
    "caption_edit": review.CaptionEdit,
    "frame_caption_edit": review.FrameCaptionEdit,
    "asset": review.Asset,
    "shot_vector": review.ShotVector,
    "figure_vector": review.FigureVector,
    "feedback": review.Feedback,
    "training_feedback": review.TrainingFeedback,
    "rejected_elsewhere": series.RejectedElsewhere,
    "search_vector": dataset.SearchVector,
    "caption": dataset.CaptionSchema,
    "caption_audit": caption.CaptionAudit,
    "caption_audit_word": caption.CaptionAuditWord,
    "caption_audit_provider": caption.CaptionAuditProvider,
    "caption_audit_pair": caption.CaptionAuditPair,
    "candidate": dataset.Candidate,
    "dataset": dataset.DatasetSchema,
    "clip_frame": clip.ClipFrame,
    "clip_box": clip.ClipBox,
    "clip_overlay": clip.ClipOverlay,
    "clip_candidate": clip.ClipCandidate,
    "clip": clip.Clip,
    "training_pair": pair.TrainingPairSchema,
    "training_run": training.TrainingRun,
    "training_step": training.TrainingStep,
    "adapter": training.Adapter,
    "evaluation": training.Evaluation,
    "evaluation_picture": training.EvaluationPicture,
    "picture": training.Picture,
    "batch_film": film.BatchFilm,
    "library_film": series.LibraryFilm,
    "library_identity": series.LibraryIdentity,
    "library_member": series.LibraryMember,
    "library_reference": series.LibraryReference,
    "library_rejection": series.LibraryRejection,
    "library_picture": series.LibraryPicture,
}

# Versions of the schemas; raised with a migration in `table.migration`, which says when.
VERSION: dict[str, int] = dict.fromkeys(TABLE, 1) | {
    "film": 2  # is_mirrored, stream_index
}

# Columns declared `dy.Any`: vectors whose length depends on the model.
VECTOR: dict[str, tuple[str, ...]] = {
    name: vectors
    for name, table in TABLE.items()
    if (vectors := tuple(c for c, kind in table.columns().items() if isinstance(kind, dy.Any)))
}

# Columns marked with `path_column.IS_PATH`.
PATH: dict[str, tuple[str, ...]] = {
    name: paths
    for name, table in TABLE.items()
    if (paths := tuple(c for c, k in table.columns().items() if (k.metadata or {}).get("is_path")))
}
