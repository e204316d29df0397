"""Kernels with random scalars to read: the laws of the scalars, then the recursion given them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tpc.limit.equations import Equation, equations, shorten
from tpc.limit.limit import latex_name

if TYPE_CHECKING:
    from tpc.conditional.cut import Scalars
    from tpc.conditional.law import Level
    from tpc.conditional.limit import ConditionalLimit
    from tpc.limit.kernels import Kernels


MOST_LAWS, SHOWN = 10, 6
_LAW = re.compile(r"(Cov|Theta)\[(.*, .*)\]")


@dataclass(frozen=True)
class Law:
    """Covariances of random scalars, under a heading in words."""

    heading: str
    equations: tuple[Equation, ...]


def laws(limit: ConditionalLimit) -> tuple[Law, ...]:
    """Return the laws of the scalars, and of their derivatives for a tangent kernel."""
    found = []
    earlier: list[str] = []
    for level in limit.levels:
        names = ", ".join(s.name for s in level.scalars)
        given = f", given {', '.join(earlier)}" if earlier else ""
        what = " and ".join(_what(s) for s in level.scalars)
        found.append(
            Law(
                f"{what}: jointly Gaussian with mean zero{given}, over all samples",
                _renamed(level, level.values, "Cov"),
            )
        )
        if level.tangent is not None:
            heading = f"tangent kernel of {names}{given}"
            found.append(Law(heading, _renamed(level, level.tangent, "Theta")))
        earlier += [s.name for s in level.scalars]
    return tuple(found)


def _what(scalars: Scalars) -> str:
    count = " x ".join(map(str, scalars.shape)) or "1"
    noun = "number" if count == "1" else "numbers"
    return f"{scalars.name} ({count} {noun} of every sample)"


def _renamed(level: Level, kernels: Kernels, letter: str) -> tuple[Equation, ...]:
    """Name the covariances by the scalars; one of every pair that the other mirrors is shown."""
    labels = [_label(s, index) for s in level.scalars for _, index in s.entries]
    count = kernels.kept[0]
    found = []
    for each in equations(kernels, "nngp"):
        match = re.fullmatch(r"K(?:\[(\d+), (\d+)\])?", each.name)
        if match is None:
            found.append(each)
            continue
        i, j = (int(k) - 1 if k else 0 for k in match.groups())
        if i <= j < count:
            found.append(replace(each, name=f"{letter}[{labels[i]}, {labels[j]}]"))
    return tuple(found)


def _label(scalars: Scalars, index: tuple[int, ...]) -> str:
    place = ",".join(str(k + 1) for k in index)
    return f"{scalars.name}[{place}]" if place else scalars.name


def _sections(limit: ConditionalLimit) -> Iterator[tuple[str, tuple[Equation, ...]]]:
    for law in laws(limit):
        yield law.heading, law.equations
    names = ", ".join(s.name for s in limit.cut.scalars)
    if limit.kind == "nngp":
        yield f"given {names}, averaged over them", limit.behind.equations
        return
    if limit.tangent is not None:
        yield f"given {names}, averaged over them", limit.tangent.equations
    yield (
        f"plus, through {names}, d^2 K / (d s d s') Theta[s, s'], averaged: K is the covariance",
        limit.behind.equations,
    )


def text(limit: ConditionalLimit) -> str:
    """Return title, laws, equations and notes as text; long runs are shortened."""
    from tpc.limit.limit import _READING

    lines = [limit.title, ""]
    bars = False
    for heading, found in _sections(limit):
        lines.append(f"  {heading}:")
        lines += [
            f"    ... {each}" if isinstance(each, str) else f"    {each.name} = {each.text}"
            for each in _short(found)
        ]
        lines.append("")
        bars = bars or any("|" in e.text for e in found)
    notes = [_READING, *limit.notes] if bars else limit.notes
    return "\n".join([*lines, *(f"  {note}" for note in notes)]).rstrip() + "\n"


def latex(limit: ConditionalLimit) -> str:
    """Return laws and equations as a LaTeX ``aligned`` block, without delimiters."""
    lines = []
    for heading, found in _sections(limit):
        words = heading.replace("d^2 K / (d s d s') Theta[s, s']", "mixed derivatives of K")
        lines.append(rf"& \text{{{words.replace('_', chr(92) + '_')}:}}")
        for each in _short(found):
            if isinstance(each, str):
                lines.append(rf"& \text{{{each.replace('_', chr(92) + '_')}}}")
                continue
            pair = "" if each.name.endswith("(x)") else "(x, x')"
            lines.append(rf"{_name(each.name)}{pair} &= {each.latex}")
    body = " \\\\\n".join(lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def _short(found: tuple[Equation, ...]) -> list[Equation | str]:
    """Shorten a law to its first covariances, and other recursions as usual."""
    laws = [e for e in found if _LAW.fullmatch(e.name)]
    if len(laws) <= MOST_LAWS:
        return shorten(found)
    shown = [e for e in found if e not in laws]
    rest = f"{len(laws) - SHOWN} more pairs, to {laws[-1].name}"
    return [*shorten(shown), *laws[:SHOWN], rest]


def _name(name: str) -> str:
    match = _LAW.fullmatch(name)
    if match is None:
        return latex_name(name)
    letter = r"\mathrm{Cov}" if match.group(1) == "Cov" else r"\Theta"
    inside = match.group(2).replace("_", r"\_")
    return rf"{letter}_{{\mathtt{{{inside}}}}}"
