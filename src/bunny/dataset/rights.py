"""Rights record: source film, licence, consent and the models used.

It goes as ``rights.json`` into every exported set, as strings into an adapter's metadata and as
words into the dataset card. What nobody gave is said to be missing, never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import polars as pl

from bunny.character import model_file
from bunny.core.config import RightsConfig

FILE = "rights.json"
UNKNOWN = "not given"
# Columns of the tables that name a model.
MODEL_COLUMNS = {
    "face": ("detector", "recogniser"),
    "reference": ("recogniser",),
    "region": ("model",),
    "figure": ("model",),
    "embedding": ("model",),
}
# Licences that the Hugging Face hub names in a card's `license`; others are `other` with a name.
HUB_LICENCE = re.compile(
    r"mit|apache-2\.0|cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[1-4]\.[05]|unlicense|gpl-[23]\.0|"
    r"bsd-[23]-clause|creativeml-openrail-m|openrail(\+\+)?"
)


class FilmRights(TypedDict):
    """The source film in a rights record; what nobody gave is empty."""

    title: str
    file: str
    content_hash: str
    licence: str
    source: str


class JoinedFilm(FilmRights):
    """One of the films of a joint set."""

    consent: str


class UsedModel(TypedDict):
    """A model that had a part in a set; what is not known is empty."""

    name: str
    role: str
    licence: str
    source: str


class BaseModelRights(TypedDict):
    """The base model of an adapter."""

    name: str
    licence: str | None
    hash: str


class _Dated(TypedDict, total=False):
    """The day of an export, where it is known."""

    date: str


class RightsRecord(_Dated):
    """What is known of the rights of a set or an adapter, as ``rights.json`` has it."""

    film: FilmRights
    consent: str
    models: list[UsedModel]
    notes: list[str]
    base_model: NotRequired[BaseModelRights]
    films: NotRequired[list[JoinedFilm]]  # of a joint set, whose `film` is all of them
    approval: NotRequired[dict[str, str]]


def make_record(
    film_file: str,
    film_hash: str,
    given: RightsConfig,
    models: Sequence[UsedModel] = (),
    date: str = "",
) -> RightsRecord:
    """Put together what is known of a set's rights.

    Parameters
    ----------
    film_file : str
        Name of the film's file, without its folder.
    film_hash : str
        SHA-256 of its content.
    given : RightsConfig
        What the user knows.
    models : sequence of UsedModel
        See `used_models`.
    date : str
        ISO date of the export; empty leaves it out.

    Returns
    -------
    RightsRecord
        `notes` has one sentence for each thing that is missing.

    Examples
    --------
    >>> make_record("a.mp4", "00", RightsConfig(film_licence="CC0-1.0"))["notes"]
    ['consent of the people shown not given']
    """
    dated: _Dated = {"date": date} if date else {}
    known: RightsRecord = {
        "film": {
            "title": given.film_title.strip(),
            "file": film_file,
            "content_hash": film_hash,
            "licence": given.film_licence.strip(),
            "source": given.film_source.strip(),
        },
        "consent": given.consent.strip(),
        "models": list(models),
        **dated,
        "notes": [],
    }
    return {**known, "notes": _notes(known)}


def with_base(known: RightsRecord, base: BaseModelRights) -> RightsRecord:
    """A set's record with the base model of an adapter that is trained on the set.

    Parameters
    ----------
    known : RightsRecord
        From `make_record`.
    """
    joined: RightsRecord = {**known, "base_model": base}
    return {**joined, "notes": _notes(joined)}


def used_models(tables: Mapping[str, pl.DataFrame]) -> list[UsedModel]:
    """Models that the tables of a film name, with their licences.

    Parameters
    ----------
    tables : mapping
        Any of the tables of `MODEL_COLUMNS`, and `caption`; others are passed over.

    Returns
    -------
    list of UsedModel
        Sorted by name; what `model_file.MODELS` lacks has an empty licence.
    """
    names: set[str] = set()
    for table, columns in MODEL_COLUMNS.items():
        for column in columns:
            if table in tables and column in tables[table].columns:
                names |= set(tables[table][column].drop_nulls().unique())
    names = {part for name in names for part in _parts(name)}
    return [_model(name) for name in sorted(names)] + _captioners(tables)


def to_metadata(record: RightsRecord) -> dict[str, str]:
    """A record as a safetensors header takes it: strings only.

    Examples
    --------
    >>> made = make_record("a.mp4", "00", RightsConfig(film_title="A", film_licence="CC0-1.0"))
    >>> to_metadata(made)["rights_film"], to_metadata(made)["rights_note"]
    ('A, CC0-1.0', 'consent of the people shown not given')
    """
    film, base = record["film"], record.get("base_model")
    models = (f"{m['name']} ({m['licence'] or UNKNOWN})" for m in record["models"])
    said = {
        "rights_film": f"{film['title'] or film['file']}, {film['licence'] or 'licence not given'}",
        "rights_film_hash": film["content_hash"],
        "rights_source": film["source"] or UNKNOWN,
        "rights_consent": record["consent"] or UNKNOWN,
        "rights_models": ", ".join(models),
        "rights_note": "; ".join(record["notes"]),
        "rights": json.dumps(record, ensure_ascii=False, sort_keys=True),
    }
    if base is not None:
        said["rights_base_model"] = f"{base['name']} ({base.get('licence') or UNKNOWN})"
    return said


def to_front_matter(record: RightsRecord) -> str:
    """Licence lines of a card's YAML, as the Hugging Face hub reads them.

    Examples
    --------
    >>> to_front_matter(make_record("a.mp4", "00", RightsConfig(film_licence="CC-BY-3.0")))
    'license: cc-by-3.0'
    """
    licence = record["film"]["licence"]
    if not licence:
        return "license: unknown"
    if HUB_LICENCE.fullmatch(licence.lower()):
        return f"license: {licence.lower()}"
    slug = re.sub(r"[^a-z0-9.+]+", "-", licence.lower()).strip("-") or "other"
    return f"license: other\nlicense_name: {slug}"


def to_text(record: RightsRecord) -> str:
    """A record in Markdown, for a card."""
    film = record["film"]
    lines = [
        f"- film: {_one_line(film['title'] or film['file'])}",
        f"- licence of the film: {_one_line(film['licence']) or UNKNOWN}",
        f"- source: {_one_line(film['source']) or UNKNOWN}",
        f"- SHA-256 of the film: `{film['content_hash']}`",
        f"- consent of the people shown: {_one_line(record['consent']) or UNKNOWN}",
    ]
    if record["models"]:
        lines += ["", "| model | role | licence | source |", "|---|---|---|---|"]
        lines += [
            "| {name} | {role} | {licence} | {source} |".format(
                **{k: _one_line(str(v)).replace("|", "/") or UNKNOWN for k, v in m.items()}
            )
            for m in record["models"]
        ]
    if record["notes"]:
        lines += ["", *(f"**{_sentence(note)}**" for note in record["notes"])]
    return "\n".join(lines)


def _notes(known: RightsRecord) -> list[str]:
    """What is missing, one sentence each."""
    notes = []
    if not known["film"]["licence"]:
        notes.append("licence of the film not given: do not publish")
    if not known["consent"]:
        notes.append("consent of the people shown not given")
    base = [known["base_model"]] if "base_model" in known else []
    unknown = [m["name"] for m in (*known["models"], *base) if not m.get("licence")]
    if unknown:
        notes.append(f"unknown licence: {', '.join(unknown)}")
    return notes


def _parts(name: str) -> list[str]:
    """A model's name, or the names joined in it: ``efficientnet-lite0+layout``."""
    known = [part for part in name.split("+") if part in model_file.MODELS]
    return known or [name]


def _model(name: str) -> UsedModel:
    """One row of `used_models`."""
    known = model_file.MODELS.get(name)
    if known is None:
        return {"name": name, "role": "", "licence": "", "source": ""}
    return {"name": name, "role": known.role, "licence": known.licence, "source": known.source}


def _captioners(tables: Mapping[str, pl.DataFrame]) -> list[UsedModel]:
    """Models that wrote captions; the offline provider has none."""
    if "caption" not in tables or tables["caption"].is_empty():
        return []
    said = tables["caption"].filter(pl.col("model").is_not_null() & (pl.col("provider") != "tags"))
    pairs = said.select("provider", "model").unique().sort("provider", "model")
    return [
        {"name": model, "role": "captions", "licence": "", "source": provider}
        for provider, model in pairs.iter_rows()
        if model
    ]


def _one_line(text: str) -> str:
    """One line of it."""
    return " ".join(text.split())


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}."
