"""The tree of a program: frozen dataclasses, one per construct, each with its span.

Two trees are equal if they say the same, wherever it stands: spans take no part in comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from fractions import Fraction

from tpc.diagnostics import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Anything in a program that has a place."""

    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Identifier(Node):
    """A name where it is not an expression: a declared name, an argument's name, a loop's index."""

    name: str


# ---- expressions -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expression(Node):
    """What stands for a value."""


@dataclass(frozen=True, slots=True)
class Name(Expression):
    """A name in use."""

    name: str


@dataclass(frozen=True, slots=True)
class Number(Expression):
    """A literal; ``value`` is exact, ``text`` as written."""

    value: Fraction
    text: str


@dataclass(frozen=True, slots=True)
class String(Expression):
    """A quoted text (the pattern of an ``einsum``), without its quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class Tuple(Expression):
    """``(1, 2)``."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Link(Node):
    """One ``+ b`` of a chain; ``span`` is the operator's."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Chain(Expression):
    """``first + b - c`` or ``first * b @ c``: operators of one precedence, read from the left.

    A chain is flat, so a sum of ten thousand terms is not a deep tree.
    """

    first: Expression
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Signed(Expression):
    """``-x`` or ``+x``."""

    sign: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Power(Expression):
    """``base ^ exponent``."""

    base: Expression
    exponent: Expression


@dataclass(frozen=True, slots=True)
class Comparison(Expression):
    """``left > right``, for ``where``."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Attribute(Expression):
    """``value.name``; the language has ``.T`` only."""

    value: Expression
    name: Identifier


@dataclass(frozen=True, slots=True)
class Range(Node):
    """``first..last``, both ends included."""

    first: Expression
    last: Expression


@dataclass(frozen=True, slots=True)
class Index(Expression):
    """``value[places]``."""

    value: Expression
    places: tuple[Expression | Range, ...]


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """An argument of a call; ``name`` is None where it is given by position."""

    name: Identifier | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Comprehension(Node):
    """``body for variable in range`` as the argument of ``stack``."""

    body: Expression
    variable: Identifier
    range: Range


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """``function(arguments)``."""

    function: Expression
    arguments: tuple[Argument | Comprehension, ...]


# ---- statements --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Statement(Node):
    """A line of a program, with its block if it has one."""


@dataclass(frozen=True, slots=True)
class WidthDeclaration(Statement):
    """``width n``."""

    name: Identifier


@dataclass(frozen=True, slots=True)
class Binding(Node):
    """``name = value`` in a declaration."""

    name: Identifier
    value: Expression


@dataclass(frozen=True, slots=True)
class SizeDeclaration(Statement):
    """``size d = 784, k = 10``."""

    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class RealDeclaration(Statement):
    """``real eta = 0.1``."""

    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class ExponentDeclaration(Statement):
    """``exponent a, c``."""

    names: tuple[Identifier, ...]


@dataclass(frozen=True, slots=True)
class ParametrizationDeclaration(Statement):
    """``parametrization mup``."""

    choice: Identifier


@dataclass(frozen=True, slots=True)
class ActDeclaration(Statement):
    """``act phi(z) = formula``, or ``act phi = relu`` with no arguments."""

    name: Identifier
    arguments: tuple[Identifier, ...]
    body: Expression


@dataclass(frozen=True, slots=True)
class DataDeclaration(Statement):
    """``input x : [d]``, ``target``, ``noise``; ``below`` bounds integers (``in vocab``)."""

    role: str
    names: tuple[Identifier, ...]
    axes: tuple[Expression, ...]
    below: Expression | None


@dataclass(frozen=True, slots=True)
class Family(Node):
    """``W`` or ``W[2..L, 1..k]`` in a declaration of params."""

    name: Identifier
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Modifier(Node):
    """``abc(a, b, c)``, ``init x``, ``mult x``, ``lr x``, ``decay x``, ``eps x`` or ``frozen``."""

    keyword: str
    values: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ParamDeclaration(Statement):
    """``param Q, K[1..heads] : [n, n] modifiers``."""

    families: tuple[Family, ...]
    axes: tuple[Expression, ...]
    modifiers: tuple[Modifier, ...]


@dataclass(frozen=True, slots=True)
class FunctionDeclaration(Statement):
    """``def name(arguments): body``; a short ``= expr`` is a body of one return."""

    name: Identifier
    arguments: tuple[Identifier, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class TrainDeclaration(Statement):
    """``train: body``; ``keyword`` is the place of the word itself."""

    body: tuple[Statement, ...]
    keyword: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Member(Node):
    """``W`` or ``W[2]`` after the ``for`` of an optimizer."""

    name: Identifier
    places: tuple[Expression | Range, ...]


@dataclass(frozen=True, slots=True)
class OptimizerDeclaration(Statement):
    """``optimizer rule(lr = 0.1) for members``; ``rule`` is a name or a call."""

    rule: Expression
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Assignment(Statement):
    """``name = value`` or ``name[places] = value``."""

    name: Identifier
    places: tuple[Expression | Range, ...]
    value: Expression


@dataclass(frozen=True, slots=True)
class Loop(Statement):
    """``for variable in range: body``."""

    variable: Identifier
    range: Range
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Return(Statement):
    """``return value``."""

    value: Expression


@dataclass(frozen=True, slots=True)
class Broken(Statement):
    """What is left of a statement with a syntax error; never in a tree that ``parse`` returns."""

    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Program(Node):
    """A whole program."""

    body: tuple[Statement, ...]


# ---- walking -----------------------------------------------------------------------------------


_CHILD_FIELDS: dict[type, tuple[str, ...]] = {}


def _child_fields(kind: type[Node]) -> tuple[str, ...]:
    if kind not in _CHILD_FIELDS:
        names = [each.name for each in fields(kind)]
        _CHILD_FIELDS[kind] = tuple(each for each in names if each not in ("span", "text"))
    return _CHILD_FIELDS[kind]


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below ``node``, in the order of the text."""
    for name in _child_fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from (each for each in value if isinstance(each, Node))


def walk(node: Node) -> Iterator[Node]:
    """``node`` and all below it, parents first, in the order of the text; not recursive."""
    pending = [node]
    while pending:
        each = pending.pop()
        yield each
        pending.extend(reversed(list(children(each))))
