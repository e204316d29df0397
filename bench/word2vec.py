"""Measure an epoch of word2vec: ``python bench/word2vec.py TEXT``.

One run, one thread, CPU seconds of training alone: the limit and finite widths by the compiled
online step, the same limit and one of twice the width (what a C program without the identity's
structure would take: coefficients over input and output vectors) by a plain C program on the same
samples, and plain NumPy on some of them. Without a text, one is made up.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

import tpc
from tpc.datasets.cbow import Cbow
from tpc.datasets.text import Corpus, Text, corpus
from tpc.feature.threads import single_threaded_products
from tpc.online import OnlineNetwork

HERE = Path(__file__).resolve().parent
PROGRAM = HERE.parent / "examples" / "word2vec" / "word2vec.tp"
RATE, DECAY, SOME = 0.05, 0.001, 2000
Batch = dict[str, np.ndarray]


def made_up(count: int = 500_000, words: int = 3000) -> Corpus:
    """Words drawn by Zipf's law."""
    random = np.random.default_rng(0)
    share = 1 / np.arange(1, words + 1)
    tokens = random.choice(words, count, p=share / share.sum()).astype(np.int32)
    counts = np.bincount(tokens, minlength=words)
    return Corpus(tuple(map(str, range(words))), counts, tokens, count)


def compiled(source: Cbow, width: int | None, samples: list[Batch]) -> tuple[float, float]:
    """Return CPU seconds of one epoch and the mean loss."""
    online = tpc.compile(PROGRAM).with_(vocab=len(source.text.words)).online()
    total = sum(len(each["words"]) for each in samples)

    def network() -> OnlineNetwork:
        return online.limit(steps=total) if width is None else online.network(width, steps=total)

    network().train({name: array[:1] for name, array in samples[0].items()})  # compiles
    trained = network()
    began = time.process_time()
    losses = [trained.train(each) for each in samples]
    return time.process_time() - began, float(np.concatenate(losses).mean())


def in_c(source: Cbow, width: int, samples: list[Batch], folder: Path) -> tuple[float, float]:
    """Return the same for the C program."""
    program, data = folder / "word2vec", folder / "samples"
    options = ["-O3", "-march=native", "-ffast-math"]
    subprocess.run(
        ["gcc", *options, str(HERE / "word2vec.c"), "-o", str(program), "-lm"], check=True
    )
    rows = [
        np.concatenate([np.where(b["share"] > 0, b["context"], 0), b["words"]], axis=1) - 1
        for b in samples
    ]
    array = np.concatenate(rows).astype(np.int32)
    array.tofile(data)
    words, picks = len(source.text.words), 1 + source.negatives
    arguments = [data, words, width, source.window, picks, len(array), RATE, DECAY]
    done = subprocess.run(
        [str(program), *map(str, arguments)], check=True, capture_output=True, text=True
    )
    seconds, loss, _ = map(float, done.stdout.split())
    return seconds, loss


def in_numpy(source: Cbow, samples: list[Batch]) -> float:
    """Return CPU seconds of an epoch in plain NumPy, from some samples."""
    words = len(source.text.words)
    u, v = np.eye(words, dtype=np.float32), np.zeros((words, words), np.float32)
    batch, total = samples[0], sum(len(each["words"]) for each in samples)
    began = time.process_time()
    for t in range(SOME):
        there = batch["share"][t] > 0
        context, chosen = batch["context"][t][there] - 1, batch["words"][t] - 1
        rate = np.float32(RATE * (1 - t / total))
        h, rows = u[context].mean(axis=0), v[chosen]
        g = 1 / (1 + np.exp(-(rows @ h))) - batch["label"][t].astype(np.float32)
        e = g @ rows
        np.add.at(v, chosen, -rate * g[:, None] * h)
        np.add.at(u, context, -rate / np.float32(len(context)) * e)
        v[chosen] *= 1 - rate * np.float32(DECAY)
        u[context] *= 1 - rate * np.float32(DECAY)
    return (time.process_time() - began) / SOME * total


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="?")
    parser.add_argument("--bytes", type=int, default=3_000_000)
    parser.add_argument("--least", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    text = corpus(Text(chosen.text, chosen.bytes), chosen.least) if chosen.text else made_up()
    source, words = Cbow(text), len(text.words)
    began = time.process_time()
    epoch = source.epoch(0)
    samples = [epoch.batch(number) for number in range(epoch.batches)]
    drawing = time.process_time() - began
    print(f"{text}: {epoch.count:,} samples, drawn in {drawing:.2f} s of CPU time")

    def show(name: str, runs: list[tuple[float, float]]) -> None:
        print(f"{name:40}{min(s for s, _ in runs):8.2f} s   loss {runs[0][1]:.4f}", flush=True)

    repeats = range(chosen.repeats)
    show("limit, compiled step", [compiled(source, None, samples) for _ in repeats])
    show("width 1024, compiled step", [compiled(source, 1024, samples) for _ in repeats])
    if shutil.which("gcc"):
        with tempfile.TemporaryDirectory() as folder:
            for width, name in ((words, "limit"), (2 * words, "vectors of size 2V")):
                runs = [in_c(source, width, samples, Path(folder)) for _ in repeats]
                show(f"{name}, plain C", runs)
    with single_threaded_products():
        seconds = in_numpy(source, samples)
    print(f"{'limit, plain NumPy':40}{seconds:8.2f} s")


if __name__ == "__main__":
    main()
