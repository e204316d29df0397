"""Arguments of calls, matched with what the called function takes."""

from __future__ import annotations

from typing import Any

from tpc.diagnostics import Span, did_you_mean
from tpc.elaborate import numbers
from tpc.elaborate.context import Context, Scope
from tpc.elaborate.expressions import evaluate, tensor
from tpc.elaborate.indexing import positions
from tpc.elaborate.values import Family, UserFunction, Value
from tpc.ir.node import Node
from tpc.ops.base import Argument, Function
from tpc.syntax import tree

_POSITIONAL = ("value", "values", "text")
Placed = tuple[Node, Span]


def bind_user(
    context: Context, scope: Scope, function: UserFunction, call: tree.Call
) -> dict[str, tuple[Value, Span]]:
    """The arguments of a function of the program, by name."""
    names = [each.name for each in function.declaration.arguments]
    bound: dict[str, tuple[Value, Span]] = {}
    for position, argument in enumerate(call.arguments):
        name = _user_name(context, function, names, position, argument)
        assert isinstance(argument, tree.Argument)
        if name in bound:
            raise context.reporter.failure(
                "E0205",
                f"`{name}` is given twice",
                argument.span,
                (bound[name][1], "first given here"),
                help="remove one of the two",
            )
        bound[name] = (evaluate(context, scope, argument.value), argument.span)
    missing = [name for name in names if name not in bound]
    if missing:
        raise context.reporter.failure(
            "E0205",
            f"`{function.name}` lacks its argument `{missing[0]}`",
            call.span,
            (function.declaration.name.span, f"takes ({', '.join(names)})"),
            help=_call_help(function, names),
        )
    return {name: bound[name] for name in names}


def _user_name(
    context: Context,
    function: UserFunction,
    names: list[str],
    position: int,
    argument: tree.Argument | tree.Comprehension,
) -> str:
    label = (function.declaration.name.span, f"takes ({', '.join(names)})")
    if isinstance(argument, tree.Comprehension):
        raise context.reporter.failure(
            "E0206",
            "members are collected by `stack` only",
            argument.span,
            help="write `stack(f(h[t]) for t in 1..T)`",
        )
    if argument.name is not None:
        name = argument.name.name
        if name not in names:
            raise context.reporter.failure(
                "E0206",
                f"`{function.name}` has no argument `{name}`",
                argument.name.span,
                label,
                help=did_you_mean(name, names) or _call_help(function, names),
            )
        return name
    if position >= len(names):
        raise context.reporter.failure(
            "E0205",
            f"`{function.name}` takes {_count(len(names))}",
            argument.span,
            label,
            help=_call_help(function, names),
        )
    return names[position]


def _call_help(function: UserFunction, names: list[str]) -> str:
    return f"it is called as `{function.name}({', '.join(names)})`"


def _count(number: int) -> str:
    return "one argument" if number == 1 else f"{number or 'no'} arguments"


def bind_builtin(
    context: Context, scope: Scope, function: Function, call: tree.Call
) -> tuple[dict[str, Any], list[Placed]]:
    """The arguments of a function of the language, and its tensors with their places."""
    binder = _Binder(context, scope, function, call)
    binder.run()
    return binder.bound, binder.places


class _Binder:
    """Binds one call by the signature in the registry."""

    def __init__(self, context: Context, scope: Scope, function: Function, call: tree.Call) -> None:
        self.context, self.scope, self.function, self.call = context, scope, function, call
        self.bound: dict[str, Any] = {}
        self.places: list[Placed] = []
        self.waiting = [each for each in function.arguments if each.kind in _POSITIONAL]

    def run(self) -> None:
        for argument in self.call.arguments:
            if isinstance(argument, tree.Comprehension):
                self._comprehension(argument)
            elif argument.name is None:
                self._positional(argument)
            else:
                self._named(argument, argument.name)
        for wanted in self.function.arguments:
            if wanted.kind == "site":
                self.context.sites += 1
                self.bound[wanted.name] = self.context.sites
            elif wanted.kind == "values":
                self.bound[wanted.name] = tuple(self.bound.get(wanted.name, ()))
            elif wanted.required and wanted.name not in self.bound:
                self._missing(wanted)
            elif not wanted.required:
                self.bound.setdefault(wanted.name, wanted.default)

    def _missing(self, wanted: Argument) -> None:
        raise self.context.reporter.failure(
            "E0205",
            f"`{self.function.name}` lacks its argument `{wanted.name}`",
            self.call.span,
            help=f"it is called as `{self.function.signature}`",
        )

    def _positional(self, argument: tree.Argument) -> None:
        if not self.waiting:
            self._too_many(argument)
        wanted = self.waiting[0]
        if wanted.kind == "values":
            self._several(wanted, argument)
        else:
            self.waiting.pop(0)
            self._bind(wanted, argument.value)

    def _too_many(self, argument: tree.Argument) -> None:
        keywords = [each.name for each in self.function.arguments if each.kind not in _POSITIONAL]
        help = f"it is called as `{self.function.signature}`"
        if keywords:
            help = f"settings are given by name: `{keywords[0]} = ...`; {help}"
        raise self.context.reporter.failure(
            "E0205",
            f"`{self.function.name}` takes no further value",
            argument.span,
            help=help,
        )

    def _several(self, wanted: Argument, argument: tree.Argument) -> None:
        """A value among several; a family stands for all of its members."""
        value = evaluate(self.context, self.scope, argument.value)
        values = [value]
        if isinstance(value, Family):
            values = [value.members[key] for key in sorted(value.members)]
        for each in values:
            self._add(wanted, each, argument.span)

    def _add(self, wanted: Argument, value: Value, span: Span) -> None:
        node = tensor(self.context, value, span)
        self.places.append((node, span))
        self.bound.setdefault(wanted.name, []).append(node)

    def _comprehension(self, argument: tree.Comprehension) -> None:
        if not self.waiting or self.waiting[0].kind != "values":
            raise self.context.reporter.failure(
                "E0206",
                f"`{self.function.name}` does not collect members",
                argument.span,
                help="write `stack(f(h[t]) for t in 1..T)`",
            )
        from tpc.elaborate.statements import loop_index

        name = argument.variable.name
        hidden = self.scope.names.get(name)
        for position in positions(self.context, self.scope, argument.range):
            loop_index(self.scope, argument.variable, position)
            value = evaluate(self.context, self.scope, argument.body)
            self._add(self.waiting[0], value, argument.body.span)
        self.scope.names.pop(name, None)
        if hidden is not None:
            self.scope.names[name] = hidden

    def _named(self, argument: tree.Argument, name: tree.Identifier) -> None:
        wanted = next(
            (
                each
                for each in self.function.arguments
                if each.name == name.name and each.kind not in ("site", "values")
            ),
            None,
        )
        if wanted is None:
            known = [each.name for each in self.function.arguments if each.kind != "site"]
            help = did_you_mean(name.name, known)
            raise self.context.reporter.failure(
                "E0206",
                f"`{self.function.name}` has no argument `{name.name}`",
                name.span,
                help=help or f"it is called as `{self.function.signature}`",
            )
        if wanted.name in self.bound:
            raise self.context.reporter.failure(
                "E0205",
                f"`{name.name}` is given twice",
                argument.span,
                help="remove one of the two",
            )
        self.waiting = [each for each in self.waiting if each is not wanted]
        self._bind(wanted, argument.value)

    def _bind(self, wanted: Argument, expression: tree.Expression) -> None:
        if wanted.kind == "value":
            value = evaluate(self.context, self.scope, expression)
            node = tensor(self.context, value, expression.span)
            self.places.append((node, expression.span))
            self.bound[wanted.name] = node
        else:
            self.bound[wanted.name] = self._setting(wanted, expression)

    def _setting(self, wanted: Argument, expression: tree.Expression) -> Any:
        match wanted.kind:
            case "axis":
                return self._axis(expression)
            case "axes":
                return tuple(self._axis(each) for each in _items(expression))
            case "integer":
                return self._integer(wanted, expression)
            case "integers":
                return tuple(self._integer(wanted, each) for each in _items(expression))
            case "number":
                value = evaluate(self.context, self.scope, expression)
                what = f"`{wanted.name}`"
                return numbers.constant(value, expression.span, what, self.context.reporter)
            case "text":
                return self._text(wanted, expression)
        return self._word(wanted, expression)

    def _axis(self, expression: tree.Expression) -> int:
        value = evaluate(self.context, self.scope, expression)
        axis = numbers.integer(value, expression.span, "an axis", self.context.reporter)
        if axis < 1:
            raise self.context.reporter.failure(
                "E0309",
                f"there is no axis {axis}",
                expression.span,
                help="axes count from 1, the first; write the last axis by its number",
            )
        return axis - 1

    def _integer(self, wanted: Argument, expression: tree.Expression) -> int:
        value = evaluate(self.context, self.scope, expression)
        return numbers.integer(value, expression.span, f"`{wanted.name}`", self.context.reporter)

    def _text(self, wanted: Argument, expression: tree.Expression) -> str:
        if isinstance(expression, tree.String):
            return expression.value
        raise self.context.reporter.failure(
            "E0206",
            f"`{wanted.name}` is a text in double quotes",
            expression.span,
            help=f"it is called as `{self.function.signature}`",
        )

    def _word(self, wanted: Argument, expression: tree.Expression) -> Any:
        """One of some words; a mask may also be a tensor."""
        if isinstance(expression, tree.Name) and expression.name in wanted.choices:
            return expression.name
        if wanted.kind == "mask":
            known = isinstance(expression, tree.Name) and expression.name not in (
                *self.scope.names,
                *self.context.globals,
            )
            if not known:
                value = evaluate(self.context, self.scope, expression)
                node = tensor(self.context, value, expression.span)
                self.places.append((node, expression.span))
                return node
        given = expression.name if isinstance(expression, tree.Name) else ""
        choices = ", ".join(f"`{each}`" for each in wanted.choices)
        raise self.context.reporter.failure(
            "E0206",
            f"`{wanted.name}` is one of {choices}",
            expression.span,
            help=did_you_mean(given, wanted.choices)
            or f"it is called as `{self.function.signature}`",
        )


def _items(expression: tree.Expression) -> tuple[tree.Expression, ...]:
    return expression.items if isinstance(expression, tree.Tuple) else (expression,)
