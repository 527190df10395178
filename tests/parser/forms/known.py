"""The bounce that each mail server makes of one refusal, in that server's own form."""

from tests.parser.forms import as_seen, run_here
from tests.parser.forms.refusal import Form, Refusal

__all__ = ["FORMS", "Refusal"]

FORMS: dict[str, Form] = {
    "Postfix": run_here.postfix,
    "Exim": run_here.exim,
    "Sendmail": run_here.sendmail,
    "OpenSMTPD": run_here.opensmtpd,
    "Courier": run_here.courier,
    "chasquid": run_here.chasquid,
    "DragonFly Mail Agent": run_here.dma,
    "nullmailer": run_here.nullmailer,
    "qmail": run_here.qmail,
    "Haraka": as_seen.haraka,
    "ZoneMTA": as_seen.zonemta,
    "James": as_seen.james,
    "maddy": as_seen.maddy,
    "Stalwart": as_seen.stalwart,
    "Exchange": as_seen.exchange,
    "Gmail": as_seen.gmail,
    "Domino": as_seen.domino,
    "Amazon SES": as_seen.ses,
    "PowerMTA": as_seen.powermta,
    "IONOS": as_seen.ionos,
}
