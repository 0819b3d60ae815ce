"""Read Universal Binary JSON (https://ubjson.org), draft 12, as far as XGBoost writes it.

The reader checks every length against the bytes that are left before it allocates, and limits
nesting, so no file can make it crash, hang or take more memory than a few times its size.
"""

import struct
from typing import Any

from lendsafe.errors import RefusedError

MAX_NESTING = 32
NUMBERS = {"i": ">b", "U": ">B", "I": ">h", "l": ">i", "L": ">q", "d": ">f", "D": ">d"}
CONSTANTS = {"T": True, "F": False, "Z": None}


def loads(data: bytes) -> Any:
    """Decode one value that fills ``data``.

    Raises:
        RefusedError: If the bytes are not UBJSON; the message gives the offset.
    """
    reader = _Reader(data)
    value = reader.value(reader.marker(), 0)
    if reader.at != len(data):
        raise reader.refuse("bytes after the end")
    return value


class _Reader:
    """A position in the bytes and how to read from it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def refuse(self, what: str) -> RefusedError:
        return RefusedError(f"Not a readable UBJSON model: {what} at byte {self.at}.")

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self.data) - self.at:
            raise self.refuse(f"{count} bytes wanted, {len(self.data) - self.at} left")
        self.at += count
        return self.data[self.at - count : self.at]

    def marker(self) -> str:
        return chr(self.take(1)[0])

    def value(self, marker: str, depth: int) -> Any:
        if depth > MAX_NESTING:
            raise self.refuse("nesting too deep")
        if marker in NUMBERS:
            layout = NUMBERS[marker]
            return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]
        if marker in CONSTANTS:
            return CONSTANTS[marker]
        if marker == "S":
            return self.text()
        if marker == "[":
            return self.array(depth)
        if marker == "{":
            return self.table(depth)
        raise self.refuse(f"unknown marker {marker!r}")

    def length(self) -> int:
        marker = self.marker()
        if marker not in "iUIlL":
            raise self.refuse(f"a length of kind {marker!r}")
        count: int = self.value(marker, 0)
        if not 0 <= count <= len(self.data) - self.at:  # every element takes a byte at least
            raise self.refuse(f"impossible length {count}")
        return count

    def text(self) -> str:
        try:
            return self.take(self.length()).decode("utf-8")
        except UnicodeDecodeError as problem:
            raise self.refuse("text that is not UTF-8") from problem

    def array(self, depth: int) -> list[Any]:
        if self.peek() == "$":
            return self.typed_array()
        if self.peek() == "#":
            self.marker()
            return [self.value(self.marker(), depth + 1) for _ in range(self.length())]
        items = []
        while (marker := self.marker()) != "]":
            items.append(self.value(marker, depth + 1))
        return items

    def typed_array(self) -> list[Any]:
        self.marker()
        kind = self.marker()
        if kind not in NUMBERS or self.marker() != "#":
            raise self.refuse(f"an array of kind {kind!r}")
        count, layout = self.length(), NUMBERS[kind]
        block = self.take(count * struct.calcsize(layout))
        return list(struct.unpack(f">{count}{layout[1]}", block))

    def table(self, depth: int) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while self.peek() != "}":
            key = self.text()
            items[key] = self.value(self.marker(), depth + 1)
        self.marker()
        return items

    def peek(self) -> str:
        if self.at >= len(self.data):
            raise self.refuse("the end of the file")
        return chr(self.data[self.at])
