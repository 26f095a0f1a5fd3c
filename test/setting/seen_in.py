"""The test of the domain that fails if a setting has no effect, by the setting's key."""

SEEN = {  # test file: test: keys
    "test/remote/test_remote_folder.py": {
        "test_the_working_copy_stays_within_its_bound": "project.cache_gib",
        "test_a_killed_run_goes_on_elsewhere": "project.lease_seconds",
        "test_a_server_that_hangs_is_asked_again": "project.timeout_seconds",
    },
    "test/test_pipeline.py": {"test_without_names_the_stages_that_are_set_run": "pipeline.stages"},
    "test/stage/test_contract.py": {
        "test_force_runs_what_is_up_to_date": "pipeline.force_rerun",
        "test_just_as_many_failures_as_allowed_are_no_failure": "pipeline.max_failed_share",
    },
    "test/stage/test_stage_setting.py": {
        "test_pictures_of_a_set_are_decoded_ahead_unless_one_thread_does_all": (
            "pipeline.parallel_processing"
        ),
        "test_a_search_for_places_goes_on_shard_by_shard": "pipeline.shard_size",
        "test_the_evaluation_finds_faces_by_the_detector_that_is_set": (
            "detection.face_detection_model"
        ),
        "test_doubted_shots_are_looked_at_again_unless_it_has_to_be_fast": "detection.effort",
        "test_shots_in_doubt_are_searched_at_half_the_interval_that_is_set": (
            "detection.extra_interval_seconds"
        ),
        "test_faces_are_judged_by_the_recogniser_that_the_settings_do_not_name": (
            "detection.recogniser"
        ),
        "test_references_are_measured_anew_at_another_score": "detection.min_face_score",
        "test_the_film_is_told_drawn_only_where_nobody_says_so": "detection.medium",
        "test_what_an_owl_finds_is_compared_by_the_embedding_that_is_named": (
            "detection.drawn_detector detection.drawn_embedding"
        ),
        "test_the_film_is_tried_out_in_parts_that_the_seed_draws": "seed",
    },
    "test/command/test_assist.py": {
        "test_a_helper_changes_nothing_but_the_time": "pipeline.num_parts"
    },
    "test/command/test_command_setting.py": {
        "test_a_command_waits_for_another_writer_as_long_as_is_set": "pipeline.lock_wait_seconds",
        "test_as_many_corrections_are_asked_for_as_are_set": "review.min_learn_events",
    },
    "test/stage/test_extract.py": {
        "test_other_methods": "extraction.method extraction.interval_seconds",
        "test_old_pictures_that_no_table_names_are_removed": "extraction.output_format",
        "test_once_done_there_is_nothing_to_do_until_a_setting_changes": "extraction.quality",
        "test_extra_interval_frames_lie_between_the_shots_own": "extraction.extra_interval_seconds",
        "test_the_same_pictures_as_a_sequence_are_a_film": "extraction.folder",
    },
    "test/stage/test_extract_again.py": {
        "test_only_pictures_of_new_shots_are_read": "extraction.cut_threshold"
    },
    "test/video/test_shot.py": {
        "test_a_shot_of_exactly_the_shortest_length_is_one_and_one_frame_less_is_none": (
            "extraction.min_shot_frames"
        )
    },
    "test/video/test_keyframe.py": {
        "test_a_shot_exactly_at_the_threshold_is_dynamic": "extraction.static_range",
        "test_more_or_fewer_are_spread_evenly": "extraction.frames_per_dynamic_shot",
    },
    "test/stage/test_extract_setting.py": {
        "test_a_dissolve_of_a_second_is_found_by_the_detector_that_knows_them": (
            "extraction.shot_detector"
        ),
        "test_pictures_are_of_the_largest_stream_unless_one_is_set": "extraction.video_stream",
        "test_bars_are_cut_off_unless_they_are_to_stay": "extraction.crop_bars",
        "test_frames_between_are_deinterlaced_as_the_kept_ones": "extraction.deinterlace",
    },
    "test/video/test_colour.py": {
        "test_a_pq_film_of_known_light_gives_known_codes": "extraction.tone_curve"
    },
    "test/stage/test_filter.py": {
        "test_a_preset_decides_and_its_thresholds_are_recorded": "filtering.preset",
        "test_a_number_to_keep_is_solved_recorded_and_said": "filtering.keep_about",
    },
    "test/quality/test_flag.py": {
        "test_batches_do_not_move_when_other_thresholds_do": "filtering.blur_threshold",
        "test_best_of_batch": "filtering.batch_size filtering.keep_best_per_batch",
        "test_light_is_judged_by_the_thresholds_that_are_set": (
            "filtering.min_brightness filtering.max_brightness filtering.min_contrast"
        ),
        "test_smear_blocks_and_subtitles_are_let_pass_until_asked_for": (
            "filtering.max_smear filtering.max_blockiness filtering.max_subtitle_share"
        ),
        "test_frames_that_are_no_pictures_are_dropped": "filtering.drop_kinds",
        "test_duplicates_name_the_frame_that_stays": "filtering.duplicate_distance",
        "test_pictures_that_differ_are_no_duplicates_whatever_their_hash": (
            "filtering.duplicate_structure"
        ),
    },
    "test/command/test_characters.py": {
        "test_a_view_with_a_small_face_alone_serves_where_small_faces_are_looked_for": (
            "detection.has_small_faces"
        )
    },
    "test/stage/test_detect.py": {
        "test_a_moved_threshold_reads_no_picture": "detection.min_face_px",
        "test_a_drawn_character_is_found_beside_a_rival": "detection.is_drawn_enabled",
        "test_the_threshold_of_ccip_is_its_own_and_reads_no_picture": "detection.ccip_threshold",
        "test_a_picture_that_is_drawn_never_takes_the_route_of_faces": "detection.drawn_classifier",
    },
    "test/character/test_film_label.py": {
        "test_faces_count_from_their_thresholds_on_and_the_largest_ones_of_a_frame": (
            "detection.max_faces_per_frame"
        ),
        "test_names_are_given_by_the_thresholds_that_are_set": (
            "detection.similarity_threshold detection.min_margin detection.drawn_threshold "
            "detection.drawn_margin"
        ),
        "test_faces_are_compared_without_the_films_light_unless_that_is_off": (
            "detection.is_adapted"
        ),
    },
    "test/character/test_film_calibration.py": {
        "test_labels_follow_the_films_threshold_unless_it_is_fixed": "detection.calibration"
    },
    "test/character/test_label.py": {
        "test_drawn_figures_go_by_their_own_threshold": (
            "detection.figure_score detection.figure_presence"
        )
    },
    "test/stage/test_cluster.py": {
        "test_a_moved_threshold_reads_no_picture": "clustering.scene_threshold",
        "test_unknown_people_are_as_alike_as_is_set": "clustering.character_threshold",
        "test_another_threshold_for_figures_leaves_people_as_they_are": (
            "clustering.figure_threshold"
        ),
        "test_a_frame_alone_is_noise_below_the_threshold_that_is_set": "clustering.noise_threshold",
        "test_the_note_says_how_stable_people_are_by_the_method_that_is_set": (
            "clustering.unknown_method"
        ),
        "test_scenes_are_found_by_the_method_that_is_set": "clustering.scene_method",
        "test_without_runs_nothing_is_said_of_stability": "clustering.stability_runs",
    },
    "test/command/test_film_page.py": {
        "test_what_is_too_large_is_refused_in_a_sentence": "review.max_upload_gib",
        "test_a_film_runs_until_the_stage_that_is_set": "review.run_until",
    },
    "test/command/test_approve.py": {
        "test_a_set_is_exported_once_somebody_approved_it": "review.needs_approval"
    },
    "test/command/test_clean.py": {
        "test_what_is_older_than_the_settings_allow_goes": (
            "retention.log_days retention.answer_days retention.measure_days retention.film_days"
        )
    },
    "test/stage/test_caption.py": {
        "test_the_next_provider_answers_what_the_first_refuses_and_the_row_says_why": (
            "captioning.providers"
        ),
        "test_what_shapes_an_answer_is_asked_anew_and_nothing_else_is": (
            "captioning.max_tokens captioning.temperature"
        ),
        "test_a_limit_on_costs_ends_the_run_with_what_it_has": "captioning.max_cost_usd",
        "test_an_upload_is_said_where_it_is_allowed_and_kept_answers_need_none": (
            "captioning.allow_upload"
        ),
        "test_crops_show_the_figures_alone_and_frames_without_any_stay_here": "captioning.send",
        "test_words_for_characters_are_settings": "captioning.trigger_word captioning.class_word",
        "test_colours_of_the_background_are_said_where_that_is_set": (
            "captioning.has_background_colours"
        ),
        "test_models_on_this_machine_caption_a_film_without_network": (
            "captioning.transformers.model captioning.tagger.model "
            "captioning.tagger.general_threshold"
        ),
    },
    "test/stage/test_caption_setting.py": {
        "test_as_many_requests_are_under_way_as_are_set": "captioning.batch_size",
        "test_a_picture_has_several_captions_by_the_shares_that_are_set": (
            "captioning.variants.short captioning.variants.long captioning.variants.tags"
        ),
        "test_each_provider_is_asked_by_its_own_section": (
            "captioning.bedrock.model captioning.bedrock.endpoint_url "
            "captioning.bedrock.input_price_usd captioning.bedrock.output_price_usd "
            "captioning.openai.model captioning.openai.endpoint_url "
            "captioning.openai.input_price_usd captioning.openai.output_price_usd "
            "captioning.anthropic.model captioning.anthropic.endpoint_url "
            "captioning.anthropic.input_price_usd captioning.anthropic.output_price_usd "
            "captioning.local.model captioning.local.endpoint_url "
            "captioning.local.input_price_usd captioning.local.output_price_usd"
        ),
        "test_no_more_is_asked_in_a_minute_than_is_set": (
            "captioning.bedrock.requests_per_minute captioning.bedrock.tokens_per_minute "
            "captioning.openai.requests_per_minute captioning.openai.tokens_per_minute "
            "captioning.anthropic.requests_per_minute captioning.anthropic.tokens_per_minute "
            "captioning.local.requests_per_minute captioning.local.tokens_per_minute"
        ),
        "test_pictures_are_shown_at_once_as_many_as_are_set": "captioning.transformers.batch_size",
        "test_a_model_computes_on_the_device_that_is_set": "captioning.transformers.device",
        "test_clip_chooses_by_the_model_words_and_probability_that_are_set": (
            "captioning.clip.model captioning.clip.vocabulary captioning.clip.min_probability"
        ),
    },
    "test/caption/test_provider.py": {
        "test_a_server_that_never_answers_is_a_timeout": "captioning.timeout_seconds",
        "test_a_trickle_of_bytes_is_no_answer": "captioning.connect_timeout_seconds",
        "test_a_lasting_failure_is_given_up_after_the_retries": "captioning.max_retries",
        "test_bedrock_is_reached_in_the_region_that_is_set": "aws.region",
        "test_a_credential_is_named_by_where_it_comes_from": "aws.profile",
    },
    "test/stage/test_caption_writing.py": {
        "test_other_words_ask_no_model_again": (
            "captioning.style captioning.prune_tags captioning.max_caption_tokens"
        ),
        "test_what_always_goes_with_a_character_is_left_to_its_trigger_word": (
            "captioning.max_tag_share captioning.keep_tags"
        ),
        "test_replacements_are_part_of_the_fingerprint_by_what_they_say": "captioning.replacements",
    },
    "test/caption/test_tag.py": {
        "test_a_caption_says_who_is_left_and_who_is_right": "captioning.has_sides"
    },
    "test/caption/test_image_to_text.py": {
        "test_a_chat_model_is_told_the_facts_and_the_words": "captioning.transformers.prompt"
    },
    "test/caption/test_tagger.py": {
        "test_tags_from_the_thresholds_on_the_surest_first": (
            "captioning.tagger.character_threshold"
        )
    },
    "test/stage/test_dataset_setting.py": {
        "test_views_are_left_out_by_the_thresholds_that_are_set": (
            "dataset.min_confidence dataset.min_subject_px"
        ),
        "test_buckets_go_by_the_step_that_is_set": "dataset.aspect dataset.bucket_step_px",
        "test_a_picture_is_enlarged_no_more_than_is_set": "dataset.max_upscale",
        "test_wider_windows_are_cut_only_where_that_is_set": "dataset.has_wider_crops",
        "test_rights_that_are_set_stand_in_the_record_of_the_set": (
            "rights.film_title rights.film_licence rights.film_source rights.consent"
        ),
        "test_a_set_has_as_many_pictures_as_large_as_is_set": "models.resolution models.max_images",
        "test_the_margin_around_a_subject_is_the_one_that_is_set": "models.crop_margin",
        "test_shots_are_held_out_by_the_share_that_is_set": "models.held_out_share",
    },
    "test/view/test_view_setting.py": {
        "test_views_of_the_explorer_are_as_sharp_as_is_set": "dataset.min_subject_sharpness"
    },
    "test/stage/test_dataset.py": {
        "test_class_pictures_and_masks": "dataset.mask dataset.num_class_images",
        "test_recovered_crops_are_those_of_the_stored_picture": "dataset.cut_from",
        "test_characters_are_taken_as_named": "models.characters",
    },
    "test/stage/test_clip.py": {
        "test_presets_have_the_models_rate": "clip.preset",
        "test_each_setting_does_what_it_says": (
            "clip.fps clip.width_px clip.height_px clip.num_frames clip.max_clips "
            "clip.margin_frames clip.min_motion clip.max_motion clip.min_sharpness clip.framing "
            "clip.has_audio"
        ),
        "test_of_clips_that_show_the_same_one_is_taken": "clip.max_similarity",
        "test_a_box_between_labels_counts_from_the_likeness_that_is_set": (
            "clip.min_coverage clip.min_likeness"
        ),
        "test_a_run_with_writing_that_no_kept_frame_shows_is_no_clip": "clip.max_text_share",
        "test_a_picture_is_enlarged_as_far_as_is_set": "clip.max_upscale",
    },
    "test/stage/test_clip_caption.py": {
        "test_a_model_sees_three_moments_of_a_clip": "clip.caption_provider"
    },
    "test/stage/test_pair.py": {"test_off_it_writes_an_empty_table_and_no_file": "pair.kinds"},
    "test/pair/test_reference_pair.py": {
        "test_past_the_most_pairs_shots_take_turns": "pair.max_pairs",
        "test_doubtful_pictures_are_neither_target_nor_reference": "pair.min_confidence",
        "test_references_are_varied_and_no_more_than_asked_for": "pair.max_references",
        "test_it_is_so_many_seconds_away": "pair.min_gap_seconds",
        "test_its_background_is_another": "pair.max_background_similarity",
        "test_a_plain_background_needs_a_mask": "pair.has_plain_background",
    },
    "test/pair/test_edit_pair.py": {
        "test_the_two_pictures_are_so_many_seconds_apart": "pair.edit_seconds",
        "test_a_moved_camera_is_told": "pair.max_shift",
        "test_a_background_that_changed_is_told": "pair.max_residual",
    },
    "test/stage/test_generate.py": {
        "test_a_base_of_another_family_than_is_set_is_refused": "models.family",
        "test_grid_of_checkpoints_strengths_and_frames": (
            "generation.prompts generation.negative_prompt generation.seeds generation.strengths "
            "generation.checkpoints generation.scheduler generation.width generation.height "
            "generation.init_frames generation.init_strength generation.has_safety_checker"
        ),
        "test_own_pictures_are_drawn_as_the_settings_say": "generation.batch_size",
        "test_blend_is_in_every_adapter_picture_and_in_the_table": "generation.blend",
    },
    "test/training/test_trainer_kind.py": {
        "test_every_way_learns_and_leaves_no_layer_behind": "models.adapter",
        "test_convolutions_are_adapted_where_all_is_asked_for": "models.targets",
        "test_text_encoder_has_its_own_rate": (
            "models.trains_text_encoder models.text_learning_rate models.learning_rate"
        ),
        "test_eight_bit_adam_asks_for_its_package": "models.optimizer",
        "test_the_base_computes_in_the_precision_that_is_set": "models.precision",
        "test_held_out_loss_that_gets_no_better_ends_the_run": "models.patience",
    },
    "test/training/test_trainer.py": {
        "test_header_keeps_what_diffusers_needs_to_load_it": "models.lora_rank",
        "test_each_checkpoint_is_an_adapter_and_the_last_is_the_runs": (
            "models.training_steps models.checkpoint_every"
        ),
    },
    "test/training/test_training_data.py": {
        "test_learning_rate_of_each_step": "models.schedule models.warmup_steps"
    },
    "test/stage/test_finetune.py": {
        "test_class_pictures_drawn_by_the_base": "models.class_pictures models.num_class_pictures"
    },
    "test/generation/test_plan.py": {
        "test_a_drawing_for_each_prompt_start_and_seed": (
            "generation.num_steps generation.guidance_scale"
        )
    },
    "test/command/test_generate.py": {
        "test_without_a_strength_no_adapter_is_needed": "generation.lora_strength"
    },
    "test/stage/test_evaluate.py": {
        "test_every_checkpoint_is_judged_and_one_is_reported": (
            "evaluation.choose_prompts evaluation.report_prompts evaluation.seeds "
            "evaluation.num_steps evaluation.guidance_scale evaluation.num_bootstrap"
        )
    },
    "test/library/search/test_search_clip.py": {
        "test_words_find_pictures_that_no_caption_describes": "search.text_model"
    },
    "test/library/timeline/test_export.py": {
        "test_the_reel_and_the_films_place_are_those_that_are_set": (
            "timeline.reel timeline.media_path"
        ),
        "test_handles_stop_at_the_films_ends": "timeline.handle_frames",
    },
    "test/library/publish/test_publish_setting.py": {
        "test_the_schema_name_says_where_tables_go": "publish.schema_name",
        "test_row_security_is_on_where_it_is_set": "publish.has_row_security",
        "test_the_reader_role_alone_may_read": "publish.reader_role",
        "test_a_step_that_takes_longer_than_the_timeout_is_given_up": "publish.timeout_seconds",
    },
}
SEEN_IN = {
    key: f"{path}::{test}"
    for path, tests in SEEN.items()
    for test, keys in tests.items()
    for key in keys.split()
}
