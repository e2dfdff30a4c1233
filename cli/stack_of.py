"""Which stack a day-two command is about, and what all of them share on the command line."""

from typing import Annotated, Any

import typer
from rich.console import Console

from ops.parts import load_parts
from ops.stack import StackFiles, open_stack, outputs, use_parts

console = Console(highlight=False)
Stack = Annotated[str, typer.Option(help="the stack file to use: Pulumi.<stack>.yaml")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="show the plan and change nothing")]


def files_of(stack: str) -> StackFiles:
    """The files of the stack, with the parts of this machine."""
    parts = load_parts()
    use_parts(parts)
    return StackFiles(name=stack, parts=parts)


def outputs_of(files: StackFiles) -> dict[str, Any]:
    """The outputs of the stack; OperatorError when it does not run."""
    return outputs(open_stack(files))
