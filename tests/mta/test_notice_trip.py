"""A notice on its way through a real Postfix: the session, and the signature at its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bounced.notifier.delivery import Delivered
from bounced.notifier.smime import Signer
from tests.mta.network import LOOPBACK, wait_for
from tests.mta.postfix import Postfix, RunningPostfix
from tests.mta.receiver import Receiver
from tests.mta.refusals import DOMAIN
from tests.notifier.sending import Gate, make_delivery
from tests.notifier.signing_site import SENDER, make_digest, make_site, verify

pytestmark = [pytest.mark.mta, pytest.mark.slow]

MAILS = 5


@pytest.fixture(scope="module")
def server(
    postfix_installed: None, resolver: str, mail_exchanger: Receiver
) -> Iterator[RunningPostfix]:
    with Postfix(resolver, mail_exchanger.port).run() as running:
        yield running


async def test_signed_notices_pass_through_postfix_in_one_session(
    server: RunningPostfix, mail_exchanger: Receiver, tmp_path: Path
) -> None:
    site = make_site(tmp_path)
    signer = Signer.load(site.certificate_file, site.key_file)
    mail = make_digest()
    mail.replace_header("To", f"author1@{DOMAIN}")
    delivery = make_delivery(server.port, host=LOOPBACK)
    authors = [f"author{number}@{DOMAIN}" for number in range(MAILS)]
    for author in authors:
        outcome = await delivery.deliver(
            signer.sign(mail), mail_from=SENDER, rcpt=author, before_data=Gate()
        )
        assert isinstance(outcome, Delivered)
        assert outcome.reply.startswith("250 2.0.0 Ok: queued as ")
    await delivery.close()
    wait_for("the mails to arrive", lambda: all(map(mail_exchanger.find, authors)))
    for author in authors:
        taken = mail_exchanger.find(author)
        assert taken is not None
        right, _, said = verify(taken.content, site, tmp_path)
        assert right, said
    log = server.log.read_text()
    [left] = [line for line in log.splitlines() if "disconnect from" in line and "data=" in line]
    assert f"mail={MAILS} rcpt={MAILS} data={MAILS} rset={MAILS - 1} quit=1" in left
