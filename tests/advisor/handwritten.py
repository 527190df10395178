"""Addresses as a practice's secretary types them, and what is to be asked; written before the code.

`known` are addresses that work for the author; a domain alone is one that he reached before.
"""

from __future__ import annotations

from dataclasses import dataclass

from bounced.advisor.typo import Basis, Known
from bounced.model import Reason, domain_key, recipient_key, split_address


@dataclass(frozen=True, slots=True)
class Pair:
    """What was typed, what is known, and what is to be suggested (None: nothing)."""

    typed: str
    expected: str | None
    basis: Basis | None = None
    known: tuple[str, ...] = ()
    reason: Reason = Reason.USER_UNKNOWN

    @property
    def knowledge(self) -> Known:
        """Return what works for this author; the installation has reached nobody else."""
        return Known(
            author_domains=frozenset(
                domain_key(split_address(entry)[1] or entry) for entry in self.known
            ),
            site_domains=frozenset(),
            author_addresses=frozenset(recipient_key(e) for e in self.known if "@" in e),
        )


def _nothing(typed: str, *known: str, reason: Reason = Reason.USER_UNKNOWN) -> Pair:
    return Pair(typed, None, None, known, reason)


def _slip(typed: str, expected: str, *known: str) -> Pair:
    return Pair(typed, expected, Basis.SLIP, known, Reason.DOMAIN_UNKNOWN)


def _domain(typed: str, expected: str, *known: str) -> Pair:
    return Pair(typed, expected, Basis.DOMAIN, known, Reason.DOMAIN_UNKNOWN)


def _local(typed: str, expected: str, *known: str) -> Pair:
    return Pair(typed, expected, Basis.LOCAL_PART, known)


SLIPS = (
    _slip("max.muster@gmx,de", "max.muster@gmx.de"),
    _slip("max,muster@gmx.de", "max.muster@gmx.de"),
    _slip("max.muster@web..de", "max.muster@web.de"),
    _slip("max..muster@web.de", "max.muster@web.de"),
    _slip("max.muster@t-online.de.", "max.muster@t-online.de"),
    _slip("praxis@example.com..", "praxis@example.com"),
    _slip(".max.muster@web.de", "max.muster@web.de"),
    _slip("max.muster.@web.de", "max.muster@web.de"),
    _slip("max.muster@.web.de", "max.muster@web.de"),
    _slip("jürgen.müller@example.com", "juergen.mueller@example.com"),
    _slip("Jörg.Groß@example.com", "Joerg.Gross@example.com"),
    _slip("rené.dupont@example.com", "rene.dupont@example.com"),
    _slip("max. muster@web.de", "max.muster@web.de"),
    _slip("max.muster @web.de", "max.muster@web.de"),
    _slip("max.muster@ web.de", "max.muster@web.de"),
    _slip("max.muster@web. de", "max.muster@web.de"),
    _slip("max.muster@web .de", "max.muster@web.de"),
    _slip("max.muster@t- online.de", "max.muster@t-online.de"),
    _slip("max.muster@web de", "max.muster@web.de"),
    _slip("max.muster@gmail", "max.muster@gmail.com"),
    _slip("max.muster@t-online", "max.muster@t-online.de"),
    _slip("max.muster@web", "max.muster@web.de"),
    _slip(
        "empfang@bauamt-musterstadt",
        "empfang@bauamt-musterstadt.example",
        "bauamt-musterstadt.example",
    ),
    _slip("praxis@example.con", "praxis@example.com"),
    _slip("praxis@example.cmo", "praxis@example.com"),
    _slip("praxis@example.ocm", "praxis@example.com"),
    _slip("praxis@example.vom", "praxis@example.com"),
    _slip("praxis@example.comm", "praxis@example.com"),
    _slip("praxis@example.d", "praxis@example.de"),
    _slip("praxis@example.dee", "praxis@example.de"),
    _slip("max.muster@gmx.dw", "max.muster@gmx.de"),
    _slip("max.muster@web.dde", "max.muster@web.de"),
    _slip("praxis@example.nett", "praxis@example.net"),
    _slip("praxis@example.ogr", "praxis@example.org"),
    _slip("praxis@www.example.com", "praxis@example.com"),
    _slip("www.praxis@example.com", "praxis@example.com"),
    _slip("mailto:praxis@example.com", "praxis@example.com"),
    _slip("E-Mail: praxis@example.com", "praxis@example.com"),
    _slip("max@@gmail.com", "max@gmail.com"),
    _slip("max.muster@web.de;", "max.muster@web.de"),
    _slip("max.muster@web.de,", "max.muster@web.de"),
    _slip("'max.muster@web.de'", "max.muster@web.de"),
    _slip("„max.muster@web.de“", "max.muster@web.de"),
    _slip("max.muster@web.de>", "max.muster@web.de"),
    _slip("Max Muster <max.muster@web.de>", "max.muster@web.de"),
    _slip("max.muster@web.de (privat)", "max.muster@web.de"),
    _slip("max.muster(at)web.de", "max.muster@web.de"),
    _slip("max.muster€web.de", "max.muster@web.de"),
    _slip("max.muster\u200b@web.de", "max.muster@web.de"),
    _slip("max.muster@w\u0435b.de", "max.muster@web.de"),
    _slip("m\u0430x.muster@web.de", "max.muster@web.de"),
    _slip("max.muster@web:de", "max.muster@web.de"),
    _slip("max.muster@t_online.de", "max.muster@t-online.de"),
    _slip("max.muster@web.de.de", "max.muster@web.de"),
    _slip("max.muster@gmail.com.de", "max.muster@gmail.com"),
)

DOMAINS = (
    _domain("max.muster@gmial.com", "max.muster@gmail.com"),
    _domain("max.muster@gmai.com", "max.muster@gmail.com"),
    _domain("max.muster@gmaill.com", "max.muster@gmail.com"),
    _domain("max.muster@gmali.com", "max.muster@gmail.com"),
    _domain("max.muster@gnail.com", "max.muster@gmail.com"),
    _domain("max.muster@gmail.co", "max.muster@gmail.com"),
    _domain("max.muster@gmailcom", "max.muster@gmail.com"),
    _domain("max.muster@googlmail.com", "max.muster@googlemail.com"),
    _domain("max.muster@hotnail.de", "max.muster@hotmail.de"),
    _domain("max.muster@hotmial.com", "max.muster@hotmail.com"),
    _domain("max.muster@outlok.de", "max.muster@outlook.de"),
    _domain("max.muster@outllook.com", "max.muster@outlook.com"),
    _domain("max.muster@yaho.de", "max.muster@yahoo.de"),
    _domain("max.muster@tonline.de", "max.muster@t-online.de"),
    _domain("max.muster@t-onlin.de", "max.muster@t-online.de"),
    _domain("max.muster@t-onlinde.de", "max.muster@t-online.de"),
    _domain("max.muster@t.online.de", "max.muster@t-online.de"),
    _domain("max.muster@t-online.dr", "max.muster@t-online.de"),
    _domain("max.muster@frenet.de", "max.muster@freenet.de"),
    _domain("max.muster@freent.de", "max.muster@freenet.de"),
    _domain("max.muster@gxm.de", "max.muster@gmx.de"),
    _domain("max.muster@gmxde", "max.muster@gmx.de"),
    _domain("max.muster@wbe.de", "max.muster@web.de"),
    _domain("max.muster@iclod.com", "max.muster@icloud.com"),
    _domain("max.muster@blueiwn.ch", "max.muster@bluewin.ch"),
    _domain("max.muster@gmial,com", "max.muster@gmail.com"),
    _domain("max.muster@t-0nline.de", "max.muster@t-online.de"),
    _domain("jürgen@gmial.com", "juergen@gmail.com"),
    _domain("bauamt@musterstdat.example", "bauamt@musterstadt.example", "musterstadt.example"),
    _domain("info@muster-bau.example", "info@musterbau.example", "musterbau.example"),
    _domain("info@müller-bau.example", "info@mueller-bau.example", "mueller-bau.example"),
    _domain("info@mueller-bau.example", "info@müller-bau.example", "müller-bau.example"),
)

LOCAL_PARTS = (
    _local(
        "max.mustermnan@bau.example", "max.mustermann@bau.example", "max.mustermann@bau.example"
    ),
    _local(
        "maxmustermann@bau.example", "max.mustermann@bau.example", "max.mustermann@bau.example"
    ),
    _local(
        "mustermann.max@bau.example", "max.mustermann@bau.example", "max.mustermann@bau.example"
    ),
    _local(
        "max-mustermann@bau.example", "max.mustermann@bau.example", "max.mustermann@bau.example"
    ),
    _local(
        "max mustermann@bau.example", "max.mustermann@bau.example", "max.mustermann@bau.example"
    ),
    _local("seketariat@bau.example", "sekretariat@bau.example", "sekretariat@bau.example"),
    _local(
        "buchhaltugn@bau.example",
        "buchhaltung@bau.example",
        "buchhaltung@bau.example",
        "lager@bau.example",
    ),
    _local("bauleitnug@bau.example", "bauleitung@bau.example", "bauleitung@bau.example"),
    _local("m.schmitd@bau.example", "m.schmidt@bau.example", "m.schmidt@bau.example"),
    _local("a.muller@bau.example", "a.mueller@bau.example", "a.mueller@bau.example"),
)

NOTHING = (
    _nothing("max@gmx.de", "max@gmx.net"),
    _nothing("max@gmx.com", "gmx.de", "gmx.net", "gmx.at", "gmx.ch"),
    _nothing("max@live.com", "live.de"),
    _nothing("max@mail.de", "email.de", "mail.com"),
    _nothing("max@me.com", "web.de"),
    _nothing("max@ymail.com", "gmail.com"),
    _nothing("max@gmx"),
    _nothing("max@wep.de"),
    _nothing("max@webb.de"),
    _nothing("max@gmx.dt", reason=Reason.DOMAIN_UNKNOWN),
    _nothing("max@yahoo.fe", reason=Reason.DOMAIN_UNKNOWN),
    _nothing("max@accor.de"),
    _nothing("max@love.de", "live.de"),
    _nothing("max@cloud.com", "icloud.com"),
    _nothing("max@müller-bau.example"),
    _nothing("info@bau1.example", "info@bau2.example"),
    _nothing("info@h-schmidt.example", "info@k-schmidt.example"),
    _nothing("info@musterbau.be", "info@musterbau.de"),
    _nothing("info1@bau.example", "info2@bau.example"),
    _nothing("m.huber@bau.example", "n.huber@bau.example"),
    _nothing("mhuber@bau.example", "nhuber@bau.example"),
    _nothing("huber@bau.example", "mhuber@bau.example"),
    _nothing("martin.huber@bau.example", "martina.huber@bau.example"),
    _nothing("mario.huber@bau.example", "maria.huber@bau.example"),
    _nothing("uwe.huber@bau.example", "ute.huber@bau.example"),
    _nothing("ralf.huber@bau.example", "rolf.huber@bau.example"),
    _nothing("s.moeller@bau.example", "s.mueller@bau.example"),
    _nothing("k.hauer@bau.example", "k.bauer@bau.example"),
    _nothing("m.peter@bau.example", "m.peters@bau.example"),
    _nothing("max@bau.example", "mac@bau.example"),
    # Bergmann and Bergman are two families: one letter for two is no slip, however likely.
    _nothing("max.musterman@bau.example", "max.mustermann@bau.example"),
    _nothing("werner.otto@bau.example", "otto.werner@bau.example"),
    _nothing("bernhardt@bau.example", "bernhard@bau.example"),
    _nothing("schreiner@bau.example", "schreiber@bau.example"),
    _nothing("kirsten.huber@bau.example", "kristen.huber@bau.example"),
    _nothing("christian.huber@bau.example", "christina.huber@bau.example"),
    _nothing("christiane.huber@bau.example", "christine.huber@bau.example"),
    _nothing("s.krueger@bau.example", "s.kruger@bau.example"),
    _nothing("sekretariat@bau.example", "sekretariat@bau.example"),
    _nothing("mustermann@bau.example", "musterman@bau.example", "mustermannn@bau.example"),
    _nothing("max.mustermann@bau.example", "max.mustermann@amt.example"),
    _nothing("mustermnan@bau.example", "mustermann@bau.example", reason=Reason.MAILBOX_DISABLED),
    _nothing("max@gmial.com", reason=Reason.MOVED),
    _nothing("max@gmial.com", reason=Reason.CONTENT),
    _nothing("a@web.de, b@gmx.de"),
    _nothing('"max muster"@web.de'),
    _nothing("max muster@web.de"),
    _nothing("max.muster"),
    _nothing("@web.de"),
    _nothing(""),
    _nothing("max@[192.0.2.1]"),
)

PAIRS = SLIPS + DOMAINS + LOCAL_PARTS + NOTHING
