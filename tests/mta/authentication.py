"""Mails that real milters refuse, the advice that each must lead to, and the mail that then arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bounced.diagnosis import DnsRecord, Fix, Identity
from bounced.model import Reason
from tests.mta.authenticating import CHANGED, SENDING_ADDRESS, Mail
from tests.mta.daemon import BOUNCE_DOMAIN, MAILBOX
from tests.mta.milters import FROM_DOMAIN, SELECTOR
from tests.mta.refusals import DOMAIN

OUR_ADDRESS = "protocols@app.example.com"
INCLUDE = "spf.example.com"
KEY_HOST = "s1.dkim.example.com"
FORGETFUL = "forgetful.example.com"
"""A return domain of ours whose SPF record does not have our server."""

ALL_MEANS = f"""\
spf_include = "{INCLUDE}"
sending_addresses = ["{SENDING_ADDRESS}"]
dkim_cnames = ["{SELECTOR}={KEY_HOST}"]
return_path_target = "{BOUNCE_DOMAIN}"
from_address = "{OUR_ADDRESS}"
"""
ONLY_A_RETURN_PATH = f'return_path_target = "{BOUNCE_DOMAIN}"\n'
ONLY_AN_ADDRESS = f'from_address = "{OUR_ADDRESS}"\n'

Zone = Mapping[tuple[str, str], str]
"""(name, type) → rdata, in presentation form."""

_PASS = f"v=spf1 ip4:{SENDING_ADDRESS} -all"
_OTHERS = "v=spf1 ip4:198.51.100.0/24"
_REJECT = '"v=DMARC1; p=reject"'
_MAIL_FROM = f"{MAILBOX}@{BOUNCE_DOMAIN}"

OUR_ZONE: Zone = {
    (BOUNCE_DOMAIN, "TXT"): f'"{_PASS}"',
    (INCLUDE, "TXT"): f'"{_PASS}"',
    ("app.example.com", "TXT"): f'"{_PASS}"',
    ("_dmarc.example.com", "TXT"): _REJECT,
    (FORGETFUL, "TXT"): f'"{_OTHERS} -all"',
    (f"{SELECTOR}._domainkey.{BOUNCE_DOMAIN}", "CNAME"): f"{KEY_HOST}.",
}


@dataclass(frozen=True)
class Story:
    """One refused mail."""

    domain: str
    """Of the author."""
    mail: Mail
    zone: Zone
    """What DNS says of the domain."""
    reason: Reason
    identity: Identity
    fix: Fix
    records: tuple[DnsRecord, ...] = ()
    then: Mail | None = None
    """What arrives when the advice was followed; None: the same mail."""
    we_publish: Zone = field(default_factory=dict)
    """What we mend in our own zone."""
    means: str = ALL_MEANS
    """The section [advice]; the daemon has ALL_MEANS, anything else is asked of the command."""
    passes: frozenset[str] = frozenset({"dmarc=pass"})
    """What the milters find in the mail that arrives."""
    counts: bool = True
    """Whether the author has a case, and so a notice."""
    freemail: bool = False

    @property
    def cured(self) -> Mail:
        return self.then or self.mail


def _write(domain: str, mail_from: str = _MAIL_FROM, *, signed_by: str | None = None) -> Mail:
    name = domain.replace(".", "-")
    return Mail(f"anna@{domain}", mail_from, f"{name}@{DOMAIN}", signed_by=signed_by)


def _policy(domain: str) -> Zone:
    return {(f"_dmarc.{domain}", "TXT"): _REJECT}


def _key_name(domain: str) -> str:
    return f"{SELECTOR}._domainkey.{domain}"


def _key(domain: str, replaces: str | None = None) -> DnsRecord:
    return DnsRecord(_key_name(domain), "CNAME", KEY_HOST, replaces)


STORIES = (
    Story(
        "steady.example",
        _write("steady.example", f"{MAILBOX}@{FORGETFUL}"),
        {},
        Reason.SPF,
        Identity.MAIL_FROM,
        Fix.OURS,
        we_publish={(FORGETFUL, "TXT"): f'"{_PASS}"'},
        passes=frozenset(),
        counts=False,
    ),
    Story(
        "merge.example",
        _write("merge.example", f"{MAILBOX}@mail.merge.example"),
        {("mail.merge.example", "TXT"): f'"{_OTHERS} -all"'},
        Reason.SPF,
        Identity.MAIL_FROM,
        Fix.MERGE_SPF,
        (
            DnsRecord(
                "mail.merge.example",
                "TXT",
                f"{_OTHERS} include:{INCLUDE} -all",
                f"{_OTHERS} -all",
            ),
        ),
        passes=frozenset(),
    ),
    Story(
        "soft.example",
        _write("soft.example", f"{MAILBOX}@mail.soft.example"),
        {("mail.soft.example", "TXT"): f'"{_OTHERS} ~all"', **_policy("soft.example")},
        Reason.DMARC,
        Identity.DMARC,
        Fix.MERGE_SPF,
        (
            DnsRecord(
                "mail.soft.example",
                "TXT",
                f"{_OTHERS} include:{INCLUDE} ~all",
                f"{_OTHERS} ~all",
            ),
        ),
    ),
    Story(
        "bare.example",
        _write("bare.example", f"{MAILBOX}@mail.bare.example"),
        _policy("bare.example"),
        Reason.DMARC,
        Identity.DMARC,
        Fix.PUBLISH_SPF,
        (DnsRecord("mail.bare.example", "TXT", f"v=spf1 include:{INCLUDE} ?all"),),
    ),
    Story(
        "lost-key.example",
        _write("lost-key.example", signed_by=FROM_DOMAIN),
        {},
        Reason.DKIM,
        Identity.DKIM,
        Fix.PUBLISH_DKIM,
        (_key("lost-key.example"),),
        passes=frozenset({"dkim=pass"}),
    ),
    Story(
        "garbled.example",
        _write("garbled.example", signed_by=FROM_DOMAIN),
        {
            (_key_name("garbled.example"), "TXT"): '"v=DKIM1; p=nonsense!"',
            **_policy("garbled.example"),
        },
        Reason.DMARC,
        Identity.DMARC,
        Fix.PUBLISH_DKIM,
        (_key("garbled.example", "TXT v=DKIM1; p=nonsense!"),),
    ),
    Story(
        "changed.example",
        replace(_write("changed.example", signed_by=FROM_DOMAIN), text=CHANGED),
        {(_key_name("changed.example"), "CNAME"): f"{KEY_HOST}."},
        Reason.DKIM,
        Identity.DKIM,
        Fix.ASK_RECEIVER,
        then=_write("changed.example", signed_by=FROM_DOMAIN),
        passes=frozenset({"dkim=pass"}),
    ),
    Story(
        "unsigned.example",
        _write("unsigned.example"),
        _policy("unsigned.example"),
        Reason.DMARC,
        Identity.DMARC,
        Fix.PUBLISH_DKIM,
        (_key("unsigned.example"),),
        then=_write("unsigned.example", signed_by=FROM_DOMAIN),
    ),
    Story(
        "signed-by-us.example",
        _write("signed-by-us.example", signed_by=BOUNCE_DOMAIN),
        _policy("signed-by-us.example"),
        Reason.DMARC,
        Identity.DMARC,
        Fix.PUBLISH_DKIM,
        (_key("signed-by-us.example"),),
        then=_write("signed-by-us.example", signed_by=FROM_DOMAIN),
    ),
    Story(
        "ready.example",
        _write("ready.example"),
        {(_key_name("ready.example"), "CNAME"): f"{KEY_HOST}.", **_policy("ready.example")},
        Reason.DMARC,
        Identity.DMARC,
        Fix.OURS,
        then=_write("ready.example", signed_by=FROM_DOMAIN),
    ),
    Story(
        "gmx.de",
        _write("gmx.de"),
        _policy("gmx.de"),
        Reason.DMARC,
        Identity.DMARC,
        Fix.USE_OUR_ADDRESS,
        then=replace(_write("gmx.de"), from_address=OUR_ADDRESS, reply_to="anna@gmx.de"),
        freemail=True,
    ),
    Story(
        "return-path.example",
        _write("return-path.example"),
        _policy("return-path.example"),
        Reason.DMARC,
        Identity.DMARC,
        Fix.RETURN_PATH_CNAME,
        (DnsRecord("bounces.return-path.example", "CNAME", BOUNCE_DOMAIN),),
        then=_write("return-path.example", f"{MAILBOX}@bounces.return-path.example"),
        means=ONLY_A_RETURN_PATH,
    ),
    Story(
        "no-means.example",
        _write("no-means.example"),
        _policy("no-means.example"),
        Reason.DMARC,
        Identity.DMARC,
        Fix.USE_OUR_ADDRESS,
        then=replace(
            _write("no-means.example"),
            from_address=OUR_ADDRESS,
            reply_to="anna@no-means.example",
        ),
        means=ONLY_AN_ADDRESS,
    ),
)
RETURN_DOMAINS = sorted(
    {
        mail.mail_from.partition("@")[2]
        for story in STORIES
        for mail in (story.mail, story.cured)
        if mail.mail_from != _MAIL_FROM
    }
)

ALIGNED = _write("aligned.example", signed_by=FROM_DOMAIN)
ALIGNED_ZONE: Zone = {
    (_key_name("aligned.example"), "CNAME"): f"{KEY_HOST}.",
    **_policy("aligned.example"),
}
"""Signed as the policy demands: accepted from the beginning."""
REVOKED = _write("revoked.example", signed_by=FROM_DOMAIN)
REVOKED_ZONE: Zone = {(_key_name("revoked.example"), "TXT"): '"v=DKIM1; p="'}
"""Refused without a word on why."""
