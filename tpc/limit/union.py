"""Training and test samples as one batch, where the samples of a batch depend on each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tpc.limit.sampled import SampledLimit, written

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tpc.limit.limit import Limit

NOTE = (
    "the samples of a batch depend on each other: training and test samples were evaluated "
    "together, as one batch"
)

MIXTURE = (
    "predictions under a mixture of Gaussians are the best ones that are linear in the targets"
)


@dataclass(frozen=True, repr=False)
class UnionLimit(SampledLimit):
    """A limit whose kernels between the samples of ``parts`` are those of their union.

    The parts are told by identity: other samples are a batch of their own.
    """

    parts: tuple[Mapping[str, Any], ...] = ()

    def other(self, kind: str) -> Limit:
        """Return the limit of another kind on the same union."""
        return together(super().other(kind), *self.parts)

    def evaluate(self, X: Any, X2: Any = None, **options: Any) -> NDArray[np.float64]:
        """Return the part of the union's kernel that belongs to two of the parts.

        Raises:
            TpcError: a bound that cannot be met, or samples that do not fit.
        """
        import numpy as np

        places = [self._place(each) for each in (X, X if X2 is None else X2)]
        if None in places:
            return super().evaluate(X, X2, **options)
        diagonal = options.pop("diagonal", False)
        bounds = {name: options[name] for name in ("tolerance", "sampling") if name in options}
        key = repr(sorted(bounds.items()))
        if key not in self._known:
            self._known[key] = super().evaluate(self._union, **bounds)
        rows, columns = (np.arange(*place) for place in places if place is not None)
        found = self._known[key][np.ix_(rows, columns)]
        if diagonal:
            found = found[np.arange(len(rows)), np.arange(len(rows))]
        dtype = options.get("dtype", "float64")
        return np.asarray(written(found[None], options.get("out"), dtype)[0])

    def _place(self, samples: Any) -> tuple[int, int] | None:
        start = 0
        for part in self.parts:
            count = len(next(iter(part.values())))
            if part is samples:
                return start, start + count
            start += count
        return None

    @cached_property
    def _union(self) -> dict[str, Any]:
        import numpy as np

        return {name: np.concatenate([part[name] for part in self.parts]) for name in self.inputs}

    @cached_property
    def _known(self) -> dict[str, NDArray[np.float64]]:
        return {}


def together(limit: Limit, *parts: Mapping[str, Any]) -> Limit:
    """Return a limit that takes ``parts`` as one batch, where samples depend on each other."""
    from tpc.conditional.limit import ConditionalLimit

    if isinstance(limit, ConditionalLimit):
        return limit.together(*parts)
    if not isinstance(limit, SampledLimit) or not limit.coupled or isinstance(limit, UnionLimit):
        return limit
    own = {each.name: getattr(limit, each.name) for each in fields(SampledLimit)}
    return UnionLimit(**own, parts=parts)


def notes(limit: Limit) -> tuple[str, ...]:
    """Say so where samples were taken together, or the process is no Gaussian one."""
    from tpc.conditional.limit import ConditionalLimit

    if isinstance(limit, ConditionalLimit):
        return (limit.kernels.notes[0], *((MIXTURE,) if limit.kind == "nngp" else ()))
    return (NOTE,) if isinstance(limit, UnionLimit) and len(limit.parts) > 1 else ()
