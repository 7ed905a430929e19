"""The commands of ``tandem cluster``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tandem import cluster_certificates
from tandem.certificates import DAYS_MAX


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    group = typer.Typer(help="A cluster: certificates of its nodes.", no_args_is_help=True)
    group.command("certificates")(certificates)
    app.add_typer(group, name="cluster")


def certificates(
    folder: Annotated[Path, typer.Argument(help="A new folder for them.")],
    node: Annotated[
        list[str],
        typer.Option(help="NAME=HOST, or NAME=HOST,HOST if it has several; for each node."),
    ],
    days: Annotated[
        int, typer.Option(min=1, max=DAYS_MAX, help="How long those of the nodes are good.")
    ] = 365,
    renew: Annotated[
        bool,
        typer.Option("--renew", help="Sign by the authority that is in the folder already."),
    ] = False,
) -> None:
    """Make an authority and, for each node, a key and a certificate for etcd and the members."""
    cluster_certificates.run(folder.absolute(), node, days, renew, print)
