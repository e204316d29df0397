"""What a name stands for: locals, the program's declarations, then what the language has."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from tpc.diagnostics import Span, did_you_mean
from tpc.elaborate.context import Context, Scope
from tpc.elaborate.values import ActivationKind, Special, Value
from tpc.exact import Coefficient, Constant
from tpc.ops import functions
from tpc.ops.activations import activation, catalogue

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
            return definition.value
    if name in builtins():
        return builtins()[name]
    raise context.reporter.failure(
        "E0201", f"`{name}` is not defined", span, help=unknown(name, known_names(context, scope))
    )


def known_names(context: Context, scope: Scope) -> list[str]:
    """Every name that could have been meant."""
    return [*scope.names, *context.globals, *builtins()]


def unknown(name: str, known: Iterable[str]) -> str:
    """The help for a name that is not defined."""
    return did_you_mean(name, known) or f"declare it: `param {name} : [...]`, `size {name} = ...`"
