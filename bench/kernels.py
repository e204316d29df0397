"""Time kernels of tpc beside neural-tangents: ``python bench/kernels.py [--peer PYTHON]``.

Every case runs in a process of its own: warm, the least of several runs, with its processor time
(of all cores) and the memory at its peak above that before. ``--peer`` is a Python interpreter with
neural-tangents 0.6.5, jax 0.5.3, tf2jax 0.3.7 and scipy 1.13.1; without one, the times of the table
``RECORDED`` serve, which were measured on two cores. Then times against the number of samples and
against depth, with the share of what the hardware allows: the symmetric product of the inputs by
BLAS, plus the recursion at the speed of rows that stay in the cache.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PROGRAM = """
width n
size d = {d}, k = 1, L = {depth}
act phi = {phi}
parametrization ntk
input x : [d]
target y : [k]
param U : [n, d]
param W[2..L] : [n, n] mult sqrt(2)
param b[2..L] : [n] mult 1/2
param V : [k, n]
def f(x):
    h = U @ x
    for l in 2..L:
        h = W[l] @ phi(h) + b[l]
    return V @ phi(h)
train:
    loss = mse(f(x), y)
    optimizer sgd(lr = 0.1)
"""

PEER = """
import json, resource, sys, time
import jax
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
import numpy as np
from neural_tangents import stax
case = json.loads(sys.argv[1])
layer = {"relu": stax.Relu, "erf": stax.Erf, "gelu": stax.Gelu, "sin": stax.Sin, "abs": stax.Abs,
         "leaky_relu(1/5)": lambda: stax.LeakyRelu(0.2),
         "tanh": lambda: stax.ElementwiseNumerical(jnp.tanh, 25)}[case["phi"]]
parts = [stax.Dense(1, W_std=case["d"] ** 0.5, b_std=None), layer()]
for _ in range(case["depth"] - 1):
    parts += [stax.Dense(1, W_std=2 ** 0.5, b_std=0.5), layer()]
parts += [stax.Dense(1, W_std=1.0, b_std=None)]
kernel = jax.jit(stax.serial(*parts)[2], static_argnums=(2,))
x = np.random.default_rng(0).standard_normal((case["n"], case["d"])) / case["d"] ** 0.5
x = jnp.asarray(x)
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
walls, cpus = [], []
for _ in range(case["runs"] + 1):
    found = None
    wall, cpu = time.perf_counter(), time.process_time()
    found = kernel(x, None, ("nngp", "ntk"))
    found.ntk.block_until_ready()
    walls.append(time.perf_counter() - wall)
    cpus.append(time.process_time() - cpu)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
corner = [np.asarray(k[:8, :8]).tolist() for k in (found.nngp, found.ntk)]
print(json.dumps({"first": walls[0], "wall": min(walls[1:]), "cpu": min(cpus[1:]),
                  "peak": (peak - base) / 1024, "corner": corner}))
"""


@dataclass(frozen=True)
class Case:
    """What is timed; ``bound`` is how many times faster than the peer it must be."""

    phi: str
    depth: int
    n: int
    bound: float
    recorded: float
    d: int = 784

    def __str__(self) -> str:
        return f"{self.phi}, depth {self.depth}, N = {self.n}"


RECORDED = "seconds of neural-tangents 0.6.5 in float64 on two cores"
CASES = (
    Case("relu", 3, 4000, 5.0, 0.93),
    Case("relu", 10, 4000, 12.0, 3.29),
    *(Case(phi, 3, 2000, 3.0, 0.18) for phi in ("erf", "sin", "leaky_relu(1/5)", "abs")),
    Case("gelu", 3, 2000, 2.0, 0.18),
    Case("tanh", 3, 500, 50.0, 6.6),
)


def samples(n: int, d: int) -> Any:
    """Return random inputs of norm about one."""
    import numpy as np

    return np.random.default_rng(0).standard_normal((n, d)) / d**0.5


def program(phi: str, depth: int, d: int) -> Any:
    """Return a perceptron of this depth."""
    import tpc

    return tpc.compile(text=PROGRAM.format(phi=phi, depth=depth, d=d))


def least(run: Callable[[], Any], runs: int) -> tuple[float, float, Any]:
    """Return the least wall and processor times of several runs, and the last result."""
    walls, cpus, found = [], [], None
    for _ in range(runs):
        found = None  # the memory of one result at a time
        wall, cpu = time.perf_counter(), time.process_time()
        found = run()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus), found


def ours(case: dict[str, Any]) -> dict[str, Any]:
    """Time tpc in this process."""
    import numpy as np

    compiled, x = program(case["phi"], case["depth"], case["d"]), samples(case["n"], case["d"])
    start = time.perf_counter()
    compiled.kernels(x[:8])
    first = time.perf_counter() - start
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu, found = least(lambda: compiled.kernels(x), case["runs"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    corner = [found[kind][:8, :8].tolist() for kind in ("nngp", "ntk")]
    error = None
    if case["phi"] == "tanh":
        from tpc.limit.interpret import interpret

        i, j = np.random.default_rng(1).integers(0, case["n"], (2, 64))
        limit = compiled.limit("ntk")
        (truth,) = interpret(limit.kernels.entries, {"x": x[i]}, {"x": x[j]}, 1e-12)
        error = float(np.abs(found["ntk"][i, j] / truth - 1).max())
    return {
        "first": first,
        "wall": wall,
        "cpu": cpu,
        "peak": (peak - base) / 1024,
        "corner": corner,
        "error": error,
    }


def timed(command: list[str], case: Case, runs: int) -> dict[str, Any]:
    """Run one side of a case in a process of its own."""
    request = {"phi": case.phi, "depth": case.depth, "n": case.n, "d": case.d, "runs": runs}
    done = subprocess.run(
        [*command, json.dumps(request)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if done.returncode:
        raise SystemExit(f"{case} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(peer: str | None, runs: int) -> bool:
    """Print a line for every case; return whether all bounds hold."""
    import numpy as np

    print("against", "neural-tangents, measured now" if peer else RECORDED)
    kept = True
    for case in CASES:
        mine = timed([sys.executable, __file__, "--case"], case, runs)
        outputs = 2 * 8 * case.n**2 / 2**20
        line = (
            f"{case!s:34} {mine['wall']:7.3f} s, cpu {mine['cpu']:6.3f} s, "
            f"{mine['peak']:5.0f} MB ({mine['peak'] / outputs:4.2f} x outputs), "
            f"first call {mine['first']:4.1f} s"
        )
        if peer:
            other = timed([peer, "-c", PEER], case, max(runs // 2, 2))
            far = max(
                float(np.abs(np.array(a) / np.array(b) - 1).max())
                for a, b in zip(other["corner"], mine["corner"], strict=True)
            )
            line += (
                f" | peer {other['wall']:6.3f} s, cpu {other['cpu']:6.3f} s, "
                f"{other['peak']:5.0f} MB, differs by {far:.0e}"
            )
            ratio, work = other["wall"] / mine["wall"], other["cpu"] / mine["cpu"]
            line += f" | cpu {work:.1f} x,"
        else:
            ratio = case.recorded / mine["wall"]
            line += f" | recorded {case.recorded} s |"
        kept &= ratio >= case.bound
        verdict = "ok" if ratio >= case.bound else "TOO SLOW"
        line += f" {ratio:.1f} x (at least {case.bound:g}) {verdict}"
        if mine["error"] is not None:
            line += f", error {mine['error']:.0e}"
        print(line, flush=True)
    return kept


def growth(runs: int) -> None:
    """Print times against N and depth, with the share of what the hardware allows."""
    print("\nrelu, both kernels, d = 784: seconds, and the share of BLAS and of rows in the cache")
    for n, depth in ((1000, 3), (2000, 3), (4000, 3), (8000, 3), (4000, 1), (4000, 6), (4000, 10)):
        compiled, x = program("relu", depth, 784), samples(n, 784)
        compiled.kernels(x[:8])
        wall, cpu, _ = least(lambda: compiled.kernels(x), runs)  # noqa: B023 - used at once
        blas, rows = bounds(compiled, x, runs)
        print(
            f"  N = {n:5}, depth {depth:2}: {wall:7.3f} s, cpu {cpu:7.3f} s; bound "
            f"{blas:6.3f} (BLAS) + {rows:6.3f} (rows) s: {100 * (blas + rows) / wall:3.0f} %",
            flush=True,
        )


def bounds(compiled: Any, x: Any, runs: int) -> tuple[float, float]:
    """Return the least seconds of the product of the inputs, and of the recursion, on all cores."""
    import numpy as np
    from scipy.linalg.blas import dsyrk

    from tpc.codegen import load
    from tpc.limit.evaluation import CompiledWork, joint

    wall, _, _ = least(lambda: dsyrk(1.0, x.T, trans=True), runs)
    limits = [compiled.limit("nngp"), compiled.limit("ntk")]
    kernels = joint(limits)
    module = load(limits[0].joint_source(limits[1:], kernels))
    small = CompiledWork(kernels, module, x[:16], x[:512], 1e-10)
    rows, columns = small.rows, small.columns
    out = np.empty((small.entries, rows, columns))
    with small.running(rows) as band:
        band(0, rows, out, 0)
    arguments = (
        np.random.default_rng(0).uniform(-0.1, 1, (rows, columns)),
        *small.prepared["norms"],
        1e-10,
        np.ascontiguousarray(small.prepared["left"]),
        small.prepared["right"],
        out,
    )
    given = (rows, 0, -rows, 0, columns, *arguments)
    each, _, _ = least(lambda: module.pairs(*given), 30 * runs)
    cores = module.THREADS
    return wall, each / (rows * columns) * len(x) * (len(x) + 1) / 2 / cores


def main() -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="a Python interpreter with neural-tangents")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--growth", action="store_true", help="only the second table")
    given = parser.parse_args()
    if given.case:
        print(json.dumps(ours(json.loads(given.case))))
        return
    kept = given.growth or table(given.peer, given.runs)
    growth(given.runs)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
