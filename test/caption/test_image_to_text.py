"""Captioning models of transformers: tiny ones, made from their own configurations."""

import cv2
import numpy as np
import pytest
import tiny_captioner

from bunny.caption import image_to_text
from bunny.caption.answer import CaptionQuestion
from bunny.core.config.captioning import TransformersCaptionConfig
from bunny.core.error import UserError


def question(colour, height=40, width=60):
    picture = np.full((height, width, 3), colour, np.uint8)
    return CaptionQuestion(
        frame_id="f",
        picture=cv2.imencode(".jpg", picture)[1].tobytes(),
        facts=("solo", "day"),
        names=("bunny",),
    )


QUESTIONS = [question((0, 0, 255)), question((9, 99, 9), 80, 30), question((255, 255, 255), 20, 20)]


def load(folder, max_tokens=120):
    config = TransformersCaptionConfig(model=str(folder), device="cpu")
    return image_to_text.ImageToText(config, max_tokens)


@pytest.fixture(scope="module")
def blip(tmp_path_factory):
    return tiny_captioner.save_blip(tmp_path_factory.mktemp("blip"))


@pytest.fixture(scope="module")
def llava(tmp_path_factory):
    return tiny_captioner.save_llava(tmp_path_factory.mktemp("llava"))


def test_a_captioner_without_a_prompt_writes_as_many_words_as_it_may(blip):
    answers = load(blip, max_tokens=3).caption_batch(QUESTIONS)
    assert [a.text for a in answers] == ["rabbit rabbit rabbit"] * 3
    assert {a.status for a in answers} == {"done"}
    assert all(a.is_answered for a in answers)


def test_a_prompt_is_not_part_of_the_caption_of_a_chat_model(llava):
    answers = load(llava, max_tokens=2).caption_batch(QUESTIONS)
    assert [a.text for a in answers] == ["rabbit rabbit"] * 3


def test_a_chat_model_that_cuts_pictures_into_patches_answers(tmp_path):
    pytest.importorskip("torchvision")
    ready = load(tiny_captioner.save_qwen(tmp_path), max_tokens=2)
    assert [a.text for a in ready.caption_batch(QUESTIONS)] == ["rabbit rabbit"] * 3


def test_a_chat_model_is_told_the_facts_and_the_words():
    black = np.zeros((4, 4, 3), np.uint8)
    [turn] = image_to_text.make_conversation(QUESTIONS[0], black)
    picture, words = turn["content"]
    assert picture["type"] == "image"
    assert words["text"].startswith(image_to_text.CHAT_PROMPT)
    assert words["text"].endswith("Call the characters exactly: bunny. Measured facts: solo; day.")
    asked = image_to_text.make_conversation(QUESTIONS[0], black, "What is it?")
    assert asked[0]["content"][1]["text"].startswith("What is it? Call")


def test_florence_gets_its_task_and_no_marks_are_left_in_what_it_writes(tmp_path):
    ready = load(tiny_captioner.save_florence(tmp_path), max_tokens=4)
    asked, whole = [], ready.processor._construct_prompts
    ready.processor._construct_prompts = lambda text: asked.append(list(text)) or whole(text)
    answers = ready.caption_batch(QUESTIONS[:2])
    assert asked == [["<DETAILED_CAPTION>"] * 2]
    assert all("<" not in (answer.text or "") for answer in answers)
    assert all(answer.is_answered for answer in answers)


class Spy:
    """A processor that remembers the pictures it got."""

    def __init__(self, processor):
        self.processor, self.seen = processor, []
        self.batch_decode = processor.batch_decode

    def __call__(self, **inputs):
        self.seen += inputs["images"]
        return self.processor(**inputs)


def test_pictures_are_seen_as_rgb_and_in_their_own_size(blip):
    ready = load(blip, max_tokens=1)
    ready.processor = spy = Spy(ready.processor)
    ready.caption_batch(QUESTIONS[:2])
    assert [picture.shape for picture in spy.seen] == [(40, 60, 3), (80, 30, 3)]
    red, green, blue = spy.seen[0].reshape(-1, 3).mean(axis=0)
    assert red > 250 > 5 > max(green, blue)


def test_nothing_written_is_a_failure_and_lines_are_one():
    assert image_to_text.to_answer("\n \n").status == "failed"
    assert image_to_text.to_answer("\n a  hare\nmore").text == "a hare"


@pytest.mark.parametrize("make", [False, True])
def test_a_folder_that_is_no_captioner_is_refused(tmp_path, make):
    folder = tiny_captioner.save_clip(tmp_path / "clip") if make else tmp_path / "none"
    with pytest.raises(UserError, match=r"captioning\.transformers\.model .*could not load it"):
        load(folder)
