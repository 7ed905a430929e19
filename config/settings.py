"""The typed loader: ``load()`` reads one TOML file and returns checked ``Settings``.

``TANDEM_CONFIG`` names the file (default: the demo configuration), ``TANDEM_DATA`` the data
folder (default: ``data`` of the file). A relative data folder counts from the working
directory; relative ``engine.socket``, ``engine.journal`` and ``fix.store`` count from the
data folder. Loading reads the file and changes nothing; ``ensure_data`` makes the folder.

What is wrong is refused as a whole: SettingsError lists the file and, for each wrong value,
its key and what was expected.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from config import checks, container, reading, simulation
from config.cluster import Cluster, beside
from config.fix import Fix
from config.model import (
    Account,
    AccountTable,
    Asset,
    Bots,
    Engine,
    Environment,
    Faucet,
    FaucetTable,
    History,
    Http,
    Key,
    KeyTable,
    MarketData,
    Metrics,
    Network,
    NetworkTable,
    SessionSettings,
    SessionTable,
    Settings,
    Settlement,
    Simulation,
    Stream,
    Venue,
    Webhooks,
)
from config.reading import Problems, Reader
from config.suggestion import hint
from engine.core import authority
from engine.core.instruments import Instrument

__all__ = [
    "DEMO_FILE",
    "Account",
    "Asset",
    "Bots",
    "Cluster",
    "Engine",
    "Faucet",
    "Fix",
    "History",
    "Http",
    "Key",
    "MarketData",
    "Metrics",
    "Network",
    "SessionSettings",
    "Settings",
    "SettingsError",
    "Settlement",
    "Stream",
    "Venue",
    "Webhooks",
    "ensure_data",
    "keep_private",
    "load",
]

CONFIG_VARIABLE: Final = "TANDEM_CONFIG"
DATA_VARIABLE: Final = "TANDEM_DATA"
MARKET_VARIABLE: Final = "TANDEM_MARKET"
"""Set by `tandem up --market`: the bots of the file trade, whatever it says itself."""
TLS_VARIABLE: Final = "TANDEM_TLS"
"""Set by `tandem up --tls`: where the file names no proxy, ``TLS_SOURCE`` is one."""
TLS_SOURCE: Final = "127.0.0.9"
"""An address of this machine that nobody else comes from by chance."""
DEMO_FILE: Final = Path(__file__).parent / "demo.toml"
_TOP_LEVEL: Final = frozenset(
    ["environment", "data", "venue", "engine", "cluster", "fix", "http", "stream", "metrics",
     "market_data", "history", "settlement", "webhooks", "simulation", "bots", "faucet", "assets",
     "networks", "instruments", "accounts", "sessions", "keys"]
)  # fmt: skip


class SettingsError(ValueError):
    """The configuration cannot be used; the message names the file, each key and why."""


def load(path: Path | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Read and check the configuration. Raises SettingsError."""
    env = os.environ if env is None else env
    file = Path(path or env.get(CONFIG_VARIABLE) or DEMO_FILE).absolute()
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: is not valid TOML: {error}") from None
    problems = Problems()
    settings = _read(file, document, env, problems)
    if settings is not None and not problems.lines:
        checks.check(settings, problems)
        settings = simulation.extended(settings, problems)
        settings = _in_container(settings, env, problems)
    if settings is None or problems.lines:
        listed = "\n".join(f"  {line}" for line in problems.lines)
        raise SettingsError(f"{file} cannot be used:\n{listed}")
    return settings


def _in_container(settings: Settings, env: Mapping[str, str], problems: Problems) -> Settings:
    """After the checks: what they refuse for a host stays refused."""
    said = env.get(container.VARIABLE, "")
    if said in ("", "0"):
        return settings
    if why := container.refusal(settings):
        problems.add(container.VARIABLE, why)
        return settings
    return container.listening(settings)


def ensure_data(settings: Settings) -> None:
    """Make the data folder, for this user only; it is left as it is where it exists."""
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)


def keep_private() -> None:
    """Let nobody else read what this process writes, whatever its data folder allows."""
    os.umask(0o077)


def _read(
    file: Path, document: dict[str, Any], env: Mapping[str, str], problems: Problems
) -> Settings | None:
    for name in sorted(document.keys() - _TOP_LEVEL):
        known = ", ".join(sorted(_TOP_LEVEL))
        problems.add(name, f"is not a known key; known here are {known}")
    environment = _environment(document, problems)
    data = _data(document, env, problems)
    reader = Reader(document, problems)
    venue = reader.table("venue", Venue)
    if venue is not None:
        reading.check_day_roll(venue, problems)
    engine = reader.table("engine", Engine)
    cluster = reader.table("cluster", Cluster) if "cluster" in document else None
    fix = _fix(reader, env, cluster)
    http = reader.table("http", Http)
    if cluster is not None and http is not None:
        http = msgspec.structs.replace(http, shared=True)
    stream = reader.table("stream", Stream)
    metrics = reader.table("metrics", Metrics)
    market_data = reader.table("market_data", MarketData)
    history = reader.table("history", History)
    settlement = reader.table("settlement", Settlement)
    webhooks = reader.table("webhooks", Webhooks)
    simulated = reader.table("simulation", Simulation)
    if simulated is not None and env.get(MARKET_VARIABLE) and "simulation" in document:
        simulated = msgspec.structs.replace(simulated, enabled=True)
    bots = reader.table("bots", Bots)
    assets = _assets(reader)
    scales = {asset.asset: asset.scale for asset in assets}
    if bots is not None and env.get(MARKET_VARIABLE):
        bots = msgspec.structs.replace(bots, enabled=True)
    accounts = _accounts(reader, scales, problems)
    faucet = _faucet(reader, scales, problems)
    networks, instruments = _markets(reader, assets, problems)
    if bots is not None and bots.enabled:
        # A market that bots make is for everybody to trade in, so it has a band (rules P).
        instruments = tuple(
            one._replace(band_ppm=one.band_ppm or bots.band_ppm) for one in instruments
        )
    firms = {account.account: account.firm for account in accounts}
    sessions = _sessions(reader, firms, fix, problems)
    keys = _keys(reader, firms, problems)
    if (
        venue is None or engine is None or fix is None or http is None
        or stream is None or metrics is None or market_data is None
        or history is None or settlement is None or webhooks is None or bots is None
        or faucet is None or simulated is None
    ):  # fmt: skip
        return None
    return Settings(
        file=file,
        environment=environment,
        data=data,
        venue=venue,
        engine=msgspec.structs.replace(
            engine, socket=data / engine.socket, journal=data / engine.journal
        ),
        cluster=None if cluster is None else beside(cluster, file.parent),
        fix=msgspec.structs.replace(fix, store=data / fix.store),
        http=http,
        stream=stream,
        metrics=metrics,
        market_data=market_data,
        history=history if history.url else History(url=f"sqlite:///{data / 'history.db'}"),
        settlement=settlement,
        webhooks=webhooks,
        simulation=simulated,
        bots=bots,
        faucet=faucet,
        assets=assets,
        networks=networks,
        instruments=instruments,
        accounts=accounts,
        sessions=sessions,
        keys=keys,
    )


def _fix(reader: Reader, env: Mapping[str, str], cluster: Cluster | None) -> Fix | None:
    fix = reader.table("fix", Fix)
    if fix is None:
        return None
    if env.get(TLS_VARIABLE) and not fix.trusted_proxies:
        fix = msgspec.structs.replace(fix, proxies=(TLS_SOURCE,))
    if cluster is not None or fix.gateways > 1:
        fix = msgspec.structs.replace(fix, shared=True)
    return fix


def _environment(document: dict[str, Any], problems: Problems) -> Environment:
    choices = get_args(Environment)
    value = document.get("environment")
    for choice in choices:
        if value == choice:
            return choice  # type: ignore[no-any-return]
    problems.add("environment", f"expected one of {', '.join(map(repr, choices))}, got {value!r}")
    return "production"


def _data(document: dict[str, Any], env: Mapping[str, str], problems: Problems) -> Path:
    value = env.get(DATA_VARIABLE) or document.get("data", "data")
    if not isinstance(value, str) or not value:
        problems.add("data", f"expected the path of a folder, got {value!r}")
        value = "data"
    return Path(value).absolute()


def _assets(reader: Reader) -> tuple[Asset, ...]:
    return tuple(asset for _, asset in reader.tables("assets", Asset))


def _markets(
    reader: Reader, assets: tuple[Asset, ...], problems: Problems
) -> tuple[tuple[Network, ...], tuple[Instrument, ...]]:
    scales = {asset.asset: asset.scale for asset in assets}
    declared = reader.declared("assets", "asset")

    def network(where: str, table: NetworkTable) -> Network | None:
        scale = scales.get(table.asset)
        if scale is None:
            if table.asset not in declared:
                problems.add(
                    f"{where}.asset",
                    f"expected one of the assets, got {table.asset!r}{hint(table.asset, scales)}",
                )
            return None
        atoms = {
            field: reader.amount(f"{where}.{field}", getattr(table, field), scale)
            for field in ("withdrawal_fee", "withdrawal_min", "withdrawal_step")
        }
        return Network(**(msgspec.structs.asdict(table) | atoms))

    networks = reading.collect(network, reader.tables("networks", NetworkTable))
    instruments = reading.collect(
        lambda where, table: reading.instrument(where, table, scales, declared, problems),
        reader.tables("instruments", reading.InstrumentTable),
    )
    return networks, instruments


def _amounts(
    reader: Reader, scales: dict[str, int], problems: Problems, key: str, texts: dict[str, str]
) -> tuple[tuple[str, int], ...]:
    """Convert a table of asset to decimal text to (asset, atoms)."""
    pairs = []
    for asset, text in texts.items():
        if asset not in scales:
            if asset not in reader.declared("assets", "asset"):
                known = hint(asset, scales)
                problems.add(f"{key}.{asset}", f"expected one of the assets as key{known}")
            continue
        pairs.append((asset, reader.amount(f"{key}.{asset}", text, scales[asset])))
    return tuple(sorted(pairs))


def _faucet(reader: Reader, scales: dict[str, int], problems: Problems) -> Faucet | None:
    table = reader.table("faucet", FaucetTable)
    if table is None:
        return None
    portions = _amounts(reader, scales, problems, "faucet.portions", table.portions)
    return Faucet(**(msgspec.structs.asdict(table) | {"portions": portions}))


def _accounts(
    reader: Reader, scales: dict[str, int], problems: Problems
) -> tuple[Account, ...]:
    def account(where: str, table: AccountTable) -> Account:
        atoms = {
            field: _amounts(reader, scales, problems, f"{where}.{field}", getattr(table, field))
            for field in ("grants", "approval_above", "daily_limits")
        }
        return Account(**(msgspec.structs.asdict(table) | atoms))

    return reading.collect(account, reader.tables("accounts", AccountTable))


def _sessions(
    reader: Reader, firms: dict[str, str], fix: Fix | None, problems: Problems
) -> tuple[SessionSettings, ...]:
    declared = reader.declared("accounts", "account")

    def session(where: str, table: SessionTable) -> SessionSettings | None:
        if table.account not in firms:
            if table.account not in declared:
                problems.add(f"{where}.account", _no_account(table.account, firms))
            return None
        terms = msgspec.structs.asdict(table)
        terms["throttle_burst"] = table.throttle_burst or table.throttle_rate
        firm = firms[table.account]
        of_firm = (account for account, its_firm in firms.items() if its_firm == firm)
        reached = authority.accounts_of(table.account, firm, of_firm)
        return SessionSettings(**terms, firm=firm, accounts=reached)

    defaults = {} if fix is None else {"grace_s": fix.grace_default_s}
    return reading.collect(session, reader.tables("sessions", SessionTable, defaults))


def _no_account(account: str, firms: Iterable[str]) -> str:
    return f"expected an account, got {account!r}{hint(account, firms)}"


def _keys(reader: Reader, firms: dict[str, str], problems: Problems) -> tuple[Key, ...]:
    declared = reader.declared("accounts", "account")

    def key(where: str, table: KeyTable) -> Key | None:
        if table.kind != "operator" and table.account not in firms:
            if table.account not in declared:
                problems.add(f"{where}.account", _no_account(table.account, firms))
            return None
        if table.kind == "operator" and table.account:
            problems.add(f"{where}.account", "an operator's key belongs to no account")
            return None
        return Key(**msgspec.structs.asdict(table), firm=firms.get(table.account, ""))

    return reading.collect(key, reader.tables("keys", KeyTable))
