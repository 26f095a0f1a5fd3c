"""Descriptions of the settings, and the files that are written from them."""

import write_settings

from bunny.core.config import describe


def test_the_files_are_as_the_classes_say():
    """Else run python python_script/write_settings.py."""
    for name, text in write_settings.texts().items():
        assert (write_settings.ROOT / name).read_text(encoding="utf-8") == text, name


def test_a_file_that_is_out_of_date_is_named(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "memory_bank").mkdir()
    assert write_settings.main([], tmp_path) is None
    assert write_settings.main(["--check"], tmp_path) is None
    (tmp_path / "memory_bank" / "setting.md").write_text("# Settings\n", encoding="utf-8")
    assert write_settings.main(["--check"], tmp_path) == (
        "memory_bank/setting.md is out of date: run python python_script/write_settings.py"
    )


def test_every_setting_is_described_in_one_line():
    texts = {one.key: one.description for one in describe.every_setting()}
    assert len(texts) > 229
    assert [key for key, text in texts.items() if not text or "\n" in text] == []


def test_range_choices_presets_and_default_are_the_classes():
    known = {one.key: one for one in describe.every_setting()}
    assert known["models.learning_rate"].allowed == "above 0, at most 1"
    assert known["dataset.min_subject_sharpness"].allowed == "at least 0"
    assert known["filtering.min_contrast"].allowed == (
        "0 to 1; generous 0.01, balanced 0.02, strict 0.05"
    )
    assert known["pair.kinds"].allowed == "list of reference | edit | clip"
    assert known["pair.kinds"].default == ()
    assert known["captioning.local"].is_section and not known["captioning.local"].allowed


def test_help_of_a_nested_section():
    assert describe.help_text("captioning.clip").splitlines() == [
        'captioning.clip.model=""',
        "    folder or hub id of a CLIP or SigLIP",
        'captioning.clip.vocabulary=""',
        "    YAML file of words in groups; empty: src/bunny/caption/vocabulary.yaml",
        "captioning.clip.min_probability=0.5  [0 to 1]",
        "    minimum probability of a word within its group",
    ]


def test_the_nearest_key_is_sought_in_the_same_section():
    assert describe.nearest("surprise") is None
    assert describe.nearest("nowhere.blur_threshold") is None
    assert describe.nearest("clip.min_motoin").key == "clip.min_motion"
