"""Hold predicted exponents against measured ones: ``python bench/slopes.py [--fast] [FILE ...]``.

Every example and every program of tests/zoo is classified, trained at several widths, and measured
(see tpc.slopes). Prints one line a program and one for every quantity that differs, and at the end
the share of quantities that agree. Programs that are unstable are run for the step at which they
break, and count as seen when something grows there. A program with a quantity that does not agree
at once is measured again with more seeds, and then at larger widths. Exit code 1 if any
quantity differs.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

#: Finite sizes change no exponent: examples are made small.
SMALLER: dict[str, dict[str, Any]] = {
    "adam_perceptron": {"d": 8, "k": 3},
    "batchnorm": {"d": 8, "k": 3},
    "gru": {"d": 4},
    "lstm": {"d": 4},
    "maml": {"d": 8, "ways": 3, "queries": 2},
    "perceptron": {"d": 8},
    "phase": {"a1": "-1/2", "b1": "1/2", "a2": 0, "b2": "1/2", "a3": "1/2", "b3": "1/2", "c": 0},
    "resnet": {"d": 8, "k": 3, "L": 3},
    "rnn": {"d": 4},
    "tied_lm": {"vocab": 7},
    "transformer": {"d": 4, "T": 3, "heads": 2, "k": 3},
    "word2vec": {"vocab": 9},
}
#: Pixels make these large, singular values slow.
NARROW = {
    "convnet": (16, 32, 64, 128),
    "mlp_muon": (32, 64, 128, 256),
    "mlp_muon_adam_rate": (32, 64, 128, 256),
}
WIDTHS = (64, 128, 256, 512)
WIDER = (128, 256, 512, 1024)
SEEDS, MORE_SEEDS = 6, 20
GROWS = 0.1


@dataclass(frozen=True)
class Outcome:
    """What was found for one program."""

    name: str
    result: Any
    seconds: float

    @property
    def grown(self) -> bool:
        """Whether some size grows, or is not finite."""
        rows = self.result.rows
        return any(row.slope > GROWS if row.slope is not None else not row.zero for row in rows)

    def line(self) -> str:
        counts = {verdict.value: count for verdict, count in self.result.counts.items()}
        kind = self.result.classification.kind.value
        if self.result.judged:
            said = "   ".join(f"{counts[v]:3} {v}" for v in ("agrees", "transient", "differs"))
        elif kind == "unstable":
            said = "grows" if self.grown else "DOES NOT GROW"
        else:
            said = "vanishes"
        return f"{self.name:38} {kind:10} {said}   {self.seconds:.1f} s"


def programs(files: list[str]) -> Iterator[Path]:
    if files:
        yield from map(Path, files)
        return
    yield from sorted((ROOT / "examples").glob("*.tp"))
    yield from sorted((ROOT / "tests" / "zoo").glob("*.tp"))


def measure(path: Path, fast: bool) -> Outcome:
    import tpc

    start = time.perf_counter()
    program = tpc.compile(path)
    if path.stem in SMALLER:
        program = program.with_(**SMALLER[path.stem])
    widths = NARROW.get(path.stem, WIDTHS)
    result = program.slopes(widths=widths, seeds=range(SEEDS))
    if not fast and result.judged and result.counts["agrees"] < len(result.rows):
        result = program.slopes(widths=widths, seeds=range(MORE_SEEDS))
    if not fast and result.judged and result.counts["agrees"] < len(result.rows):
        result = program.slopes(widths=NARROW.get(path.stem, WIDER), seeds=range(MORE_SEEDS))
    return Outcome(path.stem, result, time.perf_counter() - start)


def differing(result: Any) -> Iterator[str]:
    lines = result.text().splitlines()
    for row, line in zip(result.rows, lines[1:], strict=False):
        if row.verdict == "differs":
            yield f"    {line}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="never measure again")
    parser.add_argument("files", nargs="*")
    request = parser.parse_args()
    warnings.simplefilter("ignore")
    total: Counter[str] = Counter()
    stable = broken = seen = 0
    for path in programs(request.files):
        outcome = measure(path, request.fast)
        print(outcome.line(), flush=True)
        if outcome.result.judged:
            stable += 1
            total.update({v.value: count for v, count in outcome.result.counts.items()})
            for line in differing(outcome.result):
                print(line, flush=True)
        elif outcome.result.classification.kind == "unstable":
            broken += 1
            seen += outcome.grown
    rows = sum(total.values())
    said = ", ".join(f"{count} {verdict} ({count / rows:.1%})" for verdict, count in total.items())
    print(f"{stable} stable programs, {rows} quantities: {said}")
    print(f"{broken} unstable programs, {seen} seen to grow")
    return 1 if total["differs"] or seen < broken else 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
