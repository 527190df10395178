"""What an author is told of his domain, as he reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.diagnosis import Check, Diagnosis, DnsRecord, Fix, Identity, State
from bounced.model import REASONS, Category, Reason
from bounced.words.advice import AdviceView
from bounced.words.records import RecordView
from tests.words.told import (
    DMARC,
    FROM_ADDRESS,
    MERGE,
    NEW,
    OLD,
    RETURN_PATH,
    SPF,
    UNALIGNED,
    find,
    tell,
)

AUTH_REASONS = sorted(REASONS[Category.AUTH_FAILURE])
ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=80)
ANY_RECORD = st.builds(DnsRecord, ANY_TEXT, ANY_TEXT, ANY_TEXT, st.none() | ANY_TEXT)


def list_lines(told: AdviceView) -> list[str]:
    """Return every text that is to be one line."""
    whole = (told.hint, told.hoster, told.checked)
    lines = [told.explanation, told.action, *(line for line in whole if line)]
    for record in told.records:
        lines += [record.name, record.type, record.value, *record.replaces]
        optional = (record.purpose, record.note, record.short_name, record.short_label)
        lines += [line for line in optional if line]
    return lines


def test_a_record_that_replaces_another_is_told_whole() -> None:
    assert tell(MERGE) == AdviceView(
        explanation="Der Mailserver des Empfängers hat geprüft, ob der Server, der Ihr Protokoll "
        "verschickt hat, dafür zugelassen ist (SPF), und die Prüfung ist gescheitert. Im "
        "SPF-Eintrag von firma.example steht, welche Server E-Mails im Namen der Domain "
        "verschicken dürfen. Die Server, über die Baudoku Ihre Protokolle verschickt, fehlen "
        "darin. firma.example ist das, was in Ihrer Absenderadresse hinter dem @ steht.",
        action="Bitte lassen Sie den bisherigen SPF-Eintrag im DNS Ihrer Domain, dem öffentlichen "
        "Verzeichnis ihrer Einstellungen, durch den folgenden ersetzen. Geben Sie ihn dazu genau "
        "so, wie er hier steht, an Ihren Webhoster oder Ihre IT weiter. Wichtig: Der neue Eintrag "
        "tritt an die Stelle des alten, denn zwei SPF-Einträge nebeneinander machen beide "
        "ungültig. Wer bisher verschicken durfte, darf es weiterhin. Gilt der Eintrag überall, "
        "meist nach einigen Stunden, verschicken Sie das Protokoll noch einmal.",
        records=(
            RecordView(
                purpose="Dieser Eintrag sagt, welche Server E-Mails im Namen der Domain "
                "verschicken dürfen (SPF):",
                name="firma.example",
                type="TXT",
                value=NEW,
                replaces=(OLD,),
                note=None,
                short_name="@",
                short_label="Name bei IONOS",
            ),
        ),
        hint="Bis ein Eintrag überall gilt, können einige Stunden vergehen.",
        hoster="Das DNS Ihrer Domain liegt bei IONOS: „Domains & SSL“ > Zahnrad neben der Domain "
        "> „DNS“",
        checked="Einträge geprüft: Freitag, 20. November 2026, 14:03 Uhr",
        message=f"""\
Guten Tag,

bitte ersetzen Sie im DNS von firma.example den bisherigen SPF-Eintrag durch den folgenden. \
Der neue darf nicht neben den alten treten, denn zwei SPF-Einträge machen beide ungültig.

Name: firma.example
Typ: TXT
Wert: {NEW}
Ersetzt: {OLD}

Alle Namen und Ziele sind vollständig angegeben (FQDN, ohne Punkt am Ende). Alle anderen Einträge \
bleiben, wie sie sind.

Vielen Dank und freundliche Grüße
""",
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


def test_where_no_record_can_be_offered_he_is_asked_to_write_to_us() -> None:
    for fix in (Fix.PUBLISH_SPF, Fix.MERGE_SPF, Fix.PUBLISH_DKIM, Fix.PUBLISH_DMARC):
        told = tell(replace(MERGE, fix=fix, records=(), lookups_before=3))
        assert told.action.startswith("Den passenden Eintrag konnten wir nicht")


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
    assert "bitten Sie den Empfänger, am besten am Telefon" in told.action
    assert "verschicken Sie das Protokoll einfach noch einmal" in told.action
    assert told.hoster is None


def test_the_return_path_and_its_policy_are_asked_for_together() -> None:
    path = replace(MERGE, fix=Fix.RETURN_PATH_CNAME, records=(RETURN_PATH, DMARC))
    assert tell(path, Reason.DMARC).action == (
        "Bitte lassen Sie die folgenden Einträge im DNS Ihrer Domain anlegen, dem öffentlichen "
        "Verzeichnis ihrer Einstellungen. Geben Sie sie dazu genau so, wie sie hier stehen, an "
        "Ihren Webhoster oder Ihre IT weiter. Sind sie da, stellen wir die Rücksendeadresse Ihrer "
        "Protokolle darauf um. Verschicken Sie das abgewiesene Protokoll danach noch einmal."
    )


def test_a_domain_with_umlauts_is_written_as_its_owner_writes_it() -> None:
    told = tell(replace(UNALIGNED, domain="xn--mller-kva.example"))
    assert "im Namen von müller.example digital" in told.explanation
    assert "xn--" not in told.explanation + told.action


def test_where_nothing_was_refused_nothing_is_to_be_sent_again() -> None:
    for fix in Fix:
        for records in ((), (SPF, DMARC)):
            told = tell(replace(MERGE, fix=fix, records=records), None)
            assert "noch einmal" not in told.action or fix is Fix.ASK_RECEIVER
            assert "abgewiesen" not in told.explanation + told.action or fix is Fix.ASK_RECEIVER


@pytest.mark.parametrize("fix", [Fix.USE_OUR_ADDRESS, Fix.NONE])
def test_what_was_refused_is_to_be_sent_again(fix: Fix) -> None:
    told = tell(replace(MERGE, fix=fix, records=()))
    assert told.action.endswith("Was abgewiesen wurde, verschicken Sie bitte noch einmal.")


def test_of_a_domain_that_does_not_exist_nothing_else_is_said() -> None:
    found = find(Check.FROM, State.MISSING, "firma.example does not exist")
    told = tell(replace(MERGE, fix=Fix.USE_OUR_ADDRESS, findings=(found,)))
    assert "Die Domain firma.example gibt es im DNS" in told.explanation
    assert told.action == "Bitte prüfen Sie Ihre Absenderadresse."
    assert (told.records, told.hint, told.hoster, told.message) == ((), None, None, None)


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
