"""Length of captions in tokens of the base's own tokenizer, and what is left out past its limit.

A text encoder reads so many tokens and drops the rest: 77 are CLIP's, 512 T5's of Flux and 256
those of Stable Diffusion 3 as they are trained on here.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bunny.core import file_hash

TOKENS_A_WORD = 1.4  # of English under CLIP's vocabulary, where the base's tokenizer is not at hand
CLIP_TOKENS = 77
# Tokenizer that reads most of a caption, by diffusers' pipeline class, and how many tokens of it.
TOKENIZER = {"FluxPipeline": ("tokenizer_2", 512), "StableDiffusion3Pipeline": ("tokenizer_3", 256)}
SPECIAL_TOKENS = 2  # the start and the end


@dataclass(frozen=True)
class TokenLimit:
    """How many tokens a caption may have, and what counts them."""

    max_tokens: int = CLIP_TOKENS  # with start and end
    # Has tokenizer.json, or vocab.json and merges.txt; None: words are counted.
    folder: Path | None = None

    @property
    def is_estimate(self) -> bool:
        """Whether tokens are estimated by words."""
        return self.folder is None

    def digest(self) -> str:
        """What counting depends on, for fingerprints."""
        files = [] if self.folder is None else sorted(self.folder.glob("*"))
        hashes = [file_hash.hash_file(path) for path in files if path.is_file()]
        return " ".join([str(self.max_tokens), *hashes])

    def count(self, text: str) -> int:
        """Tokens of a text with start and end."""
        return self._count(text)

    def fits(self, text: str) -> bool:
        """Whether the encoder reads all of a text."""
        # a token has one byte at least, so short texts need no tokenizer
        is_short = len(text.encode()) + SPECIAL_TOKENS <= self.max_tokens
        return is_short or self.count(text) <= self.max_tokens

    @cached_property
    def _count(self) -> Callable[[str], int]:
        if self.folder is None:
            return lambda text: round(TOKENS_A_WORD * len(re.findall(r"\w+|[^\w\s]", text))) + 2
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return lambda text: len(tokenizer.encode(text).ids)


def find_limit(base: Path | None, max_tokens: int = 0) -> TokenLimit:
    """The limit of a base model.

    Parameters
    ----------
    base : Path or None
        Its folder in diffusers' format; None: not on this machine.
    max_tokens : int
        From the settings; 0: as many as the base's text encoder reads.
    """
    index = base / "model_index.json" if base else None
    if base is None or index is None or not index.is_file():
        return TokenLimit(max_tokens or CLIP_TOKENS)
    pipeline = json.loads(index.read_text(encoding="utf-8")).get("_class_name", "")
    name, most = TOKENIZER.get(pipeline, ("tokenizer", CLIP_TOKENS))
    folder = base / name
    if not folder.is_dir():  # Stable Diffusion 3 without T5
        folder, most = base / "tokenizer", CLIP_TOKENS
    has_file = (folder / "tokenizer.json").is_file()
    return TokenLimit(max_tokens or most, folder if has_file else None)


def shorten(text: str, limit: TokenLimit) -> tuple[str, list[str]]:
    """Leave out whole clauses from the end until a caption fits; the first one stays.

    Returns
    -------
    str
        The caption; it is still too long where its first clause alone is.
    list of str
        Clauses that were left out, in their order.
    """
    if limit.fits(text):
        return text, []
    clauses = [clause.strip() for clause in re.split(r",\s|(?<=[.!?])\s", text)]
    starts = _positions(text, clauses)
    left_out: list[str] = []
    while len(clauses) > 1 and not limit.fits(text):
        left_out.insert(0, clauses.pop())
        text = text[: starts[len(clauses)]].rstrip(" ,")
    return text, left_out


def _positions(text: str, clauses: list[str]) -> list[int]:
    """Where each clause begins."""
    found, at = [], 0
    for clause in clauses:
        at = text.index(clause, at)
        found.append(at)
        at += len(clause)
    return found
