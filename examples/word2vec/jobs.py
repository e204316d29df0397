"""One network trained on one text: in the limit or at a width; resumable."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tpc
from tpc.datasets import analogies
from tpc.datasets.cbow import Cbow
from tpc.online.saving import Saving
from tpc.storage import write_text

HERE = Path(__file__).resolve().parent
CAPITALS = "capital-common-countries"


@dataclass(frozen=True)
class Settings:
    """What all jobs of a study share; it is written beside every result."""

    text: str
    sha256: str
    questions: str
    most: int | None
    letters: bool
    least: int
    epochs: int
    window: int
    fixed: bool
    negatives: int
    subsample: float


@dataclass(frozen=True)
class Job:
    """A network: ``program`` is word2vec or kernel, ``width`` None is the limit."""

    program: str
    width: int | None
    seed: int

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"{self.program}-{self.width or 'limit'}-{self.seed}"


class Reporter:
    """Progress on stderr, with the time that remains."""

    def __init__(self, name: str, done: int, steps: int) -> None:
        self.name, self.first, self.steps = name, done, steps
        self.began = self.shown = time.monotonic()

    def show(self, done: int, epoch: int, loss: float) -> None:
        now = time.monotonic()
        if now - self.shown < (0.5 if sys.stderr.isatty() else 20) or done == self.first:
            return
        self.shown = now
        left = (now - self.began) / (done - self.first) * (self.steps - done)
        minutes = f"{left / 60:.0f} min" if left > 120 else f"{left:.0f} s"
        text = f"{self.name}: epoch {epoch + 1}, {done / self.steps:.1%}, loss {loss:.3f}"
        end = "\r" if sys.stderr.isatty() else "\n"
        print(f"{text + ', ' + minutes + ' left':78}", end=end, file=sys.stderr, flush=True)


def run(job: Job, source: Cbow, settings: Settings, folder: Path, asked: Mapping[str, Any]) -> dict:
    """Train a network, or read what an earlier run has found; return its result."""
    path = folder / "jobs" / f"{job.name}.json"
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["settings"] != json.loads(json.dumps(asdict(settings))):
            raise SystemExit(f"{path} has other settings: name another --output")
        return found
    program = tpc.compile(HERE / f"{job.program}.tp").with_(
        vocab=len(source.text.words), window=settings.window, negatives=settings.negatives
    )
    compiled, steps = program.online(), source.samples(settings.epochs)
    network = (
        compiled.limit(steps=steps)
        if job.width is None
        else compiled.network(job.width, seed=job.seed, steps=steps)
    )
    saving = Saving(path.with_suffix(".npz"), network, json.dumps([asdict(settings), job.seed]))
    result = train(job, source, settings, network, saving, asked)
    result |= {"settings": asdict(settings), "memory": network.memory, "samples": steps}
    result["class"] = str(program.classify().kind.value)
    write_text(path, json.dumps(result, indent=1) + "\n")
    saving.path.unlink(missing_ok=True)
    return json.loads(json.dumps(result))


def train(
    job: Job, source: Cbow, settings: Settings, network: Any, saving: Saving, asked: Mapping
) -> dict[str, Any]:
    """Train to the end, from the start or from where the saved state is."""
    index, epochs = source.text.index, settings.epochs
    state = saving.resume() or {
        "epoch": np.array(0), "batch": np.array(0), "seconds": np.zeros(epochs),
        "loss": np.zeros(epochs), "accuracy": np.full(epochs, np.nan),
    }  # fmt: skip
    report = Reporter(job.name, network.steps_done, network.steps)
    for epoch in range(int(state["epoch"]), epochs):
        samples = source.epoch(epoch)
        for number in range(int(state["batch"]), samples.batches):
            began = time.process_time()
            losses = network.train(samples.batch(number))
            state["seconds"][epoch] += time.process_time() - began
            state["loss"][epoch] += losses.sum() / samples.count
            state |= {"epoch": np.array(epoch), "batch": np.array(number + 1)}
            saving.keep(state)
            report.show(network.steps_done, epoch, float(losses.mean()))
        found = analogies.scores(network.weights["U"], index, asked)
        state["accuracy"][epoch] = analogies.total(found).accuracy
        state |= {"epoch": np.array(epoch + 1), "batch": np.array(0)}
        saving.keep(state)
    found = analogies.scores(network.weights["U"], index, asked)
    vectors = network.weights["U"]
    return {
        "job": asdict(job),
        "scores": [asdict(each) for each in (*found, analogies.total(found))],
        "epochs": {name: state[name].tolist() for name in ("seconds", "loss", "accuracy")},
        "neighbours": neighbours(vectors, source, asked),
        "capitals": capitals(vectors, source, asked),
    }


def neighbours(vectors: np.ndarray, source: Cbow, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nearest words of some words, and the answers to some questions."""
    text, index = source.text, source.text.index
    wanted = [w for w in ("france", "king", "two", "war", "computer", "music") if w in index]
    near = {
        word: [(text.words[k], c) for k, c in analogies.nearest(vectors, {index[word]: 1.0})]
        for word in wanted or text.words[20:26]
    }
    answers = {}
    for section in (CAPITALS, "family", "currency", "gram7-past-tense"):
        some = [q for q in asked.get(section, []) if all(word in index for word in q)]
        for a, b, c, d in some[:: max(1, len(some) // 3)][:3]:
            weights = {index[b]: 1.0, index[a]: -1.0, index[c]: 1.0}
            best = analogies.nearest(vectors, weights, 3)
            answers[f"{a} : {b} = {c} : {d}"] = [(text.words[k], cos) for k, cos in best]
    return {"near": near, "answers": answers}


def capitals(vectors: np.ndarray, source: Cbow, asked: Mapping[str, Any], most: int = 10) -> dict:
    """Return two coordinates of the vectors of countries and capitals that the text has."""
    index = source.text.index
    pairs = dict.fromkeys((b, a) for a, b, _, _ in asked.get(CAPITALS, []))
    known = [pair for pair in pairs if all(word in index for word in pair)]
    known = sorted(known, key=lambda pair: max(index[word] for word in pair))[:most]
    if len(known) < 3:
        return {"pairs": [], "places": []}
    rows = [index[word] for pair in known for word in pair]
    places = analogies.principal(analogies.normalised(vectors[rows]))
    return {"pairs": known, "places": places.tolist()}
