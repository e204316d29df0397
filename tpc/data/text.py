"""Texts as arrays of tokens: windows of a long text with the token that follows, or lines."""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tpc.data.sets import TEST_PREFIX
from tpc.diagnostics import Diagnostic, TpcError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from tpc.data.sets import Reading
    from tpc.ir import InputSpec

UNKNOWN = "<unknown>"
TOKENS = ("characters", "words", "bytes")
_WORDS = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Texts:
    """Arrays by name, and what tokens 1, 2, ... and classes 0, 1, ... stand for."""

    arrays: dict[str, np.ndarray]
    tokens: tuple[str, ...]
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """Tokens and classes of the training set, where it was read before."""

    tokens: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None


def read_text(
    path: Path, spec: InputSpec, target: InputSpec | None, reading: Reading, known: Known
) -> Texts:
    """Return a text as arrays for an input of tokens ``[T] in vocab``.

    A ``.tsv`` file has one sample in a line, its class before a tab, its text after it: lines are
    cut or padded to T tokens, and the array ``mask`` (N, T) is 1 where there is a token. Any other
    text is cut into windows of T tokens; where the target has the axes ``[vocab]`` it is the token
    after the window, where it has ``[T, vocab]`` the token after each. With ``reading.test`` the
    end of the text makes the test windows, so that none of them overlaps with training windows.

    The vocabulary is made of the most frequent tokens of the training text; unless they are as many
    as the input takes, the last number stands for all others. ``known`` are the tokens and
    classes of the training set, for test files.

    Raises:
        TpcError: the file cannot be read, is not UTF-8, or is too short; the input takes no tokens.
    """
    shape = tuple(int(dim.count) for dim in spec.type.dims)
    if spec.type.below is None or len(shape) != 1:
        raise _misfit(spec, f"input `{spec.name}` takes no text", "declare `input ids : [T] in v`")
    text = _content(path)
    if path.suffix.lower() == ".tsv":
        return _lines(path, text, spec, target, reading, known)
    return _windows(path, _tokens(text, reading.tokens), spec, target, reading, known.tokens)


def _content(path: Path) -> str:
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        return content.decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise TpcError(Diagnostic("E0912", f"cannot read text from {path}: {why}")) from error


def _tokens(text: str, kind: str) -> list[str]:
    if kind == "words":
        return _WORDS.findall(text.lower())
    if kind == "bytes":
        return [f"{byte:02x}" for byte in text.encode()]
    return list(text)


def vocabulary(tokens: Sequence[str], most: int) -> tuple[str, ...]:
    """Return the most frequent tokens (ties in their order), at most so many.

    Where there are more, or fewer, the last one stands for all others.
    """
    counts = Counter(tokens)
    ranked = sorted(counts, key=lambda token: (-counts[token], token))
    return tuple(ranked) if len(ranked) == most else (*ranked[: most - 1], UNKNOWN)


def _encoded(tokens: Sequence[str], known: tuple[str, ...], path: Path) -> np.ndarray:
    """Return the numbers of tokens, from 1."""
    import numpy as np

    places = {token: k + 1 for k, token in enumerate(known)}
    other = places.get(UNKNOWN)
    strange = next((token for token in tokens if token not in places), None)
    if strange is not None and other is None:
        raise TpcError(
            Diagnostic(
                "E0918",
                f"{path} has the token {strange!r}, which the training text lacks",
                help="a larger vocabulary in the program leaves room for unknown tokens",
            )
        )
    return np.array([places.get(token, other) for token in tokens], dtype=np.int64)


def _windows(
    path: Path,
    tokens: list[str],
    spec: InputSpec,
    target: InputSpec | None,
    reading: Reading,
    known: tuple[str, ...] | None,
) -> Texts:
    size, vocab = int(spec.type.dims[0].count), int(spec.type.below or 0)
    middle = len(tokens) - round(reading.test * len(tokens))
    words = known or vocabulary(tokens[:middle], vocab)
    step = reading.stride or size
    arrays: dict[str, np.ndarray] = {}
    parts = {"": tokens[:middle], TEST_PREFIX: tokens[middle:]}
    for prefix, part in parts.items():
        if not part and prefix:
            continue
        if len(part) <= size:
            raise _misfit(spec, f"{path} has {len(part)} tokens: windows take {size + 1}", None)
        found = _cut(_encoded(part, words, path), size, step, target, vocab)
        count = len(found["ids"])
        wanted = reading.chosen(count) if not prefix else _share(reading, count)
        arrays[prefix + spec.name] = found.pop("ids")[wanted]
        arrays |= {prefix + name: array[wanted] for name, array in found.items()}
    return Texts(arrays, words, words if target is not None and target.name in arrays else ())


def _share(reading: Reading, count: int) -> np.ndarray:
    """Return the test windows in use: as many to the training windows as the share says."""
    import numpy as np

    if reading.most is None:
        return np.arange(count)
    wanted = max(1, round(reading.most * reading.test / (1.0 - reading.test)))
    order = np.random.default_rng([reading.seed, count, 2]).permutation(count)
    return np.sort(order[:wanted])


def _cut(
    numbers: np.ndarray, size: int, step: int, target: InputSpec | None, vocab: int
) -> dict[str, np.ndarray]:
    """Return windows "ids" (N, size) and, where the target takes them, the next tokens, one-hot."""
    import numpy as np

    starts = np.arange(0, len(numbers) - size, step)
    places = starts[:, None] + np.arange(size)
    found = {"ids": numbers[places]}
    if target is None:
        return found
    shape = tuple(int(dim.count) for dim in target.type.dims)
    if shape == (vocab,):
        found[target.name] = np.eye(vocab)[numbers[starts + size] - 1]
    elif shape == (size, vocab):
        found[target.name] = np.eye(vocab)[numbers[places + 1] - 1]
    return found


def _lines(
    path: Path,
    text: str,
    spec: InputSpec,
    target: InputSpec | None,
    reading: Reading,
    known: Known,
) -> Texts:
    import numpy as np

    size, vocab = int(spec.type.dims[0].count), int(spec.type.below or 0)
    rows = [line.partition("\t") for line in text.splitlines() if line.strip()]
    bad = next((k for k, row in enumerate(rows, 1) if not row[1] or not row[2].strip()), None)
    if bad is not None or not rows:
        where = f"line {bad}" if bad else "it"
        raise TpcError(
            Diagnostic(
                "E0918", f"{path}: {where} has no sample", help="lines are CLASS<tab>TEXT, one each"
            )
        )
    chosen = reading.chosen(len(rows))
    samples = [_tokens(rows[k][2], reading.tokens)[:size] for k in chosen]
    words = known.tokens or vocabulary([token for each in samples for token in each], vocab)
    ids, mask = np.ones((len(samples), size), dtype=np.int64), np.zeros((len(samples), size))
    for row, sample in enumerate(samples):
        ids[row, : len(sample)] = _encoded(sample, words, path)
        mask[row, : len(sample)] = 1.0
    classes = known.classes or tuple(sorted({row[0] for row in rows}))
    arrays = {spec.name: ids, "mask": mask}
    if target is not None:
        arrays[target.name] = _classes(path, rows, chosen, classes)
    return Texts(arrays, words, classes)


def _classes(
    path: Path, rows: list[tuple[str, str, str]], chosen: np.ndarray, classes: tuple[str, ...]
) -> np.ndarray:
    import numpy as np

    strange = sorted({row[0] for row in rows} - set(classes))
    if strange:
        said = f"{path} has the class {strange[0]}, which the training set lacks"
        raise TpcError(Diagnostic("E0913", said, help=f"the classes are {', '.join(classes[:20])}"))
    return np.array([classes.index(rows[k][0]) for k in chosen])


def _misfit(spec: InputSpec, message: str, help_: str | None) -> TpcError:
    return TpcError(Diagnostic("E0918", message, spec.span, help=help_))
