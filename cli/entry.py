"""How a command line ends: what the operator can mend is said in plain words, without a traceback."""

import sys

import pulumi
import typer
from rich.console import Console
from rich.markup import escape

from access.kubernetes.kube import NoCluster
from access.polling import PollTimeout
from ops.stack import OperatorError


def run(app: typer.Typer) -> None:
    """Run a command; exit code 1, with the reason on stderr, when it could not be done."""
    try:
        app()
    except (OperatorError, pulumi.RunError, NoCluster, PollTimeout) as error:
        Console(stderr=True).print(f"[red]{escape(str(error))}[/red]", highlight=False, soft_wrap=True)
        sys.exit(1)
