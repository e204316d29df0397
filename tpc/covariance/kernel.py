"""The kernel of a program as a plan of steps over arrays of positions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tpc.covariance.arrays import Quantity
from tpc.covariance.engine import Engine
from tpc.covariance.run import evaluate
from tpc.ir.node import Node, walk
from tpc.limit.contraction import weight_below
from tpc.limit.kernels import moved_params, require_independence, step
from tpc.limit.moment import LimitRefusal
from tpc.ops.add import ADD
from tpc.ops.base import MissingRule
from tpc.ops.bernoulli import BERNOULLI
from tpc.ops.contract import CONTRACT
from tpc.ops.param import PARAM
from tpc.ops.scale import SCALE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from tpc.ir.module import Module

DEPTH = 50_000


@dataclass(frozen=True)
class PositionKernel:
    """A kernel over arrays of positions. ``root`` is None where the kernel vanishes.

    ``kept`` are the sizes of the output axes that the kernel keeps, ``modes`` say how the axes of
    the root are laid out.
    """

    root: Quantity | None
    modes: str
    kept: tuple[int, ...]
    inputs: Mapping[str, tuple[int, ...]]

    def evaluate(self, X: Any, X2: Any = None, tolerance: float = 1e-10) -> NDArray[np.float64]:
        """Return the kernel, (N, N2) and the kept output axes twice.

        Raises:
            ValueError: the samples do not fit.
            ArithmeticError: an expectation misses the tolerance.
        """
        return evaluate(self, X, X2, tolerance)


def position_kernel(module: Module, kind: str) -> PositionKernel:
    """Return the plan of a kernel, ``nngp`` or ``ntk``.

    Raises:
        MissingRule: an op has no rule for whole arrays of positions.
        LimitRefusal: there is no such kernel.
    """
    output = module.output.node
    for node in walk([output]):
        if node.op is BERNOULLI:
            raise MissingRule(node, "limit", "random masks")
    steps = {}
    if kind == "ntk":
        require_independence(module)
        steps = {spec.name: step(module, spec) for spec in moved_params(module)}
    modes = "".join(_mode(output, axis) for axis in range(output.type.rank))
    engine = Engine(module.params, steps)
    with deep_recursion():
        value = engine.cross.request(output, output, modes)
    root = value.kernel if kind == "nngp" else value.tangent
    if root is not None and root.power > 0:
        raise LimitRefusal(
            f"the kernel grows like n^({root.power}) with the width",
            output,
            "choose a stable parametrization, e.g. parametrization ntk",
        )
    if root is not None and root.power < 0:
        root = None
    kept = tuple(int(d.count) for d, m in zip(output.type.dims, modes, strict=True) if m == "F")
    inputs = {
        name: tuple(int(dim.count) for dim in spec.type.dims)
        for name, spec in module.inputs.items()
        if any(n.attrs.get("name") == name for n in walk([output]) if not n.operands)
    }
    return PositionKernel(root, modes, kept, inputs)


def _mode(output: Node, axis: int) -> str:
    """Return F for an axis that the kernel keeps, D for one of independent copies.

    Raises:
        MissingRule: it cannot be told which.
    """
    dim = output.type.dims[axis]
    if dim.width:
        raise MissingRule(output, "limit", "an output of growing size")
    return "D" if int(dim.count) == 1 or _copies(output, axis) else "F"


def _copies(node: Node, axis: int) -> bool:
    """Whether the rows along an axis are independent and equal in law."""
    if node.op is SCALE:
        return _copies(node.operands[0], axis)
    if node.op is ADD:
        ranks = [x.type.rank for x in node.operands]
        found = {
            _copies(x, axis - node.type.rank + rank)
            for x, rank in zip(node.operands, ranks, strict=True)
            if axis >= node.type.rank - rank
        }
        if len(found) == 1 and (found == {False} or min(ranks) == node.type.rank - axis):
            return found.pop()
        if len(found) == 1 and all(axis >= node.type.rank - rank for rank in ranks):
            return found.pop()
    elif node.op is PARAM:
        return True
    elif node.op is CONTRACT:
        label = node.attrs["out"][axis]
        sides = zip(node.operands, (node.attrs["left"], node.attrs["right"]), strict=True)
        return not any(label in labels for x, labels in sides if weight_below(x) is None)
    raise MissingRule(node, "limit", "which outputs are copies of each other")


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Allow programs of any depth."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEPTH))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
