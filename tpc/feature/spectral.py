"""Weights under an optimizer that orthogonalises its momentum (muon), in the limit.

A matrix's momentum is a sum of R outer products ``sum_r c_r u_r v_r^T``, one for every sample of
every step so far: R does not grow with the width. Its polar factor ``P Q^T`` lies in the span of
the same vectors, and depends on them through their Gram matrices alone, ``E[Z^u Z^u']`` and
``E[Z^v Z^v']``, which are deterministic in the limit: with ``u = A^(1/2) p``, ``v = B^(1/2) q`` for
orthonormal families p and q, it is the polar factor of ``A^(1/2) c B^(1/2)`` between them. Its
entries are of size 1/n, and it acts on vectors as an operator of norm one.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from tpc.feature.blocks import Block
from tpc.feature.matrix import Matrix, Outer
from tpc.feature.value import HALF, Value, total, zero
from tpc.feature.weights import UNCLIPPED, Clip, Operand, Weight, numbers, unsupported

if TYPE_CHECKING:
    from tpc.feature.space import Space
    from tpc.ir.module import ParamSpec
    from tpc.ops.base import Array
    from tpc.optimizers.settings import Settings

#: Gram matrices: eigenvalues below this share of the largest one count as zero.
_CUT = 1e-12


class SpectralMatrix(Weight):
    """A matrix; updates are ``sum_rs M_rs u_r v_s^T`` over the vectors of all gradients."""

    def __init__(self, spec: ParamSpec, settings: Settings, start: Matrix, space: Space) -> None:
        super().__init__(spec, settings)
        self._start, self._space = start, space
        self._kept = 1.0
        self._block: Block | None = None
        self._momentum, self._owner = np.zeros(1), np.zeros(0, dtype=int)
        self._mixing = np.zeros((0, 0))

    @property
    def value(self) -> Matrix:
        """The effective weight W now."""
        found = self._start.scaled(self._kept)
        if self._block is None:
            return found
        settings = self.settings
        assert settings is not None
        term = self._block.term(np.ones(self.steps + 1))
        power = settings.rate.power.const + self.spec.multiplier.power.const
        left = _normalised(term.left)
        left = replace(left, array=self._mixing.T @ left.array)
        update = Outer(left, _normalised(term.right), 1.0, power)
        return Matrix(found.shape, (*found.terms, update))

    def move(self, gradient: Operand, clip: Clip = UNCLIPPED) -> None:
        """Make one step along dL/dW."""
        settings = self.settings
        assert settings is not None
        assert isinstance(gradient, Matrix)
        gradient = gradient.scaled(*clip)
        self.steps += 1
        options, shrinkage = numbers(settings), self._shrinkage(self._decay())
        unit = np.eye(1, self.steps + 1, self.steps)[0]
        self._momentum = options["beta"] * np.append(self._momentum, 0.0)[: self.steps + 1] + unit
        self._remember(gradient)
        self._kept *= 1.0 - shrinkage
        self._mixing *= 1.0 - shrinkage
        if self._block is None:
            return
        mixed = unit + options["beta"] * self._momentum if options["nesterov"] else self._momentum
        term = self._block.term(mixed)
        rate = settings.rate.constant.value * self.spec.mult.value
        self._mixing = self._mixing - rate * _polar(term, self._space)

    def _remember(self, gradient: Matrix) -> None:
        terms = gradient.outer_only
        if terms is None or len(terms) > 1:
            raise unsupported(self.spec, "a gradient that is no single sum of outer products")
        for term in terms:
            if self._block is None:
                self._block = Block(term)
            if not self._block.fits(term):
                raise unsupported(self.spec, "gradients of several powers of the width")
            self._block.append(term, self.steps)
            grown = len(self._mixing) + len(term.left.array)
            mixing = np.zeros((grown, grown))
            mixing[: len(self._mixing), : len(self._mixing)] = self._mixing
            self._mixing = mixing


class SpectralEntries(Weight):
    """A weight of one width axis and one finite one: a matrix of finitely many vectors."""

    def __init__(self, spec: ParamSpec, settings: Settings, start: Value, space: Space) -> None:
        super().__init__(spec, settings)
        if spec.type.rank != 2 or spec.type.sort != 1:
            raise unsupported(spec, f"muon on a weight {spec.type}")
        self._value, self._space = start, space
        self._momentum: Value | None = None

    @property
    def value(self) -> Value:
        """The effective weight W now."""
        return self._value

    def move(self, gradient: Operand, clip: Clip = UNCLIPPED) -> None:
        """Make one step along dL/dW."""
        settings = self.settings
        assert settings is not None
        assert isinstance(gradient, Value)
        gradient = gradient.scaled(*clip)
        options, decay = numbers(settings), self._decay()
        before = zero(gradient.array) if self._momentum is None else self._momentum
        self._momentum = total([before.scaled(options["beta"]), gradient])
        mixed = self._momentum
        if options["nesterov"]:
            mixed = total([gradient, mixed.scaled(options["beta"])])
        kept = self._value.scaled(1.0 - self._shrinkage(decay))
        if mixed.is_zero:
            self._value = kept
            return
        axis = self.spec.type.width_axes[0]
        rows = np.moveaxis(mixed.array, axis, -1)
        values, vectors = _eigen(self._space.inner(rows, rows))
        root = (vectors / np.sqrt(values)) @ vectors.T
        rate = -settings.rate.constant.value * self.spec.mult.value
        power = settings.rate.power.const + self.spec.multiplier.power.const - HALF
        rest = None if mixed.rest is None else power - (mixed.power or Fraction(0)) + mixed.rest
        array = np.moveaxis(rate * (root @ rows), -1, axis)
        self._value = total([kept, Value(array, power, rest, mixed.signs)])


def _normalised(x: Value) -> Value:
    """Return vectors at the power at which their Euclidean norm is of order one."""
    return x.scaled(1.0, -HALF - (x.power or 0))


def _polar(term: Outer, space: Space) -> Array:
    """Return M such that ``sum_rs M_rs u_r v_s^T`` is the polar factor (times n)."""
    left, right = term.left.array, term.right.array
    a, p = _eigen(space.inner(left, left))
    b, q = _eigen(space.inner(right, right))
    inner = (p * np.sqrt(a)).T @ (term.factor * (q * np.sqrt(b)).T).T
    u, s, v = np.linalg.svd(inner, full_matrices=False)
    kept = s > s.max(initial=0.0) * _CUT**0.5
    found: Array = (p / np.sqrt(a)) @ (u[:, kept] @ v[kept]) @ (q / np.sqrt(b)).T
    return found


def _eigen(gram: Array) -> tuple[Array, Array]:
    values, vectors = np.linalg.eigh(gram)
    kept = values > _CUT * values.max(initial=0.0)
    return values[kept], vectors[:, kept]
