"""Log files: bounded, and never in the way of the process that prints."""

from __future__ import annotations

from pathlib import Path

from tandem.output import LogFile, Output


def test_a_log_is_bounded_and_keeps_one_generation(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", bytes_max=100)
    for number in range(12):
        log.write(b"%019d\n" % number)
    log.close()
    assert (tmp_path / "x.log").read_bytes() == b"%019d\n%019d\n" % (10, 11)
    assert (tmp_path / "x.log.1").read_bytes().count(b"\n") == 5
    again = LogFile(tmp_path / "x.log", bytes_max=100)
    again.write(b"more\n")
    again.close()
    assert (tmp_path / "x.log").read_bytes().endswith(b"0011\nmore\n")


def test_a_full_disk_loses_lines_and_nothing_else() -> None:
    log = LogFile(Path("/dev/full"))
    output = Output(log)
    assert output.take(b'{"event": "ready"}\n') == {"event": "ready"}
    assert log.lines_lost == 1
    log.close()


def test_lines_that_are_not_fields_are_kept_for_the_failure_report(tmp_path: Path) -> None:
    output = Output(LogFile(tmp_path / "x.log"))
    for line in (b"Traceback\n", b"{broken\n", b"[1]\n", b"\xff\n", b"last"):
        assert output.take(line) == {}
    assert output.tail == ["Traceback", "{broken", "[1]", "\ufffd", "last"]
