"""The projector process: ``python -m engine.history.main [--rebuild]``. Wiring only."""

from __future__ import annotations

import argparse
import signal
import sys

from prometheus_client import CollectorRegistry, ProcessCollector
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from config.control import ControlServer, socket_path
from config.health import health_verb
from config.process import EXIT_CONFIGURATION, Failure, get_logger, run, start_failure
from config.settings import Settings
from engine.client import EngineUnavailable
from engine.history.fold import HistoryFault
from engine.history.follow import CannotFollow, Follower
from engine.history.metrics import HistoryMetrics
from engine.history.projector import Projector
from engine.history.store import StoreError, open_writer

log = get_logger(process="history")


def explain(error: Exception) -> Failure | None:
    """What an error means that only this process knows."""
    return Failure(EXIT_CONFIGURATION, str(error)) if isinstance(error, StoreError) else None


def serve(settings: Settings, rebuild: bool) -> int:
    """Follow the engine until SIGTERM or SIGINT; the exit code."""
    try:
        # Tables of an older version do not prevent a rebuild.
        projector = Projector(open_writer(settings.history.url), any_version=rebuild)
    except (OSError, SQLAlchemyError) as error:
        code, reason = start_failure(error, settings.data)
        log.critical("not_started", reason=f"the history cannot be opened: {reason}")
        return code
    follower = Follower(str(settings.engine.socket), projector, log)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: follower.stop())
    try:
        if rebuild:
            follower.rebuild()
            log.info("rebuilding")
        url = make_url(settings.history.url).render_as_string(hide_password=True)
        log.info("ready", url=url, last_seq=projector.last_seq)
        registry = CollectorRegistry()
        registry.register(HistoryMetrics(projector))
        ProcessCollector(registry=registry)
        control = ControlServer(
            socket_path(settings.data, "history"), registry,
            health_verb(lambda: (projector.last_seq, follower.trouble)),
        )  # fmt: skip
        control.start()
        follower.run()
        control.close()
    except (CannotFollow, EngineUnavailable, HistoryFault) as error:
        log.error("stopped", reason=str(error), last_seq=projector.last_seq)
        return 1
    log.info("ended", last_seq=projector.last_seq)
    return 0


def main() -> int:
    """Run until SIGTERM or SIGINT; the exit code.

    0 after a clean stop, 1 after a fault, 2 for a wrong configuration, 4 if its database, its
    disk or the engine is unavailable at the start.
    """
    parser = argparse.ArgumentParser(prog="python -m engine.history.main")
    parser.add_argument(
        "--rebuild",
        action="store_true",
        help="forget the history and make it again from the engine's first transaction",
    )
    arguments = parser.parse_args()
    return run(lambda settings: serve(settings, arguments.rebuild), log, explain)


if __name__ == "__main__":
    sys.exit(main())
