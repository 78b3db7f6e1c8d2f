# SPDX-License-Identifier: Apache-2.0
"""Reads screenshots, and compares them loosely."""

import struct
import zlib

from vmdriver import Failure

COLUMNS, ROWS = 16, 12


def read_png(path):
    """Width, height and rows of RGB bytes of an 8-bit colour PNG."""
    with open(path, 'rb') as file:
        data = file.read()
    if data[:8] != b'\x89PNG\r\n\x1a\n':
        raise Failure('%s is no PNG file' % path)
    at, packed = 8, b''
    while at < len(data):
        length, kind = struct.unpack('>I4s', data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b'IHDR':
            width, height, depth, colour, _, _, lace = struct.unpack(
                '>IIBBBBB', body)
        elif kind == b'IDAT':
            packed += body
        at += length + 12
    if depth != 8 or colour not in (2, 6) or lace:
        raise Failure('%s: not plain 8-bit colour' % path)
    size = 3 if colour == 2 else 4
    raw, stride = zlib.decompress(packed), width * size
    rows, above = [], bytearray(stride)
    for y in range(height):
        begin = y * (stride + 1)
        method, line = raw[begin], bytearray(raw[begin + 1:begin + 1 + stride])
        unfilter(method, line, above, size)
        rows.append(line)
        above = line
    if size == 4:
        rows = [b''.join(bytes(row[x:x + 3]) for x in range(0, stride, 4))
                for row in rows]
    return width, height, rows


def unfilter(method, line, above, size):
    """Undo one of the five ways in which PNG predicts a line."""
    for i in range(len(line)) if method else ():
        left = line[i - size] if i >= size else 0
        up = above[i]
        corner = above[i - size] if i >= size else 0
        if method == 1:
            guess = left
        elif method == 2:
            guess = up
        elif method == 3:
            guess = (left + up) // 2
        else:
            guess = min((left, up, corner),
                        key=lambda c: abs(left + up - corner - c))
        line[i] = (line[i] + guess) & 255


def tiles(path):
    """Mean brightness of the tiles of a picture, a hex digit each."""
    width, height, rows = read_png(path)
    sums = [0] * (COLUMNS * ROWS)
    counts = [0] * (COLUMNS * ROWS)
    for y in range(0, height, 3):
        row = rows[y]
        base = y * ROWS // height * COLUMNS
        for x in range(0, width, 3):
            tile = base + x * COLUMNS // width
            sums[tile] += sum(row[x * 3:x * 3 + 3])
            counts[tile] += 3
    return '%dx%d ' % (width, height) + ''.join(
        '%x' % (total // count >> 4) for total, count in zip(sums, counts))


def alike(one, other):
    """The same size, and about the same brightness in nearly all tiles."""
    (size, these), (other_size, those) = one.split(), other.split()
    return size == other_size and sum(
        abs(int(a, 16) - int(b, 16)) > 1
        for a, b in zip(these, those)) <= 12
