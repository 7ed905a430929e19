"""Addresses of networks: whether one can be right, and simulated ones for deposits.

A wrong address loses the coin, so what has a checksum is checked with it: base58 and bech32
of Bitcoin, Taproot included, and EIP-55 of Ethereum, where an address without the upper and
lower case that make the checksum is refused too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, Literal

from bip_utils import (
    Base58ChecksumError,
    Bech32ChecksumError,
    EthAddrDecoder,
    EthAddrEncoder,
    P2PKHAddrDecoder,
    P2SHAddrDecoder,
    P2TRAddrDecoder,
    P2WPKHAddrEncoder,
    Secp256k1PrivateKey,
    SegwitBech32Decoder,
)

AddressFormat = Literal["", "bitcoin", "ethereum"]
DepositAddressSource = Callable[[str, str, str], tuple[str, str]]
"""(account, asset, network) → (address, memo) for deposits; always the same for the same."""

_HRP: Final = "bc"
_P2PKH: Final = b"\x00"
_P2SH: Final = b"\x05"
_WITNESS_LENGTHS: Final = (20, 32)
_HALF_ORDER_BITS: Final = 248


def address_fault(address_format: AddressFormat, address: str) -> str:
    """Why the address cannot be one of the format, as the end of a sentence; "" if it can."""
    if address_format == "bitcoin":
        return "" if _is_bitcoin(address) else "is not a Bitcoin address: its checksum fails"
    if address_format == "ethereum":
        return "" if _is_ethereum(address) else "is not an Ethereum address with its EIP-55 case"
    return ""


def _is_bitcoin(address: str) -> bool:
    try:
        if address.lower().startswith(f"{_HRP}1"):
            version, program = SegwitBech32Decoder.Decode(_HRP, address)
            if version == 0:
                return len(program) in _WITNESS_LENGTHS
            P2TRAddrDecoder.DecodeAddr(address, hrp=_HRP)
            return True
        if address.startswith("1"):
            P2PKHAddrDecoder.DecodeAddr(address, net_ver=_P2PKH)
            return True
        P2SHAddrDecoder.DecodeAddr(address, net_ver=_P2SH)
        return True
    except (ValueError, Base58ChecksumError, Bech32ChecksumError):
        return False


def _is_ethereum(address: str) -> bool:
    try:
        EthAddrDecoder.DecodeAddr(address)
    except ValueError:
        return False
    return True


def simulated_deposit_address(
    formats: dict[tuple[str, str], AddressFormat],
) -> DepositAddressSource:
    """Addresses for the simulated network: well-formed and stable.

    Anybody can work out their keys, so no real coin may ever be sent there.
    """

    def source(account: str, asset: str, network: str) -> tuple[str, str]:
        seed = hashlib.sha256(f"simulated deposit {account} {asset} {network}".encode())
        address_format = formats.get((asset, network), "")
        if not address_format:
            return f"{network}-{seed.hexdigest()[:24]}", ""
        # Fewer than 256 bits, so that every digest is a valid private key.
        number = int(seed.hexdigest(), 16) >> (256 - _HALF_ORDER_BITS)
        key = Secp256k1PrivateKey.FromBytes((number or 1).to_bytes(32, "big")).PublicKey()
        if address_format == "ethereum":
            return EthAddrEncoder.EncodeKey(key), ""
        return P2WPKHAddrEncoder.EncodeKey(key, hrp=_HRP), ""

    return source
