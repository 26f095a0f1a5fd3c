"""Effects of the settings of captions, the training set, the asset library and the whole run."""

import effect_caption
import effect_dataset
import effect_review
import effect_run
import effect_search

EFFECT = {
    **effect_run.EFFECT,
    **effect_review.EFFECT,
    **effect_search.EFFECT,
    **effect_dataset.EFFECT,
    **effect_caption.EFFECT,
}
NOT_SEEN: dict[str, str] = {}
PUBLISH = "test/library/publish/test_publish_setting.py"  # beside the Postgres that it starts
ASSIST = "test/command/test_assist.py"
CLIP = "test/stage/test_clip.py"
CLIP_CAPTION = "test/stage/test_clip_caption.py"
FILM_PAGE = "test/command/test_film_page.py"
APPROVE = "test/command/test_approve.py"
REMOTE = "test/remote/test_remote_folder.py"
CLEAN = "test/command/test_clean.py"
REFERENCE_PAIR = "test/pair/test_reference_pair.py"
EDIT_PAIR = "test/pair/test_edit_pair.py"
SEEN_ELSEWHERE = {
    **{
        f"clip.{key}": f"{CLIP}::test_each_setting_does_what_it_says"
        for key in (
            "num_frames",
            "fps",
            "width_px",
            "height_px",
            "max_clips",
            "min_motion",
            "max_motion",
            "min_sharpness",
            "margin_frames",
            "framing",
            "has_audio",
        )
    },
    **{
        f"clip.{key}": f"{CLIP}::test_a_box_between_labels_counts_from_the_likeness_that_is_set"
        for key in ("min_likeness", "min_coverage")
    },
    "pipeline.num_parts": f"{ASSIST}::test_a_helper_changes_nothing_but_the_time",
    "review.max_upload_gib": f"{FILM_PAGE}::test_what_is_too_large_is_refused_in_a_sentence",
    "review.needs_approval": f"{APPROVE}::test_a_set_is_exported_once_somebody_approved_it",
    **{
        f"retention.{kind}_days": f"{CLEAN}::test_what_is_older_than_the_settings_allow_goes"
        for kind in ("log", "answer", "measure", "film")
    },
    "review.run_until": f"{FILM_PAGE}::test_a_film_runs_until_the_stage_that_is_set",
    "project.cache_gib": f"{REMOTE}::test_the_working_copy_stays_within_its_bound",
    "project.lease_seconds": f"{REMOTE}::test_a_killed_run_goes_on_elsewhere",
    "project.timeout_seconds": f"{REMOTE}::test_a_server_that_hangs_is_asked_again",
    "clip.caption_provider": f"{CLIP_CAPTION}::test_a_model_sees_three_moments_of_a_clip",
    "clip.max_similarity": f"{CLIP}::test_of_clips_that_show_the_same_one_is_taken",
    "clip.max_text_share": (f"{CLIP}::test_a_run_with_writing_that_no_kept_frame_shows_is_no_clip"),
    "clip.max_upscale": f"{CLIP}::test_a_picture_is_enlarged_as_far_as_is_set",
    "clip.preset": f"{CLIP}::test_presets_have_the_models_rate",
    "publish.schema_name": f"{PUBLISH}::test_the_schema_name_says_where_tables_go",
    "publish.has_row_security": f"{PUBLISH}::test_row_security_is_on_where_it_is_set",
    "publish.reader_role": f"{PUBLISH}::test_the_reader_role_alone_may_read",
    "publish.timeout_seconds": (
        f"{PUBLISH}::test_a_step_that_takes_longer_than_the_timeout_is_given_up"
    ),
    "pair.kinds": "test/stage/test_pair.py::test_off_it_writes_an_empty_table_and_no_file",
    "pair.max_pairs": f"{REFERENCE_PAIR}::test_past_the_most_pairs_shots_take_turns",
    "pair.min_confidence": (
        f"{REFERENCE_PAIR}::test_doubtful_pictures_are_neither_target_nor_reference"
    ),
    "pair.max_references": (
        f"{REFERENCE_PAIR}::test_references_are_varied_and_no_more_than_asked_for"
    ),
    "pair.min_gap_seconds": f"{REFERENCE_PAIR}::test_it_is_so_many_seconds_away",
    "pair.max_background_similarity": f"{REFERENCE_PAIR}::test_its_background_is_another",
    "pair.has_plain_background": f"{REFERENCE_PAIR}::test_a_plain_background_needs_a_mask",
    "pair.edit_seconds": f"{EDIT_PAIR}::test_the_two_pictures_are_so_many_seconds_apart",
    "pair.max_shift": f"{EDIT_PAIR}::test_a_moved_camera_is_told",
    "pair.max_residual": f"{EDIT_PAIR}::test_a_background_that_changed_is_told",
}
