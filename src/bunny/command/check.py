"""`bunny check`: pictures, steps and losses that a trainer will see of a training set."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bunny.caption.trigger import trigger_word
from bunny.clip import preset
from bunny.command import export_set, film_workspace
from bunny.command.option.character import CheckOptions
from bunny.core import exit_code
from bunny.core.error import UserError
from bunny.dataset import image_folder as sets
from bunny.trainer_format.check import clip_preview, picture_preview
from bunny.trainer_format.check.clip_preview import FormatPreview
from bunny.trainer_format.check.picture_file import CaptionRule
from bunny.trainer_format.check.picture_preview import TrainerPreview
from bunny.trainer_format.export import configuration
from bunny.trainer_format.export import folder as export_folder
from bunny.training.family import folder as family_folder


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """What trainers will see of one folder or of all sets of a film."""

    findings: Sequence[TrainerPreview]

    @property
    def exit_code(self) -> int:
        """2 when one of them is not good."""
        return exit_code.of_several(f.exit_code for f in self.findings)

    def to_text(self) -> str:
        """Lines for a person."""
        return "\n".join(f.to_text() for f in self.findings)

    def to_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps({"sets": [json.loads(f.to_json()) for f in self.findings]})


def check(
    what: str | None,
    options: CheckOptions,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
) -> CheckReport:
    """Say what a trainer will see of a folder, or of all training sets of a film.

    An export is checked for the trainer that it was written for, unless another one is named.

    Parameters
    ----------
    what : str or None
        A folder, or a film_id or how it begins; None: the newest film.
    options : CheckOptions
        Without a trigger word, a film's captions must have its own, a folder's none.
    """
    trainer, trigger = options.trainer, options.trigger
    if trainer != "auto":
        export_set.check_choice("--trainer", trainer, picture_preview.TRAINERS)
    if what and Path(what).expanduser().exists():
        path = Path(what).expanduser()
        mark = export_folder.read_marker(path) or {}
        form = mark.get("format", "")
        if trainer == "auto" and form:
            if form not in picture_preview.TRAINERS:
                raise UserError(
                    f"{path}: expected an export for a trainer whose rules check knows, got one "
                    f"for {form}; give --trainer ({', '.join(picture_preview.TRAINERS)})"
                )
            trainer = form
        said = {} if trainer == "kohya" else mark  # its dataset.toml names both
        found = picture_preview.preview_folder(
            path,
            trainer,
            resolution_px=options.resolution_px or said.get("resolution_px", 0),
            batch_size=options.batch_size or said.get("batch_size", 0),
            caption=CaptionRule(trigger=trigger),
        )
        return CheckReport(findings=[found])
    space, config = film_workspace.open_film(what, data_dir, overrides, ("dataset/*",))
    names = export_set.read_training_set(space)["character"].unique().sort().to_list()
    read_size = None  # where nothing says at which size they will be read
    if options.resolution_px or config.models.base_model:
        read_size = family_folder.choose_read_size(
            config.models, config.dataset, options.resolution_px
        )
    found = [
        picture_preview.preview_folder(
            space.root / "dataset" / sets.folder_name(name),
            trainer,
            resolution_px=options.resolution_px,
            read_size=read_size,
            batch_size=options.batch_size or config.models.batch_size,
            caption=CaptionRule(
                trigger=trigger or trigger_word(config.captioning.trigger_word, name)
            ),
        )
        for name in names
    ]
    return CheckReport(findings=found)


def exported_form(what: str | None) -> str | None:
    """The trainer of clips or pairs that a folder was exported for; None for any other folder."""
    mark = export_folder.read_marker(Path(what).expanduser()) if what else None
    form = (mark or {}).get("format")
    return form if form in configuration.WRITERS else None


def check_format(
    what: str | None, form: str, *, model: str = "auto", num_frames: int = 0
) -> FormatPreview:
    """Say what a trainer will load of a folder of clips or pairs.

    Parameters
    ----------
    what : str or None
        A folder.
    form : str
        One of `configuration.WRITERS`.
    model : str
        One of `clip.preset.FORM`; ``auto``: that of the export, else the trainer's first.
    num_frames : int
        Length asked for; 0: as the folder's configuration says.
    """
    export_set.check_choice("--format", form, tuple(configuration.WRITERS))
    export_set.check_choice("--model", model, ("auto", *preset.FORM))
    if model != "auto":
        configuration.check_model(form, model)
    if what is None:
        raise UserError(
            "check --format: expected a folder of clips or pairs, got no folder; name one"
        )
    return clip_preview.preview_folder(
        Path(what).expanduser(), form, model=model, frames=num_frames
    )
