"""From which alphabet is a handwritten character? An infinitely wide network answers.

Classifies the program ``characters.tp``, evaluates its NNGP and its NTK on 2,040 images, predicts
680 more, trains the same program at finite widths, prints the accuracies and draws a picture.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from picture import draw

import tpc
from tpc.limit.predict import ridge_solve, tangent

HERE = Path(__file__).resolve().parent
Array = np.ndarray


@dataclass(frozen=True)
class Data:
    """Images as rows, labels from 0, and the test images to look at."""

    x: Array
    y: Array
    test_x: Array
    test_y: Array
    test_image: Array
    names: tuple[str, ...]

    @property
    def targets(self) -> Array:
        """The labels as rows of zeros and a one."""
        return np.eye(len(self.names))[self.y]


@dataclass(frozen=True)
class Result:
    """A predictor's outputs at the training and at the test points, after the last step."""

    name: str
    train: Array
    test: Array


def load(most: int | None) -> Data:
    """Read the data set; with ``most``, only so many training images, evenly spread."""
    with np.load(HERE / "characters.npz") as file:
        step = 1 if most is None else len(file["x"]) // most
        return Data(
            x=file["x"][::step].astype(float),
            y=file["y"][::step].astype(int),
            test_x=file["test_x"].astype(float),
            test_y=file["test_y"].astype(int),
            test_image=file["test_image"],
            names=tuple(map(str, file["names"])),
        )


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say on stderr what is being done and how long it took."""
    print(f"{what} ...", end=" ", file=sys.stderr, flush=True)
    start = time.perf_counter()
    yield
    print(f"{time.perf_counter() - start:.1f} s", file=sys.stderr)


def kernel(program: tpc.Program, kind: str, data: Data) -> tuple[Array, Array]:
    """Return a limit between the training images, and from the test images to them."""
    limit = program.limit(kind)
    with timed(f"evaluating the {kind.upper()} on {len(data.x):,} images"):
        return limit.evaluate(data.x), limit.evaluate(data.test_x, data.x)


def posterior(program: tpc.Program, data: Data) -> Result:
    """Return the posterior mean of the Gaussian process that the network is before training."""
    train, test = kernel(program, "nngp", data)
    coefficients = ridge_solve(train, data.targets)
    name = "NNGP: posterior mean, infinitely wide"
    return Result(name, train @ coefficients, test @ coefficients)


def descent(program: tpc.Program, data: Data, steps: int) -> tuple[Array, Array, Result]:
    """Train the infinitely wide network.

    Returns its outputs after 0, 1, ..., steps at the training and the test images, and where
    training ends. The mean squared error is a sum over N images and k outputs times 2 / (N k).
    """
    train, test = kernel(program, "ntk", data)
    training = tangent(train, test, data.targets, weight=2 / data.targets.size)
    each_train, each_test = training.steps(learning_rate(program), range(steps + 1))
    end_train, end_test = training.flow([np.inf])
    end = Result("NTK: trained to the end, infinitely wide", end_train[0], end_test[0])
    return each_train, each_test, end


def network(program: tpc.Program, data: Data, width: int, steps: int) -> Array:
    """Train the program at a finite width; return outputs (steps + 1, N + N', k).

    The output at initialisation is random, of order one even at infinite width. It is subtracted,
    and added to the targets, so that what remains begins at zero, as the limit's mean does.
    """
    points = {"x": np.concatenate([data.x, data.test_x])}
    inputs = {"x": data.x, "y": data.targets}
    with timed(f"training a network of width {width:,} for {steps} steps"):
        first = program.simulate(inputs, width=width, test=points).f[0, 0]
        inputs["y"] = data.targets + first[: len(data.x)]
        done = program.simulate(inputs, width=width, steps=steps, test=points)
    return done.f[0] - first


def accuracy(f: Array, labels: Array) -> float:
    """Return the fraction of rows whose largest entry stands at the label."""
    return float((f.argmax(-1) == labels).mean())


def table(results: Sequence[Result], data: Data) -> str:
    """Return accuracies on both sets as text."""
    lines = [f"{'':44}{'training':>10}{'test':>10}"]
    for each in results:
        train, test = accuracy(each.train, data.y), accuracy(each.test, data.test_y)
        lines.append(f"{each.name:44}{train:10.1%}{test:10.1%}")
    return "\n".join(lines)


def job(program: tpc.Program, data: Data, widths: Sequence[int], steps: int, path: Path) -> None:
    """Evaluate the limits, train the networks, print the table and draw the picture."""
    count = len(data.x)
    before = posterior(program, data)
    train, test, end = descent(program, data, steps)
    after = Result(f"NTK: {steps} steps, infinitely wide", train[-1], test[-1])
    results = [before, end, after]
    curves = {}
    for width in widths:
        f = network(program, data, width, steps)
        curves[width] = [accuracy(each[count:], data.test_y) for each in f]
        results.append(
            Result(f"network: {steps} steps, width {width:,}", f[-1, :count], f[-1, count:])
        )
    print(table(results, data))
    limit = [accuracy(each, data.test_y) for each in test]
    ends = {
        "NNGP, posterior mean": accuracy(before.test, data.test_y),
        "NTK, trained to the end": accuracy(end.test, data.test_y),
    }
    answers = end.test.argmax(-1)
    draw(path, limit, ends, curves, data.test_image, data.test_y, answers, data.names)
    print(f"\npicture: {path}")


def learning_rate(program: tpc.Program) -> float:
    """Return the optimizer's learning rate."""
    (optimizer,) = program.module.optimizers
    rate = optimizer.options["lr"]
    assert not isinstance(rate, str)
    return rate.constant.value


def main() -> None:
    """Do the whole job, or a small one with ``--quick``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder of the picture")
    parser.add_argument("--quick", action="store_true", help="few images, steps and widths")
    options = parser.parse_args()
    data = load(200 if options.quick else None)
    program = tpc.compile(HERE / "characters.tp")
    print(f"{len(data.x):,} training images, {len(data.test_x)} test images\n")
    print(program.classify().text(), end="\n\n")
    widths, steps = ((32,), 20) if options.quick else ((16, 64, 256), 200)
    job(program, data, widths, steps, options.output / "characters.png")


if __name__ == "__main__":
    main()
