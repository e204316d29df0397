"""Bytes of a program file to its text."""

from __future__ import annotations

from tpc.diagnostics import Diagnostic, Source, TpcError


def decode(content: bytes, name: str) -> Source:
    """The source with the given bytes. Raises TpcError where they are not UTF-8."""
    try:
        return Source.of(content.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        raise TpcError(_not_utf8(content, error.start, name)) from None


def _not_utf8(content: bytes, at: int, name: str) -> Diagnostic:
    readable = Source.of(content[:at].decode("utf-8") + "\N{REPLACEMENT CHARACTER}", name)
    last = len(readable.text)
    return Diagnostic(
        "E0111",
        f"this is not UTF-8: byte 0x{content[at]:02X} at position {at}",
        readable.span(last - 1, last),
        help="save the program as UTF-8; was another file meant?",
    )
