"""Values that are given from outside: ``--set d=10``, ``program.with_(phi="tanh")``."""

from __future__ import annotations

from fractions import Fraction

from tpc.diagnostics import Diagnostic, TpcError, did_you_mean
from tpc.elaborate.context import Context, Override
from tpc.syntax import parse_expression, tree

_KINDS = ("size", "constant", "exponent", "activation")


def expression_of(context: Context, name: str, value: Override) -> tree.Expression | None:
    """The expression that an override puts in the place of a declared value.

    None where it is no expression: the reporter knows.
    """
    try:
        return parse_expression(_text(value), f"--set {name}")
    except (TpcError, ValueError, OverflowError):
        context.reporter.add(
            Diagnostic(
                "E0706",
                f"`{value}` is no value for `{name}`",
                None,
                help="sizes, constants, exponents and activations are set like `d=10`, "
                "`eta=1/2`, `phi=tanh`",
            )
        )
        return None


def _text(value: Override) -> str:
    """Program text of a value; a float means the decimal that it prints as."""
    if isinstance(value, float):
        value = Fraction(repr(value))
    if isinstance(value, Fraction):
        return f"({value.numerator})/({value.denominator})"
    return f"({value})"


def check_names(context: Context) -> None:
    """Report overrides of what the program does not have."""
    settable = [name for name, each in context.globals.items() if each.kind in _KINDS]
    for name in context.overrides:
        if name in settable or name == "parametrization":
            continue
        definition = context.globals.get(name)
        headline = f"the program has no size, constant, exponent or activation `{name}`"
        if definition is not None:
            headline = f"`{name}` is a {definition.kind}, which cannot be set from outside"
        context.reporter.add(Diagnostic("E0706", headline, None, help=did_you_mean(name, settable)))
