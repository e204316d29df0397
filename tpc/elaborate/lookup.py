"""What a name stands for: locals, the program's declarations, then what the language has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from tpc.diagnostics import Span, did_you_mean
from tpc.elaborate.context import Context, Scope
from tpc.elaborate.report import Failed
from tpc.elaborate.values import ActivationKind, Definition, Pending, Special, Value
from tpc.exact import Coefficient, Constant
from tpc.ops import functions
from tpc.ops.activations import activation, catalogue
from tpc.syntax import tree

SPECIAL = ("grad", "max", "min", "sqrt", "where")


@cache
def builtins() -> dict[str, Value]:
    """The names that every program has: activations, functions of the language, ``pi``."""
    found: dict[str, Value] = {"pi": Coefficient.of(Constant.pi())}
    found |= {name: Special(name) for name in SPECIAL}
    for name in catalogue():
        found[name] = _activation(name)
    return found | dict(functions())


def _activation(name: str) -> Value:
    """An activation without parameters is one; others wait for theirs."""
    from dataclasses import fields

    kind = catalogue()[name]
    return ActivationKind(name) if fields(kind) else activation(name)


def lookup(context: Context, scope: Scope, name: str, span: Span) -> Value:
    """The value of a name.

    Raises:
        Failed: there is no such name; the reporter knows.
    """
    for table in (scope.names, context.globals):
        definition = table.get(name)
        if definition is not None:
            definition.used = True
            if isinstance(definition.value, Pending):
                raise _too_early(context, definition, span)
            return definition.value
    if name in builtins():
        return builtins()[name]
    later = next((each for each in assignments(scope.body) if each.name == name), None)
    if later is not None:
        raise context.reporter.failure(
            "E0204",
            f"`{name}` is used before it has a value",
            span,
            (later.span, "assigned only here"),
            help="assign it on a line above",
        )
    raise context.reporter.failure(
        "E0201", f"`{name}` is not defined", span, help=unknown(name, known_names(context, scope))
    )


def _too_early(context: Context, definition: Definition, span: Span) -> Failed:
    """A size made of a later one, an axis made of a param."""
    return context.reporter.failure(
        "E0204",
        f"`{definition.name}` has no value here",
        span,
        (definition.span, f"{definition.kind}s get their values later"),
        help="declare what a declaration uses above it; params and functions have no place in one",
    )


def assignments(body: Sequence[tree.Statement]) -> Iterator[tree.Identifier]:
    """Every name that a block assigns somewhere."""
    pending = list(reversed(body))
    while pending:
        statement = pending.pop()
        if isinstance(statement, tree.Assignment):
            yield statement.name
        elif isinstance(statement, tree.Loop):
            yield statement.variable
            pending.extend(reversed(statement.body))


def known_names(context: Context, scope: Scope) -> list[str]:
    """Every name that could have been meant."""
    return [*scope.names, *context.globals, *builtins()]


def unknown(name: str, known: Iterable[str]) -> str:
    """The help for a name that is not defined."""
    return did_you_mean(name, known) or f"declare it: `param {name} : [...]`, `size {name} = ...`"
