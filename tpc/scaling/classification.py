"""The class of a program: what training does to it as the width grows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

from tpc.scaling.tropical import Tropical

if TYPE_CHECKING:
    from tpc.scaling.reasons import Chain, Witness

Exponent: TypeAlias = Fraction | float
"""A Fraction, or `math.inf` where a quantity is exactly zero."""


class Kind(StrEnum):
    """The classes of theory, section 4."""

    UNSTABLE = "unstable"
    DEGENERATE = "degenerate"
    TRIVIAL = "trivial"
    KERNEL = "kernel"
    FEATURE = "feature"


class Status(StrEnum):
    """What a weight's update does to its own output."""

    MAXIMAL = "maximal"
    LAZY = "lazy"
    UNSTABLE = "unstable"
    FROZEN = "frozen"


@dataclass(frozen=True)
class ValueSize:
    """A value has coordinates of size n^-init at initialisation; training changes it by n^-change.

    Of a value that starts at exactly zero, or never changes, the exponent is infinite.
    """

    init: Exponent
    change: Exponent


@dataclass(frozen=True)
class Use:
    """One place where a weight acts: by how much its update moves the result there."""

    where: str
    line: int | None
    update: Exponent


@dataclass(frozen=True)
class WeightSize:
    """A weight under training.

    Its update moves its own output by n^-update (the largest over its uses) and the outputs of the
    program by n^-output; ``shrinkage`` is the exponent of the share that weight decay takes from it
    in a step.
    """

    update: Exponent
    status: Status
    output: Exponent
    shrinkage: Exponent
    uses: tuple[Use, ...]


@dataclass(frozen=True)
class Consumed:
    """A value that something consumes which minds its scale.

    ``role`` is "preactivation", "score", "normalised" (then ``change`` is relative to ``init``) or
    "output".
    """

    what: str
    line: int | None
    role: str
    init: Exponent
    change: Exponent


@dataclass(frozen=True)
class Classification:
    """What training does in the limit of infinite width, and the sizes that say so.

    ``kind`` is the class. ``r`` is the smallest exponent by which training changes a vector that
    feeds an output's last linear map (None where the program is unstable or degenerate). ``values``
    are the program's named values, ``weights`` its trained weights, ``outputs`` what the loss
    consumes, ``consumed`` all that was judged. ``dynamics`` is "operator" where a step is not
    linear in the gradients. ``steps`` is the number of training steps after which sizes repeat, or
    at which something first blows up; the sizes of an unstable or degenerate program are those
    found by then.
    """

    kind: Kind
    r: Exponent | None
    values: Mapping[str, ValueSize]
    weights: Mapping[str, WeightSize]
    outputs: Mapping[str, ValueSize]
    output: ValueSize
    consumed: tuple[Consumed, ...]
    dynamics: str
    steps: int
    verdict: str
    notes: tuple[str, ...] = ()
    _witness: Witness | None = field(default=None, repr=False, compare=False)

    def chains(self, name: str | None = None) -> tuple[Chain, ...]:
        """Return the chains of reasons behind the verdict, or behind one named value's sizes.

        Raises:
            KeyError: the program has no value of this name.
        """
        if self._witness is None:
            return ()
        return self._witness.decisive() if name is None else self._witness.of(name)

    def why(self, name: str | None = None) -> str:
        """Return the reasons for the verdict as text, or for the sizes of one named value."""
        from tpc.scaling.text import chains_text

        head = [self.verdict] if name is None else []
        return "\n".join([*head, chains_text(self.chains(name))])

    def text(self, why: bool = False) -> str:
        """Return the classification as text; ``why`` adds the chains of reasons."""
        from tpc.scaling.text import classification_text

        return classification_text(self) + ("\n\n" + self.why() if why else "")

    def to_json(self) -> dict[str, Any]:
        """Return the classification as JSON-ready data; rationals are strings (docs/json.md)."""
        from tpc.scaling.text import classification_json

        return classification_json(self)

    def __repr__(self) -> str:
        size = "" if self.r is None else f", r = {exponent_text(self.r)}"
        return f"<Classification: {self.kind.value}{size}>"


def exponent_of(exponent: Tropical) -> Exponent:
    """Return a numeric exponent for users."""
    value = exponent.as_fraction()
    if value is None:
        if exponent.is_infinite:
            return math.inf
        raise ValueError(f"the exponent {exponent} is symbolic")
    return value


def exponent_text(exponent: Exponent) -> str:
    """Return an exponent as text: `1/2`, `inf`."""
    return "inf" if exponent == math.inf else str(exponent)
