"""Weights in the limit: at initialisation, and as training moves them.

Forms, chosen by what the weight is and by how its optimizer depends on gradients:

* a weight without or with one width axis is an array (finite axes, samples of Z), and the
  optimizer's own rule acts on it entry by entry;
* a matrix under an optimizer that is linear in gradients is a combination of its initial value and
  of the gradients so far, each a sum of outer products: the optimizer's own rule acts on the
  vector of coefficients;
* a matrix under any other entrywise optimizer has entries at all pairs of particles besides;
* weights under an optimizer that orthogonalises, or that scales steps with the weight: see
  :mod:`tpc.feature.spectral`, :mod:`tpc.feature.factored`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.diagnostics import Diagnostic, TpcError
from tpc.feature.blocks import Block
from tpc.feature.family import Operand as Operand
from tpc.feature.gaussian import GaussianMatrix
from tpc.feature.matrix import Dense, Initial, Matrix, entries
from tpc.feature.value import HALF, Exponent, Value, largest, plus, total, total_into, zero
from tpc.scaling.characters import TRIVIAL, Coset, generator, odd_span

if TYPE_CHECKING:
    from tpc.feature.space import Space
    from tpc.ir.module import ParamSpec
    from tpc.ops.base import Array
    from tpc.optimizers.settings import Settings

#: A factor, and the power of the width that goes with it.
Clip = tuple[float, Fraction]
UNCLIPPED: Clip = (1.0, Fraction(0))


class Weight(ABC):
    """One weight: its present value, and the step that a gradient makes."""

    def __init__(self, spec: ParamSpec, settings: Settings | None) -> None:
        self.spec, self.settings = spec, settings
        self.steps = 0

    @property
    @abstractmethod
    def value(self) -> Operand:
        """The effective weight W now."""

    @abstractmethod
    def move(self, gradient: Operand, clip: Clip = UNCLIPPED) -> None:
        """Make one step, given dL/dW of the effective weight and the factor that clips it."""

    def _decay(self) -> float:
        """Return the coefficient of weight decay, zero where it vanishes in the limit."""
        settings = self.settings
        if settings is None or settings.decay.is_zero:
            return 0.0
        power = settings.decay.power.const + settings.rate.power.const
        if power > 0:
            raise TpcError(
                Diagnostic(
                    "E0950",
                    f"weight decay shrinks `{self.spec.name}` by a factor of size n^{power}",
                    self.spec.span,
                )
            )
        return settings.decay.constant.value if power == 0 else 0.0

    def _shrinkage(self, decay: float) -> float:
        """Return by how much decoupled decay shrinks the weight in one step."""
        settings = self.settings
        assert settings is not None
        return settings.rate.constant.value * decay if settings.optimizer.decoupled else 0.0


class Linear(Weight):
    """A matrix under an optimizer that is linear in gradients."""

    def __init__(
        self, spec: ParamSpec, settings: Settings | None, start: Matrix, steps: int
    ) -> None:
        super().__init__(spec, settings)
        self._start = start
        self._blocks: list[Block] = []
        self._coefficients = np.zeros(steps + 1)
        self._coefficients[0] = 1.0
        self._state = {} if settings is None else settings.optimizer.start((steps + 1,))

    @property
    def value(self) -> Matrix:
        """The effective weight W now."""
        updates = tuple(block.term(self._coefficients) for block in self._blocks)
        kept = self._start.scaled(float(self._coefficients[0]))
        return Matrix(kept.shape, (*kept.terms, *updates))

    def move(self, gradient: Operand, clip: Clip = UNCLIPPED) -> None:
        """Make one step along dL/dW."""
        settings = self.settings
        assert settings is not None
        assert isinstance(gradient, Matrix)
        self.steps += 1
        self._remember(gradient.scaled(*clip), settings)
        now, decay = self._coefficients, self._decay()
        unit = np.zeros(len(now))
        unit[self.steps] = 1.0
        coupled = 0.0 if settings.optimizer.decoupled else decay
        direction, self._state = settings.optimizer.direction(
            unit + coupled * now, now, self._state, self.steps, numbers(settings)
        )
        rate = settings.rate.constant.value
        self._coefficients = now - rate * direction - self._shrinkage(decay) * now

    def _remember(self, gradient: Matrix, settings: Settings) -> None:
        """Keep a gradient's outer products, times all of the step but the optimizer's part."""
        power = self.spec.multiplier.power.const * 2 + settings.rate.power.const
        terms = gradient.scaled(self.spec.mult.value**2, power).outer_only
        if terms is None:
            raise unsupported(self.spec, "a gradient that is no sum of outer products")
        for term in terms:
            block = next((each for each in self._blocks if each.fits(term)), None)
            if block is None:
                block = Block(term)
                self._blocks.append(block)
            block.append(term, self.steps)


class Entries(Weight):
    """A weight without or with one width axis: an array."""

    def __init__(self, spec: ParamSpec, settings: Settings | None, start: Value) -> None:
        super().__init__(spec, settings)
        self._value = start
        self._stepper = None if settings is None else Stepper(spec, settings)

    @property
    def value(self) -> Value:
        """The effective weight W now."""
        return self._value

    def move(self, gradient: Operand, clip: Clip = UNCLIPPED) -> None:
        """Make one step along dL/dW."""
        assert self._stepper is not None
        assert isinstance(gradient, Value)
        decay = self._decay()
        step = self._stepper.step(gradient, self._value.scaled(decay), clip)
        self._value = total_into(self._value.scaled(1.0 - self._shrinkage(decay)), step)


class Pairs(Weight):
    """A matrix under an entrywise optimizer: initial, and entries at pairs of particles."""

    def __init__(self, spec: ParamSpec, settings: Settings, start: Matrix) -> None:
        super().__init__(spec, settings)
        self._value = start
        self._stepper = Stepper(spec, settings)

    @property
    def value(self) -> Matrix:
        """The effective weight W now."""
        return self._value

    def move(self, gradient: Operand, clip: Clip = UNCLIPPED) -> None:
        """Make one step along dL/dW."""
        assert isinstance(gradient, Matrix)
        found, decay = entries(gradient.scaled(*clip)), self._decay()
        if decay and not self._shrinkage(decay):
            raise unsupported(self.spec, "weight decay that an entrywise optimizer rescales")
        shape = self._value.shape
        value = zero(np.empty(shape)) if found is None else Value(found.entries, found.power)
        step = self._stepper.step(value, zero(np.empty(shape)))
        kept = self._value.scaled(1.0 - self._shrinkage(decay))
        if found is not None and step.power is not None:
            kept = added(kept, Dense(step.array, step.power, found.signs))
        self._value = kept


def added(matrix: Matrix, new: Dense) -> Matrix:
    """Return the matrix with entries added to those that it has (of the same power)."""
    terms = []
    for term in matrix.terms:
        if isinstance(term, Dense) and term.power == new.power:
            new = Dense(term.entries + new.entries, new.power, odd_span(term.signs, new.signs))
        else:
            terms.append(term)
    return Matrix(matrix.shape, (*terms, new))


class Stepper:
    """The optimizer of one weight, on arrays of gradients that have a common power of the width.

    A gradient of lower power than an earlier one counts as zero; one of higher power makes what
    came before count as zero.
    """

    def __init__(self, spec: ParamSpec, settings: Settings) -> None:
        self.spec, self.settings = spec, settings
        self._state: dict[str, Any] | None = None
        self._power: Exponent = None
        self._signs: Coset = TRIVIAL
        self._steps = 0

    def step(self, gradient: Value, decayed: Value, clip: Clip = UNCLIPPED) -> Value:
        """Return what to add to the effective weight, given dL/dW and ``decay * W``.

        The array of the result belongs to the caller.
        """
        settings, optimizer = self.settings, self.settings.optimizer
        late = 1.0
        if optimizer.memoryless and decayed.is_zero:
            late, clip = clip[0], (1.0, clip[1])  # one pass over the array less
        gradient = gradient.scaled(*clip)
        self._steps += 1
        linear = optimizer.kind == "linear"
        shift = self.spec.multiplier.power.const * (2 if linear else 1)
        scaled = gradient.scaled(self.spec.mult.value ** (2 if linear else 1), shift)
        if not optimizer.decoupled and not decayed.is_zero:
            if not linear:
                raise unsupported(self.spec, "weight decay that an entrywise optimizer rescales")
            # decay acts on W at its own power: so must the gradient, once scaled by the rate
            scaled = total([scaled, decayed.scaled(1.0, -settings.rate.power.const)])
        if not linear and scaled.is_zero and scaled.rest is not None:
            raise unsupported(self.spec, "a gradient that vanishes faster than its terms")
        array = self._aligned(scaled)
        direction, self._state = optimizer.direction(
            array, array, self._state or {}, self._steps, numbers(settings, self._power)
        )
        rate = settings.rate.constant.value * (1.0 if linear else self.spec.mult.value)
        size = plus(self._power, settings.rate.power.const)
        if not linear:
            size = settings.rate.power.const + self.spec.multiplier.power.const
        if self._power is None:
            return zero(array)
        rest = scaled.rest if linear else plus(scaled.rest, -(scaled.power or 0))
        moved = plus(rest, settings.rate.power.const if linear else size or 0)
        return Value(-rate * late * direction, size, moved, self._signs)

    def _aligned(self, gradient: Value) -> Array:
        """Return the gradient at the common power, with the state moved to it."""
        power = largest(self._power, gradient.power)
        if self._state is None or power != self._power:
            self._state = self.settings.optimizer.start(gradient.array.shape)
            self._power, self._signs = power, gradient.signs
        if gradient.power != power:
            return np.zeros(gradient.array.shape)
        self._signs = odd_span(self._signs, gradient.signs)
        return gradient.array


def numbers(settings: Settings, power: Exponent = None) -> dict[str, float]:
    """Return the optimizer's options as numbers, for gradients of size n^power.

    Raises:
        TpcError: epsilon is larger than the gradients by a power of the width.
    """
    result = {}
    for name, option in settings.options.items():
        value, size = option.constant.value, option.power.const
        if name == "eps" and value and power is not None and size != power:
            if size > power:
                raise TpcError(
                    Diagnostic(
                        "E0952",
                        f"eps of size n^{size} dominates gradients of size n^{power}",
                        help="scale it: eps = 1e-8 * n^-1, or leave it out",
                    )
                )
            value = 0.0
        result[name] = value
    return result


def unsupported(spec: ParamSpec, what: str) -> TpcError:
    """Return the message that something about a weight is not covered."""
    return TpcError(
        Diagnostic("E0952", f"`{spec.name}`: {what} has no feature-learning limit yet", spec.span)
    )


def initial(
    spec: ParamSpec,
    shape: tuple[int, ...],
    settings: Settings | None,
    space: Space,
    number: int,
    steps: int,
) -> Weight:
    """Return a weight of a given shape (in entries of the space) at initialisation.

    ``number`` tells it from the program's other weights.
    """
    signs = generator(number) if spec.init == "normal" else TRIVIAL
    if spec.type.sort > 1:
        return _initial_matrices(spec, settings, space, signs, shape, number, steps)
    start = _initial_array(spec, shape, space, signs)
    if settings is not None and settings.optimizer.kind == "spectral":
        from tpc.feature.spectral import SpectralEntries

        return SpectralEntries(spec, settings, start, space)
    if settings is not None and settings.optimizer.kind == "parameter_scaled":
        from tpc.feature.factored import FactoredEntries

        return FactoredEntries(spec, settings, start)
    return Entries(spec, settings, start)


def _initial_array(spec: ParamSpec, shape: tuple[int, ...], space: Space, signs: Coset) -> Value:
    if spec.init == "zero":
        return zero(np.empty(shape))
    if spec.type.sort == 0:
        return _initial_scalar(spec, shape)
    axis = spec.type.width_axes[0]
    if spec.init == "one":
        return Value(space.constant(shape, axis, 1.0))
    moved = [extent for k, extent in enumerate(shape) if k != axis]
    rows = space.fresh(int(np.prod(moved, dtype=int)), shape[axis])
    array = np.moveaxis(rows.reshape(*moved, shape[axis]), -1, axis)
    return Value(spec.entry_std.value * array, -spec.entry_exponent.const, None, signs)


def _initial_matrices(
    spec: ParamSpec,
    settings: Settings | None,
    space: Space,
    signs: Coset,
    shape: tuple[int, ...],
    number: int,
    steps: int,
) -> Weight:
    widths = spec.type.width_axes
    rows, columns = (shape[axis] for axis in widths)
    finite = tuple(extent for axis, extent in enumerate(shape) if axis not in widths)
    if finite and settings is not None:
        last = widths == (len(shape) - 2, len(shape) - 1)
        kind = settings.optimizer.kind
        if kind == "parameter_scaled" or (kind == "spectral" and not last):
            raise unsupported(spec, f"{settings.optimizer.name} on a matrix with finite axes")
    from tpc.feature.members import Members

    found = []
    for position in np.ndindex(*finite):
        place = (number, *position)
        found.append(_initial_matrix(spec, settings, space, signs, (rows, columns), place, steps))
    return Members(spec, settings, finite, found) if finite else found[0]


def _initial_matrix(
    spec: ParamSpec,
    settings: Settings | None,
    space: Space,
    signs: Coset,
    shape: tuple[int, int],
    place: tuple[int, ...],
    steps: int,
) -> Weight:
    if spec.init == "one":
        raise unsupported(spec, "a matrix of equal entries")
    start = Matrix(shape)
    if spec.init == "normal":
        weight = GaussianMatrix(space, *shape, spec.entry_std.value, place)
        power = HALF - spec.entry_exponent.const
        start = Matrix(shape, (Initial(weight, 1.0, power, signs),))
    if settings is not None and settings.optimizer.kind == "spectral":
        from tpc.feature.spectral import SpectralMatrix

        return SpectralMatrix(spec, settings, start, space)
    if settings is not None and settings.optimizer.kind == "parameter_scaled":
        from tpc.feature.factored import FactoredMatrix

        return FactoredMatrix(spec, settings, start, space)
    if settings is not None and settings.optimizer.kind != "linear":
        return Pairs(spec, settings, start)
    return Linear(spec, settings, start, steps)


def _initial_scalar(spec: ParamSpec, shape: tuple[int, ...]) -> Value:
    if spec.init == "one":
        return Value(np.ones(shape))
    # random, the same at all widths: what consumes it finds that it has no deterministic limit
    return zero(np.empty(shape), -spec.entry_exponent.const)
