"""How a command line ends: what the operator can mend is said in plain words, without a traceback."""

import sys
from typing import NoReturn

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
        _end(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        found = f"{error.strerror}: {error.filename}"
        _end(f"expected a path that can be read or written, found {found}; name another one, or change its mode")


def _end(reason: str) -> NoReturn:
    Console(stderr=True).print(f"[red]{escape(reason)}[/red]", highlight=False, soft_wrap=True)
    sys.exit(1)
