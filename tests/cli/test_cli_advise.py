"""What is wrong with a domain and what mends it: for people, for programs, as an exit code."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator

import pytest
from dns.rdatatype import RdataType

from bounced.advisor.dns import Outcome, Resolver
from bounced.config import DnsSettings
from bounced.daemon import read_clock
from tests.advisor.dkim_keys import make_ed25519_key
from tests.advisor.failing import refuse
from tests.advisor.nameserver import NameServer
from tests.cli.conftest import CommandLine
from tests.cli.test_terminal_output import read_terminal

LONG = " ".join(f"ip4:198.51.100.{number}" for number in range(20))
RECORDS = {
    ("_spf.app.example", "TXT"): ['"v=spf1 ip4:192.0.2.25 -all"'],
    ("bounce.app.example", "TXT"): ['"v=spf1 ip4:192.0.2.25 -all"'],
    ("firma.example", "TXT"): [f'"v=spf1 {LONG[:200]}" "{LONG[200:]} -all"'],
    ("firma.example", "MX"): ["10 mail.firma.example."],
    ("_dmarc.firma.example", "TXT"): ['"v=DMARC1; p=reject"'],
    ("gut.example", "TXT"): ['"v=spf1 include:_spf.app.example -all"'],
    ("gut.example", "MX"): ["10 mail.firma.example."],
    ("_dmarc.gut.example", "TXT"): ['"v=DMARC1; p=none"'],
    ("s1.dkim.app.example", "TXT"): [f'"v=DKIM1; k=ed25519; p={make_ed25519_key()}"'],
    ("xn--mller-kva.example", "MX"): ["10 mail.firma.example."],
}
CONFIG = """\
[return_path]
domains = ["bounce.app.example"]
[advice]
spf_include = "_spf.app.example"
sending_addresses = ["192.0.2.25"]
dkim_cnames = ["s1=s1.dkim.app.example"]
[dns]
timeout = "10s"
resolvers = ["{address}"]
"""


@pytest.fixture
def server() -> Iterator[NameServer]:
    """A name server in a thread of its own: the command has its own event loop."""
    server = NameServer(dict(RECORDS), odd={"tot.example": refuse})
    loop = asyncio.new_event_loop()
    ready, done = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with server.run():
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield server
    loop.call_soon_threadsafe(done.set)
    thread.join()
    loop.close()


@pytest.fixture
def advised(bounced: CommandLine, server: NameServer) -> CommandLine:
    bounced.configure(CONFIG.format(address=server.address))
    return bounced


def test_a_program_gets_the_diagnosis_as_one_object(advised: CommandLine) -> None:
    outcome = advised("advise", "Max@Firma.example", "--reason", "dmarc", "--json")
    assert outcome.code == 1
    (row,) = outcome.rows
    assert row.pop("checked_at").endswith("Z")
    assert row == {
        "domain": "firma.example",
        "mail_from_domain": "bounce.app.example",
        "identity": "dmarc",
        "fix": "publish-dkim",
        "freemail": False,
        "findings": [
            {
                "check": "spf",
                "state": "pass",
                "detail": "bounce.app.example: v=spf1 ip4:192.0.2.25 -all",
            },
            {
                "check": "dkim",
                "state": "missing",
                "detail": "s1._domainkey.firma.example: no CNAME to s1.dkim.app.example",
            },
            {
                "check": "dmarc",
                "state": "pass",
                "detail": "_dmarc.firma.example: v=DMARC1; p=reject",
            },
        ],
        "records": [
            {
                "name": "s1._domainkey.firma.example",
                "type": "CNAME",
                "value": "s1.dkim.app.example",
                "replaces": None,
            }
        ],
        "lookups_before": 0,
        "lookups_after": 0,
        "hoster": None,
    }


def test_a_person_reads_what_to_do_in_the_words_of_the_notices(advised: CommandLine) -> None:
    outcome = advised("advise", "firma.example", "--mail-from", "firma.example", "--reason", "spf")
    assert (outcome.code, outcome.complaints) == (1, [])
    lines = outcome.out.splitlines()
    assert lines[0] == "firma.example: merge-spf"
    assert "  mail from       firma.example" in lines
    assert "  SPF look-ups    0 of 10, 1 with ours" in lines
    assert any("Sie" in line for line in lines)
    english = advised("advise", "firma.example", "--language", "en")
    assert "Sie" not in english.out


def test_no_value_is_cut_or_broken(advised: CommandLine) -> None:
    """A TXT above 255 octets is several strings (RFC 7208 §3.3), on one line all the same."""
    arguments = ("advise", "firma.example", "--mail-from", "firma.example", "--reason", "spf")
    (row,) = advised(*arguments, "--json").rows
    lines = advised(*arguments).out.splitlines()
    (record,) = row["records"]
    assert len(record["value"]) > 255
    assert [line.split(None, 1) for line in lines if line.split(" ")[2:3] in (["name"], ["type"])]
    shown = dict(line.split(None, 1) for line in lines if line.startswith(("  name ", "  value ")))
    assert shown == {"name": "firma.example", "value": record["value"]}
    (replaced,) = (line for line in lines if line.startswith("  replaces"))
    assert replaced.split(None, 1)[1] == record["replaces"]


def test_a_terminal_gets_the_value_on_one_line_too(advised: CommandLine) -> None:
    """The terminal wraps it itself, and copies it without a break."""
    arguments = ("advise", "firma.example", "--mail-from", "firma.example", "--reason", "spf")
    (row,) = advised(*arguments, "--json").rows
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 60, 0, 0))
    process = subprocess.Popen(
        (sys.executable, "-m", "bounced", *arguments, "--config", str(advised.config)),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    drawn = read_terminal(ours).decode()
    assert process.wait() == 1
    os.close(ours)
    assert f"  value     {row['records'][0]['value']}\r\n" in drawn


def test_a_domain_in_order_is_exit_code_0(advised: CommandLine) -> None:
    outcome = advised("advise", "gut.example", "--mail-from", "gut.example")
    assert (outcome.code, outcome.complaints) == (0, [])
    assert outcome.out.startswith("gut.example: none\n")


def test_umlauts_are_asked_for_as_they_stand_in_dns(advised: CommandLine) -> None:
    (row,) = advised("advise", "info@müller.example", "--json").rows
    assert row["domain"] == "xn--mller-kva.example"


def test_without_an_answer_of_dns_nothing_is_claimed(advised: CommandLine) -> None:
    outcome = advised("advise", "tot.example", "--reason", "spf")
    assert outcome.code == 75
    assert outcome.complaints == [
        "bounced: DNS could not be asked: nothing is said about tot.example"
    ]
    assert outcome.out.startswith("tot.example: not-checked\n")


def test_dns_that_is_switched_off_is_said_to_be(bounced: CommandLine) -> None:
    bounced.configure("[dns]\nenabled = false\n")
    outcome = bounced("advise", "firma.example", "--json")
    assert (outcome.code, outcome.rows[0]["fix"]) == (78, "not-checked")
    assert outcome.complaints == ["bounced: dns.enabled is false: nothing can be looked up"]
    freemail = bounced("advise", "max@gmx.de", "--reason", "dmarc", "--json")
    assert (freemail.code, freemail.rows[0]["fix"]) == (1, "use-our-address")


@pytest.mark.parametrize("who", ["co.uk", "max@gov.uk", "or.at"])
def test_a_domain_below_which_others_register_is_nobodys(bounced: CommandLine, who: str) -> None:
    outcome = bounced("advise", who)
    assert outcome.code == 65
    domain = who.rpartition("@")[2]
    assert outcome.complaints == [
        f"bounced: {domain}: nobody can have addresses there, only in a domain below it"
    ]


def test_a_domain_that_does_not_exist_is_said_so(advised: CommandLine) -> None:
    outcome = advised("advise", "gone.example", "--reason", "dmarc", "--json")
    assert (outcome.code, outcome.rows[0]["fix"], outcome.rows[0]["records"]) == (
        1,
        "use-our-address",
        [],
    )


@pytest.mark.parametrize("who", ["", "firma", "max@", "@", "192.0.2.1", "a b.example", "x..y"])
def test_what_is_no_domain_is_not_asked_for(bounced: CommandLine, who: str) -> None:
    outcome = bounced("advise", who)
    assert outcome.code == 65
    assert outcome.complaints == [f"bounced: {who}: that is neither a domain nor an address"]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("firma.example", "--reason", "spam"),
        ("firma.example", "--language", "xx"),
        ("firma.example", "gut.example"),
    ],
)
def test_wrong_usage_is_exit_code_64(bounced: CommandLine, arguments: tuple[str, ...]) -> None:
    assert bounced("advise", *arguments).code == 64


def test_nothing_in_dns_commands_the_terminal(advised: CommandLine, server: NameServer) -> None:
    server.records["firma.example", "TXT"] = ['"v=spf1 \\027[31m\\000 include:[red] -all"']
    arguments = ("advise", "firma.example", "--mail-from", "firma.example", "--reason", "spf")
    for printed in (advised(*arguments).out, advised(*arguments, "--json").out):
        assert {char for char in printed if not char.isprintable()} == {"\n"}


async def test_the_name_server_of_these_tests_answers(server: NameServer) -> None:
    settings = DnsSettings(resolvers=(server.address,))
    answer = await Resolver(settings, clock=read_clock).lookup("firma.example", RdataType.MX)
    assert answer.outcome is Outcome.FOUND
