"""``act phi = relu`` and ``act phi(z) = formula``."""

from __future__ import annotations

from tpc.diagnostics import did_you_mean
from tpc.elaborate.calls import with_parameters
from tpc.elaborate.context import Context, Scope
from tpc.elaborate.expressions import evaluate
from tpc.elaborate.formula import written
from tpc.elaborate.lookup import builtins
from tpc.elaborate.overrides import expression_of
from tpc.elaborate.values import POISON, ActivationKind, Value, describe
from tpc.ops.activations import Activation
from tpc.syntax import tree

_TOP = Scope("the program")


def act_value(context: Context, statement: tree.ActDeclaration) -> Value:
    """The activation that a declaration, or an override of it, gives to a name.

    Raises:
        Failed: there is none; the reporter knows.
    """
    name = statement.name.name
    if name in context.overrides:
        given = expression_of(context, name, context.overrides[name])
        return POISON if given is None else _named_activation(context, given)
    if statement.arguments:
        return _formula(context, statement)
    return _named_activation(context, statement.body)


def _formula(context: Context, statement: tree.ActDeclaration) -> Activation:
    if len(statement.arguments) != 1:
        raise context.reporter.failure(
            "E0213",
            "an activation is a function of one variable",
            statement.arguments[1].span,
            help="parameters of a formula are written as numbers or `real` constants",
        )
    value = written(context, statement)
    obstacle = value.obstacle()
    if obstacle is not None:
        explosive = value.growth.kind == "explosive"
        raise context.reporter.failure(
            "E0501" if explosive else "E0502",
            f"`{statement.name.name}` has no infinite-width limit: {obstacle}",
            statement.body.span,
            help="bound it where it grows: `min(...)`, or a nonlinearity around it"
            if explosive
            else "keep arguments of `log` and roots positive: `log(1 + z^2)`",
        )
    return value


def _named_activation(context: Context, expression: tree.Expression) -> Activation:
    value = evaluate(context, _TOP, expression)
    if isinstance(value, ActivationKind):
        return with_parameters(context, value, [], expression.span)
    if isinstance(value, Activation) and value.alone:
        return value
    known = [each for each, found in builtins().items() if isinstance(found, Activation)]
    given = expression.name if isinstance(expression, tree.Name) else ""
    raise context.reporter.failure(
        "E0213",
        f"an activation is needed here, this is {describe(value)}",
        expression.span,
        help=did_you_mean(given, known) or "name one: `act phi = relu`, or `act phi(z) = z^2 / 2`",
    )
