"""Encodings of addresses: base58check, bech32 and bech32m, and the case of EIP-55.

Pure: text in, bytes out, or None if the text is malformed or its checksum is wrong. What the bytes
mean, and whether money may go there, is decided in ``crypto_addresses.py``. Bitcoin's encodings are
those of BIP-13, BIP-173 and BIP-350.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, NamedTuple

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_CHARACTERS_MAX: Final = 128
_CHECKSUM_BYTES: Final = 4
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_CHARACTERS_MAX: Final = 90
_BECH32_CHECKSUM: Final = 6
_BECH32_CONSTANT: Final = 1
_BECH32M_CONSTANT: Final = 0x2BC830A3
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_VERSION_MAX: Final = 16
_PROGRAM_BYTES_MIN: Final = 2
_PROGRAM_BYTES_MAX: Final = 40
_PROGRAM_BYTES_OF_VERSION_0: Final = (20, 32)

_RATE_BYTES: Final = 136
_LANE_MASK: Final = (1 << 64) - 1


class Witness(NamedTuple):
    """What a segregated witness address says: its network's prefix, version and program."""

    prefix: str
    version: int
    program: bytes


def base58check_decode(text: str) -> bytes | None:
    """Decode a base58check text into its payload, the version byte included."""
    if not text or len(text) > _BASE58_CHARACTERS_MAX or any(c not in _BASE58 for c in text):
        return None
    number = 0
    for character in text:
        number = number * 58 + _BASE58.index(character)
    zeros = len(text) - len(text.lstrip(_BASE58[0]))
    data = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)
    payload, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    once = hashlib.sha256(payload).digest()
    whole = payload and hashlib.sha256(once).digest().startswith(checksum)
    return payload if whole else None


def bech32_decode(text: str) -> tuple[str, list[int], bool] | None:
    """Decode into (prefix, 5-bit words without the checksum, True for bech32m)."""
    prefix, _, data = text.lower().rpartition("1")
    if (
        not prefix or len(data) < _BECH32_CHECKSUM or len(text) > _BECH32_CHARACTERS_MAX
        or any(not "!" <= c <= "~" for c in text) or any(c not in _BECH32 for c in data)
        or text not in (text.lower(), text.upper())
    ):  # fmt: skip
        return None
    words = [_BECH32.index(character) for character in data]
    found = _polymod([*_expanded(prefix), *words])
    if found not in (_BECH32_CONSTANT, _BECH32M_CONSTANT):
        return None
    return prefix, words[:-_BECH32_CHECKSUM], found == _BECH32M_CONSTANT


def witness_decode(text: str) -> Witness | None:
    """Decode a segregated witness address of any network; version 0 is bech32, others bech32m."""
    decoded = bech32_decode(text)
    if decoded is None or not decoded[1]:
        return None
    prefix, (version, *words), is_bech32m = decoded
    program = _bytes_of_words(words)
    if (
        program is None or version > _VERSION_MAX or is_bech32m != (version > 0)
        or not _PROGRAM_BYTES_MIN <= len(program) <= _PROGRAM_BYTES_MAX
        or (version == 0 and len(program) not in _PROGRAM_BYTES_OF_VERSION_0)
    ):  # fmt: skip
        return None
    return Witness(prefix, version, program)


def witness_encode(witness: Witness) -> str:
    """Encode a segregated witness address, in lower case."""
    number, count = int.from_bytes(witness.program), len(witness.program) * 8
    padded = -count % 5
    number, count = number << padded, count + padded
    words = [witness.version, *((number >> shift) & 31 for shift in range(count - 5, -1, -5))]
    constant = _BECH32M_CONSTANT if witness.version else _BECH32_CONSTANT
    rest = _polymod([*_expanded(witness.prefix), *words, *[0] * _BECH32_CHECKSUM]) ^ constant
    words += [(rest >> shift) & 31 for shift in range(25, -1, -5)]
    return f"{witness.prefix}1{''.join(_BECH32[word] for word in words)}"


def _bytes_of_words(words: list[int]) -> bytes | None:
    """Join 5-bit words into bytes; None unless fewer than 5 bits are left over, all zero."""
    number = 0
    for word in words:
        number = number << 5 | word
    left = len(words) * 5 % 8
    if left >= 5 or number & ((1 << left) - 1):
        return None
    return (number >> left).to_bytes(len(words) * 5 // 8)


def _expanded(prefix: str) -> list[int]:
    codes = prefix.encode("ascii")
    return [*(code >> 5 for code in codes), 0, *(code & 31 for code in codes)]


def _polymod(words: Iterable[int]) -> int:
    """Compute the remainder of BIP-173's code."""
    checksum = 1
    for word in words:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ word
        for bit, term in enumerate(_GENERATOR):
            checksum ^= term if top >> bit & 1 else 0
    return checksum


def eip55(digits: str) -> str:
    """Give 40 hexadecimal digits, in whatever case, the case of EIP-55."""
    plain = digits.lower()
    hashed = sponge(plain.encode("ascii"), 0x01).hex()
    return "".join(c.upper() if int(h, 16) > 7 else c for c, h in zip(plain, hashed, strict=False))


def sponge(data: bytes, suffix: int) -> bytes:
    """Hash with 256-bit Keccak: ``suffix`` 0x01 is Ethereum's, 0x06 the SHA3-256 of FIPS 202.

    hashlib has the second one only; that both are this function lets a test hold it against
    hashlib. About 0.3 ms for each 136 bytes, and not for secrets: it takes no care of its timing.
    """
    padded = bytearray(data)
    padded.append(suffix)
    padded.extend(bytes(-len(padded) % _RATE_BYTES))
    padded[-1] |= 0x80
    lanes = [0] * 25
    for start in range(0, len(padded), _RATE_BYTES):
        for lane in range(_RATE_BYTES // 8):
            place = start + lane * 8
            lanes[lane] ^= int.from_bytes(padded[place : place + 8], "little")
        lanes = _permuted(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def _permuted(lanes: list[int]) -> list[int]:
    """Apply Keccak-f[1600]; lane x + 5y is A[x, y] of FIPS 202, section 3.2."""
    feedback = 1
    for _ in range(24):
        # Theta.
        column = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]
                  for x in range(5)]  # fmt: skip
        parity = [column[x - 1] ^ _rotated(column[(x + 1) % 5], 1) for x in range(5)]
        lanes = [lane ^ parity[place % 5] for place, lane in enumerate(lanes)]
        # Rho and pi: a walk over all lanes but the first, each turned one step further.
        x, y, carried = 1, 0, lanes[1]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            carried, lanes[x + 5 * y] = (
                lanes[x + 5 * y], _rotated(carried, (step + 1) * (step + 2) // 2)
            )  # fmt: skip
        # Chi.
        lanes = [
            lanes[place]
            ^ (~lanes[place - x + (x + 1) % 5] & lanes[place - x + (x + 2) % 5] & _LANE_MASK)
            for place in range(25)
            for x in (place % 5,)
        ]
        # Iota: the constant's bits come out of a shift register, at places 2**j - 1.
        for j in range(7):
            lanes[0] ^= (feedback & 1) << (2**j - 1)
            feedback = feedback << 1 ^ (0x171 if feedback & 0x80 else 0)
    return lanes


def _rotated(lane: int, by: int) -> int:
    by %= 64
    return (lane << by | lane >> (64 - by)) & _LANE_MASK
