"""The class of a program: what training does to it as the width grows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from tpc.scaling.tropical import Tropical

if TYPE_CHECKING:
    from tpc.ir.alignment import Alignment
    from tpc.ir.module import Module
    from tpc.scaling.mend import Mend
    from tpc.scaling.reasons import Chain, Witness
    from tpc.scaling.run import Run

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
    """One place where a weight acts: how large its initial part makes the result there, n^-initial,
    and by how much its update moves it, n^-update.
    """

    where: str
    line: int | None
    update: Exponent
    initial: Exponent = math.inf


@dataclass(frozen=True)
class WeightSize:
    """A weight under training.

    Its update moves its own output by n^-update (the largest over its uses) and the outputs of the
    program by n^-output; its initial part makes its own output of size n^-initial and that of the
    program n^-initial_output. ``shrinkage`` is the exponent of the share that weight decay takes
    from it in a step.
    """

    update: Exponent
    status: Status
    output: Exponent
    shrinkage: Exponent
    uses: tuple[Use, ...]
    initial: Exponent = math.inf
    initial_output: Exponent = math.inf


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
class Finding:
    """Something worth telling apart, under a fixed ``name`` (docs/classify.md lists them).

    ``weights`` and ``values`` are those that it is about.
    """

    name: str
    text: str
    weights: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What a classification was read off."""

    module: Module
    run: Run
    witness: Witness


@dataclass(frozen=True)
class Classification:
    """What training does in the limit of infinite width, and the sizes that say so.

    ``kind`` is the class. ``r`` is the smallest exponent by which training changes a vector that
    feeds an output's last linear map (None where the program is unstable or degenerate). ``values``
    are the program's named values, ``weights`` its trained weights, ``outputs`` what the loss
    consumes, ``consumed`` all that was judged. ``dynamics`` is "operator" where a step is not
    linear in the gradients. ``steps`` is the number of training steps after which sizes repeat, or
    at which something first blows up; the sizes of an unstable or degenerate program are those
    found by then. ``alignment`` holds the weights that were assumed to be less than fully aligned
    with what they read.
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
    alignment: Mapping[str, Alignment] = field(default_factory=lambda: MappingProxyType({}))
    _evidence: Evidence | None = field(default=None, repr=False, compare=False)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What is worth telling apart about the program, by name."""
        from tpc.scaling.findings import findings

        return () if self._evidence is None else tuple(findings(self, self._evidence))

    @cached_property
    def measured(self) -> Mapping[str, ValueSize]:
        """Sizes of named values and outputs as networks show them.

        Those of ``values`` and ``outputs``, but what weight decay does to initial weights, which is
        no learning, counts as change too.
        """
        from tpc.scaling.classify import with_shrinkage

        if self._evidence is None:
            return {**self.values, **self.outputs}
        return with_shrinkage(self._evidence)

    @cached_property
    def mend(self) -> Mend | None:
        """The smallest single change that makes an unstable or degenerate program stable.

        None where it is stable already, or no single change does.
        """
        from tpc.scaling.mend import mend

        broken = self.kind in (Kind.UNSTABLE, Kind.DEGENERATE)
        return mend(self._evidence) if broken and self._evidence is not None else None

    def chains(self, name: str | None = None) -> tuple[Chain, ...]:
        """Return the chains of reasons behind the verdict, or behind one named value's sizes.

        Raises:
            KeyError: the program has no value of this name.
        """
        if self._evidence is None:
            return ()
        witness = self._evidence.witness
        return witness.decisive() if name is None else witness.of(name)

    def weight_chains(self) -> dict[str, Chain]:
        """Return, for every weight, from what the size of its update's effect follows."""
        if self._evidence is None:
            return {}
        witness = self._evidence.witness
        return {name: witness.of_weight(name) for name in self.weights}

    def why(self, name: str | None = None) -> str:
        """Return the reasons as text: for the verdict and every weight, or for one named value."""
        from tpc.scaling.text import chains_text, weights_why_text

        if name is not None:
            return chains_text(self.chains(name))
        return "\n".join([self.verdict, chains_text(self.chains()), weights_why_text(self)])

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
