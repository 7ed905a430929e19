"""The table ``[cluster]``: what makes an engine a member of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct


class Cluster(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member of a cluster (docs/cluster.md); without this table there is one machine.

    ``address`` is where the other members reach this one, ``etcd`` lists the endpoints of etcd.
    ``ca``, ``certificate`` and ``key`` are PEM files, for both; relative ones are beside the
    configuration. ``lease_s`` is how long a leader may be without etcd; one that is silent for half
    of it is replaced. A member with ``candidate`` false never leads. What all members have is
    deleted from etcd; when more than ``log_records_max`` remain, what the majority has.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    node: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    address: Annotated[str, Meta(pattern=r"^[^\s:]+:[0-9]{1,5}$")]
    etcd: Annotated[tuple[str, ...], Meta(min_length=1, max_length=9)]
    ca: Path
    certificate: Path
    key: Path
    etcd_tls: bool = True
    etcd_user: str = ""
    etcd_password_file: Path | None = None
    lease_s: Annotated[int, Meta(ge=1, le=60)] = 2
    candidate: bool = True
    log_records_max: Annotated[int, Meta(ge=1_000, le=100_000_000)] = 200_000


def beside(cluster: Cluster, folder: Path) -> Cluster:
    """Take relative paths from the folder of the configuration."""
    password = cluster.etcd_password_file
    return msgspec.structs.replace(
        cluster,
        ca=folder / cluster.ca,
        certificate=folder / cluster.certificate,
        key=folder / cluster.key,
        etcd_password_file=None if password is None else folder / password,
    )
