"""Fixtures of the cluster's tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.members import Leader, Owner, authority, files
from tests.support.etcd import MISSING, PROGRAM, EtcdCluster

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def authority_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of two nodes, a and b."""
    return authority(tmp_path_factory.mktemp("cluster") / "ca")


@pytest.fixture
def lead(tmp_path: Path, authority_folder: Path) -> Iterator[Callable[..., Leader]]:
    """Start leaders; they are stopped after the test."""
    started: list[Leader] = []

    def start(*arguments: Any, **options: Any) -> Leader:
        folder = tmp_path / f"leader{len(started)}"
        tls = options.pop("tls", files(authority_folder, "a"))
        started.append(Leader(folder, tls, *arguments, **options))
        return started[-1]

    yield start
    for leader in started:
        leader.stop()


@pytest.fixture
def own(authority_folder: Path) -> Iterator[Callable[..., Owner]]:
    """Make links; they are closed after the test."""
    made: list[Owner] = []

    def start(*arguments: Any, tls: Any = None, **options: Any) -> Owner:
        made.append(Owner(tls or files(authority_folder, "b"), *arguments, **options))
        return made[-1]

    yield start
    for owner in made:
        owner.link.close()


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """Three members for the tests of a file."""
    if PROGRAM is None:
        pytest.skip(MISSING)
    folder: Path = tmp_path_factory.mktemp("etcd")
    with EtcdCluster(folder, 3) as cluster:
        yield cluster


@pytest.fixture
def prefix() -> str:
    """A part of it for one test."""
    return f"/tandem/test{next(_numbers)}/"
