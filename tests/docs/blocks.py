"""Takes the code blocks out of a page and runs them as a reader would, from top to bottom.

``sh`` blocks run in one bash, so that what one sets the next ones see; ``python`` blocks run
as programs in between. A block whose fence says ``output`` after its language is what the
block before it must have printed; ``…`` stands for anything. A comment
``<!-- test: skip, why -->`` before a block leaves it out, and the reason is printed.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.docs.quick import CLIENT
from tests.support import pace

ROOT = Path(__file__).parent.parent.parent
RUN = {"sh", "python"}
SHOWN = {"text", "json", "ini", "toml", "xml", "yaml", "promql", "nginx", "http", "js", ""}
"""Languages of blocks that are shown and not run."""
INSTALLED = {"node_modules"}
"""Folders of other people's files, which an installation leaves among ours."""
_BLOCK = re.compile(
    r"(?:<!-- test: skip, (?P<why>[^>]*?) -->\n+)?"
    r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
MARK = "@@block "


@dataclass(frozen=True)
class Block:
    """One block; ``output`` is what it must print, None where nothing is said."""

    line: int
    language: str
    text: str
    skip: str = ""
    output: str | None = None


def pages(folder: Path, pattern: str) -> list[Path]:
    """The pages of a folder and of those below it, without what is installed there."""
    return [path for path in folder.rglob(pattern) if not INSTALLED & set(path.parts)]


def blocks(page: str) -> list[Block]:
    """The blocks of a page, those of output joined to what prints it."""
    found: list[Block] = []
    for match in _BLOCK.finditer(page):
        language, _, role = match["info"].strip().partition(" ")
        line = page.count("\n", 0, match.start("info")) + 1
        if role == "output":
            last = found[-1]
            found[-1] = Block(last.line, last.language, last.text, last.skip, match["text"])
        else:
            found.append(Block(line, language, match["text"], match["why"] or ""))
    return found


def run(
    page: str, folder: Path, env: dict[str, str], replace: dict[str, str], quick: str
) -> None:
    """Run every block of a page; AssertionError names the line of the one that fails.

    ``quick`` is the socket of the process that runs `tandem` (see quick.py).
    """
    _lay_out(folder, quick)
    script = ["set -eu", "exec 2>&1", f"cd {folder}"]
    every = blocks(page)
    for block in every:
        if block.language not in RUN or block.skip:
            continue
        text = block.text
        for old, new in replace.items():
            text = re.sub(old, new, text)
        script.append(f"echo; echo '{MARK}{block.line}'")
        if block.language == "python":
            path = folder / f"block_{block.line}.py"
            path.write_text(text, encoding="utf-8")
            script.append(f".venv/bin/python {path.name}")
        else:
            script.append(text)
    script.append(f"echo; echo '{MARK}0'")
    path = folder / "page.sh"
    path.write_text("\n".join(script) + "\n", encoding="utf-8")
    done = _bash(path, folder, env)
    printed = _by_block(done.stdout)
    last = max(printed, default=0, key=list(printed).index) if printed else 0
    assert done.returncode == 0, f"the block at line {last} failed:\n{printed.get(last)}"
    for block in every:
        if block.output is not None and not block.skip:
            said = printed[block.line]
            wanted = block.output
            assert _matches(wanted, said), (
                f"the block at line {block.line} printed\n{said}\nand the page says\n{wanted}"
            )


def _bash(
    path: Path, folder: Path, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a script; whatever it has left running ends with it."""
    with subprocess.Popen(
        ["bash", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=folder, start_new_session=True,
        env={"PATH": "/usr/bin:/bin:/usr/sbin", "HOME": str(folder), "COLUMNS": "120",
             "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", **env},
    ) as bash:  # fmt: skip
        try:
            out, err = bash.communicate(timeout=pace.seconds(280))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(bash.pid, signal.SIGTERM)
    return subprocess.CompletedProcess(bash.args, bash.returncode, out, err)


def _lay_out(folder: Path, quick: str) -> None:
    """Make the folder look like the repository to somebody who types what a page says."""
    for name in ("clients", "config", "spec", "docs", "Makefile"):
        (folder / name).symlink_to(ROOT / name)
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    python = f'#!/bin/sh\nexec {sys.executable} "$@"\n'
    tandem = CLIENT.format(python=Path(sys.executable).resolve(), path=quick)
    for name, text in (("python", python), ("tandem", tandem)):
        path = programs / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)


def _by_block(text: str) -> dict[int, str]:
    parts = re.split(rf"^{MARK}(\d+)$", text, flags=re.MULTILINE)
    return {int(line): said for line, said in zip(parts[1::2], parts[2::2], strict=True)}


def _matches(wanted: str, said: str) -> bool:
    def plain(text: str) -> str:
        return "\n".join(line.rstrip() for line in text.strip().splitlines())

    pattern = ".*?".join(re.escape(part) for part in plain(wanted).split("…"))
    return re.fullmatch(pattern, plain(said), re.DOTALL) is not None


def environment(config: Path, data: Path) -> dict[str, str]:
    """What a reader's shell has in it besides the defaults."""
    kept = {name: os.environ[name] for name in ("TMPDIR",) if name in os.environ}
    return kept | {"TANDEM_CONFIG": str(config), "TANDEM_DATA": str(data)}
