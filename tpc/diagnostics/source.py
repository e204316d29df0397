"""Program texts and places in them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True, eq=False)
class Source:
    """The text of one program and the name it is reported under.

    ``text`` has ``\\n`` line ends and no byte order mark: build it with :meth:`of`, which sees to
    both. Offsets count characters from 0; lines and columns count from 1.
    """

    name: str
    text: str = field(repr=False)

    @classmethod
    def of(cls, text: str, name: str = "<text>") -> Source:
        """Make a source from a string, with line ends normalised and a byte order mark removed."""
        text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        return cls(name, text)

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        """The offset at which each line begins."""
        starts = [0]
        find = self.text.find
        at = find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = find("\n", at + 1)
        return tuple(starts)

    def position(self, offset: int) -> tuple[int, int]:
        """The (line, column) of an offset, both counted from 1."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def offset(self, line: int, column: int) -> int:
        """The offset of a (line, column), both counted from 1: the inverse of :meth:`position`."""
        return self.line_starts[line - 1] + column - 1

    def line(self, number: int) -> str:
        """The text of a line (counted from 1), without its line end."""
        start = self.line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start:] if end < 0 else self.text[start:end]

    def span(self, start: int, end: int) -> Span:
        """The span from offset ``start`` up to, not including, ``end``."""
        return Span(self, start, end)

    @property
    def end(self) -> Span:
        """An empty span after the last character that is not white space."""
        at = len(self.text.rstrip())
        return Span(self, at, at)


@dataclass(frozen=True, slots=True)
class Span:
    """The characters of ``source`` from offset ``start`` up to, not including, ``end``."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        """The line on which the span begins, counted from 1."""
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        """The column at which the span begins, counted from 1."""
        return self.source.position(self.start)[1]

    @property
    def text(self) -> str:
        """The characters of the span."""
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The smallest span that covers this one and ``other``."""
        return Span(self.source, min(self.start, other.start), max(self.end, other.end))

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"
