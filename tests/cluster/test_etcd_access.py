"""What etcd lets us do: a user of its own for one prefix, certificates, tokens that end."""

from __future__ import annotations

import shutil
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cluster.connection import Tls
from engine.cluster.etcd import PERMISSION_DENIED, Etcd, EtcdRefused, EtcdUnavailable
from engine.cluster.log import Head
from engine.cluster.members import Members, Progress
from engine.cluster.operations import Delete, Get, LeaseIs, Missing, Put, ValueIs
from tests.cluster.members import authority
from tests.support.contender import Contender
from tests.support.etcd import MISSING, PROGRAM, EtcdCluster
from tests.support.waiting import until

OURS = "/tandem/ours/"
ELSEWHERE = b"/tandem/theirs/head"
TOKEN_S = 1
WAIT_S = 0.5
"""Where no answer is to come."""


def pem(folder: Path, node: str) -> Tls:
    """The files of a node in a folder of ``tandem cluster certificates``."""
    return Tls(*(str(folder / node / name) for name in ("ca.crt", "node.crt", "node.key")))


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, authority_folder: Path
) -> Iterator[EtcdCluster]:
    """One member that wants a client's certificate, and a user with a password."""
    if PROGRAM is None:
        pytest.skip(MISSING)
    flags = [f"--auth-token-ttl={TOKEN_S}", "--bcrypt-cost=4"]
    folder, tls = tmp_path_factory.mktemp("guarded"), pem(authority_folder, "a")
    with EtcdCluster(folder, tls=tls, flags=flags) as etcd:
        etcd.guard(OURS)
        yield etcd


@pytest.fixture
def ours(guarded: EtcdCluster, authority_folder: Path) -> Etcd:
    """A client with the other node's certificate, as the user of the prefix."""
    return guarded.client(tls=pem(authority_folder, "b"), user="tandem", password="secret")


def test_a_user_of_one_prefix_can_do_all_that_a_member_does(ours: Etcd) -> None:
    one = Contender(ours, OURS, "a")
    one.log.create(Head(0, 0, 0))
    one.lead()
    for n in range(3):
        one.append(b"%d" % n)
    assert one.tenure.renew()
    one.log.forget(2)
    assert one.bodies(3) == [b"2"] and one.log.size().records == 1
    members = Members(ours, OURS, "a")
    members.register("h:1")
    members.report(Progress("leader", 3, 3, 1, 1))
    assert members.list()[0].progress is not None
    members.leave()
    members.remove("a")
    one.tenure.resign()
    assert one.tenure.leader() is None


def ended(etcd: EtcdCluster, key: bytes, token: str) -> bool:
    """Wait until a token is refused. Each use gives it another time to live, so it is used seldom,
    and no event tells of its end."""
    for _ in range(5):
        idle_until = time.monotonic() + 2.5 * TOKEN_S
        until(lambda end=idle_until: time.monotonic() > end, "time passes")
        try:
            etcd.ask("kv/range", {"key": key}, token)
        except urllib.error.HTTPError as error:
            return error.code == 401
    return False


@pytest.mark.parametrize(
    "operation", [Put(ELSEWHERE, b""), Get(ELSEWHERE), Delete(ELSEWHERE), Get(b"/", b"0")]
)
def test_nothing_else_is_open_to_it(ours: Etcd, operation: Put | Get | Delete) -> None:
    with pytest.raises(EtcdRefused, match="refused: etcdserver: permission denied") as raised:
        ours.txn([], [operation])
    assert raised.value.code == PERMISSION_DENIED


@pytest.mark.parametrize(
    "compare", [ValueIs(ELSEWHERE, b""), LeaseIs(ELSEWHERE, 1), Missing(ELSEWHERE)]
)
def test_it_cannot_compare_elsewhere(ours: Etcd, compare: ValueIs | LeaseIs | Missing) -> None:
    with pytest.raises(EtcdRefused, match="permission denied"):
        ours.txn([compare], [])


def test_a_wrong_password_and_no_user_are_refused(guarded: EtcdCluster) -> None:
    with pytest.raises(EtcdRefused, match="authentication failed, invalid user ID or password"):
        guarded.client(user="tandem", password="wrong").range(Get(b"/tandem/ours/head"))
    with pytest.raises(EtcdRefused, match="permission denied|user name is empty"):
        guarded.client().range(Get(b"/tandem/ours/head"))


def test_a_token_that_has_ended_is_renewed(guarded: EtcdCluster, ours: Etcd) -> None:
    """Its time has passed, its etcd has started again, the rights have changed meanwhile."""
    key = f"{OURS}token".encode()
    ours.txn([], [Put(key, b"0")])
    first = ours._token
    assert ended(guarded, key, first)
    ours.txn([], [Put(key, b"1")])
    assert ours._token != first
    guarded.members[0].kill()
    guarded.members[0].start()
    until(guarded.ready, "etcd is back")
    ours.txn([], [Put(key, b"2")])
    root = guarded.ask("auth/authenticate", {"name": "root", "password": "root"})["token"]
    guarded.ask("auth/role/add", {"name": "another"}, root)
    ours.txn([ValueIs(key, b"2")], [Put(key, b"3")])
    assert ours.range(Get(key))[0].value == b"3"


def test_who_has_no_certificate_of_the_cluster_gets_no_answer(
    guarded: EtcdCluster, authority_folder: Path, tmp_path: Path
) -> None:
    stranger = pem(authority(tmp_path / "other"), "a")
    ours = pem(authority_folder, "b")
    with pytest.raises(EtcdUnavailable, match="certificate verify failed"):
        guarded.client(tls=stranger, timeout_s=WAIT_S).status()
    # Etcd's alert may be lost: it closes while our request is on its way.
    with pytest.raises(EtcdUnavailable):
        guarded.client(
            tls=Tls(ours.ca, stranger.certificate, stranger.key), timeout_s=WAIT_S
        ).status()
    with pytest.raises(EtcdUnavailable):
        Etcd(guarded.endpoints, timeout_s=WAIT_S).status()


def test_certificates_are_read_for_each_new_connection(
    guarded: EtcdCluster, authority_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(authority(tmp_path / "other") / "a", tmp_path / "own")
    own = Tls(*(str(tmp_path / "own" / name) for name in ("ca.crt", "node.crt", "node.key")))
    client = guarded.client(tls=own, user="tandem", password="secret")
    with pytest.raises(EtcdUnavailable):
        client.range(Get(f"{OURS}head".encode()), client.clock() + WAIT_S)
    shutil.copytree(authority_folder / "b", tmp_path / "own", dirs_exist_ok=True)
    client.range(Get(f"{OURS}head".encode()))


def test_what_is_no_etcd_is_named(guarded: EtcdCluster) -> None:
    with pytest.raises(EtcdRefused, match="HTTP status 404, Not Found"):
        guarded.client()._call("nothing", {}, None, repeat=True)
    for wrong in ("", "host", ":1", "host:port"):
        with pytest.raises(ValueError, match="host:port|no endpoints"):
            Etcd([wrong] if wrong else [])
    with pytest.raises(ValueError, match="all of ca, cert and key"):
        Etcd(guarded.endpoints, ca="ca.crt")
