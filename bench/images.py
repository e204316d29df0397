"""Kernels of images and sequences: seconds and memory, NNGP and NTK in one pass.

    python bench/images.py [--runs 3] [case ...]

The peer's figures were measured on two cores in float64 with neural-tangents 0.6.5 (jax 0.5.3).
Our time is the best of some runs after a first call, which is shown apart: it compiles, or reads
what an earlier process compiled.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import tpc
from tpc.limit.limit import evaluate_kinds

FOLDER = Path(__file__).resolve().parent / "images"

#: name: program, samples, the peer's seconds and megabytes, how many times faster we want to be
CASES: dict[str, tuple[str, int, float, float | None, float]] = {
    "myrtle5-8": ("myrtle5", 8, 3.6, 3200.0, 6.0),
    "myrtle5-16": ("myrtle5", 16, 23.7, 12400.0, 10.0),
    "pooled-8": ("pooled", 8, 4.9, 3200.0, 6.0),
    "flattened-512": ("flattened", 512, 17.8, 12400.0, 10.0),
    "attention-64": ("attention", 64, 0.032, None, 2.0),
}


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(name: str, runs: int) -> str:
    program, count, peer, megabytes, wanted = CASES[name]
    compiled = tpc.compile(FOLDER / f"{program}.tp")
    limits = [compiled.limit(kind) for kind in ("nngp", "ntk")]
    shape = next(iter(limits[0].inputs.values()))
    X = np.random.default_rng(0).standard_normal((count, *shape))
    start = time.perf_counter()
    evaluate_kinds(limits, X[:2])
    first = time.perf_counter() - start
    before, best, cpu = peak(), np.inf, np.inf
    for _ in range(runs):
        start, used = time.perf_counter(), time.process_time()
        evaluate_kinds(limits, X)
        best = min(best, time.perf_counter() - start)
        cpu = min(cpu, time.process_time() - used)
    theirs = "" if megabytes is None else f"{megabytes:.0f}"
    return (
        f"{name:15s} {best:8.3f} {cpu:8.3f} {peer:8.3f} {peer / best:7.1f} {wanted:7.0f} "
        f"{peak() - before:7.0f} {theirs:>7s} {first:7.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="kernels of images and sequences")
    parser.add_argument("cases", nargs="*", help=", ".join(CASES))
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    names = chosen.cases or list(CASES)
    if len(names) == 1:
        print(measure(names[0], chosen.runs), flush=True)
        return
    print(
        f"{'case':15s} {'seconds':>8s} {'cpu':>8s} {'peer':>8s} {'times':>7s} {'wanted':>7s} "
        f"{'MB':>7s} {'peer':>7s} {'first':>7s}",
        flush=True,
    )
    for name in names:  # a process for each: its peak of memory is its own
        command = [sys.executable, __file__, name, "--runs", str(chosen.runs)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
