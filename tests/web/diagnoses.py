"""What DNS said of an author's domain, for pages to tell."""

from __future__ import annotations

from dataclasses import replace

from bounced.diagnosis import (
    Check,
    Diagnosis,
    DiagnosisFinding,
    DnsRecord,
    Fix,
    Identity,
    State,
)
from tests.web.conftest import NOON

OLD = "v=spf1 include:_spf.kundenserver.example mx -all"
NEW = "v=spf1 include:_spf.kundenserver.example mx include:spf.bautagebuch.example -all"
DMARC = DnsRecord("_dmarc.bau.example", "TXT", "v=DMARC1; p=none")

MERGE_SPF = Diagnosis(
    domain="bau.example",
    mail_from_domain="bau.example",
    checked_at=NOON,
    identity=Identity.MAIL_FROM,
    fix=Fix.MERGE_SPF,
    freemail=False,
    findings=(
        DiagnosisFinding(Check.SPF, State.FAIL, f"bau.example TXT {OLD}: 192.0.2.1 fails"),
        DiagnosisFinding(Check.DMARC, State.MISSING, "_dmarc.bau.example: no policy"),
    ),
    records=(DnsRecord("bau.example", "TXT", NEW, OLD), DMARC),
    lookups_before=3,
    lookups_after=4,
    hoster="ionos",
)
"""His SPF record does not name us."""
PUBLISH_DKIM = replace(
    MERGE_SPF,
    mail_from_domain="bounce.example.com",
    fix=Fix.PUBLISH_DKIM,
    records=tuple(
        DnsRecord(
            f"s{number}._domainkey.bau.example", "CNAME", f"s{number}.dkim.bautagebuch.example"
        )
        for number in (1, 2, 3)
    ),
)
"""Three keys of ours are missing in his zone."""
OURS = replace(MERGE_SPF, fix=Fix.OURS, records=())
"""The SPF record of our own domain lacks our servers."""
UNSIGNED = replace(
    OURS, findings=(DiagnosisFinding(Check.SPF, State.PASS, "bounce.example.com: 192.0.2.1"),)
)
"""Our servers do not sign; of that DNS knows nothing."""
USE_OUR_ADDRESS = replace(MERGE_SPF, fix=Fix.USE_OUR_ADDRESS, freemail=True, records=())
ASK_RECEIVER = replace(MERGE_SPF, fix=Fix.ASK_RECEIVER, records=())
PASSED = replace(MERGE_SPF, fix=Fix.NONE, findings=(), records=())
NOT_CHECKED = replace(
    MERGE_SPF,
    fix=Fix.NOT_CHECKED,
    findings=(DiagnosisFinding(Check.SPF, State.NOT_CHECKED, "bau.example TXT: timed out"),),
    records=(),
)
