r"""Why a program of looked-up rows closes at a finite width in the limit.

Rows of independent Gaussians are orthogonal in the limit, and every vector stays a combination of
the initial rows: ``W = n^-q W'`` with ``q = p - 1/2`` gives rows W' whose inner products have
limits, those of orthogonal vectors of length ``mult sigma`` at initialisation. Where all powers of
the width cancel in the equations of W', these are the same program at a width of one position for
each initial row, with the identity in the place of the Gaussians (TP4, Corollary 6.2). A weight
whose update has a negative power stands still: that is the kernel regime.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.ir.node import Node, walk
from tpc.online.plan import refuse
from tpc.ops.add import ADD
from tpc.ops.apply import APPLY
from tpc.ops.contract import CONTRACT
from tpc.ops.fill import FILL, is_zero
from tpc.ops.gather import GATHER, SCATTER_ADD
from tpc.ops.input import INPUT
from tpc.ops.multiply import MULTIPLY
from tpc.ops.param import PARAM
from tpc.ops.power import POWER
from tpc.ops.scale import SCALE
from tpc.optimizers.settings import WORDED, settings
from tpc.unroll import training_step

if TYPE_CHECKING:
    from tpc.ir.module import Module

Power = Fraction | None  # None: exactly zero, of any power
HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Gauge:
    """The limit's weights: ``sizes`` are lengths of initial rows (0: they start at zero).

    ``width`` is the number of directions; ``moving`` says which weights move, ``decaying`` which
    decay; ``first`` is the direction of a weight's first row.
    """

    width: int
    sizes: Mapping[str, float]
    first: Mapping[str, int]
    moving: Mapping[str, bool]
    decaying: Mapping[str, bool]


def gauge(module: Module) -> Gauge:
    """Return the limit of a program that has an online step.

    Raises:
        TpcError: something diverges, or stays random in the limit.
    """
    powers, moves, decays, sizes, first, width = {}, {}, {}, {}, {}, 0
    for name, spec in module.params.items():
        found = settings(module, name, WORDED)
        assert found is not None
        step = _number(found.rate.power) + 2 * _number(spec.multiplier.power)
        if spec.init == "normal":
            powers[name] = _number(spec.entry_exponent) - HALF
            sizes[name], first[name] = spec.entry_std.value, width
            width += int(spec.type.dims[0].count)
        elif spec.init == "zero":
            powers[name], sizes[name], first[name] = -step / 2, 0.0, 0
        else:
            refuse(f"`{name}` starts with equal rows, which are no Gaussians")
        moves[name] = step
        shrink = found.rate * found.decay
        decays[name] = None if shrink.is_zero else _number(shrink.power)
    gradients = _gradient_powers(module, powers)
    moving, decaying = {}, {}
    for name, gradient in gradients.items():
        move = None if gradient is None else powers[name] + moves[name] + gradient
        for power, what in ((move, "update"), (decays[name], "decay")):
            if power is not None and power > 0:
                refuse(f"in the limit the {what} of `{name}` diverges like n^{power}")
        moving[name], decaying[name] = move == 0, decays[name] == 0
    return Gauge(max(width, 1), sizes, first, moving, decaying)


def _number(exponent: object) -> Fraction:
    if not exponent.is_constant:  # type: ignore[attr-defined]
        refuse(f"the exponent {exponent} has no value")
    return exponent.const  # type: ignore[attr-defined, no-any-return]


def _gradient_powers(module: Module, powers: Mapping[str, Fraction]) -> dict[str, Power]:
    step = training_step(module)
    found: dict[Node, Power] = {}
    for node in walk([step.loss, *step.gradients.values()]):
        found[node] = _power(node, [found[each] for each in node.operands], powers, module)
    return {name: found[node] for name, node in step.gradients.items()}


def _power(
    node: Node, operands: list[Power], powers: Mapping[str, Fraction], module: Module
) -> Power:
    """Return the power of the width that a value has, its weights in terms of W'."""
    if is_zero(node):
        return None
    if node.op is PARAM:
        return -powers[node.attrs["name"]]
    if node.op in (FILL, SCALE):
        own = _number(node.attrs["coefficient"].power)
        return own if not operands else (None if operands[0] is None else operands[0] + own)
    if node.op is INPUT:
        return Fraction(0)
    if None in operands and node.op is not ADD:
        return None
    if node.op in (GATHER, SCATTER_ADD):
        return operands[0]
    if node.op in (CONTRACT, MULTIPLY):
        return sum((each for each in operands if each is not None), Fraction(0))
    if node.op is POWER:
        return None if operands[0] is None else operands[0] * node.attrs["exponent"]
    if node.op is APPLY:
        if operands[0] != 0:
            refuse(f"an activation acts on a number of size n^{operands[0]}", node, module)
        return Fraction(0)
    if node.op is ADD:
        known = {each for each in operands if each is not None}
        if len(known) > 1:
            refuse("values of different powers of the width are added", node, module)
        return known.pop() if known else None
    return operands[0]
