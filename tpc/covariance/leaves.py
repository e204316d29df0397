"""Covariances of weights that stand alone: biases, gains, embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.covariance.arrays import Quantity, Value, extents, pair_shape
from tpc.covariance.steps import Matches
from tpc.covariance.values import STAGE, scaled
from tpc.exact import Coefficient
from tpc.ops.base import MissingRule
from tpc.ops.param import PARAM

if TYPE_CHECKING:
    from tpc.covariance.engine import View
    from tpc.ir.node import Node


def own_entries(name: str, view: View) -> tuple[Coefficient | None, Coefficient | None]:
    """Return variance and step of the entries of a weight, None for nothing."""
    spec = view.engine.params[name]
    variance = None
    if spec.init == "normal":
        variance = Coefficient(spec.entry_std, -spec.entry_exponent) ** 2
    return variance, None if view.own else view.engine.steps.get(name)


def weight(left: Node, right: Node, modes: str, view: View) -> Value:
    """Return the covariances of a weight's own entries, by modes D and F."""
    if left is not right:
        return Value()
    name = left.attrs["name"]
    variance, step = own_entries(name, view)
    sizes = extents(left)
    one = view.constant(1.0, left.type.rank)
    apart = Value(
        None if variance is None else scaled(Value(Quantity(one)), variance).kernel,
        None if step is None else scaled(Value(Quantity(one)), step).kernel,
    )
    found, plain = apart, "D" * left.type.rank
    for axis, mode in enumerate(modes):
        if mode == "F":
            wide = pair_shape(sizes, plain)
            found = _grown(found, wide, view)
            target = plain[:axis] + "F" + plain[axis + 1 :]
            found = view.embedded(found, target, [axis], sizes)
            plain = target
    if view.engine.params[name].init == "one":
        every = view.constant(1.0, len(pair_shape(sizes, modes)))
        found = Value(Quantity(every), found.tangent)
    return found


def _grown(value: Value, shape: tuple[int, ...], view: View) -> Value:
    return Value(
        None if value.kernel is None else value.kernel.moved(view.grown(value.kernel.array, shape)),
        None
        if value.tangent is None
        else value.tangent.moved(view.grown(value.tangent.array, shape)),
    )


def lookup(left: Node, right: Node, modes: str, view: View) -> Value:
    """Return the covariances of rows looked up by tokens: those of equal tokens."""
    (table, ids), (other, ids2) = left.operands, right.operands
    if table.op is not PARAM or table is not other:
        raise MissingRule(left, STAGE, "a look-up in something else than one weight")
    rank = ids.type.rank
    if "F" in modes[rank:]:
        raise MissingRule(left, STAGE, "all pairs of finite axes of an embedding")
    name = table.attrs["name"]
    if view.engine.params[name].init == "one":
        raise MissingRule(left, STAGE, "a look-up in ones")
    numbers = view.engine.numbers
    first, second = numbers.array(ids).quantity, numbers.array(ids2).quantity
    if first is None or second is None:
        raise MissingRule(left, STAGE, "tokens that vanish")
    step = Matches(first.array, second.array, extents(ids), modes[:rank], view.own)
    rest = left.type.rank - rank
    result = view.moved(
        Value(Quantity(step.outputs[0])),
        lambda a: a.reshape(*a.shape, *(1,) * rest),
        (*step.outputs[0].shape, *(1,) * rest),
    )
    variance, moves = own_entries(name, view)
    base = Value(result.kernel)
    return Value(
        None if variance is None else scaled(base, variance).kernel,
        None if moves is None else scaled(base, moves).kernel,
    )
