"""How a program's limit is evaluated: exactly where mathematics allows, else by samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tpc.diagnostics import Diagnostic, TpcError
from tpc.ir.node import Node, walk
from tpc.ops.add import ADD
from tpc.ops.apply import APPLY
from tpc.ops.batch import BATCH_MEAN, BATCH_SUM, PER_SAMPLE
from tpc.ops.contract import CONTRACT
from tpc.ops.fill import FILL
from tpc.ops.gather import GATHER, SCATTER_ADD
from tpc.ops.index_map import IndexMap
from tpc.ops.input import INPUT
from tpc.ops.multiply import MULTIPLY
from tpc.ops.param import PARAM
from tpc.ops.rate import RATE
from tpc.ops.repeat import REPEAT
from tpc.ops.scale import SCALE
from tpc.ops.stop_gradient import STOP_GRADIENT
from tpc.ops.sum import SUM
from tpc.ops.windows import FOLD
from tpc.optimizers import optimizers

if TYPE_CHECKING:
    from tpc.ir.module import Module

#: ``linear``: coefficients over Gaussians, exact; ``quasi``: no matrices, so an integral of fixed
#: dimension, by quasi-random points; ``polynomial``: such an integral of polynomials, exact by a
#: Gauss-Hermite rule of their degree; ``particles``: samples of all Z's. ``kernel``: training in
#: the kernel regime (tpc.limit.descent), which this module never chooses.
Method = Literal["linear", "polynomial", "quasi", "particles", "kernel"]
#: Those without an error of their own.
EXACT: tuple[Method, ...] = ("linear", "polynomial")

#: Ops that are linear in vectors.
LINEAR_OPS = (
    ADD, APPLY, BATCH_MEAN, BATCH_SUM, PER_SAMPLE, CONTRACT, FILL, FOLD, GATHER, SCATTER_ADD, INPUT,
    MULTIPLY, PARAM, RATE, REPEAT, SCALE, STOP_GRADIENT, SUM,
)  # fmt: skip


def method(module: Module, roots: Iterable[Node]) -> Method:
    """Return how the graph below ``roots`` (losses, gradients, outputs) is evaluated."""
    nodes = list(walk(roots))
    if linear_steps(module) and all(_linear(node) for node in nodes):
        return "linear"
    matrices = any(node.op is PARAM and node.type.sort > 1 for node in nodes)
    return "particles" if matrices else "quasi"


def dtype_of(precision: str, chosen: Method) -> np.dtype[Any]:
    """Return the type of samples.

    Raises:
        TpcError: there is no such precision, or not for this way of evaluation.
    """
    if precision not in ("double", "single"):
        said = f"`precision` is double or single, not {precision}"
        raise TpcError(Diagnostic("E0927", said))
    if precision == "single" and chosen != "quasi":
        raise TpcError(
            Diagnostic(
                "E0927",
                f"single precision is for programs evaluated by quasi, not by {chosen}",
                help="what has initial matrices is conditioned on earlier products, which takes "
                "double precision",
            )
        )
    return np.dtype(np.float32 if precision == "single" else np.float64)


def linear_steps(module: Module) -> bool:
    """Whether all optimizers are linear in gradients."""
    lines = [module.optimizer_of(name) for name in module.trained]
    return all(line is None or optimizers()[line.name].kind == "linear" for line in lines)


def _linear(node: Node) -> bool:
    """Whether a node is a linear function of vectors (of scalars, any function)."""
    if any(dim.width and dim.count != 1 for dim in node.type.dims):
        return False
    sorts = [operand.type.sort for operand in node.operands]
    if node.type.sort == 0 and not any(sorts):
        return True
    if node.op is APPLY:
        return bool(node.attrs["activation"].is_linear)
    if node.op is MULTIPLY:
        return min(sorts) == 0
    if node.op is CONTRACT:
        return not _pointwise(node)
    return node.op in LINEAR_OPS or isinstance(node.op, IndexMap)


def _pointwise(node: Node) -> bool:
    """Whether a width axis stands in both operands of a contraction and in its result."""
    left, right, out = (node.attrs[name] for name in ("left", "right", "out"))
    shared = set(left) & set(right) & set(out)
    return any(left[axis] in shared for axis in node.operands[0].type.width_axes)


def arguments(roots: Sequence[Node]) -> int:
    """Return how many vectors, for each sample, matrices act on in one evaluation of ``roots``."""
    return sum(
        _positions(node)
        for node in walk(roots)
        if node.op is CONTRACT and max(operand.type.sort for operand in node.operands) > 1
    )


def updates(roots: Sequence[Node]) -> int:
    """Return how many outer products, for each sample, one training step adds to matrices."""
    return sum(
        _positions(node) for node in walk(roots) if node.op is CONTRACT and node.type.sort > 1
    )


def _positions(node: Node) -> int:
    """Return how many positions the finite axes of both operands of a contraction have."""
    extents = {
        label: dim.count
        for operand, side in zip(node.operands, ("left", "right"), strict=True)
        for label, dim in zip(node.attrs[side], operand.type.dims, strict=True)
        if not dim.width
    }
    return int(prod(extents.values()))


def live_vectors(roots: Sequence[Node], batched: bool) -> int:
    """Return how many vectors are alive at once at most (an upper bound): for each sample.

    Those that are the same for all samples are counted where not ``batched``.
    """
    found = (node for node in walk(roots) if node.type.sort == 1 and node.type.batched == batched)
    return sum(node.type.finite_count for node in found)
