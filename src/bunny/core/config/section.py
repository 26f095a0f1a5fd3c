"""Base class of the sections of the settings."""

from pydantic import BaseModel, ConfigDict


class ConfigSection(BaseModel):
    """A part of the settings: no other keys, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
