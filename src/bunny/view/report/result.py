"""First screen of a film's report: the set, base beside adapter, the verdict, what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from bunny.core import safe_path
from bunny.core.config.run import ProjectConfig
from bunny.core.workspace import SERIES
from bunny.dataset import coverage, gap
from bunny.view import style, tile
from bunny.view.plot import dataset_coverage
from bunny.view.report import coverage_text, evaluation, film
from bunny.view.report.section import ReportData, ReportGroup, ReportTable, group

MAX_CHARACTERS = 6  # rows of the table
MAX_SET, MAX_DRAWN = 16, 4  # pictures of the set; pairs of base and adapter
MAX_MISSING, MAX_REASONS, MAX_ADVICE = 3, 2, 3
MEND = {  # kind of a finding: what to do about it
    "not learned": "Train longer (models.training_steps), raise models.lora_rank, or add pictures.",
    "unsure": "Draw more pictures to be sure whether it learned: raise evaluation.seeds.",
    "partly": "Train longer (models.training_steps) or add more varied pictures.",
    "cannot judge": "Look at the generated pictures: the recogniser cannot be trusted here.",
    "copies": "It copies training pictures: train for fewer steps, or lower models.lora_rank.",
    "stop": "It was trained for too long: lower models.training_steps.",
    "nobody": "Many show no face: prompt for closer views, or lower generation.lora_strength.",
    "class word": "The class word changed its meaning: set models.class_pictures to film.",
    "drift": "Other pictures changed too: set models.class_pictures to film.",
    "listens less": "Prompts are followed less closely: lower generation.lora_strength.",
    "sameness": "Pictures of one prompt look alike: train for fewer steps.",
    "bleeds": "Other characters look like it: train with models.class_pictures.",
    "others": "Other characters look like it: train with models.class_pictures.",
}


@dataclass(frozen=True, kw_only=True)
class ReportResult:
    """Result of a film: `groups` are the set, and where there is an adapter its pictures."""

    verdict: str
    tone: str  # good, bad or plain
    sets: ReportTable
    groups: Sequence[ReportGroup]
    drawn: Sequence[ReportGroup]
    advice: Sequence[str]  # a command stands between backticks


def result(data: ReportData) -> ReportResult:
    """Sum up a film's tables for the first screen."""
    text, tone = _verdict(data)
    return ReportResult(
        verdict=text,
        tone=tone,
        sets=_sets(data),
        groups=_pictures(data),
        drawn=_drawn(data),
        advice=_advice(data)[:MAX_ADVICE],
    )


def facts(data: ReportData) -> str:
    """Length, shots, frames and characters of the film in one line."""
    row, quality, label = (data.table(name) for name in ("film", "quality", "label"))
    parts = []
    if row.height:
        seconds, width, height = row.select("duration_s", "width_px", "height_px").row(0)
        parts.append(f"{style.clock(seconds)} min of film at {width} × {height} px")
    if (num_shots := data.table("shot").height) > 0:
        parts.append(style.plural(num_shots, "shot"))
    if (num_frames := data.table("frame").height) > 0:
        kept = quality.filter("is_kept").height if quality.height else num_frames
        parts.append(f"{kept:,} of {style.plural(num_frames, 'frame')} kept")
    if label.height:
        num_named = label["character"].drop_nulls().n_unique()
        parts.append(f"{style.plural(num_named, 'character')} recognised")
    return " · ".join(parts)


def _verdict(data: ReportData) -> tuple[str, str]:
    """The outcome in a sentence, and its tone."""
    if failed := _failed(data):
        why = (failed.get("error") or "no reason given").removesuffix(".")
        return f"Stage {failed['name']} failed: {why}.", "bad"
    runs, shown = data.table("training_run"), coverage.pictures(data.table("dataset"))
    found = evaluation.findings(data) if data.table("evaluation").height else {}
    if found:
        said = [f"{part[0].text.partition('. ')[0].rstrip('.')}." for part in found.values()]
        tones = {part[0].tone for part in found.values()}
        return " ".join(said), tones.pop() if len(tones) == 1 else "plain"
    who = _names(shown["character"].unique().sort().to_list())
    if done := runs.filter(pl.col("adapter_file").is_not_null())["character"].to_list():
        return f"An adapter for {_names(done)} is trained; it has not been evaluated yet.", "plain"
    if shown.height:
        one = shown["character"].n_unique() == 1
        head = f"The training set of {who} is" if one else f"The training sets of {who} are"
        return f"{head} ready: {_count_words(shown)}.", "good"
    if not data.record("extract"):
        return "No stage has run for this film yet.", "plain"
    if not data.record("dataset"):
        return "The run has not reached the training set yet.", "plain"
    if data.table("reference").is_empty():
        return "No reference pictures were given, so nobody has a name and no set was made.", "bad"
    if data.table("label")["character"].drop_nulls().is_empty():
        names = _names(sorted(set(data.table("reference")["character"].to_list())))
        return f"Nobody in the film was recognised as {names}, so there is no training set.", "bad"
    return "No picture in the film is good enough for a training set.", "bad"


def _sets(data: ReportData) -> ReportTable:
    """Each character that has pictures or was asked for: pictures, size, shots and what lacks."""
    shown, label = coverage.pictures(data.table("dataset")), data.table("label")
    gaps = gap.find_gaps(data.table("candidate"), data.table("dataset"))
    asked = {*shown["character"].to_list(), *data.table("reference")["character"].to_list()}
    own = {name: shown.filter(pl.col("character") == name) for name in asked}
    order = sorted((name for name in asked if own[name].height), key=lambda n: -own[n].height)
    rows = [
        _set_row(name, own[name], gaps.filter(pl.col("character") == name))
        for name in order[:MAX_CHARACTERS]
    ]
    if len(order) > MAX_CHARACTERS:
        rows.append((f"and {len(order) - MAX_CHARACTERS} more", "", "", "", ""))
    without: dict[str, list[str]] = {}
    for name in sorted(asked - set(order)):
        is_seen = name in label["character"]
        without.setdefault(_why_none(data, name, is_seen=is_seen), []).append(name)
    rows += [(", ".join(names), "0", "", "", why) for why, names in without.items()]
    head = ("character", "pictures", "size", "from shots", "coverage")
    return ReportTable(head=head, rows=rows, numeric=(1, 2, 3))


def _set_row(name: str, own: pl.DataFrame, gaps: pl.DataFrame) -> tuple[str, ...]:
    one = coverage.summarise(own)
    words = coverage_text.empty_cells(one)
    missing = gaps.filter(pl.col("num_pictures") == 0).unique(
        ["axis", "value"], keep="first", maintain_order=True
    )
    lacks = [coverage_text.many(row["axis"], row["value"]) for row in missing.to_dicts()]
    if lacks:
        words += f"; no {', '.join(lacks[:MAX_MISSING])}"
    return (name, str(one.num_pictures), _size(own), str(one.num_shots), words)


def _why_none(data: ReportData, name: str, *, is_seen: bool) -> str:
    """Why a character has no picture in the set."""
    if not is_seen:
        return "not recognised in the film"
    views = data.table("candidate").filter(pl.col("character") == name)
    if views.is_empty():
        return "recognised, but not asked for (models.characters)"
    counts = Counter(dict(dataset_coverage.count_reasons(views).select("why", "views").iter_rows()))
    reasons = ", ".join(f"{number} {why}" for why, number in counts.most_common(MAX_REASONS))
    return f"{style.plural(views.height, 'view')}, none good enough: {reasons}"


def _size(own: pl.DataFrame) -> str:
    """Shorter sides of pictures."""
    side = own.select(pl.min_horizontal("width_px", "height_px")).to_series()
    low, high = side.min(), side.max()
    return f"{low} px" if low == high else f"{low} to {high} px"


def _count_words(shown: pl.DataFrame) -> str:
    """Number, size and shots of pictures.

    Examples
    --------
    "87 pictures at 1024 px from 13 shots".
    """
    shots = style.plural(shown["shot_index"].n_unique(), "shot")
    return f"{style.plural(shown.height, 'picture')} at {_size(shown)} from {shots}"


def _pictures(data: ReportData) -> list[ReportGroup]:
    """Pictures of the set; where there is none, whom the film shows."""
    shown = coverage.pictures(data.table("dataset"))
    if shown.height:
        parts = sorted(shown.partition_by("character"), key=lambda part: -part.height)[:2]
        limit = MAX_SET // len(parts) // (2 if data.table("picture").height else 1)
        return [
            group(
                _bare(tile.dataset(data.root, part, limit)),
                f"The set of {part['character'][0]}",
                "grey edge: held out",
                "square",
            )
            for part in parts
        ]
    cluster = data.table("cluster").drop_nulls("cluster_id")
    tables = cluster, data.table("face"), data.table("frame"), 1, data.table("figure")
    rows = tile.unknown_people(data.root, *tables) if cluster.height else {}
    people = [
        tile.Tile(file=one.file, box=one.box, title=name, tone="plain")
        for name, (one, *_) in list(rows.items())[: MAX_SET // 2]
        if name != tile.NOBODY
    ]
    if people:
        return [group(people, "Who is in the film", "", "square")]
    frame, quality = data.table("frame"), data.table("quality")
    tiles = tile.kept(data.root, frame, quality, MAX_SET // 2) if quality.height else []
    return [group(_bare(tiles), "Frames of the film")] if tiles else []


def _drawn(data: ReportData) -> list[ReportGroup]:
    """The first pictures of the base model and of the adapter, of the same prompts and seeds."""
    picture = data.table("picture").filter(pl.col("error").is_null())
    key = ["prompt", "seed"]
    base = picture.filter(pl.col("adapter_file").is_null()).unique(key, keep="first")
    ours = picture.drop_nulls("adapter_file").sort("step", "strength", nulls_last=False)
    both = base.join(ours.unique(key, keep="last"), on=key, suffix="_ours")
    first = both.sort("seed", "picture_id").head(MAX_DRAWN).to_dicts()
    if not first:
        return []
    return [
        group(
            [tile.Tile(file=safe_path.join(data.root, row["file"]), tone="plain") for row in first],
            "The base model alone",
            kind="square",
        ),
        group(
            [
                tile.Tile(
                    file=safe_path.join(data.root, row["file_ours"]),
                    note=row["prompt"],
                    tone="good",
                )
                for row in first
            ],
            "With the adapter",
            "same prompts and seeds",
            kind="square",
        ),
    ]


def _bare(tiles: Sequence[tile.Tile]) -> list[tile.Tile]:
    """Tiles without words."""
    return [tile.Tile(file=one.file, box=one.box, tone=one.tone) for one in tiles]


def _advice(data: ReportData) -> list[str]:
    """Next steps, the most useful first."""
    if _failed(data):
        return [f"Fix the cause, then continue at that stage with {_command(data, 'run')}."]
    shown = coverage.pictures(data.table("dataset"))
    found = evaluation.findings(data) if data.table("evaluation").height else {}
    if shown.is_empty():
        return _advice_without_set(data)
    kinds = dict.fromkeys(one.kind for part in found.values() for one in part)
    advice = [MEND[kind] for kind in kinds if kind in MEND][:1]
    if (data.root / SERIES).is_file():
        return [*advice, f"Draw more: {_command(data, 'generate')}."]
    look = f"Look through the set and correct wrong names: {_command(data, 'review')}."
    fill = f"See which shots of the film would fill its gaps: {_command(data, 'gaps')}."
    if data.table("training_run").is_empty():
        base = _command(data, "run", "--set models.base_model=BASE")
        export = _command(data, "export kohya")
        return [look, fill, f"Train here with {base}, or export the set: {export}."]
    if "toy" in data.table("training_run")["base_model"].to_list():
        base = _command(data, "run", "--set models.base_model=BASE")
        advice.append(f"The toy base only shows that the pipeline works; train on another: {base}.")
    draw = _command(data, "generate", '--prompt "{trigger} on a beach"')
    adapter = _command(data, "export adapter")
    return [*advice, f"Draw more: {draw}; use the adapter elsewhere: {adapter}.", fill, look]


def _advice_without_set(data: ReportData) -> list[str]:
    if not data.record("dataset"):
        return [f"Run the stages: {_command(data, 'run')}."]
    named = data.table("label")["character"].drop_nulls()
    if len(named):
        return [f"See what was left out and which setting would add it: {_command(data, 'gaps')}."]
    name = _command(data, "characters", "--name person-01=NAME")
    advice = [f"Name somebody from the pictures above: {name}, then run the film again."]
    if data.table("reference").is_empty():
        return [*advice, f"Or give pictures: {_command(data, 'run', '--references FOLDER')}."]
    check = "`bunny references FOLDER`"
    return [*advice, f"Or give other reference pictures: {check} shows what would help."]


def _command(data: ReportData, words: str, options: str = "") -> str:
    """A command on this film, between backticks."""
    place = "" if data.config.project.data_dir == ProjectConfig().data_dir else " --data-dir {}"
    more = f" {options}" if options else ""
    return f"`bunny {words} {data.film_id}{place.format(data.root.parents[1])}{more}`"


def _failed(data: ReportData) -> dict | None:
    """The record of the stage that failed, if one did."""
    records = (data.record(name) for name in film.STAGES)
    return next((one for one in records if one.get("status") == "failed"), None)


def _names(names: Sequence[str]) -> str:
    """Names in a sentence.

    Examples
    --------
    >>> _names(["anna", "ben", "pip"])
    'anna, ben and pip'
    """
    *first, last = names or ["nobody"]
    return f"{', '.join(first)} and {last}" if first else last
