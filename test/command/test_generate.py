"""What `bunny generate` draws where the settings are not the usual ones."""

import pytest

from bunny.command import generate
from bunny.command.option.model import GenerateOptions
from bunny.core import workspace
from bunny.core.config import Config
from bunny.core.error import UserError


def test_without_a_strength_no_adapter_is_needed(tmp_path):
    space = workspace.locate(tmp_path, str(tmp_path / "data"), "film")
    options, run = (GenerateOptions(), {"character": "bunny", "run_id": "r", "adapter_file": "r/a"})
    without = Config(generation={"lora_strength": 0.0})
    assert len(generate.choose_columns(space, without, options, run)[0]) == 1
    with pytest.raises(UserError, match="expected an adapter"):
        generate.choose_columns(space, Config(generation={"lora_strength": 0.5}), options, run)


def test_a_prompt_has_the_words_that_are_set(tmp_path):
    space = workspace.locate(tmp_path, str(tmp_path / "data"), "film")
    options = GenerateOptions(prompts=["{trigger} at sea"], seeds=[3], count=2)
    for captioning, words in (
        ({"class_word": "rabbit"}, "bunny rabbit at sea"),
        ({"class_word": "rabbit", "trigger_word": "sks {name}"}, "sks bunny rabbit at sea"),
        ({"class_word": ""}, "bunny at sea"),
    ):
        made = generate.make_requests(
            space, Config(captioning=captioning), options, {"character": "bunny"}
        )
        assert [(one.prompt, one.seed) for one in made] == [(words, 3), (words, 4)]


@pytest.mark.parametrize("count", [10**9, 10**18])
def test_a_count_is_bounded_before_it_takes_memory(tmp_path, count):
    space = workspace.locate(tmp_path, str(tmp_path / "data"), "film")
    with pytest.raises(UserError, match=rf"at most 100000 pictures .* got {count};"):
        generate.make_requests(space, Config(), GenerateOptions(count=count), {"character": "anna"})
