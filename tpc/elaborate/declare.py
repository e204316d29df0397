"""Declarations other than params: the width, sizes, constants, exponents, activations, data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from tpc.diagnostics import Span, did_you_mean
from tpc.elaborate import numbers
from tpc.elaborate.acts import act_value
from tpc.elaborate.context import LARGEST_SIZE, Context, Scope
from tpc.elaborate.expressions import evaluate
from tpc.elaborate.overrides import expression_of
from tpc.elaborate.report import Failed
from tpc.elaborate.values import (
    PENDING,
    POISON,
    Definition,
    Pending,
    UserFunction,
    Value,
    describe,
)
from tpc.exact import Affine, Coefficient, Constant
from tpc.ir.module import InputSpec
from tpc.ir.types import Dim, TensorType, finite, wide
from tpc.ops.input import input_
from tpc.syntax import tree

PARAMETRIZATIONS = ("standard", "ntk", "mean_field", "mup")
_TOP = Scope("the program")

Declared = tuple[str, str, Span]


def names_of(statement: tree.Statement) -> Iterator[Declared]:
    """The global names that a statement declares: name, kind, place."""
    match statement:
        case tree.WidthDeclaration(name=name):
            yield name.name, "width", name.span
        case tree.SizeDeclaration(bindings=bindings):
            yield from ((each.name.name, "size", each.name.span) for each in bindings)
        case tree.RealDeclaration(bindings=bindings):
            yield from ((each.name.name, "constant", each.name.span) for each in bindings)
        case tree.ExponentDeclaration(names=names):
            yield from ((each.name, "exponent", each.span) for each in names)
        case tree.ActDeclaration(name=name):
            yield name.name, "activation", name.span
        case tree.DataDeclaration(role=role, names=names):
            yield from ((each.name, role, each.span) for each in names)
        case tree.ParamDeclaration(families=families):
            yield from ((each.name.name, "param", each.name.span) for each in families)
        case tree.FunctionDeclaration(name=name):
            yield name.name, "function", name.span


def collect(context: Context, program: tree.Program) -> None:
    """Enter every declared name, without a value yet; report names that are declared twice."""
    for statement in [*program.body, *_in_training(program)]:
        for name, kind, span in names_of(statement):
            first = context.globals.get(name)
            if first is None:
                context.globals[name] = Definition(name, kind, PENDING, span)
            elif kind == "width" and first.kind == "width":
                pass  # two widths are reported as such
            else:
                context.reporter.report(
                    "E0202",
                    f"`{name}` is declared twice",
                    span,
                    (first.span, f"first declared here, as {_article(first.kind)}"),
                    help="give one of them another name",
                )


def _in_training(program: tree.Program) -> Iterator[tree.Statement]:
    """Noises may be declared in the training block, where they are used."""
    for statement in program.body:
        if isinstance(statement, tree.TrainDeclaration):
            yield from (x for x in statement.body if isinstance(x, tree.DataDeclaration))


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def declare(context: Context, program: tree.Program) -> None:
    """Give the declared names their values, except params and functions of weights."""
    statements = [*program.body, *_in_training(program)]
    _widths(context, [x for x in statements if isinstance(x, tree.WidthDeclaration)], program)
    _exponents(context, statements)
    for statement in statements:
        if isinstance(statement, (tree.SizeDeclaration, tree.RealDeclaration)):
            for binding in statement.bindings:
                _number(context, binding, isinstance(statement, tree.SizeDeclaration))
    for statement in statements:
        if isinstance(statement, tree.ActDeclaration):
            _act(context, statement)
        elif isinstance(statement, tree.DataDeclaration):
            _data(context, statement)
        elif isinstance(statement, tree.FunctionDeclaration):
            _function(context, statement)
    _parametrizations(
        context, [x for x in statements if isinstance(x, tree.ParametrizationDeclaration)]
    )


def poison_the_rest(context: Context) -> None:
    """What has no value after all declarations had a mistake in its own."""
    for definition in context.globals.values():
        if isinstance(definition.value, Pending):
            definition.value = POISON


def define(context: Context, name: tree.Identifier, value: Value) -> None:
    """Give a declared name its value, if this is the declaration that counts."""
    definition = context.globals[name.name]
    if definition.span == name.span:
        definition.value = value


def _widths(context: Context, found: list[tree.WidthDeclaration], program: tree.Program) -> None:
    if not found:
        start = program.body[0].span if program.body else context.source.span(0, 0)
        context.reporter.report(
            "E0203",
            "the program declares no width",
            context.source.span(start.start, start.start),
            help="write `width n` at the top: n is the axis that goes to infinity",
        )
        return
    context.width = found[0].name.name
    define(context, found[0].name, Coefficient.width(1))
    for other in found[1:]:
        context.reporter.report(
            "E0203",
            "a program has one width",
            other.name.span,
            (found[0].name.span, "declared here"),
            help=f"other wide axes are multiples of it: `[4*{context.width}, {context.width}]`",
        )
        if other.name.name != context.width:
            define(context, other.name, Coefficient.width(1))


def _exponents(context: Context, statements: list[tree.Statement]) -> None:
    """Symbols first, so that values given from outside may be affine in the others."""
    names = [
        name
        for statement in statements
        if isinstance(statement, tree.ExponentDeclaration)
        for name in statement.names
    ]
    for name in names:
        define(context, name, Affine.symbol(name.name))
    given = {
        name.name: _given_exponent(context, name.name)
        for name in names
        if name.name in context.overrides
    }
    known = {name: value for name, value in given.items() if value is not None}
    for name in names:
        value: Affine | None = given.get(name.name, Affine.symbol(name.name))
        for _ in known:
            value = value and value.substitute(known)
        if value is not None and not known.keys().isdisjoint(value.symbols):
            context.reporter.report(
                "E0402",
                f"the exponent `{name.name}` is given by itself",
                name.span,
                help="give one of the exponents a number",
            )
        define(context, name, POISON if value is None else value)
        if value is not None:
            context.exponents[name.name] = value


def _given_exponent(context: Context, name: str) -> Affine | None:
    expression = expression_of(context, name, context.overrides[name])
    if expression is None:
        return None
    try:
        value = evaluate(context, _TOP, expression)
    except Failed:
        return None
    affine = numbers.as_affine(value)
    if affine is None or name in affine.symbols:
        context.reporter.report(
            "E0402",
            f"the exponent `{name}` must be rational, this is {describe(value)}",
            expression.span,
            help=f"write a fraction: `{name}=1/2`",
        )
        return None
    return affine


def _number(context: Context, binding: tree.Binding, is_size: bool) -> None:
    name = binding.name.name
    expression: tree.Expression | None = binding.value
    if name in context.overrides:
        expression = expression_of(context, name, context.overrides[name])
    value: Value = POISON
    with suppress(Failed):
        if expression is not None:
            value = _number_value(context, name, expression, is_size)
    define(context, binding.name, value)


def _number_value(
    context: Context, name: str, expression: tree.Expression, is_size: bool
) -> Coefficient:
    value = evaluate(context, _TOP, expression)
    if is_size:
        context.sizes[name] = _size(context, value, expression.span)
        return Coefficient.of(Constant.of(context.sizes[name]))
    what = f"the constant `{name}`"
    context.reals[name] = numbers.constant(value, expression.span, what, context.reporter)
    return Coefficient.of(context.reals[name])


def _size(context: Context, value: Value, span: Span) -> int:
    size = numbers.as_integer(value)
    if size is None or size < 1:
        raise context.reporter.failure(
            "E0306",
            f"a size is a positive integer, this is {describe(value)}",
            span,
            help="sizes count positions; a constant of another kind is a `real`",
        )
    if size > LARGEST_SIZE:
        _too_large(context, size, span)
    return size


def _too_large(context: Context, size: int, span: Span) -> None:
    raise context.reporter.failure(
        "E0307",
        f"an axis of {size:,} positions is too large" if size < 10**30 else "this is too large",
        span,
        help=f"finite axes have at most {LARGEST_SIZE:,} positions; what grows is the width",
    )


def _act(context: Context, statement: tree.ActDeclaration) -> None:
    value: Value = POISON
    with suppress(Failed):
        value = act_value(context, statement)
    define(context, statement.name, value)


def axis(context: Context, expression: tree.Expression) -> Dim:
    """The axis that an expression between the brackets of a type declares.

    Raises:
        Failed: it declares none; the reporter knows.
    """
    value = evaluate(context, _TOP, expression)
    if isinstance(value, Coefficient) and value.power == 1:
        count = value.constant.as_fraction()
        if count is not None and count > 0:
            return wide(count)
    elif isinstance(value, Coefficient) and value.power == 0:
        return finite(_size(context, value, expression.span))
    raise context.reporter.failure(
        "E0306",
        f"an axis is a size or a multiple of the width, this is {describe(value)}",
        expression.span,
        help=f"write a size, `{context.width}` or `4*{context.width}`",
    )


def axes(context: Context, expressions: tuple[tree.Expression, ...], span: Span) -> tuple[Dim, ...]:
    """The axes of a type; every faulty one is reported.

    Raises:
        Failed: one was faulty, or together they are too large.
    """
    found: list[Dim] = []
    for expression in expressions:
        try:
            found.append(axis(context, expression))
        except Failed:
            continue
    if len(found) < len(expressions):
        raise Failed
    count = TensorType(tuple(found)).finite_count
    if count > LARGEST_SIZE:
        _too_large(context, count, span)
    return tuple(found)


def _data(context: Context, statement: tree.DataDeclaration) -> None:
    try:
        dims = axes(context, statement.axes, statement.span)
        for dim, expression in zip(dims, statement.axes, strict=True):
            if dim.width:
                raise context.reporter.failure(
                    "E0305",
                    f"the axes of {_article(statement.role)} are finite, this is a width",
                    expression.span,
                    help="data do not grow with the network; only params have width axes",
                )
        below = None
        if statement.below is not None:
            value = evaluate(context, _TOP, statement.below)
            below = _size(context, value, statement.below.span)
    except Failed:
        return
    if below is not None and statement.role == "noise":
        context.reporter.report("E0305", "a noise is real", statement.span)
        return
    for name in statement.names:
        if context.globals[name.name].span == name.span:
            node = input_(name.name, dims, below=below)
            spec = InputSpec(name.name, node.type, statement.role, name.span)
            context.inputs[name.name] = spec
            context.place(node, name.span)
            define(context, name, node)


def _function(context: Context, statement: tree.FunctionDeclaration) -> None:
    seen: dict[str, Span] = {}
    for argument in statement.arguments:
        if argument.name in seen:
            context.reporter.report(
                "E0202",
                f"the argument `{argument.name}` is there twice",
                argument.span,
                (seen[argument.name], "first here"),
                help="give one of them another name",
            )
        seen[argument.name] = argument.span
    define(context, statement.name, UserFunction(statement))


def _parametrizations(context: Context, found: list[tree.ParametrizationDeclaration]) -> None:
    for statement in found:
        if statement is not found[0]:
            context.reporter.report(
                "E0202",
                "a program has one parametrization",
                statement.span,
                (found[0].span, "declared here"),
                help="remove one of the two",
            )
        elif statement.choice.name not in PARAMETRIZATIONS:
            _unknown_parametrization(context, statement.choice.name, statement.choice.span)
            context.parametrization = "standard"  # so that params are not blamed too
        else:
            context.parametrization = statement.choice.name
    given = context.overrides.get("parametrization")
    if given is not None and given not in PARAMETRIZATIONS:
        _unknown_parametrization(context, str(given), None)
    elif given is not None:
        context.parametrization = str(given)


def _unknown_parametrization(context: Context, name: str, span: Span | None) -> None:
    choices = ", ".join(f"`{each}`" for each in PARAMETRIZATIONS)
    context.reporter.report(
        "E0408",
        f"there is no parametrization `{name}`",
        span,
        help=did_you_mean(name, PARAMETRIZATIONS) or f"one of {choices}",
    )
