"""Who may import whom: the law of the house, read from the syntax trees of the sources."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Set
from functools import cache
from pathlib import Path

import pytest

from tests.style.trees import ROOT, tree

OURS = ("engine", "fix_gateway", "account_api", "config", "certification", "tandem", "bots")
CORE_STDLIB = {
    "__future__", "bisect", "collections", "dataclasses", "enum", "functools", "hashlib",
    "heapq", "itertools", "json", "math", "operator", "re", "struct", "types", "typing",
}  # fmt: skip
CORE_LIBRARIES = {"sortedcontainers", "msgspec"}
GATEWAY_MAY = (
    "engine.client", "engine.history", "engine.history.reader", "engine.history.postings",
    "engine.history.rows",
    "engine.core.types", "engine.core.commands", "engine.core.events",
    "engine.core.instruments", "engine.core.authority",
    "engine.market_data.book", "engine.market_data.day", "engine.market_data.market",
)  # fmt: skip
MARKET_DATA_MAY = {
    "engine.core.types", "engine.core.events", "engine.core.instruments",
    "engine.market_data.book", "engine.market_data.day",
}
"""Of ours what the room of the public market may import; of others the standard library of the
core and its libraries."""
CLUSTER_MAY = {"engine.wire", "engine.queries", "engine.cluster", "engine.journal", "engine.server"}
"""What the room of the cluster may import whole, beside the vocabulary of the core."""
CERTIFICATION_MAY: dict[str, set[str]] = {
    "scenarios": set(),
    "report": {"scenarios"},
    "attempt.py": {"scenarios", "report"},
    "judge.py": {"scenarios", "report", "attempt"},
    "gate.py": set(),
    "venue.py": set(),
    "fix": {"scenarios", "report", "attempt", "judge", "gate"},
    "api": {"scenarios", "report", "attempt", "judge", "gate"},
    "progress.py": {"scenarios", "report", "api"},
}
"""Rooms and modules of certification, and the others that each may import; server.py wires all."""
ACCOUNT_API_MAY: dict[str, set[str]] = {
    "errors.py": set(),
    "descriptors.py": set(),
    "reply.py": set(),
    "ports.py": set(),
    "crypto_encodings.py": set(),
    "crypto_addresses.py": {"crypto_encodings"},
    "settings.py": set(),
    "configuration.py": {"settings"},
    "schema": {"errors"},
    "security": {"errors", "reply", "settings"},
    "shared.py": {"ports", "security"},
    "services.py": {"errors", "ports", "settings", "crypto_addresses", "schema", "security",
                    "shared", "webhooks.store", "webhooks.shared_store"},
    "http": {"errors", "ports", "settings", "crypto_addresses", "reply", "schema", "security",
             "services"},
    "http/app.py": {"routes"},
    "http/worker.py": {"descriptors"},
    "routes": {"errors", "ports", "settings", "crypto_addresses", "reply", "schema", "security",
               "services", "http.routing", "webhooks"},
    "stream": {"errors", "ports", "settings", "reply", "schema", "security", "services",
               "http.routing", "http.forwarded", "routes.common"},
    "stream/main.py": {"configuration", "descriptors", "routes"},
    "settlement": {"ports"},
    "settlement/main.py": {"simulation"},
    "simulation": {"ports"},
    "webhooks": {"schema", "security.sealing", "security.sqlite_file", "security.replica",
                 "security.master_key"},
    "webhooks/main.py": {"shared"},
}  # fmt: skip
"""Rooms and modules of the account API, and what of the others each may import: a whole room, or
one module of it. A file that is named has its room's rights and its own; what is not named here
(main.py, documents.py and __init__.py) wires, and may import all."""
CODEC_STDLIB = {
    "__future__", "collections", "dataclasses", "datetime", "enum", "functools", "re", "typing",
}  # fmt: skip
CODEC_MAY = {
    "engine.client.own_event", "engine.history.rows", "engine.core.types", "engine.core.commands",
    "engine.core.events", "engine.core.instruments", "engine.core.authority",
    "engine.market_data.book", "engine.market_data.day", "engine.market_data.market",
}  # fmt: skip
GATEWAY_ROOMS: dict[str, set[str]] = {
    "codec": set(),
    "quickfix_import.py": set(),
    "bridge.py": {"quickfix_import"},
    "settings.py": {"quickfix_import"},
    "session": {"codec", "settings", "quickfix_import", "bridge"},
    "door": {"codec", "session", "settings"},
    "runtime": {"codec", "session", "settings", "quickfix_import"},
    "market_data": {
        "codec", "session", "settings", "door", "runtime", "control", "quickfix_import",
    },
}
"""Rooms of the gateway, and the others that each may import; the files beside them know all."""
CIRCLES_ALLOWED = [{"engine.core.book", "engine.core.ledger", "engine.core.triggers"}]
"""Modules that are one thing in several files and point at each other."""
CONFIG_VOCABULARY = (
    "config.model", "config.cluster", "config.fix", "config.mismatch", "config.suggestion",
)  # fmt: skip
"""What of the configuration is types and pure functions, and so for all who handle settings or
tell a user what is wrong with a value. Everything else of it is for main modules."""
VOCABULARY = {
    f"engine.core.{name}" for name in ("types", "commands", "events", "instruments")
}
CONFIG_MAY = ("engine.core.types", "engine.core.instruments", "engine.core.authority")


def sources(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, f"there is nothing in {package}"
    return found


def imported(module: ast.Module, package: tuple[str, ...]) -> set[str]:
    """The modules that a module imports, anywhere; ``from a import b`` gives a and a.b."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            source = ".".join(base + ([node.module] if node.module else []))
            found.add(source)
            found.update(f"{source}.{alias.name}" for alias in node.names)
    return found


@cache
def imports(path: Path) -> frozenset[str]:
    """The modules that a file imports. Many laws ask for those of one file."""
    package = path.relative_to(ROOT).parts[:-1]
    return frozenset(imported(tree(str(path.relative_to(ROOT))), package))


def ours(found: Set[str]) -> set[str]:
    """The modules among the names that are ours and exist."""
    modules = set()
    for name in found:
        if name.split(".")[0] not in OURS:
            continue
        path = ROOT.joinpath(*name.split("."))
        if path.with_suffix(".py").is_file() or path.is_dir():
            modules.add(name)
    # A package stands for itself only where nothing inside it is named as well.
    return {
        module
        for module in modules
        if not any(other.startswith(f"{module}.") for other in modules)
    }


def graph(packages: Iterable[str]) -> dict[str, set[str]]:
    """Each module of some packages with the modules of theirs that it imports, anywhere in it,
    for types only or within a function included."""
    modules = {}
    for path in (path for package in packages for path in sources(package)):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = ours(imports(path)) - {name}
    return {name: found & modules.keys() for name, found in modules.items()}


def circles(arrows: dict[str, set[str]]) -> list[set[str]]:
    """The sets of modules that reach each other by imports (strongly connected components)."""

    def reach(name: str) -> set[str]:
        found: set[str] = set()
        todo = [name]
        while todo:
            new = arrows[todo.pop()] - found
            found |= new
            todo += new
        return found

    reached = {name: reach(name) for name in arrows}
    found = {frozenset(other for other in reached[name] if name in reached[other])
             for name in arrows if name in reached[name]}  # fmt: skip
    return sorted((set(one) for one in found), key=sorted)


def relative(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_the_walk_sees_every_form_of_import() -> None:
    text = """
import os.path
from engine.core import types
def function():
    from . import wire
    from .core import events
"""
    found = imported(ast.parse(text), ("engine",))
    assert {"os.path", "engine.core.types", "engine.wire", "engine.core.events"} <= found
    assert {"engine.core.types", "engine.wire", "engine.core.events"} <= ours(found)
    assert "engine.core.book" not in found


def test_the_walk_finds_circles() -> None:
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "e"}, "e": {"d"}, "f": {"a"}}
    assert circles(arrows) == [{"a", "b", "c"}, {"d", "e"}]
    assert circles({"a": {"b"}, "b": set()}) == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Not for types only either: what needs each other is one thing, or has a protocol between."""
    assert circles(graph(OURS)) == CIRCLES_ALLOWED


def test_the_core_is_pure() -> None:
    for path in relative(sources("engine/core")):
        for name in imports(ROOT / path):
            top = name.split(".")[0]
            if top == "engine":
                assert name == "engine" or name.startswith("engine.core"), f"{path} imports {name}"
            else:
                assert top in CORE_STDLIB | CORE_LIBRARIES, f"{path} imports {name}"


HANDLERS = sorted(
    path for path in relative(sources("engine/core")) if not path.endswith("/exchange.py")
)


def test_the_core_knows_the_venue_and_not_the_exchange() -> None:
    """State apart from dispatch: only what is outside the core makes an Exchange."""
    for path in HANDLERS:
        assert "engine.core.exchange" not in imports(ROOT / path), path


def test_the_engines_clients_and_its_server_share_the_protocol_only() -> None:
    """``engine.wire`` and ``engine.queries`` are what both know."""
    for path in relative(sources("engine/client") + sources("engine/server")):
        other = "engine.server" if path.startswith("engine/client/") else "engine.client"
        for name in imports(ROOT / path):
            assert not (name == other or name.startswith(f"{other}.")), f"{path} imports {name}"


def test_an_engine_client_knows_the_vocabulary_of_the_core_alone() -> None:
    for path in relative(sources("engine/client")):
        for name in ours(imports(ROOT / path)):
            own = name.startswith("engine.client") or name in {"engine.wire", "engine.queries"}
            assert own or name in VOCABULARY, f"{path} imports {name}"


def test_the_cluster_knows_journal_wire_and_server_and_no_book_or_ledger() -> None:
    for path in relative(sources("engine/cluster")):
        for name in ours(imports(ROOT / path)):
            within = any(name == one or name.startswith(f"{one}.") for one in CLUSTER_MAY)
            assert within or name in VOCABULARY, f"{path} imports {name}"


def test_the_engine_imports_no_other_part() -> None:
    for path in relative(sources("engine")):
        for name in imports(ROOT / path):
            top = name.split(".")[0]
            if top == "config":
                assert Path(path).name == "main.py", f"{path} imports {name}"
            assert top not in {"fix_gateway", "account_api", "tandem", "bots"}, (
                f"{path} imports {name}"
            )


def test_the_public_market_is_pure() -> None:
    for path in relative(sources("engine/market_data")):
        found = imports(ROOT / path)
        assert ours(found) <= MARKET_DATA_MAY, path
        others = {name.split(".")[0] for name in found} - set(OURS)
        assert others <= CORE_STDLIB | CORE_LIBRARIES | {"zlib"}, path


def test_gateways_import_the_client_and_the_vocabulary_only() -> None:
    for path in relative(sources("fix_gateway") + sources("account_api")):
        own = Path(path).parts[0]
        for name in ours(imports(ROOT / path)):
            top = name.split(".")[0]
            if top == own:
                continue
            if top == "config":
                # A process is wired in a main module; gunicorn's workers in theirs.
                wires = Path(path).name == "main.py"
                assert wires or name in CONFIG_VOCABULARY, f"{path} imports {name}"
                continue
            allowed = name in GATEWAY_MAY or name in {"engine", "engine.core"}
            assert allowed, f"{path} imports {name}"


def test_the_codec_is_pure() -> None:
    """Text or events in, commands or text out: no QuickFIX, no socket, no thread, no clock."""
    for path in relative(sources("fix_gateway/codec")):
        for name in imports(ROOT / path):
            top = name.split(".")[0]
            if top == "engine":
                parents = {allowed.rpartition(".")[0] for allowed in CODEC_MAY}
                within = any(name == a or name.startswith(f"{a}.") for a in CODEC_MAY)
                assert within or name in parents, f"{path} imports {name}"
            else:
                assert top in CODEC_STDLIB | {"fix_gateway"}, f"{path} imports {name}"


def test_a_room_of_the_gateway_imports_what_its_law_allows() -> None:
    """The door and the runtime know sessions and the codec, and not each other."""
    for path in relative(sources("fix_gateway")):
        room = Path(path).parts[1]
        for name in ours(imports(ROOT / path)):
            part = name.removeprefix("fix_gateway.").split(".")[0]
            if name.startswith("fix_gateway.") and room in GATEWAY_ROOMS:
                own = room.removesuffix(".py")
                assert part in GATEWAY_ROOMS[room] | {own}, f"{path} imports {name}"


def test_the_gateway_takes_quickfix_from_where_it_is_imported_fast() -> None:
    for path in relative(sources("fix_gateway")):
        if path != "fix_gateway/quickfix_import.py":
            assert "quickfix" not in imports(ROOT / path), path


def test_bots_are_clients_like_any_other() -> None:
    """What they know of the venue comes over its public interfaces."""
    for path in relative(sources("bots")):
        for name in ours(imports(ROOT / path)):
            top = name.split(".")[0]
            assert top == "bots" or (top == "config" and Path(path).name == "main.py"), name


def test_certification_stands_beside_the_venue() -> None:
    """It talks to venues over their public interfaces, and is wired in tandem/."""
    for path in relative(sources("certification")):
        for name in ours(imports(ROOT / path)):
            own = name.split(".")[0] == "certification" or name == "config.shipped"
            assert own, f"{path}: {name}"


def test_a_room_of_certification_imports_what_its_law_allows() -> None:
    """Scenarios know nobody, reports know scenarios, and FIX and the account API not each other."""
    for path in relative(sources("certification")):
        room = Path(path).parts[1]
        for name in ours(imports(ROOT / path)):
            part = name.removeprefix("certification.").split(".")[0]
            if name.startswith("certification.") and room in CERTIFICATION_MAY:
                assert part in CERTIFICATION_MAY[room] | {room}, f"{path} imports {name}"


def test_a_room_of_the_account_api_imports_what_its_law_allows() -> None:
    """The schema knows neither HTTP, routes nor stream; security neither routes nor stream; HTTP
    knows the routes where it makes the application; the stream calls handlers and nothing else of
    them; and nobody knows the stream or the settlement."""
    for path in relative(sources("account_api")):
        own, room = path.removeprefix("account_api/"), Path(path).parts[1]
        if room not in ACCOUNT_API_MAY:
            continue
        may = ACCOUNT_API_MAY[room] | ACCOUNT_API_MAY.get(own, set()) | {room.removesuffix(".py")}
        for name in ours(imports(ROOT / path)):
            part = name.removeprefix("account_api.")
            if part != name:
                allowed = any(part == one or part.startswith(f"{one}.") for one in may)
                assert allowed, f"{path} imports {name}"


def test_the_law_of_the_account_api_names_what_is_there_and_what_is_used() -> None:
    used: dict[str, set[str]] = {own: set() for own in ACCOUNT_API_MAY}
    for path in sources("account_api"):
        parts = path.relative_to(ROOT / "account_api").as_posix()
        found = {name.removeprefix("account_api.") for name in ours(imports(path))}
        for own in (parts, parts.split("/")[0]):
            if own in used:
                used[own] |= found
    for own, may in ACCOUNT_API_MAY.items():
        assert (ROOT / "account_api" / own).exists(), own
        idle = {
            one for one in may
            if not any(part == one or part.startswith(f"{one}.") for part in used[own])
        }  # fmt: skip
        assert not idle, f"{own} may import {idle}, and does not"


def test_configuration_imports_the_vocabulary_only() -> None:
    for path in relative(sources("config")):
        for name in ours(imports(ROOT / path)):
            assert name.split(".")[0] == "config" or name in CONFIG_MAY, f"{path} imports {name}"


@pytest.mark.parametrize("name", CONFIG_VOCABULARY)
def test_the_vocabulary_of_the_configuration_reads_nothing(name: str) -> None:
    """It imports no module that could: types, msgspec, and the engine's own vocabulary."""
    found = imports(ROOT / f"{name.replace('.', '/')}.py")
    may = {"__future__", "collections", "difflib", "enum", "msgspec", "pathlib", "re", "typing"}
    for module in found:
        allowed = module.split(".")[0] in may or module.startswith("engine.core")
        assert allowed or module.startswith(CONFIG_VOCABULARY), module
    others = {one for one in ours(found) if not one.startswith(CONFIG_VOCABULARY)}
    assert not others - set(CONFIG_MAY)


@pytest.mark.parametrize("package", OURS)
def test_every_import_is_a_declared_dependency(package: str) -> None:
    """What is imported is in the standard library, ours, or listed in setup.cfg."""
    listed = (ROOT / "setup.cfg").read_text(encoding="utf-8").lower().replace("-", "_")
    for path in sources(package):
        for name in imports(path):
            top = name.split(".")[0]
            # The client library is beside us in every wheel.
            if top in (*OURS, "tandem_client") or top in sys.stdlib_module_names:
                continue
            named = {"argon2": "argon2_cffi", "_quickfix": "quickfix"}.get(top, top.lower())
            assert f"    {named} " in listed or f"    {named}[" in listed, f"{path}: {top}"
