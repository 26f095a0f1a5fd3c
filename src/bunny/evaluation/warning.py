"""What is wrong with an adapter and what to change, each warning from a few figures.

A warning names the figure, the base's beside it where there is one, and the setting to change.
"""

from __future__ import annotations

from bunny.evaluation.summary import About, Figures, Finding, percent, plain

COPIES = 0.1  # share of copies
LEAKS = 0.25  # share above the base's of class prompts' or others' drawings that show the character
NOBODY = 0.25  # share of drawings without anybody, above the base's
BLEEDS = 0.25
DRIFTS = 1.0  # as far as another seed
UNIFORM = 0.5  # diversity relative to the base's
DISAGREES = 0.1  # agreement lost
UNSURE = 0.7  # of real pictures recognised; below it the recogniser cannot be trusted
MIN_REAL = 5  # real pictures behind identity, below which it is shaky


def warn_of_trust(figures: Figures, about: About) -> list[Finding]:
    """Whether the recogniser tells the film's own pictures apart."""
    found = [
        plain(
            "unsure recogniser",
            f"The recogniser itself knows only {percent(share)} of {number} real pictures of "
            f"{who}: figures about {who} are that unsure.",
        )
        for who, share, number in figures.real()
        if share < UNSURE
    ]
    real = figures.row("likeness of real pictures", "real", 0)
    if real and real["n"] < MIN_REAL:
        few = f"Identity rests on {real['n']} held-out picture{'s' * (real['n'] != 1)}"
        found.append(plain("few real", f"{few}: raise models.held_out_share to be surer."))
    if figures.value("is across shots", "real", 0) == 0:
        found.append(
            plain(
                "one shot",
                "All held-out pictures are of one shot, so what counts as 1 is nearly the same "
                "picture again, and drawings score lower than they deserve.",
            )
        )
    return found


def warn_of_stopping(figures: Figures, about: About) -> list[Finding]:
    """Whether training went on for too long."""
    if not about.steps or figures.chosen == max(about.steps):
        return []
    last = max(about.steps)
    best, end = (figures.row("score", "choose", step) for step in (figures.chosen, last))
    if best is None or end is None:
        return []
    over = figures.row("score over last", "choose")
    is_sure = bool(over) and over["low"] is not None and over["low"] > 0
    text = (
        f"Stop at step {figures.chosen}: it scored {best['value']:.2f} on the prompts for "
        f"choosing, step {last} {end['value']:.2f}"
    )
    if is_sure:
        text += f". Set models.training_steps to about {figures.chosen}, or lower the rank."
        return [Finding(kind="stop", tone="bad", text=text)]
    text += "; so few pictures do not show that the later ones are worse."
    return [plain("stop", text)]


def warn_of_nobody(figures: Figures, about: About) -> list[Finding]:
    """Whether drawings show anybody."""
    share, base = figures.value("nobody"), figures.value("nobody", step=0) or 0.0
    if share is None or share < NOBODY:
        return []
    text = f"Nobody is found in {percent(share)} of the drawings ({percent(base)} of the base's): "
    if base >= NOBODY:
        text += "the base does not draw anybody for these prompts either; ask for nearer views."
    else:
        text += (
            "the adapter breaks what the base drew; lower generation.lora_strength, "
            "models.learning_rate or the number of steps."
        )
    return [Finding(kind="nobody", tone="bad", text=text)]


def warn_of_copying(figures: Figures, about: About) -> list[Finding]:
    """Whether drawings are training pictures again."""
    share = figures.value("copied")
    if share is None or share < COPIES:
        return []
    text = (
        f"It copies: {percent(share)} of the drawings are nearly a training picture. Take fewer "
        f"steps, lower the rank{_rank(about)}, or give it more pictures that differ."
    )
    return [Finding(kind="copies", tone="bad", text=text)]


def warn_of_class_word(figures: Figures, about: About) -> list[Finding]:
    """Whether the class word still means what it meant."""
    leak, base = figures.value("leak", "class"), figures.value("leak", "class", 0) or 0.0
    if leak is not None and leak - base >= LEAKS:
        text = (
            f"It forgot the class word: “{about.class_word}” alone draws {about.character} in "
            f"{percent(leak)} (the base: {percent(base)}). Take fewer steps, or set "
            "models.class_pictures to film or drawn with a models.class_weight below 1: they hold "
            f"the class, but {about.character} is learned more slowly beside them."
        )
        return [Finding(kind="class word", tone="bad", text=text)]
    moved = figures.row("drift", "class")
    low = None if moved is None else moved["low"] if moved["low"] is not None else moved["value"]
    if low is None or low <= DRIFTS:
        return []
    text = (
        f"Drawings without {about.character} changed by {moved['value']:.1f} times as much as from "
        "one seed to another. Set models.class_pictures to film or drawn, or take fewer steps."
    )
    return [Finding(kind="drift", tone="bad", text=text)]


def warn_of_obedience(figures: Figures, about: About) -> list[Finding]:
    """Whether it still draws what is asked."""
    gain = figures.row("gain agreement")
    if gain is None or gain["value"] > -DISAGREES:
        return []
    if gain["high"] is not None and gain["high"] >= 0:
        return []
    now, base = figures.value("agreement"), figures.value("agreement", step=0)
    text = (
        f"It listens less: agreement with the prompts is {now:.2f}, the base's {base:.2f}. Lower "
        f"generation.lora_strength, take fewer steps, or lower the rank{_rank(about)}."
    )
    return [Finding(kind="listens less", tone="bad", text=text)]


def warn_of_sameness(figures: Figures, about: About) -> list[Finding]:
    """Whether seeds still differ."""
    now, base = figures.value("diversity"), figures.value("diversity", step=0)
    if now is None or not base or now >= UNIFORM * base:
        return []
    text = (
        f"Its drawings of one prompt are alike whatever the seed: {now / base:.1f} of the base's "
        "diversity. Take fewer steps, or pictures of more poses and places."
    )
    return [Finding(kind="sameness", tone="bad", text=text)]


def warn_of_company(figures: Figures, about: About) -> list[Finding]:
    """What becomes of other characters."""
    found = []
    share, base = figures.value("bleeding", "pair"), figures.value("bleeding", "pair", 0) or 0.0
    if share is not None and share - base >= BLEEDS:
        text = (
            f"It bleeds: asked for two, {percent(share)} of the drawings show two that look like "
            f"{about.character} (the base: {percent(base)}). Train with models.class_pictures, "
            "and on pictures in which others are seen beside it."
        )
        found.append(Finding(kind="bleeds", tone="bad", text=text))
    taken = [(who, more) for who, more in figures.leaks() if more >= LEAKS]
    if taken:
        names = ", ".join(f"{who} ({percent(more)} more than by the base)" for who, more in taken)
        text = f"Others turn into {about.character}: {names}. Train with models.class_pictures."
        found.append(Finding(kind="others", tone="bad", text=text))
    return found


def _rank(about: About) -> str:
    """The rank to try instead."""
    if about.rank is None or about.rank < 2:
        return ""
    return f" (models.lora_rank: {about.rank // 2} instead of {about.rank})"


WARNINGS = (
    warn_of_trust,
    warn_of_stopping,
    warn_of_nobody,
    warn_of_copying,
    warn_of_class_word,
    warn_of_obedience,
    warn_of_sameness,
    warn_of_company,
)
WARNINGS_UNLEARNED = (warn_of_trust, warn_of_nobody, warn_of_copying)  # before all else: learn it
