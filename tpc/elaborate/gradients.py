"""``grad(loss, V)``: inner steps."""

from __future__ import annotations

from tpc.diagnostics import Span
from tpc.differentiate import gradient
from tpc.elaborate.context import Context, Scope
from tpc.elaborate.expressions import evaluate, tensor
from tpc.elaborate.reach import forward
from tpc.elaborate.values import Value, describe
from tpc.ir.node import Node
from tpc.ops.base import MissingRule
from tpc.ops.param import PARAM
from tpc.ops.rate import rate
from tpc.syntax import tree

_HELP = "write `grad(loss, W)`: a scalar, and a param or what inner steps made of one"


def grad(context: Context, scope: Scope, call: tree.Call) -> Node:
    """The gradient of a scalar by a weight, with that weight's width scaling.

    Every sample has its own: each task adapts its own copy of the weight.

    Raises:
        Failed: the arguments do not fit; the reporter knows.
    """
    loss, weight = _arguments(context, scope, call)
    target, (value, span) = loss[0], weight
    if target.type.rank:
        raise context.reporter.failure(
            "E0607",
            f"`grad` takes the gradient of a scalar, this is {describe(target)}",
            loss[1],
            help="reduce it first, with a loss or `mean`",
        )
    if not isinstance(value, Node) or (name := _weight(value)) is None:
        raise context.reporter.failure(
            "E0606",
            f"`grad` is taken by a param, this is {describe(value)}",
            span,
            help=_HELP,
        )
    try:
        (result,) = gradient(target, [value], per_sample=True)
    except MissingRule as error:
        raise context.reporter.failure("E0303", str(error), call.span) from error
    return rate(result, name)


def _arguments(
    context: Context, scope: Scope, call: tree.Call
) -> tuple[tuple[Node, Span], tuple[Value, Span]]:
    if len(call.arguments) != 2:
        raise context.reporter.failure("E0205", "`grad` takes two arguments", call.span, help=_HELP)
    found: list[tuple[Value, Span]] = []
    for argument in call.arguments:
        if isinstance(argument, tree.Comprehension) or argument.name is not None:
            raise context.reporter.failure(
                "E0206", "the arguments of `grad` have no names", argument.span, help=_HELP
            )
        found.append((evaluate(context, scope, argument.value), argument.span))
    loss, weight = found
    return (tensor(context, *loss), loss[1]), weight


def _weight(value: Node) -> str | None:
    """The param that ``value`` is, or is made of by inner steps."""
    params = [each for each in forward(value) if each.op is PARAM]
    if len(params) == 1 and params[0].type.dims == value.type.dims:
        name: str = params[0].attrs["name"]
        return name
    return None
