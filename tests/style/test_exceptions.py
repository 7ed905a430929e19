"""Nobody decides by the words of an exception: they are for people, and change.

Who has to tell cases apart asks for a type, a code or a kind. Found are comparisons, searches
and patterns over the text of an exception that was caught or handed in: ``"x" in str(error)``,
``str(error).startswith(...)``, ``re.match(..., str(error))``, also by way of a variable.
"""

from __future__ import annotations

import ast

import pytest

from tests.style.trees import ROOT, tree

PATHS = [
    str(path.relative_to(ROOT))
    for folder in ("engine", "fix_gateway", "account_api", "config", "certification", "tandem",
                   "bots", "tools", "docs", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
]  # fmt: skip
SEARCHES = {"startswith", "endswith", "find", "rfind", "index", "count", "match", "search",
            "fullmatch", "findall"}  # fmt: skip
TEXTS = {"args", "text", "detail", "message", "msg", "strerror"}


def is_exception(annotation: ast.expr | None) -> bool:
    """Whether a parameter is an exception, by the name of its type."""
    if annotation is None:
        return False
    names = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
    return any(name.endswith(("Error", "Exception", "Problem", "Refusal")) for name in names)


def decisions(module: ast.Module) -> list[int]:
    """Lines that decide by the text of an exception."""
    found: list[int] = []
    for scope in ast.walk(module):
        if isinstance(scope, ast.ExceptHandler) and scope.name:
            found += _decisions(scope, {scope.name})
        elif isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            given = {a.arg for a in scope.args.args if is_exception(a.annotation)}
            if given:
                found += _decisions(scope, given)
    return sorted(set(found))


def _decisions(scope: ast.AST, errors: set[str]) -> list[int]:
    texts: set[str] = set()

    def is_text(node: ast.AST) -> bool:
        """Whether an expression is, or is cut out of, the text of one of the exceptions."""
        if isinstance(node, ast.Name):
            return node.id in texts
        if isinstance(node, ast.Call):
            function = node.func
            named = isinstance(function, ast.Name) and function.id in {"str", "repr"}
            if named and any(isinstance(a, ast.Name) and a.id in errors for a in node.args):
                return True
            return isinstance(function, ast.Attribute) and is_text(function.value)
        if isinstance(node, ast.Subscript):
            return is_text(node.value)
        if isinstance(node, ast.Attribute):
            owner = node.value
            return isinstance(owner, ast.Name) and owner.id in errors and node.attr in TEXTS
        return False

    for node in ast.walk(scope):
        if isinstance(node, ast.Assign) and is_text(node.value):
            texts |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    lines = []
    for node in ast.walk(scope):
        if isinstance(node, ast.Compare):
            if any(is_text(side) for side in (node.left, *node.comparators)):
                lines.append(node.lineno)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in SEARCHES and any(
                is_text(side) for side in (node.func.value, *node.args)
            ):
                lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ('if "x" in str(error): pass', True),
        ('text = str(error)\n    if "x" in text: pass', True),
        ('text = str(error)\n    if text[:3] == "abc": pass', True),
        ('done = str(error).startswith("x")', True),
        ("done = re.match('x', str(error))", True),
        ('if error.args[0] == "x": pass', True),
        ('if "x" in error.text.lower(): pass', True),
        ("if error.errno == 5: pass", False),
        ("if error.kind is Kind.ZERO: pass", False),
        ('log.error("x", reason=str(error))', False),
        ("raise Other(str(error) or 'none')", False),
    ],
)
def test_deciding_by_words_is_recognised(body: str, wrong: bool) -> None:
    caught = f"try:\n    pass\nexcept ValueError as error:\n    {body}\n"
    assert bool(decisions(ast.parse(caught))) is wrong
    handed = f"def f(error: NumberError) -> None:\n    {body}\n"
    assert bool(decisions(ast.parse(handed))) is wrong


def test_nobody_decides_by_the_words_of_an_exception() -> None:
    for path in PATHS:
        lines = decisions(tree(path))
        assert not lines, f"{path} decides by the text of an exception in line {lines}"
