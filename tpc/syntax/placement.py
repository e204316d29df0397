"""Statements that are well formed but stand where they may not, and trees that are too deep."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from tpc.diagnostics import Diagnostic, Label, Span
from tpc.syntax import tree
from tpc.syntax.tree import Node, Statement

DEEPEST = 100

_WHAT: dict[type[Statement], str] = {
    tree.WidthDeclaration: "`width`",
    tree.SizeDeclaration: "`size`",
    tree.RealDeclaration: "`real`",
    tree.ExponentDeclaration: "`exponent`",
    tree.ParametrizationDeclaration: "`parametrization`",
    tree.ActDeclaration: "`act`",
    tree.ParamDeclaration: "`param`",
    tree.FunctionDeclaration: "`def`",
    tree.TrainDeclaration: "`train:`",
    tree.OptimizerDeclaration: "`optimizer`",
    tree.Assignment: "an assignment",
    tree.Loop: "a loop",
    tree.Return: "`return`",
}
_IN_FUNCTION = (tree.Assignment, tree.Loop, tree.Return)
_IN_TRAINING = (tree.Assignment, tree.Loop, tree.OptimizerDeclaration)


def misplaced(program: tree.Program, only_depth: bool = False) -> Iterator[Diagnostic]:
    """Every statement that stands where it may not, and every nesting that is too deep."""
    if only_depth:
        for statement in program.body:
            yield from _deep(statement)
        return
    headless = False
    for statement in program.body:
        belongs = isinstance(statement, (*_IN_FUNCTION, *_IN_TRAINING))
        if not (headless and belongs):  # its header was blamed for having no block
            yield from _top_level(statement)
        headless = (headless and belongs) or _lacks_block(statement)


def _top_level(statement: Statement) -> Iterator[Diagnostic]:
    match statement:
        case tree.FunctionDeclaration(name=name, body=body):
            yield from _block(body, "a function", name.span, _IN_FUNCTION)
            yield from _deep(statement)
        case tree.TrainDeclaration(body=body):
            yield from _block(body, "`train:`", statement.keyword, _IN_TRAINING)
            yield from _deep(statement)
        case tree.Assignment() | tree.Loop() | tree.Return() | tree.OptimizerDeclaration():
            yield _outside(statement)
        case tree.Broken(body=body):
            pass
        case _:
            yield from _deep(statement)


def _lacks_block(statement: Statement) -> bool:
    body = getattr(statement, "body", ())
    return isinstance(body, tuple) and bool(body) and isinstance(body[0], tree.Broken)


def _outside(statement: Statement) -> Diagnostic:
    trains = isinstance(statement, tree.OptimizerDeclaration)
    where = "in `train:`" if trains else "in a function or in `train:`"
    return Diagnostic(
        "E0115",
        f"{_WHAT[type(statement)]} may not stand at the top of a program",
        _head(statement),
        help=f"it belongs {where}, indented below the line that opens it",
    )


def _block(
    body: tuple[Statement, ...],
    where: str,
    opened: Span,
    allowed: tuple[type[Statement], ...],
) -> Iterator[Diagnostic]:
    """What does not belong in a block; loops are looked into, however deep, without recursion."""
    pending = deque(body)
    while pending:
        statement = pending.popleft()
        if isinstance(statement, (tree.Broken, tree.Loop)):
            pending.extendleft(reversed(statement.body))
        elif isinstance(statement, tree.DataDeclaration):
            if statement.role != "noise" or where != "`train:`":
                yield _inside(statement, f"`{statement.role}`", where, opened)
        elif not isinstance(statement, allowed):
            yield _inside(statement, _WHAT[type(statement)], where, opened)


_MOVES: dict[type[Statement], str] = {
    tree.OptimizerDeclaration: "optimizers belong in the `train:` block",
    tree.Return: "only functions return; `train:` assigns `loss = ...`",
}


def _inside(statement: Statement, what: str, where: str, opened: Span) -> Diagnostic:
    move = "declare it at the top of the program, without indentation"
    return Diagnostic(
        "E0115",
        f"{what} may not stand in {where}",
        _head(statement),
        (Label(opened, "the block that begins here"),),
        _MOVES.get(type(statement), move),
    )


def _head(statement: Statement) -> Span:
    """The first line of a statement."""
    span = statement.span
    end = span.source.text.find("\n", span.start, span.end)
    return span if end < 0 else Span(span.source, span.start, end)


def _deep(statement: Statement) -> Iterator[Diagnostic]:
    """At most one report per statement of a nesting deeper than :data:`DEEPEST`."""
    pending: list[tuple[Node, int]] = [(statement, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > DEEPEST:
            yield Diagnostic(
                "E0113",
                f"this is nested more than {DEEPEST} deep",
                Span(node.span.source, node.span.start, node.span.start + 1),
                help="name the inner parts: `z = ...` on a line of its own",
            )
            return
        pending.extend(
            (child, depth + _step(child)) for child in reversed(list(tree.children(node)))
        )


def _step(child: Node) -> int:
    """Links and arguments are part of the expression above them."""
    return 0 if isinstance(child, (tree.Link, tree.Argument)) else 1
