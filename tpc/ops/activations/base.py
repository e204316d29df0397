"""The contract of a nonlinearity: everything the compiler knows about it, in one class in one file.

An activation is a frozen value. Most of its facts follow from its formula by exact calculus on a
small tree (:mod:`tpc.ops.activations.formula`); a file states what cannot be computed: the
primitives' numbers and asymptotes, and closed forms of dual expectations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tpc.exact import Constant
from tpc.ops.activations import formula as fm
from tpc.ops.activations.formula import evaluation, intervals, tails
from tpc.ops.activations.formula.steep import steep_points

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Parity = Literal["odd", "even", "none"]
Asymptote = tuple[int, int] | None


class ActivationError(ValueError):
    """An unknown activation, or parameters that it does not take. The message is for the user."""


@dataclass(frozen=True)
class Growth:
    """How fast an activation grows.

    ``kind`` is "polynomial" (``|phi(z)| <= C (1 + |z|^degree)``: what the master theorem asks for),
    "exponential" (every Gaussian second moment is finite, though no power of z bounds phi), or
    "explosive" (``E phi(z)^2`` is infinite for some variance of z, or may be). ``degree`` is None
    unless the growth is polynomial.
    """

    kind: Literal["polynomial", "exponential", "explosive"]
    degree: Fraction | None = None


@dataclass(frozen=True)
class DualForm:
    """A closed form of ``E[phi(u) phi(v)]`` as functions of :mod:`tpc.runtime.duals`.

    ``side(q, *side_parameters)`` prepares what belongs to one variance and returns a tuple of
    ``arity`` numbers; ``pair(k, *side(q11), *side(q22), *parameters)`` is the expectation at
    covariance k. A parameter is a float or a (nested) tuple of floats. A ``partial`` form is NaN
    where its terms cancel too much: there series and quadrature take over.
    """

    side: str
    arity: int
    pair: str
    parameters: tuple[Any, ...] = ()
    side_parameters: tuple[Any, ...] = ()
    partial: bool = False


@dataclass(frozen=True)
class Activation:
    """A nonlinearity ``phi: R -> R``, applied coordinate by coordinate.

    Subclasses are frozen dataclasses whose fields are exact constants. A *primitive* one (tanh,
    sin, relu...) is opaque to calculus and gives its own derivative, numbers and asymptotes; any
    other overrides :meth:`formula`, and the rest follows.
    """

    name: ClassVar[str] = ""
    primitive: ClassVar[bool] = True
    alone: ClassVar[bool] = True
    """Whether it may stand on its own, not only inside of a formula (log may not)."""
    odd_or_even: ClassVar[Parity] = "none"
    asymptotes: ClassVar[tuple[Asymptote, Asymptote]] = (None, None)
    """Pairs ``(degree, coefficient)`` at minus and plus infinity; None: bounded, no limit."""
    kink_points: ClassVar[tuple[float, ...]] = ()
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    increasing: ClassVar[bool] = False
    variadic: ClassVar[bool] = False
    numba_helpers: ClassVar[tuple[str, ...]] = ()
    latex_name: ClassVar[str] = ""

    # -- meaning -----------------------------------------------------------------------------------

    def formula(self) -> fm.Formula:
        """Return the formula in z; a primitive is its own formula."""
        return fm.Apply(self, fm.Z)

    def derivative(self) -> Activation:
        """Return the derivative, an activation; jumps contribute nothing (see ``dropped``)."""
        from tpc.ops.activations.written import from_formula

        return from_formula(fm.derivative(self.formula()), name=f"{self.name}'")

    @property
    def dropped(self) -> str | None:
        """What :meth:`derivative` leaves out, as a sentence, or None where it is exact."""
        jumps = [n.function for n in _applications(self.formula()) if n.function != self]
        return next((note for f in jumps if (note := f.dropped) is not None), None)

    def numpy(self, x: Array) -> Array:
        """Return the values at ``x`` (any shape, float64), accurate to a few ulps."""
        return evaluation.evaluate(self.formula(), x)

    def numba_call(self, argument: str) -> str:
        """Return a Python expression of scalar floats that Numba compiles.

        It uses ``math`` and the functions of :mod:`tpc.runtime.scalars` named in ``helpers``.
        """
        formula = self.formula()
        if formula == fm.Apply(self, fm.Z):
            raise NotImplementedError(f"{self.name} has no source")
        return evaluation.numba_source(formula, argument)

    @property
    def helpers(self) -> tuple[str, ...]:
        """Names of the runtime functions that the source calls."""
        return evaluation.helpers(self.formula())

    def dual_form(self) -> DualForm | None:
        """Return the closed form of ``E[phi(u) phi(v)]``, or None where quadrature must do it."""
        from tpc.ops.activations import patterns

        return patterns.dual_form(self.formula())

    def affine_dual(self, factor: Constant, argument: tuple[Constant, ...]) -> DualForm | None:
        """Return the closed form for ``factor * phi(p(z))``, if known; p is given lowest first."""
        return None

    # -- facts that the compiler asks for ----------------------------------------------------------

    @property
    def parity(self) -> Parity:
        """Whether phi is "odd" or "even" (almost everywhere), "none" where neither is found."""
        if self.primitive:
            return self.odd_or_even
        found = fm.parity(self.formula())
        return "none" if found is None else ("even" if found > 0 else "odd")

    @property
    def growth(self) -> Growth:
        """How fast phi grows (see :class:`Growth`)."""
        ends = [tails.tail(self.formula(), side) for side in (-1, 1)]
        if any(end.explosive for end in ends):
            return Growth("explosive")
        if any(end.speed.sign > 0 for end in ends):
            return Growth("exponential")
        bounded = [end.degree for end in ends if not end.vanishing]
        return Growth("polynomial", max([Fraction(0), *bounded]))

    def obstacle(self) -> str | None:
        """Return why phi has no limit theory, as a clause, or None where all is well.

        The master theorem needs ``E phi(z)^2`` finite for every Gaussian variance of z.
        """
        reason = intervals.undefined(self.formula())
        if reason is not None:
            return reason
        if self.growth.kind == "explosive":
            return (
                "its second moment under a Gaussian is infinite (it grows like exp(z^2) or faster)"
            )
        return None

    def kinks(self) -> tuple[float, ...]:
        """Return the points where phi may fail to be smooth or is steep far from zero, sorted."""
        if self.primitive:
            return self.kink_points
        formula = self.formula()
        return tuple(sorted({*intervals.kinks(formula), *steep_points(formula)}))

    def polynomial(self) -> tuple[Constant, ...] | None:
        """Return exact coefficients, lowest first, or None where phi is not a polynomial."""
        return fm.polynomial(self.formula())

    @property
    def is_identity(self) -> bool:
        """Whether phi(z) = z."""
        return self.formula() == fm.Z

    @property
    def is_linear(self) -> bool:
        """Whether phi(z) = c z for a constant c (zero included)."""
        coefficients = self.polynomial()
        return coefficients is not None and len(coefficients) <= 2 and coefficients[0].is_zero

    @property
    def constant_value(self) -> Constant | None:
        """The value of a constant phi, None for any other."""
        formula = self.formula()
        return formula.value if isinstance(formula, fm.Number) else None

    @property
    def value_at_zero(self) -> Constant | None:
        """phi(0) where it has an exact form."""
        formula = fm.apply(self, fm.number(0))
        return formula.value if isinstance(formula, fm.Number) else None

    @property
    def is_zero(self) -> bool:
        """Whether phi vanishes everywhere."""
        level = self.constant_value
        return level is not None and level.is_zero

    # -- what primitives tell the calculus of formulas --------------------------------------------

    def exact_value(self, value: Constant) -> Constant | None:
        """Return phi(value) where it has an exact form, else None."""
        return value * 0 if value.is_zero and self.odd_or_even == "odd" else None

    def reflected(self, argument: fm.Formula) -> fm.Formula | None:
        """Return phi(-argument) in terms of phi(argument), or None where nothing is known."""
        if self.odd_or_even == "none":
            return None
        plain = fm.apply(self, argument)
        return plain if self.odd_or_even == "even" else fm.negate(plain)

    def tail(self, inner: tails.Tail) -> tails.Tail:
        """Return the tail of ``phi(g)`` from that of g."""
        return tails.polynomial_growth(inner, *self.asymptotes)

    def interval(self, low: float, high: float) -> tuple[float, float]:
        """Return an interval that contains phi's values between ``low`` and ``high``."""
        if not self.increasing:
            return self.bounds
        ends = [self._at(low), self._at(high)]
        return (max(ends[0], self.bounds[0]), min(ends[1], self.bounds[1]))

    def _at(self, point: float) -> float:
        if math.isinf(point):
            return self.bounds[0] if point < 0 else self.bounds[1]
        import numpy as np

        return float(self.numpy(np.asarray(point)))

    def undefined_on(self, low: float, high: float) -> str | None:
        """Return what is impossible between ``low`` and ``high`` ("the logarithm of"), or None."""
        return None

    # -- printing ---------------------------------------------------

    @property
    def parameters(self) -> tuple[Constant | int, ...]:
        """The values of the parameters, in order."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def call(self, argument: str) -> str:
        """Return phi of a printed argument in the syntax of the language."""
        inside = ", ".join(map(str, self.parameters))
        return f"{self.name}({inside})({argument})" if inside else f"{self.name}({argument})"

    def call_latex(self, argument: str) -> str:
        """Return phi of a printed argument in LaTeX."""
        name = self.latex_name or rf"\operatorname{{{self.name}}}"
        return rf"{name}\left({argument}\right)"

    def text(self, variable: str = "z") -> str:
        """Return the formula in the syntax of the language."""
        return fm.text(self.formula(), variable)

    def latex(self, variable: str = "z") -> str:
        """Return the formula in LaTeX, without delimiters."""
        return fm.latex(self.formula(), variable)

    @cached_property
    def label(self) -> str:
        """The name with its parameters: ``leaky_relu(1/5)``."""
        inside = ", ".join(map(str, self.parameters))
        return f"{self.name}({inside})" if inside else self.name

    def __str__(self) -> str:
        return self.label

    @classmethod
    def documentation(cls) -> str:
        """Return the first paragraph of the class documentation: a sentence with the formula."""
        text = (cls.__doc__ or "").strip().split("\n\n")[0]
        return " ".join(text.split())

    @classmethod
    def signature(cls) -> str:
        """Return the name with the names of the parameters: ``leaky_relu(slope)``."""
        names = "c0, c1, ..." if cls.variadic else ", ".join(field.name for field in fields(cls))
        return f"{cls.name}({names})" if names else cls.name


def whole_number(value: Constant, what: str, low: int, high: int) -> int:
    """Return a constant as an integer.

    Raises:
        ActivationError: it is no integer between ``low`` and ``high``.
    """
    fraction = value.as_fraction()
    if fraction is None or fraction.denominator != 1 or not low <= fraction <= high:
        raise ActivationError(f"{what} must be a whole number from {low} to {high}, not {value}")
    return int(fraction)


@lru_cache(maxsize=1024)
def _applications(formula: fm.Formula) -> tuple[fm.Apply, ...]:
    found = [formula] if isinstance(formula, fm.Apply) else []
    for child in formula.children:
        found.extend(_applications(child))
    return tuple(found)
