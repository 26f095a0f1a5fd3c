"""Settings: who wins, and what is refused how."""

from pathlib import Path

import pytest
import yaml

from bunny.core import config
from bunny.core.error import UserError

ROOT = Path(__file__).resolve().parents[2]


def _write(root: Path, name: str, text: str) -> None:
    (root / "config").mkdir(exist_ok=True)
    (root / "config" / name).write_text(text, encoding="utf-8")


def test_each_source_wins_over_the_one_before(tmp_path):
    def threshold(*overrides, environment=None):
        loaded = config.load(tmp_path, overrides, environment=environment or {})
        return loaded.filtering.blur_threshold

    assert threshold() == config.FilteringConfig().blur_threshold
    _write(tmp_path, "main.yaml", "filtering: {blur_threshold: 0.31}")
    assert threshold() == 0.31
    _write(tmp_path, "local_me.yaml", "filtering: {blur_threshold: 0.32}")
    assert threshold() == 0.32
    (tmp_path / ".env").write_text("BUNNY_FILTERING__BLUR_THRESHOLD=0.33\n", encoding="utf-8")
    assert threshold() == 0.33
    environment = {"BUNNY_FILTERING__BLUR_THRESHOLD": "0.34"}
    assert threshold(environment=environment) == 0.34
    assert threshold("filtering.blur_threshold=0.35", environment=environment) == 0.35


def test_sources_merge_key_by_key(tmp_path):
    _write(tmp_path, "main.yaml", "filtering: {blur_threshold: 0.3, min_contrast: 0.1}\nmodels:\n")
    loaded = config.load(tmp_path, ["filtering.min_contrast=0.2"], environment={})
    assert (loaded.filtering.blur_threshold, loaded.filtering.min_contrast) == (0.3, 0.2)


def test_main_yaml_has_every_key_with_its_default(tmp_path):
    text = (ROOT / "config" / "main.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == config.Config().model_dump(mode="json")
    _write(tmp_path, "main.yaml", text)
    assert config.load(tmp_path, environment={}) == config.Config()
    _write(tmp_path, "main.yaml", text.replace("blur_threshold: 0.17", "blur_threshold: 0.21"))
    assert config.load(tmp_path, environment={}).filtering.blur_threshold == 0.21


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("filtering.blur=1", ["unknown key filtering.blur", "the nearest is blur_threshold: fr"]),
        ("filtering.blur_threshold=4", ["less than or equal", "got 4; blur_threshold: frames le"]),
        ("filtering.blur_threshold=soft", ["filtering.blur_threshold", "number", "soft"]),
        ("extraction.method=magic", ["'keyframe', 'interval' or 'shot'", "magic"]),
        ("surprise=1", ["unknown key surprise", "extraction"]),
        ("captioning.provider=bedrock", ["captioning.provider", "captioning.providers, a list"]),
        ("captioning.model=x", ["captioning.model", "captioning.<provider>.model"]),
        ("captioning.endpoint_url=x", ["captioning.<provider>.endpoint_url"]),
        ("captioning.providers=[tags, local]", ["captioning.providers", "tags last"]),
        ("captioning.providers=[local, local]", ["every provider once"]),
        ("captioning.providers=[]", ["at least one provider"]),
        ("captioning.local.modle=x", ["unknown key captioning.local.modle", "model"]),
        ("filtering=3", ["filtering", "3"]),
        ("filtering.blur_threshold", ["expected section.key=value"]),
        ("pipeline.stages=[extract, bake]", ["pipeline.stages.1", "bake"]),
        ("seed=-1", ["seed", "-1"]),
    ],
)
def test_wrong_settings_are_refused_with_key_expected_and_got(tmp_path, override, words):
    with pytest.raises(UserError) as caught:
        config.load(tmp_path, [override], environment={})
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_refusal_names_the_file_or_variable(tmp_path):
    _write(tmp_path, "local_x.yaml", "detection: {drawn_treshold: 1}")
    with pytest.raises(
        UserError, match=r"config/local_x\.yaml: unknown key detection\.drawn_tresh"
    ):
        config.load(tmp_path, environment={})
    (tmp_path / "config" / "local_x.yaml").unlink()
    with pytest.raises(UserError, match="environment BUNNY_DETECTION__X: unknown key"):
        config.load(tmp_path, environment={"BUNNY_DETECTION__X": "1"})


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2", "just words", "a: \t: b"])
def test_yaml_that_is_no_settings_is_refused_in_one_sentence(tmp_path, text):
    _write(tmp_path, "main.yaml", text)
    with pytest.raises(UserError) as caught:
        config.load(tmp_path, environment={})
    assert "main.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_a_local_file_of_one_film_holds_for_that_film_alone(tmp_path):
    path = config.save_local(tmp_path, "anna-0123abcd", "filtering", {"blur_threshold": 0.5})
    assert path.name == "local_anna-0123abcd.yaml"
    assert config.load(tmp_path, film_id="anna-0123abcd", environment={}).filtering == (
        config.FilteringConfig(blur_threshold=0.5)
    )
    assert config.load(tmp_path, film_id="else-99999999", environment={}) == config.Config()


def test_saving_a_choice_keeps_the_others_and_refuses_nonsense(tmp_path):
    config.save_local(tmp_path, "f-00000000", "filtering", {"blur_threshold": 0.5})
    config.save_local(tmp_path, "f-00000000", "filtering", {"min_contrast": 0.1})
    with pytest.raises(UserError, match="blur_threshold"):
        config.save_local(tmp_path, "f-00000000", "filtering", {"blur_threshold": 7})
    loaded = config.load(tmp_path, film_id="f-00000000", environment={})
    assert (loaded.filtering.blur_threshold, loaded.filtering.min_contrast) == (0.5, 0.1)


def test_secrets_of_dotenv_reach_the_environment_but_never_override_it(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("ONE_KEY=file\nTWO_KEY=file\nBUNNY_SEED=3\n", encoding="utf-8")
    monkeypatch.setenv("ONE_KEY", "mine")
    monkeypatch.setenv("TWO_KEY", "gone")
    monkeypatch.delenv("TWO_KEY")
    config.load_secrets(tmp_path)
    import os

    assert (os.environ["ONE_KEY"], os.environ["TWO_KEY"]) == ("mine", "file")
    assert "BUNNY_SEED" not in os.environ


def test_a_renamed_key_is_refused_by_its_new_name(tmp_path):
    with pytest.raises(UserError) as caught:
        config.load(tmp_path, ["extraction.static_motion=0.01"], environment={})
    assert str(caught.value) == (
        "--set extraction.static_motion=0.01: key extraction.static_motion was replaced by "
        "extraction.static_range: a shot is static if its frames differ by less than this; "
        "see config/main.yaml"
    )


def test_a_value_that_gave_way_is_refused_by_its_successor(tmp_path):
    with pytest.raises(UserError) as caught:
        config.load(tmp_path, ["extraction.shot_detector=hybrid"], environment={})
    assert str(caught.value) == (
        "--set extraction.shot_detector=hybrid: extraction.shot_detector hybrid was replaced by "
        "accurate; choose accurate"
    )
