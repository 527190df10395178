"""The composition root: builds every room, holds clock and randomness, obeys signals.

Nothing is decided here: what a start needs, what runs, how it reloads, how it stops.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import signal
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy.exc import OperationalError

from bounced import __version__, logs, systemd
from bounced.config import Settings, list_warnings
from bounced.keyfile import SECRET_BYTES, load_keys, read_secret
from bounced.ledger import notices, reports, rounds
from bounced.ledger.engine import Ledger
from bounced.ledger.records import NewReport
from bounced.ledger.writer import Writer
from bounced.listener.server import Listener
from bounced.logs import Event, emit
from bounced.model import BouncedError
from bounced.notifier.compose import Composer
from bounced.notifier.delivery import Delivery, MaildirDelivery, SmtpDelivery
from bounced.notifier.dispatcher import Dispatcher, DispatcherSettings
from bounced.origin.admission import AdmissionSettings
from bounced.origin.token import KeyRing
from bounced.parser.ruleset import parse_rules
from bounced.processor.pool import ParserPool
from bounced.processor.processor import Processor, ProcessorSettings
from bounced.processor.rule_files import read_rule_files
from bounced.processor.worker import Limits
from bounced.wiring import make_admission, make_header_names, make_origin, make_policy

Clock = Callable[[], datetime]
Job = Callable[[datetime], Awaitable[object]]

BEAT_S = 0.5
"""How often the ledger is asked what is due; durations are honoured to within a second."""
GRACE = timedelta(seconds=5)
"""What running sessions, batches and deliveries get after SIGTERM; all ends within 10 s."""
PAUSE_S = 1.0
"""Rest after a failed job, so that a lost database is not asked in a tight loop."""
_NEEDS_RESTART = ("database", "workers.processes", "smtp.listen", "smtp.lmtp_listen")

_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS, _RANDOM_DIGITS = 10, 6


class AlreadyServedError(BouncedError):
    """Another daemon serves the same SQLite file (exit 75)."""


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


@dataclass(frozen=True, slots=True)
class _Plan:
    """Everything that is made from the settings before anything runs; may raise ConfigError."""

    settings: Settings
    rules: dict[str, str]
    processor: ProcessorSettings
    dispatcher: DispatcherSettings
    admission: AdmissionSettings
    ring: KeyRing


class Daemon:
    """`bounced serve`, in one event loop; the demo and the tests move its clock themselves."""

    def __init__(
        self, settings: Settings, *, clock: Clock = read_clock, config_path: Path | None = None
    ) -> None:
        """Open the ledger and read every file that is named; raises BouncedError."""
        self._clock = clock
        self._config_path = config_path
        self.ledger = Ledger(settings.database.url)
        self.ledger.prepare()
        self._plan = self._make_plan(settings)
        self._jobs: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._database_lost = False

    @property
    def admission(self) -> tuple[AdmissionSettings, KeyRing]:
        """Return what return paths are made of and checked with, as of the last reload."""
        return self._plan.admission, self._plan.ring

    async def start(self, *, beat: bool = True) -> None:
        """Recover what a predecessor left, then listen; without `beat` jobs are called by hand.

        Raises OSError where a port cannot be had.
        """
        plan = self._plan
        self._log_loaded(plan)
        self.writer = Writer(self.ledger)
        await self._recover(plan)
        self.processor = make_processor(
            self.writer, plan.settings, rules=plan.rules, clock=self._clock
        )
        self.dispatcher = Dispatcher(
            self.writer, plan.dispatcher, clock=self._clock, new_id=make_id
        )
        self.listener = Listener(
            plan.settings.smtp, lambda: self.admission, self._store, self._clock, make_report_id
        )
        await self.listener.start()
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
        )
        if beat:
            self._start_beat()
        emit(
            Event.STARTED,
            version=__version__,
            smtp=self.listener.smtp,
            lmtp=self.listener.lmtp,
            http=[],
            database=self.ledger.engine.url.render_as_string(hide_password=True),
            pid=os.getpid(),
        )
        systemd.notify("READY=1")

    async def serve(self, load: Callable[[], Settings]) -> None:
        """Run until SIGTERM or SIGINT; SIGHUP reloads by `load`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._spawn(self.reload(load)))
        await self.start()
        await self._stopping.wait()
        await self.stop()

    async def stop(self) -> None:
        """Stop listening, let what runs come to its end within GRACE, close everything."""
        systemd.notify("STOPPING=1")
        self._stopping.set()
        self.processor.stop()
        self.dispatcher.stop()
        if self._scheduler.running:
            self._scheduler.pause()
        unfinished, _ = await asyncio.gather(self.listener.stop(GRACE), self._drain())
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        await asyncio.to_thread(self.processor.pool.stop)
        counts = await asyncio.to_thread(self.ledger.read, reports.count_by_state)
        self.writer.stop()
        self.ledger.close()
        emit(Event.STOPPED, pending={"sessions": unfinished, "reports": counts.get("stored", 0)})

    async def reload(self, load: Callable[[], Settings]) -> None:
        """Take over changed settings, rules, templates, keys; on any fault keep the old ones."""
        systemd.notify(systemd.describe_reload())
        try:
            plan = self._make_plan(load())
            await self.listener.apply(plan.settings.smtp)
        except BouncedError as error:
            emit(Event.CONFIG_REJECTED, why=str(error))
            systemd.notify("READY=1")
            return
        for name in _NEEDS_RESTART:
            if _read_key(plan.settings, name) != _read_key(self._plan.settings, name):
                emit(Event.CONFIG_WARNING, why=f"{name} has changed: it takes a restart")
        old_pool = self.processor.pool
        self._plan = plan
        self.processor.pool = _make_pool(plan.settings, plan.rules)
        self.processor.settings = plan.processor
        self.dispatcher.settings = plan.dispatcher
        old_pool.close()
        logs.configure(plan.settings.log)
        self._log_loaded(plan)
        systemd.notify("READY=1")

    @contextmanager
    def hold_database(self) -> Iterator[None]:
        """Be the only daemon of a SQLite file; raises AlreadyServedError."""
        if self.ledger.file is None:
            yield
            return
        path = self.ledger.file.with_name(self.ledger.file.name + ".lock")
        with path.open("a", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyServedError(
                    f"{self.ledger.file}: another `bounced serve` works on this database"
                ) from None
            yield

    def _make_plan(self, settings: Settings) -> _Plan:
        today = self._clock().date()
        secret = secrets.token_bytes(SECRET_BYTES)
        ring = load_keys(settings, self.ledger.file, secret, today)
        admission, policy = make_admission(settings), make_policy(settings)
        composer = make_composer(settings)
        composer.check()
        rules = read_rule_files(settings.rules.directories)
        parse_rules(rules)  # a fault is told before anything starts
        return _Plan(
            settings,
            rules,
            ProcessorSettings(make_origin(settings), policy),
            DispatcherSettings(
                settings.notices, policy, admission, ring, composer, _make_delivery(settings)
            ),
            admission,
            ring,
        )

    async def _recover(self, plan: _Plan) -> None:
        """Take up what a predecessor was doing; a rehearsal ends with the first relay."""
        now, policy = self._clock(), plan.processor.policy
        if self.ledger.file is not None:  # no other daemon: its claims are nobody's
            await self.writer.run(reports.release_claims)
            await self.writer.run(lambda connection: notices.expire_claims(connection, now))
        if policy.first_round > 0:
            await self.writer.run(
                lambda connection: rounds.leave_rehearsal(
                    connection, now, settings=policy, new_id=make_id
                )
            )

    async def _store(self, arrivals: Sequence[NewReport]) -> None:
        try:
            await self.writer.append(arrivals)
        except OperationalError as error:
            self._note_database(error)
            raise
        self._note_database(None)
        self.processor.wake()

    def _start_beat(self) -> None:
        self._spawn(self._process_forever())
        self._every(BEAT_S, "send notices", self.dispatcher.send_due)
        interval = systemd.find_watchdog_interval()
        if interval is not None:
            self._every(interval.total_seconds(), "watchdog", _feed_watchdog)
        self._scheduler.start()

    def _every(self, seconds: float, name: str, job: Job) -> None:
        async def run() -> None:
            await self._track(self._run_job(name, job))

        self._scheduler.add_job(run, "interval", seconds=seconds, name=name)

    async def _process_forever(self) -> None:
        async def process(_now: datetime) -> object:
            return await self.processor.process_waiting()

        while not self._stopping.is_set():
            if not await self._run_job("process reports", process):
                await asyncio.sleep(PAUSE_S)
            await self.processor.wait(PAUSE_S)

    async def _run_job(self, name: str, job: Job) -> bool:
        """Run a job once; what it raises is logged, and the next beat tries again."""
        try:
            await job(self._clock())
        except OperationalError as error:
            self._note_database(error)
            return False
        except Exception as error:  # noqa: BLE001 - the job wrapper: a bug must not end the daemon
            emit(
                Event.JOB_FAILED,
                job=name,
                error=type(error).__name__,
                exception="".join(traceback.format_exception(error)),
            )
            return False
        self._note_database(None)
        return True

    def _note_database(self, error: OperationalError | None) -> None:
        """Log once that the database is lost, and once that it is back."""
        if error is not None and not self._database_lost:
            emit(Event.DATABASE_LOST, error=str(error.orig))
        elif error is None and self._database_lost:
            emit(Event.DATABASE_RESTORED)
        self._database_lost = error is not None

    def _spawn(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await self._track(work)

        asyncio.ensure_future(run())  # noqa: RUF006 - _track keeps it

    async def _track(self, work: Awaitable[object]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._jobs.add(task)
        try:
            await work
        finally:
            self._jobs.discard(task)

    async def _drain(self) -> None:
        """Wait for what runs, then end it."""
        if self._jobs:
            _, late = await asyncio.wait(self._jobs, timeout=GRACE.total_seconds())
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _log_loaded(self, plan: _Plan) -> None:
        emit(
            Event.CONFIG_LOADED,
            path=str(self._config_path or "built-in defaults"),
            rules=len(plan.rules),
            keys=len(plan.ring.keys),
        )
        for why in list_warnings(plan.settings):
            emit(Event.CONFIG_WARNING, why=why)


def make_composer(settings: Settings) -> Composer:
    """Read words and templates; raises ConfigError."""
    return Composer(
        settings.notices.templates_directory,
        settings.notices,
        fallback_sender=f"postmaster@{settings.return_path.domains[0]}",
    )


def make_processor(
    writer: Writer, settings: Settings, *, rules: dict[str, str], clock: Clock
) -> Processor:
    """Build a processor with parser processes of its own; whoever asked stops its pool."""
    return Processor(
        writer,
        _make_pool(settings, rules),
        ProcessorSettings(make_origin(settings), make_policy(settings)),
        clock=clock,
        new_id=make_id,
    )


def _make_pool(settings: Settings, rules: dict[str, str]) -> ParserPool:
    workers = settings.workers
    return ParserPool(
        rules,
        make_header_names(settings),
        Limits(workers.message_deadline.total_seconds(), workers.message_memory),
        workers.processes,
    )


def _make_delivery(settings: Settings) -> Delivery:
    relay = settings.relay
    if not relay.host:
        return MaildirDelivery(relay.maildir)
    password = (
        read_secret(relay.password_file, "relay.password_file") if relay.password_file else None
    )
    return SmtpDelivery(relay, password=password, hostname=settings.smtp.hostname)


async def _feed_watchdog(_now: datetime) -> None:
    systemd.notify("WATCHDOG=1")


def _read_key(settings: Settings, name: str) -> object:
    section, _, key = name.partition(".")
    found = getattr(settings, section)
    return getattr(found, key) if key else found
