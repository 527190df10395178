"""A renewed certificate is taken over, a bad one is not, and its end is told in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
import trustme

from bounced.config import SmtpSettings
from bounced.listener.tls import load_tls
from bounced.logs import check_shape
from bounced.watch.certificates import CertificateWatch

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


class Site:
    """A pair of files, what the listener read of it, and what was said."""

    def __init__(self, folder: Path) -> None:
        self.file, self.key_file = folder / "certificate.pem", folder / "key.pem"
        self.loads = 0
        self.watch = CertificateWatch(self._reload)
        self._now = NOW
        self._authority = trustme.CA()

    def issue(self, ends_at: datetime) -> tuple[bytes, bytes]:
        """Return a certificate and its key."""
        issued = self._authority.issue_cert("bounce.example.com", not_after=ends_at)
        return issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()

    def install(self, certificate: bytes, key: bytes) -> None:
        for path, content in ((self.file, certificate), (self.key_file, key)):
            fresh = path.with_suffix(".new")
            fresh.write_bytes(content)
            fresh.replace(path)

    def look(self, now: datetime) -> list[dict[str, object]]:
        """Look once; returns the lines of the log."""
        self._now = now
        with structlog.testing.capture_logs(processors=[check_shape]) as lines:
            self.watch.look(now, self.file, self.key_file)
        return [{k: v for k, v in line.items() if k != "log_level"} for line in lines]

    def _reload(self) -> None:
        settings = SmtpSettings(tls_certificate_file=self.file, tls_key_file=self.key_file)
        load_tls(settings)
        self.loads += 1

    def describe(self, ends_on: str, days: int) -> str:
        return f"{self.file}: bounce.example.com, valid until {ends_on}, days left: {days}"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def _passed(detail: str) -> dict[str, object]:
    return {"event": "self_check_passed", "check": "tls-certificate", "detail": detail}


def _failed(why: str, detail: str) -> dict[str, object]:
    return {"event": "self_check_failed", "check": "tls-certificate", "why": why, "detail": detail}


def test_without_a_certificate_nothing_is_read_or_said(site: Site) -> None:
    with structlog.testing.capture_logs() as lines:
        site.watch.look(NOW, None, None)
    assert (lines, site.loads) == ([], 0)


def test_a_good_certificate_is_read_and_told_once(site: Site) -> None:
    site.install(*site.issue(NOW + 90 * DAY))
    assert site.look(NOW) == [_passed(site.describe("2027-02-19", 90))]
    assert site.look(NOW + MINUTE) == []
    assert site.look(NOW + 2 * DAY) == []
    assert site.loads == 1


def test_the_end_is_told_from_fourteen_days_before_once_a_day(site: Site) -> None:
    site.install(*site.issue(NOW + 15 * DAY))
    assert [line["event"] for line in site.look(NOW)] == ["self_check_passed"]
    assert site.look(NOW + DAY) == []
    assert site.look(NOW + DAY + MINUTE) == [_failed("ends-soon", site.describe("2026-12-06", 13))]
    assert site.look(NOW + DAY + 2 * MINUTE) == []
    assert site.look(NOW + 2 * DAY) == [_failed("ends-soon", site.describe("2026-12-06", 13))]
    assert site.look(NOW + 16 * DAY) == [_failed("ended", site.describe("2026-12-06", -1))]


def test_a_renewed_certificate_ends_the_warning(site: Site) -> None:
    site.install(*site.issue(NOW + DAY))
    assert [line["event"] for line in site.look(NOW)] == ["self_check_failed"]
    site.install(*site.issue(NOW + 90 * DAY))
    assert site.look(NOW + MINUTE) == [_passed(site.describe("2027-02-19", 89))]
    assert site.loads == 2


def test_a_half_renewed_pair_is_rejected_once_and_taken_over_when_whole(site: Site) -> None:
    old_certificate, old_key = site.issue(NOW + DAY)
    certificate, key = site.issue(NOW + 90 * DAY)
    site.install(old_certificate, old_key)
    site.look(NOW)
    site.install(certificate, old_key)
    assert site.look(NOW + MINUTE) == [
        {
            "event": "config_rejected",
            "why": f"smtp.tls_key_file: {site.key_file}: not the key of {site.file}: "
            "name the two that were made together",
        }
    ]
    assert site.look(NOW + 2 * MINUTE) == []
    assert [line["event"] for line in site.look(NOW + DAY - MINUTE)] == ["self_check_failed"]
    site.install(certificate, key)
    assert [line["event"] for line in site.look(NOW + DAY)] == ["self_check_passed"]
    assert site.loads == 2


def test_a_certificate_that_is_missing_for_a_moment_is_told_each_time(site: Site) -> None:
    site.install(*site.issue(NOW + 90 * DAY))
    site.look(NOW)
    for minutes in (1, 3):
        site.file.rename(site.file.with_suffix(".away"))
        events = [line["event"] for line in site.look(NOW + minutes * MINUTE)]
        assert events == ["config_rejected"]
        site.file.with_suffix(".away").rename(site.file)
        events = [line["event"] for line in site.look(NOW + (minutes + 1) * MINUTE)]
        assert events == ["self_check_passed"]
