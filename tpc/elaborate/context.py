"""The state of one elaboration: tables that grow as declarations are read, and limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from tpc.diagnostics import Source, Span
from tpc.elaborate.report import Failed, Reporter
from tpc.elaborate.values import Definition, Value
from tpc.exact import Affine, Constant
from tpc.ir.module import InputSpec, ParamSpec
from tpc.ir.node import Node
from tpc.syntax import tree

Override = str | int | float | Fraction

LARGEST_SIZE = 10**9
MOST_MEMBERS = 10_000
LONGEST_LOOP = 100_000
MOST_EVALUATIONS = 500_000
DEEPEST = 150


@dataclass
class Context:
    """Everything that is known of the program so far."""

    source: Source
    reporter: Reporter
    overrides: Mapping[str, Override]
    width: str = "n"
    parametrization: str | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    reals: dict[str, Constant] = field(default_factory=dict)
    exponents: dict[str, Affine] = field(default_factory=dict)
    inputs: dict[str, InputSpec] = field(default_factory=dict)
    params: dict[str, ParamSpec] = field(default_factory=dict)
    globals: dict[str, Definition] = field(default_factory=dict)
    named: list[tuple[str, Node, Span]] = field(default_factory=list)
    network: list[tuple[str, Node, Span]] = field(default_factory=list)
    spans: dict[Node, Span] = field(default_factory=dict)
    evaluations: int = 0
    depth: int = 0
    sites: int = 0
    calls: list[tuple[str, Span]] = field(default_factory=list)

    def count(self, span: Span) -> None:
        """Count one evaluation; a program that expands without end stops here."""
        self.evaluations += 1
        if self.evaluations > MOST_EVALUATIONS + 1:
            raise Failed  # it has been said
        if self.evaluations > MOST_EVALUATIONS:
            raise self.reporter.failure(
                "E0703",
                f"the program expands to more than {MOST_EVALUATIONS:,} operations",
                span,
                help="loops are unrolled and functions expanded where they are called: "
                "make ranges shorter",
            )

    def place(self, node: Node, span: Span) -> None:
        """Remember where a node, and what was made below it, stands in the text."""
        pending = [node]
        while pending:
            each = pending.pop()
            if each not in self.spans:
                self.spans[each] = span
                pending.extend(each.operands)


@dataclass
class Scope:
    """The local names of a function call or of the training block."""

    where: str
    names: dict[str, Definition] = field(default_factory=dict)
    body: tuple[tree.Statement, ...] = ()
    training: bool = False

    def assign(self, name: str, value: Value, span: Span, kind: str = "variable") -> None:
        """Give a local name a (new) value."""
        self.names[name] = Definition(name, kind, value, span)
