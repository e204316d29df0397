"""Slopes: what classify predicts, measured at finite widths (the coordinate check)."""

from tpc.slopes.measure import Sizes, measured
from tpc.slopes.rates import rate_factor, with_rates
from tpc.slopes.row import Row, Verdict
from tpc.slopes.slopes import SEEDS, WIDTHS, Slopes, slopes

__all__ = [
    "SEEDS",
    "WIDTHS",
    "Row",
    "Sizes",
    "Slopes",
    "Verdict",
    "measured",
    "rate_factor",
    "slopes",
    "with_rates",
]
