"""QuickFIX's installation: the source on every core, the cache, the prebuilt wheel; no compiler."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools import quickfix
from tools.quickfix_setup import FLAGS, WRAPPER, WRAPPER_FLAGS, side_by_side


def test_every_file_is_compiled_with_its_flags_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sizes = {"C++/Small.cpp": 1, f"C++/{WRAPPER}": 900, "C++/Session.cpp": 40}
    (tmp_path / "C++").mkdir()
    for name, size in sizes.items():
        Path(name).write_bytes(b"x" * size)
    calls: list[tuple[str, list[str]]] = []

    def one(sources: list[str], *, extra_postargs: list[str], output_dir: str) -> list[str]:
        assert output_dir == "temp"
        calls.append((sources[0], extra_postargs))
        return [f"{sources[0]}.o"]

    said = io.StringIO()
    made = side_by_side(one, said)([*sizes], output_dir="temp", extra_postargs=["-std=c++17"])
    assert set(made) == {f"{name}.o" for name in sizes} and len(made) == 3
    assert dict(calls) == {
        name: ["-std=c++17", *(WRAPPER_FLAGS if name.endswith(WRAPPER) else FLAGS)]
        for name in sizes
    }
    assert made[0] == f"C++/{WRAPPER}.o", "the largest is begun first"
    assert [line.split()[:2] for line in said.getvalue().splitlines()] == [
        ["1", "3"], ["2", "3"], ["3", "3"],
    ]  # fmt: skip


def test_a_file_that_does_not_compile_ends_it() -> None:
    def fails(sources: list[str], **_: object) -> list[str]:
        raise RuntimeError(sources[0])

    with pytest.raises(RuntimeError, match=r"test_quickfix\.py"):
        side_by_side(fails, io.StringIO())([__file__])


def test_a_wheel_is_kept_and_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = quickfix.cache(["sha256:1"])
    assert folder.parent == tmp_path / "cache" / "tandem"
    assert folder != quickfix.cache(["sha256:2"]), "another source is compiled anew"
    made = tmp_path / "quickfix-1.16.0-cp311-cp311-linux_x86_64.whl"
    made.write_bytes(b"wheel")
    kept = quickfix.keep(made, folder)
    assert kept.read_bytes() == b"wheel" and [*folder.iterdir()] == [kept]
    monkeypatch.setattr(quickfix, "need_compiler", lambda: pytest.fail("it is compiled again"))
    assert quickfix.compiled(Requirement("quickfix==1.16.0"), ["sha256:1"]) == kept


def test_no_compiler_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(quickfix, "installed", lambda which: "")
    assert quickfix.main(["source"]) == 1
    assert capsys.readouterr().err == (
        "A C++ compiler is needed (Debian 12: apt-get install build-essential).\n"
    )


def test_both_kinds_are_locked_to_one_version_with_hashes() -> None:
    for which, name in quickfix.NAMES.items():
        requirement, hashes = quickfix.pinned(which)
        assert requirement.name == name and str(requirement.specifier).startswith("==1.16.0")
        assert hashes


def test_one_kind_replaces_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"source": "1.16.0", "wheel": ""}
    ran: list[tuple[str, ...]] = []

    def pip(*arguments: str) -> None:
        ran.append(arguments[:1])
        if arguments[0] == "uninstall":
            assert arguments[2:] == ("quickfix",)
            there.update(source="", wheel="")

    monkeypatch.setattr(quickfix, "pip", pip)
    monkeypatch.setattr(quickfix, "installed", there.get)
    quickfix.install("source")
    assert ran == [], "what is there is left alone"
    quickfix.install("wheel")
    assert ran == [("uninstall",), ("install",)]
