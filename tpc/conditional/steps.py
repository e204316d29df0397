"""How far random scalars move: derivatives of values along a step of every weight, as values.

A tangent kernel ``sum over w of rate_w <df/dw, df'/dw>`` is the covariance of the derivative of f
along independent Gaussian steps of variance rate_w. That is a value of an ordinary forward pass,
with the steps as weights of their own: its covariance follows like any other, without backward
vectors and assumptions on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.differentiate import gradient
from tpc.exact import Affine, Constant
from tpc.ir.node import Node, walk
from tpc.limit.tangent import moved_params, step
from tpc.ops.add import add
from tpc.ops.fill import constant
from tpc.ops.input import input_
from tpc.ops.param import PARAM, param

if TYPE_CHECKING:
    from tpc.ir.module import Module, ParamSpec

MARK = "'"
"""Ends the name of a weight's step."""


def pushed(node: Node, steps: Sequence[tuple[Node, Node]]) -> Node:
    """Return the derivative of a value along steps of nodes below it: pairs of node and step.

    Reverse differentiation is linear in the cotangent of the value; its own derivative by that
    cotangent is the derivative forward.
    """
    seed = input_(f"({MARK})", node.type.dims)
    found = None
    for leaf, step_ in steps:
        (back,) = gradient(node, [leaf], seed=seed, per_sample=True)
        (part,) = gradient(back, [seed], seed=step_, per_sample=True)
        found = part if found is None else add(found, part)
    return constant(0, node.type.dims) if found is None else found


def moved(module: Module, node: Node) -> Node:
    """Return the derivative of a value along a random step of every weight that trains."""
    names = {spec.name for spec in moved_params(module)}
    leaves = [n for n in walk([node]) if n.op is PARAM and n.attrs["name"] in names]
    return pushed(node, [(leaf, _step_of(leaf)) for leaf in leaves])


def with_steps(module: Module) -> Mapping[str, ParamSpec]:
    """Return the weights of a program, and of their steps."""
    steps = {}
    for spec in moved_params(module):
        size = step(module, spec)
        steps[spec.name + MARK] = replace(
            spec,
            name=spec.name + MARK,
            a=Affine.of(0),
            b=-size.power / 2,
            sigma=size.constant ** Fraction(1, 2),
            mult=Constant.of(1),
            init="normal",
        )
    return {**module.params, **steps}


def _step_of(leaf: Node) -> Node:
    return param(leaf.attrs["name"] + MARK, leaf.type.dims)
