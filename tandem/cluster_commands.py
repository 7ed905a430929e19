"""The commands of ``tandem cluster``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from config.settings import Settings
from tandem import cluster_certificates, cluster_state
from tandem.certificates import DAYS_MAX

Load = Callable[[Path | None, Path | None], Settings]
Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="The TOML file (or TANDEM_CONFIG).")
]
Data = Annotated[Path | None, typer.Option("--data", help="The data folder (or TANDEM_DATA).")]


def register(app: typer.Typer, load: Load) -> None:
    """Add the group to the command line; ``load`` reads the configuration."""
    group = typer.Typer(help="A cluster of machines on etcd.", no_args_is_help=True)
    group.command("certificates")(certificates)

    @group.command("init")
    def init_command(config: Config = None, data: Data = None) -> None:
        """Begin the cluster's log, once, where this member's journal ends."""
        cluster_state.init(load(config, data))

    @group.command("status")
    def status_command(
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
        config: Config = None,
        data: Data = None,
    ) -> None:
        """Show the members: who leads, and how far each has come."""
        cluster_state.status(load(config, data), as_json)

    @group.command("switch")
    def switch_command(
        node: Annotated[str, typer.Argument(help="Who is to lead; any other if omitted.")] = "",
        config: Config = None,
        data: Data = None,
    ) -> None:
        """Move the lead to another member, before a machine is taken down."""
        cluster_state.switch(load(config, data), node)

    @group.command("remove")
    def remove_command(
        node: Annotated[str, typer.Argument(help="The member, by its `node` in [cluster].")],
        config: Config = None,
        data: Data = None,
    ) -> None:
        """Take out a member that is gone for good: etcd keeps nothing for it any more."""
        cluster_state.remove(load(config, data), node)

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
