"""The effective configuration: every knob, its safe default and the reason for it.

Precedence is flag > environment ``STS_<SECTION>_<KEY>`` > TOML file > default.  This module is
pure: the command line reads the file and the environment and hands both in.  Every error is a
``ConfigError`` whose text names the place and the remedy.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

Endpoint = tuple[str, int]
"""An address and a port."""


class ConfigError(ValueError):
    """The configuration cannot be used; the text names the key and the remedy."""


def _endpoint(text: str, key: str, default_port: int | None) -> Endpoint:
    """Read ``127.0.0.1:53``, ``[::1]:53`` or, with a default port, a bare address or name."""
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?", text)
    plain = re.fullmatch(r"([^:\s]+)(?::(\d+))?", text)
    match = bracketed or plain
    host, port = (match[1], match[2]) if match else (text, None)
    if match is None and text.count(":") > 1:  # a bare IPv6 address
        try:
            ipaddress.IPv6Address(text)
        except ValueError:
            raise ConfigError(f"{key}: {text!r} is not an address; write [::1]:53") from None
    elif match is None:
        raise ConfigError(f"{key}: {text!r} is not address:port")
    if port is None and default_port is None:
        raise ConfigError(f"{key}: {text!r} lacks a port; write {host}:25")
    number = int(port) if port is not None else default_port
    assert number is not None
    if not 0 < number < 65536:
        raise ConfigError(f"{key}: port {number} is out of range")
    return host, number


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}


def seconds(value: object, key: str) -> float:
    """Read a duration: a number of seconds, or text such as ``250ms``, ``5m``, ``1h``."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number, unit = float(value), ""
    else:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)\s*", str(value))
        if match is None:
            raise ConfigError(f"{key}: {value!r} is not a duration; write 30, '30s', '5m' or '1h'")
        number, unit = float(match[1]), match[2]
    if not 0 <= number < float("inf"):
        raise ConfigError(f"{key}: {value!r} must not be negative or infinite")
    return number * _UNITS[unit]


def knob(reason: str, default: Any = MISSING, **bounds: float) -> Any:
    """A key, why it exists or why its default is what it is, and its bounds (``above``, ``least``, ``most``)."""
    metadata = {"reason": reason, **bounds}
    if isinstance(default, (list, tuple)):
        return field(default_factory=lambda: tuple(default), metadata=metadata)
    return field(default=default, metadata=metadata)


class Seconds(float):
    """A duration in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dns:
    """The recursive resolvers that are asked, and how fast."""

    resolvers: tuple[str, ...] = knob(
        "validating recursive resolvers, address:port; a local one is kindest to everybody",
        ("127.0.0.1:53",),
    )
    queries_per_second: float = knob("per resolver, retries and TCP included", 1000.0, above=0)
    timeout: Seconds = knob(
        "per query sent; resolvers give up on dead servers after about 3 s", Seconds(3)
    )
    attempts: int = knob("queries sent at the most for one lookup in one round", 3, least=1)
    in_flight: int = knob("lookups outstanding at once, over all resolvers", 1000, least=1)
    transport: Literal["udp", "tcp"] = knob(
        "udp, or pipelined tcp (RFC 7766) for a trusted local resolver", "udp"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """Ports, trust and which addresses may be dialled."""

    https_port: int = knob(
        "RFC 8461 section 3.3 fixes 443; other ports are for closed worlds",
        443,
        least=1,
        most=65535,
    )
    smtp_port: int = knob(
        "RFC 5321 fixes 25; other ports are for closed worlds", 25, least=1, most=65535
    )
    trust_roots: Path | None = knob(
        "PEM file of trust anchors; default: the bundled Mozilla set", None
    )
    allow_addresses: tuple[str, ...] = knob(
        "when set, only these networks are dialled: a closed world; recorded in the manifest", ()
    )
    ipv6: bool = knob(
        "whether this vantage has IPv6; without it IPv6 rows say vantage-failure", True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who asks.  A scan of public addresses does not start without all three."""

    ehlo_name: str = knob("own host name whose forward and reverse DNS agree", "")
    contact: str = knob("mail address that a person reads", "")
    url: str = knob("page that explains the scan and the opt-out", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Politeness:
    """Limits that every connection draws from."""

    connections_per_second: float = knob("connection starts of the whole scan", 200.0, above=0)
    per_address_interval: Seconds = knob(
        "between connection starts to one address; some MX hosts allow about two a minute",
        Seconds(2),
    )
    per_address_smtp: int = knob("SMTP conversations at once with one address", 1, least=1)
    per_address_https: int = knob("HTTPS conversations at once with one address", 2, least=1)
    per_prefix_connections: int = knob("connections at once to one /24 or /64", 8, least=1)
    connections: int = knob(
        "connections open at once; clamped to the descriptor limit", 2000, least=1
    )
    mx_hosts: int = knob(
        "MX hosts contacted per domain, by preference; Postfix tries 5", 5, least=1
    )
    addresses_per_family: int = knob("addresses contacted per host and family", 2, least=1)
    opt_out: Path | None = knob(
        "file of domains, MX hosts, addresses and CIDRs to leave alone", None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Transient outcomes are asked again in later rounds of the same pass."""

    rounds: int = knob("rounds after the first", 1, least=0)
    delay: Seconds = knob(
        "before each; RFC 8461 section 3.3 and greylisting both say 5 minutes", Seconds(300)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """How far the facts of an earlier scan reach, for ``scan --since``."""

    max_age: Seconds = knob(
        "what was observed longer ago is asked again; a monthly study must not rest on older facts",
        Seconds(28 * 86400),
        above=0,
    )
    sample: float = knob(
        "share of what could be carried over that is asked again, to tell how much of it still holds",
        0.1,
        least=0,
        most=1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Vantage:
    """Where the scan runs from."""

    name: str = knob("stands in the manifest and in every observed row", "unnamed")
    canaries: tuple[str, ...] = knob("host:port of MX hosts that are known to answer", ())
    canary_interval: Seconds = knob(
        "between greetings of canaries: a block of port 25 is noticed within twice that",
        Seconds(30),
        above=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Deadlines and byte caps: one total per step and conversation, on the monotonic clock."""

    cname_hops: int = knob("unbound follows 11", 11, least=1)
    connect: Seconds = knob("a SYN retried at 1, 3 and 7 s has arrived by then", Seconds(10))
    https_total: Seconds = knob(
        "RFC 8461 section 3.3 suggests 60 s for a sender with mail to send", Seconds(30)
    )
    policy_bytes: int = knob("RFC 8461 section 3.3 suggests 64 kB", 65536, least=1)
    header_bytes: int = knob("h11's own limit", 102400, least=1)
    smtp_banner: Seconds = knob(
        "greet delays of 10 to 30 s are deliberate; RFC 5321 says 5 min", Seconds(60)
    )
    smtp_total: Seconds = knob("a whole session, so that a tarpit frees its slot", Seconds(150))
    smtp_quit: Seconds = knob("an unanswered QUIT is no fault", Seconds(5))
    smtp_line_bytes: int = knob(
        "RFC 5321 section 4.5.3.1.5 says 512; Postfix reads 2048", 2048, least=3
    )
    smtp_reply_lines: int = knob("no EHLO reply seen in the wild is near it", 128, least=1)
    smtp_reply_bytes: int = knob("64 KiB, curl's limit", 65536, least=3)
    tls_handshake: Seconds = knob("RSA-4096 on a slow host takes seconds", Seconds(30))
    chain_certificates: int = knob("real chains have 2 to 5", 16, least=1)
    chain_bytes: int = knob("OpenSSL's own max_cert_list", 102400, least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration, one record per TOML table."""

    dns: Dns = field(default_factory=Dns)
    net: Net = field(default_factory=Net)
    identity: Identity = field(default_factory=Identity)
    politeness: Politeness = field(default_factory=Politeness)
    retry: Retry = field(default_factory=Retry)
    since: Since = field(default_factory=Since)
    vantage: Vantage = field(default_factory=Vantage)
    limits: Limits = field(default_factory=Limits)

    @property
    def closed_world(self) -> bool:
        """Whether only listed addresses may be dialled, so that no public host is contacted."""
        return bool(self.net.allow_addresses)

    def resolver_endpoints(self) -> tuple[Endpoint, ...]:
        """The resolvers as addresses and ports."""
        return tuple(_endpoint(r, "[dns] resolvers", 53) for r in self.dns.resolvers)

    def canary_endpoints(self) -> tuple[Endpoint, ...]:
        """The canaries as hosts and ports."""
        return tuple(_endpoint(c, "[vantage] canaries", 25) for c in self.vantage.canaries)

    def as_dict(self) -> dict[str, Any]:
        """The configuration as plain values, for the manifest; paths as text."""
        return {
            name: {
                k: str(v) if isinstance(v, Path) else list(v) if isinstance(v, tuple) else v
                for k, v in section.items()
            }
            for name, section in asdict(self).items()
        }


SECTIONS: Mapping[str, type[Any]] = {f.name: f.default_factory for f in fields(Config)}  # type: ignore[misc]


def _convert(value: object, wanted: Any, key: str, base: Path) -> object:
    """Turn a TOML or environment value into the type of its key."""
    if get_origin(wanted) is Literal:
        if value not in get_args(wanted):
            raise ConfigError(f"{key}: {value!r} is not one of {', '.join(get_args(wanted))}")
        return value
    if wanted is Seconds:
        return Seconds(seconds(value, key))
    if get_origin(wanted) is tuple:
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, (list, tuple)) or not all(isinstance(i, str) for i in items):
            raise ConfigError(f"{key}: expected a list of strings")
        return tuple(i.strip() for i in items if i.strip())
    if wanted == Path | None:
        if not isinstance(value, (str, Path)):
            raise ConfigError(f"{key}: expected the path of a file")
        return (base / Path(value).expanduser()).resolve() if str(value) else None
    if wanted is bool:
        if isinstance(value, bool):
            return value
        if str(value).lower() in ("1", "true", "yes", "on", "0", "false", "no", "off"):
            return str(value).lower() in ("1", "true", "yes", "on")
        raise ConfigError(f"{key}: {value!r} is neither true nor false")
    if wanted is str:
        if not isinstance(value, str):
            raise ConfigError(f"{key}: expected text")
        return value
    if isinstance(value, bool):
        raise ConfigError(f"{key}: {value!r} is not a number")
    kind = "a whole number" if wanted is int else "a number"
    try:
        number = wanted(value)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{key}: {value!r} is not {kind}") from None
    if not math.isfinite(number) or (isinstance(value, float) and number != value):
        raise ConfigError(f"{key}: {value!r} is not {kind}")
    return number


def _check_bounds(section: Any, name: str) -> None:
    for f in fields(section):
        value, key = getattr(section, f.name), f"[{name}] {f.name}"
        if "above" in f.metadata and not value > f.metadata["above"]:
            raise ConfigError(f"{key} = {value:g} must be above {f.metadata['above']}")
        if "least" in f.metadata and not value >= f.metadata["least"]:
            raise ConfigError(f"{key} = {value:g} must be at least {f.metadata['least']}")
        if "most" in f.metadata and not value <= f.metadata["most"]:
            raise ConfigError(f"{key} = {value:g} must be at most {f.metadata['most']}")


def load(
    toml: Mapping[str, Any],
    *,
    environment: Mapping[str, str] | None = None,
    base: Path,
    source: str,
) -> Config:
    """Build the configuration from a parsed TOML file and the environment.

    *base* is the folder that relative paths in the file start from; those of the environment
    start from the working directory.  *source* names the file in errors.

    Raises ``ConfigError`` for an unknown table or key, a value of the wrong kind or out of
    bounds, and an address or network that cannot be read.
    """
    unknown = [name for name in toml if name not in SECTIONS]
    if unknown:
        raise ConfigError(
            f"{source}: unknown table [{unknown[0]}]; the tables are {', '.join(sorted(SECTIONS))}"
        )
    built: dict[str, Any] = {}
    for name, cls in SECTIONS.items():
        given = toml.get(name, {})
        if not isinstance(given, Mapping):
            raise ConfigError(f"{source}: {name} must be a table, [{name}]")
        types = get_type_hints(cls)
        for key in given:
            if key not in types:
                raise ConfigError(
                    f"{source}: unknown key {key!r} in [{name}]; its keys are {', '.join(sorted(types))}"
                )
        values = {
            k: _convert(v, types[k], f"{source}: [{name}] {k}", base) for k, v in given.items()
        }
        for key, wanted in types.items():
            variable = f"STS_{name}_{key}".upper()
            if environment is not None and variable in environment:
                values[key] = _convert(environment[variable], wanted, variable, Path.cwd())
        built[name] = cls(**values)
        try:
            _check_bounds(built[name], name)
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from None
    config = Config(**built)
    _check(config, source)
    return config


def _check(config: Config, source: str) -> None:
    """What one key alone cannot tell."""
    if not config.dns.resolvers:
        raise ConfigError(f"{source}: [dns] resolvers is empty; name at least one, address:port")
    try:
        config.canary_endpoints()
        for host, _ in config.resolver_endpoints():
            ipaddress.ip_address(host)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
    except ValueError:
        raise ConfigError(
            f"{source}: [dns] resolvers: {host!r} must be an address, not a name"
        ) from None
    for network in config.net.allow_addresses:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ConfigError(f"{source}: [net] allow_addresses: {error}") from None


def from_stated(stated: Mapping[str, Mapping[str, Any]], source: str) -> Config:
    """The configuration that ``Config.as_dict`` stated; *source* is where."""
    given = {
        section: {key: value for key, value in keys.items() if value is not None}
        for section, keys in stated.items()
    }
    return load(given, base=Path("/"), source=source)


def divided(config: Config, among: int) -> Config:
    """What each of *among* processes may do, so that together they do what *config* allows.

    What is said of one destination is not divided: it is contacted by one of them only.
    """
    dns, limits, vantage = config.dns, config.politeness, config.vantage
    return replace(
        config,
        dns=replace(
            dns,
            queries_per_second=dns.queries_per_second / among,
            in_flight=max(1, dns.in_flight // among),
        ),
        politeness=replace(
            limits,
            connections_per_second=limits.connections_per_second / among,
            connections=max(1, limits.connections // among),
        ),
        vantage=replace(vantage, canary_interval=Seconds(vantage.canary_interval * among)),
    )


def with_retry_rounds(config: Config, rounds: int) -> Config:
    """The same configuration with another number of retry rounds."""
    return replace(config, retry=replace(config.retry, rounds=rounds))
