"""Check of answers before they count: a caption is a plain sentence about its own picture.

Words in a picture may tell a model what to write; what it writes is data all the same. An answer
that holds a path, an address, markup or control characters, or that is far too long, is failed,
whoever gave it. The name of a character that is not labelled fails none, since it may be a common
word ("bunny") or the label may be missing: it is left out of the tags, and the audit names it.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace

from bunny.caption import caption_claim
from bunny.caption.answer import CaptionAnswer

MAX_CHARACTERS = 2000  # of a caption; 40 words are asked for, and long-winded models write 300
MAX_TAGS, MAX_TAG_CHARACTERS = 40, 60
FILES = (
    "png|jpe?g|webp|gif|bmp|tiff?|mp4|mkv|mov|json|ya?ml|csv|parquet|safetensors|html?|py|sh|txt"
)
TAG = r"(?-i:(?!<[A-Z0-9]+_[A-Z0-9_]+>))<[a-z/!?][^>]*>"  # but what `log.redact` puts for a secret
FAULTS = {
    "markup": re.compile(TAG + r"|\[\[ ?##|```|\{\{|!!\w+[/:]|^---", re.IGNORECASE),
    "an address": re.compile(r"\b\w+://|\bwww\.\w"),
    "a file": re.compile(
        rf"(?<!\w)(?:[a-z]:\\|/(?=\w+/)|~/|\.\./)|\b[\w-]+\.(?:{FILES})\b", re.IGNORECASE
    ),
}


def checked(answer: CaptionAnswer, other_names: Iterable[str] = ()) -> CaptionAnswer:
    """The answer without tags that are none, or failed where its caption is none.

    Parameters
    ----------
    other_names : iterable of str
        Of characters that are not seen in the picture.
    """
    if answer.status != "done" or answer.text is None:
        return answer
    text = _without_hidden(answer.text)
    if fault := find_fault(text):
        return replace(
            answer, status="failed", text=None, tags=(), parts={}, error=f"expected {fault}"
        )
    return replace(answer, text=text, tags=_clean_tags(answer.tags, other_names))


def find_fault(text: str) -> str:
    """What a caption should be and is not, as a part of a sentence; "" where nothing is wrong."""
    if len(text) > MAX_CHARACTERS:
        return f"a caption of at most {MAX_CHARACTERS} characters, got {len(text)}"
    if any(unicodedata.category(one) in ("Cc", "Cs", "Co") for one in text):
        return "a caption without control characters, got some"
    for what, pattern in FAULTS.items():
        if found := pattern.search(text):
            return f"a plain sentence, got {what}: {found[0][:40]!r}"
    return ""


def _clean_tags(tags: Iterable[str], other_names: Iterable[str] = ()) -> tuple[str, ...]:
    """Tags that are short plain words and name nobody else, each once; the rest is left out."""
    others = tuple(other_names)
    plain = dict.fromkeys(_without_hidden(tag).strip() for tag in tags)
    return tuple(
        tag
        for tag in plain
        if tag
        and len(tag) <= MAX_TAG_CHARACTERS
        and not find_fault(tag)
        and not any(caption_claim.count_word(tag, name) for name in others)
    )[:MAX_TAGS]


def _without_hidden(text: str) -> str:
    """The text less what is not seen and changes how it is read: bidi marks, zero-width signs."""
    return "".join(one for one in text if unicodedata.category(one) != "Cf")


def as_data(text: str) -> str:
    """A name or fact as one line that holds no mark of the prompt's own fields or pictures."""
    one_line = "".join(" " if unicodedata.category(c) == "Cc" else c for c in _without_hidden(text))
    return re.sub(r"\[\[\s*##|##\s*\]\]|<(?=<)", "", one_line).strip()
