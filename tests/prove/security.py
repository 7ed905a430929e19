"""A venue in use, and everything that a stranger on its machine or network could look at.

Every demo secret is used, rightly and wrongly; then all that the venue wrote, its logs, its
processes, its errors and its sockets are searched. What was captured on the way is sent again.
"""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import requests
from websockets.sync.client import connect

from engine.client import queries
from tests.fix.rawfix import Closed, Message, RawFix, encode, now_text
from tests.prove.reach import CHANGES, Walk
from tests.prove.venue import MODULES, Venue
from tests.support.signing import signed_headers

FIRMS: Final = ("alice", "bob", "carol")
WRONG: Final = "a-password-that-nobody-has"
PRIVATE: Final = 0o077
Found = Callable[[str], None]


def secrets(config: Path) -> list[str]:
    """Every secret of the demo: passwords, secrets of keys, bearer tokens."""
    text = config.read_text(encoding="utf-8")
    found = re.findall(r'^secret = "([^"]+)"', text, re.MULTILINE)
    firms = re.findall(r'^firm = "([^"]+)"', text, re.MULTILINE)
    for firm in dict.fromkeys(firms):
        found += [f"demo-{firm}-read", f"{firm}-demo"]
    return found


def signed(key: str, method: str, target: str, body: bytes = b"") -> dict[str, str]:
    """Headers of a signed request."""
    headers = signed_headers(key, time.time_ns() // 1_000_000, method, target, body)
    return headers | {"Content-Type": "application/json"}


class Day:
    """What somebody does with the venue, and what a stranger recorded of it."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.answers: list[str] = []
        """Everything that the venue said to anybody."""
        self.logon = b""
        self.login: dict[str, Any] = {}

    def live(self) -> None:
        """Use every kind of credential, rightly and wrongly."""
        for firm in FIRMS:
            self._fix(firm)
        self._wrong_fix()
        for key in re.findall(r'key = "(demo-[^"]+)"', self.venue.config.read_text()):
            self._get("/v1/balances", signed(key, "GET", "/v1/balances"))
        for firm in FIRMS:
            self._get("/v1/orders", {"Authorization": f"Bearer demo-{firm}-read"})
        self._wrong_http()
        self._websocket()

    def _fix(self, firm: str) -> None:
        with RawFix(self.venue.fix, firm.upper()) as client:
            data = encode(client.header("A") + client.logon_fields())
            client.send_raw(data)
            if firm == "alice":
                self.logon = data
            client.expect("A")
            client.order(f"{firm}-1", price="10")
            client.expect("8")
            client.send("D", f"11={WRONG}|55=NONE|54=1|60=x|")
            client.receive()
            client.logout()
            self.answers += [message.text for message in client.received]

    def _wrong_fix(self) -> None:
        """A secret in every place of a Logon where it does not belong."""
        for fields in (
            f"98=0|108=30|553=alice|554={WRONG}|",
            "98=0|108=30|553=alice-demo|554=alice|",
            "98=0|108=30|58=alice-demo|553=alice|554=|",
            "98=9|108=30|553=alice|554=alice-demo|",
        ):
            with RawFix(self.venue.fix, "ALICE", num=1) as client:
                client.send("A", fields)
                self.answers.append(client.closed().decode("latin-1"))

    def _get(self, target: str, headers: dict[str, str]) -> int:
        answer = requests.get(self.venue.url + target, headers=headers, timeout=10)
        self.answers.append(f"{answer.headers}{answer.text}")
        return answer.status_code

    def _wrong_http(self) -> None:
        """Credentials that are wrong, or in the wrong place."""
        secret = "demo-alice-trade-secret"
        for headers in (
            {"Authorization": f"Bearer {secret}"},
            {"Authorization": f"Basic {secret}"},
            {"Authorization": f"Bearer {WRONG}"},
            {"X-Tandem-Key": secret, "X-Tandem-Timestamp": "1", "X-Tandem-Signature": secret},
            {"X-Tandem-Key": "demo-alice-trade", "X-Tandem-Timestamp": secret,
             "X-Tandem-Signature": "0" * 64},
            {"Authorization": "Bearer demo-alice-read", "Content-Length": "demo-alice-read"},
        ):  # fmt: skip
            self._get("/v1/balances", headers)
        self._get("/v1/balances?secret=x", {"Authorization": "Bearer demo-alice-read"})

    def _websocket(self) -> None:
        headers = signed("demo-bob-trade", "GET", "/v1/stream")
        params = {
            "key": "demo-bob-trade", "timestamp": headers["X-Tandem-Timestamp"],
            "signature": headers["X-Tandem-Signature"],
        }  # fmt: skip
        self.login = {"op": "login", "req_id": 1, "params": params}
        for message in (
            {"op": "login", "req_id": 0, "params": {"token": WRONG}},
            self.login,
            {"op": "login", "req_id": 2, "params": {"token": "demo-bob-read"}},
        ):
            self.answers.append(self.say(message))

    def say(self, message: dict[str, Any]) -> str:
        """One message on a WebSocket of its own, and its answer."""
        with connect(self.venue.stream_url, compression=None) as connection:
            connection.send(json.dumps(message))
            return str(connection.recv(timeout=10))


# What a stranger finds.


def search(day: Day, found: Found) -> tuple[int, int]:
    """Look for every secret in all that was written and said; (bytes, processes) searched."""
    venue = day.venue
    words = [word.encode() for word in [*secrets(venue.config), WRONG]]
    searched = 0
    for path in sorted(venue.folder.rglob("*")):
        if path == venue.config or not path.is_file():
            continue
        data = path.read_bytes()
        searched += len(data)
        _look(data, words, str(path.relative_to(venue.folder)), found, (WRONG.encode(),))
    for text in day.answers:
        _look(text.encode("latin-1", "replace"), words, f"an answer: {text:.80}", found, ())
    processes = 0
    for pid in pids(venue):
        processes += 1
        for name in ("cmdline", "environ", "comm"):
            data = Path(f"/proc/{pid}/{name}").read_bytes()
            _look(data, words, f"/proc/{pid}/{name}", found, ())
    return searched, processes


def _look(
    data: bytes, words: Iterable[bytes], where: str, found: Found, as_order: tuple[bytes, ...]
) -> None:
    for word in words:
        # One wrong password was also used as a client order id, which is no secret there.
        if word in data and not (word in as_order and "log" not in where):
            found(f"{where} shows {word.decode()}")


def pids(venue: Venue) -> list[int]:
    """The processes of the venue with their children."""
    waiting, every = [child.pid for child in venue.children.values()], []
    while waiting:
        pid = waiting.pop()
        every.append(pid)
        tasks = Path(f"/proc/{pid}/task")
        for task in tasks.iterdir():
            waiting += [int(c) for c in (task / "children").read_text().split()]
    return every


def modes(venue: Venue, found: Found) -> int:
    """Nobody else on the machine can read what the venue wrote, whatever the data folder is."""
    checked = 0
    for path in venue.data.rglob("*"):
        mode = path.lstat().st_mode
        checked += 1
        if (stat.S_ISREG(mode) or stat.S_ISSOCK(mode)) and mode & PRIVATE:
            found(f"{path.relative_to(venue.data)} has mode {stat.S_IMODE(mode):04o}")
    return checked


def listeners(venue: Venue, found: Found) -> int:
    """The venue listens on its public ports, on loopback, and on nothing else."""
    inodes = set()
    for pid in pids(venue):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(link)
            except OSError:
                continue  # Closed meanwhile.
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            parts = line.split()
            if parts[3] == "0A" and parts[9] in inodes:
                address, port = parts[1].split(":")
                listening.add((address, int(port, 16)))
    settings = venue.settings
    wanted = {settings.fix.port, settings.http.port, settings.stream.port, settings.metrics.port}
    loopback = "0100007F"
    for address, port in listening:
        if port not in wanted or address != loopback:
            found(f"a process of the venue listens on {address}:{port}")
    if {port for _, port in listening} != wanted:
        found(f"the venue listens on {listening}")
    return len(listening)


# What was captured is sent again.


def replays(day: Day, found: Found) -> int:
    """A captured Logon, a captured login, a captured cancel of everything."""
    _cancel_all_again(day, found)
    answer = json.loads(day.say(day.login))
    if answer.get("ok"):
        found("a captured WebSocket login was let in a second time")
    _logon_again(day, found)
    return 3


def _cancel_all_again(day: Day, found: Found) -> None:
    url, key = day.venue.url, "demo-alice-trade"

    def create(name: str) -> None:
        body = {"client_order_id": name, "symbol": "BTC-USD", "side": "buy", "quantity": "1",
                "price": "5"}  # fmt: skip
        data = json.dumps(body).encode()
        headers = signed(key, "POST", "/v1/orders", data)
        requests.post(f"{url}/v1/orders", data=data, headers=headers, timeout=10)

    create("before")
    headers = signed(key, "DELETE", "/v1/orders")
    first = requests.delete(f"{url}/v1/orders", headers=headers, timeout=10)
    create("after")
    again = requests.delete(f"{url}/v1/orders", headers=headers, timeout=10)
    replayed = again.headers.get("Idempotent-Replayed") == "true"
    if first.status_code != 200 or not replayed or again.json() != first.json():
        found(f"a captured cancel of everything got {again.status_code} {again.text:.200}")
    open_orders = day.venue.client().fetch(queries.OpenOrders("alice")).value
    if [row.order.client_order_id for row in open_orders] != ["after"]:
        found(f"a captured cancel of everything acted twice: {open_orders}")


def _logon_again(day: Day, found: Found) -> None:
    """Sent beside the live session and after it: nobody is disturbed, no number is reset."""
    venue = day.venue
    before = venue.client().fetch(queries.Session("fix:ALICE")).value
    assert before is not None
    numbers = venue.data / "fix" / "store" / "FIX.4.4-TANDEM-ALICE.seqnums"
    expected = int(numbers.read_text().split(":")[1])
    with RawFix(venue.fix, "ALICE", num=expected) as client:
        client.logon()
        with socket.create_connection(venue.fix) as thief:
            thief.sendall(day.logon)
            thief.settimeout(10)
            if thief.recv(4096):
                found("a captured Logon was answered beside the live session")
        client.send("1", "112=still here|")
        client.expect("0")
        client.logout()
    with socket.create_connection(venue.fix) as thief:
        thief.sendall(day.logon)
        thief.settimeout(10)
        answer = thief.recv(4096)
        if b"\x0135=8\x01" in answer:
            found("a captured Logon brought reports")
    _logon_within(day, found)
    after = venue.client().fetch(queries.Session("fix:ALICE")).value
    if after is None or after.epoch != before.epoch:
        found(f"a captured Logon began a new epoch: {before} {after}")


def _logon_within(day: Day, found: Found) -> None:
    """Logons within another firm's session, or with one thing wrong, begin no numbers again."""
    venue = day.venue

    def epochs() -> list[int]:
        asked = [queries.Session(f"fix:{name.upper()}") for name in FIRMS]
        rows = [venue.client().fetch(each).value for each in asked]
        return [row.epoch for row in rows if row is not None]

    right = {"34": "1", "49": "BOB", "52": now_text(), "56": "TANDEM", "98": "0", "108": "30",
             "141": "Y", "553": "bob", "554": "bob-demo"}  # fmt: skip
    wrong: tuple[dict[str, str], ...] = (
        {"49": "ALICE", "553": "alice", "554": "alice-demo"}, {"554": "alice-demo"},
        {"553": "alice"}, {"554": ""}, {"52": now_text(-600)}, {"34": "2"}, {"56": "OTHER"},
        {"141": "N"}, {"1137": "9"}, {"108": "0"}, {"789": "7"}, {"20003": "2|20003=2"},
    )  # fmt: skip
    with RawFix(venue.fix, "BOB") as client:
        client.logon(reset=True)
        client.logout()
        num = client.num
    before = epochs()
    for change in wrong:
        with RawFix(venue.fix, "BOB", num=num) as client:
            client.logon()
            fields = right | {"52": now_text()} | change
            client.send_raw(encode("35=A|" + "".join(f"{t}={v}|" for t, v in fields.items())))
            said = b"".join(message.text.encode() for message in _everything(client))
            num = client.num
            if b"\x0135=5\x01" not in said or b"-demo" in said:
                found(f"a Logon within a session with {change} was answered by {said!r}")
    if epochs() != before:
        found(f"Logons within sessions began new epochs: {before} {epochs()}")


def _everything(client: RawFix) -> list[Message]:
    """All that comes until the end; a Logout is answered."""
    try:
        while True:
            if client.receive()["35"] == "5":
                client.send("5")
    except Closed:
        return client.received


def refusals(folder: Path, names: Iterable[str], found: Found) -> int:
    """In production no process starts with demo secrets or with a file for everyone to read."""
    tried = 0
    for change, mode in (('environment = "production"', 0o600), (None, 0o644)):
        home = folder / f"refused-{mode:o}"
        home.mkdir()
        venue = Venue(home, {'environment = "demo"': change} if change else {})
        if change is None:
            text = venue.config.read_text(encoding="utf-8")
            venue.config.write_text(_own_secrets(text), encoding="utf-8")
        venue.config.chmod(mode)
        children = [venue.start(name) for name in names]
        for child in children:
            name = child.name
            child.popen.wait(60)
            tried += 1
            log = venue.log_of(name)
            expected = "demo secret" if change else "mode"
            if child.popen.returncode == 0 or expected not in log:
                found(f"{name} in production ended with {child.popen.returncode}: {log[-300:]}")
    return tried


def _own_secrets(text: str) -> str:
    """The demo configuration as production, with secrets that are nobody's demo."""
    from argon2 import PasswordHasher

    hashed = PasswordHasher().hash("a long password of our own")
    text = text.replace('environment = "demo"', 'environment = "production"')
    text = re.sub(r'password_hash = "[^"]+"', f'password_hash = "{hashed}"', text)
    text = re.sub(r'^secret = "demo', 'secret = "ours-and-nobody-elses', text, flags=re.MULTILINE)
    return re.sub(r'token_sha256 = "[0-9a-f]{8}', 'token_sha256 = "00000000', text)


def examine(
    say: Callable[[str], None] = lambda text: None, starts: Iterable[str] = tuple(MODULES),
    seed: int = 1, rounds: int = 8,
) -> tuple[list[str], list[str]]:
    """All of it over one venue: what was tried, what was found.

    ``starts`` names the processes that are started in production as well, ``rounds`` says how far
    everybody walks through other accounts' things.
    """
    findings: list[str] = []
    tried: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tandem-secure-") as name:
        venue = Venue(Path(name), CHANGES)
        # As an administrator may have made it; what is in it must be private nevertheless.
        venue.data.mkdir(mode=0o755)
        venue.data.chmod(0o755)
        try:
            venue.start_all()
            day = Day(venue)
            say("a day with every secret")
            day.live()
            tried.append(f"{replays(day, findings.append)} captured messages sent again")
            say("other accounts' things")
            asked = Walk(venue, seed, findings.append).walk(rounds, signed)
            tried.append(f"{asked:,} things asked for that are another account's")
            count, processes = search(day, findings.append)
            known = len(secrets(venue.config))
            tried.append(f"{known} secrets looked for in {count:,} bytes, {len(day.answers)} "
                         f"answers and {processes} processes")  # fmt: skip
            tried.append(f"modes of {modes(venue, findings.append)} files and folders")
            tried.append(f"{listeners(venue, findings.append)} listening sockets")
        except Closed as error:
            findings.append(f"the venue closed a connection: {error}")
        finally:
            venue.kill_all()
        say("starts in production")
        count = refusals(Path(name), starts, findings.append)
        tried.append(f"{count} starts in production that must be refused")
    return tried, findings
