"""Second opinions on doubtful faces and figures, by a served model that compares pictures.

A figure whose name is in doubt is shown beside the references of the characters that it may be,
twice, in two orders. Only answers that agree count, as evidence beside the embedding's; what a
person says is replayed afterwards and stands above both.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from bunny.caption import identity, question
from bunny.caption.answer import AnswerStore, CaptionAnswer, CaptionQuestion, question_key
from bunny.caption.cost import Budget
from bunny.caption.fallback import FallbackChain, ProviderEntry
from bunny.caption.provider import ServedModel
from bunny.character import match, track
from bunny.character.reference import read_known_picture
from bunny.core import file_hash, image_file, safe_path
from bunny.core.vector import l2_normalize
from bunny.review import asset_table
from bunny.table import store
from bunny.table.box import BOX

SURE = 0.95  # chance from which a name, or its absence, is in no doubt
PERHAPS = 0.3  # chance of the likeliest character of a drawn figure that was given no name
CROP_MARGIN = 0.25  # of the longer side of the box, on each side
# An answer given twice is as good as a witness who is right nine times in ten: odds times nine.
WITNESS_LOG_ODDS = math.log(9)
NOBODY = "none"


@dataclass(frozen=True, kw_only=True)
class DoubtfulFigure:
    """A face or drawn figure, followed through its shot, whose name is in doubt."""

    asset_id: str
    subject_id: str  # the view that shows it best
    frame_id: str
    box: tuple[float, float, float, float]  # in pixels of the stored picture
    candidate: str  # the likeliest character
    chance: float  # that it is the candidate, in (0, 1)
    margin: float | None  # to the second best; None: there is no other
    choices: tuple[str, ...]  # characters whose references are shown, the likeliest first


def find_doubtful(
    tables: Mapping[str, pl.DataFrame],
    machine: pl.DataFrame,
    *,
    max_margin: float,
    num_candidates: int,
) -> list[DoubtfulFigure]:
    """Figures whose name is in doubt, by asset_id; no picture is opened.

    Parameters
    ----------
    tables : mapping
        Those of stage review, `label` with the views of missed figures.
    machine : pl.DataFrame
        Table `asset` before corrections.
    max_margin : float
        Doubtful is a figure whose two likeliest characters lie nearer than this, or that has but
        one, and whose name is neither nearly sure nor nearly excluded.
    num_candidates : int
        Most characters to choose among.
    """
    figures = machine.filter(pl.col("level") == "character", pl.col("frame_id").is_not_null())
    measured = _measures(tables).join(
        figures.select("asset_id", "subject_id", "frame_id", "perhaps", *BOX), on="asset_id"
    )
    similarity = _face_similarity(tables)
    others = _drawn_characters(tables)
    found = []
    for row in measured.sort("asset_id").iter_rows(named=True):
        margin, chance = row["margin"], row["chance"]
        likely = similarity.get(row["asset_id"])  # None: no face, so by appearance
        best = row["character"] or (likely[0] if likely else row["perhaps"])
        if best is None or (margin is not None and margin >= max_margin):
            continue
        if not 1 - SURE <= chance <= SURE:
            continue
        order = others if likely is None else likely
        choices = [best, *(name for name in order if name != best)][:num_candidates]
        found.append(
            DoubtfulFigure(
                asset_id=row["asset_id"],
                subject_id=row["subject_id"],
                frame_id=row["frame_id"],
                box=tuple(row[side] for side in BOX),
                candidate=best,
                chance=chance,
                margin=margin,
                choices=tuple(choices),
            )
        )
    return found


def _measures(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Each figure's character, mean margin and chance of its candidate, by asset_id."""
    subject = asset_table.subjects_of(tables)
    margins = pl.concat(
        tables[name].select(pl.col(key).alias("subject_id"), own_margin=pl.col("margin"))
        for name, key in (("region", "region_id"), ("figure", "figure_id"))
    )
    row = tables["label"].join(subject, on="subject_id").join(margins, on="subject_id", how="left")
    is_missed = pl.col("character").is_null() & (pl.col("subject_type") == "region")
    chance = (
        pl.when(is_missed)
        .then(PERHAPS)
        .when(pl.col("character").is_null())
        .then(1 - pl.col("confidence"))
        .otherwise("confidence")
    )
    return (
        row.with_columns(chance=chance, margin=pl.coalesce("margin", "own_margin"))
        .sort("asset_id", "subject_id")
        .group_by("asset_id", maintain_order=True)
        .agg(
            pl.col("character").drop_nulls().first(),
            pl.col("margin").mean(),
            pl.col("chance").mean(),
        )
    )


def _face_similarity(tables: Mapping[str, pl.DataFrame]) -> dict[str, list[str]]:
    """Characters in the order of their likeness to each face track, by asset_id."""
    usable = tables["reference"].filter(
        pl.col("error").is_null(), pl.col("face_embedding").is_not_null()
    )
    face = tables["face"].filter(pl.col("error").is_null(), pl.col("embedding").is_not_null())
    if usable.is_empty() or face.is_empty():
        return {}
    reference = {
        str(own["character"][0]): np.array(own["face_embedding"].to_list(), np.float32)
        for own in usable.sort("reference_id").partition_by("character", maintain_order=True)
    }
    ids, mean = [], []
    for own in face.with_columns(asset_id=pl.coalesce("track_id", "face_id")).partition_by(
        "asset_id", maintain_order=True
    ):
        ids.append(own["asset_id"][0])
        mean.append(track.embedding_array(own).mean(axis=0))
    portrait = l2_normalize(np.array(mean, np.float32))
    names, similarity = match.compare(portrait, reference, face["recogniser"][0])
    order = np.argsort(-similarity, axis=1, kind="stable")
    return {one: [names[i] for i in row] for one, row in zip(ids, order, strict=True)}


def _drawn_characters(tables: Mapping[str, pl.DataFrame]) -> list[str]:
    """Characters that are looked for by appearance, by name."""
    known = tables["reference"].filter(pl.col("error").is_null(), pl.col("route") == "region")
    return sorted(known["character"].unique())


@dataclass(frozen=True, kw_only=True)
class StripMaker:
    """Questions about figures: numbers 2i and 2i + 1 show figure i, its choices in two orders."""

    folder: Path  # the film's
    figures: Sequence[DoubtfulFigure]
    file: Mapping[str, str]  # stored picture of each frame_id, relative to `folder`
    reference: Mapping[str, Path]  # path of the picture that stands for each character

    def order(self, number: int) -> tuple[str, ...]:
        """Characters in the order of their tiles in a question."""
        figure = self.figures[number // 2]
        mixed = sorted(figure.choices, key=lambda name: _hash(figure.asset_id, name))
        return tuple(mixed[::-1] if number % 2 else mixed)

    def make(self, number: int) -> CaptionQuestion:
        """The question; raises `ValueError`, `OSError` or `UserError` if a picture is missing."""
        figure, order = self.figures[number // 2], self.order(number)
        picture = image_file.read(safe_path.join(self.folder, self.file[figure.frame_id]))
        if picture is None:
            raise ValueError(f"{self.file[figure.frame_id]}: could not decode this picture")
        crop = _crop(picture, figure.box)
        if len(order) == 1 and number % 2:
            crop = crop[:, ::-1]  # one character has no second order
        strip = identity.draw_strip(crop, [read_known_picture(self.reference[n]) for n in order])
        return CaptionQuestion(
            frame_id=figure.frame_id,
            picture=question.encode_picture(strip, identity.MAX_SIDE_PX),
            facts=order,
            names=(),
        )

    def key(self, number: int, depends: Sequence[object]) -> int:
        """Number made of all that the answer depends on."""
        figure, order = self.figures[number // 2], self.order(number)
        shown = [
            file_hash.hash_file(safe_path.join(self.folder, self.file[figure.frame_id])),
            *figure.box,
        ]
        known = [file_hash.hash_file(self.reference[name]) for name in order]
        return question_key([*depends, *shown, known, number % 2])


def ask(
    maker: StripMaker,
    model: ServedModel,
    kept: Path,
    note: Callable[[str], None] = lambda sentence: None,
) -> pl.DataFrame:
    """Ask a model who the figures are; what it answered before is not asked again.

    Parameters
    ----------
    kept : Path
        Folder of the answers.
    note : callable
        Told what goes where, before the first request.

    Returns
    -------
    pl.DataFrame
        Table `identification`.

    Raises
    ------
    UserError
        If the model cannot be asked, or pictures may not leave this machine.
    """
    own, figures = model.captioning, maker.figures
    depends = (model.provider, model.name, own.temperature, identity.prompt_hash())
    answers = AnswerStore(kept)

    def row(number: int) -> dict[str, object]:
        return {"frame_id": figures[number // 2].frame_id, "characters": maker.order(number)}

    entry = ProviderEntry(
        name=model.provider,
        load=lambda: identity.IdentityProvider(model, Budget(own.max_cost_usd)),
        num_in_flight=own.batch_size,
        kept=lambda number: answers.get(maker.key(number, depends)),
        keep=lambda number, said: answers.put(maker.key(number, depends), said, row(number)),
    )
    numbers = range(2 * len(figures))
    if todo := sum(entry.kept(number) is None for number in numbers):
        note(_upload_sentence(todo, model))
    said: dict[int, CaptionAnswer] = {
        state.index: state.answer for state in FallbackChain([entry], maker.make).ask(numbers)
    }
    rows = [_row(i, maker, said, model) for i in range(len(figures))]
    return store.from_rows("identification", rows)


def _upload_sentence(num_pictures: int, model: ServedModel) -> str:
    """What is sent where; refused where it leaves this machine and may not."""
    what = (
        f"{num_pictures} crops of doubtful figures beside references go to {model.provider} "
        f"at {model.host}"
    )
    model.check_upload(what, ", or identification.provider=none")
    return what


def _row(
    place: int, maker: StripMaker, said: Mapping[int, CaptionAnswer], model: ServedModel
) -> dict[str, object]:
    """Row of table `identification`."""
    figure = maker.figures[place]
    pair = [said[2 * place], said[2 * place + 1]]
    names = [_chosen(one, maker.order(2 * place + i)) for i, one in enumerate(pair)]
    wrong = [one.error for one in pair if one.status != "done"]
    paid = {
        column: sum(getattr(one, column) or 0 for one in pair)
        if any(getattr(one, column) is not None for one in pair)
        else None
        for column in ("input_tokens", "output_tokens", "cost_usd")
    }
    return {
        "asset_id": figure.asset_id,
        "subject_id": figure.subject_id,
        "frame_id": figure.frame_id,
        "candidate": figure.candidate,
        "chance": figure.chance,
        "margin": figure.margin,
        "choices": list(figure.choices),
        "first_answer": names[0],
        "second_answer": names[1],
        "answer": names[0] if names[0] == names[1] else None,
        "provider": model.provider,
        "model": model.name,
        "error": wrong[0] if wrong else None,
        **paid,
    }


def _chosen(answer: CaptionAnswer, order: Sequence[str]) -> str | None:
    """The character that an answer names, "none", or None where there is no answer."""
    if answer.status != "done":
        return None
    number = int(answer.text or 0)
    return NOBODY if number == identity.NOBODY else order[number - 1]


def apply_evidence(
    label: pl.DataFrame, subject: pl.DataFrame, evidence: pl.DataFrame, weight: float
) -> pl.DataFrame:
    """Table `label` after the model's agreeing answers were heard.

    Parameters
    ----------
    subject : pl.DataFrame
        From `asset_table.subjects_of`.
    evidence : pl.DataFrame
        Table `identification`.
    weight : float
        0 changes nothing; at 1 an answer multiplies the odds of the candidate by nine, or divides
        them where it is another character or nobody.

    Notes
    -----
    A candidate is the name from odds of 1 to 1 on, unless another figure of one of the frames bears
    it already. A character that only the model named is never given.
    """
    heard = evidence.filter(pl.col("answer").is_not_null(), weight > 0)
    if heard.is_empty():
        return label
    says_so = pl.col("answer") == pl.col("candidate")
    shift = weight * WITNESS_LOG_ODDS * pl.when(says_so).then(1.0).otherwise(-1.0)
    odds = (pl.col("chance") / (1 - pl.col("chance"))).log() + shift
    after = heard.select("asset_id", "candidate", after=1 / (1 + (-odds).exp()))
    known = label.join(subject, on="subject_id", how="left", maintain_order="left").join(
        after, on="asset_id", how="left", maintain_order="left"
    )
    known = known.join(_is_taken(known), on="asset_id", how="left", maintain_order="left")
    is_heard = pl.col("after").is_not_null() & (
        pl.col("character").is_null() | (pl.col("character") == pl.col("candidate"))
    )
    is_named = (pl.col("after") >= 0.5) & ~pl.col("is_taken").fill_null(False)
    is_new = is_heard & is_named & pl.col("character").is_null()
    sure = pl.when(is_named).then("after").otherwise(1 - pl.col("after"))
    return store.check(
        "label",
        known.with_columns(
            pl.when(~is_heard)
            .then("character")
            .when(is_named)
            .then("candidate")
            .otherwise(None)
            .alias("character"),
            pl.when(is_heard).then(sure.clip(0, 1)).otherwise("confidence").alias("confidence"),
            pl.when(is_new)
            .then(pl.lit("model"))
            .otherwise(pl.col("source").cast(pl.String))
            .alias("source"),
        ).select(label.columns),
    )


def _is_taken(known: pl.DataFrame) -> pl.DataFrame:
    """Whether a figure's candidate is the name of another one in one of its frames."""
    named = known.drop_nulls("character").select("frame_id", "character", bearer="asset_id")
    beside = known.drop_nulls("after").join(
        named, left_on=["frame_id", "candidate"], right_on=["frame_id", "character"]
    )
    other = beside.filter(pl.col("bearer").ne_missing(pl.col("asset_id")))
    return other.select("asset_id", is_taken=pl.lit(True)).unique()


def summarise(evidence: pl.DataFrame) -> str:
    """One line on what was asked and how far model and embedding agree; empty without questions."""
    if evidence.is_empty():
        return ""
    heard = evidence.drop_nulls("answer")
    agree = heard.filter(pl.col("answer") == pl.col("candidate")).height
    nobody = heard.filter(pl.col("answer") == NOBODY).height
    silent = evidence.height - heard.height
    words = (
        f"{evidence.height} doubtful figures shown to {evidence['provider'][0]}: agrees with the "
        f"embedding on {agree}, nobody of the references {nobody}, "
        f"somebody else {heard.height - agree - nobody}"
    )
    return words + (f", no answer that counts on {silent}" if silent else "")


def _crop(picture: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The part of a picture around a box."""
    height, width = picture.shape[:2]
    margin = CROP_MARGIN * max(box[2] - box[0], box[3] - box[1])
    x0, y0 = max(0, int(box[0] - margin)), max(0, int(box[1] - margin))
    x1 = min(width, max(x0 + 1, math.ceil(box[2] + margin)))
    y1 = min(height, max(y0 + 1, math.ceil(box[3] + margin)))
    return picture[y0:y1, x0:x1]


def _hash(*words: str) -> str:
    return hashlib.sha256("/".join(words).encode()).hexdigest()
