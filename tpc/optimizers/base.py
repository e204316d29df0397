"""The contract of an optimizer: its options, its state, and the direction of its step.

The trainable w of ``W = mult n^-a w`` has the gradient ``g = mult n^-a dL/dW`` and moves by

    w <- w - lr n^-c * direction(g, history) - lr n^-c * decay * w        (the last if decoupled)

where ``lr`` is the param's own rate, or the optimizer's, times the factor of its schedule. Coupled
decay adds ``decay * w`` to g first. A file gives the direction: on arrays, and, where it is linear
in the gradients, as nodes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Literal

from tpc.exact import Coefficient, Constant

if TYPE_CHECKING:
    from tpc.ir.node import Node
    from tpc.ir.types import TensorType
    from tpc.ops.base import Array

    State = dict[str, Array]

#: How a step depends on the gradients: see :attr:`Optimizer.kind`.
Kind = Literal["linear", "entrywise", "parameter_scaled", "spectral"]


@dataclass(frozen=True)
class Option:
    """An option of an optimizer: a name, a default (None: absent) and what it does.

    Values are :class:`tpc.exact.Coefficient`; ``words`` are allowed besides (``eps = faithful``),
    or instead, where the option is no number (``worded``).
    """

    name: str
    default: Coefficient | None
    summary: str
    required: bool = False
    words: tuple[str, ...] = ()
    worded: bool = False


def number(name: str, default: Fraction | int | str, summary: str) -> Option:
    """Return an option whose default is a constant."""
    return Option(name, Coefficient(Constant.of(Fraction(default))), summary)


EPS = Option(
    "eps",
    Coefficient(Constant.of(0)),
    "added to the root of the second moment; 0 (scale-free), a constant, scaled with n, or solved",
    words=("faithful",),
)
COMMON = (
    Option("lr", None, "the learning rate, times n^-c for each param", required=True),
    number("decay", 0, "weight decay"),
    Option("clip", None, "bound on the norm of all gradients that this line takes together"),
    Option(
        "schedule",
        None,
        "`linear`: at step t of T the rate is lr (1 - (t - 1) / T); absent: it stays",
        words=("linear",),
        worded=True,
    ),
    Option(
        "decay_on",
        None,
        "`touched`: a row (of the first axis) decays in the steps that give it a gradient other "
        "than zero; absent: always",
        words=("touched",),
        worded=True,
    ),
)


class Optimizer(ABC):
    """One optimizer, a stateless singleton; its state is a dict of arrays for each weight.

    ``kind`` says how a step depends on the gradients: ``linear`` in them; ``entrywise`` (each entry
    of the size of one whatever the gradient's size); ``parameter_scaled`` (entrywise, times the
    size of the weight); ``spectral`` (the gradient's matrix with its singular values replaced by
    one). ``decoupled`` says that weight decay acts on the weight and not through the gradient.
    ``memoryless`` says that the direction is the gradient itself. ``own`` are the options besides
    those that all optimizers have.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    decoupled: ClassVar[bool] = False
    memoryless: ClassVar[bool] = False
    own: ClassVar[tuple[Option, ...]] = ()

    @property
    def options(self) -> tuple[Option, ...]:
        """Every option; an optimizer's own ones override common ones of the same name."""
        named = {option.name: option for option in (*COMMON, *self.own)}
        return tuple(named.values())

    @property
    def scale_free(self) -> bool:
        """Whether a step is the same for gradients of any size (with eps = 0)."""
        return self.kind != "linear"

    @property
    def documentation(self) -> str:
        """What the optimizer does, as the language reference prints it."""
        return (type(self).__doc__ or "").strip()

    def refuse(self, type_: TensorType) -> str | None:
        """Return why a weight of this type cannot be moved, or None where it can."""
        return None

    def start(self, shape: tuple[int, ...]) -> State:
        """Return the state before the first step."""
        return {}

    def stable_product(self, options: Mapping[str, float]) -> float | None:
        """Return the largest lr times curvature at which steps down a quadratic do not diverge.

        None where there is no such number.
        """
        return None

    @abstractmethod
    def direction(
        self,
        gradient: Array,
        weight: Array,
        state: State,
        step: int,
        options: Mapping[str, float],
    ) -> tuple[Array, State]:
        """Return what to subtract (at learning rate one) and the new state.

        ``gradient`` and ``weight`` are those of the trainable w, ``step`` counts from 1, the
        arrays given are never changed.
        """

    def symbolic(
        self, gradients: Sequence[Node], weight: Node, options: Mapping[str, Coefficient]
    ) -> Node:
        """Return the direction as a node, given the gradients of all steps up to this one.

        Linear optimizers are sums of scaled gradients; any other is one ``update`` node.
        """
        from tpc.ops.update import update

        return update(self.name, gradients, weight, options)


def ratio(numerator: Array, denominator: Array) -> Array:
    """Return the quotient with 0/0 := 0: a coordinate that never had a gradient does not move."""
    import numpy as np

    zero = denominator == 0.0
    return np.where(zero, 0.0, numerator / np.where(zero, 1.0, denominator))
