"""Margins of time come from ``tests/support/pace.py``, so that a slow machine fails no test."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.style.trees import ROOT, tree

LEFT_OUT = {"prove", "differential"}
"""Long forms with bounds of their own, which are part of what they prove."""
PATHS = [
    str(path.relative_to(ROOT))
    for path in sorted((ROOT / "tests").rglob("*.py"))
    if path.relative_to(ROOT / "tests").parts[0] not in LEFT_OUT
]
BY_NAME = {
    "wait", "join", "acquire", "result", "communicate", "run", "check_output", "urlopen",
    "create_connection", "get", "post", "request", "wait_for",
}  # fmt: skip
"""What waits for as long as its ``timeout`` says."""
FIRST = {"wait", "join", "settimeout", "timeout", "result"}
"""What waits for as long as its first argument says; ``wait_for`` and others, its second."""
SECOND = {"wait_for", "create_connection"}
PATIENCE = {"patience_s", "venue_s", "way_s"}
"""How long the certifier waits for a client and for a venue."""
CLIENTS = {"EngineClient", "DirectEngineClient", "AsyncEngineClient"}
"""What waits for as long as a default of the product says, unless it is told otherwise."""
MARGIN_S_MIN = 1.0
"""Less than that is a moment in which nothing shall happen."""


def fixed(node: ast.expr) -> bool:
    """Whether this is a margin that is the same on every machine."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) and node.value >= MARGIN_S_MIN
    return isinstance(node, ast.Name) and node.id.isupper() and node.id.endswith("_S")


def margins(module: ast.Module) -> Iterator[int]:
    """Lines that wait for as long as a constant says."""
    paced = {
        target.id for node in module.body if isinstance(node, ast.Assign)
        and ast.unparse(node.value).startswith("pace.")
        for target in node.targets if isinstance(target, ast.Name)
    }  # fmt: skip
    marks = {
        id(node) for top in ast.walk(module) if isinstance(top, ast.Call)
        and ast.unparse(top.func).startswith(("pytest.mark", "pace."))
        for node in ast.walk(top)
    }  # fmt: skip
    for node in ast.walk(module):
        if id(node) in marks:
            continue
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            if ast.unparse(node.left) == "time.monotonic()" and fixed(node.right):
                yield node.lineno
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Lt | ast.LtE):
            # Within how long something must have happened.
            most = node.comparators[0]
            whole = isinstance(most, ast.BinOp) and isinstance(most.op, ast.Add)
            parts = [most.left, most.right] if whole else [most]  # type: ignore[attr-defined]
            words = [ast.unparse(part) for part in parts]
            scaled = any(word.startswith("pace.") or word in paced for word in words)
            since = ast.unparse(node.left).startswith("time.monotonic() - ")
            if since and not scaled and any(map(fixed, parts)):
                yield node.lineno
        # A clock of its own is a clock that the test moves.
        if not isinstance(node, ast.Call) or any(word.arg == "clock" for word in node.keywords):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in CLIENTS and all(word.arg != "timeout_s" for word in node.keywords):
            yield node.lineno
        waits = [word.value for word in node.keywords
                 if word.arg == "timeout" and name in BY_NAME or word.arg in PATIENCE]  # fmt: skip
        waits += node.args[:1] if name in FIRST else node.args[1:2] if name in SECOND else []
        if any(fixed(value) for value in waits):
            yield node.lineno


def test_fixed_margins_are_recognised() -> None:
    for text in (
        "deadline = time.monotonic() + 20", "x.wait(5)", "thread.join(10)", "x.wait(timeout=5)",
        "subprocess.run(command, timeout=60)", "asyncio.timeout(WAIT_S)", "s.settimeout(5)",
        "asyncio.wait_for(x, 20)", "requests.get(url, timeout=10)", "EngineClient(path, 'a')",
        "assert time.monotonic() - began < 12", "bench(lane, folder, patience_s=PATIENCE_S)",
    ):  # fmt: skip
        assert list(margins(ast.parse(text))), text
    for text in (
        "time.monotonic() + pace.seconds(20)", "x.wait(0.05)", "x.wait(pace.seconds(5))",
        "pytest.mark.timeout(200)", "names.get(1)", "', '.join(names)",
        "EngineClient(path, 'a', timeout_s=pace.seconds(5))",
        "assert time.monotonic() - began < BEATS_S + pace.seconds(2)",
        "LATE_S = pace.seconds(3)\nassert time.monotonic() - began < LATE_S",
    ):  # fmt: skip
        assert not list(margins(ast.parse(text))), text


def test_no_test_waits_for_as_long_as_a_constant_says() -> None:
    for path in PATHS:
        found = list(margins(tree(path)))
        assert not found, f"{path}:{found[0]} waits for a fixed time; write pace.seconds(…)"
