"""What an author is told of his domain, as he reads it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.diagnosis import (
    Check,
    Diagnosis,
    DiagnosisFinding,
    DnsRecord,
    Fix,
    Identity,
    State,
)
from bounced.model import REASONS, Category, Reason
from bounced.words.advice import MAX_VALUE_CHARS, AdviceView, RecordView, tell_advice
from bounced.words.catalogue import load_words

WORDS = load_words(None)
BERLIN = ZoneInfo("Europe/Berlin")
FROM_ADDRESS = "protokolle@baudoku.example"
OLD = "v=spf1 mx ~all"
NEW = "v=spf1 mx include:spf.baudoku.example ~all"
SPF = DnsRecord("firma.example", "TXT", NEW, OLD)
DMARC = DnsRecord("_dmarc.firma.example", "TXT", "v=DMARC1; p=none")
MERGE = Diagnosis(
    domain="firma.example",
    mail_from_domain="firma.example",
    checked_at=datetime(2026, 11, 20, 13, 3, tzinfo=UTC),
    identity=Identity.MAIL_FROM,
    fix=Fix.MERGE_SPF,
    freemail=False,
    records=(SPF,),
    hoster="ionos",
)
UNALIGNED = replace(
    MERGE,
    mail_from_domain="bounce.baudoku.example",
    identity=Identity.DMARC,
    fix=Fix.PUBLISH_DKIM,
    records=tuple(
        DnsRecord(f"s{n}._domainkey.firma.example", "CNAME", f"s{n}.dkim.baudoku.example")
        for n in (1, 2)
    ),
)
AUTH_REASONS = sorted(REASONS[Category.AUTH_FAILURE])
ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=80)
ANY_RECORD = st.builds(DnsRecord, ANY_TEXT, ANY_TEXT, ANY_TEXT, st.none() | ANY_TEXT)


def tell(
    diagnosis: Diagnosis | None,
    reason: Reason | None = Reason.SPF,
    language: str = "de",
    from_address: str = FROM_ADDRESS,
) -> AdviceView:
    return tell_advice(
        diagnosis,
        reason,
        WORDS[language],
        application="Baudoku",
        from_address=from_address,
        zone=BERLIN,
    )


def list_lines(told: AdviceView) -> list[str]:
    """Return every text that is to be one line."""
    optional = (told.hint, told.hoster, told.checked)
    lines = [told.explanation, told.action, *(line for line in optional if line)]
    for record in told.records:
        lines += [record.name, record.type, record.value, *record.replaces]
        lines += [line for line in (record.purpose, record.note) if line]
    return lines


def test_a_record_that_replaces_another_is_told_whole() -> None:
    assert tell(MERGE) == AdviceView(
        explanation="Der Mailserver des Empfängers hat geprüft, ob der Server, der Ihr Protokoll "
        "verschickt hat, dafür zugelassen ist (SPF), und die Prüfung ist gescheitert. Im "
        "SPF-Eintrag von firma.example steht, welche Server E-Mails im Namen der Domain "
        "verschicken dürfen; die Domain ist das, was hinter dem @ steht. Die Server, über die "
        "Baudoku Ihre Protokolle verschickt, fehlen darin.",
        action="Bitte lassen Sie den bisherigen SPF-Eintrag im DNS Ihrer Domain, dem öffentlichen "
        "Verzeichnis ihrer Einstellungen, durch den folgenden ersetzen. Geben Sie ihn dazu genau "
        "so, wie er hier steht, an Ihren Webhoster oder Ihre IT weiter. Wichtig: Der neue Eintrag "
        "tritt an die Stelle des alten, denn zwei SPF-Einträge nebeneinander machen beide "
        "ungültig. Wer bisher verschicken durfte, darf es weiterhin. Ist das erledigt, "
        "verschicken Sie das Protokoll noch einmal.",
        records=(
            RecordView(
                purpose="Dieser Eintrag sagt, welche Server E-Mails im Namen der Domain "
                "verschicken dürfen (SPF):",
                name="firma.example",
                type="TXT",
                value=NEW,
                replaces=(OLD,),
                note=None,
            ),
        ),
        hint="Manche Webhoster ergänzen den Namen Ihrer Domain selbst: Dann lassen Sie ihn beim "
        "Eintragen am Ende des Namens weg; bleibt nichts übrig, geben Sie @ ein. Bis ein Eintrag "
        "überall gilt, können einige Stunden vergehen.",
        hoster="Das DNS Ihrer Domain liegt bei IONOS: „Domains & SSL“ > Zahnrad neben der Domain "
        "> „DNS“; den Namen dort ohne die Domain am Ende eintragen",
        checked="Einträge geprüft: Freitag, 20. November 2026, 14:03 Uhr",
        message=f"""\
Guten Tag,

bitte ersetzen Sie im DNS von firma.example den bisherigen SPF-Eintrag durch den folgenden. \
Der neue darf nicht neben den alten treten, denn zwei SPF-Einträge machen beide ungültig.

Name: firma.example
Typ: TXT
Wert: {NEW}
Ersetzt: {OLD}

Vielen Dank und freundliche Grüße
""",
    )


def test_the_message_to_the_web_host_holds_every_record_and_nothing_else() -> None:
    assert (
        tell(UNALIGNED, language="en").message
        == """\
Hello,

Please add these 2 records to the DNS of firma.example:

Name: s1._domainkey.firma.example
Type: CNAME
Value: s1.dkim.baudoku.example

Name: s2._domainkey.firma.example
Type: CNAME
Value: s2.dkim.baudoku.example

Thank you and kind regards
"""
    )


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("reason", [*AUTH_REASONS, None])
@pytest.mark.parametrize("fix", Fix)
def test_every_fix_has_its_words_whatever_was_refused(
    fix: Fix, reason: Reason | None, language: str
) -> None:
    diagnosis = replace(MERGE, fix=fix)
    told = tell(diagnosis, reason, language)
    for line in list_lines(told):
        assert line == " ".join(line.split())
        assert "{" not in line
    assert told.explanation.endswith(".")
    assert told.action.endswith(".")
    assert (told == tell(diagnosis, Reason.DKIM, language)) is (reason is Reason.DKIM)


def test_no_two_fixes_say_the_same() -> None:
    told = {fix: tell(replace(MERGE, fix=fix, records=())) for fix in Fix}
    assert len({view.explanation for view in told.values()}) == len(Fix)


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
        ({"mail_from_domain": "andere-firma.example"}, Reason.SPF, True),
        ({"identity": Identity.FROM}, Reason.SPF, False),
        ({"fix": Fix.MERGE_SPF, "records": (SPF,)}, Reason.SPF, False),
    ],
)
def test_where_his_spf_is_looked_at_by_nobody_he_is_told(
    changes: dict[str, object], reason: Reason | None, *, is_said: bool
) -> None:
    diagnosis = replace(UNALIGNED, **changes)  # type: ignore[arg-type] # the table's own names
    said = (
        "Ein SPF-Eintrag für firma.example hilft hier nicht" in tell(diagnosis, reason).explanation
    )
    assert said is is_said


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
    assert "höchstens zehn Verweise" in told.explanation
    assert "wären es 12." in told.explanation
    assert "was nicht mehr gebraucht wird" in told.action
    assert (told.records, told.hint, told.message) == ((), None, None)


def test_where_no_record_can_be_offered_he_is_asked_to_write_to_us() -> None:
    for fix in (Fix.PUBLISH_SPF, Fix.MERGE_SPF, Fix.PUBLISH_DKIM, Fix.PUBLISH_DMARC):
        told = tell(replace(MERGE, fix=fix, records=(), lookups_before=3))
        assert told.action.startswith("Den passenden Eintrag konnten wir nicht")


def test_the_purpose_of_records_of_one_kind_is_told_once() -> None:
    told = tell(replace(UNALIGNED, records=(*UNALIGNED.records, DMARC)))
    first, second, third = (record.purpose for record in told.records)
    assert str(first).startswith("Diese 2 Einträge führen")
    assert second is None
    assert str(third).startswith("Dieser Eintrag sagt, was mit E-Mails geschehen soll")


def test_a_value_in_several_strings_comes_with_how_to_enter_it() -> None:
    record = replace(SPF, value='"v=spf1 mx " "~all"')
    (told,) = tell(replace(MERGE, records=(record,))).records
    assert told.value == '"v=spf1 mx " "~all"'
    assert "die Anführungszeichen gehören dazu" in str(told.note)


@pytest.mark.parametrize(
    ("from_address", "said"),
    [
        (FROM_ADDRESS, f"mit unserer Absenderadresse {FROM_ADDRESS}"),
        ("", "mit unserer Absenderadresse statt"),
    ],
)
def test_with_a_mail_providers_address_nothing_is_published(from_address: str, said: str) -> None:
    diagnosis = replace(
        MERGE, domain="gmx.de", fix=Fix.USE_OUR_ADDRESS, freemail=True, records=(), hoster=None
    )
    told = tell(diagnosis, Reason.DMARC, from_address=from_address)
    assert "gmx.de gehört einem Mailanbieter" in told.explanation
    assert said in told.action
    assert "Antworten gehen dann weiterhin an Sie" in told.action
    assert "DNS" not in told.explanation + told.action
    assert (told.records, told.hint, told.hoster, told.message) == ((), None, None, None)
    assert told.checked is None


def test_a_domain_that_we_have_nothing_for_is_not_called_a_providers() -> None:
    told = tell(replace(MERGE, fix=Fix.USE_OUR_ADDRESS, records=()))
    assert "Mailanbieter" not in told.explanation


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("reason", AUTH_REASONS)
def test_what_was_not_looked_up_is_neither_said_to_be_missing_nor_dated(
    reason: Reason, language: str
) -> None:
    failed = tell(replace(MERGE, fix=Fix.NOT_CHECKED), reason, language)
    assert failed == tell(None, reason, language)
    said = {"de": "konnte nicht geprüft werden", "en": "could not be checked"}
    assert said[language] in failed.explanation
    assert (failed.records, failed.checked, failed.message) == ((), None, None)


def test_where_the_fault_is_ours_nothing_is_asked_of_him() -> None:
    told = tell(replace(MERGE, fix=Fix.OURS, records=()))
    assert "Der Fehler liegt bei uns, nicht bei Ihnen" in told.explanation
    assert told.action.startswith("Sie brauchen nichts zu ändern")
    assert told.hoster is None


def test_where_all_is_in_order_the_recipient_is_to_be_asked() -> None:
    told = tell(replace(MERGE, fix=Fix.ASK_RECEIVER, records=()), Reason.DKIM)
    assert "Es ist alles in Ordnung" in told.explanation
    assert "Bitten Sie den Empfänger, am besten am Telefon" in told.action
    assert told.hoster is None


@pytest.mark.parametrize(
    "value",
    [
        "v=spf1 mx\n~all",
        "v=spf1 \u202emx ~all",
        "v=spf1 include:\u0455pf.example ~all",
        "v=spf1 mx\0 ~all",
        "v=spf1  mx ~all",
        "v" * (MAX_VALUE_CHARS + 1),
        "v" * 65536,
    ],
)
def test_a_record_that_could_not_be_copied_as_it_is_is_not_shown(value: str) -> None:
    told = tell(replace(MERGE, records=(DMARC, replace(SPF, value=value))))
    assert told.records == ()
    assert told.message is None
    assert told.action.startswith("Den passenden Eintrag konnten wir nicht")


def test_what_goes_is_cut_where_it_is_endless() -> None:
    record = replace(SPF, replaces="\n".join(["v=spf1 " + "x" * 65536] * 99 + ["\u202e \0"]))
    (told,) = tell(replace(MERGE, records=(record,))).records
    assert len(told.replaces) == 10
    assert {len(line) for line in told.replaces} == {1000}


@given(
    st.builds(
        Diagnosis,
        domain=ANY_TEXT,
        mail_from_domain=st.none() | ANY_TEXT,
        checked_at=st.just(MERGE.checked_at),
        identity=st.none() | st.sampled_from(Identity),
        fix=st.sampled_from(Fix),
        freemail=st.booleans(),
        records=st.lists(ANY_RECORD, max_size=3).map(tuple),
        lookups_before=st.none() | st.integers(),
        lookups_after=st.none() | st.integers(),
        hoster=st.none() | ANY_TEXT,
    ),
    st.sampled_from(AUTH_REASONS),
)
def test_whatever_dns_said_every_text_is_one_line_and_every_record_whole(
    diagnosis: Diagnosis, reason: Reason
) -> None:
    told = tell(diagnosis, reason)
    for line in list_lines(told):
        assert len(line.splitlines()) <= 1
        assert line.isprintable()
    shown = [(record.name, record.type, record.value) for record in told.records]
    known = [(record.name, record.type, record.value) for record in diagnosis.records]
    assert shown in ([], known)
