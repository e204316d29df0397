"""Text as numbered words: reading it a piece at a time, counting, encoding.

Files may be plain text, gzip, or zip, whatever their names say; a zip that was cut off is read up
to the cut. Nothing but the counts and four bytes for each word of the vocabulary that occurs is
kept in memory.
"""

from __future__ import annotations

import gzip
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tpc.diagnostics import Diagnostic, TpcError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

_PIECE = 2**20
_LETTERS = re.compile(rb"[a-z]+")
_FAULTS = (OSError, EOFError, zlib.error, zipfile.BadZipFile, struct.error, UnicodeDecodeError)


@dataclass(frozen=True)
class Text:
    """Where words come from.

    ``path`` may end with ``::member`` for a file in a zip (else its largest). ``most`` bytes are
    read at most, and a word that the end cuts is dropped. With ``letters`` text is lower-cased and
    words that are not made of the letters a to z are left out; text8 is such text already.
    """

    path: str
    most: int | None = None
    letters: bool = False

    def pieces(self) -> Iterator[list[bytes]]:
        """Yield lists of words, about a megabyte of text at a time.

        Raises:
            TpcError: the file cannot be read.
        """
        rest, whole = b"", True
        for piece, cut in _limited(_pieces(self.path), self.most):
            text, whole = rest + piece, not cut
            complete = text.rstrip(b" \n\t\r") != text
            words = text.split()
            rest = b"" if complete or not words else words.pop()
            yield self._chosen(words)
        if rest and whole:
            yield self._chosen([rest])

    def _chosen(self, words: list[bytes]) -> list[bytes]:
        if not self.letters:
            return words
        return [word for word in map(bytes.lower, words) if _LETTERS.fullmatch(word)]


def _limited(
    pieces: Iterator[tuple[bytes, bool]], most: int | None
) -> Iterator[tuple[bytes, bool]]:
    """Yield pieces, at most so many bytes together, and whether the text is cut off after each."""
    left = most
    for piece, cut in pieces:
        if left is None or len(piece) < left:
            yield piece, cut
            left = None if left is None else left - len(piece)
        else:
            after = piece[left : left + 1] or next(pieces, (b"", False))[0][:1]
            yield piece[:left], bool(after.strip())
            return


def _pieces(path: str) -> Iterator[tuple[bytes, bool]]:
    name, _, member = path.partition("::")
    try:
        with Path(name).open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            if magic == b"PK\x03\x04":
                yield from _zip(file, member)
            elif magic[:2] == b"\x1f\x8b":
                yield from ((piece, False) for piece in _stream(gzip.GzipFile(fileobj=file)))
            else:
                yield from ((piece, False) for piece in _stream(file))
    except _FAULTS as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise TpcError(Diagnostic("E0912", f"cannot read text from {name}: {why}")) from error


def _stream(file: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _zip(file: BinaryIO, member: str) -> Iterator[tuple[bytes, bool]]:
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile:  # it has no list of its files at the end: it was cut off
        file.seek(0)
        yield from _cut_zip(file)
        return
    names = {info.filename: info.file_size for info in archive.infolist() if not info.is_dir()}
    if member and member not in names:
        hint = did_you_mean(member, names) or f"it holds {', '.join(sorted(names)) or 'nothing'}"
        raise TpcError(Diagnostic("E0912", f"the archive has no file {member}", help=hint))
    if not names:
        raise TpcError(Diagnostic("E0912", "the archive holds no file"))
    with archive.open(member or max(names, key=lambda name: names[name])) as inside:
        while piece := inside.read(_PIECE):
            yield piece, False


def _cut_zip(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Yield the first file of a zip whose end is missing, as far as it goes."""
    header = struct.unpack("<4s5H3I2H", file.read(30))
    if header[3] != 8:
        raise zipfile.BadZipFile("a zip that was cut off and is not deflated")
    file.seek(header[9] + header[10], 1)
    unpack = zlib.decompressobj(-15)
    while not unpack.eof and (piece := file.read(_PIECE)):
        found = unpack.decompress(piece)
        if found:
            yield found, not unpack.eof


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text over its vocabulary.

    ``words`` are sorted by falling ``counts`` (ties by the alphabet); ``tokens`` (T,) int32 are
    their numbers, from 0, in the order of the text; rarer words are left out of it. ``read`` is
    how many words the text has with them.
    """

    words: tuple[str, ...]
    counts: np.ndarray
    tokens: np.ndarray
    read: int

    @cached_property
    def index(self) -> dict[str, int]:
        """Numbers of the words."""
        return {word: number for number, word in enumerate(self.words)}

    def __repr__(self) -> str:
        return (
            f"<{self.read:,} words of text, {len(self.tokens):,} of a vocabulary of "
            f"{len(self.words):,}>"
        )


def corpus(text: Text, least: int = 5) -> Corpus:
    """Read a text twice: to count its words, and to encode those that occur ``least`` times.

    Raises:
        TpcError: it cannot be read, or has fewer than two such words.
    """
    import numpy as np

    counted: Counter[bytes] = Counter()
    for piece in text.pieces():
        counted.update(piece)
    kept = sorted((-count, word) for word, count in counted.items() if count >= least)
    if len(kept) < 2:
        raise TpcError(
            Diagnostic(
                "E0912",
                f"{text.path} has {len(kept)} words that occur at least {least} times",
                help="take a longer text or a smaller minimal count",
            )
        )
    number = {word: k for k, (_, word) in enumerate(kept)}
    parts = [
        np.fromiter((number[w] for w in piece if w in number), np.int32) for piece in text.pieces()
    ]
    words = tuple(word.decode("utf-8", "replace") for _, word in kept)
    counts = np.array([-count for count, _ in kept])
    return Corpus(words, counts, np.concatenate(parts), counted.total())
