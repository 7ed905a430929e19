"""What is offered to clients: settings files, the collection, and that both are current."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import quickfix

from account_api.security.auth import sign_hmac
from tests.docs.blocks import ROOT
from tests.fix.processes import Venue
from tests.fix.rawfix import RawFix
from tests.support import pace

CLIENTS = ROOT / "clients"
ENGINES = ("quickfix-cpp", "quickfixj", "quickfixn", "quickfixgo")
COLLECTION = CLIENTS / "postman" / "tandem.postman_collection.json"


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def settings(engine: str) -> dict[str, str]:
    """All settings of a file, those of its one session last."""
    found = {}
    sections = []
    for line in (CLIENTS / engine / "tandem.cfg").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            sections.append(line.lower())
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            assert name not in found, f"{engine}: {name} is there twice"
            found[name] = value
    assert sections == ["[default]", "[session]"]
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_the_settings_fit_the_demo_venue(engine: str) -> None:
    found = settings(engine)
    demo = tomllib.loads((ROOT / "config" / "demo.toml").read_text(encoding="utf-8"))
    assert found["BeginString"] == "FIX.4.4"
    assert found["TargetCompID"] == demo["fix"]["comp_id"]
    assert found["SenderCompID"] in {session["comp_id"] for session in demo["sessions"]}
    assert found["SocketConnectHost"] == demo["fix"]["host"]
    assert int(found["SocketConnectPort"]) == demo["fix"]["port"]
    assert (ROOT / found["DataDictionary"]).is_file()
    assert 1 <= int(found["HeartBtInt"]) <= 300
    for name, value in found.items():
        if name.startswith("ResetOn"):
            assert value == "N", f"{engine}: {name} would forget what was missed"
    if engine != "quickfixgo":
        assert found["ConnectionType"] == "initiator"
        assert found["NonStopSession"] == "Y"


def test_quickfix_itself_takes_its_file() -> None:
    found = quickfix.SessionSettings(str(CLIENTS / "quickfix-cpp" / "tandem.cfg"))
    dictionary = found.get(quickfix.SessionID("FIX.4.4", "ALICE", "TANDEM"))
    assert dictionary.getString("SocketConnectPort") == "9878"


HEADERS = Path(os.environ.get("TANDEM_QUICKFIX_CPP", ""))
"""A folder in which quickfix/ has the C++ headers of the installed binding: those of its source
distribution, ``pip download --no-binary :all: --no-deps quickfix``."""


@pytest.fixture(scope="module")
def fix_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with Venue(tmp_path_factory.mktemp("venue")) as venue:
        yield venue.start().address[1]


def traded(folder: Path, port: int, name: str, order: str) -> None:
    """Run the program in C++ with one of its settings files; its order is acknowledged."""
    text = (CLIENTS / "quickfix-cpp" / name).read_text(encoding="utf-8")
    text = text.replace("=9878", f"={port}").replace("=spec/", f"={ROOT}/spec/")
    (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["./order", name, "buy", "BTC-USD", "0.25", "41000", order],
        cwd=folder, capture_output=True, text=True, timeout=pace.seconds(60), check=True,
    )  # fmt: skip
    report = dict(field.split("=", 1) for field in done.stdout.split("\x01") if "=" in field)
    assert (report["35"], report["11"], report["150"], report["38"]) == ("8", order, "0", "0.25")


@pytest.mark.skipif(
    not Path("/usr/include/quickfix/Application.h").exists() or not shutil.which("g++"),
    reason="QuickFIX in C++ is not installed (apt-get install libquickfix-dev build-essential)",
)
def test_the_program_in_cpp_trades_with_debians_quickfix(tmp_path: Path, fix_port: int) -> None:
    subprocess.run(
        ["g++", "-std=c++14", "-O0", "-w", "-o", "order", CLIENTS / "quickfix-cpp" / "order.cpp",
         "-lquickfix", "-lpthread"],
        cwd=tmp_path, check=True, timeout=pace.seconds(200),
    )  # fmt: skip
    traded(tmp_path, fix_port, "debian12.cfg", "cpp-1")
    traded(tmp_path, fix_port, "debian12.cfg", "cpp-2")  # Its numbers begin again.


@pytest.mark.skipif(not HEADERS.name, reason="TANDEM_QUICKFIX_CPP names no headers of QuickFIX")
def test_the_program_in_cpp_logs_on_and_trades(tmp_path: Path, fix_port: int) -> None:
    """Linked with the C++ core that the Python binding has inside."""
    core = next(Path(quickfix.__file__).parent.glob("_quickfix*.so"))
    (tmp_path / "libcore.so").symlink_to(core)
    python = f"-lpython{sys.version_info.major}.{sys.version_info.minor}"
    subprocess.run(
        ["g++", "-std=c++17", "-w", f"-I{HEADERS}", f"-I{HEADERS}/quickfix", "-o", "order",
         CLIENTS / "quickfix-cpp" / "order.cpp", "./libcore.so", python, "-lpthread"],
        cwd=tmp_path, check=True, timeout=pace.seconds(200),
    )  # fmt: skip
    traded(tmp_path, fix_port, "tandem.cfg", "cpp-3")


JSPUREFIX = CLIENTS / "jspurefix" / "node_modules"


@pytest.mark.skipif(
    not JSPUREFIX.exists() or not shutil.which("node"),
    reason="jspurefix is not installed (cd clients/jspurefix && npm ci --ignore-scripts)",
)
def test_jspurefix_trades_cancels_and_comes_back_in_step(tmp_path: Path, fix_port: int) -> None:
    """Another engine with the venue's dictionary; the second Logon goes on with the numbers."""
    bob = RawFix(("127.0.0.1", fix_port), "BOB")
    bob.logon(reset=True)
    bob.order("js-bob", 2, "0.2", "60000")
    assert bob.expect("8")["150"] == "0"
    program = (CLIENTS / "jspurefix" / "order.js").read_text(encoding="utf-8")
    program = program.replace("ALICE", "CAROL").replace("'alice", "'carol")
    (tmp_path / "order.js").write_text(program, encoding="utf-8")
    done = subprocess.run(
        ["node", "order.js", str(ROOT / "spec" / "FIX44.xml"), "127.0.0.1", str(fix_port),
         "BTC-USD", "0.5", "60000", "js-1"],
        cwd=tmp_path, capture_output=True, text=True, timeout=pace.seconds(60),
        env=os.environ | {"NODE_PATH": str(JSPUREFIX), "WAIT_S": str(pace.seconds(20))},
    )  # fmt: skip
    bob.logout()
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(row) for row in done.stdout.splitlines()]
    assert [(row["ClOrdID"], row["ExecType"]) for row in rows] == [
        ("js-1", "0"), ("js-1", "F"), ("js-1-cancel", "4"), ("js-1-2", "0"), ("js-1-2", "4"),
    ]  # fmt: skip
    assert (rows[1]["CumQty"], rows[1]["LeavesQty"]) == (0.2, 0.3)
    assert [row["MsgSeqNum"] for row in rows] == [2, 3, 4, 7, 8]


def test_what_is_made_from_the_specifications_is_current() -> None:
    pytest.importorskip("yaml")
    for name, text in module(ROOT / "docs" / "generate.py").documents().items():
        found = (ROOT / name).read_text(encoding="utf-8")
        assert found == text, f"{name} is out of date: run `make documents`"


def requests_of(collection: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for folder in collection["item"] for item in folder["item"]]


def test_the_collection_has_every_operation() -> None:
    yaml = pytest.importorskip("yaml")
    spec = yaml.safe_load((ROOT / "spec" / "openapi.yaml").read_text(encoding="utf-8"))
    operations = [
        (method.upper(), operation)
        for operations in spec["paths"].values()
        for method, operation in operations.items()
    ]
    every = requests_of(json.loads(COLLECTION.read_text(encoding="utf-8")))
    assert len(every) == len(operations)
    signed = [item for item in every if "event" in item]
    assert len(signed) == sum("x-scope" in operation for _, operation in operations)


SHIM = """
const crypto = require("crypto");
const given = JSON.parse(process.argv[2]);
Date.now = () => given.now;
const hex = { toString: () => "" };
const CryptoJS = {
  enc: { Hex: hex },
  SHA256: (text) => ({ toString: () => crypto.createHash("sha256").update(text).digest("hex") }),
  HmacSHA256: (text, key) =>
    ({ toString: () => crypto.createHmac("sha256", key).update(text).digest("hex") }),
};
const kept = { idempotency_key: given.chosen }, headers = {};
const pm = {
  variables: { get: (name) => kept[name], set: (name, value) => { kept[name] = value; },
               replaceIn: (text) => text.replace("{{$guid}}", "made-up-here") },
  request: { method: given.method, url: { getPathWithQuery: () => given.target },
             body: given.body ? { raw: given.body } : undefined,
             headers: { upsert: (one) => { headers[one.key] = one.value; } } },
};
eval(given.script);
console.log(JSON.stringify(headers));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize(
    ("name", "chosen", "sent"),
    [
        ("Create an order", "", None),
        ("Create an order", "mine-1", "mine-1"),
        ("List orders", "", None),
        ("Pin a withdrawal's fee", "", "made-up-here"),
        ("Pin a withdrawal's fee", "mine-2", "mine-2"),
    ],
)
def test_the_collection_signs_as_the_api_wants_it(
    name: str, chosen: str, sent: str | None, tmp_path: Path
) -> None:
    """Under node, with the few objects that Postman offers its scripts."""
    every = requests_of(json.loads(COLLECTION.read_text(encoding="utf-8")))
    item = next(item for item in every if item["name"] == name)
    request = item["request"]
    body = request.get("body", {}).get("raw", "")
    target = "/" + re.sub(r"^\{\{base\}\}/", "", request["url"]["raw"])
    given = {
        "now": 1_900_000_000_000, "method": request["method"], "target": target, "body": body,
        "chosen": chosen,
        "script": "\n".join(item["event"][0]["script"]["exec"]),
    }  # fmt: skip
    (tmp_path / "shim.js").write_text(SHIM)
    done = subprocess.run(
        ["node", str(tmp_path / "shim.js"), json.dumps(given)],
        capture_output=True, text=True, timeout=pace.seconds(30), check=True,
    )  # fmt: skip
    headers = json.loads(done.stdout)
    key = headers["X-Tandem-Key"]
    assert headers.get("Idempotency-Key") == sent
    assert headers["X-Tandem-Signature"] == sign_hmac(
        f"{key}-secret".encode(), "1900000000000", request["method"], target, body.encode(),
        sent or "",
    )  # fmt: skip


def test_every_alert_has_a_runbook() -> None:
    rules = (ROOT / "config" / "prometheus" / "rules.yml").read_text(encoding="utf-8")
    alerts = set(re.findall(r"- alert: (\w+)", rules))
    runbooks = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    assert alerts == set(re.findall(r"^\| (Tandem\w+) \|", runbooks, re.M))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed")
def test_prometheus_takes_the_rules_and_the_configuration() -> None:
    for words in (["rules", "rules.yml"], ["config", "prometheus.yml"]):
        done = subprocess.run(
            ["promtool", "check", *words], cwd=ROOT / "config" / "prometheus",
            capture_output=True, text=True, timeout=pace.seconds(30),
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed")
def test_the_alerts_of_a_cluster_fire_when_they_should(tmp_path: Path) -> None:
    # promtool looks for the rules beside their tests.
    for name in ("config/prometheus/rules.yml", "tests/docs/alerts.yml"):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(
        ["promtool", "test", "rules", "alerts.yml"], cwd=tmp_path,
        capture_output=True, text=True, timeout=pace.seconds(30),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
