"""The documentation runs: every code block of the README and of docs/ is executed.

``bash`` blocks must succeed. ``console`` blocks show commands after ``$`` and their output, which
must be what the commands print (``...`` stands for anything; ``--update-golden`` writes it anew).
``python`` blocks of one file form one script. ``tp`` blocks parse, and those that are whole
programs (they begin with ``width``) compile. ``<!-- not run: why -->`` before a block skips it.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted({ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")})
BLOCK = re.compile(
    r"(?P<skip><!-- not run: [^\n]+ -->\n+)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
TIMEOUT = 240
#: Pages that train networks on real data, whose scripts the fast tests run on less.
LONG = {
    "docs/data.md",
    "docs/phase.md",
    "docs/predict.md",
    "docs/run.md",
    "examples/digits/README.md",
    "examples/letters/README.md",
    "examples/strokes/README.md",
}


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int
    start: int


def blocks(page: Path, *languages: str) -> list[Block]:
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    return [
        Block(m["language"], m["text"], text.count("\n", 0, m.start("text")) + 1, m.start("text"))
        for m in BLOCK.finditer(text)
        if m["language"] in languages and not m["skip"]
    ]


def pages_with(*languages: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, *languages)]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def marked(pages: list[Path]) -> list[Any]:
    """Return the pages, with the long ones marked as slow."""
    return [
        pytest.param(page, marks=pytest.mark.slow) if name_of(page) in LONG else page
        for page in pages
    ]


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder that looks like the checkout, in which examples may write."""
    for name in ("examples", "docs", "bench", "tests", "dev.py", "pyproject.toml"):
        if (ROOT / name).exists():
            (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    scripts = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"COLUMNS": "100", "NO_COLOR": "1", "MPLBACKEND": "Agg"}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def split_commands(text: str) -> list[tuple[str, str]]:
    """Split a console block into commands and what follows each."""
    pairs: list[tuple[str, str]] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("$ "):
            pairs.append((line[2:].rstrip("\n"), ""))
        elif pairs:
            pairs[-1] = (pairs[-1][0], pairs[-1][1] + line)
        else:
            raise AssertionError(f"a console block begins with `$ `, not with {line!r}")
    return pairs


def matches(expected: str, found: str) -> bool:
    return doctest.OutputChecker().check_output(expected, found, doctest.ELLIPSIS)


@pytest.mark.parametrize("page", marked(pages_with("bash", "console")), ids=name_of)
def test_commands(page: Path, workplace: Path, request: pytest.FixtureRequest) -> None:
    update = request.config.getoption("--update-golden")
    page_text = page.read_text(encoding="utf-8")
    for block in blocks(page, "bash", "console"):
        where = f"{name_of(page)}:{block.line}"
        if block.language == "bash":
            done = run(["bash", "-euo", "pipefail", "-c", block.text], workplace)
            assert done.returncode == 0, f"{where}: exit {done.returncode}\n{done.stdout}"
            continue
        new = ""
        for command, expected in split_commands(block.text):
            found = run(["bash", "-c", command], workplace).stdout.replace(str(workplace), "")
            same = matches(expected, found)
            assert same or update, f"{where}: $ {command}\n{found}\n--- expected:\n{expected}"
            new += f"$ {command}\n" + (expected if same else found)
        page_text = page_text.replace(block.text, new)
    if update and page_text != page.read_text(encoding="utf-8"):
        page.write_text(page_text, encoding="utf-8")


@pytest.mark.parametrize("page", marked(pages_with("python")), ids=name_of)
def test_python(page: Path, workplace: Path) -> None:
    script = "".join(f"# {name_of(page)}:{b.line}\n{b.text}" for b in blocks(page, "python"))
    done = run([sys.executable, "-W", "error", "-c", script], workplace)
    assert done.returncode == 0, f"{done.stdout}\n{script}"


@pytest.mark.parametrize("page", pages_with("tp"), ids=name_of)
def test_programs(page: Path) -> None:
    import tpc
    from tpc.diagnostics import Source, render
    from tpc.syntax import parse

    for block in blocks(page, "tp"):
        try:
            if re.match(r"(#[^\n]*\n)*width ", block.text):
                tpc.compile(text=block.text)
            else:
                parse(Source.of(block.text))
        except tpc.TpcError as error:
            message = render(error.diagnostics, "full", colour=False)
            pytest.fail(f"{name_of(page)}:{block.line}\n{message}", pytrace=False)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links(page: Path) -> None:
    """Links to files of the project lead somewhere."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", BLOCK.sub("", text))
    local = [target for target in targets if not re.match(r"\w+:", target)]
    broken = [target for target in local if not (page.parent / target).exists()]
    assert not broken


def test_shell_words() -> None:
    """Console commands are single lines that a shell reads."""
    for page in pages_with("console"):
        for block in blocks(page, "console"):
            for command, _ in split_commands(block.text):
                assert shlex.split(command)
