"""Widget of a series: unknown identities with a picture from each film, and a field to name one.

What is shown and what a name would do are functions of tables; the button alone asks the function
that the notebook passes in, so that the widget knows no command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import polars as pl

from bunny.core.error import BunnyError
from bunny.view import html, thumbnail
from bunny.view.tile import Tile

if TYPE_CHECKING:
    from IPython.display import HTML
    from ipywidgets import Widget

CACHE = "thumbnail.parquet"  # in the library's folder; it may be deleted
MAX_PAGE = 24  # unknown people that the page without controls shows
NOBODY = "<p>no unknown person is in the library</p>"


class NamingReport(Protocol):
    """What became of a name, in words."""

    def to_text(self) -> str:
        """Lines for a person."""
        ...


Name = Callable[[Sequence[str]], NamingReport]  # of choices as `bunny library name` takes them


def unknown_people(member: pl.DataFrame) -> pl.DataFrame:
    """Members without a name, those of most films first.

    Parameters
    ----------
    member : pl.DataFrame
        Columns member_id, film_id, called, identity_id (null: in no identity), name, num_views.

    Returns
    -------
    pl.DataFrame
        `who` (what `bunny library name` calls them: an identity, or FILM:person-02), `num_films`,
        `num_views` and the lists `member_id` and `film_id`, in the order of the films.
    """
    alone = pl.format("{}:{}", "film_id", "called")
    return (
        member.filter(pl.col("name").is_null())
        .with_columns(who=pl.coalesce("identity_id", alone))
        .sort("member_id")
        .group_by("who", maintain_order=True)
        .agg(
            num_films=pl.col("film_id").n_unique().cast(pl.Int64),
            num_views=pl.col("num_views").sum().cast(pl.Int64),
            member_id="member_id",
            film_id="film_id",
        )
        .sort(-pl.col("num_films"), -pl.col("num_views"), "who")
    )


def _to_choice(who: str, name: str, names: Sequence[str]) -> tuple[str, str]:
    """What a click would ask for, and what to say before it.

    Parameters
    ----------
    who : str
        From `unknown_people`.
    name : str
        What was typed.
    names : sequence of str
        Names that identities have already.

    Returns
    -------
    choice : str
        As `bunny library name` takes it; "" where there is nothing to do.
    words : str

    Examples
    --------
    >>> _to_choice("identity-0003", " anna ", ["bert"])
    ('identity-0003=anna', 'identity-0003 becomes anna')
    >>> _to_choice("identity-0003", "Bert", ["bert"])
    ('identity-0003=Bert', 'identity-0003 joins bert, who is in the library already')
    >>> _to_choice("identity-0003", "", [])
    ('', 'type a name')
    """
    name = name.strip()
    if not who or not name:
        return "", "type a name" if who else "nobody left to name"
    same = [one for one in names if one.casefold() == name.casefold()]
    what = f"joins {same[0]}, who is in the library already" if same else f"becomes {name}"
    return f"{who}={name}", f"{who} {what}"


def page(people: pl.DataFrame, pictures: Mapping[str, str], who: str = "") -> str:
    """Pictures of unknown people, one from each film.

    Parameters
    ----------
    people : pl.DataFrame
        From `unknown_people`.
    pictures : mapping
        Data URI by member_id.
    who : str
        Only of this one; empty: of the first `MAX_PAGE`.
    """
    rows = people.filter(pl.col("who") == who) if who else people.head(MAX_PAGE)
    shown = []
    for row in rows.iter_rows(named=True):
        own = [
            (pictures[member_id], film_id, "plain")
            for member_id, film_id in zip(row["member_id"], row["film_id"], strict=True)
            if member_id in pictures
        ]
        films = "film" if row["num_films"] == 1 else "films"
        heading = f"{row['who']}: {row['num_views']} views in {row['num_films']} {films}"
        shown.append(html.tiles(own, heading))
    return "".join(shown) or NOBODY


def explore_identities(
    member: pl.DataFrame,
    picture: Mapping[str, Tile],
    folder: Path,
    name: Name,
    *,
    is_interactive: bool = True,
) -> Widget | HTML:
    """Look at unknown people and name them for all films.

    Parameters
    ----------
    member : pl.DataFrame
        As `unknown_people`.
    picture : mapping
        Tile by member_id.
    folder : Path
        Of the library, where small pictures are kept.
    name : callable
        Takes a list of choices, e.g. `["identity-0003=anna"]`.
    is_interactive : bool
        False gives the pictures alone.
    """
    people = unknown_people(member)
    wanted = {one: picture[one] for one in people["member_id"].explode() if one in picture}
    uris = thumbnail.load(folder / CACHE, wanted) if wanted else {}
    if not is_interactive:
        from IPython.display import HTML

        return HTML(page(people, uris))
    return _controls(people, uris, member["name"].drop_nulls().unique().to_list(), name)


def _controls(
    people: pl.DataFrame, uris: Mapping[str, str], names: list[str], name: Name
) -> Widget:
    import ipywidgets

    who = ipywidgets.Dropdown(options=people["who"].to_list(), description="who")
    text = ipywidgets.Text(description="name", placeholder="for all films")
    button = ipywidgets.Button(description="Name", button_style="primary")
    words, shown = ipywidgets.HTML(), ipywidgets.HTML()

    def on_move(_change: object = None) -> None:
        choice, said = _to_choice(who.value or "", text.value, names)
        button.disabled = not choice
        words.value = escape(said)
        shown.value = page(people, uris, who.value) if who.value else NOBODY

    def on_click(_button: object) -> None:
        choice, _ = _to_choice(who.value or "", text.value, names)
        try:
            report = name([choice])
        except BunnyError as error:
            words.value = f"<b>not named:</b> {escape(str(error))}"
            return
        named = who.value
        names.append(text.value.strip())
        text.value = ""
        who.options = [one for one in who.options if one != named]
        on_move()
        words.value = "<br>".join(escape(line) for line in report.to_text().splitlines())

    for one in (who, text):
        one.observe(on_move, names="value")
    button.on_click(on_click)
    on_move()
    return ipywidgets.VBox([ipywidgets.HBox([who, text, button]), words, shown])
