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
from config.settings import Settings, SettingsError
from engine.core.events import Refused
from engine.journal.base import JournalError, JournalFailed, JournalForbidden, JournalLocked
from engine.journal.local import LocalJournal
from engine.journal.recovery import recover
from engine.journal.snapshots import SnapshotWriter
from engine.memory import Memory
from engine.server.bootstrap import bootstrap_commands, refused
from engine.server.ipc import Limits, Server
from engine.server.sequencer import Bounds, EngineStopped, Sequencer

DESCRIPTORS_OWN: Final = 64

log = get_logger("engine")


class NotServing(Exception):
    """The socket cannot be created; the message says why."""


class ConfigurationRefused(Exception):
    """The exchange would refuse the configuration; the message says each reason."""


def build(settings: Settings) -> tuple[Sequencer, LocalJournal, Server]:
    """Recover the state and wire the engine around it."""
    limits = settings.engine
    journal = LocalJournal(
        limits.journal,
        segment_records_max=limits.segment_records_max,
        on_note=lambda text: log.info("journal", note=text),
    )
    snapshots = SnapshotWriter(limits.journal / "snapshots")
    exchange, snapshot_seq = recover(
        journal,
        limits.journal / "snapshots",
        lambda text: log.warning("recovery", note=text),
        lambda done, total: log.info("recovery", replayed=done, of=total),
    )
    snapshots.last_seq = snapshot_seq
    log.info("recovered", seq=exchange.seq, from_snapshot=snapshot_seq)
    reasons = refused(settings, exchange)
    if reasons:
        journal.close()
        listed = "\n".join(f"  {reason}" for reason in reasons)
        raise ConfigurationRefused(f"{settings.file} cannot be used with this journal:\n{listed}")
    bounds = Limits(limits.clients_max, limits.client_queue_bytes_max, limits.frame_bytes_max)
    try:
        server = Server(limits.socket, bounds)
    except (OSError, ValueError) as error:
        if no_space(error):
            raise
        raise NotServing(f"the socket {limits.socket} cannot be used: {error}") from error
    sequencer = Sequencer(
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
    )
    for command in bootstrap_commands(settings, exchange):
        transaction = sequencer.submit(command)
        for event in transaction.events if transaction else ():
            if isinstance(event, Refused):
                text = f"{event.subject}: {event.text}, although the dry run accepted it"
                raise EngineStopped("fault", text)
    return sequencer, journal, server


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
    sequencer, journal, server = build(settings)

    def stop(number: int, frame: FrameType | None) -> None:
        sequencer.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    awake = Awake()
    if settings.engine.keep_awake:
        awake.start()
    log.info("ready", socket=str(settings.engine.socket), seq=journal.last_seq)
    sequencer.run()
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
            code = EXIT_UNAVAILABLE if error.kind == "journal" else EXIT_FAULT
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
