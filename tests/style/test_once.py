"""Names that others see are written once: of metrics, of environment variables, of errors."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from typing import Final

from account_api.errors import CATALOGUE
from tests.style.test_layers import OURS, sources
from tests.style.trees import ROOT, tree

OWN_NAME: Final = re.compile(r"(TANDEM_[A-Z_]+|tandem[_.][a-z_]*[a-z])\Z")
"""An environment variable, a metric, or a key under which something of ours is kept."""
IN_DOCUMENTS: Final = re.compile(r"\btandem_[a-z_]+[a-z]\b")
SUFFIXES: Final = re.compile(r"_(total|bucket|count|sum)\Z")
COMPOSED: Final = re.compile(r"tandem_[a-z_]+_\Z")
"""The beginning of metrics that are named in a table: tandem_engine_, tandem_fix_session_."""


@cache
def literals() -> dict[str, list[str]]:
    """Each string of the product's code, docstrings apart, with where it is written."""
    found = defaultdict(list)
    for path in (path for package in OURS for path in sources(package)):
        module = tree(str(path.relative_to(ROOT)))
        said = {
            id(node.value) for node in ast.walk(module)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }  # fmt: skip
        for node in ast.walk(module):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if id(node) not in said:
                    found[node.value].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def test_a_name_that_others_see_is_written_once() -> None:
    names = {name: places for name, places in literals().items() if OWN_NAME.match(name)}
    assert len(names) > 30
    assert {name: places for name, places in names.items() if len(places) > 1} == {}


def test_documents_name_metrics_that_are_defined() -> None:
    written = literals()
    packages = {"tandem_client", "tandem_ccxt"}
    known = {name for name in written if OWN_NAME.match(name)} | packages
    begun = tuple(name for name in written if COMPOSED.match(name))
    assert begun
    documents = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    for path in documents:
        for name in IN_DOCUMENTS.findall(path.read_text(encoding="utf-8")):
            defined = SUFFIXES.sub("", name)
            assert {name, defined} & known or name.startswith(begun), f"{path.name}: {name}"


def test_an_error_is_raised_by_a_code_of_the_catalogue() -> None:
    """A code of its own would be a KeyError at the moment it is to be told."""
    raised = 0
    for path in sources("account_api"):
        for node in ast.walk(tree(str(path.relative_to(ROOT)))):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if called and node.func.id == "Problem":  # type: ignore[union-attr]
                code = node.args[0] if node.args else None  # type: ignore[union-attr]
                if isinstance(code, ast.Constant):
                    raised += 1
                    assert code.value in CATALOGUE, f"{path}:{node.lineno}"  # type: ignore[union-attr]
    assert raised > 50
