"""Some processes of ``tandem up``, under its supervisor: ``python -m tests.prove.cluster.box``.

A whole venue on each of three machines takes more than two cores have; what a proof does not use
is left out.
"""

from __future__ import annotations

import signal
import sys

from config.settings import ensure_data, load
from tandem import up
from tandem.processes import venue_processes
from tandem.supervisor import StartError, Supervisor


def main() -> int:
    """Supervise until SIGTERM; 1 when something does not start."""
    settings = load()
    ensure_data(settings)
    chosen = [process for process in venue_processes() if process.name in sys.argv[1:]]
    environment = up.environment(None, None) | {"PYTHONUNBUFFERED": "1"}

    def say(name: str, text: str) -> None:
        print(f"{name}: {text}", flush=True)

    lock = up.hold(settings.data)
    supervisor = Supervisor(chosen, environment, settings.data / "log", say)
    signal.signal(signal.SIGTERM, lambda *_: supervisor.request_stop())
    code = 0
    try:
        if supervisor.start():
            say("box", "ready")
            supervisor.watch()
    except StartError as error:
        say("box", str(error))
        code = 1
    supervisor.stop()
    lock.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
