"""`bunny models`: hub models that are on this machine or could be, fetched and removed."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import polars as pl

from bunny.character.drawn import drawn_model, medium
from bunny.command import text_table
from bunny.core import hub, hub_model
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.hub_model import HubModel
from bunny.core.workspace import Workspace
from bunny.scene import cluster_table
from bunny.table import store

OTHER = "other"  # purpose of a cached repository that is not in the table


@dataclass(frozen=True, kw_only=True)
class ListedModel:
    """One row of `bunny models`."""

    name: str
    is_here: bool
    num_bytes: int  # on disk, or to download
    licence: str
    purpose: str
    setting: str


@dataclass(frozen=True, kw_only=True)
class ModelList:
    """Known models, and other repositories in the hub's cache."""

    models: tuple[ListedModel, ...]

    def to_text(self) -> str:
        """A table for a person, and how to get and remove models."""
        rows = [
            {
                "model": one.name,
                "here": "yes" if one.is_here else "no",
                "size": to_size(one.num_bytes),
                "licence": one.licence,
                "purpose": one.purpose,
                "setting": one.setting,
            }
            for one in self.models
        ]
        groups = [f"{name}: {' and '.join(own)}" for name, own in hub_model.GROUPS.items()]
        return "\n".join(
            [
                *text_table.lines(pl.DataFrame(rows)),
                f"`bunny models get NAME` downloads a model or a group ({'; '.join(groups)}), "
                "`bunny models remove NAME` deletes it",
            ]
        )

    def to_json(self) -> str:
        """One JSON list."""
        return json.dumps([asdict(one) for one in self.models])


@dataclass(frozen=True, kw_only=True)
class ModelRemoval:
    """Models that are removed, or would be."""

    names: tuple[str, ...]
    num_bytes: int
    is_removed: bool

    def to_text(self) -> str:
        """One sentence for a person."""
        size, names = to_size(self.num_bytes), ", ".join(self.names)
        return (
            f"removed {names}, freed {size}"
            if self.is_removed
            else f"would remove {names} and free {size}; --yes removes it"
        )

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self))


def list_models() -> ModelList:
    """List the known models, then what else is in the hub's cache."""
    size = {repo.repo_id: repo.size_on_disk for repo in _cached_repositories()}
    found = [
        ListedModel(
            name=model.name,
            is_here=(is_here := hub_model.is_here(model.name)),
            num_bytes=size.get(model.repository, 0) if is_here else model.size_mb * 1_000_000,
            licence=model.licence,
            purpose=model.purpose,
            setting=model.setting,
        )
        for model in hub_model.MODELS.values()
    ]
    known = {model.repository for model in hub_model.MODELS.values()}
    found += [
        ListedModel(
            name=name,
            is_here=True,
            num_bytes=size[name],
            licence="see its card",
            purpose=OTHER,
            setting="",
        )
        for name in sorted(size.keys() - known)
    ]
    return ModelList(models=tuple(found))


def plan(names: Sequence[str]) -> tuple[list[HubModel], str]:
    """Models to download, and what they are, in lines for a person.

    Raises
    ------
    UserError
        If a name is unknown, the hub cannot be reached, or the disk has no room for them.
    """
    models = hub_model.choose_models(names)
    planned = [hub.plan_download(one.name, one.repository, one.patterns) for one in models]
    hub.check_space(", ".join(names), sum(one.num_missing for one in planned))
    lines = [
        f"{model.name}: {model.purpose}, {to_size(one.num_bytes)}"
        f"{'' if one.num_missing else ' (already here)'}, licence {model.licence} "
        f"(card of {model.repository})"
        for model, one in zip(models, planned, strict=True)
    ]
    return models, "\n".join(lines)


def get(models: Sequence[HubModel]) -> str:
    """Download models; gives how each is used.

    Raises
    ------
    UserError
        See `hub.download`.
    """
    lines = []
    for model in models:
        hub.download(model.name, model.repository, model.patterns)
        key, _, value = model.setting.partition("=")
        use = (
            f"use it with --set {model.setting}" if value else f"{key}: auto uses it in drawn film"
        )
        lines.append(f"{model.name} is here; {use}")
    return "\n".join(lines)


def remove(names: Sequence[str], *, is_removed: bool) -> ModelRemoval:
    """Delete models from the hub's cache, or say what would be deleted.

    Parameters
    ----------
    names : sequence of str
        Of models, groups, or hub ids of other repositories in the cache.
    is_removed : bool
        Delete them.

    Raises
    ------
    UserError
        If a name is unknown, or none of them is here.
    """
    cached = {repo.repo_id: repo for repo in _cached_repositories()}
    known = hub_model.choose_models(name for name in names if name not in cached)
    repositories = [*(one.repository for one in known), *(name for name in names if name in cached)]
    chosen = [cached[one] for one in dict.fromkeys(repositories) if one in cached]
    if not chosen:
        raise UserError(f"{', '.join(names)}: not on this machine, so there is nothing to remove")
    from huggingface_hub import scan_cache_dir

    commits = [revision.commit_hash for repo in chosen for revision in repo.revisions]
    strategy = scan_cache_dir(hub.cache_dir()).delete_revisions(*commits)
    if is_removed:
        strategy.execute()
    return ModelRemoval(
        names=tuple(repo.repo_id for repo in chosen),
        num_bytes=strategy.expected_freed_size,
        is_removed=is_removed,
    )


def hint(space: Workspace, config: Config) -> str:
    """The line that ends a run of a drawn film with figures that nobody could name.

    Returns
    -------
    str
        Empty where there are no references to name them by, or the models of `auto` are here or
        not wanted.
    """
    missing = [name for name in hub_model.AUTO if not hub_model.is_here(name)]
    if not missing or not drawn_model.is_auto(config.detection):
        return ""
    read = partial(store.read_or_empty, space.table)
    has_unknown = read("cluster")["cluster_id"].str.starts_with(cluster_table.FIGURE_PREFIX).any()
    is_drawn = medium.is_mostly_drawn(read("shot_medium"))
    if not (has_unknown and is_drawn and read("reference").height):
        return ""
    size = to_size(sum(hub_model.MODELS[name].size_mb for name in missing) * 1_000_000)
    return (
        "drawn film   anime characters are recognised better with "
        f"`bunny models get anime` ({size})"
    )


def to_size(num_bytes: int) -> str:
    """A size for people.

    Examples
    --------
    >>> to_size(253_000_000), to_size(4_420_000_000)
    ('253 MB', '4.4 GB')
    """
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"


def _cached_repositories() -> list[Any]:
    """Models in the hub's cache, as huggingface_hub lists them."""
    try:
        from huggingface_hub import CacheNotFound, scan_cache_dir
    except ImportError:
        return []
    try:
        return [repo for repo in scan_cache_dir(hub.cache_dir()).repos if repo.repo_type == "model"]
    except CacheNotFound:
        return []
