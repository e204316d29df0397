"""The kernel of a program as a plan of steps over arrays of positions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tpc.covariance.arrays import Quantity
from tpc.covariance.engine import Engine
from tpc.covariance.quiet import require_quiet_numbers
from tpc.covariance.run import Run
from tpc.ir.node import Node, walk
from tpc.limit.contraction import weight_below
from tpc.limit.independence import require_independence
from tpc.limit.mixtures import require_no_scalars
from tpc.limit.moment import LimitRefusal
from tpc.limit.tangent import moved_params, step
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
    """Kernels over arrays of positions. A root is None where the kernel vanishes.

    ``kept`` are the sizes of the output axes that the kernels keep, ``modes`` say how the axes of
    the roots are laid out, ``inputs`` are the shapes of one sample.
    """

    roots: tuple[Quantity | None, ...]
    modes: str
    kept: tuple[int, ...]
    inputs: Mapping[str, tuple[int, ...]]

    def evaluate(self, X: Any, X2: Any = None, tolerance: float = 1e-10) -> NDArray[np.float64]:
        """Return the kernels, (kinds, N, N2) and the kept output axes twice.

        Raises:
            ValueError: the samples do not fit.
            ArithmeticError: an expectation misses the tolerance.
        """
        import numpy as np

        run = Run(self, X, X2, tolerance)
        found = np.zeros((len(self.roots), run.count, run.count2, *self.kept, *self.kept))
        if X2 is None:
            rows, columns = np.triu_indices(run.count)
        else:
            rows, columns = (a.ravel() for a in np.indices((run.count, run.count2)))

        def put(one: NDArray[np.int64], two: NDArray[np.int64], values: Any) -> None:
            found[:, one, two] = values
            if X2 is None:
                rank = len(self.kept)
                back = (*range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
                found[:, two, one] = values.transpose(0, 1, *back)

        run.pairs(rows, columns, put)
        return found


def position_kernel(module: Module, kinds: tuple[str, ...]) -> PositionKernel:
    """Return the plan of kernels, ``nngp`` or ``ntk`` or both.

    Raises:
        MissingRule: an op has no rule for whole arrays of positions.
        LimitRefusal: there is no such kernel.
    """
    output = module.output.node
    require_no_scalars(output, module.params, tangent=False)
    _require_one_way(module)
    steps = {}
    if "ntk" in kinds:
        require_independence(module)
        require_no_scalars(output, module.params, tangent=True)
        steps = {spec.name: step(module, spec) for spec in moved_params(module)}
    modes = output_modes(output)
    engine = Engine(module.params, steps)
    with deep_recursion():
        require_quiet_numbers(engine, output, "ntk" in kinds)
        value = engine.cross.request(output, output, modes)
    roots = [_settled(value.kernel if k == "nngp" else value.tangent, output) for k in kinds]
    kept = tuple(int(d.count) for d, m in zip(output.type.dims, modes, strict=True) if m == "F")
    leaves = {n.attrs.get("name") for n in walk([output]) if not n.operands}
    inputs = {
        name: tuple(int(dim.count) for dim in spec.type.dims)
        for name, spec in module.inputs.items()
        if name in leaves
    }
    return PositionKernel(tuple(roots), modes, kept, inputs)


def _settled(root: Quantity | None, output: Node) -> Quantity | None:
    if root is not None and root.power > 0:
        raise LimitRefusal(
            f"the kernel grows like n^({root.power}) with the width",
            output,
            "choose a stable parametrization, e.g. parametrization ntk",
        )
    return None if root is None or root.power < 0 else root


def _require_one_way(module: Module) -> None:
    """Refuse random masks, and weights used as W and as its transpose.

    Raises:
        MissingRule: there are some.
    """
    ways: dict[str, tuple[int, ...]] = {}
    for node in walk([module.output.node]):
        if node.op is BERNOULLI:
            raise MissingRule(node, "limit", "random masks")
        if node.op is not CONTRACT:
            continue
        for x, labels in zip(node.operands, (node.attrs["left"], node.attrs["right"]), strict=True):
            param = weight_below(x)
            if param is not None:
                own = tuple(i for i in x.type.width_axes if labels[i] not in node.attrs["out"])
                if ways.setdefault(param.attrs["name"], own) != own:
                    raise MissingRule(node, "limit", "a weight used along two different axes")


def output_modes(output: Node) -> str:
    """Return F for every axis of an output that kernels keep, D for those of independent copies.

    Raises:
        MissingRule: it cannot be told which.
    """
    return "".join(_mode(output, axis) for axis in range(output.type.rank))


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
