"""What is locked and installed fits together, and none of it has a known fault; no network."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools import locks
from tools.locks import APART, BUILD, LOCKS, PYTHON_MIN, QUICKFIX_WHEEL, entries, moved, pinned

ROOT = Path(__file__).parent.parent.parent


def required(*extras: str) -> list[Requirement]:
    """What setup.cfg asks for to run the venue; or else under the names of extras."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    table = parser["options.extras_require"]
    texts = [table[extra] for extra in extras or ("postgres",)]
    if not extras:
        texts.append(parser["options"]["install_requires"])
    return [Requirement(line) for text in texts for line in text.splitlines() if line.strip()]


def installed(name: str) -> metadata.Distribution:
    """What is installed under a name. The prebuilt QuickFIX goes for QuickFIX."""
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        if canonicalize_name(name) != "quickfix":
            raise
        return metadata.distribution("quickfix-tls")


def closure(roots: list[Requirement]) -> Iterator[tuple[str, Requirement]]:
    """Every requirement of what is needed at run time: (who asks, what for)."""
    waiting = [("setup.cfg", root) for root in roots]
    seen: set[tuple[str, str]] = set()
    while waiting:
        who, requirement = waiting.pop()
        key = (who, str(requirement))
        if key in seen:
            continue
        seen.add(key)
        yield who, requirement
        name = requirement.name
        for text in installed(name).requires or ():
            needed = Requirement(text)
            environments = [{"extra": extra} for extra in (requirement.extras or {""})]
            if needed.marker is None or any(
                needed.marker.evaluate({**default_environment(), **one}) for one in environments
            ):
                waiting.append((name, needed))


def advisories() -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Affected versions by package and advisory, and what is accepted with its reason."""
    text = (Path(__file__).parent / "advisories.toml").read_text(encoding="utf-8")
    read: dict[str, Any] = tomllib.loads(text)
    del read["as_of"]
    accepted = read.pop("accepted")
    return {canonicalize_name(name): rows for name, rows in read.items()}, accepted


def affected(name: str, version: Version) -> list[str]:
    """The advisories that a version has, but for those that are accepted."""
    known, accepted = advisories()
    return [
        number for number, versions in known.get(canonicalize_name(name), {}).items()
        if number not in accepted and SpecifierSet(versions).contains(version, prereleases=True)
    ]  # fmt: skip


def test_what_is_installed_fits_together() -> None:
    checked = 0
    for who, requirement in closure(required()):
        version = installed(requirement.name).version
        fits = requirement.specifier.contains(version, prereleases=True)
        assert fits, f"{who} needs {requirement}, installed is {version}"
        checked += 1
    assert checked > 30


def test_nothing_that_is_installed_has_a_known_fault() -> None:
    for name in {canonicalize_name(r.name) for _, r in closure(required())}:
        version = Version(installed(name).version)
        assert affected(name, version) == [], f"{name} {version}"


def test_setup_cfg_lets_nothing_in_that_has_a_known_fault() -> None:
    for requirement in required():
        lower = [s.version for s in requirement.specifier if s.operator in (">=", "==")]
        assert lower, f"{requirement} has no lower bound"
        found = affected(requirement.name, Version(lower[0]))
        assert found == [], f"{requirement} lets in what has {found}"


def test_a_known_fault_is_recognised() -> None:
    assert affected("Jinja2", Version("3.1.5")) == ["CVE-2025-27516"]
    assert affected("requests", Version("2.31.0")) == ["CVE-2024-35195", "CVE-2024-47081"]


# The lock files.

ALL_LOCKS = (*LOCKS, BUILD)


def lock(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def here(name: str) -> dict[str, Version]:
    """What a lock file has for the Python that runs this."""
    found: dict[str, Version] = {}
    for requirement, _ in entries(lock(name)):
        if requirement.marker is None or requirement.marker.evaluate():
            (only,) = requirement.specifier
            found[canonicalize_name(requirement.name)] = Version(only.version)
    return found


@pytest.mark.parametrize("name", (*ALL_LOCKS, *APART))
def test_every_entry_of_a_lock_is_one_version_with_its_hashes_and_names_no_index(
    name: str,
) -> None:
    found = list(entries(lock(name)))
    assert found
    for requirement, hashes in found:
        (only,) = requirement.specifier
        assert only.operator == "==" and "*" not in only.version, requirement
        assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes)
        assert requirement.url is None, requirement
    text = lock(name)
    assert "://" not in text and "-index" not in text and "find-links" not in text


@pytest.mark.parametrize("name", ALL_LOCKS)
def test_a_lock_has_all_that_setup_cfg_asks_for_in_a_version_that_it_allows(name: str) -> None:
    wanted = required("build")
    if name != BUILD:
        wanted = required() + required(*LOCKS[name])
    versions = here(name)
    for requirement in wanted:
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in {name}: run make lock"
        fits = requirement.specifier.contains(version, prereleases=True)
        assert fits, f"{name} has {version}, setup.cfg says {requirement}: run make lock"


@pytest.mark.parametrize("name", APART)
def test_a_lock_apart_has_what_its_extra_asks_for(name: str) -> None:
    (requirement,) = required(APART[name])
    version = here(name)[canonicalize_name(requirement.name)]
    fits = requirement.specifier.contains(version, prereleases=True)
    assert fits, f"{name} has {version}, setup.cfg says {requirement}: run make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_all_that_its_packages_need(name: str) -> None:
    """Else ``make install`` would leave something out, as it installs without dependencies."""
    versions = here(name)
    for who, requirement in closure(required() + required(*LOCKS[name])):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{who} needs {requirement}, {name} has none: run make lock"


def test_the_locks_say_the_same_of_what_they_share() -> None:
    whole = pinned(lock("requirements-test.txt"))
    for name in ALL_LOCKS:
        assert pinned(lock(name)).items() <= whole.items(), name


def test_what_is_installed_is_what_is_locked() -> None:
    locked = here("requirements-test.txt") | here(QUICKFIX_WHEEL)
    for name in here("requirements-test.txt"):
        found = installed(name)
        version = locked[canonicalize_name(found.name)]
        assert Version(found.version) == version, f"{name}: locked is {version}; run make setup"


def test_nothing_that_is_locked_has_a_known_fault() -> None:
    for name, versions in pinned(lock("requirements.txt")).items():
        for version in versions.split(", "):
            assert affected(name, Version(version)) == [], f"{name} {version}"


def test_the_locks_are_made_for_the_oldest_python_that_setup_cfg_allows() -> None:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    assert parser["options"]["python_requires"] == f">={PYTHON_MIN}"


def test_what_moved_is_told() -> None:
    before = pinned("a==1 \\\n    --hash=sha256:00\nb==2 ; python_version < '3.12'\nb==3\n")
    assert before == {"a": "1", "b": "2, 3"}
    assert moved(before, before) == []
    assert moved(before, {"a": "1.1", "c": "4"}) == [
        "a: 1 -> 1.1", "b: 2, 3 -> gone", "c: not there -> 4",
    ]  # fmt: skip


def test_what_moved_in_a_lock_apart_is_told_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "ROOT", tmp_path)
    for name in (*LOCKS, BUILD, *APART):
        (tmp_path / name).write_text("a==1\nccxt==1\n" if name in APART else "a==1\n")

    def newer(target: str, *_: object, **__: object) -> None:
        path = tmp_path / target
        path.write_text(path.read_text().replace("==1", "==2"))

    monkeypatch.setattr(locks, "compile_lock", newer)
    monkeypatch.setattr(locks, "requirements", lambda *_: [])
    assert locks.write(upgrade=True) == ["a: 1 -> 2", "ccxt: 1 -> 2"]
