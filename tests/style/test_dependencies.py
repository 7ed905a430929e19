"""What is installed fits together, and none of it has a known fault; without any network."""

from __future__ import annotations

import configparser
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent.parent


def required() -> list[Requirement]:
    """What setup.cfg asks for to run the venue."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = parser["options.extras_require"]
    texts = f"{parser['options']['install_requires']}\n{extras['postgres']}"
    return [Requirement(line) for line in texts.splitlines() if line.strip()]


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
        for text in metadata.requires(name) or ():
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
        version = metadata.version(requirement.name)
        fits = requirement.specifier.contains(version, prereleases=True)
        assert fits, f"{who} needs {requirement}, installed is {version}"
        checked += 1
    assert checked > 30


def test_nothing_that_is_installed_has_a_known_fault() -> None:
    for name in {canonicalize_name(r.name) for _, r in closure(required())}:
        version = Version(metadata.version(name))
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
