"""The house rules that a program can check: file length, direction of imports, clean text."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "tpc"
LONGEST = 400

#: Layers of docs/internals.md, lowest first. A module may import from its own layer or a lower one.
LAYERS = (
    ("version", "exact"),
    ("diagnostics", "storage", "products"),
    ("syntax",),
    ("ir",),
    ("ops", "optimizers"),
    ("elaborate", "differentiate", "unroll", "simplify"),
    (
        "parametrize",
        "scaling",
        "limit",
        "covariance",
        "conditional",
        "simulate",
        "codegen",
        "runtime",
        "cost",
        "feature",
        "derivation",
        "online",
    ),
    (
        "report",
        "export",
        "data",
        "datasets",
        "session",
        "fewshot",
        "kernel_session",
        "streaming",
        "convergence",
        "study",
        "slopes",
        "phase",
        "cli_scaling",
        "evaluate",
        "pipeline",
        "api",
        "cli",
        "cli_data",
        "cli_kernel",
        "cli_run",
        "cli_solve",
        "solved_program",
        "__init__",
        "__main__",
    ),
)
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}

#: An op is made of IR nodes and an IR node holds its op: this one edge between layers is mutual.
MUTUAL = {("ir", "ops")}

#: An op's rule for a stage is written in the words of that stage, which are modules of its own.
WORDS = {
    ("ops", f"tpc.{module}")
    for module in (
        "limit.forms",
        "limit.contraction",
        "feature.rules",
        "feature.contraction",
        "derivation.rules",
        "derivation.products",
        "derivation.symbols",
        "covariance.arrays",
        "covariance.contraction",
        "covariance.leaves",
        "covariance.moves",
        "covariance.products",
        "covariance.windows",
    )
}

SOURCES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def part_of(path: Path) -> str:
    """Return the part of tpc that a file belongs to: a folder or a top module."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree without what stands under ``if TYPE_CHECKING``."""
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        guarded = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        children = node.orelse if guarded else ast.iter_child_nodes(node)
        stack.extend(children)


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and module of every run-time import from tpc."""
    for node in run_time_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module == "tpc":
            names = [f"tpc.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        else:
            continue
        for name in names:
            if name.startswith("tpc."):
                yield node.lineno, name


def test_every_part_has_a_layer() -> None:
    assert {part_of(path) for path in SOURCES} <= set(LAYER_OF)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_are_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{name_of(path)} has {lines} lines: split it"


def is_upward(part: str, module: str) -> bool:
    imported = module.split(".")[1]
    if (part, imported) in MUTUAL:
        return False
    return LAYER_OF.get(imported, 0) > LAYER_OF.get(part, len(LAYERS))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_flow_downward(path: Path) -> None:
    part = part_of(path)
    upward = [
        f"line {line}: {part} imports {module}"
        for line, module in imports_of(path)
        if is_upward(part, module) and (part, module) not in WORDS
    ]
    assert not upward


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_are_absolute(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    relative = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level]
    assert not relative


def test_nothing_evaluates_text() -> None:
    """No user text ever reaches Python's or SymPy's evaluators."""
    forbidden = {"eval", "exec", "sympify", "parse_expr"}
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).rsplit(".", 1)[-1]
                if name in forbidden:
                    found.append(f"{name_of(path)}:{node.lineno} calls {name}")
    assert not found


def project_files() -> list[Path]:
    """Return the text files that git knows, or those on disk where there is no git."""
    command = ["git", "ls-files", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        names = [name for name in done.stdout.split("\0") if name]
    else:
        names = [
            str(p.relative_to(ROOT))
            for d in ("tpc", "tests", "docs")
            for p in (ROOT / d).rglob("*")
        ]
    paths = [ROOT / name for name in names]
    return [p for p in paths if p.is_file() and "__pycache__" not in str(p) and is_text(p)]


def is_text(path: Path) -> bool:
    """Whether a file has no zero byte where it begins: version control tells texts so, too."""
    with path.open("rb") as file:
        return b"\0" not in file.read(8000)


#: Paths of one machine (a home folder, a scratch folder with something in it) and left-overs.
MACHINE = re.compile(
    r"(?<![\w.])/(?:home|Users|root|work|workspace|mnt|private)/[\w.]"
    r"|(?<![\w.])/tmp/[\w.]|[A-Z]:\\\\Users|(?i:\bissues? #?\d)"
)
LEFT_OVER = re.compile(r"^(?:<{7}|>{7}) |\bbreakpoint\(\)|\bpdb\.set_trace\b", re.MULTILINE)


@pytest.mark.parametrize("path", project_files(), ids=name_of)
def test_text_is_clean(path: Path) -> None:
    if path == Path(__file__).resolve():
        return
    text = path.read_text(encoding="utf-8")
    assert not MACHINE.search(text), "a path of one machine"
    assert not LEFT_OVER.search(text), "a conflict marker or a debugger's call"


def test_grammar_is_the_only_grammar() -> None:
    """The wheel ships the grammar that the repository shows at its top."""
    assert sorted(name_of(p) for p in ROOT.glob("*/*.lark")) == ["grammar/tp.lark"]
    assert '"grammar/tp.lark" = "tpc/syntax/tp.lark"' in (ROOT / "pyproject.toml").read_text()


def test_test_modules_have_names_of_their_own() -> None:
    """Tests are in no package, so that pytest imports them by their bare names."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
