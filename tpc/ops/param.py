"""A weight of the program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpc.exact import Coefficient
from tpc.ir.node import make
from tpc.ir.types import Dim, TensorType
from tpc.ops.base import Op

if TYPE_CHECKING:
    from tpc.covariance.arrays import Value
    from tpc.covariance.engine import View
    from tpc.ir.node import Node
    from tpc.limit.forms import Form, Index
    from tpc.limit.moments import MomentContext
    from tpc.scaling.interpret import ScalingContext
    from tpc.scaling.state import Size


class Param(Op):
    """Leaf: the effective weight ``W = mult * n^-a * w`` at its present value.

    Its numbers (abc exponents, standard deviation, multiplier) stand in the module's table of
    params, so that a change of the parametrization leaves the graph alone. The name is part of its
    identity: two Gaussian matrices never merge.
    """

    name = "param"

    def infer(self, operands: tuple[TensorType, ...], attrs: Mapping[str, Any]) -> TensorType:
        return TensorType(attrs["dims"])

    def vjp(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return ()

    def exponents(self, node: Node, sizes: Sequence[Size], context: ScalingContext) -> Size:
        return context.param(node.attrs["name"])

    def limit(self, node: Node, index: Index, context: MomentContext) -> Form:
        from tpc.limit.forms import Gaussian, Polynomial, constant

        spec = context.params[node.attrs["name"]]
        if spec.init == "zero":
            return Polynomial(())
        if spec.init == "one":
            return constant(Coefficient.of(1))
        return Gaussian(spec.name, ((index, None),))

    def covariance(self, left: Node, right: Node, modes: str, view: View) -> Value:
        from tpc.covariance.leaves import weight

        return weight(left, right, modes, view)


PARAM = Param()


def param(name: str, dims: tuple[Dim, ...]) -> Node:
    """Return the leaf of a weight."""
    return make(PARAM, name=name, dims=dims)
