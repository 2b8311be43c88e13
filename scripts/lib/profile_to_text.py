"""Writes LLVM's raw profiles, as programs built to be profiled leave them, as one text.

    profile_to_text.py TEXT RAW...

For who has an llvm-profdata that is older than the compiler: the raw form changes with each version,
the text does not. Knows one version of the raw form, and refuses all others. Must never guess: a
record that does not add up ends it, for a wrong profile would only show as slower programs.
"""

import collections
import hashlib
import struct
import sys
import zlib

VERSION = 10
HEADER = struct.Struct("<16Q")
RECORD = struct.Struct("<QQqqQQI3HxxI")  # name, hash, counters, bitmap, address, values, counts
INDIRECT_CALL, MEMORY_SIZE = 0, 1
KINDS = (INDIRECT_CALL, MEMORY_SIZE)
VALUES_A_SITE = 24
LARGEST_COUNT = 1 << 62
UNKNOWN_TARGET = b"** External Symbol **"


def padded(offset):
    return offset + -offset % 8


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def read_names(data):
    """The names of functions by what records call them."""
    names, at = {}, 0
    while at < len(data):
        if data[at] == 0:  # between the parts of a program
            at += 1
            continue
        size, at = read_varint(data, at)
        packed_size, at = read_varint(data, at)
        part = data[at : at + (packed_size or size)]
        at += len(part)
        if packed_size:
            part = zlib.decompress(part)
        if len(part) != size:
            raise ValueError("the names do not have the size that they claim")
        for name in part.split(b"\x01"):
            names[struct.unpack("<Q", hashlib.md5(name).digest()[:8])[0]] = name
    return names


class Function:
    """What is known of one function, from all programs that have it."""

    def __init__(self, counters, sites):
        self.counts = [0] * counters
        self.sites = {
            kind: [collections.Counter() for _ in range(sites[kind])] for kind in KINDS if sites[kind]
        }

    def add(self, counts):
        if len(counts) != len(self.counts):
            raise ValueError("one function has two numbers of counters")
        self.counts = [mine + its for mine, its in zip(self.counts, counts)]

    def text(self, name, hashed):
        lines = [name, b"%d" % hashed, b"%d" % len(self.counts)]
        lines += [b"%d" % min(count, LARGEST_COUNT) for count in self.counts]
        if self.sites:
            lines.append(b"%d" % len(self.sites))
        for kind, sites in sorted(self.sites.items()):
            lines += [b"%d" % kind, b"%d" % len(sites)]
            for site in sites:
                top = site.most_common(VALUES_A_SITE)
                lines.append(b"%d" % len(top))
                lines += [
                    (value if kind == INDIRECT_CALL else b"%d" % value) + b":%d" % count
                    for value, count in top
                ]
        return b"\n".join(lines) + b"\n\n"


def read_profile(raw, functions):
    (magic, version, ids_size, records, pad_before, counters, pad_after, bitmap_size, pad_bitmap,
     names_size, counters_delta, _, _, _, table_names_size, _) = HEADER.unpack_from(raw)
    if magic != 0xFF6C70726F667281:
        raise ValueError("this is no raw profile of a 64-bit program")
    if version & 0xFFFFFFFF != VERSION:
        raise ValueError(
            f"the raw form has version {version & 0xFFFFFFFF}, and only {VERSION} is known here: "
            "take the llvm-profdata that belongs to the compiler (rustup component add llvm-tools)"
        )
    first_record = padded(HEADER.size + ids_size)
    first_counter = first_record + records * RECORD.size + pad_before
    names_begin = first_counter + counters * 8 + pad_after + bitmap_size + pad_bitmap
    names_end = names_begin + names_size
    names = read_names(raw[names_begin:names_end])

    found, addresses = [], {}
    for index in range(records):
        at = first_record + index * RECORD.size
        name, hashed, place, _, address, _, count, *rest = RECORD.unpack_from(raw, at)
        sites = rest[:3]
        offset = place - (counters_delta - index * RECORD.size) & 0xFFFFFFFFFFFFFFFF
        if offset + count * 8 > counters * 8:
            raise ValueError("the counters of a function lie outside of all counters")
        key = (names[name], hashed)
        function = functions.setdefault(key, Function(count, sites))
        function.add(struct.unpack_from(f"<{count}Q", raw, first_counter + offset))
        if address:
            addresses[address] = names[name]
        if any(sites):
            found.append(function)

    at = padded(padded(names_end) + table_names_size)
    for function in found:
        at = read_values(raw, at, function, addresses)
    if at != len(raw):
        raise ValueError("something follows the last value")


def read_values(raw, begin, function, addresses):
    """What was called through pointers, and how much was copied, at the sites of one function."""
    size, kinds = struct.unpack_from("<II", raw, begin)
    at = begin + 8
    for _ in range(kinds):
        kind, sites = struct.unpack_from("<II", raw, at)
        values = raw[at + 8 : at + 8 + sites]
        at = padded(at + 8 + sites - begin) + begin
        for site, number in enumerate(values):
            for _ in range(number):
                value, count = struct.unpack_from("<QQ", raw, at)
                at += 16
                if kind not in KINDS or not count:
                    continue
                if kind == INDIRECT_CALL:
                    value = addresses.get(value, UNKNOWN_TARGET)
                function.sites[kind][site][value] += count
    if at - begin != size:
        raise ValueError("the values of a function do not have the size that they claim")
    return at


def main():
    target, *sources = sys.argv[1:]
    functions = {}
    for source in sources:
        with open(source, "rb") as file:
            raw = file.read()
        try:
            read_profile(raw, functions)
        except (ValueError, KeyError, IndexError, struct.error, zlib.error) as error:
            sys.exit(f"profile_to_text: {source}: {type(error).__name__}: {error}")
    with open(target, "wb") as file:
        file.write(b":ir\n")
        file.writelines(function.text(*key) for key, function in functions.items())


main()
