"""The typed program: its graph, and the tables of what the graph's leaves stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tpc.exact import Affine, Coefficient, Constant
from tpc.ir.node import Node, make, walk

if TYPE_CHECKING:
    from tpc.diagnostics import Diagnostic, Source, Span
    from tpc.ir.alignment import Alignment
    from tpc.ir.types import TensorType


@dataclass(frozen=True)
class ParamSpec:
    """What is known of one weight (theory: generalised abc-parametrization).

    The trainable tensor is ``w``, the weight that the network uses is ``W = mult * n^-a * w``,
    ``w ~ N(0, sigma^2 n^-2b)`` at initialisation, and its learning rate is ``rate * n^-c`` with
    ``rate`` the optimizer's when None. ``init`` "zero" and "one" speak of W itself. ``a``, ``b``
    and ``c`` are None until a parametrization fills them in.
    """

    name: str
    type: TensorType
    a: Affine | None = None
    b: Affine | None = None
    c: Affine | None = None
    sigma: Constant = field(default_factory=lambda: Constant.of(1))
    mult: Constant = field(default_factory=lambda: Constant.of(1))
    rate: Constant | None = None
    init: str = "normal"
    frozen: bool = False
    decay: Coefficient | None = None
    eps: Coefficient | None = None
    span: Span | None = None

    @property
    def multiplier(self) -> Coefficient:
        """``mult * n^-a``: the factor between the trainable w and the effective W."""
        return Coefficient(self.mult, -self.exponent("a"))

    @cached_property
    def movement(self) -> Coefficient:
        """``mult^2 n^(-2a - c)``: how far W moves for a unit gradient at learning rate one."""
        return self.multiplier**2 * Coefficient.width(-self.exponent("c"))

    @property
    def entry_exponent(self) -> Affine:
        """``p = a + b``: entries of the initial W are of size n^-p."""
        return self.exponent("a") + self.exponent("b")

    @property
    def entry_std(self) -> Constant:
        """Width-free factor of the standard deviation of the initial W."""
        return self.mult * self.sigma

    def exponent(self, which: str) -> Affine:
        """Return the exponent a, b or c.

        Raises:
            LookupError: no parametrization has filled it in yet.
        """
        value: Affine | None = getattr(self, which)
        if value is None:
            raise LookupError(f"param {self.name} has no exponent {which} yet")
        return value


@dataclass(frozen=True)
class InputSpec:
    """One input of the program: ``role`` is "input", "target" or "noise"."""

    name: str
    type: TensorType
    role: str = "input"
    span: Span | None = None


@dataclass(frozen=True)
class NamedValue:
    """A value that the program names; ``name`` is unique (a loop's earlier ones are ``z#1``...)."""

    name: str
    node: Node
    span: Span | None = None


@dataclass(frozen=True)
class OptimizerSpec:
    """One ``optimizer`` line: ``params`` is None for the line that takes the rest."""

    name: str
    options: Mapping[str, Coefficient | str]
    params: tuple[str, ...] | None = None
    span: Span | None = None


@dataclass(frozen=True)
class Module:
    """A program after elaboration. ``outputs`` are the network values that the loss consumes.

    ``loss`` is a scalar that is not batched (None without ``train:``). ``spans`` tells where a
    node was first made. ``parametrization`` is the name that still has to fill exponents in.
    ``alignment`` is what is assumed of weights less than fully aligned with what they read.
    """

    source: Source
    width: str
    sizes: Mapping[str, int]
    reals: Mapping[str, Constant]
    exponents: tuple[str, ...]
    inputs: Mapping[str, InputSpec]
    params: Mapping[str, ParamSpec]
    values: tuple[NamedValue, ...]
    outputs: tuple[NamedValue, ...]
    loss: Node | None = None
    optimizers: tuple[OptimizerSpec, ...] = ()
    parametrization: str | None = None
    spans: Mapping[Node, Span] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[Diagnostic, ...] = ()
    alignment: Mapping[str, Alignment] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def output(self) -> NamedValue:
        """The value called ``f`` where there is one, else the first output."""
        for value in self.outputs:
            if value.name == "f":
                return value
        return self.outputs[0]

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of the params that move under training, in the order of declaration."""
        if self.loss is None:
            return ()
        return tuple(name for name, spec in self.params.items() if not spec.frozen)

    def optimizer_of(self, param: str) -> OptimizerSpec | None:
        """Return the optimizer line that moves ``param`` (None when frozen or untrained)."""
        spec = self.params.get(param)
        if self.loss is None or spec is None or spec.frozen:
            return None
        rest = None
        for line in self.optimizers:
            if line.params is None:
                rest = line
            elif param in line.params:
                return line
        return rest

    @property
    def roots(self) -> tuple[Node, ...]:
        """The nodes that the program names, its outputs, and the loss."""
        named = tuple(value.node for value in (*self.values, *self.outputs))
        return named if self.loss is None else (*named, self.loss)

    def with_nodes(self, new: Mapping[Node, Node]) -> Module:
        """Return the module with other nodes in the place of each of its nodes."""

        def renewed(value: NamedValue) -> NamedValue:
            return replace(value, node=new[value.node])

        spans = {new[node]: span for node, span in self.spans.items() if node in new}
        return replace(
            self,
            values=tuple(map(renewed, self.values)),
            outputs=tuple(map(renewed, self.outputs)),
            loss=None if self.loss is None else new[self.loss],
            spans=MappingProxyType({**self.spans, **spans}),
        )

    def with_exponents(self, values: Mapping[str, Affine]) -> Module:
        """Return the module with symbolic exponents replaced wherever they stand.

        In params, in what optimizers are told, and in powers of the width that expressions hold.
        """
        params = {name: _substitute(spec, values) for name, spec in self.params.items()}
        lines = tuple(
            replace(line, options=MappingProxyType(_replaced(line.options, values)))
            for line in self.optimizers
        )
        module = replace(
            self,
            params=MappingProxyType(params),
            optimizers=lines,
            exponents=tuple(symbol for symbol in self.exponents if symbol not in values),
        )
        new: dict[Node, Node] = {}
        for node in walk(self.roots):
            operands = tuple(new[operand] for operand in node.operands)
            attrs = _replaced(node.attrs, values)
            same = operands == node.operands and attrs == dict(node.attrs)
            new[node] = node if same else make(node.op, *operands, **attrs)
        return module if all(new[root] is root for root in self.roots) else module.with_nodes(new)


def _replaced(given: Mapping[str, Any], values: Mapping[str, Affine]) -> dict[str, Any]:
    return {
        key: value.substitute(values) if isinstance(value, Coefficient) else value
        for key, value in given.items()
    }


def _substitute(spec: ParamSpec, values: Mapping[str, Affine]) -> ParamSpec:
    names = ("a", "b", "c", "decay", "eps")
    stated = {which: getattr(spec, which) for which in names}
    new = {k: v.substitute(values) for k, v in stated.items() if v is not None}
    return replace(spec, **new)
