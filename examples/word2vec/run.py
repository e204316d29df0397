"""Word vectors of infinitely wide word2vec, beside those of finite widths and of kernels.

    python run.py --small                                  a made-up text, in a minute
    python run.py --text text8.zip --questions questions-words.txt --output out

Prints tables of analogies, nearest neighbours, and writes pictures. Interrupted, the same command
continues; results of complete networks are read again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import jobs
import report
import toy

import tpc
from tpc.datasets import analogies
from tpc.datasets.cbow import Cbow
from tpc.datasets.fetch import fetched
from tpc.datasets.text import Corpus, Text, corpus
from tpc.storage import write_text

HERE = Path(__file__).resolve().parent


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a made-up text, small widths")
    parser.add_argument("--text", help="path or address: plain, .gz or .zip; zip::member")
    parser.add_argument("--sha256", help="refuse a text with another checksum")
    parser.add_argument("--questions", help="questions-words.txt")
    parser.add_argument("--bytes", type=int, help="read only so many bytes of the text")
    parser.add_argument("--letters", action="store_true", help="lower case, only words of letters")
    parser.add_argument(
        "--least", type=int, default=5, help="count of the rarest word that is kept"
    )
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--window", type=int, default=8)
    parser.add_argument("--fixed-window", action="store_true", help="never shrink it at random")
    parser.add_argument("--negatives", type=int, default=25)
    parser.add_argument("--subsample", type=float, default=1e-4)
    parser.add_argument("--widths", type=numbers, default=(16, 64, 256, 1024))
    parser.add_argument("--seeds", type=int, default=3, help="of finite widths")
    parser.add_argument("--limit-seeds", type=int, default=1, help="they select samples only")
    parser.add_argument("--kernel-widths", type=numbers, default=())
    parser.add_argument("--no-limit", action="store_true", help="finite widths only")
    parser.add_argument("--no-kernel", action="store_true", help="without the kernel limit")
    parser.add_argument("--output", type=Path, default=Path("out"))
    found = parser.parse_args()
    if found.small:
        path, asked = toy.write(found.output)
        found.text, found.questions, found.bytes = str(path), str(asked), None
        found.least, found.epochs, found.widths, found.subsample = 3, 5, (4, 16, 64), 3e-3
        found.seeds, found.limit_seeds, found.kernel_widths = 3, 3, (16,)
        found.window, found.negatives = 4, 10
    if not (found.text and found.questions):
        parser.error("name --text and --questions, or take --small")
    return found


def numbers(text: str) -> tuple[int, ...]:
    """Read widths: 16,64."""
    return tuple(int(part) for part in text.split(",") if part)


def settings_of(chosen: argparse.Namespace, path: str) -> jobs.Settings:
    """Return what is written beside the results."""
    with Path(path.partition("::")[0]).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return jobs.Settings(
        Path(chosen.text).name, digest, Path(chosen.questions).name, chosen.bytes, chosen.letters,
        chosen.least, chosen.epochs, chosen.window, chosen.fixed_window, chosen.negatives,
        chosen.subsample,
    )  # fmt: skip


def wanted(chosen: argparse.Namespace) -> list[jobs.Job]:
    """Return the networks to train."""
    found = [jobs.Job("word2vec", w, s) for w in chosen.widths for s in range(chosen.seeds)]
    if not chosen.no_limit:
        found += [jobs.Job("word2vec", None, s) for s in range(chosen.limit_seeds)]
    found += [jobs.Job("kernel", width, 0) for width in chosen.kernel_widths]
    if not (chosen.no_kernel or chosen.no_limit):
        found.append(jobs.Job("kernel", None, 0))
    return found


def describe(text: Corpus) -> None:
    """Print what the compiler finds of the two programs."""
    print(text, end="\n\n")
    for name in ("word2vec", "kernel"):
        program = tpc.compile(HERE / f"{name}.tp").with_(vocab=len(text.words))
        print(f"{name}.tp: {program.classify().kind.value}\n{program.online().text()}\n")


def main() -> None:
    """Train every network that is wanted, and report."""
    chosen = options()
    archive, colons, member = chosen.text.partition("::")
    path = f"{fetched(archive, chosen.output, chosen.sha256)}{colons}{member}"
    text = corpus(Text(path, chosen.bytes, chosen.letters), chosen.least)
    settings, asked = settings_of(chosen, path), analogies.questions(chosen.questions)
    describe(text)
    results = []
    for job in wanted(chosen):
        source = Cbow(
            text, chosen.window, chosen.negatives, chosen.subsample, job.seed, chosen.fixed_window
        )
        results.append(jobs.run(job, source, settings, chosen.output, asked))
    write_text(chosen.output / "results.json", json.dumps(results, indent=1) + "\n")
    print(report.table(results), end="\n\n")
    print(report.sections(results), end="\n\n")
    report.widths_picture(chosen.output / "widths.png", results)
    limits = {r["job"]["program"]: r for r in results if r["job"]["width"] is None}
    if "word2vec" in limits:
        print(report.words(limits["word2vec"]))
    if len(limits) == 2:
        report.capitals_picture(
            chosen.output / "capitals.png", limits["kernel"], limits["word2vec"]
        )
    print(f"\npictures and results: {chosen.output}")


if __name__ == "__main__":
    try:
        main()
    except tpc.TpcError as error:
        sys.exit(str(error).strip())
    except KeyboardInterrupt:
        sys.exit("interrupted: the same command continues")
