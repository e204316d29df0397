"""Elaboration of a whole program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from tpc.diagnostics import Span, TpcError
from tpc.elaborate import names
from tpc.elaborate.calls import expand
from tpc.elaborate.context import Context, Override
from tpc.elaborate.declare import collect, declare, poison_the_rest
from tpc.elaborate.expressions import tensor
from tpc.elaborate.overrides import check_names
from tpc.elaborate.params import declare_params, remark
from tpc.elaborate.report import Failed, Reporter
from tpc.elaborate.training import outputs, the_block, train
from tpc.elaborate.values import Poison, UserFunction, Value
from tpc.ir.module import Module, NamedValue, OptimizerSpec
from tpc.ir.node import Node
from tpc.ops.param import PARAM
from tpc.syntax import tree

_NOTHING: Mapping[str, Override] = MappingProxyType({})


def elaborate(program: tree.Program, overrides: Mapping[str, Override] = _NOTHING) -> Module:
    """The typed IR of a program, with values given from outside in the place of declared ones.

    Exponents that a named parametrization is to fill in are left as None.

    Raises:
        TpcError: with every mistake in names, shapes, weights and training that was found.
    """
    context = Context(program.span.source, Reporter(), overrides)
    try:
        loss, lines, found = _run(context, program)
    except RecursionError:
        loss, lines, found = None, (), []
        context.reporter.report(
            "E0113",
            "the program is nested too deeply",
            program.body[0].span if program.body else None,
            help="name intermediate values, and let functions call each other less deeply",
        )
    if not context.reporter.has_errors:
        remark(context, program)
    if context.reporter.has_errors:
        raise TpcError(context.reporter.all)
    if not found:
        raise AssertionError("elaboration failed without a diagnostic")
    return _module(context, loss, lines, found)


_Found = list[tuple[str, Node, Span]]


def _run(
    context: Context, program: tree.Program
) -> tuple[Node | None, tuple[OptimizerSpec, ...], _Found]:
    collect(context, program)
    check_names(context)
    declare(context, program)
    declare_params(context, program)
    poison_the_rest(context)
    names.check(context, program)
    block = the_block(context, program)
    loss, lines = train(context, block) if block is not None else (None, ())
    found = outputs(context, loss, context.network)
    if block is None or (loss is not None and not any(name == "f" for name, _, _ in found)):
        found += _evaluated(context, required=block is None)
    return loss, lines, found


def _evaluated(context: Context, required: bool) -> _Found:
    """The value of ``f`` with its arguments bound to inputs of the same names."""
    definition = context.globals.get("f")
    if definition is None or not isinstance(definition.value, UserFunction):
        if required and (definition is None or not isinstance(definition.value, Poison)):
            _nothing_to_compute(context)
        return []
    function = definition.value
    arguments: dict[str, tuple[Value, Span]] = {}
    for argument in function.declaration.arguments:
        bound = context.globals.get(argument.name)
        if bound is None or bound.kind not in ("input", "param", "noise"):
            if required:
                _unbound(context, argument)
            return []
        bound.used = True
        arguments[argument.name] = (bound.value, argument.span)
    span = function.declaration.name.span
    try:
        node = tensor(context, expand(context, function, arguments, span), span)
    except Failed:
        return []
    return [("f", node, span)]


def _nothing_to_compute(context: Context) -> None:
    source = context.source
    context.reporter.report(
        "E0217",
        "the program computes nothing: it has neither a function `f` nor a `train:` block",
        source.span(source.end.start, source.end.start),
        help="define the network: `def f(x) = V @ tanh(U @ x)`",
    )


def _unbound(context: Context, argument: tree.Identifier) -> None:
    inputs = ", ".join(f"`{name}`" for name in context.inputs) or "none"
    context.reporter.report(
        "E0218",
        f"the argument `{argument.name}` of `f` is no input",
        argument.span,
        help=f"without `train:` the arguments of `f` are inputs by name; there are {inputs}",
    )


# ---- the module ----------------------------------------------------------------------------------


def _module(
    context: Context, loss: Node | None, lines: tuple[OptimizerSpec, ...], found: _Found
) -> Module:
    used = {spec.name: spec for spec in context.params.values()}
    return Module(
        source=context.source,
        width=context.width,
        sizes=MappingProxyType(context.sizes),
        reals=MappingProxyType(context.reals),
        exponents=_free_exponents(context),
        inputs=MappingProxyType(context.inputs),
        params=MappingProxyType(used),
        values=tuple(_numbered([each for each in context.named if each[0] != "loss"])),
        outputs=tuple(_numbered(found)),
        loss=loss,
        optimizers=lines,
        parametrization=context.parametrization,
        spans=MappingProxyType(context.spans),
        notes=context.reporter.all,
    )


def _free_exponents(context: Context) -> tuple[str, ...]:
    """The exponents without a value, in the order of declaration."""
    return tuple(name for name, value in context.exponents.items() if value.symbols == (name,))


def _numbered(found: _Found) -> Iterator[NamedValue]:
    """Unique names: of several values of one name the last keeps it, the others get numbers."""
    count: dict[str, int] = {}
    for name, _, _ in found:
        count[name] = count.get(name, 0) + 1
    seen: dict[str, int] = {}
    for name, node, span in found:
        seen[name] = seen.get(name, 0) + 1
        if node.op is PARAM:
            continue
        unique = name if seen[name] == count[name] else f"{name}#{seen[name]}"
        yield NamedValue(unique, node, span)
