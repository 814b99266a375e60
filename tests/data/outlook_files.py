"""A maker of Outlook messages (.msg) for tests: properties as streams of a compound file, written by hand."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

_SECTOR, _MINI, _CUTOFF = 512, 64, 4096
_FREE, _END, _FAT, _NONE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF
Tree = dict[str, "bytes | Tree"]


def msg(path: Path, texts: dict[int, str], sent: int | None = None, attachments: Sequence[tuple[str, bytes]] = ()) -> Path:
    """Write a message.

    Args:
        path: of the file.
        texts: by number of the property, such as 0x0037 for the subject and 0x1000 for the body.
        sent: when, in units of 100 ns since 1601.
        attachments: name and bytes.

    Returns:
        The path.
    """
    root: Tree = {"__nameid_version1.0": {f"__substg1.0_000{n}0102": b"" for n in (2, 3, 4)}}
    fixed = [] if sent is None else [struct.pack("<HHIQ", 0x40, 0x0039, 6, sent)]
    root |= _properties(texts, {}, struct.pack("<8xIIII8x", 0, len(attachments), 0, len(attachments)), fixed)
    for number, (name, data) in enumerate(attachments):
        by_value = struct.pack("<HHIIxxxx", 0x0003, 0x3705, 6, 1)
        root[f"__attach_version1.0_#{number:08X}"] = _properties(
            {0x3707: name, 0x3704: name}, {0x3701: data}, bytes(8), [by_value]
        )
    path.write_bytes(_compound(root))
    return path


def _properties(texts: dict[int, str], blobs: dict[int, bytes], head: bytes, fixed: Sequence[bytes]) -> Tree:
    streams: Tree = {f"__substg1.0_{tag:04X}001F": text.encode("utf-16-le") for tag, text in texts.items()}
    streams |= {f"__substg1.0_{tag:04X}0102": data for tag, data in blobs.items()}
    sizes = [(0x001F, tag, len(text.encode("utf-16-le")) + 2) for tag, text in texts.items()]
    sizes += [(0x0102, tag, len(data)) for tag, data in blobs.items()]
    entries = b"".join([*(struct.pack("<HHIIxxxx", kind, tag, 6, size) for kind, tag, size in sizes), *fixed])
    return {**streams, "__properties_version1.0": head + entries}


class _Sectors:
    def __init__(self, size: int) -> None:
        self.size, self.data, self.table = size, bytearray(), list[int]()

    def add(self, data: bytes) -> int:
        """Where a chain begins that holds the data."""
        if not data:
            return _END
        first, count = len(self.table), -(-len(data) // self.size)
        self.data += data.ljust(count * self.size, b"\0")
        self.table += [*range(first + 1, first + count), _END]
        return first


def _compound(root: Tree) -> bytes:
    names: list[tuple[str, bytes | Tree]] = [("Root Entry", root)]
    links: list[list[int]] = [[_NONE, _NONE, _NONE]]
    _list(root, 0, names, links)
    big, small = _Sectors(_SECTOR), _Sectors(_MINI)
    places = []
    for _, content in names:
        data = content if isinstance(content, bytes) else b""
        places.append(((small if len(data) < _CUTOFF else big).add(data), len(data)))
    places[0] = (big.add(bytes(small.data)), len(small.data))
    entries = b"".join(
        _entry(number, name, content, links[number], *places[number]) for number, (name, content) in enumerate(names)
    )
    directory = big.add(entries.ljust(-(-len(entries) // _SECTOR) * _SECTOR, b"\0"))
    minis = struct.pack(f"<{len(small.table)}I", *small.table)
    mini_table = big.add(minis.ljust(-(-len(minis) // _SECTOR) * _SECTOR, b"\xff"))
    tables = 1
    while tables * 128 < len(big.table) + tables:
        tables += 1
    start = len(big.table)
    table = [*big.table, *[_FAT] * tables]
    table += [_FREE] * (tables * 128 - len(table))
    listed = [start + n for n in range(tables)]
    header = bytes.fromhex("D0CF11E0A1B11AE1") + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, tables, directory, 0, _CUTOFF, mini_table, len(minis) // _SECTOR + 1, _END, 0)
    header += struct.pack("<109I", *listed, *[_FREE] * (109 - tables))
    return header + bytes(big.data) + struct.pack(f"<{len(table)}I", *table)


def _list(tree: Tree, parent: int, names: list[tuple[str, bytes | Tree]], links: list[list[int]]) -> None:
    # Entries of a storage form a tree ordered by length and name; one that only leans right is one, too.
    before = None
    for name in sorted(tree, key=lambda name: (len(name), name.upper())):
        number = len(names)
        names.append((name, tree[name]))
        links.append([_NONE, _NONE, _NONE])
        if before is None:
            links[parent][2] = number
        else:
            links[before][1] = number
        before = number
        content = tree[name]
        if isinstance(content, dict):
            _list(content, number, names, links)


def _entry(number: int, name: str, content: bytes | Tree, link: list[int], start: int, size: int) -> bytes:
    raw = name.encode("utf-16-le")
    kind = 5 if number == 0 else 2 if isinstance(content, bytes) else 1
    if kind == 1:
        start = 0
    return raw.ljust(64, b"\0") + struct.pack("<HBBIII16xIQQIQ", len(raw) + 2, kind, 1, *link, 0, 0, 0, start, size)
