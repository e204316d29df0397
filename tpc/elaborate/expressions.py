"""Expressions to values: constants are computed, tensors become nodes."""

from __future__ import annotations

from fractions import Fraction

from tpc.diagnostics import Span
from tpc.elaborate import numbers
from tpc.elaborate.context import DEEPEST, Context, Scope
from tpc.elaborate.lookup import lookup
from tpc.elaborate.report import Failed
from tpc.elaborate.values import (
    ActivationKind,
    Family,
    Poison,
    UserFunction,
    Value,
    describe,
)
from tpc.exact import Affine, Coefficient, Constant
from tpc.ir.node import Node
from tpc.ops.activations import Activation
from tpc.ops.add import add
from tpc.ops.base import Function, OpTypeError
from tpc.ops.contract import matmul
from tpc.ops.fill import fill
from tpc.ops.multiply import multiply
from tpc.ops.power import divide, power
from tpc.ops.scale import scale
from tpc.ops.transpose import swap_last
from tpc.syntax import tree


def evaluate(context: Context, scope: Scope, expression: tree.Expression) -> Value:
    """The value of an expression.

    Raises:
        Failed: it has none; the reporter knows why.
    """
    context.count(expression.span)
    context.depth += 1
    try:
        if context.depth > DEEPEST:
            _too_deep(context, expression.span)
        value = _evaluate(context, scope, expression)
    finally:
        context.depth -= 1
    if isinstance(value, Poison):
        raise Failed
    if isinstance(value, Node):
        context.place(value, expression.span)
    return value


def _too_deep(context: Context, span: Span) -> None:
    raise context.reporter.failure(
        "E0113",
        f"calls and expressions are nested more than {DEEPEST} deep here",
        span,
        help="name intermediate values, and let functions call each other less deeply",
    )


def _evaluate(context: Context, scope: Scope, expression: tree.Expression) -> Value:
    from tpc.elaborate.calls import call
    from tpc.elaborate.indexing import index

    match expression:
        case tree.Number():
            return Coefficient.of(Constant.of(expression.value))
        case tree.Name():
            return lookup(context, scope, expression.name, expression.span)
        case tree.Chain():
            return _chain(context, scope, expression)
        case tree.Signed():
            return _signed(context, scope, expression)
        case tree.Power():
            return _power(context, scope, expression)
        case tree.Call():
            return call(context, scope, expression)
        case tree.Index():
            return index(context, scope, expression)
        case tree.Attribute():
            return _attribute(context, scope, expression)
        case tree.Comparison():
            raise context.reporter.failure(
                "E0211",
                "a comparison may only be the condition of a `where`",
                expression.span,
                help="define an activation: `act phi(z) = where(z > 0, z, 0)`",
            )
        case tree.Tuple() | tree.String():
            what = "a tuple" if isinstance(expression, tree.Tuple) else "a text"
            raise context.reporter.failure(
                "E0211",
                f"{what} may only be an argument",
                expression.span,
                help='`mean(z, axis = (1, 2))`, `einsum("t n, u n -> t u", q, k)`',
            )
    raise AssertionError(f"no such expression: {expression!r}")


def tensor(context: Context, value: Value, span: Span) -> Node:
    """The value as a node: a number is a scalar.

    Raises:
        Failed: it is no tensor; the reporter knows.
    """
    if isinstance(value, Node):
        return value
    if isinstance(value, Coefficient):
        node = fill(value)
        context.place(node, span)
        return node
    if isinstance(value, Affine):
        raise context.reporter.failure(
            "E0704",
            "an exponent is no value",
            span,
            help="it may stand in `abc(...)` and in powers of the width: `n^a * z`",
        )
    help = None
    if isinstance(value, Family):
        help = f"a family is indexed where it is used: `{value.name}[1]`"
    elif isinstance(value, (UserFunction, Function, Activation, ActivationKind)):
        help = f"apply it: `{value.name}(x)`"
    raise context.reporter.failure(
        "E0310", f"a tensor is needed here, this is {describe(value)}", span, help=help
    )


def _chain(context: Context, scope: Scope, chain: tree.Chain) -> Value:
    result = evaluate(context, scope, chain.first)
    span = chain.first.span
    for link in chain.links:
        operand = evaluate(context, scope, link.operand)
        result = _binary(context, link, (result, span), (operand, link.operand.span))
        span = span.to(link.operand.span)
        if isinstance(result, Node):
            context.place(result, span)
    return result


def _binary(
    context: Context, link: tree.Link, left: tuple[Value, Span], right: tuple[Value, Span]
) -> Value:
    """One step of a chain, operands with their places."""
    (x, x_span), (y, y_span) = left, right
    span = x_span.to(y_span)
    if link.operator != "@" and _is_number(x) and _is_number(y):
        assert isinstance(x, (Coefficient, Affine))
        assert isinstance(y, (Coefficient, Affine))
        return numbers.combine(link.operator, x, y, span, context.reporter)
    try:
        return _tensors(context, link.operator, (x, x_span), (y, y_span))
    except OpTypeError as error:
        code = "E0301" if link.operator == "@" else "E0302"
        labels = [(each, describe(value)) for value, each in (left, right)]
        raise context.reporter.failure(
            code,
            _headline(link.operator, x, y, error),
            link.span,
            *labels,
            help=error.help or "index, reduce or repeat one side until both end in the same axes",
        ) from error


def _headline(operator: str, x: Value, y: Value, error: OpTypeError) -> str:
    if not (isinstance(x, Node) and isinstance(y, Node)):
        return error.message
    if x.type.below is not None or y.type.below is not None or not (x.type.rank and y.type.rank):
        return error.message
    if operator == "@":
        return (
            f"`@` contracts last axes: {x.type.dims[-1]} on the left, "
            f"{y.type.dims[-1]} on the right"
        )
    return f"`{operator}` needs equal axes, matched from the last: {x.type} and {y.type}"


def _is_number(value: Value) -> bool:
    return isinstance(value, (Coefficient, Affine))


def _tensors(
    context: Context, operator: str, left: tuple[Value, Span], right: tuple[Value, Span]
) -> Node:
    """An operation with a tensor among its operands. Raises OpTypeError where they do not fit."""
    if operator in "*/" and isinstance(right[0], Coefficient):
        if operator == "/" and right[0].is_zero:
            raise context.reporter.failure("E0702", "division by zero", right[1])
        factor = right[0] if operator == "*" else 1 / right[0]
        return scale(tensor(context, *left), factor)
    if operator == "*" and isinstance(left[0], Coefficient):
        return scale(tensor(context, *right), left[0])
    x, y = tensor(context, *left), tensor(context, *right)
    match operator:
        case "+":
            return add(x, y)
        case "-":
            return add(x, scale(y, -1))
        case "*":
            return multiply(x, y)
        case "/":
            return divide(x, y)
        case "@":
            return matmul(x, y)
    raise AssertionError(operator)


def _signed(context: Context, scope: Scope, expression: tree.Signed) -> Value:
    value = evaluate(context, scope, expression.operand)
    if expression.sign == "+":
        return value
    if isinstance(value, (Coefficient, Affine)):
        return -value
    node = tensor(context, value, expression.operand.span)
    return _typed(context, expression.span, lambda: scale(node, -1))


def _typed(context: Context, span: Span, build: object) -> Node:
    assert callable(build)
    try:
        node = build()
    except OpTypeError as error:
        raise context.reporter.failure("E0303", error.message, span, help=error.help) from error
    assert isinstance(node, Node)
    return node


def _power(context: Context, scope: Scope, expression: tree.Power) -> Value:
    base = evaluate(context, scope, expression.base)
    exponent = evaluate(context, scope, expression.exponent)
    if isinstance(base, (Coefficient, Affine)) and isinstance(exponent, (Coefficient, Affine)):
        return numbers.combine("^", base, exponent, expression.span, context.reporter)
    node = tensor(context, base, expression.base.span)
    rational = numbers.as_fraction(exponent)
    if rational is None:
        raise context.reporter.failure(
            "E0308",
            f"a tensor's power has a rational exponent, this is {describe(exponent)}",
            expression.exponent.span,
            help="other powers are `exp(q * log(x))` in the formula of an `act`",
        )
    _check_exponent(context, rational, expression.exponent.span)
    return _typed(context, expression.span, lambda: power(node, rational))


def _check_exponent(context: Context, exponent: Fraction, span: Span) -> None:
    if abs(exponent) > 100 or exponent.denominator > 1000:
        raise context.reporter.failure("E0308", f"the exponent {exponent} is out of range", span)


def _attribute(context: Context, scope: Scope, expression: tree.Attribute) -> Value:
    value = evaluate(context, scope, expression.value)
    if expression.name.name != "T":
        raise context.reporter.failure(
            "E0212",
            f"there is no `.{expression.name.name}`",
            expression.name.span,
            help="a value has one property: its transpose `.T`",
        )
    node = tensor(context, value, expression.value.span)
    return _typed(context, expression.span, lambda: swap_last(node))


__all__ = ["evaluate", "tensor"]
