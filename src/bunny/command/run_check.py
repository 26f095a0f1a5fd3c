"""Settings of a run that can be checked before anything is written."""

from collections.abc import Collection
from pathlib import Path

from bunny import pipeline
from bunny.core.config import Config
from bunny.core.error import UserError

HUB_PARTS = 3  # parts of owner/name/model
DRAWN_MODELS = ("drawn_embedding", "drawn_detector", "drawn_classifier")


def check_settings(config: Config, stages: Collection[str]) -> None:
    """Refuse settings with which a stage of this run could only fail.

    Nothing is downloaded but, for an unknown base on the hub, its `model_index.json`.

    Raises
    ------
    UserError
        If the base model cannot be found or trained at the chosen resolution, a caption provider
        lacks a setting, or the folder of a model for drawn films is missing.
    """
    if "detect" in stages:
        _check_drawn_models(config)
    if "caption" in stages:
        _check_captioning(config)
    if set(pipeline.TRAINING) & set(stages):
        _check_base(config)


def _check_drawn_models(config: Config) -> None:
    """Refuse a path behind the colon of ``ccip:<folder>`` that leads to no folder."""
    for key in DRAWN_MODELS:
        word, _, source = getattr(config.detection, key).partition(":")
        is_path = source.startswith((".", "/", "~")) or len(source.split("/")) > HUB_PARTS
        if is_path and not Path(source).is_dir():
            raise UserError(
                f"detection.{key}: expected a folder or a hub id after '{word}:', found no folder "
                f"{source}; check the path"
            )


def _check_captioning(config: Config) -> None:
    """Refuse a caption provider whose settings are incomplete."""
    from bunny.caption import local_captioner, provider, provider_loader

    own = config.captioning
    served = [name for name in own.providers if name in provider.PREFIX]
    for name in served:
        provider.ServedModel(provider=name, captioning=own, aws=config.aws)
    here = tuple(name for name in own.providers if name not in (*served, local_captioner.AUTO))
    provider_loader.set_up(own.model_copy(update={"providers": here}), config.aws)


def _check_base(config: Config) -> None:
    from bunny.training.family import folder

    models = config.models
    if local := folder.find_local(models.base_model):
        folder.check_folder(local, models.base_model, models.family)
    folder.choose_resolution(models.base_model, models.resolution, models.family)
