"""Which radiographs are taken of each case of a cohort."""

from __future__ import annotations

from importlib.util import find_spec

from pydantic import BaseModel, ConfigDict, Field, field_validator

from synth.errors import InputError
from synth.xray.views import MAX_DETECTOR, MIN_DETECTOR, directions


class Radiographs(BaseModel):
    """Which films are taken of a case: `views`, pixels of the detector, and its side in mm (fitted when left out)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    views: tuple[str, ...] = ("pa",)
    detector: int = Field(512, ge=MIN_DETECTOR, le=MAX_DETECTOR)
    field_mm: float | None = Field(None, gt=0)

    @field_validator("views")
    @classmethod
    def _known(cls, views: tuple[str, ...]) -> tuple[str, ...]:
        if not views or len(set(views)) < len(views):
            raise ValueError("give one view or more, none of them twice")
        for view in views:
            try:
                directions(view)
            except InputError as error:
                raise ValueError(str(error).removeprefix("--view ")) from error
        return views


def require_nanodrr() -> None:
    """Raise InputError where the extra is not installed."""
    if find_spec("nanodrr") is None:
        raise InputError("xray: needs the package nanodrr; pip install 'synthct[xray]'")
