"""The table ``[cluster]``: what it says, and what follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import DEMO_FILE, SettingsError, load

TABLE = """
[cluster]
name = "demo"
node = "a"
address = "10.0.0.1:9870"
etcd = ["10.0.0.1:2379", "10.0.0.2:2379", "10.0.0.3:2379"]
ca = "tls/ca.crt"
certificate = "tls/node.crt"
key = "tls/node.key"
"""


def written(folder: Path, table: str) -> Path:
    file = folder / "venue.toml"
    text = DEMO_FILE.read_text(encoding="utf-8").replace("\n[fix]\n", f"{table}\n[fix]\n", 1)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return file


def test_a_single_machine_shares_nothing() -> None:
    settings = load(DEMO_FILE, {})
    assert settings.cluster is None
    assert not settings.fix.shared and not settings.http.shared


def test_a_member_shares_sessions_and_keys_with_the_others(tmp_path: Path) -> None:
    settings = load(written(tmp_path, TABLE), {})
    assert settings.cluster is not None
    assert settings.fix.shared and settings.http.shared
    assert settings.cluster.ca == tmp_path / "tls" / "ca.crt", "beside the configuration"
    assert settings.cluster.candidate


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('node = "a"', 'node = "A b"', "cluster.node"),
        ('address = "10.0.0.1:9870"', 'address = "here"', "cluster.address"),
        ('key = "tls/node.key"', "", "cluster.key"),
        ("[cluster]", "[cluster]\nelection = 5", "cluster.election"),
        ('etcd = ["10.0.0.1:2379", "10.0.0.2:2379", "10.0.0.3:2379"]', "etcd = []", "cluster.etcd"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        load(written(tmp_path, TABLE.replace(old, new)), {})
