"""What all settings have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

PortNumber = Annotated[int, Field(ge=1, le=65535)]


class FrozenSettings(BaseModel):
    """Checked values of a stack file: they never change, and an unknown key is an error."""

    # The engine gives numbers as text: a name such as 2024 is one.
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Entry(FrozenSettings):
    """A structured value, spelled in camel case in a stack file, like its keys."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
