"""What all tests share. A venue, an engine or a gateway has its fixtures beside its tests.

Limits of time are scaled by how slow it is here (``tests/support/pace.py``). What failed and what
was tried again is named at the end (``tests/support/summary.py``). A test that uses a fixture that
others use too is never tried again, for a second try would judge the same results, or a venue that
the first try has left behind.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

from tests.support import pace, summary

ROOT = Path(__file__).parent.parent
WHOLE_FILES = ("fix", "api", "crash", "certification", "docs", "tandem", "unit", "golden",
               "cluster")  # fmt: skip
"""Folders whose files start processes, or are many and short: the tests of such a file stay on one
worker."""
WHOLE_FOLDERS = ("clients", "page", "style")
"""Folders whose files share one venue, or the syntax trees of all sources: all their tests stay
on one worker."""
FIRST = ("serial", "venues", "page", "cluster", "tests/docs/test_pages.py", "certification",
         "schemathesis", "site", "benchmarks", "fix", "docs")  # fmt: skip
"""Groups and folders that take long, the longest first: short tests fill up the end."""
LAST = ("style", "golden", "property", "differential", "unit")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while tests are: there is none. What they are made of stays to the end,
    and every later round of the collector would walk all of it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """Group tests for xdist: serial ones together, others as they are marked, else by file.

    Where several workers share them, what takes long is begun first.
    """
    groups = {item: _group(item) for item in items}
    for item, group in groups.items():
        if group:
            item.add_marker(pytest.mark.xdist_group(group))
        if shares_a_fixture(item):
            item.add_marker(pytest.mark.flaky(reruns=0), append=False)
    yield
    if not getattr(config.option, "loadgroup", False):
        return
    for item, group in groups.items():
        # xdist 3.8 appends the group to an attribute that pytest 9.2 does not read any more;
        # without this the tests of a group would be spread over the workers, in silence.
        if group and not item.nodeid.endswith(f"@{group}") and hasattr(item, "_id"):
            item._id = type(item._id).parse(f"{item.nodeid}@{group}")
    items.sort(key=lambda item: _rank(item, groups[item]))


def _group(item: pytest.Item) -> str:
    folder = item.path.relative_to(ROOT / "tests").parts[0]
    if item.get_closest_marker("serial"):
        return "serial"
    if marker := item.get_closest_marker("xdist_group"):
        return str(marker.args[0])
    if folder in WHOLE_FOLDERS:
        return folder
    return str(item.path.relative_to(ROOT)) if folder in WHOLE_FILES else ""


def _rank(item: pytest.Item, group: str) -> int:
    folder = item.path.relative_to(ROOT / "tests").parts[0]
    for name in (group, folder):
        if name in FIRST:
            return FIRST.index(name)
        if name in LAST:
            return len(FIRST) + 1 + LAST.index(name)
    return len(FIRST)


def shares_a_fixture(item: pytest.Item) -> bool:
    """Whether a fixture of ours that a test uses is made once for several tests."""
    info = getattr(item, "_fixtureinfo", None)
    definitions = info.name2fixturedefs if info is not None else {}
    return any(
        last.scope != "function" and last.baseid and name != "root"
        for name, (*_, last) in definitions.items()
    )


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


# How slow it is here.


def pytest_configure(config: pytest.Config) -> None:
    """Measure before modules are read, some of which keep a margin.

    How long an example takes depends on what else runs here, and is no ground for a failure.
    """
    settings.register_profile(
        "anywhere", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("anywhere")
    pace.keep()


def pytest_report_header() -> str:
    return (
        f"pace: things take {pace.measured():.1f} times as long as on the reference machine, "
        f"margins of time are {pace.factor():.1f} times as wide"
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure now and then, and scale the limit of each test."""
    pace.keep()
    marker = item.get_closest_marker("timeout")
    limit = float(marker.args[0] if marker else item.config.getini("timeout"))
    item.add_marker(pytest.mark.timeout(pace.seconds(limit)), append=False)
    return (yield)


# What went wrong.


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: TerminalReporter) -> Generator[None]:
    """Show the first failure of what was tried again; at the very end, the names of all."""
    first: dict[str, pytest.TestReport] = {}
    for report in terminalreporter.stats.get("rerun", ()):
        first.setdefault(report.nodeid, report)
    if first:
        terminalreporter.section("tried again: a fault to be found")
    for nodeid, report in first.items():
        terminalreporter.write_line(f"{nodeid}, {report.when}:", bold=True)
        terminalreporter.write_line(report.longreprtext)
    yield
    lines = summary.last_lines(terminalreporter.stats)
    if lines:
        terminalreporter.section("what went wrong")
    for line in lines:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT
