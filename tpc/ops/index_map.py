"""What the ops have in common that only move entries about."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.ops.base import EvalContext, Op

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tpc.covariance.arrays import Value
    from tpc.covariance.engine import View
    from tpc.derivation.sheet import Sheet
    from tpc.derivation.symbols import Expression
    from tpc.derivation.walking import Walk
    from tpc.feature.context import FeatureContext
    from tpc.feature.rules import Operand
    from tpc.ir.node import Node
    from tpc.limit.forms import Form, Index
    from tpc.limit.moments import MomentContext
    from tpc.ops.base import Array
    from tpc.scaling.interpret import ScalingContext
    from tpc.scaling.state import Size


class IndexMap(Op):
    """A linear map of finite axes whose every result entry is one operand entry, or zero.

    Subclasses move arrays in :meth:`move`; what goes where (:meth:`sources`) follows from it, and
    rules that only need to know the moves are the same for all of them: an entry of the result has
    the size, the sign character and the moments of the entry that it comes from.
    """

    transparent = True

    @abstractmethod
    def move(self, node: Node, arrays: Sequence[Array], lead: int) -> Array:
        """Move entries; every array has ``lead`` axes in front that are not counted in ``dims``."""

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        """Return the entry that is moved here."""
        from tpc.limit.forms import Polynomial, same

        source = context.source(node, index)
        return Polynomial(()) if source is None else same(source)

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        """Return the covariances of the entries that are moved here."""
        from tpc.covariance.moves import gathered

        return gathered(left, right, modes, view)

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        """Move the arrays; unbatched operands of a batched result are repeated."""
        import numpy as np

        if not node.type.batched:
            return self.move(node, arrays, 0)
        batch = max(
            array.shape[0]
            for array, operand in zip(arrays, node.operands, strict=True)
            if operand.type.batched
        )
        full = [
            array if operand.type.batched else np.broadcast_to(array, (batch, *array.shape))
            for array, operand in zip(arrays, node.operands, strict=True)
        ]
        return self.move(node, full, 1)

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.sum(node, sizes)

    def sources(self, node: Node) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where each entry of the result comes from: (which operand, its flat position).

        Both have the shape of the result with every width axis at extent one (a width axis of
        count c, whose blocks may be told apart, at extent c); positions are row-major in the
        operand's shape of the same convention; where the result is zero both are -1.
        """
        import numpy as np

        shapes = [tuple(dim.concrete(1) for dim in operand.type.dims) for operand in node.operands]
        which = [np.full(shape, k + 1.0) for k, shape in enumerate(shapes)]
        place = [np.arange(1.0, np.prod(shape, dtype=int) + 1.0).reshape(shape) for shape in shapes]
        origin, position = self.move(node, which, 0), self.move(node, place, 0)
        return origin.astype(np.int64) - 1, position.astype(np.int64) - 1

    def flops(self, node: Node, context: EvalContext) -> int:
        """Moving entries costs no arithmetic."""
        return 0

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import moved

        return moved(node, operands, context)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import entry

        return entry(node, walk)
