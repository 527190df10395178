"""Domains and people that are right as they stand, however near to others: never to be doubted."""

from __future__ import annotations

from itertools import product

_FAMILIES = (
    *("mueller", "schmidt", "schmitt", "schneider", "fischer", "weber", "meyer", "maier"),
    *("becker", "hoffmann", "hofmann", "bauer", "brauer", "koch", "klein", "wolf"),
)
_TRADES = (
    *("bau.de", "architekten.de", "-elektro.de", "-praxis.de", "-kanzlei.at"),
    *("-holzbau.ch", "-haustechnik.de", "-planung.com", "-metall.at", "-gmbh.de"),
)
_NEAR_A_PROVIDER = (
    *("accor.de", "arkor.com", "poster.de", "poste.de", "freinet.de", "cloud.com", "emil.de"),
    *("cello.at", "hello.at", "love.de", "life.de", "lime.de", "wep.de", "webb.de", "wed.de"),
    *("weg.de", "geb.de", "gms.de", "gmk.de", "gfx.de", "gmw.net", "mx.ch", "gmp.at", "aol.at"),
    *("aon.ch", "ason.at", "al.com", "ael.de", "mail.at", "mailbox.de", "onlive.de", "outlet.de"),
    *("outlaw.com", "t-systems.de", "freeway.de", "yamaha.de", "hochmail.de", "orga.fr"),
    *("granges.fr", "unity.de", "osnabrueck.de", "netkoeln.de", "sunset.ch", "speed.ch"),
)
COMPANIES = (
    *(family + trade for family, trade in product(_FAMILIES, _TRADES)),
    *_NEAR_A_PROVIDER,
)
"""Domains as firms have them; two hundred and more."""

UNHEARD_OF = frozenset(
    {"gxm.de", "wbe.de", "ewb.de", "evil.de", "aoll.de", "gmxx.de", "webs.de", "lvie.de", "mns.de"}
    | {"gmil.com", "gmal.com", "gmai.com", "gmial.com", "hotmial.com", "hotmai.com", "yaho.com"}
    | {"yahooo.com", "outlok.com", "outloook.com", "tonline.de", "freent.de", "gogglemail.com"}
)
"""Domains that exist, or are said to, and that the table does not name: what DNS is asked for."""

COLLEAGUES = (
    *("anna.bauer", "anne.bauer", "anna.brauer", "a.bauer", "h.bauer", "bauer", "akoch", "hkoch"),
    *("martin.huber", "martina.huber", "mario.huber", "maria.huber", "marion.huber"),
    *(
        "marlon.huber",
        "m.huber",
        "n.huber",
        "mhofer",
        "nhofer",
        "hofer",
        "huber",
        "hubner",
        "luber",
    ),
    *("jan.maier", "jana.maier", "jon.maier", "maier", "meier", "meyer", "mayer", "mair"),
    *("s.mueller", "s.moeller", "mueller", "moeller", "krueger", "kroeger", "wagner", "wegner"),
    *("peter", "peters", "schulz", "schulze", "friedrich", "friedrichs", "martin", "martini"),
    *("uwe.lang", "ute.lang", "ralf.lang", "rolf.lang", "daniel.lange", "daniela.lange"),
    *("info1", "info2", "info12", "team-a", "team-b", "lager1", "lager2", "etage.3", "etage.4"),
    *("simon.koch", "simone.koch", "michael.koch", "michaela.koch", "eva.koch", "ina.koch"),
    *("nia.koch", "hofmann", "hoffmann", "herrmann", "hermann", "schmidt", "schmitt", "schmid"),
    *("bergmann", "bergman", "kaufmann", "kaufman", "kirchhoff", "kirchhof", "lehmann", "lehman"),
    *("bernhard.lang", "bernhardt.lang", "bernard.lang", "philip.lang", "philipp.lang"),
    *("kathrin.lang", "katrin.lang", "thomas.lang", "tomas.lang", "kirsten.lang", "kristen.lang"),
    *("kristin.lang", "kirstin.lang", "birgit.lang", "brigit.lang", "marlene.lang"),
    *("marleen.lang", "christian.lang", "christina.lang", "christine.lang", "christiane.lang"),
    *("christin.lang", "friederike.lang", "frederike.lang", "hannelore.lang", "hanelore.lang"),
    *("alexander.lang", "alexandra.lang", "weimann", "wiemann", "wanger", "wenger", "schreiner"),
    *("schreiber", "steinbauer", "steinhauer", "brandtner", "brandner", "ackermann", "akermann"),
    *("peter.paul", "paul.peter", "werner.otto", "otto.werner", "wolff"),
    *("wolf", "lorentz", "lorenz", "engelhard", "engelhardt", "schumacher", "schuhmacher"),
)
"""People who work at one firm, each of them somebody else."""
