"""What ``tandem cluster`` does: begin a cluster, show it, move the lead, remove a member."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from config.settings import Cluster, Settings
from engine.cluster import assembly
from engine.cluster.etcd import EtcdError
from engine.cluster.log import Head, LogError
from engine.cluster.members import Member
from engine.journal import segment
from tandem.output import CommandError
from tandem.tables import show

SWITCH_S: Final = 10.0
WANTED_S: Final = 5
POLL_S: Final = 0.02


@contextmanager
def _of(settings: Settings) -> Iterator[Cluster]:
    """Yield the table [cluster]; what etcd says is for the user. Raises CommandError."""
    if settings.cluster is None:
        raise CommandError(f"{settings.file} has no table [cluster]: this is a single machine")
    try:
        yield settings.cluster
    except (EtcdError, LogError) as error:
        raise CommandError(str(error)) from None


def init(settings: Settings) -> None:
    """Begin the log where the journal of this member ends. Raises CommandError."""
    with _of(settings) as cluster:
        paths = segment.segment_paths(settings.engine.journal)
        seq, crc = 0, 0
        if paths:
            connection = segment.open_reading(paths[-1])
            try:
                meta = segment.read_meta(connection, paths[-1])
                seq, crc = segment.last_record(connection, meta, paths[-1])
            finally:
                connection.close()
        assembly.log_of(cluster).create(Head(0, seq, crc))
        what = f"behind seq {seq} of this member's journal" if seq else "empty"
        print(f"The log of the cluster {cluster.name} begins, {what}. Start its members now.")


def status(settings: Settings, as_json: bool) -> None:
    """Print the members and the size of the log. Raises CommandError."""
    with _of(settings) as cluster:
        leader = assembly.tenure_of(cluster).leader()
        members = assembly.members_of(cluster).list()
        etcd_log = assembly.log_of(cluster)
        head, size = etcd_log.head(), etcd_log.size()
    if head is None:
        raise CommandError(
            f"etcd has no log of the cluster {cluster.name}; `tandem cluster init` begins it"
        )
    configured = {one.node: one.configuration for one in members}
    rows = []
    for one in members:
        leads = leader is not None and leader.node == one.node
        had = one.progress
        role = "away" if had is None else ("leader" if leads else "follower")
        rows.append([
            one.node, one.address, role,
            *(("", "", "") if had is None else
              (str(had.seq), str(had.flushed), str(max(0, head.seq - had.seq)))),
            _note(one, configured.get("" if leader is None else leader.node)),
        ])  # fmt: skip
    columns = ("node", "address", "role", "seq", "on_disk", "behind", "note")
    title = (
        f"Cluster {cluster.name}: epoch {head.epoch}, seq {head.seq}; etcd holds "
        f"{size.records} transactions, {size.bytes / 1e6:.1f} MB"
    )
    show(title, columns, rows, as_json)
    if leader is None and not as_json:
        raise CommandError("nobody leads: expected a majority of etcd and a member with the log")


def _note(member: Member, configuration: str | None) -> str:
    notes = [] if member.candidate else ["does not stand for leadership"]
    if configuration is not None and member.configuration != configuration:
        notes.append("has another configuration than the leader")
    return ", ".join(notes)


def switch(settings: Settings, node: str) -> None:
    """Have ``node`` lead, and wait until it does. Raises CommandError."""
    with _of(settings) as cluster:
        tenure, members = assembly.tenure_of(cluster), assembly.members_of(cluster)
        leader = tenure.leader()
        able = {
            one.node: one.progress.seq
            for one in members.list()
            if one.candidate and one.progress is not None
        }
        if leader is not None:
            if leader.node == node:
                print(f"{node} leads already.")
                return
            able.pop(leader.node, None)
        if not able or (node and node not in able):
            wanted = node or "another member"
            raise CommandError(f"{wanted} cannot lead: it is not there, or no candidate")
        node = node or max(able, key=lambda name: able[name])
        started = time.monotonic()
        members.want(node, WANTED_S)
        while (found := tenure.leader()) is None or found.node != node:
            if time.monotonic() - started > SWITCH_S:
                raise CommandError(f"{node} does not lead after {SWITCH_S:.0f} s; see its log")
            time.sleep(POLL_S)
        print(f"{node} leads, {time.monotonic() - started:.2f} s after the command.")


def remove(settings: Settings, node: str) -> None:
    """Take a member out. Raises CommandError for one that is there."""
    with _of(settings) as cluster:
        members = assembly.members_of(cluster)
        every = {one.node: one for one in members.list()}
        if node not in every:
            known = ", ".join(every)
            raise CommandError(f"the cluster has no member {node}; its members are {known}")
        if every[node].progress is not None:
            raise CommandError(f"{node} is running; stop it before it is removed")
        members.remove(node)
        print(f"{node} is no member any more.")
