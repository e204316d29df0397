"""Calls: of the program's functions, of activations, of the language's functions, of ``grad``."""

from __future__ import annotations

from tpc.diagnostics import Span
from tpc.elaborate.arguments import bind_builtin, bind_user
from tpc.elaborate.context import Context, Scope
from tpc.elaborate.expressions import evaluate, tensor
from tpc.elaborate.gradients import grad
from tpc.elaborate.report import Failed
from tpc.elaborate.values import POISON, ActivationKind, Special, UserFunction, Value, describe
from tpc.exact import Coefficient, Constant
from tpc.ir.node import Node
from tpc.ops.activations import Activation, ActivationError, activation
from tpc.ops.apply import apply
from tpc.ops.base import Function, OpTypeError
from tpc.ops.power import power
from tpc.syntax import tree


def call(context: Context, scope: Scope, expression: tree.Call) -> Value:
    """The value of a call.

    Raises:
        Failed: it has none; the reporter knows.
    """
    function = evaluate(context, scope, expression.function)
    match function:
        case UserFunction():
            return _user(context, scope, function, expression)
        case Activation():
            return _activation(context, scope, function, expression)
        case ActivationKind():
            return _kind(context, scope, function, expression)
        case Function():
            return _builtin(context, scope, function, expression)
        case Special(name="grad"):
            return grad(context, scope, expression)
        case Special(name="sqrt"):
            return _sqrt(context, scope, expression)
        case Special(name=name):
            raise context.reporter.failure(
                "E0211",
                f"`{name}` may only stand in the formula of an activation",
                expression.span,
                help=f"define one: `act phi(z) = {_FORMULAS[name]}`",
            )
    raise context.reporter.failure(
        "E0210",
        f"{describe(function)} cannot be called",
        expression.function.span,
        help="a product is written `*`, a contraction `@`, an index `x[1]`",
    )


_FORMULAS = {"where": "where(z > 0, z, 0)", "min": "min(z, 1)", "max": "max(z, 0)"}


# ---- functions of the program --------------------------------------------------------------------


def _user(context: Context, scope: Scope, function: UserFunction, expression: tree.Call) -> Value:
    _check_recursion(context, function, expression)
    arguments = bind_user(context, scope, function, expression)
    value = expand(context, function, arguments, expression.span)
    if scope.training and isinstance(value, Node):
        _remember_network(context, function.name, value, arguments, expression.span)
    return value


def _check_recursion(context: Context, function: UserFunction, expression: tree.Call) -> None:
    for name, span in context.calls:
        if name == function.name:
            raise context.reporter.failure(
                "E0207",
                f"`{function.name}` calls itself",
                expression.span,
                (span, "this call leads back to it"),
                help="functions are expanded where they are called; repeat with a loop",
            )


def expand(
    context: Context, function: UserFunction, arguments: dict[str, tuple[Value, Span]], span: Span
) -> Value:
    """The value that a function returns for arguments.

    Raises:
        Failed: there is none; the reporter knows.
    """
    from tpc.elaborate.statements import run_body

    local = Scope(f"`{function.name}`", body=function.declaration.body)
    for name, (value, place) in arguments.items():
        local.assign(name, value, place, "argument")
    context.calls.append((function.name, span))
    try:
        value = run_body(context, local, function.declaration)
    finally:
        context.calls.pop()
    if value is POISON:
        raise Failed
    return value


def _remember_network(
    context: Context,
    name: str,
    value: Node,
    arguments: dict[str, tuple[Value, Span]],
    span: Span,
) -> None:
    """A call in the training block whose value depends on weights of its own is an output."""
    from tpc.elaborate.reach import reads_data, reads_weights

    data = {each for each, _ in arguments.values() if isinstance(each, Node) and reads_data(each)}
    if reads_weights(value, data):
        context.network.append((name, value, span))


# ---- activations ---------------------------------------------------------------------------------


def _values(context: Context, scope: Scope, expression: tree.Call) -> list[tuple[Value, Span]]:
    """The arguments of a call that takes them by position only."""
    found = []
    for argument in expression.arguments:
        if isinstance(argument, tree.Comprehension) or argument.name is not None:
            raise context.reporter.failure(
                "E0206", "arguments have no names here", argument.span, help="give it by position"
            )
        found.append((evaluate(context, scope, argument.value), argument.span))
    return found


def _activation(
    context: Context, scope: Scope, function: Activation, expression: tree.Call
) -> Value:
    values = _values(context, scope, expression)
    if len(values) != 1:
        raise context.reporter.failure(
            "E0205",
            f"an activation takes one value, not {len(values)}",
            expression.span,
            help=f"write `{function.name}(z)`",
        )
    ((value, span),) = values
    if isinstance(value, Coefficient) and value.power == 0:
        constant = _constant_function(context, function.name, value.constant, expression.span)
        if constant is not None:
            return Coefficient.of(constant)
    return _apply(context, function, tensor(context, value, span), expression.span)


def _apply(context: Context, function: Activation, node: Node, span: Span) -> Node:
    if not function.alone:
        raise context.reporter.failure(
            "E0211",
            f"`{function.name}` of a tensor may only stand in the formula of an activation",
            span,
            help=f"define one: `act phi(z) = {function.name}(1 + z^2)`",
        )
    try:
        return apply(function, node)
    except OpTypeError as error:
        raise context.reporter.failure("E0303", error.message, span, help=error.help) from error


def _constant_function(context: Context, name: str, value: Constant, span: Span) -> Constant | None:
    """``exp``, ``log`` and ``sqrt`` of a number are numbers."""
    functions = {"exp": Constant.exp, "log": Constant.log, "sqrt": Constant.sqrt}
    if name not in functions:
        return None
    try:
        return functions[name](value)
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        raise context.reporter.failure(
            "E0702", f"this constant has no value: {error}", span
        ) from error


def _kind(context: Context, scope: Scope, kind: ActivationKind, expression: tree.Call) -> Value:
    """``leaky_relu(0.2)`` has its parameters; ``leaky_relu(z)`` has the usual ones."""
    values = _values(context, scope, expression)
    numbers = [each for each, _ in values if isinstance(each, Coefficient)]
    if values and len(numbers) == len(values):
        for number, (_, span) in zip(numbers, values, strict=True):
            if number.power != 0:
                raise context.reporter.failure(
                    "E0213", "a parameter of an activation must be free of the width", span
                )
        return with_parameters(context, kind, [each.constant for each in numbers], expression.span)
    plain = with_parameters(context, kind, [], expression.span)
    assert isinstance(plain, Activation)
    if len(values) != 1:
        raise context.reporter.failure(
            "E0205",
            f"an activation takes one value, not {len(values)}",
            expression.span,
            help=f"parameters come first: `{kind.name}(0.1)(z)`",
        )
    ((argument, span),) = values
    return _apply(context, plain, tensor(context, argument, span), expression.span)


def with_parameters(
    context: Context, kind: ActivationKind, parameters: list[Constant], span: Span
) -> Activation:
    """The activation with its parameters.

    Raises:
        Failed: it does not take these; the reporter knows.
    """
    try:
        return activation(kind.name, *parameters)
    except (ActivationError, ValueError) as error:
        raise context.reporter.failure(
            "E0213",
            str(error),
            span,
            help=None,
        ) from error


def _sqrt(context: Context, scope: Scope, expression: tree.Call) -> Value:
    from fractions import Fraction

    values = _values(context, scope, expression)
    if len(values) != 1:
        raise context.reporter.failure("E0205", "`sqrt` takes one value", expression.span)
    ((value, span),) = values
    if isinstance(value, Coefficient):
        try:
            return value ** Fraction(1, 2)
        except (ValueError, OverflowError) as error:
            raise context.reporter.failure(
                "E0702", f"this constant has no value: {error}", expression.span
            ) from error
    node = tensor(context, value, span)
    try:
        return power(node, Fraction(1, 2))
    except OpTypeError as error:
        raise context.reporter.failure(
            "E0303", error.message, expression.span, help=error.help
        ) from error


# ---- functions of the language -------------------------------------------------------------------


def _builtin(context: Context, scope: Scope, function: Function, expression: tree.Call) -> Value:
    arguments, places = bind_builtin(context, scope, function, expression)
    try:
        node = function.build(**arguments)
    except OpTypeError as error:
        labels = []
        if error.operand is not None and error.operand < len(places):
            value, span = places[error.operand]
            labels = [(span, describe(value))]
        help = error.help or f"it is called as `{function.signature}`"
        raise context.reporter.failure(
            "E0303", error.message, expression.span, *labels, help=help
        ) from error
    assert isinstance(node, Node)
    return node


__all__ = ["call", "expand", "with_parameters"]
