"""Captioning models of transformers on this machine: BLIP, Florence-2, Qwen-VL, LLaVA and others.

Models with a chat template are asked with the facts; Florence-2 gets its task token; the others
continue the prompt, or write freely without one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bunny.caption.answer import CaptionAnswer, CaptionQuestion
from bunny.caption.question import decode_jpeg
from bunny.core.config.captioning import TransformersCaptionConfig
from bunny.core.error import UserError

KEY = "captioning.transformers.model"
FLORENCE_TASK = "<DETAILED_CAPTION>"  # one of the tasks that Florence-2 was trained on
CHAT_PROMPT = (
    "Describe this still picture of a film in one plain English sentence of at most 40 words: who "
    "is seen and what they do, where they are, how near the camera is, the light. Do not begin "
    'with "The image shows".'
)


class ImageToText:
    """A loaded captioning model; one call at a time.

    Parameters
    ----------
    max_tokens : int
        Most tokens of a caption, `captioning.max_tokens`.

    Raises
    ------
    UserError
        If the model cannot be loaded.
    """

    def __init__(self, config: TransformersCaptionConfig, max_tokens: int) -> None:
        import torch

        self.batch_size = config.batch_size
        self._prompt, self._max_tokens = config.prompt, max_tokens
        self._device = _find_device(config.device)
        is_gpu = self._device != "cpu"
        self._net, self.processor = _load(config.model, torch.float16 if is_gpu else "auto")
        self._net.to(self._device)
        self._is_florence = self._net.config.model_type == "florence2"
        self._is_chat = bool(getattr(self.processor, "chat_template", None))
        tokenizer = getattr(self.processor, "tokenizer", None)
        if tokenizer is not None and self._is_chat:
            tokenizer.padding_side = "left"  # what is written follows the last token

    def caption_batch(self, questions: Sequence[CaptionQuestion]) -> list[CaptionAnswer]:
        """Captions of pictures, in their order; greedy, so the same again and again."""
        import torch

        pictures = [decode_jpeg(question.picture)[:, :, ::-1].copy() for question in questions]
        ready = self._prepare(questions, pictures).to(self._device, self._net.dtype)
        with torch.inference_mode():
            written = self._net.generate(**ready, max_new_tokens=self._max_tokens, do_sample=False)
        ids = ready.get("input_ids")
        if ids is not None and torch.equal(written[:, : ids.shape[1]], ids):
            written = written[:, ids.shape[1] :]  # decoders repeat the prompt
        texts = self.processor.batch_decode(written, skip_special_tokens=True)
        return [to_answer(text) for text in texts]

    def _prepare(self, questions: Sequence[CaptionQuestion], pictures: list[np.ndarray]) -> Any:
        """The model's inputs, padded to one length."""
        if self._is_chat:
            asked = [
                make_conversation(q, p, self._prompt)
                for q, p in zip(questions, pictures, strict=True)
            ]
            return self.processor.apply_chat_template(
                asked,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True},
            )
        prompt = self._prompt or (FLORENCE_TASK if self._is_florence else "")
        words = {"text": [prompt] * len(pictures)} if prompt else {}
        return self.processor(images=pictures, return_tensors="pt", padding=True, **words)


def make_conversation(
    question: CaptionQuestion, picture: np.ndarray, prompt: str = ""
) -> list[dict[str, object]]:
    """A chat model's question in the format of transformers: the picture, the prompt, the facts.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8
        RGB.
    prompt : str
        Empty: `CHAT_PROMPT`.
    """
    words = [prompt or CHAT_PROMPT]
    if question.names:
        words.append(f"Call the characters exactly: {', '.join(question.names)}.")
    if question.facts:
        words.append(f"Measured facts: {'; '.join(question.facts)}.")
    content = [{"type": "image", "image": picture}, {"type": "text", "text": " ".join(words)}]
    return [{"role": "user", "content": content}]


def _find_device(name: str) -> str:
    """The device of the setting; auto is the GPU where there is one."""
    import torch

    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _load(model: str, dtype: Any) -> tuple[Any, Any]:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    try:
        net = AutoModelForImageTextToText.from_pretrained(model, dtype=dtype, use_safetensors=True)
        return net.eval(), AutoProcessor.from_pretrained(model)
    except (OSError, ValueError, ImportError, KeyError) as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{KEY} {model}: expected a folder or hub id of a captioning model, could not load it "
            f"({reason}); choose another model, or leave transformers out of captioning.providers"
        ) from error


def to_answer(text: str) -> CaptionAnswer:
    """The first line of what the model wrote; nothing at all is a failure."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    caption = next((line for line in lines if line), "")
    if not caption:
        return CaptionAnswer(status="failed", error="the model wrote nothing", is_answered=True)
    return CaptionAnswer(status="done", text=caption, is_answered=True)
