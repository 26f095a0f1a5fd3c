"""Stage review: people's corrections replayed over labels and clusters.

The record `feedback.jsonl` is an outside input: what is said while a stage runs is left to its next
run. Pictures are opened only where a model is asked who doubtful figures are (`identification`).
"""

import logging
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from bunny.contract import fingerprint
from bunny.contract.row_count import plural
from bunny.contract.stage import BaseStage, StageOutput, settings_of
from bunny.core import workspace
from bunny.review import asset_table as review_asset
from bunny.review import corrected_table, doubt, event_log, rejected_elsewhere
from bunny.review.event_log import Event
from bunny.review.learn import version as learn_version
from bunny.review.state import ReviewState
from bunny.table import store

if TYPE_CHECKING:
    from bunny.review.identification import DoubtfulFigure

logger = logging.getLogger(__name__)


class Review(BaseStage):
    """The machine's clusters and labels, then what was learned, then people's words."""

    name: ClassVar[str] = "review"
    version: ClassVar[int] = 4
    reads: tuple[str, ...] = (*review_asset.TABLES, "embedding", "subject_vector", "reference")
    writes: ClassVar[tuple[str, ...]] = (
        "asset",
        "label_corrected",
        "cluster_corrected",
        "caption_edit",
        "frame_caption_edit",
        "shot_vector",
        "figure_vector",
        "feedback",
        "training_feedback",
        "identification",
    )
    unit: ClassVar[str] = "item"

    def settings(self) -> dict[str, Any]:
        """When a rejected shot falls to another scene, and whether what was learned is used."""
        found = {
            **settings_of(self.config, "clustering", "noise_threshold"),
            **settings_of(self.config, "review", "is_learned_used"),
        }
        name = self.config.identification.provider
        if name != "none":
            found |= settings_of(self.config, "identification")
            found |= settings_of(self.config, "captioning", "temperature")
            found[f"captioning.{name}.model"] = getattr(self.config.captioning, name).model
        return found

    def parts(self) -> fingerprint.FingerprintParts:
        """As of every stage, and the record of corrections with the adapter that is in use."""
        parts = super().parts()
        if self._events:
            parts["outside"]["feedback"] = event_log.digest(self._events)
        if said := fingerprint.table_hash(self.input_dir, rejected_elsewhere.TABLE):
            parts["outside"]["rejected elsewhere"] = said
        if self._learned:
            parts["outside"]["learned adapter"] = self._learned
        if self.config.identification.provider != "none":
            parts["outside"]["references"] = self.source["reference_hash"]
        return parts

    def needs(self) -> tuple[str, ...]:
        """Pictures, where a model is asked who is in them."""
        return ("frame/*",) if self.config.identification.provider != "none" else ()

    def run(self) -> StageOutput:
        """Make the items, replay the record over them, write what later stages read."""
        tables = {name: self.read(name) for name in self.reads}
        found = tables["label"]
        tables["label"] = review_asset.add_missed_figures(tables)
        film_id = tables["film"]["film_id"][0]
        shot_vector = review_asset.shot_vectors(tables, film_id)
        evidence, identified = self._identify(tables, shot_vector, film_id)
        figure_vector = review_asset.figure_vectors(tables)
        rejected = store.read_or_empty(self.input_dir / "table", rejected_elsewhere.TABLE)
        tables["label"], barred = rejected_elsewhere.take_names_back(tables, rejected, film_id)
        perhaps = review_asset.likely_characters(tables, review_asset.figure_candidates(tables))
        machine = review_asset.machine_assets(tables, shot_vector, film_id, perhaps)
        vectors = {"scene": shot_vector, "character": figure_vector}
        sure = review_asset.certainty(tables)
        machine = self._score(machine, vectors, sure)
        state = learn_version.replay_learned(
            machine,
            vectors,
            self._events,
            checkpoint=self._checkpoint if self._learned else None,
            noise_threshold=self.config.clustering.noise_threshold,
            barred=barred,
        )
        asset = self._score(state.frame(), vectors, sure, state)
        subject = review_asset.subjects_of(tables)
        names = corrected_table.corrected_labels(tables["label"], subject, state, machine)
        is_found = pl.col("subject_id").is_in(found["subject_id"].to_list())
        names = names.filter(is_found | pl.col("character").is_not_null())
        feedback = corrected_table.feedback(state)
        return StageOutput(
            tables={
                "asset": asset,
                "label_corrected": names,
                "cluster_corrected": corrected_table.corrected_clusters(
                    tables["cluster"], names, subject, state, machine
                ),
                "caption_edit": corrected_table.caption_edits(state),
                "frame_caption_edit": corrected_table.frame_caption_edits(state, tables["frame"]),
                "shot_vector": shot_vector,
                "figure_vector": figure_vector,
                "feedback": feedback,
                "training_feedback": corrected_table.constraint_pairs(state),
                "identification": evidence,
            },
            num_items=asset.height,
            note=_note(feedback, asset, identified),
        )

    def _identify(
        self, tables: dict[str, pl.DataFrame], shot_vector: pl.DataFrame, film_id: str
    ) -> tuple[pl.DataFrame, str]:
        """Ask who doubtful figures are that nobody spoke of; changes the labels in `tables`.

        Returns
        -------
        pl.DataFrame
            Table `identification`.
        str
            One line about it; empty when nothing was asked.
        """
        wanted, references = self.config.identification, self.source["references"]
        if wanted.provider == "none" or references is None:
            return store.from_rows("identification", []), ""
        from bunny.review import identification  # models and their limits take time to import

        perhaps = review_asset.likely_characters(tables, review_asset.figure_candidates(tables))
        machine = review_asset.machine_assets(tables, shot_vector, film_id, perhaps)
        spoken = {item.asset_id for event in self._events for item in event.items}
        figures = identification.find_doubtful(
            tables, machine, max_margin=wanted.max_margin, num_candidates=wanted.num_candidates
        )
        figures = [one for one in figures if one.asset_id not in spoken]
        evidence = self._ask(figures, tables["frame"], Path(references))
        subject = review_asset.subjects_of(tables)
        tables["label"] = identification.apply_evidence(
            tables["label"], subject, evidence, wanted.weight
        )
        return evidence, identification.summarise(evidence)

    def _ask(
        self, figures: "Sequence[DoubtfulFigure]", frame: pl.DataFrame, references: Path
    ) -> pl.DataFrame:
        """Table `identification`."""
        from bunny.caption.provider import ServedModel
        from bunny.character import reference
        from bunny.review import identification

        maker = identification.StripMaker(
            folder=self.input_dir,
            figures=figures,
            file=dict(frame.drop_nulls("file").select("frame_id", "file").iter_rows()),
            reference={r.character: r.path for r in reversed(reference.list_files(references))},
        )
        model = ServedModel(
            provider=self.config.identification.provider,
            captioning=self.config.captioning,
            aws=self.config.aws,
        )
        return identification.ask(
            maker, model, self.folder / "answer", note=partial(logger.info, "review: %s")
        )

    @cached_property
    def _events(self) -> list[Event]:
        """The record as it was when this run began."""
        return event_log.read(self.input_dir)

    @cached_property
    def _learned(self) -> str:
        """Hash of the adapter in use; empty when none is."""
        if not self.config.review.is_learned_used:
            return ""
        return learn_version.current_hash(self._checkpoint)

    @property
    def _checkpoint(self) -> Path:
        return workspace.from_film_dir(self.input_dir).checkpoint

    def _score(self, asset, vectors, sure, state: ReviewState | None = None) -> pl.DataFrame:
        floor = doubt.level_floor(self.config.clustering.noise_threshold)
        said = pl.repeat(False, asset.height, eager=True).to_numpy()
        said = said if state is None else state.now.is_said
        return doubt.measure(asset, vectors, said, sure, floor)


def _note(feedback: pl.DataFrame, asset: pl.DataFrame, identified: str) -> str:
    """What the user should know: how much was said, and what of it nothing answers to."""
    said = feedback.filter(pl.col("kind") != "undo")
    holding = said.filter(~pl.col("is_undone"))
    doubtful = asset.filter(pl.col("doubt") > 0.5).height
    need = "needs checking" if doubtful == 1 else "need checking"
    words = [f"{doubtful} of {plural(asset.height, 'item')} {need}"] if doubtful else []
    if said.height:
        words.insert(0, f"{plural(holding.height, 'correction')} applied")
    if lost := holding.filter("is_lost").height:
        refer = "refers" if lost == 1 else "refer"
        words.append(f"{plural(lost, 'correction')} {refer} to items that no longer exist")
    return "; ".join(part for part in (", ".join(words), identified) if part)
