"""Kinds of value in a scenario file: quantities that carry their unit, and the tables that hold them."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from loadtests import units


def _duration(value: object) -> object:
    if isinstance(value, str):
        return units.parse_duration(value)
    raise ValueError("a duration is a text with a unit, such as '30s'")


def _ratio(value: object) -> object:
    if isinstance(value, str):
        return units.parse_quantity(value, units.RATIO, "1%")
    raise ValueError("a share is a text with a percent sign, such as '1%'")


def _size(value: object) -> object:
    if isinstance(value, str):
        return units.parse_quantity(value, units.SIZE_BYTES, "1GB")
    raise ValueError("a size is a text with a unit, such as '1GB'")


def _size_text(value: float) -> str:
    return units.exact(value, units.SIZE_BYTES)


def _percent_text(value: float) -> str:
    return units.exact(value, units.RATIO)


Duration = Annotated[float, BeforeValidator(_duration), PlainSerializer(units.duration_text)]
Ratio = Annotated[float, BeforeValidator(_ratio), PlainSerializer(_percent_text), Field(ge=0, le=1)]
Size = Annotated[float, BeforeValidator(_size), PlainSerializer(_size_text)]
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]


class Table(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)
