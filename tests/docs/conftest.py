"""The site of the documentation, built once for all tests of it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT
from tests.support import pace


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("sphinx") is None:
        pytest.skip("Sphinx is not installed (pip install -e '.[docs]')")
    target = tmp_path_factory.mktemp("site") / "docs"
    done = subprocess.run(
        [sys.executable, "docs/build.py", str(target)], cwd=ROOT, capture_output=True, text=True,
        timeout=pace.seconds(110), env={**os.environ, "http_proxy": "http://127.0.0.1:9"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return target
