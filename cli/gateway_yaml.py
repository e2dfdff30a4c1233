"""Prints a stack's gateway as declarative YAML, with the names of its secrets in the place of the secrets."""

import sys
from typing import Annotated

import pulumi
import typer

from components.gateway import declarative
from components.services.routing import gateway_of
from ops.parts import Parts
from ops.stack import OperatorError, StackFiles
from settings import Settings


def gateway_yaml(stack: str) -> str:
    """The gateway that Pulumi.<stack>.yaml describes, in the form that `kong config parse` reads."""
    settings = Settings.from_file(StackFiles(name=stack, parts=Parts()).stack_file, {})
    return declarative.render(gateway_of(settings.gateway, settings.services, settings.observability.traces_url))


def main(stack: Annotated[str, typer.Option(help="the stack file to read: Pulumi.<stack>.yaml")] = "dev") -> None:
    """Needs neither an engine nor a gateway. Example: make gateway-yaml STACK=prod."""
    try:
        print(gateway_yaml(stack), end="")
    except (OperatorError, pulumi.RunError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    typer.run(main)
