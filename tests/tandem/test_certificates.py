"""`tandem certificates`: what is made, for whom, readable by whom, and never over anything."""

from __future__ import annotations

import os
import shutil
import ssl
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from typer.testing import CliRunner

from config.settings import load
from tandem import certificates, tls_proxy
from tandem.__main__ import app
from tandem.output import CommandError


def test_each_session_gets_one_of_the_name_that_it_is_bound_to() -> None:
    settings = load(env={})
    first, second, *others = settings.sessions
    bound = msgspec.structs.replace(
        settings,
        sessions=(
            msgspec.structs.replace(first, client_certificate="Alice Trading"),
            msgspec.structs.replace(second, client_certificate=f"sha256:{'0' * 64}"),
            *others,
        ),
    )
    names = certificates.names_of(bound)
    assert list(names) == [session.comp_id for session in settings.sessions]
    assert (names["ALICE"], names["BOB"], names["CAROL"]) == ("Alice Trading", "BOB", "CAROL")


def test_they_verify_by_the_authority_each_for_its_purpose(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed (Debian: apt-get install openssl)")
    folder = tmp_path / "tls"
    (made,) = certificates.make(folder, {"ALICE": "Alice Trading"}, ["fix.venue.test", "::1"], 7)
    for name, purpose, host, good in (
        ("fix.crt", "sslserver", "fix.venue.test", True),
        ("fix.crt", "sslserver", "other.test", False),
        ("fix.crt", "sslclient", "", False),
        ("clients/ALICE.crt", "sslclient", "", True),
        ("clients/ALICE.crt", "sslserver", "", False),
    ):
        done = subprocess.run(
            [openssl, "verify", "-x509_strict", "-CAfile", str(folder / "authority.crt"),
             "-purpose", purpose, *(["-verify_hostname", host] if host else []),
             str(folder / name)],
            capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode == 0) is good, f"{name} as {purpose}: {done.stdout}{done.stderr}"
    one = x509.load_pem_x509_certificate((folder / "clients" / "ALICE.crt").read_bytes())
    assert one.subject.rfc4514_string() == "CN=Alice Trading"
    shown = subprocess.run(
        [openssl, "x509", "-in", str(folder / "clients" / "ALICE.crt"), "-noout", "-fingerprint",
         "-sha256"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    digits = shown.partition("=")[2].strip().replace(":", "").lower()
    assert made.fingerprint == f"sha256:{digits}"
    left = certificates.ends(folder) - datetime.now(UTC)
    assert timedelta(days=6) < left <= timedelta(days=7)


def test_every_key_is_its_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    before = os.umask(0)
    try:
        certificates.make(folder, {"ALICE": "ALICE", "BOB": "BOB"}, ["localhost"], 1)
    finally:
        os.umask(before)
    keys = list(folder.rglob("*.key"))
    assert {path.stem for path in keys} == {"authority", "fix", "ALICE", "BOB"}
    for path in keys:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert ssl.PEM_cert_to_DER_cert(path.with_suffix(".crt").read_text())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in tmp_path.iterdir()] == ["tls"], "nothing is left beside it"


def test_it_says_where_they_are_and_how_each_is_used_and_shows_no_key(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    done = CliRunner().invoke(
        app, ["certificates", str(folder), "--host", "fix.venue.test", "--days", "3"]
    )
    assert done.exit_code == 0, done.output
    for text in (str(folder), "authority.crt", "fix.crt", "clients.crt", "for trying", "haproxy -f",
                 'ALICE: client_certificate = "ALICE"', 'client_certificate = "sha256:',
                 "fix.venue.test", "openssl s_client -connect 127.0.0.1:9879"):  # fmt: skip
        assert text in done.output, text
    assert "PRIVATE" not in done.output


@pytest.mark.parametrize(
    ("host", "why"),
    [("", "'' is no name of a host"), ("a b", "'a b' is no name"), ("x" * 65, "is no name of a")],
)
def test_a_host_that_is_none_is_refused_and_nothing_is_made(
    tmp_path: Path, host: str, why: str
) -> None:
    with pytest.raises(CommandError, match=why):
        certificates.run(load(env={}), tmp_path / "tls", [host], 1, print)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["a folder with something in it", "a file"])
def test_nothing_is_ever_overwritten(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "tls"
    kept = folder
    if what != "a file":
        folder.mkdir()
        kept = folder / "fix.key"
    kept.write_text("mine")
    with pytest.raises(CommandError, match="is there already, and no key is ever overwritten"):
        certificates.make(folder, {}, ["localhost"], 1)
    assert kept.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["tls"]


def test_what_fails_half_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(certificates.os, "fchmod", full)
    with pytest.raises(OSError, match="No space"):
        certificates.make(tmp_path / "tls", {"ALICE": "ALICE"}, ["localhost"], 1)
    assert not list(tmp_path.iterdir())


# What `tandem up --tls` needs of them.


def test_without_haproxy_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_proxy, "_PLACES", "")
    with pytest.raises(CommandError, match=r"needs HAProxy, which is not installed \(Debian 12"):
        tls_proxy.program()


def test_up_makes_them_once_and_says_when_they_have_expired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_proxy, "program", lambda: "haproxy")
    settings = msgspec.structs.replace(load(env={}), data=tmp_path)
    no_port = msgspec.structs.replace(settings.fix, tls_port=0)
    with pytest.raises(CommandError, match="set tls_port under .fix."):
        tls_proxy.prepare(msgspec.structs.replace(settings, fix=no_port))
    with pytest.raises(CommandError, match="environment is production; there HAProxy is a serv"):
        tls_proxy.prepare(msgspec.structs.replace(settings, environment="production"))
    assert not list(tmp_path.iterdir())
    tls_proxy.prepare(settings)
    key = tmp_path / "tls" / "fix.key"
    first = key.read_bytes()
    tls_proxy.prepare(settings)
    assert key.read_bytes() == first
    shutil.rmtree(tmp_path / "tls")
    certificates.make(tmp_path / "tls", {}, ["localhost"], 0)
    with pytest.raises(CommandError, match="have expired; remove it, and new ones are made"):
        tls_proxy.prepare(settings)
    (tmp_path / "tls" / "fix.crt").write_text("no certificate")
    with pytest.raises(CommandError, match=r"fix\.crt cannot be used"):
        tls_proxy.prepare(settings)
