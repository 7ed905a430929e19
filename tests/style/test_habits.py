"""Habits that a reader relies on: short files and functions, one clock, no leftovers."""

from __future__ import annotations

import ast
import re

from certification.scenarios.edition import EDITION
from certification.scenarios.programme import edition
from certification.scenarios.scenario import load
from tests.style.trees import ROOT, tree

OURS = ("engine", "fix_gateway", "account_api", "config", "certification", "tandem", "bots")
FILE_LINES_MAX = 450
FUNCTION_LINES_MAX = 80
"""The aim is 70; a hot path may take a few more rather than pay for a call."""
CLOCKS = {"time", "time_ns", "now", "utcnow", "today", "gmtime", "localtime", "clock_gettime"}
VOCABULARY = {f"engine/core/{name}.py" for name in ("types", "commands", "events")}
LEFTOVERS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
PATHS = [
    str(path.relative_to(ROOT))
    for package in OURS
    for path in sorted((ROOT / package).rglob("*.py"))
]


def test_files_and_functions_are_short() -> None:
    for path in PATHS:
        lines = (ROOT / path).read_text(encoding="utf-8").count("\n")
        # The vocabulary is lists, not logic; it is read by looking things up.
        if path not in VOCABULARY:
            assert lines <= FILE_LINES_MAX, f"{path} has {lines} lines"
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                assert length <= FUNCTION_LINES_MAX, f"{path}: {node.name} has {length} lines"


def clock_reads(module: ast.Module) -> list[int]:
    """Lines that use a wall clock: ``time.time()``, ``datetime.now()`` or an imported name.

    A monotonic clock measures a timeout and can change no outcome, so it is not meant.
    """
    imported = {
        alias.asname or alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
        if alias.name in CLOCKS
    }
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute):
            value = node.value
            owner = value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")
            if node.attr in CLOCKS and owner in {"time", "datetime", "date"}:
                found.append(node.lineno)
        elif isinstance(node, ast.Name) and node.id in imported:
            found.append(node.lineno)
    return found


def test_clock_reads_are_recognised() -> None:
    for text in (
        "import time\ntime.time_ns()",
        "from time import time_ns\ntime_ns()",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime\nx = datetime.now",
    ):
        assert clock_reads(ast.parse(text)), text
    assert not clock_reads(ast.parse("self.time\nevent.time_us"))


def test_only_the_sequencer_reads_the_clock() -> None:
    for path in [p for p in PATHS if p.startswith("engine/")]:
        if path != "engine/server/sequencer.py":
            found = clock_reads(tree(path))
            assert not found, f"{path} reads the clock; time comes with the command"


def test_no_leftovers_and_no_swallowed_exceptions() -> None:
    for path in PATHS:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not LEFTOVERS.search(text), f"{path} has a leftover"
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{path}:{node.lineno} catches everything"
                broad = isinstance(node.type, ast.Name) and node.type.id in {
                    "Exception", "BaseException",
                }  # fmt: skip
                empty = all(isinstance(line, ast.Pass) for line in node.body)
                assert not (broad and empty), f"{path}:{node.lineno} swallows every exception"


def test_the_core_computes_in_integers() -> None:
    for path in [p for p in PATHS if p.startswith("engine/core/")]:
        for node in ast.walk(tree(path)):
            line = f"{path}:{getattr(node, 'lineno', 0)}"
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), line
            assert not (isinstance(node, ast.Name) and node.id in {"float", "Decimal"}), line
            assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)), line


MACHINE = re.compile(r"(?<![\w.:/<-])/(?:work|root|home)/|\bpypi\.(?:org|python)|\bregistry\.npm")
TEXTS = [
    path
    for folder in (*OURS, "spec", "tests", "benchmarks", "docs", ".ci", ".")
    for path in sorted((ROOT / folder).glob("*" if folder == "." else "**/*"))
    if path.suffix in {".py", ".md", ".toml", ".cfg", ".yaml", ".txt", ".conf", ""}
    and path.is_file()
    and path.name != ".git"  # A file in a further worktree of Git, which says where the first is.
]


def test_the_edition_names_the_scenarios_that_are_there() -> None:
    """A certificate says with it that its cases were those of the release."""
    assert edition(load()) == EDITION, "the scenarios have changed: run `make documents`"


def test_the_project_names_no_machine() -> None:
    """Whoever clones it has other folders and other mirrors."""
    assert len(TEXTS) > 100
    assert MACHINE.search("see " + "/wo" + "rk/main") and not MACHINE.search("data/work/x")
    for path in TEXTS:
        found = MACHINE.search(path.read_text(encoding="utf-8", errors="replace"))
        assert not found, f"{path.relative_to(ROOT)} names {found and found.group()}"
