"""Text of nested loops."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence


class Lines:
    """Python source, line by line, with the present indentation."""

    def __init__(self, depth: int = 0) -> None:
        self.lines: list[str] = []
        self._depth = depth

    def add(self, *lines: str) -> None:
        """Add lines at the present indentation."""
        self.lines += [f"{'    ' * self._depth}{line}" for line in lines]

    @contextlib.contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Add a head, and indent what follows."""
        self.add(head)
        self._depth += 1
        yield
        self._depth -= 1

    @contextlib.contextmanager
    def loops(self, names: Iterable[str], extents: Sequence[int]) -> Iterator[None]:
        """Open a loop for every name."""
        with contextlib.ExitStack() as stack:
            for name, extent in zip(names, extents, strict=True):
                stack.enter_context(self.block(f"for {name} in range({extent}):"))
            yield

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines)


def flat(indices: Sequence[str], extents: Sequence[int]) -> str:
    """Return the row-major position of an entry: ``i * 3 + j``."""
    text = "0"
    for index, extent in zip(indices, extents, strict=True):
        text = index if text == "0" else f"({text}) * {extent} + {index}"
    return text


def at(name: str, indices: Sequence[str]) -> str:
    """Return an entry of an array, or the variable itself where there are no axes."""
    return f"{name}[{', '.join(indices)}]" if indices else name
