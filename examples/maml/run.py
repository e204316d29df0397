"""Few-shot Omniglot by first-order MAML: limits and finite widths, in one table.

``python run.py --data FOLDER`` takes minutes, ``--full`` runs the paper's 10,000 meta-steps. Every
finished row is a JSON file in ``--output``; a run that was stopped continues.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from report import plot, table
from rows import ROWS, Row

import tpc
from tpc.datasets.omniglot import Characters, load
from tpc.datasets.tasks import Tasks
from tpc.feature.threads import single_threaded_products
from tpc.fewshot import accuracy
from tpc.kernel_session import KernelSession
from tpc.storage import write_text
from tpc.streaming import train_stream

HERE = Path(__file__).parent
TASKS, INNER_TEST, EPOCH = 32, 20, 100


def main() -> None:
    options = arguments()
    data = tasks(options)
    chosen = [varied(row, options) for row in ROWS if not options.rows or row.name in options.rows]
    with single_threaded_products():  # products are small: a second thread mostly waits
        for row, seed in product(chosen, range(options.seeds)):
            one(row, seed, data, options)
    results = [json.loads(p.read_text()) for p in sorted(options.output.glob("result-*.json"))]
    text = table(results, [row.name for row in ROWS])
    write_text(options.output / "table.txt", text)
    plot(results, options.output / "accuracy.png")
    print(text, end="")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with Omniglot's zip files")
    parser.add_argument("--output", type=Path, default=Path("maml-results"))
    parser.add_argument("--full", action="store_true", help="100 x 100 meta-steps, as in TP4")
    parser.add_argument("--steps", type=int, help="meta-steps (1000, or 10000 with --full)")
    parser.add_argument("--tests", type=int, help="test tasks (500, or 4000 with --full)")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each row")
    parser.add_argument("--rows", nargs="*", help=f"of {', '.join(row.name for row in ROWS)}")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="other settings")
    parser.add_argument("--particles", type=int, help="samples of limits that are integrals")
    parser.add_argument("--size", type=int, default=28, help="pixels of a side")
    options = parser.parse_args()
    options.steps = options.steps or (10_000 if options.full else 1_000)
    options.tests = options.tests or (4_000 if options.full else 500)
    return options


def varied(row: Row, options: argparse.Namespace) -> Row:
    """Return a row with the settings and the number of samples that the user asks for."""
    settings = {**row.settings, **dict(each.split("=", 1) for each in options.set)}
    return replace(row, settings=settings, particles=options.particles or row.particles)


def tasks(options: argparse.Namespace) -> dict[str, Characters]:
    """Return the characters of each split; rotations are further classes, but not for tests."""
    found = {}
    for split in ("train", "val", "test"):
        cache = options.output / f"omniglot-{split}.npz"
        characters = load(options.data, split, size=options.size, cache=cache)
        found[split] = characters if split == "test" else characters.rotated()
    return found


def one(row: Row, seed: int, data: dict[str, Characters], options: argparse.Namespace) -> None:
    """Train and test one network, unless that was done; write its result."""
    result = options.output / f"result-{row.name}-{seed}.json"
    steps = min(options.steps, row.steps or options.steps)
    asked = {"row": asdict(row), "seed": seed, "steps": steps, "tests": options.tests}
    asked |= {"size": options.size, "version": tpc.__version__}
    if result.exists() and all(
        json.loads(result.read_text()).get(k) == v for k, v in asked.items()
    ):
        return
    session, predict, predict_long = network(row, seed, steps, options.size)
    train, val, test = (
        Tasks(data[split].images, seed=100 * seed + number) for number, split in enumerate(data)
    )
    run = train_stream(
        session,
        lambda number: train.batch(number, TASKS),
        steps,
        score=lambda _: accuracy(predict, val, 600).mean,
        every=min(EPOCH, max(1, steps // 10)),
        checkpoint=options.output / f"state-{row.name}-{seed}.npz",
        request=json.dumps(asked),
        progress=Progress(f"{row.name} (seed {seed})"),
    )
    began = time.process_time() - run.cpu
    found = {"test": accuracy(predict_long, test, options.tests)}
    found["test, one inner step"] = accuracy(predict, test, options.tests)
    found["validation"] = accuracy(predict_long, val, options.tests)
    content: dict[str, Any] = {name: asdict(each) for name, each in found.items()}
    content |= asked | {"method": session.method, "best step": run.best, "scores": run.scores}
    content["CPU seconds"] = round(time.process_time() - began, 1)
    write_text(result, json.dumps(content, indent=1))
    print(f"{row.name}: {found['test']} after step {run.best}", file=sys.stderr)


def network(row: Row, seed: int, steps: int, size: int) -> tuple[Any, Any, Any]:
    """Return a session, and its predictions after one and after many inner steps."""
    program = tpc.compile(HERE / row.program).with_(d=size**2, **row.settings)
    if row.kernel is not None:
        kernel = KernelSession(program.kernel_limit(row.kernel), ways=5)
        return (
            kernel,
            lambda b: kernel.outputs(b)["f"],
            lambda b: kernel.outputs(b, INNER_TEST)["f"],
        )
    session = program.session(row.width, seed=seed, steps=steps, particles=row.particles)

    def predict(batch: Any, module: Any) -> Any:
        return session.outputs(batch, module)["f"]

    longer = program.with_(inner_steps=INNER_TEST).module
    return session, partial(predict, module=program.module), partial(predict, module=longer)


class Progress:
    """A line on stderr, now and then: what is done, and the time that remains."""

    def __init__(self, title: str) -> None:
        self.title, self.began, self.last, self.first = title, time.monotonic(), 0.0, -1

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self.first < 0:
            self.first = done - 1
        if now - self.last < 2 and done < total:
            return
        self.last = now
        left = (now - self.began) / (done - self.first) * (total - done)
        end = "\n" if done == total else "\r"
        print(f"{self.title}: {done}/{total}, {left:5.0f} s left ", end=end, file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except tpc.TpcError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command continues")
