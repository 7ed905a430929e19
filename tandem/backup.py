"""``tandem backup`` and ``tandem restore``: a venue in one folder, copied while it trades.

Everything that follows the journal is copied before it, and the journal last: so nothing in a
backup is ahead of its journal, and after a restore every process catches up from it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy.engine import make_url

from config.settings import Settings
from engine.core.types import ENGINE_VERSION
from engine.journal import segment as files
from engine.journal.base import JournalError
from engine.journal.snapshots import snapshot_paths
from engine.journal.verify import verify
from fix_gateway.session.store import read_state, write_state
from tandem.output import CommandError
from tandem.sqlite_copy import copy_database, copy_file, flush

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
_REPEATS: Final = ".repeats"
_STORE_ORDER: Final = (
    ".state", ".epoch", ".seqnums", ".session", ".header", ".body", _REPEATS,
)  # fmt: skip
"""In reverse of the order in which QuickFIX writes, so that counted messages are always there; at
the end what is being sent a second time, which is written before the index changes."""
Say = Callable[[str], None]


def backup(settings: Settings, target: Path, say: Say) -> None:
    """Copy a venue, running or not, into a new folder and audit the copy.

    Raises CommandError if something cannot be copied or the audit has findings.
    """
    if target.exists() and any(target.iterdir()):
        raise CommandError(f"{target} is not empty; a backup goes into a folder of its own")
    journal = settings.engine.journal
    if not files.segment_paths(journal):
        raise CommandError(f"there is no journal in {journal}")
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        _copy_followers(settings, target, say)
        _copy_journal(journal, target / "journal")
        copy_file(settings.file, target / "venue.toml")
        report = verify(target / "journal", target / "journal" / "snapshots")
    except (OSError, sqlite3.Error, JournalError) as error:
        raise CommandError(f"the backup failed: {error}") from None
    if not report.ok:
        found = "; ".join(f"{each.place}: {each.text}" for each in report.findings)
        raise CommandError(f"the copy in {target} is damaged: {found}")
    manifest = {
        "format": FORMAT,
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "engine_version": ENGINE_VERSION,
        "last_seq": report.last_seq,
        "state_hash": report.state_hash,
        "files": _digests(target),
    }
    path = target / MANIFEST
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    path.chmod(0o600)
    flush(path)
    flush(target)
    say(f"Backup of sequence {report.last_seq} in {target}, audited: every byte is as written.")


def _copy_followers(settings: Settings, target: Path, say: Say) -> None:
    url = make_url(settings.history.url)
    if url.get_backend_name() != "sqlite":
        say("The history is not in a file; it can be rebuilt, or backed up with its database.")
    elif url.database and Path(url.database).exists():
        copy_database(Path(url.database), target / "history.db")
    for name in ("network.db", "keys.db", "webhooks.db"):
        if (settings.data / name).exists():
            copy_database(settings.data / name, target / name)
    if (settings.data / "keys.master").exists():
        say(
            "keys.master, which opens the secrets in keys.db and webhooks.db, is not copied: keep "
            "it elsewhere."
        )
    for store in settings.fix.stores:
        if store.is_dir() or store is settings.fix.stores[0]:
            _copy_store(store, target / "fix" / store.name)


def _copy_store(store: Path, into: Path) -> None:
    into.mkdir(mode=0o700, parents=True)
    for suffix in _STORE_ORDER:
        for path in sorted(store.glob(f"*{suffix}")):
            try:
                copy_file(path, into / path.name)
            except FileNotFoundError:
                if suffix != _REPEATS:
                    raise
                # All of it was sent meanwhile.
    flush(into)


def _copy_journal(journal: Path, target: Path) -> None:
    (target / "snapshots").mkdir(mode=0o700, parents=True)
    for path in snapshot_paths(journal / "snapshots"):
        try:
            copy_file(path, target / "snapshots" / path.name)
        except FileNotFoundError:
            continue  # A newer one took its place meanwhile.
    copy_database(journal / "index.db", target / "index.db")
    for path in files.segment_paths(journal):
        copy_database(path, target / path.name)
    flush(target / "snapshots")
    flush(target)


def restore(source: Path, data: Path, say: Say) -> None:
    """Create a data folder from a backup. If it raises CommandError the folder is unchanged.

    Events after the backup are not in it. FIX sessions therefore continue with numbers far above
    any that a client may have seen, and resend doubtful reports.
    """
    manifest = _manifest(source)
    if data.exists() and any(data.iterdir()):
        raise CommandError(f"{data} is not empty; a backup is restored into an empty folder")
    say("Checking the backup …")
    found = _digests(source)
    if found != manifest["files"]:
        names = found.items() ^ manifest["files"].items()
        listed = ", ".join(sorted({name for name, _ in names}))
        raise CommandError(f"the backup is not what was written: {listed}")
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        for name in manifest["files"]:
            if name == "venue.toml":
                continue
            (data / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            copy_file(source / name, data / name)
        for store in (data / "fix").glob("store*"):
            _mark_store(store)
    except OSError as error:
        raise CommandError(f"{data} is incomplete, delete it: {error}") from None
    say(f"Restored sequence {manifest['last_seq']} into {data}.")


def _mark_store(store: Path) -> None:
    """Make the gateway treat the store as one that a power loss left behind."""
    state = read_state(store)
    if state is not None:
        write_state(
            store, state._replace(boot_id="restored", clean=False, synced=True), durable=True
        )


def _manifest(source: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(f"{source} is not a complete backup: {error}") from None
    if manifest.get("format") != FORMAT:
        raise CommandError(f"{source} has another format than this version reads")
    return manifest


def _digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file but the manifest, by its path in the folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[str(path.relative_to(folder))] = digest
    return found
