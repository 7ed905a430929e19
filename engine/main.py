"""The engine process: wire the parts, recover, submit the configuration, serve.

Configuration comes from TANDEM_CONFIG and TANDEM_DATA; there are no options. Exit codes:
0 a clean stop, 2 a wrong configuration or a folder in use, 3 the journal cannot be trusted,
4 the disk is full or fails, at the start too, 5 a fault of the engine.
"""

from __future__ import annotations

import gc
import resource
import secrets
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final

from config.awake import Awake
from config.process import (
    EXIT_CONFIGURATION,
    EXIT_DAMAGED,
    EXIT_FAULT,
    EXIT_UNAVAILABLE,
    Failure,
    get_logger,
    no_space,
    run,
    start_failure,
)
from config.settings import Cluster, Settings, SettingsError
from engine.cluster import assembly
from engine.cluster.journal import MemberJournal
from engine.cluster.member import Member
from engine.core.commands import Command
from engine.core.events import Refused
from engine.core.exchange import Exchange
from engine.journal.base import JournalError, JournalFailed, JournalForbidden, JournalLocked
from engine.journal.local import LocalJournal
from engine.journal.recovery import recover
from engine.journal.snapshots import SnapshotWriter
from engine.memory import Memory
from engine.server.bootstrap import bootstrap_commands, digest, refused
from engine.server.following import Following
from engine.server.ipc import Limits, Server
from engine.server.sequencer import Sequencer, clock_us
from engine.server.tcp import TcpListener
from engine.server.terms import Bounds, EngineStopped

DESCRIPTORS_OWN: Final = 64

log = get_logger("engine")


class NotServing(Exception):
    """The socket cannot be created; the message says why."""


class ConfigurationRefused(Exception):
    """The exchange would refuse the configuration; the message says each reason."""


def build(settings: Settings) -> tuple[Sequencer, LocalJournal, Server]:
    """Recover the state and wire the engine of a single machine around it."""
    limits = settings.engine
    journal = LocalJournal(
        limits.journal,
        segment_records_max=limits.segment_records_max,
        on_note=lambda text: log.info("journal", note=text),
    )
    exchange, snapshots = _recovered(settings, journal)
    _check(settings, exchange, journal)
    server = _server(settings, None)
    sequencer = _sequencer(settings, exchange, journal, server, snapshots, None)
    for command in bootstrap_commands(settings, exchange):
        _submit(sequencer, command)
    return sequencer, journal, server


def build_member(
    settings: Settings, cluster: Cluster
) -> tuple[Member, Sequencer, LocalJournal, Server]:
    """Recover the state and wire a member of a cluster around it; it begins as a follower."""
    limits = settings.engine
    journal = MemberJournal(
        limits.journal,
        segment_records_max=limits.segment_records_max,
        on_note=lambda text: log.info("journal", note=text),
        copy=True,
    )
    exchange, snapshots = _recovered(settings, journal)
    if exchange.seq:
        _check(settings, exchange, journal)
    server = _server(settings, assembly.listener(cluster))
    parts = assembly.parts(cluster, journal, server, digest(settings))
    sequencer = _sequencer(
        settings, exchange, journal, server, snapshots, parts.relay, parts.watch.clock
    )

    def configure() -> None:
        _check(settings, exchange, journal)
        for command in bootstrap_commands(settings, exchange):
            _submit(sequencer, command)

    return Member(sequencer, journal, parts, configure), sequencer, journal, server


def _recovered(settings: Settings, journal: LocalJournal) -> tuple[Exchange, SnapshotWriter]:
    folder = settings.engine.journal / "snapshots"
    snapshots = SnapshotWriter(folder)
    exchange, snapshots.last_seq = recover(
        journal,
        folder,
        lambda text: log.warning("recovery", note=text),
        lambda done, total: log.info("recovery", replayed=done, of=total),
    )
    log.info("recovered", seq=exchange.seq, from_snapshot=snapshots.last_seq)
    return exchange, snapshots


def _check(settings: Settings, exchange: Exchange, journal: LocalJournal) -> None:
    """Raise ConfigurationRefused if the exchange would refuse a part of the configuration."""
    reasons = refused(settings, exchange)
    if reasons:
        journal.close()
        listed = "\n".join(f"  {reason}" for reason in reasons)
        raise ConfigurationRefused(f"{settings.file} cannot be used with this journal:\n{listed}")


def _server(settings: Settings, tcp: TcpListener | None) -> Server:
    limits = settings.engine
    bounds = Limits(limits.clients_max, limits.client_queue_bytes_max, limits.frame_bytes_max)
    try:
        return Server(limits.socket, bounds, tcp)
    except (OSError, ValueError) as error:
        if no_space(error):
            raise
        raise NotServing(f"the socket {limits.socket} cannot be used: {error}") from error


def _sequencer(
    settings: Settings,
    exchange: Exchange,
    journal: LocalJournal,
    server: Server,
    snapshots: SnapshotWriter,
    following: Following | None,
    clock: Callable[[], int] = clock_us,
) -> Sequencer:
    limits = settings.engine
    return Sequencer(
        exchange,
        journal,
        server,
        snapshots,
        boot_id=secrets.token_hex(8),
        bounds=Bounds(
            batch_max=limits.batch_max,
            snapshot_every=limits.snapshot_every,
            min_seq_wait_ms_max=limits.min_seq_wait_ms_max,
        ),
        memory=Memory(exchange.seq),
        following=following,
        clock=clock,
    )


def _submit(sequencer: Sequencer, command: Command) -> None:
    transaction = sequencer.submit(command)
    for event in transaction.events if transaction else ():
        if isinstance(event, Refused):
            text = f"{event.subject}: {event.text}, although the dry run accepted it"
            raise EngineStopped("fault", text)


def prepare_process(settings: Settings) -> None:
    """Turn off automatic garbage collection; raise the limit of open files as configured."""
    gc.disable()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.engine.clients_max + DESCRIPTORS_OWN
    if soft < wanted <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def serve(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    prepare_process(settings)
    member: Member | None = None
    journal: LocalJournal
    if settings.cluster is None:
        sequencer, journal, server = build(settings)
    else:
        member, sequencer, journal, server = build_member(settings, settings.cluster)

    def stop(number: int, frame: FrameType | None) -> None:
        sequencer.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    awake = Awake()
    if settings.engine.keep_awake:
        awake.start()

    def ready() -> None:
        log.info("ready", socket=str(settings.engine.socket), seq=journal.last_seq)

    if member is None:
        ready()
        sequencer.run()
    else:
        try:
            member.run(ready)
        finally:
            member.close()
    awake.close()
    server.close()
    sequencer.close()
    journal.close()
    log.info("stopped", seq=journal.last_seq)
    return 0


def explain(error: Exception) -> Failure | None:
    """What an error means: whom it needs, and whether trying again may help."""
    match error:
        case JournalLocked() | JournalForbidden() | NotServing() | ConfigurationRefused():
            return Failure(EXIT_CONFIGURATION, str(error))
        case SettingsError():
            return None
        case JournalFailed():
            return Failure(EXIT_UNAVAILABLE, str(error), "journal_failed")
        case JournalError():
            return Failure(EXIT_DAMAGED, str(error), "journal_not_usable")
        case EngineStopped():
            code = EXIT_FAULT if error.kind == "fault" else EXIT_UNAVAILABLE
            return Failure(code, str(error), "engine_stopped", {"kind": error.kind})
        case OSError():
            return Failure(*start_failure(error), "engine_stopped", {"kind": "system"})
    more = {"kind": "fault", "exc_info": error}
    return Failure(EXIT_FAULT, str(error), "engine_stopped", more)


def main() -> int:
    """Entry point of ``python -m engine.main``."""
    return run(serve, log, explain, "engine_not_started")


if __name__ == "__main__":
    sys.exit(main())
