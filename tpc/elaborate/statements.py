"""Running the statements of functions and of the training block."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.diagnostics import Span
from tpc.elaborate.context import Context, Scope
from tpc.elaborate.expressions import evaluate
from tpc.elaborate.indexing import key, positions
from tpc.elaborate.report import Failed
from tpc.elaborate.values import POISON, Family, Value
from tpc.exact import Coefficient, Constant
from tpc.ir.node import Node
from tpc.syntax import tree
from tpc.syntax.tree import Statement


def run_body(context: Context, scope: Scope, function: tree.FunctionDeclaration) -> Value:
    """The value that a function returns; POISON where a mistake in its body kept it from one."""
    result: Value = POISON
    for position, statement in enumerate(function.body):
        if isinstance(statement, tree.Return):
            try:
                result = evaluate(context, scope, statement.value)
            except Failed:
                result = POISON
            _check_last(context, function.body[position + 1 :], statement)
            return result
        run(context, scope, [statement])
    context.reporter.report(
        "E0214",
        f"`{function.name.name}` returns nothing",
        function.name.span,
        help="end the block with `return ...`, not inside of a loop",
    )
    return result


def _check_last(context: Context, rest: Sequence[Statement], statement: tree.Return) -> None:
    if rest:
        context.reporter.report(
            "E0215",
            "nothing after `return` is reached",
            rest[0].span,
            (statement.span, "the function ends here"),
            help="remove it, or move the `return` below",
        )


def run(context: Context, scope: Scope, body: Sequence[Statement]) -> None:
    """Run assignments and loops; a mistake poisons what would have been assigned."""
    for statement in body:
        if isinstance(statement, tree.Assignment):
            _assign(context, scope, statement)
        elif isinstance(statement, tree.Loop):
            _loop(context, scope, statement)
        elif isinstance(statement, tree.Return):
            context.reporter.report(
                "E0214",
                "a `return` may not stand in a loop",
                statement.span,
                help="assign the value, and return it after the loop",
            )


def _assign(context: Context, scope: Scope, statement: tree.Assignment) -> None:
    context.count(statement.span)
    try:
        value = evaluate(context, scope, statement.value)
    except Failed:
        value = POISON
    if statement.places:
        _assign_member(context, scope, statement, value)
        return
    scope.assign(statement.name.name, value, statement.name.span)
    _name(context, statement.name.name, value, statement.name.span)


def _assign_member(
    context: Context, scope: Scope, statement: tree.Assignment, value: Value
) -> None:
    name = statement.name.name
    definition = scope.names.get(name)
    if definition is None:
        scope.assign(name, Family(name), statement.name.span)
        definition = scope.names[name]
    if definition.value is POISON:
        return
    if not isinstance(definition.value, Family) or definition.kind == "argument":
        context.reporter.report(
            "E0216",
            f"`{name}` has a value; its parts cannot be assigned",
            statement.name.span,
            (definition.span, "assigned here"),
            help=f"build a family from the start: `{name}[1] = ...`, then `stack({name})`",
        )
        return
    try:
        members = key(context, scope, statement.places)
    except Failed:
        scope.assign(name, POISON, statement.name.span)
        return
    definition.value.members[members] = value
    shown = ", ".join(str(each) for each in members)
    _name(context, f"{name}[{shown}]", value, statement.name.span)


def _name(context: Context, name: str, value: Value, span: Span) -> None:
    if isinstance(value, Node):
        context.named.append((name, value, span))


def _loop(context: Context, scope: Scope, loop: tree.Loop) -> None:
    try:
        values = positions(context, scope, loop.range)
    except Failed:
        _poison(scope, loop.body)
        return
    hidden = scope.names.get(loop.variable.name)
    for position in values:
        loop_index(scope, loop.variable, position)
        run(context, scope, loop.body)
    scope.names.pop(loop.variable.name, None)
    if hidden is not None:
        scope.names[loop.variable.name] = hidden


def _poison(scope: Scope, body: Sequence[Statement]) -> None:
    """What a loop that could not run would have assigned has no value."""
    for statement in body:
        if isinstance(statement, tree.Assignment):
            scope.assign(statement.name.name, POISON, statement.name.span)
        elif isinstance(statement, tree.Loop):
            _poison(scope, statement.body)


def loop_index(scope: Scope, variable: tree.Identifier, position: int) -> None:
    """Set the index of a loop."""
    scope.assign(variable.name, Coefficient.of(Constant.of(position)), variable.span, "index")
