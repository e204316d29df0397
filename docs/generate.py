"""Write the generated tables of docs/language.md from the registries: ``python docs/generate.py``.

With ``--check`` nothing is written, and the exit code is 1 if the page is not up to date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

PAGE = Path(__file__).with_name("language.md")
SECTION = re.compile(r"<!-- generated: (?P<name>\w+) -->\n.*?<!-- end -->", re.DOTALL)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("``", "`").replace("|", r"\|")


def first_sentence(text: str | None) -> str:
    """Return the first paragraph of a docstring on one line."""
    return " ".join((text or "").strip().split("\n\n")[0].split())


def functions() -> str:
    """Return the table of the language's functions."""
    from tpc.ops import functions as registry

    return table(
        ("function", "meaning"),
        (
            (f"`{f.signature.replace('(1,)', '1')}`", _joined(f.summary, f.details))
            for f in registry().values()
        ),
    )


def _joined(summary: str, details: str) -> str:
    return f"{summary} {first_sentence(details)}".strip()


def ops() -> str:
    """Return the table of ops with the rules that each has."""
    from tpc.ops import ops as registry
    from tpc.ops.base import Op

    rules = {"d": "vjp", "f": "evaluate", "s": "exponents", "l": "limit"}

    def marks(op: Op) -> str:
        has = {
            mark: getattr(type(op), rule) is not getattr(Op, rule) for mark, rule in rules.items()
        }
        return " ".join(mark if has[mark] else "–" for mark in rules)

    rows = ((f"`{op.name}`", marks(op), first_sentence(op.__doc__)) for op in registry().values())
    return table(("op", "rules", "meaning"), rows)


def activations() -> str:
    """Return the table of built-in activations."""
    from tpc.ops.activations import catalogue as registry

    return table(
        ("activation", "meaning"),
        ((f"`{a.signature()}`", a.documentation()) for a in registry().values()),
    )


def optimizers() -> str:
    """Return the table of optimizers, and that of the options that all of them take."""
    from tpc.optimizers import optimizers as registry
    from tpc.optimizers.base import COMMON, Option

    def option(each: Option) -> str:
        default = "" if each.default is None else f" = {each.default}"
        return f"`{each.name}{default}`: {each.summary}"

    rows = (
        (f"`{name}`", first_sentence(o.documentation), "; ".join(map(option, o.own)))
        for name, o in registry().items()
    )
    return f"Every optimizer takes {'; '.join(map(option, COMMON))}.\n\n" + table(
        ("optimizer", "meaning", "options of its own"), rows
    )


def parametrizations() -> str:
    """Return the rows of the named parametrizations by role."""
    from tpc.parametrize.fill import SCALE_FREE_TABLES, SGD_TABLES

    kinds = (("SGD, momentum", SGD_TABLES), ("scale-free (Adam, sign, ...)", SCALE_FREE_TABLES))
    rows = [
        [
            f"`{name}`",
            kind,
            *(_triple(tables[name][role]) for role in ("input", "hidden", "readout")),
        ]
        for kind, tables in kinds
        for name in tables
    ]
    return table(("name", "optimizer", "input, bias, gain, tied", "hidden", "readout"), rows)


def _triple(row: Iterable[object]) -> str:
    return "(" + ", ".join(map(str, row)) + ")"


SECTIONS: dict[str, Callable[[], str]] = {
    "functions": functions,
    "activations": activations,
    "optimizers": optimizers,
    "parametrizations": parametrizations,
    "ops": ops,
}


def generate(text: str) -> str:
    """Return the page with every generated section made anew."""

    def section(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- generated: {name} -->\n{SECTIONS[name]()}\n<!-- end -->"

    return SECTION.sub(section, text)


def main() -> int:
    """Write the page, or check it."""
    old = PAGE.read_text(encoding="utf-8")
    new = generate(old)
    if "--check" in sys.argv[1:]:
        return int(new != old)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
