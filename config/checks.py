"""What must hold between the settings: names, references, secrets and listeners."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from config import demo_secrets
from config.model import Key, SessionSettings, SessionTable, Settings
from config.reading import Problems
from engine.core.authority import speaks_for_firm
from engine.core.instruments import NumberError, format_scaled
from engine.core.types import INT64_MAX, CancelScope

_ASSET: Final = re.compile(r"[A-Z0-9]{1,12}\Z")
_SYMBOL: Final = re.compile(r"[A-Z0-9]{1,12}-[A-Z0-9]{1,12}\Z")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._:-]{0,31}\Z")
_COMP_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\Z")
_DECIMAL: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?\Z")
_HEX256: Final = re.compile(r"[0-9a-f]{64}\Z")
_FINGERPRINT: Final = re.compile(r"sha256:[0-9a-f]{64}\Z")
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?\Z")
_COMMON_NAME_LENGTH_MAX: Final = 64
_SECRET_LENGTH_MIN: Final = 16
_USER_LENGTH_MAX: Final = 64
PORT_MAX: Final = 65_535


def check(settings: Settings, problems: Problems) -> None:
    """Note everything that is wrong with settings whose single values are well formed."""
    _names(settings, problems)
    _amounts(settings, problems)
    _sessions(settings, problems)
    _keys(settings, problems)
    _four_eyes(settings.keys, problems)
    _test_net(settings, problems)
    _networks("webhooks.allow", settings.webhooks.allow, problems)
    _proxies(settings, problems)
    _origins(settings, problems)
    _ports(settings, problems)
    _secrets(settings, problems)
    _file_mode(settings, problems)


def notes(settings: Settings) -> list[str]:
    """Return notes on what is allowed and may mislead: settings of sub-accounts looser than their
    firm's, which hold for every account of the firm (rule W-13)."""
    mains = {account.account: account for account in settings.accounts}
    scales = {asset.asset: asset.scale for asset in settings.assets}
    found = []
    for index, account in enumerate(settings.accounts):
        main = mains.get(account.firm)
        if main is None or main is account:
            continue
        for field in ("approval_above", "daily_limits"):
            of_firm = dict(getattr(main, field))
            for asset, atoms in getattr(account, field):
                if atoms > of_firm.get(asset, atoms):
                    here, there = (
                        format_scaled(value, scales[asset]) for value in (atoms, of_firm[asset])
                    )
                    found.append(
                        f"accounts[{index}].{field}.{asset}: {here} is looser than {there} of "
                        f"{main.account}, which holds for all accounts of the firm"
                    )
        if main.require_known_address and not account.require_known_address:
            found.append(
                f"accounts[{index}].require_known_address: false is looser than {main.account}'s; "
                f"{account.account} may send to addresses in the book of {main.account} only"
            )
        if account.address_cooloff_s < main.address_cooloff_s:
            found.append(
                f"accounts[{index}].address_cooloff_s: {account.address_cooloff_s} "
                f"is looser than {main.address_cooloff_s} of {main.account}, which "
                "holds for all accounts of the firm"
            )
    return found


def is_loopback(host: str) -> bool:
    """Return True if a listener on ``host`` can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _each(
    section: str, names: Iterable[tuple[str, str]], shape: re.Pattern[str], like: str,
    problems: Problems,
) -> None:  # fmt: skip
    """Check that the names of a section have the right form and are unique."""
    seen: set[str] = set()
    for index, (field, name) in enumerate(names):
        key = f"{section}[{index}].{field}"
        if not shape.match(name):
            problems.add(key, f"expected a name like {like}, got {name!r}")
        if name in seen:
            problems.add(key, f"{name!r} appears twice; names in {section} must be unique")
        seen.add(name)


def _names(settings: Settings, problems: Problems) -> None:
    for section, rows in (("assets", settings.assets), ("instruments", settings.instruments),
                          ("accounts", settings.accounts)):  # fmt: skip
        if not rows:
            problems.add(section, f"expected at least one table [[{section}]]")
    _each("assets", (("asset", a.asset) for a in settings.assets), _ASSET, "BTC", problems)
    symbols = (("symbol", i.symbol) for i in settings.instruments)
    _each("instruments", symbols, _SYMBOL, "BTC-USD", problems)
    accounts = (("account", a.account) for a in settings.accounts)
    _each("accounts", accounts, _NAME, "alice or alice:desk", problems)
    names = {account.account: account.firm for account in settings.accounts}
    firms = [account.firm for account in settings.accounts]
    for index, account in enumerate(settings.accounts):
        if not _NAME.match(account.firm):
            problems.add(f"accounts[{index}].firm", "expected a name like alice")
        elif firms.count(account.firm) > 1 and names.get(account.firm) != account.firm:
            problems.add(
                f"accounts[{index}].firm",
                f"firm {account.firm!r} has several accounts, so one of them must bear its name: "
                "that one's limits, address rules and suspension are the firm's",
            )
    comp_ids = (("comp_id", s.comp_id) for s in settings.sessions)
    _each("sessions", comp_ids, _COMP_ID, "ALICE", problems)
    _each("keys", (("key", k.key) for k in settings.keys), _NAME, "alice-trade", problems)
    if not _COMP_ID.match(settings.fix.comp_id):
        problems.add("fix.comp_id", "expected letters, digits, '_', '.' or '-', like TANDEM")
    seen: set[tuple[str, str]] = set()
    for index, network in enumerate(settings.networks):
        if not _NAME.match(network.network):
            problems.add(f"networks[{index}].network", "expected a name like bitcoin")
        if (network.asset, network.network) in seen:
            problems.add(f"networks[{index}].network", "the asset has this network twice")
        seen.add((network.asset, network.network))


def _amounts(settings: Settings, problems: Problems) -> None:
    for index, network in enumerate(settings.networks):
        if network.withdrawal_step < 1:
            problems.add(f"networks[{index}].withdrawal_step", "expected more than zero")
        if network.withdrawal_min < 1:
            problems.add(f"networks[{index}].withdrawal_min", "expected more than zero")
    for asset in settings.assets:
        total = sum(
            atoms for account in settings.accounts for name, atoms in account.grants
            if name == asset.asset
        )  # fmt: skip
        if total > INT64_MAX:
            problems.add("accounts", f"the grants of {asset.asset} together exceed 64 bits")


def _sessions(settings: Settings, problems: Problems) -> None:
    for index, session in enumerate(settings.sessions):
        where = f"sessions[{index}]"
        if session.public_key and not _is_public_key(session.public_key):
            problems.add(
                f"{where}.public_key", "expected an Ed25519 public key, 32 bytes in base64"
            )
        signed_only = bool(session.public_key) and not session.password_hash
        if not signed_only and not session.password_hash.startswith("$argon2id$"):
            problems.add(
                f"{where}.password_hash",
                "expected an argon2id hash, as `tandem password` prints it",
            )
        enters_orders = session.kind != "market_data"
        if session.throttle_burst and not session.throttle_rate and enters_orders:
            problems.add(f"{where}.throttle_burst", "needs a throttle_rate above 0")
        if not 1 <= len(session.username) <= _USER_LENGTH_MAX:
            problems.add(f"{where}.username", "expected 1 to 64 characters")
        if session.comp_id == settings.fix.comp_id:
            problems.add(f"{where}.comp_id", "expected another name than fix.comp_id")
        _networks(f"{where}.allow", session.allow, problems)
        _client_certificate(f"{where}.client_certificate", session, settings, problems)
        _cancel_on_disconnect(where, session, problems)
        _market_data(where, session, problems)


def _client_certificate(
    where: str, session: SessionSettings, settings: Settings, problems: Problems
) -> None:
    """Check that what a session is bound to can be told, by a proxy, and can be somebody's."""
    name = session.client_certificate
    if not name:
        return
    if not settings.fix.trusted_proxies:
        problems.add(
            where,
            "needs fix.proxy_protocol = true (or fix.proxies, if others come without TLS) and a "
            "proxy before the gateway: nobody else can say whose certificate a client has",
        )
    if name.lower().startswith("sha256:"):
        if not _FINGERPRINT.match(name):
            problems.add(
                where, "expected sha256: and 64 lower-case hex digits without colons, the hash of "
                "the certificate's DER"
            )  # fmt: skip
    elif not (len(name) <= _COMMON_NAME_LENGTH_MAX and name.isprintable()):
        problems.add(where, "expected the CN of a certificate, 1 to 64 printable characters")


def _cancel_on_disconnect(where: str, session: SessionSettings, problems: Problems) -> None:
    """Check that no session is set to cause more than the table of authority lets it."""
    if session.kind == "drop_copy" and session.cancel_on_disconnect:
        problems.add(f"{where}.cancel_on_disconnect", "expected 0: a drop copy causes nothing")
    elif session.cancel_on_disconnect is CancelScope.FIRM and not speaks_for_firm(
        session.account, session.firm
    ):
        problems.add(
            f"{where}.cancel_on_disconnect",
            f"expected 0, 1 or 3: only a session of the account {session.firm} speaks for the firm",
        )


_NOT_FOR_MARKET_DATA: Final = {
    "throttle_rate": "0: it enters no orders",
    "throttle_burst": "0: it enters no orders",
    "reset_on_logon": "false: its numbers begin again with every Logon anyway",
    "cancel_on_disconnect": "0: it enters no orders",
    "cancel_on_logout": "true: it enters no orders",
    "reports": 'none or "own": it gets no reports',
    "market_data": "none: it reads the market and nothing else",
}


_UNSET: Final = SessionTable(comp_id="", account="", username="")


def _market_data(where: str, session: SessionSettings, problems: Problems) -> None:
    """Refuse settings that mean nothing for what a session is for."""
    if session.kind == "market_data":
        for field, expected in _NOT_FOR_MARKET_DATA.items():
            if field == "throttle_burst" and session.throttle_rate:
                continue  # It is the rate's where the file has none.
            if getattr(session, field) != getattr(_UNSET, field):
                problems.add(
                    f"{where}.{field}", f"expected {expected} (kind is \"market_data\")"
                )
        return
    if session.market_data and session.kind != "order":
        problems.add(
            f"{where}.market_data", "expected false: a drop copy reads its firm's orders alone"
        )
    if session.conflation_ms and not session.market_data:
        problems.add(
            f"{where}.conflation_ms",
            'needs market_data = true, or kind = "market_data"',
        )


def _keys(settings: Settings, problems: Problems) -> None:
    for index, key in enumerate(settings.keys):
        where = f"keys[{index}]"
        needed = {"hmac": "secret", "operator": "secret", "bearer": "token_sha256",
                  "ed25519": "public_key"}[key.kind]  # fmt: skip
        for field in ("secret", "token_sha256", "public_key"):
            if field != needed and getattr(key, field):
                problems.add(f"{where}.{field}", f"does not go with kind {key.kind!r}")
        _credential(f"{where}.{needed}", key, problems)
        if not 1 <= len(key.user) <= _USER_LENGTH_MAX:
            problems.add(f"{where}.user", "expected the name of a person or robot")
        if key.kind == "bearer" and key.scopes != ("read",):
            problems.add(f"{where}.scopes", 'expected ["read"]: bearer tokens are read only')
        if (key.kind == "operator") != (key.scopes == ("operator",)):
            problems.add(
                f"{where}.scopes", 'expected ["operator"] for kind "operator" and only there'
            )
        if not key.scopes or len(set(key.scopes)) != len(key.scopes):
            problems.add(f"{where}.scopes", "expected one or more different scopes")
        _networks(f"{where}.allow", key.allow, problems)


def _test_net(settings: Settings, problems: Problems) -> None:
    """Refuse in production what is for test-nets: bots, the faucet, words for strangers."""
    bots = settings.bots
    if settings.environment == "production":
        if bots.enabled:
            problems.add("bots.enabled", "expected false: bots are for test-nets")
        if settings.faucet.portions:
            problems.add("faucet.portions", "expected none: test coins are for test-nets")
        if settings.fix.explain_refusals:
            problems.add(
                "fix.explain_refusals", "expected false: in production a stranger learns nothing"
            )
    for asset, atoms in settings.faucet.portions:
        if atoms < 1:
            problems.add(f"faucet.portions.{asset}", "expected more than zero")
    _bot_names(settings, problems)
    if not bots.enabled and not bots.prices:
        return
    for field, wanted in (("maker_key", bots.maker_key), ("taker_key", bots.taker_key)):
        if not any(key.key == wanted and "trade" in key.scopes and key.secret
                   for key in settings.keys):  # fmt: skip
            problems.add(f"bots.{field}", f"expected an hmac key that may trade, got {wanted!r}")
    if bots.taker_comp_id not in {session.comp_id for session in settings.sessions}:
        problems.add("bots.taker_comp_id", f"expected a FIX session, got {bots.taker_comp_id!r}")
    if not bots.prices:
        problems.add("bots.prices", "expected the price of at least one instrument")


def _bot_names(settings: Settings, problems: Problems) -> None:
    bots = settings.bots
    instruments = {instrument.symbol: instrument for instrument in settings.instruments}
    for symbol, text in bots.prices.items():
        instrument = instruments.get(symbol)
        if instrument is None:
            problems.add(f"bots.prices.{symbol}", "expected one of the instruments as key")
            continue
        try:
            instrument.price(text, "the price")
        except NumberError as error:
            problems.add(f"bots.prices.{symbol}", str(error))
    bases = {instrument.base for instrument in settings.instruments}
    for asset, text in bots.quantities.items():
        if asset not in bases:
            problems.add(f"bots.quantities.{asset}", "expected a base asset as key")
        elif not _DECIMAL.match(text):
            problems.add(f"bots.quantities.{asset}", f"expected decimal text, got {text!r}")


def _credential(where: str, key: Key, problems: Problems) -> None:
    """Check a credential; a wrong secret is never shown."""
    if key.kind in ("hmac", "operator"):
        if len(key.secret) < _SECRET_LENGTH_MIN:
            problems.add(where, f"expected a secret of {_SECRET_LENGTH_MIN} characters or more")
    elif key.kind == "bearer":
        if not _HEX256.match(key.token_sha256):
            problems.add(where, "expected the SHA-256 of the token, 64 lower-case hex digits")
    elif not _is_public_key(key.public_key):
        problems.add(where, "expected an Ed25519 public key, 32 bytes in base64")


def _is_public_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 32
    except binascii.Error:
        return False


def _four_eyes(keys: tuple[Key, ...], problems: Problems) -> None:
    """Who can ask for a withdrawal cannot approve one."""
    askers = {(key.firm, key.user) for key in keys if "withdraw" in key.scopes}
    for index, key in enumerate(keys):
        if "approve" not in key.scopes:
            continue
        if "withdraw" in key.scopes:
            problems.add(f"keys[{index}].scopes", "withdraw and approve cannot be in one key")
        elif (key.firm, key.user) in askers:
            problems.add(f"keys[{index}].user", "has a key to withdraw and so cannot approve")


def _networks(where: str, allow: tuple[str, ...], problems: Problems) -> None:
    for index, text in enumerate(allow):
        try:
            ipaddress.ip_network(text)
        except ValueError:
            problems.add(f"{where}[{index}]", f"expected a network like 10.0.0.0/8, got {text!r}")


def _proxies(settings: Settings, problems: Problems) -> None:
    for key, proxies in (("fix.proxies", settings.fix.proxies),
                         ("http.proxies", settings.http.proxies)):  # fmt: skip
        for index, text in enumerate(proxies):
            try:
                canonical = str(ipaddress.ip_address(text))
            except ValueError:
                problems.add(f"{key}[{index}]", f"expected an address, got {text!r}")
                continue
            if canonical != text and key == "fix.proxies":
                problems.add(f"{key}[{index}]", f"expected {canonical!r} for {text!r}")


def _origins(settings: Settings, problems: Problems) -> None:
    for index, text in enumerate(settings.http.cors_origins):
        if _ORIGIN.match(text) is None:
            problems.add(
                f"http.cors_origins[{index}]",
                f"expected an origin like https://app.example.com, without a path, got {text!r}",
            )


def _ports(settings: Settings, problems: Problems) -> None:
    seen: dict[int, str] = {}
    inner = settings.fix.inner_ports
    if inner[-1] > PORT_MAX:
        problems.add(
            "fix.inner_port", f"expected at most {PORT_MAX + 1 - len(inner)}, because each of "
            f"the {len(inner)} gateways takes the next port"
        )  # fmt: skip
    for key, port in (("fix.port", settings.fix.port),
                      *(("fix.inner_port", port) for port in inner),
                      ("fix.tls_port", settings.fix.tls_port),
                      ("http.port", settings.http.port),
                      ("stream.port", settings.stream.port),
                      ("metrics.port", settings.metrics.port)):  # fmt: skip
        if port and port in seen:
            problems.add(key, f"expected another port than {seen[port]}, got {port} for both")
        seen[port] = key


def _secrets(settings: Settings, problems: Problems) -> None:
    """Demo secrets are public: with them every listener is on loopback, never production."""
    listeners = (("fix.host", settings.fix.host), ("http.host", settings.http.host),
                 ("stream.host", settings.stream.host),
                 ("metrics.host", settings.metrics.host))  # fmt: skip
    exposed = [(key, host) for key, host in listeners if not is_loopback(host)]
    production = settings.environment == "production"
    if not exposed and not production:
        return
    demo = demo_secrets.find(settings)
    if production:
        for key in demo:
            problems.add(key, "is a demo secret, which everyone knows; expected one of your own")
    elif demo:
        for key, host in exposed:
            problems.add(
                key, f"expected a loopback address such as 127.0.0.1, got {host!r}, because "
                f"{demo[0]} is a demo secret"
            )  # fmt: skip


def _file_mode(settings: Settings, problems: Problems) -> None:
    if settings.environment != "production":
        return
    mode = settings.file.stat().st_mode
    if mode & 0o007 or mode & 0o020:
        problems.add(
            "(file)", f"expected a mode like 0600 or 0640 in production, got {mode & 0o777:04o}: "
            "the file holds secrets"
        )  # fmt: skip
