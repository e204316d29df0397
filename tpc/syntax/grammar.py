"""The LALR tables of ``tp.lark``, built once per grammar and kept in the user's cache directory.

Building takes about a tenth of a second, loading a hundredth. The stored form is ``marshal`` data
(numbers, texts and containers: loading it runs nothing), and any trouble with it means building
again.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import lark
from lark import Lark

from tpc.syntax.build import TreeBuilder


@cache
def grammar_text() -> str:
    """The text of the grammar: from the installed package, or from the repository."""
    shipped = resources.files("tpc.syntax").joinpath("tp.lark")
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    checkout = Path(__file__).resolve().parents[2] / "grammar" / "tp.lark"
    return checkout.read_text(encoding="utf-8")


@cache
def load_parser() -> Lark:
    """The parser, with :class:`TreeBuilder` making the tree as it reduces."""
    place = _cache_file()
    return _load(place) or _build(place)


def _build(place: Path | None) -> Lark:
    parser = Lark(
        grammar_text(),
        parser="lalr",
        lexer="basic",
        maybe_placeholders=False,
        transformer=TreeBuilder(),
    )
    if place is not None:
        _store(parser, place)
    return parser


def _load(place: Path | None) -> Lark | None:
    if place is None:
        return None
    try:
        if not _is_ours(place.parent) or not _is_ours(place):
            return None
        stored = marshal.loads(place.read_bytes())
        load: Callable[..., Lark] = Lark._load_from_dict
        return load(stored["data"], stored["memo"], transformer=TreeBuilder())
    except Exception:
        return None  # absent, torn, or of another version: build instead


def _store(parser: Lark, place: Path) -> None:
    """Write the tables so that a reader sees all of them or none; a failure costs only time."""
    try:
        data, memo = parser.memo_serialize([lark.lexer.TerminalDef, lark.grammar.Rule])
        data["options"]["transformer"] = None
        content = marshal.dumps({"data": data, "memo": memo})
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(place)
    except (OSError, ValueError):
        return


def _cache_file() -> Path | None:
    root = os.environ.get("TPC_CACHE_DIR") or _user_cache()
    if root is None:
        return None
    versions: tuple[Any, ...] = (lark.__version__, sys.version_info[:3], sys.implementation.name)
    key = hashlib.sha256(f"{versions}\n{grammar_text()}".encode()).hexdigest()[:24]
    return Path(root) / "grammar" / f"{key}.tables"


def _user_cache() -> str | None:
    try:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    except RuntimeError:
        return None  # no home directory
    return str(Path(base) / "tpc") if Path(base).is_absolute() else None


def _is_ours(path: Path) -> bool:
    """Whether only this user could have written ``path``."""
    if not hasattr(os, "getuid"):
        return True
    status = path.stat()
    return status.st_uid == os.getuid() and not status.st_mode & 0o022
