"""Contractions written with names for the axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ir.types import Dim
from tpc.ops.base import OpTypeError, keyword, require_real, surface, values
from tpc.ops.contract import contract
from tpc.ops.sum import total
from tpc.ops.transpose import transpose

if TYPE_CHECKING:
    from tpc.ir.node import Node

Names = tuple[str, ...]


@surface(keyword("spec", "text"), values("operands"))
def einsum(spec: str, operands: tuple[Node, ...]) -> Node:
    """Contract values by naming their axes: `einsum("t n, u n -> t u", q, k)`.

    Names are separated by spaces, operands by commas. An axis that is not named in the result is
    summed over, a width too (a plain sum: multiply by `n^-1` for a mean). Several operands are
    contracted from left to right.
    """
    inputs, out = _parse(spec, len(operands))
    _check(inputs, out, operands)
    result, names = operands[0], inputs[0]
    for position in range(1, len(operands)):
        later = {name for group in inputs[position + 1 :] for name in group} | set(out)
        result, names = _pair(result, names, operands[position], inputs[position], later)
    result, names = _sum_lone(result, names, set(out))
    return transpose(result, tuple(names.index(name) for name in out))


def _pair(x: Node, left: Names, y: Node, right: Names, later: set[str]) -> tuple[Node, Names]:
    """Contract two operands, keeping the names that are used later."""
    x, left = _sum_lone(x, left, later | set(right))
    y, right = _sum_lone(y, right, later | set(left))
    kept = tuple(name for name in dict.fromkeys((*left, *right)) if name in later)
    number = {name: k for k, name in enumerate(dict.fromkeys((*left, *right)))}
    labels = [tuple(number[name] for name in group) for group in (left, right, kept)]
    return contract(x, y, labels[0], labels[1], labels[2]), kept


def _sum_lone(x: Node, names: Names, used: set[str]) -> tuple[Node, Names]:
    lone = tuple(axis for axis, name in enumerate(names) if name not in used)
    return total(x, lone), tuple(name for name in names if name in used)


def _parse(spec: str, count: int) -> tuple[list[Names], Names]:
    left, arrow, right = spec.partition("->")
    if not arrow or "->" in right:
        raise OpTypeError(
            f'einsum("{spec}"): one `->` must stand before the axes of the result',
            help='for example einsum("t n, u n -> t u", q, k)',
        )
    inputs = [tuple(group.split()) for group in left.split(",")]
    for name in (*(name for group in inputs for name in group), *right.split()):
        if not name.isidentifier():
            raise OpTypeError(
                f'einsum("{spec}"): `{name}` is no name of an axis',
                help="names are separated by spaces, operands by commas",
            )
    if len(inputs) != count:
        raise OpTypeError(
            f'einsum("{spec}") names the axes of {len(inputs)} values, but {count} are given'
        )
    return inputs, tuple(right.split())


def _check(inputs: list[Names], out: Names, operands: tuple[Node, ...]) -> None:
    require_real([operand.type for operand in operands], "einsum")
    dims: dict[str, Dim] = {}
    for position, (names, operand) in enumerate(zip(inputs, operands, strict=True)):
        if len(names) != operand.type.rank:
            raise OpTypeError(
                f"einsum names {len(names)} axes ({' '.join(names)}) of {operand.type}",
                operand=position,
                help="names are separated by spaces: one name for each axis",
            )
        if len(set(names)) != len(names):
            raise OpTypeError("einsum: an operand names an axis twice", operand=position)
        for name, dim in zip(names, operand.type.dims, strict=True):
            if dims.setdefault(name, dim) != dim:
                raise OpTypeError(
                    f"einsum: axis {name} is {dims[name]} and {dim}", operand=position
                )
    for name in out:
        if name not in dims:
            raise OpTypeError(f"einsum: axis {name} of the result is in no operand")
    if len(set(out)) != len(out):
        raise OpTypeError("einsum: the result names an axis twice")
