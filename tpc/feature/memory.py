"""What a run will need, foreseen before it starts."""

from __future__ import annotations

import os
from dataclasses import dataclass

from tpc.diagnostics import Diagnostic, TpcError

_CHUNK = 2**24


@dataclass(frozen=True)
class Needs:
    """What a run holds, in rows of ``size`` numbers.

    Rows of the initial weights, of one training step's values, of the products that initial
    matrices remember, of the updates of matrices, of one test point's values, and of the entries
    of matrices at pairs of particles.
    """

    size: int
    initial: int
    step: int
    memory: int
    updates: int
    point: int
    pairs: int = 0

    def bytes(self, points: int) -> int:
        """Return the memory that is needed with ``points`` test points at once."""
        rows = 3 * self.initial + self.step + self.memory + self.updates + self.pairs
        rows += points * self.point
        return 8 * self.size * rows


def fitting(needs: Needs, points: int, together: bool, replicates: int) -> int:
    """Return how many test points to evaluate at once: all of them where they go ``together``.

    ``replicates`` runs share the memory.

    Raises:
        TpcError: not even one fits.
    """
    chunk = max(1, min(points, _CHUNK // max(1, needs.size * needs.point)))
    if together:
        chunk = points
    wanted, there = replicates * needs.bytes(chunk), available()
    if wanted > there:
        raise TpcError(
            Diagnostic(
                "E0926",
                f"the run needs about {wanted / 2**30:,.1f} GB "
                f"with {needs.size} samples of Z, but {there / 2**30:,.1f} GB are free",
                help="take fewer particles (particles = ...), a larger tolerance, "
                "fewer steps or smaller batches",
            )
        )
    return chunk


def require(wanted: int, what: str, advice: str) -> None:
    """Check that so many bytes are there.

    Raises:
        TpcError: they are not; ``what`` says what needs them, ``advice`` how to need fewer.
    """
    there = available()
    if wanted > there:
        said = f"{what} about {wanted / 2**30:,.1f} GB, but {there / 2**30:,.1f} GB are free"
        raise TpcError(Diagnostic("E0926", said, help=advice))


def available() -> int:
    """Return the bytes of memory that may be used."""
    pages = os.sysconf("SC_AVPHYS_PAGES") if "SC_AVPHYS_PAGES" in os.sysconf_names else 0
    total = os.sysconf("SC_PHYS_PAGES")
    # what the system caches is given back on demand: count half of the memory at least
    return os.sysconf("SC_PAGE_SIZE") * max(pages, total // 2)
