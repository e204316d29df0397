"""Make ``digits.npz`` from the table of digits that scikit-learn ships.

``python make_data.py digits.csv.gz``; the table is ``sklearn/datasets/data/digits.csv.gz`` in the
wheel of scikit-learn, a zip file (``pip download --no-deps scikit-learn``), or in its folder where
it is installed. Rows are 64 pixels from 0 to 16 and the digit.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np

from tpc.storage import replacing

HERE = Path(__file__).resolve().parent
TRAIN = 1000
"""The rows are in the order of the original file: later ones are mostly by other hands."""


def main() -> None:
    """Read the table, split it and write the arrays."""
    with gzip.open(sys.argv[1], "rt") as lines:
        rows = np.loadtxt(lines, delimiter=",").astype(np.uint8)
    if rows.shape != (1797, 65):
        raise SystemExit(f"{sys.argv[1]} has {rows.shape} numbers, not (1797, 65)")
    x, y = rows[:, :64], rows[:, 64]
    with replacing(HERE / "digits.npz") as file:
        np.savez_compressed(file, x=x[:TRAIN], y=y[:TRAIN], test_x=x[TRAIN:], test_y=y[TRAIN:])


if __name__ == "__main__":
    main()
