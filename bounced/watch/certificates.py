"""When the certificate is read anew, and when its end is spoken of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

from bounced.certificate import Certificate, read_certificate
from bounced.logs import Event, emit
from bounced.model import ConfigError
from bounced.stamp import Stamp, find_stamp

CHECK = "tls-certificate"

State = tuple[Stamp | None, ...]
"""Of certificate and key."""


class CertificateWatch:
    """Follows the two files of the settings; what it has read and said, it does not repeat.

    `reload` makes the listener read them, and raises ConfigError where they cannot be used.
    """

    def __init__(self, reload: Callable[[], None]) -> None:
        self._reload = reload
        self._certificate: Certificate | None = None
        self._loaded: State = ()
        self._rejected: State = ()
        self._said: tuple[State, date | None] | None = None

    def look(self, now: datetime, file: Path | None, key_file: Path | None) -> None:
        """Take over a pair that has changed, and tell of its end, once a day.

        A pair that cannot be used is tried again at every look: it may be half renewed.
        """
        if file is None or key_file is None:
            return
        state = (find_stamp(file), find_stamp(key_file))
        if state != self._loaded:
            self._take_over(file, state)
        if self._certificate is not None:
            self._tell(self._certificate, now)

    def _take_over(self, file: Path, state: State) -> None:
        try:
            self._reload()
            self._certificate = read_certificate(file)
        except ConfigError as error:
            if state != self._rejected:
                emit(Event.CONFIG_REJECTED, why=str(error))
            self._rejected = state
        else:
            self._loaded, self._rejected = state, ()

    def _tell(self, certificate: Certificate, now: datetime) -> None:
        """Tell of the certificate in use: a good one once, one that ends every day."""
        ending = certificate.is_ending(now)
        news = (self._loaded, now.date() if ending else None)
        if news == self._said:
            return
        self._said = news
        detail = certificate.describe(now)
        if ending:
            why = "ended" if certificate.ends_at <= now else "ends-soon"
            emit(Event.SELF_CHECK_FAILED, check=CHECK, why=why, detail=detail)
        else:
            emit(Event.SELF_CHECK_PASSED, check=CHECK, detail=detail)
