"""The composition root: builds every room, holds clock and randomness, obeys signals.

Nothing is decided here: what a start needs, what runs, how it reloads, how it stops.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from bounced import __version__, logs, systemd
from bounced.advisor.adviser import Adviser
from bounced.advisor.senders import SenderAdviser
from bounced.config import Settings, list_warnings
from bounced.jobs import Clock, Jobs
from bounced.keyfile import SECRET_BYTES, make_first_key
from bounced.ledger import notices, queries, reports, rounds
from bounced.ledger.engine import Ledger
from bounced.ledger.health import describe_error, is_lost, probe
from bounced.ledger.records import NewReport, ReportState
from bounced.ledger.writer import Writer
from bounced.listener.connection import House
from bounced.listener.server import Listener
from bounced.logs import Event, emit
from bounced.model import BouncedError, LedgerError
from bounced.notifier.dispatcher import Dispatcher
from bounced.origin.admission import AdmissionSettings
from bounced.origin.token import KeyRing
from bounced.plan import Plan, list_open_secrets, make_plan, make_pool
from bounced.processor.processor import Processor, ProcessorSettings
from bounced.watch.certificates import CertificateWatch
from bounced.watch.retention import Housekeeper
from bounced.web.api import Api
from bounced.web.app import make_app
from bounced.web.metrics import EventCounter
from bounced.web.server import HttpServer
from bounced.web.webhooks import WebhookSender
from bounced.wiring import make_origin, make_policy

Sockets = Mapping[str, Sequence[socket.socket]]
"""By what is spoken there: smtp, lmtp, http."""

BEAT_S = 0.5
"""How often the ledger is asked what is due; durations are honoured to within a second."""
GRACE = timedelta(seconds=5)
"""What running sessions, batches and deliveries get after SIGTERM; all ends within 10 s."""
PAUSE_S = 1.0
"""Rest after a failed job, so that a lost database is not asked in a tight loop."""
END = timedelta(seconds=9)
"""After so long a stop is cut short; what kill -9 cannot harm, this cannot."""
_CUT_SHORT = 75
_LOOK_S = 60.0
"""How often what changes slowly is looked at: certificates, quarantine, disk space."""
_NEEDS_RESTART = ("database", "smtp.listen", "smtp.lmtp_listen", "http.listen")

_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS, _RANDOM_DIGITS = 10, 6


class ListenError(BouncedError):
    """An address cannot be listened on (exit 74)."""


def read_clock() -> datetime:
    """Return the time, aware, UTC."""
    return datetime.now(UTC)


def make_id() -> str:
    """Return 16 random hex digits, the form of sends, notices and claims."""
    return secrets.token_hex(8)


def make_report_id(now: datetime) -> str:
    """Return 16 characters that sort by time: milliseconds, then 30 random bits."""
    number = (int(now.timestamp() * 1000) << 30) | secrets.randbits(30)
    return "".join(
        _ID_ALPHABET[number >> shift & 31]
        for shift in range(5 * (_TIME_DIGITS + _RANDOM_DIGITS - 1), -1, -5)
    )


class Daemon:
    """`bounced serve`, in one event loop; the demo and the tests move its clock themselves."""

    def __init__(
        self, settings: Settings, *, clock: Clock = read_clock, config_path: Path | None = None
    ) -> None:
        """Open the ledger and read every file that is named; raises BouncedError."""
        self._clock = clock
        self._config_path = config_path
        self.ledger = Ledger(settings.database.url)
        try:
            self.ledger.prepare()
            secret = secrets.token_bytes(SECRET_BYTES)
            make_first_key(settings, self.ledger.file, secret, clock().date())
            self._plan = make_plan(settings, self.ledger.file)
        except BouncedError:
            self.ledger.close()
            raise
        self._started_with = settings
        self._jobs = Jobs(clock)
        self.events = EventCounter()
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Lock()

    @property
    def admission(self) -> tuple[AdmissionSettings, KeyRing]:
        """Return what return paths are made of and checked with, the keys as of now."""
        return self._plan.admission, self._plan.keys.ring

    async def start(self, *, beat: bool = True, sockets: Sockets | None = None) -> None:
        """Recover what a predecessor left, then listen; without `beat` jobs are called by hand.

        `sockets`, under `smtp`, `lmtp` and `http`, listen already and stand in for the configured
        addresses of their kind. Raises ListenError where an address cannot be had.
        """
        plan = self._plan
        self._log_loaded(plan)
        self.writer = Writer(self.ledger)
        self.housekeeper = Housekeeper(self.ledger, self.writer, plan.settings.retention)
        await self._recover(plan)
        self.processor = make_processor(
            self.writer, plan.settings, rules=plan.rules, clock=self._clock
        )
        self.dispatcher = Dispatcher(
            self.writer, plan.dispatcher, clock=self._clock, new_id=make_id
        )
        self.adviser = Adviser(self.ledger, self.writer, plan.settings.dns, clock=self._clock)
        self.senders = SenderAdviser(
            self.ledger, self.writer, plan.senders, clock=self._clock, new_id=make_id
        )
        self.webhooks = WebhookSender(self.writer, plan.settings.webhook, clock=self._clock)
        self.listener = Listener(
            plan.settings.smtp, lambda: self.admission, self._store, self._clock, make_report_id
        )
        self.http = HttpServer(make_app(self._make_api()))
        self.certificates = CertificateWatch(self.listener.reload_certificate)
        await self._listen(sockets or {})
        if beat:
            self._start_beat()
        emit(
            Event.STARTED,
            version=__version__,
            smtp=self.listener.smtp,
            lmtp=self.listener.lmtp,
            http=self.http.addresses,
            database=self.ledger.engine.url.render_as_string(hide_password=True),
            pid=os.getpid(),
        )
        systemd.notify("READY=1")

    async def serve(self, load: Callable[[], Settings], sockets: Sockets | None = None) -> None:
        """Run until SIGTERM or SIGINT; SIGHUP reloads by `load`."""
        loop = asyncio.get_running_loop()

        async def reload(_now: datetime) -> None:
            await self.reload(load)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(
            signal.SIGHUP, lambda: self._jobs.spawn(self._jobs.run("reload", reload))
        )
        async with self._reloading:  # a SIGHUP that comes early waits, instead of ending us
            await self.start(sockets=sockets)
        gc.collect()
        gc.freeze()  # what lives as long as we do need not be looked through again and again
        await self._stopping.wait()
        cut = loop.call_later(END.total_seconds(), _cut_short)
        await self.stop()
        cut.cancel()

    async def stop(self) -> None:
        """Stop listening, let what runs come to its end within GRACE, close everything."""
        systemd.notify("STOPPING=1")
        self._stopping.set()
        self.processor.stop()
        self.dispatcher.stop()
        self.webhooks.stop()
        await asyncio.gather(
            self.listener.stop(GRACE), self.http.stop(GRACE), self._jobs.stop(GRACE)
        )
        await self._plan.dispatcher.delivery.close()
        await asyncio.to_thread(self.processor.pool.stop)
        await asyncio.to_thread(self.writer.stop)
        pending = await asyncio.to_thread(self._count_pending)
        self.ledger.close()
        emit(Event.STOPPED, pending=pending)

    async def reload(self, load: Callable[[], Settings]) -> None:
        """Take over changed settings, rules, templates, keys; on any fault keep the old ones."""
        async with self._reloading:  # of two at once, the later one finds the later file
            systemd.notify(systemd.describe_reload())
            try:
                plan = await asyncio.to_thread(make_plan, load(), self.ledger.file)
                house = await self.listener.prepare(plan.settings.smtp)
                await self._leave_rehearsal(plan)
            except (BouncedError, DBAPIError) as error:
                why = describe_error(error) if isinstance(error, DBAPIError) else str(error)
                emit(Event.CONFIG_REJECTED, why=why)
            else:
                self._take_over(plan, house)
            finally:
                systemd.notify("READY=1")

    def _take_over(self, plan: Plan, house: House) -> None:
        """Work by the new plan from now on; a batch at hand is finished by the old one."""
        self.listener.take(house)
        old_pool, old_delivery = self.processor.pool, self._plan.dispatcher.delivery
        self._plan = plan
        self.processor.pool = make_pool(plan.settings, plan.rules)
        self.processor.settings = plan.processor
        self.dispatcher.settings = plan.dispatcher
        self.housekeeper.settings = plan.settings.retention
        self.adviser.take(plan.settings.dns)
        self.senders.take(plan.senders)
        self.webhooks.settings = plan.settings.webhook
        old_pool.close()
        self._jobs.spawn(old_delivery.close())
        logs.configure(plan.settings.log, watch=self.events)
        self._log_loaded(plan)
        for name in _NEEDS_RESTART:
            if _read_key(plan.settings, name) != _read_key(self._started_with, name):
                emit(Event.CONFIG_WARNING, why=f"{name} has changed: it takes a restart")

    async def _listen(self, sockets: Sockets) -> None:
        try:
            await self.listener.start(sockets)
            listen = self._plan.settings.http.listen
            if listen or "http" in sockets:
                await self.http.start(listen, sockets.get("http", ()))
        except (OSError, BouncedError) as error:
            await self.listener.stop(timedelta(0))
            await asyncio.to_thread(self.writer.stop)
            self.ledger.close()
            if isinstance(error, BouncedError):
                raise
            raise ListenError(str(error.strerror)) from None

    def _make_api(self) -> Api:
        return Api(
            ledger=self.ledger,
            writer=self.writer,
            admission=lambda: self.admission,
            policy=lambda: self._plan.processor.policy,
            tokens=lambda: self._plan.tokens,
            faults=self._list_faults,
            events=self.events,
            clock=self._clock,
            new_id=make_id,
            pages=lambda: self._plan.pages,
        )

    def _list_faults(self) -> list[str]:
        """Say what keeps the daemon from taking mail in."""
        faults = []
        if not (self.listener.smtp or self.listener.lmtp):
            faults.append("no address is listened on")
        if self._stopping.is_set():
            faults.append("the daemon is stopping")
        if self._jobs.database_lost:
            faults.append("the database cannot be written")
        return faults

    async def _recover(self, plan: Plan) -> None:
        """Take up what a predecessor was doing."""
        now = self._clock()
        if self.ledger.file is not None:  # no other daemon: its claims are nobody's
            await self.writer.run(reports.release_claims)
            await self.writer.run(lambda connection: notices.expire_claims(connection, now))
        await self._leave_rehearsal(plan)

    async def _leave_rehearsal(self, plan: Plan) -> None:
        """End the rehearsal (DESIGN §5, round 0) with the first relay."""
        now, policy = self._clock(), plan.processor.policy
        if policy.first_round > 0:
            await self.writer.run(
                lambda connection: rounds.leave_rehearsal(
                    connection, now, settings=policy, new_id=make_id
                )
            )

    async def _store(self, arrivals: Sequence[NewReport]) -> None:
        """Keep received messages; raises LedgerError when the database is lost."""
        try:
            await self.writer.append(arrivals)
        except DBAPIError as error:
            if not is_lost(error):
                raise
            self._jobs.note_lost(error)
            raise LedgerError("the database is lost") from error
        self._jobs.note_restored()
        self.processor.wake()

    def _start_beat(self) -> None:
        jobs = self._jobs
        jobs.spawn(self._process_forever())
        jobs.every(BEAT_S, "send notices", self.dispatcher.send_due)
        jobs.every(PAUSE_S, "send webhooks", self.webhooks.send_due)
        jobs.every(BEAT_S, "look for typing errors", self.adviser.advise)
        jobs.every(BEAT_S, "look into refused domains", self.senders.advise)
        jobs.every(PAUSE_S, "look whether domains are mended", self.senders.check)
        jobs.every(_LOOK_S, "learn which addresses work", self.adviser.learn)
        jobs.every(PAUSE_S, "look for the database", self.look_for_database)
        jobs.spawn(jobs.run("look at the certificate", self.look_at_certificate))
        jobs.every(_LOOK_S, "look at the certificate", self.look_at_certificate)
        jobs.spawn(jobs.run("look after the quarantine", self.housekeeper.look))
        jobs.every(_LOOK_S, "look after the quarantine", self.housekeeper.look)
        interval = systemd.find_watchdog_interval()
        if interval is not None:
            jobs.every(interval.total_seconds(), "watchdog", _feed_watchdog)
        jobs.start()

    async def _process_forever(self) -> None:
        async def process(_now: datetime) -> object:
            return await self.processor.process_waiting()

        while not self._stopping.is_set():
            if not await self._jobs.run("process reports", process):
                await asyncio.sleep(PAUSE_S)
            await self.processor.wait(PAUSE_S)

    async def look_for_database(self, now: datetime) -> None:
        """While the database is lost, try whether it can be written again.

        A job that found nothing to do proves nothing: it may not have written at all.
        """
        if self._jobs.database_lost:
            await self.writer.run(lambda connection: probe(connection, now))
            self._jobs.note_restored()
            self.processor.wake()

    async def look_at_certificate(self, now: datetime) -> None:
        """Take over a certificate that has been renewed; tell of one that ends."""
        smtp = self._plan.settings.smtp
        self.certificates.look(now, smtp.tls_certificate_file, smtp.tls_key_file)

    def _count_pending(self) -> dict[str, int] | None:
        """Count the reports that wait for the next start; None where the database is lost."""
        try:
            counts = self.ledger.read(queries.count_by_state)["reports"]
        except DBAPIError:
            return None
        return {"reports": counts[ReportState.STORED.value]}

    def _log_loaded(self, plan: Plan) -> None:
        emit(
            Event.CONFIG_LOADED,
            path=str(self._config_path or "built-in defaults"),
            rule_files=len(plan.rules),
            keys=len(plan.keys.ring.keys),
        )
        for why in (*list_warnings(plan.settings), *list_open_secrets(plan)):
            emit(Event.CONFIG_WARNING, why=why)


def make_processor(
    writer: Writer, settings: Settings, *, rules: dict[str, str], clock: Clock
) -> Processor:
    """Build a processor with parser processes of its own; whoever asked stops its pool."""
    return Processor(
        writer,
        make_pool(settings, rules),
        ProcessorSettings(make_origin(settings), make_policy(settings)),
        clock=clock,
        new_id=make_id,
    )


def _cut_short() -> None:
    emit(Event.STOPPED, why=f"cut short after {END.total_seconds():g} s")
    os._exit(_CUT_SHORT)


async def _feed_watchdog(_now: datetime) -> None:
    systemd.notify("WATCHDOG=1")


def _read_key(settings: Settings, name: str) -> object:
    section, _, key = name.partition(".")
    found = getattr(settings, section)
    return getattr(found, key) if key else found
