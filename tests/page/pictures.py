"""What a camera would see of the page: the pixels of an element, and the codes among them."""

from __future__ import annotations

import struct
import zlib

import pytest
from selenium.webdriver.remote.webelement import WebElement


def scanned(element: WebElement) -> list[str]:
    """The texts of the QR codes that are to be seen, read by a library that did not draw them."""
    reader = pytest.importorskip("zxingcpp", reason="zxing-cpp is not installed: make setup")
    width, height, gray = pixels(element.screenshot_as_png)
    picture = memoryview(gray).cast("B", shape=[height, width])
    return [code.text for code in reader.read_barcodes(picture)]


def pixels(png: bytes) -> tuple[int, int, bytes]:
    """Width, height and green of each pixel of a PNG of 8 bits a channel, as browsers write it."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    place, packed = 8, b""
    width = height = channels = 0
    while place < len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        part = png[place + 8 : place + 8 + length]
        place += 12 + length
        if kind == b"IHDR":
            width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", part)
            assert (bits, interlaced) == (8, 0)
            channels = {2: 3, 6: 4}[colour]
        elif kind == b"IDAT":
            packed += part
    raw = zlib.decompress(packed)
    stride = width * channels
    above, found = bytes(stride), bytearray()
    for number in range(height):
        start = number * (stride + 1)
        above = _unfiltered(raw[start], raw[start + 1 : start + 1 + stride], above, channels)
        found += above[1::channels]
    return width, height, bytes(found)


def _unfiltered(kind: int, line: bytes, above: bytes, channels: int) -> bytes:
    """A line without its filter (PNG, section 9)."""
    if kind == 0:
        return line
    done = bytearray()
    for at, value in enumerate(line):
        left = done[at - channels] if at >= channels else 0
        corner = above[at - channels] if at >= channels else 0
        up = above[at]
        if kind == 4:
            whole = left + up - corner
            guess = min((left, up, corner), key=lambda near: abs(whole - near))
        else:
            guess = (0, left, up, (left + up) // 2)[kind]
        done.append((value + guess) & 255)
    return bytes(done)
