# ruff: noqa: D102 (the grammar documents the rules)
"""From reductions of the grammar to nodes of the tree: one method per rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeVar

from lark import Token, Transformer

from tpc.diagnostics import Source, Span
from tpc.syntax import tree
from tpc.syntax.tree import Expression, Identifier, Node, Statement

Children = list[Any]
_N = TypeVar("_N", bound=Node)

_NOTHING = Source("", "")


class ProgramToken(Token):
    """A token that knows which source it stands in."""

    __slots__ = ("source",)
    source: Source


def edge(item: Any, last: bool) -> Span:
    """The span of a child; of a tuple of children, that of its first or last."""
    if isinstance(item, tuple):
        return edge(item[-1 if last else 0], last)
    if isinstance(item, Node):
        return item.span
    source = item.source if isinstance(item, ProgramToken) else _NOTHING
    return Span(source, item.start_pos or 0, item.end_pos or 0)


def span_of(items: Children) -> Span:
    """The span from the first to the last child that has a place, the end of the line apart."""
    placed = [each for each in items if each != () and getattr(each, "type", "") != "NEWLINE"]
    first, last = edge(placed[0], False), edge(placed[-1], True)
    return Span(first.source, first.start, last.end)


def _nodes(items: Children, kind: type[_N]) -> tuple[_N, ...]:
    return tuple(each for each in items if isinstance(each, kind))


def _tuples(items: Children) -> list[tuple[Any, ...]]:
    return [each for each in items if isinstance(each, tuple)]


def _tokens(items: Children, kind: str) -> list[Token]:
    return [each for each in items if isinstance(each, Token) and each.type == kind]


def _identifier(token: Token) -> Identifier:
    return Identifier(str(token), span=span_of([token]))


def _collect(kind: type[_N]) -> Callable[[TreeBuilder, Children], tuple[_N, ...]]:
    """A method for a comma-separated list: the members, without the commas."""

    def method(self: TreeBuilder, items: Children) -> tuple[_N, ...]:
        return _nodes(items, kind)

    return method


class TreeBuilder(Transformer[Token, Any]):
    """Called by the parser at each reduction, so never recursive; methods are named like rules."""

    # ---- program and statements

    def start(self, items: Children) -> tree.Program:
        body = tuple(items)
        return tree.Program(body, span=span_of(items) if body else Span(_NOTHING, 0, 0))

    def width_declaration(self, items: Children) -> Statement:
        return tree.WidthDeclaration(_identifier(items[1]), span=span_of(items))

    def size_declaration(self, items: Children) -> Statement:
        return tree.SizeDeclaration(items[1], span=span_of(items))

    def real_declaration(self, items: Children) -> Statement:
        return tree.RealDeclaration(items[1], span=span_of(items))

    def exponent_declaration(self, items: Children) -> Statement:
        return tree.ExponentDeclaration(items[1], span=span_of(items))

    def parametrization_declaration(self, items: Children) -> Statement:
        return tree.ParametrizationDeclaration(_identifier(items[1]), span=span_of(items))

    def act_declaration(self, items: Children) -> Statement:
        (body,) = _nodes(items, Expression)
        arguments = next(iter(_tuples(items)), ())
        return tree.ActDeclaration(_identifier(items[1]), arguments, body, span=span_of(items))

    def data_declaration(self, items: Children) -> Statement:
        names, axes = _tuples(items)
        below = next(iter(_nodes(items, Expression)), None)
        return tree.DataDeclaration(str(items[0]), names, _inner(axes), below, span=span_of(items))

    def param_declaration(self, items: Children) -> Statement:
        families, axes = _tuples(items)
        modifiers = _nodes(items, tree.Modifier)
        return tree.ParamDeclaration(families, _inner(axes), modifiers, span=span_of(items))

    def function_declaration(self, items: Children) -> Statement:
        arguments, body = ([(), *_tuples(items)])[-2:]
        return tree.FunctionDeclaration(
            _identifier(items[1]), arguments, body, span=span_of(items[:-1])
        )

    def short_function(self, items: Children) -> Statement:
        arguments = next(iter(_tuples(items)), ())
        (value,) = _nodes(items, Expression)
        body = (tree.Return(value, span=value.span),)
        return tree.FunctionDeclaration(_identifier(items[1]), arguments, body, span=span_of(items))

    def train_declaration(self, items: Children) -> Statement:
        return tree.TrainDeclaration(items[2], span_of(items[:1]), span=span_of(items[:-1]))

    def optimizer_declaration(self, items: Children) -> Statement:
        members = next(iter(_tuples(items)), ())
        return tree.OptimizerDeclaration(items[1], members, span=span_of(items))

    def assignment(self, items: Children) -> Statement:
        places = next(iter(_tuples(items)), ())
        return tree.Assignment(_identifier(items[0]), places, items[-2], span=span_of(items))

    def loop(self, items: Children) -> Statement:
        return tree.Loop(_identifier(items[1]), items[3], items[5], span=span_of(items[:-1]))

    def return_statement(self, items: Children) -> Statement:
        return tree.Return(items[1], span=span_of(items))

    def block(self, items: Children) -> tuple[Statement, ...]:
        return _nodes(items, Statement)

    def broken(self, items: Children) -> Statement:
        body = next(iter(_tuples(items)), ())
        return tree.Broken(body, span=span_of(items[:1]))

    # ---- parts of declarations

    bindings = _collect(tree.Binding)
    families = _collect(tree.Family)
    ranges = _collect(tree.Range)
    members = _collect(tree.Member)
    expressions = _collect(Expression)

    def names(self, items: Children) -> tuple[Identifier, ...]:
        return tuple(_identifier(each) for each in _tokens(items, "NAME"))

    def binding(self, items: Children) -> tree.Binding:
        return tree.Binding(_identifier(items[0]), items[2], span=span_of(items))

    def family(self, items: Children) -> tree.Family:
        ranges = next(iter(_tuples(items)), ())
        return tree.Family(_identifier(items[0]), ranges, span=span_of(items))

    def member(self, items: Children) -> tree.Member:
        places = next(iter(_tuples(items)), ())
        return tree.Member(_identifier(items[0]), places, span=span_of(items))

    def axes(self, items: Children) -> tuple[Any, ...]:
        """The axes between their brackets: these tell where the list ends."""
        return tuple(items)

    def abc_modifier(self, items: Children) -> tree.Modifier:
        return tree.Modifier("abc", items[2], span=span_of(items))

    def modifier(self, items: Children) -> tree.Modifier:
        return tree.Modifier(str(items[0]), _nodes(items, Expression), span=span_of(items))

    # ---- expressions

    def comparison(self, items: Children) -> Expression:
        left, operator, right = items
        return tree.Comparison(str(operator), left, right, span=span_of(items))

    def sum(self, items: Children) -> Expression:
        links = tuple(
            tree.Link(str(operator), operand, span=span_of([operator]))
            for operator, operand in zip(items[1::2], items[2::2], strict=True)
        )
        return tree.Chain(items[0], links, span=span_of(items))

    product = sum

    def signed(self, items: Children) -> Expression:
        return tree.Signed(str(items[0]), items[1], span=span_of(items))

    def power(self, items: Children) -> Expression:
        return tree.Power(items[0], items[2], span=span_of(items))

    def name(self, items: Children) -> Expression:
        return tree.Name(str(items[0]), span=span_of(items))

    def number(self, items: Children) -> Expression:
        return tree.Number(_exact(str(items[0])), str(items[0]), span=span_of(items))

    def string(self, items: Children) -> Expression:
        return tree.String(str(items[0])[1:-1], span=span_of(items))

    def group(self, items: Children) -> Expression:
        """Parentheses leave no node, only a wider span."""
        inner: Expression = items[1]
        return replace(inner, span=span_of(items))

    def pair(self, items: Children) -> Expression:
        rest = next(iter(_tuples(items)), ())
        return tree.Tuple((items[1], *rest), span=span_of(items))

    def attribute(self, items: Children) -> Expression:
        return tree.Attribute(items[0], _identifier(items[2]), span=span_of(items))

    def index(self, items: Children) -> Expression:
        return tree.Index(items[0], items[2], span=span_of(items))

    def call(self, items: Children) -> Expression:
        arguments = next(iter(_tuples(items)), ())
        return tree.Call(items[0], arguments, span=span_of(items))

    indices = _collect(Node)

    def range(self, items: Children) -> tree.Range:
        return tree.Range(items[0], items[2], span=span_of(items))

    arguments = _collect(Node)

    def positional_argument(self, items: Children) -> tree.Argument:
        return tree.Argument(None, items[0], span=span_of(items))

    def named_argument(self, items: Children) -> tree.Argument:
        return tree.Argument(_identifier(items[0]), items[2], span=span_of(items))

    def comprehension(self, items: Children) -> tree.Comprehension:
        body, _, variable, _, extent = items
        return tree.Comprehension(body, _identifier(variable), extent, span=span_of(items))


def _inner(axes: tuple[Any, ...]) -> tuple[Expression, ...]:
    """The axes without their brackets."""
    return axes[1] if len(axes) == 3 else ()


def _exact(text: str) -> Fraction:
    """The exact value of a literal; an absurd exponent is capped here and refused by the caller."""
    return Fraction(text)
