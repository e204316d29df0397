"""What the rules of the ops know besides the values of their operands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tpc.feature.gaussian import Local
from tpc.ops.base import EvalContext

if TYPE_CHECKING:
    from tpc.feature.space import Space
    from tpc.ir.module import ParamSpec


@dataclass(frozen=True)
class FeatureContext:
    """One evaluation: the space of width axes, the number of samples, the table of weights.

    ``passing`` samples (predictions at test points) leave no trace: their products with initial
    weights are not remembered, ``local`` has those of this evaluation, ``stream`` selects their
    random numbers. Only the law of each sample on its own matters then, unless they are ``joint``.
    """

    space: Space
    batch: int
    params: Mapping[str, ParamSpec]
    passing: bool = False
    joint: bool = False
    stream: int = 0
    seed: int = 0
    step: int = 0
    local: Local = field(default_factory=Local)

    @cached_property
    def arrays(self) -> EvalContext:
        """The context in which an op's own meaning acts on samples: the width is their number."""
        return EvalContext(self.space.size, self.batch, self.params, self.seed, self.step)
