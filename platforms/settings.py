"""What all settings have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PortNumber = Annotated[int, Field(ge=1, le=65535)]


class FrozenSettings(BaseModel):
    """Checked values of a stack file: they never change, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
