"""A site whose notices have links: it starts, and each link opens its page."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2

from bounced.plan import make_plan
from tests.daemon_site import Site, deliver, read_mails
from tests.processor.mails import make_bounce

PUBLIC = "https://bounces.example.com"


def make_site(folder: Path) -> Site:
    site = Site(folder)
    site.configure(more=f'public_url = "{PUBLIC}"')
    return site


def test_a_site_with_a_public_url_can_be_planned(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    site.make().ledger.close()  # makes the first key
    plan = make_plan(site.load(), tmp_path / "bounced.db")
    assert plan.pages is not None


async def test_every_link_of_a_notice_opens_its_page(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    async with site.run() as daemon:
        await deliver(daemon, make_bounce())
        assert await site.tell(daemon) == 1
        (mail,) = read_mails(tmp_path / "notices")
        part = mail.get_body(("plain",))
        assert part is not None
        paths = re.findall(rf"{PUBLIC}(/n/[a-z2-7]+)", part.get_content())
        assert len(paths) == 2
        async with httpx2.AsyncClient(base_url=f"http://{daemon.http.addresses[0]}") as client:
            statuses = [(await client.get(path)).status_code for path in paths]
    assert statuses == [200, 200]
