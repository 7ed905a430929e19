"""`tandem cluster certificates`: good for etcd and members; replaced while they run; refused."""

from __future__ import annotations

import shutil
import ssl
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import pytest
from cryptography import x509
from structlog.testing import capture_logs
from typer.testing import CliRunner

from engine import wire
from engine.server.tls import Contexts, TlsError, TlsFiles
from tandem import cluster_certificates as certificates
from tandem.__main__ import app
from tandem.output import CommandError
from tests.cluster.members import HOST, Leader, Owner, authority, files
from tests.support.waiting import until

Lead: TypeAlias = "Callable[..., Leader]"
Own: TypeAlias = "Callable[..., Owner]"


def run(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["cluster", "certificates", *map(str, arguments)])
    return done.exit_code, done.output + (str(done.exception) if done.exception else "")


def test_each_node_has_one_for_both_sides_and_all_its_hosts(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed (Debian: apt-get install openssl)")
    folder = tmp_path / "ca"
    code, said = run(folder, "--node", "a=10.0.0.1,a.venue.test", "--node", "b=b.venue.test")
    assert code == 0, said
    assert "PRIVATE" not in said and str(folder) in said
    for node, purpose, check, good in (
        ("a", "sslserver", ("-verify_ip", "10.0.0.1"), True),
        ("a", "sslserver", ("-verify_hostname", "a.venue.test"), True),
        ("a", "sslserver", ("-verify_hostname", "b.venue.test"), False),
        ("a", "sslclient", (), True),
        ("b", "sslserver", ("-verify_hostname", "b.venue.test"), True),
        ("b", "sslserver", ("-verify_ip", "10.0.0.1"), False),
    ):
        done = subprocess.run(
            [openssl, "verify", "-x509_strict", "-CAfile", folder / node / "ca.crt", "-purpose",
             purpose, *check, folder / node / "node.crt"],
            capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode == 0) is good, f"{node} as {purpose} {check}: {done.stderr}"
    one = x509.load_pem_x509_certificate((folder / "a" / "node.crt").read_bytes())
    assert one.subject.rfc4514_string() == "OU=a"
    assert one.not_valid_after_utc - datetime.now(UTC) > timedelta(days=364)
    for path in folder.rglob("*"):
        private = path.is_dir() or path.suffix == ".key"
        assert not private or stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert [path.name for path in tmp_path.iterdir()] == ["ca"], "nothing is left beside it"
    assert not (folder / "a" / "ca.key").exists()


def test_renewed_ones_are_of_the_same_authority_and_nothing_else_is_overwritten(
    tmp_path: Path,
) -> None:
    folder = authority(tmp_path / "ca")
    root = (folder / "ca.crt").read_bytes()
    before = {path: path.read_bytes() for path in folder.rglob("*.???")}
    code, said = run(folder, "--node", f"a={HOST}")
    assert code != 0 and "is there already; --renew" in said
    assert {path: path.read_bytes() for path in folder.rglob("*.???")} == before
    code, said = run(folder, "--node", f"a={HOST}", "--node", f"c={HOST}", "--renew")
    assert code == 0, said
    changed = {path.relative_to(folder).as_posix() for path in folder.rglob("*.???")
               if before.get(path) != path.read_bytes()}  # fmt: skip
    assert changed == {"a/node.crt", "a/node.key", "c/ca.crt", "c/node.crt", "c/node.key"}
    assert (folder / "c" / "ca.crt").read_bytes() == root
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b", "c", "ca.crt", "ca.key"]


@pytest.mark.parametrize(
    ("node", "why"),
    [("a", "is not NAME=HOST"), ("=h", "is not NAME=HOST"), ("a=", "is not NAME=HOST"),
     ("a=h,", "is not NAME=HOST"), ("A/..=h", "is not NAME=HOST"), ("a=b c", "is not NAME=HOST")],
)  # fmt: skip
def test_a_node_that_is_none_is_refused_and_nothing_is_made(
    tmp_path: Path, node: str, why: str
) -> None:
    with pytest.raises(CommandError, match=why):
        certificates.run(tmp_path / "ca", [node], 1, False, print)
    with pytest.raises(CommandError, match="names x twice"):
        certificates.run(tmp_path / "ca", ["x=h", "x=g"], 1, False, print)
    assert not list(tmp_path.iterdir())


def test_an_authority_that_cannot_sign_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"the authority in .*nowhere cannot be used"):
        certificates.sign(tmp_path / "nowhere", {"a": [HOST]}, 1)
    folder, other = authority(tmp_path / "ca"), authority(tmp_path / "other")
    with pytest.raises(CommandError, match=r"before the 4000 days are over"):
        certificates.sign(folder, {"a": [HOST]}, 4000)
    shutil.copyfile(other / "ca.key", folder / "ca.key")
    with pytest.raises(CommandError, match=r"is not the key of"):
        certificates.sign(folder, {"a": [HOST]}, 1)


def refused(lead: Lead, own: Own, leader_tls: TlsFiles, owner_tls: TlsFiles) -> tuple[str, str]:
    """What a leader and a follower that do not accept each other say, in this order."""
    with capture_logs() as logs:
        leader = lead(tls=leader_tls)
        owner = own(tls=owner_tls)
        owner.link.follow(leader.address)
        trouble = until(lambda: owner.link.trouble)
        until(lambda: leader.tcp.refused)
        assert not leader.server.connections and not owner.link.take()
    (said,) = (entry["reason"] for entry in logs if entry["event"] == "connection_refused")
    where = said.split()[3].rstrip(":")
    return said.replace(where, "HERE"), trouble.replace(leader.address, "THERE")


def test_a_member_of_another_authority_is_refused_with_one_sentence_on_both_sides(
    tmp_path: Path, lead: Lead, own: Own, authority_folder: Path
) -> None:
    """A member trusts this cluster, and shows a certificate of another one."""
    ours = files(authority_folder, "b")
    other = files(authority(tmp_path / "other"), "b")
    mixed = TlsFiles(ours.ca, other.certificate, other.key)
    here, there = refused(lead, own, files(authority_folder, "a"), mixed)
    assert here == (
        "no TLS with HERE: its certificate is not accepted: unable to get local issuer certificate"
    )
    assert there == (
        "TLS with THERE failed: it does not accept this node's certificate: unknown authority"
    )


def test_a_leader_of_another_authority_is_refused_with_one_sentence_on_both_sides(
    tmp_path: Path, lead: Lead, own: Own, authority_folder: Path
) -> None:
    other = files(authority(tmp_path / "other"), "b")
    here, there = refused(lead, own, files(authority_folder, "a"), other)
    assert here == (
        "no TLS with HERE: it does not accept this node's certificate: unknown authority"
    )
    assert there == (
        "no TLS with THERE: its certificate is not accepted: "
        "self-signed certificate in certificate chain"
    )


def test_an_expired_certificate_is_refused_on_either_side(
    tmp_path: Path, lead: Lead, own: Own
) -> None:
    folder = authority(tmp_path / "ca", "a", "b", "x")
    certificates.sign(folder, {"x": [HOST]}, 0)
    here, there = refused(lead, own, files(folder, "a"), files(folder, "x"))
    assert here == "no TLS with HERE: its certificate is not accepted: certificate has expired"
    assert there == "TLS with THERE failed: it does not accept this node's certificate: expired"
    here, there = refused(lead, own, files(folder, "x"), files(folder, "b"))
    assert here == "no TLS with HERE: it does not accept this node's certificate: expired"
    assert there == "no TLS with THERE: its certificate is not accepted: certificate has expired"


def test_a_certificate_of_another_host_is_refused(
    tmp_path: Path, lead: Lead, own: Own, authority_folder: Path
) -> None:
    folder = authority(tmp_path / "ca")
    certificates.sign(folder, {"x": ["10.0.0.9"]}, 1)
    _, there = refused(lead, own, files(folder, "x"), files(folder, "b"))
    assert "IP address mismatch" in there


def test_certificates_are_replaced_while_both_sides_run(
    tmp_path: Path, lead: Lead, own: Own
) -> None:
    """What is up stays; what is new uses the new files, of a new authority even."""
    folder = authority(tmp_path / "ca")
    leader = lead(tls=files(folder, "a"))
    owner = own(tls=files(folder, "b"))
    owner.link.follow(leader.address)
    owner.connected()
    first = leader.wait_for(lambda item: isinstance(item, wire.Hello))
    new = authority(tmp_path / "new", "x", "y")
    for old_name, new_name in (("a", "x"), ("b", "y")):
        for path in (new / new_name).iterdir():
            shutil.copyfile(path, folder / old_name / path.name)
    assert owner.link.send(wire.encode_frame(wire.Ask(1, "q", {})))
    leader.wait_for(lambda item: isinstance(item, wire.Ask) and item.query == "q")
    leader.do(lambda: leader.server.end(first))
    owner.lost()
    assert owner.connected().peer == "x"
    assert leader.wait_for(lambda item: isinstance(item, wire.Hello), count=2).peer == "y"


def test_files_that_are_replaced_one_by_one_are_taken_when_they_fit(tmp_path: Path) -> None:
    folder = authority(tmp_path / "ca")
    of = files(folder, "a")
    contexts = Contexts(of, server_side=True)
    before = contexts.current()
    assert contexts.current() is before, "nothing is read again that is as it was"
    certificates.sign(folder, {"b": [HOST]}, 1)
    new = files(folder, "b")
    with capture_logs() as logs:
        shutil.copyfile(new.certificate, of.certificate)
        assert contexts.current() is before
        assert contexts.current() is before
        shutil.copyfile(new.key, of.key)
        after = contexts.current()
    assert isinstance(after, ssl.SSLContext) and after is not before
    assert [entry["event"] for entry in logs] == ["certificates_not_taken", "certificates_replaced"]
    assert "the key is that of another certificate" in logs[0]["reason"]


@pytest.mark.parametrize(
    ("which", "content", "why"),
    [("ca", None, "No such file"), ("ca", b"", "no certificate"), ("ca", b"x", "no certificate"),
     ("certificate", b"x", "no PEM"), ("key", b"", "no PEM"), ("key", None, "No such file")],
)  # fmt: skip
def test_files_that_cannot_be_used_are_named_at_the_start(
    tmp_path: Path, which: str, content: bytes | None, why: str
) -> None:
    of = files(authority(tmp_path / "ca"), "a")
    path: Path = getattr(of, which)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(TlsError, match=rf"{path}.* cannot be used: .*{why}"):
        Contexts(of, server_side=False)


def test_an_encrypted_key_is_refused_instead_of_asking_a_terminal(tmp_path: Path) -> None:
    of = files(authority(tmp_path / "ca"), "a")
    key = certificates.serialization.load_pem_private_key(of.key.read_bytes(), None)
    of.key.write_bytes(key.private_bytes(
        certificates.serialization.Encoding.PEM,
        certificates.serialization.PrivateFormat.PKCS8,
        certificates.serialization.BestAvailableEncryption(b"secret"),
    ))  # fmt: skip
    with pytest.raises(TlsError, match="the key is encrypted"):
        Contexts(of, server_side=True)
