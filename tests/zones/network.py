"""The outer side of the zones: starts the process inside and asks it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.mta.namespace import server_folder
from tests.zones.authority import Zone

_ROOT = Path(__file__).parent.parent.parent
_STOP_TIMEOUT_S = 15


class Network:
    """A network of its own, in which zones are served and asked."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder

    def serve(self, zones: Sequence[Zone]) -> None:
        """Serve these zones and no others, with nothing kept of those before."""
        self._ask({"do": "serve", "zones": [dataclasses.asdict(zone) for zone in zones]})

    def diagnose(self, questions: Sequence[dict[str, Any]], patience: str) -> list[Any]:
        """Return the diagnosis of each question in its public form."""
        answers: list[Any] = self._ask(
            {"do": "diagnose", "questions": questions, "patience": patience}
        )
        return answers

    def diagnose_by_liars(
        self, questions: Sequence[dict[str, Any]], patience: str
    ) -> dict[str, list[Any]]:
        """Return the diagnoses for which each of the lying resolvers was asked, by lie."""
        request = {"do": "diagnose-by-liars", "questions": questions, "patience": patience}
        answers: dict[str, list[Any]] = self._ask(request)
        return answers

    def evaluate(self, questions: Sequence[tuple[str, str]]) -> list[str]:
        """Return what Mail::SPF says of each MAIL FROM domain and address."""
        results: list[str] = self._ask({"do": "evaluate", "questions": questions})
        return results

    def freeze_resolver(self) -> None:
        self._ask({"do": "freeze"})

    def end_resolver(self) -> None:
        self._ask({"do": "end-resolver"})

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        if line := self._process.stdout.readline():
            return json.loads(line)
        self._process.wait(_STOP_TIMEOUT_S)
        raise RuntimeError("".join(path.read_text() for path in self._folder.glob("*.log")))


@contextlib.contextmanager
def run_network() -> Iterator[Network]:
    """Start the inner process; ends it, and the servers with it."""
    with server_folder("zones") as folder:
        command = ("unshare", "--net", "--mount", "--propagation", "private")
        inner = (sys.executable, "-m", "tests.zones.inside", str(folder))
        with (
            (folder / "inside.log").open("wb") as errors,
            subprocess.Popen(
                (*command, *inner),
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            ) as process,
        ):
            try:
                yield Network(process, folder)
            finally:
                assert process.stdin is not None
                process.stdin.close()
                process.wait(_STOP_TIMEOUT_S)
