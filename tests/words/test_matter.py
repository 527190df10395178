"""Which sentences are true of a diagnosis."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bounced.diagnosis import Check, DiagnosisFinding, DnsRecord, Fix, Identity, State
from bounced.model import Reason
from tests.words.told import (
    DMARC,
    MERGE,
    OLD,
    RETURN_PATH,
    SPF,
    UNALIGNED,
    find,
    tell,
)


@pytest.mark.parametrize(
    ("changes", "reason", "is_said"),
    [
        ({}, Reason.SPF, True),
        ({}, Reason.DMARC, True),
        ({}, Reason.UNAUTHENTICATED, True),
        ({}, None, True),
        ({}, Reason.DKIM, False),
        ({"mail_from_domain": None}, Reason.SPF, False),
        ({"mail_from_domain": "firma.example"}, Reason.SPF, False),
        ({"mail_from_domain": "bounces.firma.example"}, Reason.SPF, False),
        ({"domain": "news.firma.example", "mail_from_domain": "firma.example"}, None, False),
        (
            {"domain": "mail.firma.example", "mail_from_domain": "bounces.firma.example"},
            Reason.DMARC,
            False,
        ),
        ({"mail_from_domain": "andere-firma.example"}, Reason.SPF, True),
        ({"identity": Identity.FROM}, Reason.SPF, False),
        ({"fix": Fix.MERGE_SPF, "records": (SPF,)}, Reason.SPF, False),
    ],
)
def test_where_his_spf_is_looked_at_by_nobody_he_is_told(
    changes: dict[str, object], reason: Reason | None, *, is_said: bool
) -> None:
    diagnosis = replace(UNALIGNED, **changes)  # type: ignore[arg-type] # the table's own names
    words = f"Ein SPF-Eintrag für {diagnosis.domain} hilft hier nicht"
    assert (words in tell(diagnosis, reason).explanation) is is_said


def test_several_spf_records_are_said_to_be_too_many() -> None:
    record = replace(SPF, replaces="v=spf1 mx ~all\nv=spf1 a ~all\nv=spf1 ~all")
    told = tell(replace(MERGE, records=(record,)))
    assert "gibt es 3 SPF-Einträge" in told.explanation
    assert "die bisherigen SPF-Einträge" in told.action
    assert told.records[0].replaces == ("v=spf1 mx ~all", "v=spf1 a ~all", "v=spf1 ~all")
    assert told.message is not None
    assert "die bisherigen 3 SPF-Einträge" in told.message


def test_a_record_beside_the_one_that_replaces_is_said_to_be_new() -> None:
    told = tell(replace(MERGE, records=(SPF, DMARC)))
    assert "Der DMARC-Eintrag darunter kommt neu dazu." in told.action
    assert "(DMARC). So, wie er hier steht, verbietet er nichts:" in str(told.records[1].purpose)
    assert "Der DMARC-Eintrag darunter kommt neu dazu." in str(told.message)
    assert "neu dazu" not in tell(MERGE).action


def test_a_record_that_nobody_can_read_is_called_faulty() -> None:
    finding = DiagnosisFinding(Check.SPF, State.BROKEN, "unknown mechanism 'ipv4'")
    told = tell(replace(MERGE, findings=(finding,)))
    assert "Er enthält einen Fehler und gilt deshalb nicht." in told.explanation


def test_a_record_that_can_take_nothing_more_is_to_be_cleared_out() -> None:
    told = tell(replace(MERGE, records=(), lookups_before=10, lookups_after=12))
    assert "höchstens zehn Abfragen" in told.explanation
    assert "wären es 12." in told.explanation
    assert "was nicht mehr gebraucht wird" in told.action
    assert (told.records, told.hint) == ((), None)
    assert "höchstens 8 Abfragen anderer Einträge" in str(told.message)
    assert "lautet zurzeit" not in told.explanation + str(told.message)


@pytest.mark.parametrize(
    ("fix", "is_letter"),
    [(Fix.MERGE_SPF, True), (Fix.USE_OUR_ADDRESS, True), (Fix.RETURN_PATH_CNAME, False)],
)
def test_a_record_beyond_the_limit_is_said_to_be_void_for_all_his_mail(
    fix: Fix, *, is_letter: bool
) -> None:
    found = find(Check.SPF, State.BROKEN, f"permerror for 192.0.2.1 (too many): {OLD}")
    records = (RETURN_PATH,) if fix is Fix.RETURN_PATH_CNAME else ()
    diagnosis = replace(MERGE, fix=fix, records=records, findings=(found,))
    told = tell(replace(diagnosis, lookups_before=11, lookups_after=12))
    assert "löst 11 Abfragen anderer Einträge aus; erlaubt sind zehn." in told.explanation
    assert "auch nicht für Ihre übrigen E-Mails" in told.explanation
    assert f"Der SPF-Eintrag lautet zurzeit „{OLD}“." in told.explanation
    assert "was nicht mehr gebraucht wird" in told.action
    assert "lautet zurzeit" not in tell(diagnosis).explanation
    room = f"""\
bitte kürzen Sie den SPF-Eintrag von firma.example so, dass er höchstens 9 Abfragen anderer \
Einträge auslöst (RFC 7208, Abschnitt 4.6.4), zum Beispiel um Anbieter, die nicht mehr gebraucht \
werden.

Er lautet zurzeit:
{OLD}
"""
    assert (room in str(told.message)) is is_letter


@pytest.mark.parametrize("fix", [Fix.MERGE_SPF, Fix.USE_OUR_ADDRESS])
def test_a_record_that_would_be_beyond_the_limit_with_ours_is_said_to_be_full(fix: Fix) -> None:
    found = find(Check.SPF, State.FAIL, f"fail for 192.0.2.1: {OLD}")
    full = replace(MERGE, fix=fix, records=(), lookups_before=10, lookups_after=11)
    assert "wären es 11." in tell(replace(full, findings=(found,))).explanation
    passing = find(Check.SPF, State.PASS, OLD)
    assert "höchstens zehn" not in tell(replace(full, findings=(passing,))).explanation
    stranger = replace(full, fix=Fix.USE_OUR_ADDRESS, mail_from_domain="bounce.baudoku.example")
    assert "höchstens zehn" not in tell(stranger).explanation


@pytest.mark.parametrize(
    "detail", [f"{OLD} …", f"{OLD} | {OLD}", "v=spf1 include:\u0455pf.example", "v=spf10 mx", ""]
)
def test_a_record_that_a_finding_has_not_whole_is_not_shown(detail: str) -> None:
    found = find(Check.SPF, State.BROKEN, detail)
    told = tell(replace(MERGE, records=(), findings=(found,), lookups_before=11))
    assert "lautet zurzeit" not in told.explanation + str(told.message)


@pytest.mark.parametrize("fix", [Fix.ASK_RECEIVER, Fix.NONE, Fix.PUBLISH_DKIM])
def test_a_record_that_permits_everybody_is_not_called_in_order(fix: Fix) -> None:
    found = find(Check.SPF, State.WARNING, "+all permits every server in the world")
    told = tell(replace(MERGE, fix=fix, records=(), findings=(found,)))
    assert "jedem Server der Welt" in told.explanation
    assert "„+all“ durch „~all“ ersetzen" in told.action
    assert "alles in Ordnung" not in told.explanation
    assert "nichts zu ändern" not in told.action
    assert "müssen etwas ändern" not in told.action
    ours = replace(MERGE, fix=fix, records=(), findings=(found,), mail_from_domain="b.example")
    assert "Welt" not in tell(ours).explanation
    assert "Welt" not in tell(replace(MERGE, findings=(found,))).explanation


@pytest.mark.parametrize("count", [1, 2])
def test_dmarc_records_that_do_not_count_are_to_be_replaced_not_added(count: int) -> None:
    found = find(Check.DMARC, State.BROKEN, "none counts")
    record = replace(DMARC, replaces="\n".join(["v=DMARC1; p=oops"] * count))
    diagnosis = replace(MERGE, fix=Fix.PUBLISH_DMARC, records=(record,), findings=(found,))
    told = tell(diagnosis, Reason.DMARC)
    assert "Sie ist ungültig, zum Beispiel weil es sie mehrfach gibt" in told.explanation
    old = ["den bisherigen DMARC-Eintrag", "die bisherigen DMARC-Einträge"][count - 1]
    assert f"Bitte lassen Sie {old} im DNS" in told.action
    asked = ["den bisherigen DMARC-Eintrag", "die bisherigen 2 DMARC-Einträge"][count - 1]
    assert f"firma.example {asked} durch" in str(told.message)
    for text in (told.explanation, told.action, str(told.message)):
        assert "fehlt" not in text
        assert "anlegen" not in text
        assert "Wo „Ersetzt“ dabeisteht" not in text
    missing = tell(replace(diagnosis, findings=(), records=(DMARC,)), Reason.DMARC)
    assert "fehlt eine DMARC-Regel" in missing.explanation


@pytest.mark.parametrize(
    ("fix", "records", "is_said"),
    [
        (Fix.PUBLISH_DKIM, (UNALIGNED.records[0], replace(DMARC, replaces="v=DMARC1")), True),
        (Fix.PUBLISH_DKIM, (replace(UNALIGNED.records[0], replaces="CNAME a.example"),), True),
        (Fix.RETURN_PATH_CNAME, (replace(RETURN_PATH, replaces="A 192.0.2.1"),), True),
        (Fix.PUBLISH_DMARC, (replace(DMARC, replaces="CNAME a.example"),), True),
        (Fix.MERGE_SPF, (SPF, replace(DMARC, replaces="v=DMARC1")), True),
        (Fix.MERGE_SPF, (SPF, DMARC), False),
        (Fix.PUBLISH_DKIM, UNALIGNED.records, False),
    ],
)
def test_what_must_go_first_is_said_where_a_record_replaces_another(
    fix: Fix, records: tuple[DnsRecord, ...], *, is_said: bool
) -> None:
    told = tell(replace(MERGE, fix=fix, records=records))
    assert ("Wo „Ersetzt“ dabeisteht, muss zuerst" in told.action) is is_said
    assert ("Wo „Ersetzt“ dabeisteht, löschen Sie bitte" in str(told.message)) is is_said
    is_new = fix is Fix.MERGE_SPF and not is_said
    assert ("kommt neu dazu" in told.action + str(told.message)) is is_new


def test_which_of_his_domains_the_record_belongs_to_is_said() -> None:
    his = "firma.example ist das, was in Ihrer Absenderadresse hinter dem @ steht."
    path = "mail.firma.example gehört zur Rücksendeadresse Ihrer E-Mails."
    record = replace(SPF, name="mail.firma.example")
    below = replace(MERGE, mail_from_domain="mail.firma.example", records=(record,))
    for fix in (Fix.MERGE_SPF, Fix.PUBLISH_SPF):
        assert his in tell(replace(MERGE, fix=fix)).explanation
        assert path in tell(replace(below, fix=fix)).explanation
        assert path in tell(replace(below, fix=fix, records=())).explanation
    assert "hinter dem @" not in tell(UNALIGNED).explanation
