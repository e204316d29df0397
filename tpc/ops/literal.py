"""A finite tensor of given numbers: masks, interpolation weights, counts."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tpc.exact import Coefficient
from tpc.ir.node import make
from tpc.ir.types import TensorType, finite
from tpc.ops.base import EvalContext, Op

if TYPE_CHECKING:
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


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers as a hashable value: a shape and the float64 entries in row-major order."""

    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, shape: tuple[int, ...], entries: Iterable[float]) -> Table:
        """Return the table of these entries.

        Raises:
            ValueError: there are not as many as the shape says.
        """
        numbers = array("d", entries)
        count = 1
        for extent in shape:
            count *= extent
        if len(numbers) != count:
            raise ValueError(f"{len(numbers)} entries for the shape {shape}")
        return cls(shape, numbers.tobytes())

    @property
    def array(self) -> Array:
        """The entries as a read-only NumPy array."""
        import numpy as np

        return np.frombuffer(self.data).reshape(self.shape)

    def __str__(self) -> str:
        numbers = memoryview(self.data).cast("d")
        shown = ", ".join(f"{number:g}" for number in numbers[:6])
        return f"<{'x'.join(map(str, self.shape))}: {shown}{', ...' if len(numbers) > 6 else ''}>"


class Literal(Op):
    """Leaf: a finite tensor of given numbers, attribute ``table``."""

    name = "literal"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        return TensorType(tuple(finite(extent) for extent in attrs["table"].shape))

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return ()

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.constant(node)

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        from tpc.limit.forms import constant

        return constant(Coefficient.of(Fraction(float(node.attrs["table"].array[index]))))

    def evaluate(self, node: Node, arrays: Sequence[Array], context: EvalContext) -> Array:
        table: Table = node.attrs["table"]
        return table.array

    def flops(self, node: Node, context: EvalContext) -> int:
        """Known beforehand."""
        return 0

    def feature(self, node: Node, operands: Sequence[Operand], context: FeatureContext) -> Operand:
        from tpc.feature.rules import data

        return data(node, operands, context)

    def equation(self, node: Node, walk: Walk) -> Expression | Sheet:
        from tpc.derivation.rules import literal

        return literal(node, walk)


LITERAL = Literal()


def literal(table: Table) -> Node:
    """Return the tensor of these numbers."""
    return make(LITERAL, table=table)
