"""Params: families, and the ways to say how a weight is drawn, multiplied and moved."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product

from tpc.diagnostics import Span
from tpc.elaborate import numbers
from tpc.elaborate.context import MOST_MEMBERS, Context, Scope
from tpc.elaborate.declare import axes, define
from tpc.elaborate.expressions import evaluate
from tpc.elaborate.indexing import positions
from tpc.elaborate.report import Failed
from tpc.elaborate.values import Family, Poison, Value, describe
from tpc.exact import Affine, Coefficient, Constant
from tpc.ir.module import ParamSpec
from tpc.ir.node import Node
from tpc.ir.types import Dim, TensorType
from tpc.ops.param import param
from tpc.syntax import tree

_TOP = Scope("the program")


@dataclass
class _Statement:
    """What the modifiers of one declaration say."""

    spec: ParamSpec
    by_exponents: Span | None = None
    by_constants: Span | None = None
    seen: dict[str, Span] = field(default_factory=dict)


def declare_params(context: Context, program: tree.Program) -> None:
    """Enter the params of a program; every faulty declaration is reported."""
    for statement in program.body:
        if isinstance(statement, tree.ParamDeclaration):
            try:
                _declare(context, statement)
            except Failed:
                continue


def _declare(context: Context, statement: tree.ParamDeclaration) -> None:
    failed = False
    try:
        dims = axes(context, statement.axes, statement.span)
        _check_sort(context, dims, statement)
    except Failed:
        dims, failed = (), True
    spec = _modified(context, statement, dims)
    for family in statement.families:
        try:
            members = _members(context, family)
        except Failed:
            continue
        if not failed and context.globals[family.name.name].span == family.name.span:
            _enter(context, family, members, replace(spec, type=TensorType(dims)))


def _check_sort(context: Context, dims: tuple[Dim, ...], statement: tree.ParamDeclaration) -> None:
    if TensorType(dims).sort > 2:
        raise context.reporter.failure(
            "E0311",
            f"a param has at most two width axes, this has {TensorType(dims).sort}",
            statement.span,
            help="vectors and matrices have a limit; tensors of higher order have none here",
        )


def _members(context: Context, family: tree.Family) -> list[tuple[int, ...]]:
    ranges = [positions(context, _TOP, each) for each in family.ranges]
    count = 1
    for each in ranges:
        count *= len(each)
    if count > MOST_MEMBERS:
        raise context.reporter.failure(
            "E0703",
            f"a family of {count:,} params; at most {MOST_MEMBERS:,} are possible",
            family.span,
            help="make its ranges shorter",
        )
    return list(product(*ranges))


def member_name(name: str, key: tuple[int, ...]) -> str:
    """The name of a member: ``W[2]``, ``Q[1, 2]``; the family's own where there is no index."""
    return f"{name}[{', '.join(map(str, key))}]" if key else name


def _enter(
    context: Context, family: tree.Family, members: list[tuple[int, ...]], spec: ParamSpec
) -> None:
    name = family.name.name
    nodes: dict[tuple[int, ...], Value] = {}
    for key in members:
        full = member_name(name, key)
        node = param(full, spec.type.dims)
        context.params[full] = replace(spec, name=full, span=family.name.span)
        context.place(node, family.name.span)
        nodes[key] = node
    define(context, family.name, Family(name, nodes) if family.ranges else nodes[()])


# ---- modifiers -----------------------------------------------------------------------------------


def _modified(
    context: Context, statement: tree.ParamDeclaration, dims: tuple[Dim, ...]
) -> ParamSpec:
    """What the modifiers say; each faulty one is reported and left out."""
    said = _Statement(ParamSpec("", TensorType(dims)))
    for modifier in statement.modifiers:
        before = said.seen.get(modifier.keyword)
        if before is not None:
            context.reporter.report(
                "E0406",
                f"`{modifier.keyword}` is there twice",
                modifier.span,
                (before, "first here"),
                help="remove one of the two",
            )
            continue
        said.seen[modifier.keyword] = modifier.span
        try:
            _MODIFIERS[modifier.keyword](context, said, modifier)
        except Failed:
            # no further complaint about what this modifier would have settled
            said.by_constants = said.by_constants or modifier.span
            said.seen["failed"] = modifier.span
    _settle(context, said, statement)
    return said.spec


def _abc(context: Context, said: _Statement, modifier: tree.Modifier) -> None:
    said.by_exponents = modifier.span
    if len(modifier.values) != 3:
        raise context.reporter.failure(
            "E0403",
            f"`abc` takes three exponents, not {len(modifier.values)}",
            modifier.span,
            help="`abc(a, b, c)`: multiplier n^-a, standard deviation n^-b, learning rate n^-c",
        )
    a, b, c = (_exponent(context, each) for each in modifier.values)
    said.spec = replace(said.spec, a=a, b=b, c=c)


def _exponent(context: Context, expression: tree.Expression) -> Affine:
    value = evaluate(context, _TOP, expression)
    found = numbers.as_affine(value)
    if found is None:
        raise context.reporter.failure(
            "E0402",
            f"an exponent is rational, or affine in exponents; this is {describe(value)}",
            expression.span,
            help="write a fraction such as `1/2`, or declare an unknown: `exponent a`",
        )
    return found


def _init(context: Context, said: _Statement, modifier: tree.Modifier) -> None:
    (value,) = modifier.values
    match value:
        case tree.Name(name="zero" | "one" as word):
            said.spec = replace(said.spec, init=word)
            return
        case tree.Name(name="normal"):
            return
        case tree.Call(function=tree.Name(name="normal"), arguments=[argument]):
            _normal(context, said, modifier, _only(context, argument))
            return
        case tree.Call(function=tree.Name(name="fan_in"), arguments=[argument]):
            _fan_in(context, said, _only(context, argument))
            return
    raise context.reporter.failure(
        "E0407",
        "there is no such initialisation",
        value.span,
        help="one of `init normal(s)`, `init fan_in(g)`, `init zero`, `init one`",
    )


def _only(context: Context, argument: tree.Argument | tree.Comprehension) -> tree.Expression:
    if isinstance(argument, tree.Argument) and argument.name is None:
        return argument.value
    raise context.reporter.failure("E0407", "an initialisation takes one number", argument.span)


def _normal(
    context: Context, said: _Statement, modifier: tree.Modifier, expression: tree.Expression
) -> None:
    found = _positive(context, expression, "a standard deviation")
    said.spec = replace(said.spec, sigma=found.constant)
    if found.power != 0:
        said.by_constants = modifier.span
        said.spec = replace(said.spec, b=_unmixed(said, "b", -found.power))
    said.seen.setdefault("constants", modifier.span)


def _unmixed(said: _Statement, which: str, power: Affine) -> Affine:
    """An explicit exponent stays where `abc` gave one; the mixture is reported apart."""
    before: Affine | None = getattr(said.spec, which)
    return power if before is None else before


def _positive(context: Context, expression: tree.Expression, what: str) -> Coefficient:
    value = evaluate(context, _TOP, expression)
    found = numbers.coefficient(value, expression.span, what, context.reporter)
    if found.constant.sign <= 0:
        raise context.reporter.failure(
            "E0405",
            f"{what} must be positive, this is {found}",
            expression.span,
            help="a weight that begins at zero is `init zero`, one that never moves `frozen`",
        )
    return found


def _fan_in(context: Context, said: _Statement, expression: tree.Expression) -> None:
    gain = _positive(context, expression, "the gain of `fan_in`")
    if gain.power != 0:
        raise context.reporter.failure(
            "E0404",
            "`fan_in` takes a number: its power of n is the parametrization's business",
            expression.span,
            help="write the whole standard deviation with `init normal(...)`",
        )
    ratio = gain.constant / Constant.of(fan_in(said.spec.type.dims))
    said.spec = replace(said.spec, sigma=Constant.sqrt(ratio))


def fan_in(dims: tuple[Dim, ...]) -> Fraction:
    """Product of the finite sizes and the coefficients of the contracted axes.

    All but the output's, which is the last but one: ``[out, in]``, ``[window.., out, in]``.
    """
    found = Fraction(1)
    for position, dim in enumerate(dims):
        if len(dims) == 1 or position != len(dims) - 2:
            found *= dim.count
    return found


def _mult(context: Context, said: _Statement, modifier: tree.Modifier) -> None:
    value = evaluate(context, _TOP, modifier.values[0])
    found = numbers.coefficient(value, modifier.values[0].span, "a multiplier", context.reporter)
    if found.is_zero:
        raise context.reporter.failure(
            "E0405", "a multiplier of zero", modifier.span, help="remove the weight"
        )
    said.by_constants = modifier.span
    said.spec = replace(said.spec, mult=found.constant)
    if found.power != 0:
        said.spec = replace(said.spec, a=_unmixed(said, "a", -found.power))


def _lr(context: Context, said: _Statement, modifier: tree.Modifier) -> None:
    found = _positive(context, modifier.values[0], "a learning rate")
    said.spec = replace(said.spec, rate=found.constant)
    if found.power != 0:
        said.by_constants = modifier.span
        said.spec = replace(said.spec, c=_unmixed(said, "c", -found.power))
    said.seen.setdefault("constants", modifier.span)


def _decay(context: Context, said: _Statement, modifier: tree.Modifier) -> None:
    value = evaluate(context, _TOP, modifier.values[0])
    what = "a weight decay"
    found = numbers.coefficient(value, modifier.values[0].span, what, context.reporter)
    said.spec = replace(said.spec, decay=found)


def _eps(context: Context, said: _Statement, modifier: tree.Modifier) -> None:
    value = evaluate(context, _TOP, modifier.values[0])
    found = numbers.coefficient(value, modifier.values[0].span, "an epsilon", context.reporter)
    said.spec = replace(said.spec, eps=found)


def _frozen(context: Context, said: _Statement, modifier: tree.Modifier) -> None:
    said.spec = replace(said.spec, frozen=True)


_MODIFIERS = {
    "abc": _abc,
    "init": _init,
    "mult": _mult,
    "lr": _lr,
    "decay": _decay,
    "eps": _eps,
    "frozen": _frozen,
}


# ---- what the modifiers say together -------------------------------------------------------------


def _settle(context: Context, said: _Statement, statement: tree.ParamDeclaration) -> None:
    """Check that one way was taken to say it, and fill in what that way leaves at nothing."""
    if "frozen" in said.seen and "lr" in said.seen:
        context.reporter.report(
            "E0406",
            "a frozen param has no learning rate",
            said.seen["lr"],
            (said.seen["frozen"], "it never moves"),
            help="remove one of the two",
        )
    if said.by_exponents is not None:
        if said.by_constants is not None and "failed" not in said.seen:
            context.reporter.report(
                "E0404",
                "exponents and powers of n are mixed on one param",
                said.by_constants,
                (said.by_exponents, "the exponents are given here"),
                help="say it in one way: `abc(a, b, c)`, or `init normal(n^-b) mult n^-a lr n^-c`",
            )
        return
    if context.parametrization is not None:
        return
    if said.by_constants is None and "constants" not in said.seen:
        _unparametrized(context, statement)
        return
    zero = Affine.of(0)
    spec = said.spec
    said.spec = replace(
        spec,
        a=zero if spec.a is None else spec.a,
        b=zero if spec.b is None else spec.b,
        c=zero if spec.c is None else spec.c,
    )


def _unparametrized(context: Context, statement: tree.ParamDeclaration) -> None:
    names = ", ".join(f"`{each.name.name}`" for each in statement.families)
    context.reporter.report(
        "E0409",
        f"nothing says how {names} scales with the width",
        statement.families[0].name.span,
        help="either name a parametrization for the whole program: `parametrization mup`\n"
        "or give the exponents of this param: `abc(0, 1/2, 0)`",
    )


def remark(context: Context, program: tree.Program) -> None:
    """Remarks about params that are probably not meant as they stand."""
    for statement in program.body:
        if not isinstance(statement, tree.ParamDeclaration):
            continue
        for family in statement.families:
            definition = context.globals[family.name.name]
            if isinstance(definition.value, Poison) or definition.span != family.name.span:
                continue
            if not definition.used:
                _unused(context, definition.name, definition.span)
            elif _is_vector(definition.value) and not _draws(statement):
                _normal_bias(context, definition.name, definition.span)


def _unused(context: Context, name: str, span: Span) -> None:
    context.reporter.report(
        "E0410",
        f"the param `{name}` is never used",
        span,
        help="use it, or remove it",
        severity="warning",
    )


def _draws(statement: tree.ParamDeclaration) -> bool:
    return any(each.keyword == "init" for each in statement.modifiers)


def _is_vector(value: Value) -> bool:
    if isinstance(value, Family):
        return any(_is_vector(each) for each in value.members.values())
    return isinstance(value, Node) and value.type.rank == 1 and value.type.sort == 1


def _normal_bias(context: Context, name: str, span: Span) -> None:
    context.reporter.report(
        "E0411",
        f"`{name}` has no `init`: its entries begin as draws from N(0, 1), like any weight's",
        span,
        help="biases often begin at zero, `init zero`, gains at one, `init one`",
        severity="note",
    )
