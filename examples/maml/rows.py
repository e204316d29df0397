"""What the example runs: a row for each network, with its settings and what TP4 published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One network: a program with settings, at a width or in a limit.

    ``width`` None is the limit; ``kernel`` names a kernel instead ("ntk" or "nngp"); ``published``
    is the accuracy in per cent that TP4 reports for it. ``steps`` bounds the meta-steps of rows
    whose cost grows with them; ``particles`` are for limits that are integrals.
    """

    name: str
    program: str
    width: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    kernel: str | None = None
    published: float | None = None
    steps: int | None = None
    particles: int = 512


def _finite(width: int, rate: str, u: str, v: str, beta: str, published: float | None) -> Row:
    settings = {"rate": rate, "sigma_u": u, "sigma_v": v, "beta": beta}
    return Row(f"linear-{width}", "linear.tp", width, settings, published=published)


#: Of 0.1, 0.2 and 0.4 the best on validation tasks after 2,000 meta-steps of the limit.
RELU = {"rate": "2/5"}
LINEAR_KERNEL = {"phi": "identity"}
ROWS = (
    Row("linear-limit", "linear.tp", published=66.42),
    _finite(2, "1/20", "1/2", "1/2", "2", 55.34),
    _finite(8, "1/10", "1/2", "1/4", "1", 64.5),
    _finite(32, "2/5", "1", "1/8", "1/2", 66.2),
    _finite(128, "1/10", "1", "1/8", "1", 66.3),
    _finite(512, "1/10", "1", "1/32", "1", 66.35),
    Row("relu-limit", "relu.tp", None, RELU, particles=1024),
    Row("relu-32", "relu.tp", 32, RELU),
    Row("relu-128", "relu.tp", 128, RELU),
    Row("relu-512", "relu.tp", 512, RELU),
    Row("relu-ntk", "network.tp", kernel="ntk", published=47.82, steps=100),
    Row("relu-gp", "network.tp", kernel="nngp", published=47.60, steps=100),
    Row("linear-ntk", "network.tp", None, LINEAR_KERNEL, "ntk", 41.68, 100),
    Row("linear-gp", "network.tp", None, LINEAR_KERNEL, "nngp", 41.68, 100),
)
