"""The settings: what a file and the environment make of them, and what must not start."""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from bounced import configfile
from bounced.config import Settings, known_keys, list_warnings
from bounced.configfile import find_config_file, load_settings
from bounced.model import Category, ConfigError
from bounced.values import parse_address, parse_duration, parse_size

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "config.example.toml"
BAD_CONFIGS = sorted((ROOT / "tests/bad_configs").glob("*.toml"))

_KEY = re.compile(r"#(?P<line>(?P<key>\w+) = .*)")


def uncomment(text: str) -> str:
    """Return the example with every key in effect."""
    return re.sub(r"(?m)^#(\w+ = )", r"\1", text)


def test_the_example_uncommented_is_the_defaults() -> None:
    tree = tomllib.loads(uncomment(EXAMPLE.read_text()))
    assert Settings.model_validate(tree) == Settings()


def test_the_example_as_it_stands_changes_nothing() -> None:
    assert load_settings(EXAMPLE, {}) == Settings()


def test_the_example_holds_every_key_in_the_order_of_the_code() -> None:
    tree = tomllib.loads(uncomment(EXAMPLE.read_text()))
    assert {section: list(table) for section, table in tree.items()} == known_keys()


def test_every_key_of_the_example_has_a_sentence_above_it() -> None:
    lines = EXAMPLE.read_text().splitlines()
    keys = [i for i, line in enumerate(lines) if _KEY.fullmatch(line)]
    assert len(keys) == sum(map(len, known_keys().values()))
    for i in keys:
        assert re.fullmatch(r"# .*[^ ]\.", lines[i - 1]), lines[i - 1 : i + 1]


@pytest.mark.parametrize("path", BAD_CONFIGS, ids=lambda path: path.stem)
def test_a_bad_config_is_refused_in_one_line_that_names_file_and_key(path: Path) -> None:
    expected = path.read_text().splitlines()[0].removeprefix("# ")
    with pytest.raises(ConfigError) as caught:
        load_settings(path, {})
    assert str(caught.value) == f"{path}: {expected}"


def test_there_are_bad_configs() -> None:
    assert len(BAD_CONFIGS) > 20


def test_every_fault_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[smtp]\nlistn = []\n[relay]\nport = 0\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(path, {})
    assert str(caught.value).splitlines() == [
        f"{path}: smtp.listn: unknown key; did you mean listen?",
        f"{path}: relay.port: must be from 1 to 65535",
    ]


def test_values_are_parsed_into_real_types(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        """
        [smtp]
        own_relays = ["192.0.2.1", "2001:db8::/32"]
        max_message = "1KiB"
        [return_path]
        domains = ["Bounce.BÜRO.example."]
        keys_file = "keys"
        [notices]
        digest_window = "1500ms"
        categories = ["policy"]
        """
    )
    settings = load_settings(path, {})
    assert settings.smtp.own_relays == (ip_network("192.0.2.1"), ip_network("2001:db8::/32"))
    assert settings.smtp.max_message == 1024
    assert settings.return_path.domains == ("bounce.xn--bro-hoa.example",)
    assert settings.return_path.keys_file == Path("keys")
    assert settings.notices.digest_window == timedelta(seconds=1.5)
    assert settings.notices.categories == (Category.POLICY,)


def test_the_environment_overrides_key_by_key(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        "[smtp]\nhostname = 'file.example'\nmax_connections = 7\n[log]\nlevel = 'error'"
    )
    settings = load_settings(
        path,
        {
            "BOUNCED__SMTP__HOSTNAME": "environment.example",
            "BOUNCED__SMTP__LISTEN": '["127.0.0.1:0", "[::1]:0"]',
            "BOUNCED__SMTP__REQUIRE_TLS": "false",
            "BOUNCED__RELAY__PORT": "25",
            "BOUNCED__RELAY__PASSWORD_FILE": "",
            "BOUNCED__NOTICES__MIN_INTERVAL": "2s",
            "BOUNCED_CONFIG": "elsewhere",
            "PATH": "/bin",
        },
    )
    assert settings.smtp.hostname == "environment.example"
    assert settings.smtp.listen == ("127.0.0.1:0", "[::1]:0")
    assert (settings.smtp.max_connections, settings.smtp.require_tls) == (7, False)
    assert (settings.relay.port, settings.relay.password_file) == (25, None)
    assert settings.notices.min_interval == timedelta(seconds=2)
    assert settings.log.level == "error"


BAD_ENVIRONMENT = {
    "an unknown key": (
        {"BOUNCED__SMTP__LISTN": "x"},
        "environment: BOUNCED__SMTP__LISTN is unknown; did you mean BOUNCED__SMTP__LISTEN?",
    ),
    "an unknown section": (
        {"BOUNCED__NOTICE__MODE": "hold"},
        "environment: BOUNCED__NOTICE__MODE is unknown; did you mean BOUNCED__NOTICES__MODE?",
    ),
    "a section alone": (
        {"BOUNCED__SMTP": "x"},
        "environment: BOUNCED__SMTP is unknown; did you mean BOUNCED__SMTP__TRUST?",
    ),
    "lower case": (
        {"BOUNCED__smtp__trust": "any"},
        "environment: BOUNCED__smtp__trust is unknown; did you mean BOUNCED__SMTP__TRUST?",
    ),
    "a list without brackets": (
        {"BOUNCED__SMTP__LISTEN": "127.0.0.1:25"},
        'BOUNCED__SMTP__LISTEN: not valid JSON: Extra data: line 1 column 6 (char 5); write ["a", "b"]',
    ),
    "JSON that is no list": (
        {"BOUNCED__SMTP__LISTEN": '"127.0.0.1:25"'},
        'BOUNCED__SMTP__LISTEN: a list is needed: write ["a", "b"]',
    ),
    "a wrong value": (
        {"BOUNCED__NOTICES__MAX_NOTICES": "many"},
        "BOUNCED__NOTICES__MAX_NOTICES: notices.max_notices: must be a whole number",
    ),
    "a wrong value in a list": (
        {"BOUNCED__SMTP__OWN_RELAYS": '["::1", "::x"]'},
        (
            "BOUNCED__SMTP__OWN_RELAYS: smtp.own_relays[1]: '::x' is no network: "
            "'::x' does not appear to be an IPv4 or IPv6 network; write an address or address/bits"
        ),
    ),
    "a fault between two sections": (
        {"BOUNCED__RELAY__HOST": "mail.example.com"},
        "environment: relay.host needs notices.sender: a real mailbox that authors can answer to",
    ),
}


@pytest.mark.parametrize("name", BAD_ENVIRONMENT)
def test_a_bad_variable_is_refused_and_named(name: str) -> None:
    environ, expected = BAD_ENVIRONMENT[name]
    with pytest.raises(ConfigError) as caught:
        load_settings(None, environ)
    assert str(caught.value) == expected


def test_an_override_cannot_mend_what_is_no_section(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("smtp = 3")
    with pytest.raises(ConfigError, match="smtp: this is a section"):
        load_settings(path, {"BOUNCED__SMTP__HOSTNAME": "mx.example.com"})


def test_the_file_is_the_named_one_else_the_default_one_else_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    option, variable, default = (tmp_path / name for name in ("option", "variable", "default"))
    monkeypatch.setattr(configfile, "DEFAULT_PATH", default)
    assert find_config_file(None, {}) is None
    default.touch()
    assert find_config_file(None, {"BOUNCED_CONFIG": ""}) == default
    variable.touch()
    assert find_config_file(None, {"BOUNCED_CONFIG": str(variable)}) == variable
    option.touch()
    assert find_config_file(option, {"BOUNCED_CONFIG": str(variable)}) == option


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such configuration file"):
        find_config_file(tmp_path / "config.toml", {})
    with pytest.raises(ConfigError, match="no such configuration file"):
        find_config_file(None, {"BOUNCED_CONFIG": str(tmp_path / "config.toml")})


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"[smtp]\nhostname = 'b\xfcro'\n")
    with pytest.raises(ConfigError, match="not UTF-8: invalid start byte at byte 20"):
        load_settings(path, {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_settings(tmp_path, {})


def test_the_defaults_warn_of_the_rehearsal_only() -> None:
    assert list_warnings(load_settings(None, {})) == [
        "relay.host is empty: notices are written to the Maildir notices"
    ]


def test_risky_choices_are_warned_of() -> None:
    settings = load_settings(
        None,
        {
            "BOUNCED__HTTP__LISTEN": "0.0.0.0:8080",
            "BOUNCED__SMTP__TRUST": "any",
            "BOUNCED__RELAY__HOST": "mail.example.com",
            "BOUNCED__RELAY__SECURITY": "none",
            "BOUNCED__NOTICES__SENDER": "support@example.com",
        },
    )
    assert list_warnings(settings) == [
        (
            "smtp.trust = 'any' believes every bounce: anyone can have authors mailed; "
            "only authors of authors.domains are"
        ),
        (
            "http.listen is not on loopback: tokens pass in clear; "
            "let a proxy speak TLS to the world, and listen on 127.0.0.1"
        ),
        "relay.security = 'none' sends notices in clear",
    ]


def test_a_password_in_the_database_url_is_not_shown() -> None:
    url = "postgresql://bounced:secret@localhost/bounced"
    settings = load_settings(None, {"BOUNCED__DATABASE__URL": url})
    assert settings.database.url == url
    assert "bounced:secret" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", timedelta(0)),
        ("250ms", timedelta(milliseconds=250)),
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("24h", timedelta(days=1)),
        ("36500d", timedelta(days=36_500)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "value", ["", "15", "m", "1.5h", "-1s", " 1s", "1 s", "1S", "1w", "١s", 15, 1.5, None, ["1s"]]
)
def test_anything_else_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(value)


@pytest.mark.parametrize("value", ["36501d", "9" * 18 + "d", "9" * 18 + "ms"])
def test_a_duration_ends_somewhere(value: str) -> None:
    with pytest.raises(ValueError, match="is too long: 36500d at most"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("text", "expected"), [("7B", 7), ("2KiB", 2048), ("10MiB", 10 * 2**20), ("1GiB", 2**30)]
)
def test_a_size_is_a_number_and_a_unit(text: str, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize("value", ["", "10", "10MB", "10 MiB", "-1B", "1.5GiB", "1kib", 10, None])
def test_anything_else_is_no_size(value: object) -> None:
    with pytest.raises(ValueError, match="is no size"):
        parse_size(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:25", ("127.0.0.1", 25)),
        ("[::1]:8025", ("::1", 8025)),
        ("mx.example.com:0", ("mx.example.com", 0)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, expected: tuple[str, int]) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    "text", ["", ":25", "25", "host", "host:", "host:-1", "host:65536", "host:x", "host:٢٥"]
)
def test_anything_else_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        parse_address(text)


@pytest.mark.parametrize("text", ["192.0.2.53", "2001:db8::53", "192.0.2.53:5353", "[::1]:53"])
def test_a_resolver_has_a_port_or_none(text: str) -> None:
    settings = load_settings(None, {"BOUNCED__DNS__RESOLVERS": f'["{text}"]'})
    assert settings.dns.resolvers == (text,)
