"""Base58check, bech32, bech32m and EIP-55, by the vectors that their standards publish."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from account_api.crypto_encodings import (
    Witness,
    base58check_decode,
    bech32_decode,
    eip55,
    sponge,
    witness_decode,
    witness_encode,
)

BECH32 = """
A12UEL5L a12uel5l
an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs
abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw
11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqc8247j
split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w ?1ezyfcl
""".split()
BECH32M = """
A1LQFN3A a1lqfn3a
an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6
abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx
11llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllludsr8
split1checkupstagehandshakeupstreamerranterredcaperredlc445v ?1v759aa
""".split()
NEITHER = [
    "\x201nwldj5", "\x7f1axkwrx", "\x801eym55h",
    "an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1569pvx",
    "pzry9x0s0muk", "1pzry9x0s0muk", "x1b4n0q5v", "li1dgmt3", "de1lg7wt\xff", "A1G7SGD8",
    "10a06t8", "1qzzfhee",
    "\x201xj0phk", "\x7f1g6xzxy", "\x801vctc34",
    "an84characterslonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11d6pts4",
    "qyrz8wqd2c9m", "1qyrz8wqd2c9m", "y1b0jsk6g", "lt1igcx5c0", "in1muywd", "mm1crxm3i",
    "au1s5cgom", "M1VUXWEZ", "16plkw9", "1p2gdwpf",
]  # fmt: skip
SCRIPTS = {
    "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4": "0014751e76e8199196d454941c45d1b3a323f1433bd6",
    "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7":
        "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
    "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y":
        "5128751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
    "BC1SW50QGDZ25J": "6002751e",
    "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs": "5210751e76e8199196d454941c45d1b3a323",
    "tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy":
        "0020000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
    "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c":
        "5120000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0":
        "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
}  # fmt: skip
NO_WITNESS = """
bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd
tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf
BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL
bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh
tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47
bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4
BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R
bc1pw5dgrnzv
bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav
BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P
tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq
bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf
tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j
bc1gmk9yu
""".split()
CHECKSUMMED = """
52908400098527886E0F7030069857D2E4169EE7 8617E340B3D01FA5F11F306F4090FD50E238070D
de709f2102306220921060314715629080e2fb77 27b1fdb04752bbc536007a920d24acb045561c26
5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed fB6916095ca1df60bB79Ce92cE3Ea74c37c5d359
dbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB D1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb
""".split()


@pytest.mark.parametrize("text", BECH32)
def test_BIP173_strings_are_bech32(text: str) -> None:
    decoded = bech32_decode(text)
    assert decoded is not None and decoded[2] is False


@pytest.mark.parametrize("text", BECH32M)
def test_BIP350_strings_are_bech32m(text: str) -> None:
    decoded = bech32_decode(text)
    assert decoded is not None and decoded[2] is True


@pytest.mark.parametrize("text", NEITHER)
def test_strings_that_BIP173_and_BIP350_refuse(text: str) -> None:
    assert bech32_decode(text) is None


@pytest.mark.parametrize(("address", "script"), SCRIPTS.items())
def test_BIP350_addresses_give_their_script(address: str, script: str) -> None:
    witness = witness_decode(address)
    assert witness is not None
    opcode = witness.version + 0x50 if witness.version else 0
    assert bytes((opcode, len(witness.program))).hex() + witness.program.hex() == script
    assert witness_encode(witness) == address.lower()


@pytest.mark.parametrize("address", NO_WITNESS)
def test_addresses_that_BIP350_refuses(address: str) -> None:
    assert witness_decode(address) is None


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        # Of Bitcoin Core's key_io_valid.json: addresses of both networks, and a private key.
        ("1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i", "0065a16059864a2fdbc7c99a4723a8395bc6f188eb"),
        ("3CMNFxN1oHBc4R1EpboAL5yzHGgE611Xou", "0574f209f6ea907e2ea48f74fae05782ae8a665257"),
        ("mo9ncXisMeAoXwqcV5EWuyncbmCcQN4rVs", "6f53c0307d6851aa0ce7825ba883c6bd9ad242b486"),
        ("2N2JD6wb56AfK4tfmM6PwdVmoYk2dCKf4Br", "c46349a418fc4578d10a372b54b45c280cc8c4382f"),
        (
            "5Kd3NBUAdUnhyzenEwVLy9pBKxSwXvE9FMPyR4UKZvpe6E3AgLr",
            "80eddbdc1168f1daeadbd3e44c1e3f8f5a284c2029f78ad26af98583a499de5b19",
        ),
        # Every leading 1 is a byte of zero.
        ("1111111111111111111114oLvT2", "00" * 21),
    ],
)
def test_base58check_gives_the_payload(text: str, payload: str) -> None:
    decoded = base58check_decode(text)
    assert decoded is not None and decoded.hex() == payload


@pytest.mark.parametrize(
    "text", ["", "1", "0", "I", "1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62j", "1" * 200, "3" * 200]
)
def test_what_is_not_base58check(text: str) -> None:
    assert base58check_decode(text) is None


@pytest.mark.parametrize("digits", CHECKSUMMED)
def test_EIP55_gives_the_case(digits: str) -> None:
    assert eip55(digits.lower()) == eip55(digits.upper()) == digits


def test_keccak_256_of_nothing_is_what_ethereum_says_it_is() -> None:
    expected = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert sponge(b"", 0x01).hex() == expected


@settings(max_examples=150, deadline=None, database=None)
@given(st.binary(max_size=300) | st.sampled_from([b"x" * 135, b"x" * 136, b"x" * 137]))
def test_the_sponge_with_the_suffix_of_sha3_is_the_one_of_hashlib(data: bytes) -> None:
    assert sponge(data, 0x06) == hashlib.sha3_256(data).digest()


@settings(max_examples=200, deadline=None, database=None)
@given(
    st.integers(0, 16), st.binary(min_size=2, max_size=40), st.data(),
    st.sampled_from(["bc", "tb", "bcrt"]),
)  # fmt: skip
def test_one_wrong_character_is_always_found(
    version: int, program: bytes, data: st.DataObject, prefix: str
) -> None:
    witness = Witness(prefix, version, (program * 16)[:32] if version == 0 else program)
    text = witness_encode(witness)
    assert witness_decode(text) == witness
    place = data.draw(st.integers(len(prefix) + 1, len(text) - 1))
    other = data.draw(st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l").filter(
        lambda character: character != text[place]
    ))  # fmt: skip
    assert bech32_decode(text[:place] + other + text[place + 1 :]) is None
