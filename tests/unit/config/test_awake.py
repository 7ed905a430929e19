"""The processors of the machine are kept awake while somebody asks for it, and not longer."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from config.awake import DEVICE, Awake

pytestmark = pytest.mark.serial  # There is one device for the whole machine.
ROOT = Path(__file__).parents[3]
needs_the_device = pytest.mark.skipif(
    not os.access(DEVICE, os.R_OK | os.W_OK), reason=f"{DEVICE} cannot be opened here"
)


def effective_us() -> int:
    """What the kernel says that waking up may take, for all who ask for something."""
    number = os.open(DEVICE, os.O_RDWR)
    try:
        (value,) = struct.unpack("=i", os.read(number, 4))
    finally:
        os.close(number)
    return int(value)


def test_it_asks_for_no_latency_and_holds_on_to_it_until_it_is_closed(tmp_path: Path) -> None:
    device = tmp_path / "device"
    device.touch()

    def holders() -> list[str]:
        names = os.listdir("/proc/self/fd")
        return [n for n in names if os.path.realpath(f"/proc/self/fd/{n}") == str(device)]

    awake = Awake(device)
    with capture_logs() as logs:
        awake.start()
    assert device.read_bytes() == bytes(4)
    assert len(holders()) == 1
    assert [line["event"] for line in logs] == ["processors_kept_awake"]
    awake.close()
    awake.close()
    assert not holders()


@pytest.mark.parametrize("kind", ["missing", "a folder", "full"])
def test_where_it_may_not_it_says_why_in_a_sentence_and_goes_on(tmp_path: Path, kind: str) -> None:
    # The last one can be opened and refuses what is written.
    device = {"missing": tmp_path / "none", "a folder": tmp_path, "full": Path("/dev/full")}[kind]
    before = os.listdir("/proc/self/fd")
    awake = Awake(device)
    with capture_logs() as logs:
        awake.start()
    assert len(os.listdir("/proc/self/fd")) == len(before)
    awake.close()
    (line,) = logs
    assert line["event"] == "processors_not_kept_awake"
    assert line["log_level"] == "warning"
    assert str(device) in line["reason"]
    assert "docs/deployment.md" in line["reason"]


@needs_the_device
def test_the_kernel_takes_the_request_and_forgets_it() -> None:
    before = effective_us()
    awake = Awake()
    awake.start()
    try:
        assert effective_us() == 0
    finally:
        awake.close()
    # Somebody else may ask for the same; then nothing changes.
    assert effective_us() == before


@needs_the_device
def test_the_kernel_forgets_it_when_the_process_is_killed() -> None:
    before = effective_us()
    program = "from config.awake import Awake; Awake().start(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert b"processors_kept_awake" in process.stdout.readline()
        assert effective_us() == 0
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert effective_us() == before


@pytest.mark.parametrize("asked", [True, False])
def test_the_engine_asks_when_the_configuration_does(tmp_path: Path, asked: bool) -> None:
    text = (ROOT / "config" / "demo.toml").read_text()
    setting = f"[engine]\nkeep_awake = {str(asked).lower()}\n\n[fix]"
    (tmp_path / "venue.toml").write_text(text.replace("[fix]", setting, 1))
    environment = os.environ | {
        "TANDEM_CONFIG": str(tmp_path / "venue.toml"), "TANDEM_DATA": str(tmp_path / "data"),
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "engine.main"], cwd=ROOT, env=environment,
        stderr=subprocess.PIPE, text=True,
    ) as engine:  # fmt: skip
        assert engine.stderr is not None
        events = []
        for line in engine.stderr:
            events.append(json.loads(line)["event"])
            if events[-1] == "ready":
                break
        engine.terminate()
        engine.stderr.read()
    assert engine.returncode == 0
    assert events[-1] == "ready"
    said = {"processors_kept_awake", "processors_not_kept_awake"} & set(events)
    assert len(said) == asked
