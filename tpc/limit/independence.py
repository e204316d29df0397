"""Whether backward vectors are independent of forward ones: gradient independence (Yang 2020).

They are where the output is a sum of readouts of mean zero that the program uses nowhere else:
every backward vector is linear in these, so what a transposed weight owes to the forward pass
vanishes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tpc.ir.node import Node, walk
from tpc.limit.contraction import readout_below, weight_below, width_order
from tpc.limit.forms import Entry, Gaussian, Polynomial
from tpc.limit.moment import LimitRefusal
from tpc.limit.moments import MomentContext
from tpc.ops.contract import CONTRACT
from tpc.ops.gather import GATHER
from tpc.ops.index_map import IndexMap

if TYPE_CHECKING:
    from tpc.ir.module import Module, ParamSpec


def transposed(roots: Sequence[Node], params: Mapping[str, ParamSpec]) -> frozenset[str]:
    """Return the weights that meet values along different axes: as W and as W'."""
    found: dict[str, set[tuple[int, ...]]] = {}
    for node in walk(list(roots)):
        if _weight(node) is not None:
            continue
        for operand in node.operands:
            param = _weight(operand)
            if param is None:
                continue
            name = param.attrs["name"]
            if params[name].init == "normal":
                found.setdefault(name, set()).add(_contracted(node, operand))
    return frozenset(name for name, ways in found.items() if len(ways) > 1)


def _weight(node: Node) -> Node | None:
    """Return the weight whose entries, or looked-up rows, these are, moved about at most."""
    while isinstance(node.op, IndexMap) and len(node.operands) == 1:
        node = node.operands[0]
    return readout_below(node)


def _contracted(node: Node, operand: Node) -> tuple[int, ...]:
    """Return the width axes of the weight that a node sums over."""
    if node.op is not CONTRACT:
        return ()
    labels = node.attrs["left" if node.operands[0] is operand else "right"]
    axes = operand.type.width_axes
    if weight_below(operand) is not None:
        order = width_order(operand)
    elif operand.op is GATHER and all(weight_below(x) is None for x in node.operands):
        order = [axis - operand.operands[1].type.rank + 1 for axis in axes]
    else:
        return ()  # looked-up rows that were moved, or meet a weight, count as values
    summed = {
        k for k, axis in zip(order, axes, strict=True) if labels[axis] not in node.attrs["out"]
    }
    return tuple(sorted(summed))


def independent_readouts(output: Node, entry: Entry, context: MomentContext) -> dict[str, Node]:
    """Check the condition for gradient independence; return the readouts.

    Raises:
        LimitRefusal: the output is not a sum of readouts that are used nowhere else.
    """
    readouts = {}
    todo = [entry]
    while todo:
        here = todo.pop()
        form = context.form(here)
        if isinstance(form, Polynomial) and all(len(e) == 1 for _, e in form.terms):
            todo.extend(e for _, entries in form.terms for e in entries)
        elif isinstance(form, Gaussian):
            readouts[form.param] = here[0]
        else:
            raise LimitRefusal(
                "the output is not a sum of readouts",
                here[0],
            )
    for name, node in readouts.items():
        below = [
            n
            for operand in node.operands
            for n in walk([operand])
            if readout_below(operand) is None
        ]
        if any(n.attrs.get("name") == name and weight_below(n) is n for n in below):
            raise LimitRefusal(f"the readout {name} is used elsewhere in the network too", node)
    return readouts


def is_independent(output: Node, entry: Entry, context: MomentContext) -> bool:
    """Whether gradients are independent of the forward pass."""
    try:
        independent_readouts(output, entry, context)
    except LimitRefusal:
        return False
    return True


def require_independence(module: Module) -> None:
    """Check that no product owes anything to a transposed weight, forward or backward.

    Raises:
        LimitRefusal: one may.
    """
    context = MomentContext(module.params)
    output = module.output.node
    for name in sorted(transposed([output], module.params)):
        raise LimitRefusal(
            f"the weight {name} is used along two different axes (as W and as its transpose)",
            output,
            "what W^T y owes to W x (Zdot terms) is kept pair by pair only, not here",
        )
    independent_readouts(output, (output, (0,) * output.type.rank), context)
