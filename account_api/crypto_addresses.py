"""Addresses of networks: validation, and simulated addresses for deposits.

Coin sent to a wrong address is lost, so checksums are verified: base58 and bech32 of Bitcoin,
Taproot included, and EIP-55 of Ethereum, where an address without the mixed case that is the
checksum is refused too. A well-formed address whose coin nobody could ever spend is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final

from account_api.crypto_encodings import (
    Witness,
    base58check_decode,
    eip55,
    witness_decode,
    witness_encode,
)
from config.model import AddressFormat

DepositAddressSource = Callable[[str, str, str], tuple[str, str]]
"""(account, asset, network) → (address, memo) for deposits; deterministic."""

_PREFIX: Final = "bc"
_TEST_PREFIXES: Final = ("tb", "bcrt", "tbs")
_P2PKH: Final = 0x00
_P2SH: Final = 0x05
_TEST_VERSIONS: Final = (0x6F, 0xC4)
_PROGRAM_BYTES: Final = 20
_TAPROOT_BYTES: Final = 32
_FIELD: Final = 2**256 - 2**32 - 977
"""The prime of secp256k1, on which the keys of Taproot outputs are points."""
_ETHEREUM: Final = re.compile(r"0x([0-9a-fA-F]{40})\Z")
_RESERVED_BELOW: Final = 1 << 16
"""EIP-1352 reserves the addresses below it, the zero address among them."""


def address_fault(address_format: AddressFormat, address: str) -> str:
    """Return why an address cannot be one of the format, to end a sentence with; "" if it can."""
    if address_format == "bitcoin":
        return _bitcoin_fault(address)
    if address_format == "ethereum":
        return _ethereum_fault(address)
    return ""


def _bitcoin_fault(address: str) -> str:
    witness = witness_decode(address)
    if witness is not None:
        return _witness_fault(witness)
    payload = base58check_decode(address)
    if payload is None:
        return "is not a Bitcoin address: its checksum fails"
    if payload[0] in _TEST_VERSIONS:
        return "belongs to a test network of Bitcoin, and coin of the real one cannot go there"
    if payload[0] not in (_P2PKH, _P2SH) or len(payload) != 1 + _PROGRAM_BYTES:
        return "is not a Bitcoin address: other things are written in base58 too, and it is one"
    return "" if any(payload[1:]) else _NOBODYS


def _witness_fault(witness: Witness) -> str:
    if witness.prefix in _TEST_PREFIXES:
        return "belongs to a test network of Bitcoin, and coin of the real one cannot go there"
    if witness.prefix != _PREFIX:
        return f"is an address of another network than Bitcoin: it begins with {witness.prefix}1"
    if not any(witness.program):
        return _NOBODYS
    if witness.version == 0:
        return ""
    if witness.version > 1 or len(witness.program) != _TAPROOT_BYTES:
        return (
            f"is of witness version {witness.version} with {len(witness.program)} bytes, which "
            "Bitcoin does not use yet: anybody could take the coin"
        )
    return "" if _is_point(int.from_bytes(witness.program)) else _NOBODYS


_NOBODYS: Final = "is an address whose coin nobody could ever spend"


def _is_point(x: int) -> bool:
    """Return True if x is a coordinate of secp256k1 (BIP-340, lift_x), by Euler's criterion."""
    square = (pow(x, 3, _FIELD) + 7) % _FIELD
    return x < _FIELD and pow(square, (_FIELD - 1) // 2, _FIELD) == 1


def _ethereum_fault(address: str) -> str:
    match = _ETHEREUM.match(address)
    if match is None:
        return "is not an Ethereum address, which is 0x and 40 hexadecimal digits"
    digits = match[1]
    if int(digits, 16) < _RESERVED_BELOW:
        return _NOBODYS
    if digits != eip55(digits):
        return "is not an Ethereum address with its EIP-55 case, which is its checksum"
    return ""


def simulated_deposit_address(
    formats: dict[tuple[str, str], AddressFormat],
) -> DepositAddressSource:
    """Make a source of well-formed, stable addresses for the simulated network.

    They are hashes of names, to which nobody has a key: no real coin may ever be sent there.
    """

    def source(account: str, asset: str, network: str) -> tuple[str, str]:
        seed = hashlib.sha256(f"simulated deposit {account} {asset} {network}".encode())
        address_format = formats.get((asset, network), "")
        if address_format == "bitcoin":
            return witness_encode(Witness(_PREFIX, 0, seed.digest()[:_PROGRAM_BYTES])), ""
        if address_format == "ethereum":
            return f"0x{eip55(seed.hexdigest()[:40])}", ""
        return f"{network}-{seed.hexdigest()[:24]}", ""

    return source
