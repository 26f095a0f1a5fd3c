"""`bunny approve`: a person says that training sets may be trained on and handed on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import polars as pl

from bunny.command import film_workspace, set_update
from bunny.command.export_set import read_training_set
from bunny.contract.row_count import plural
from bunny.core.error import UserError
from bunny.dataset import approval
from bunny.dataset.approval import Approval


@dataclass(frozen=True, kw_only=True)
class ApprovalReport:
    """What was noted, or what stands."""

    film_id: str
    approvals: tuple[Approval, ...]
    missing: tuple[str, ...] = ()  # characters whose sets nobody approved as they are

    def to_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps(asdict(self))

    def to_text(self) -> str:
        """A line for each set."""
        lines = []
        for one in self.approvals:
            pictures, when = plural(one.num_images, "picture"), f"{one.at}, set {one.set_hash[:8]}"
            said = f"{one.by} approved {one.character}'s set ({pictures}; {when})"
            if one.is_withdrawn:
                said = (
                    f"{one.by} withdrew the approval of {one.character}'s set ({pictures}; {when})"
                )
            lines.append(f"{self.film_id}: {said}")
        lines += [f"{self.film_id}: the set of {name} is not approved" for name in self.missing]
        return "\n".join(lines)


def approve(
    film: str | None,
    characters: Sequence[str] = (),
    *,
    by: str = "",
    is_withdrawn: bool = False,
    is_listed: bool = False,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
) -> ApprovalReport:
    """Approve training sets of a film as they are now, take that back, or say what stands.

    Parameters
    ----------
    film : str or None
        A film_id or how it begins; None: the newest.
    characters : sequence of str
        Empty: all that have a set.
    by : str
        Who says so; empty: `review.user`, else the name that somebody is logged in by.
    is_withdrawn, is_listed : bool
        Take approvals back; only say what stands.
    overrides : sequence of str
        Settings that the sets were made with, as given to ``--set``.

    Raises
    ------
    UserError
        For a film or character without a set, a set that is out of date, or where nobody's name
        is known.
    """
    space, config = film_workspace.open_film(film, data_dir, overrides, ("dataset/*",))
    table = read_training_set(space)
    names = table["character"].unique().sort().to_list()
    unknown = [name for name in characters if name not in names]
    if unknown:
        raise UserError(
            f"--character: expected a character with a training set ({', '.join(names)}), got "
            f"{unknown[0]}; choose one"
        )
    chosen = [name for name in names if not characters or name in characters]
    if is_listed:
        found = {name: approval.find(table, space.root, name) for name in chosen}
        return ApprovalReport(
            film_id=space.film_id,
            approvals=tuple(one for one in found.values() if one),
            missing=tuple(name for name, one in found.items() if one is None),
        )
    if not is_withdrawn:
        set_update.check_current(space, config)
    approval.check_files(table.filter(pl.col("character").is_in(chosen)), space.root)
    who = by or config.review.user or film_workspace.login_name("")
    if not who.strip():
        raise UserError("--by: expected the name of the approver, got none; add --by NAME")
    at = datetime.now(UTC).isoformat(timespec="seconds")
    made = approval.record(
        table, space.root, chosen, by=who.strip(), at=at, is_withdrawn=is_withdrawn
    )
    return ApprovalReport(film_id=space.film_id, approvals=tuple(made))
