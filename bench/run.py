"""Measure tpc against the bounds that it states: ``python bench/run.py [--skip-tests]``.

Prints one line a figure, with its bound, and ends with exit code 1 if a bound is broken. Times are
wall-clock times of fresh processes; of short ones the best of five, the least disturbed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
PERCEPTRON = str(EXAMPLES / "perceptron.tp")
HEAVY = ("sympy", "numba", "matplotlib")

CHECK_SECONDS = 0.4
DEEP_SECONDS = 5.0
DEEP_LAYERS = 100
SUITE_SECONDS = 300.0


@dataclass(frozen=True)
class Figure:
    """One measurement: what, how much, what it may be at most."""

    what: str
    value: float
    bound: float
    unit: str

    @property
    def kept(self) -> bool:
        return self.value <= self.bound

    def __str__(self) -> str:
        verdict = "ok" if self.kept else "TOO MUCH"
        value, bound = (f"{number:.3g} {self.unit}" for number in (self.value, self.bound))
        return f"{self.what:62} {value:>12}   at most {bound:>10}   {verdict}"


def tpc(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tpc.cli", *arguments]


def seconds(command: list[str], cache: Path | None = None) -> float:
    """Run a command that must succeed, and return how long it took."""
    environment = dict(os.environ)
    if cache is not None:
        environment |= {"TPC_CACHE_DIR": str(cache), "NUMBA_CACHE_DIR": str(cache / "numba")}
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    elapsed = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return elapsed


def best(command: list[str], times: int = 5) -> float:
    return min(seconds(command) for _ in range(times))


def check_start_up() -> Iterator[Figure]:
    """A fresh process checks any example quickly."""
    seconds(tpc("check", PERCEPTRON))  # byte code and parser tables are written once
    slowest, example = max((best(tpc("check", str(p))), p) for p in EXAMPLES.glob("*.tp"))
    yield Figure(f"tpc check, slowest example ({example.name})", slowest, CHECK_SECONDS, "s")
    busy = min(processor_seconds(tpc("check", str(example))) for _ in range(5))
    yield Figure("  the same, processor time", busy, CHECK_SECONDS, "s")


def check_imports() -> Iterator[Figure]:
    """Checking a program loads none of the heavy packages."""
    code = (
        "import sys\nfrom tpc.cli import main\n"
        f"try: main(['check', {PERCEPTRON!r}])\nexcept SystemExit: pass\n"
        f"sys.exit(sum(name in sys.modules for name in {HEAVY}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    yield Figure(f"of {', '.join(HEAVY)}: imported by check", done.returncode, 0, "")


def deep_perceptron() -> Iterator[Figure]:
    """A hundred layers are checked, classified and derived."""
    deep = ("--set", f"L={DEEP_LAYERS}", PERCEPTRON)
    total = seconds(tpc("check", *deep)) + seconds(tpc("classify", *deep))
    total += seconds(tpc("derive", "--kind", "ntk", *deep))
    yield Figure(f"check + classify + derive, {DEEP_LAYERS} layers", total, DEEP_SECONDS, "s")


EVALUATE = """
import sys, numpy as np, tpc
rng = np.random.default_rng(0)
tpc.compile(sys.argv[1]).with_(parametrization="ntk").limit("ntk").evaluate(
    rng.standard_normal((50, 225)))
"""


def kernel_reuse() -> Iterator[Figure]:
    """A second process compiles nothing that the first has compiled."""
    command = [sys.executable, "-c", EVALUATE, str(EXAMPLES / "characters" / "characters.tp")]
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        first = seconds(command, cache)
        compiled = machine_code(cache)
        if not compiled:
            raise SystemExit("the first process left no machine code in the cache")
        second = seconds(command, cache)
        again = len(machine_code(cache) - compiled)
    yield Figure("kernels compiled again by a second process", again, 0, "")
    yield Figure("second process over first", second / first, 0.5, "")


def processor_seconds(command: list[str]) -> float:
    """Run a command, and return the processor time it took: a busy machine does not lengthen it."""
    before = os.times()
    seconds(command)
    after = os.times()
    user = after.children_user - before.children_user
    return user + after.children_system - before.children_system


def machine_code(cache: Path) -> set[tuple[str, int]]:
    """Return the files of machine code in a cache, with the time of their last change."""
    files = (*cache.rglob("*.nbc"), *cache.rglob("*.nbi"))
    return {(str(path), path.stat().st_mtime_ns) for path in files}


def suite() -> Iterator[Figure]:
    """The tests on two processes."""
    command = [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider"]
    yield Figure("test suite on 2 processes", seconds(command), SUITE_SECONDS, "s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--skip-tests", action="store_true", help="do not time the test suite")
    skip = parser.parse_args().skip_tests
    parts: list[Callable[[], Iterator[Figure]]]
    parts = [check_start_up, check_imports, deep_perceptron, kernel_reuse]
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    print(f"{cores} processors, load {load:.1f}" + (": busy, so times are long" * (load > cores)))
    broken = 0
    for part in parts if skip else [*parts, suite]:
        for figure in part():
            print(figure, flush=True)
            broken += not figure.kept
    return 1 if broken else 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
