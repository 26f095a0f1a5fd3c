"""Pruning of captions: what always goes with a character is left to its trigger word.

A core tag is one that more than a share of a character's pictures have. Said in every caption, the
model would need it to draw the character; left out, it is learned along with the trigger word.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bunny.caption import style

MIN_PICTURES = 3  # of a character; in fewer everything goes with it
ARTICLE = r"(?:(?:an?|the|some|his|her|its|their)\s+)"
COUNT = re.compile(r"solo|nobody|crowd|\d+ figures")  # of all who are seen
COLOURED_PLACE = re.compile(r"in an? (?P<colours>[\w ]+) place")


@dataclass(frozen=True, kw_only=True)
class CoreTags:
    """Words by how many of a character's pictures have them."""

    # Of each character: word and share of its pictures in [0, 1], the most frequent first.
    share: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    # Of each character: words that captions of its pictures do not say.
    dropped: Mapping[str, frozenset[str]] = field(default_factory=dict)
    always: frozenset[str] = frozenset()  # words that no caption says

    def of(self, characters: Iterable[str]) -> frozenset[str]:
        """Words that a caption of these characters does not say."""
        return self.always.union(*(self.dropped.get(name, frozenset()) for name in characters))


def said_words(tags: Collection[str], parts: Mapping[str, str]) -> set[str]:
    """Words that a picture's caption may say beside who is seen: its tags, and its parts bare."""
    bare = {
        style.bare(text)
        for name, text in parts.items()
        if name != "subject" and not COLOURED_PLACE.fullmatch(text)
    }
    return {tag.lower() for tag in tags if not COUNT.fullmatch(tag)} | bare


def find_core_tags(
    pictures: Sequence[tuple[Sequence[str], Collection[str]]],
    max_share: float,
    *,
    keep: Collection[str] = (),
    prune: Collection[str] = (),
) -> CoreTags:
    """Core tags of each character.

    Parameters
    ----------
    pictures : sequence of (characters, words)
        Words from `said_words`.
    max_share : float
        In [0, 1]; what more than this share of a character's pictures have is dropped; 1: nothing.
    keep, prune : collection of str
        Words that are never, and always, dropped; in any case of letters.
    """
    number: Counter[str] = Counter()
    count: dict[str, Counter[str]] = defaultdict(Counter)
    for characters, words in pictures:
        for name in dict.fromkeys(characters):
            number[name] += 1
            count[name].update(set(words))
    kept, always = ({word.lower() for word in given} for given in (keep, prune))
    share = {
        name: {
            word: times / number[name]
            for word, times in sorted(count[name].items(), key=lambda item: (-item[1], item[0]))
        }
        for name in sorted(number)
    }
    dropped = {
        name: frozenset(w for w, part in own.items() if part > max_share and w not in kept)
        for name, own in share.items()
        if number[name] >= MIN_PICTURES
    }
    return CoreTags(share=share, dropped=dropped, always=frozenset(always - kept))


def prune_parts(parts: Mapping[str, str], dropped: Collection[str]) -> dict[str, str]:
    """The parts without dropped words; a part that says nothing else goes as a whole.

    Examples
    --------
    >>> parts = {"clothes": "wearing a red coat and a hat", "light": "day"}
    >>> prune_parts(parts, ["red coat", "day"])
    {'clothes': 'wearing a hat'}
    """
    found = {}
    for name, text in parts.items():
        if name != "subject" and style.bare(text) in dropped:
            continue
        left = _without_colours(text, dropped)
        left = left if name == "subject" else prune_text(left, dropped)
        if left and (name == "subject" or style.bare(left)):
            found[name] = left
    return found


def prune_text(text: str, dropped: Collection[str]) -> str:
    """A sentence without dropped words, and without the words that led to them.

    Examples
    --------
    >>> prune_text("Anna in a red coat runs over grass, day.", {"red coat", "day"})
    'Anna runs over grass.'
    """
    for phrase in sorted(dropped, key=len, reverse=True):
        word = rf"{re.escape(phrase)}(?![\w-])"
        for pattern, left in (
            (rf"(?<![\w-]){ARTICLE}?{word}\s+and\s+(?={ARTICLE})", ""),
            (rf"(?:,|\s+and)\s+(?:(?:at|in|on|with)\s+)?{ARTICLE}?{word}", ""),
            (rf"(?:^|\s+)(?:wearing|dressed in|in|with|on|at|under)\s+{ARTICLE}?{word}", ""),
            (rf"(?<![\w-]){ARTICLE}?{word}", ""),
        ):
            text = re.sub(pattern, left, text, flags=re.IGNORECASE)
    clauses = (" ".join(clause.split()) for clause in text.split(","))
    return re.sub(r"\s+([.!?])", r"\1", ", ".join(clause for clause in clauses if clause))


def _without_colours(text: str, dropped: Collection[str]) -> str:
    """A place named by the colours of its background, less those that are dropped."""
    found = COLOURED_PLACE.fullmatch(text)
    if not found:
        return text
    colours = found["colours"].split(" and ")
    return coloured_place([c for c in colours if f"{c} background" not in dropped])


def coloured_place(colours: Sequence[str]) -> str:
    """A place by the colours of its background.

    Examples
    --------
    >>> coloured_place(["orange", "blue"]), coloured_place([])
    ('in an orange and blue place', '')
    """
    if not colours:
        return ""
    said = " and ".join(colours)
    return f"in {'an' if said[0] in 'aeiou' else 'a'} {said} place"
