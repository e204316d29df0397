"""Sum and mean over the samples of the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tpc.diagnostics import Diagnostic, TpcError
from tpc.ir.node import make, walk
from tpc.ir.types import TensorType
from tpc.ops.base import EvalContext, MissingRule, Op, require_real
from tpc.ops.contract import CONTRACT, contract
from tpc.ops.fill import is_zero
from tpc.ops.gather import SCATTER_ADD
from tpc.ops.scale import SCALE, scale

if TYPE_CHECKING:
    from tpc.derivation.sheet import Sheet
    from tpc.derivation.symbols import Expression
    from tpc.derivation.walking import Walk
    from tpc.feature.context import FeatureContext
    from tpc.feature.rules import Operand
    from tpc.ir.module import Module
    from tpc.ir.node import Node
    from tpc.limit.forms import Form, Index
    from tpc.limit.moments import MomentContext
    from tpc.ops.base import Array
    from tpc.scaling.interpret import ScalingContext
    from tpc.scaling.state import Size


class BatchReduction(Op):
    """A reduction over samples. A value that is the same for all of them counts once per sample."""

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        require_real(operands, self.name)
        return TensorType(operands[0].dims)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return sizes[0]

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        """Refuse: a kernel is a function of two samples, not of a batch."""
        raise MissingRule(node, "limit", "samples of one batch depend on each other")

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import moved

        return moved(node, operands, context)


class BatchSum(BatchReduction):
    """``sum_i x_i`` over the samples of the batch."""

    name: ClassVar[str] = "batch_sum"

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        # a value that is the same for all samples was counted once for each
        return (cotangent if node.operands[0].type.batched else batch_sum(cotangent),)

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        (x,) = arrays
        return x.sum(axis=0) if node.operands[0].type.batched else x * (context.batch or 1)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import batch_sum

        return batch_sum(node, walk)


class BatchMean(BatchReduction):
    """``(1/B) sum_i x_i`` over the B samples of the batch."""

    name: ClassVar[str] = "batch_mean"

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        if not node.operands[0].type.batched:
            return (cotangent,)
        return (per_sample(cotangent),)

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        return arrays[0].mean(axis=0) if node.operands[0].type.batched else arrays[0]

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import batch_mean

        return batch_mean(node, walk)


class PerSample(Op):
    """``x / B``: the share of one of the B samples in a mean over the batch."""

    name = "per_sample"
    takes_matrices = True

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        return operands[0]

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (per_sample(cotangent),)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return sizes[0]

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        return arrays[0] / (context.batch or 1)

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        return operands[0].scaled(1.0 / context.batch)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import per_sample

        return per_sample(node, walk)


BATCH_SUM = BatchSum()
BATCH_MEAN = BatchMean()
PER_SAMPLE = PerSample()


def batch_sum(x: Node) -> Node:
    """Return the sum over samples.

    Sums of products become one contraction over the batch, and sums of scattered rows one scatter,
    so that no gradient of a weight is ever held once for each sample.
    """
    if is_zero(x):
        return x
    if x.op is SCALE:
        return scale(batch_sum(x.operands[0]), x.attrs["coefficient"])
    if x.op is PER_SAMPLE:
        return per_sample(batch_sum(x.operands[0]))
    if x.op is CONTRACT and x.type.batched:
        left, right, out = x.attrs["left"], x.attrs["right"], x.attrs["out"]
        y, z = x.operands
        if y.type.batched and z.type.batched:
            return contract(y, z, left, right, out, sum_batch=True)
        y, z = (batch_sum(y), z) if y.type.batched else (y, batch_sum(z))
        return contract(y, z, left, right, out)
    if x.op is SCATTER_ADD and all(operand.type.batched for operand in x.operands):
        return make(SCATTER_ADD, *x.operands, extent=x.attrs["extent"], sum_batch=True)
    return make(BATCH_SUM, x)


def batch_mean(x: Node) -> Node:
    """Return the mean over samples (the value itself where it is the same for all)."""
    return make(BATCH_MEAN, x) if x.type.batched else x


def per_sample(x: Node) -> Node:
    """Return ``x / B``; scales move out."""
    if x.op is SCALE:
        return scale(per_sample(x.operands[0]), x.attrs["coefficient"])
    return x if is_zero(x) else make(PER_SAMPLE, x)


def couples_samples(module: Module) -> bool:
    """Whether the output depends on the other samples of its batch."""
    return any(isinstance(node.op, BatchReduction) for node in walk([module.output.node]))


def two_batches() -> TpcError:
    """Return the refusal of two sets of samples where those of one batch depend on each other."""
    return TpcError(
        Diagnostic(
            "E0981",
            "the samples of a batch depend on each other: there is no kernel between two batches",
            help="evaluate all samples as one batch and take a part of the result: "
            "evaluate(np.concatenate([X, X2]))[:len(X), len(X):]",
        )
    )
