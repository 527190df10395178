"""The limit of open files is raised to what the connections take, or told to be too low."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import pytest

_SCRIPT = """
import json, resource, sys
from bounced.config import Settings
from bounced.filelimit import raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
settings = Settings.model_validate({"smtp": {"max_connections": 1000}})
warning = raise_file_limit(settings)
print(json.dumps([warning, *resource.getrlimit(resource.RLIMIT_NOFILE)]))
"""
NEEDED = 1862
LOW = (
    "smtp.max_connections: 1000 take a limit of 1862 open files, this process may have 1024: "
    "raise it (systemd: LimitNOFILE; ulimit -n)"
)


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        (1024, 4096, [None, NEEDED, 4096]),
        (3000, 4096, [None, 3000, 4096]),
        (512, 1024, [LOW, 1024, 1024]),
    ],
)
def test_the_limit_is_raised_as_far_as_needed_and_allowed(
    soft: int, hard: int, expected: list[object]
) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip("this process may not open so many files")
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(soft), str(hard)], capture_output=True, check=True
    )
    assert json.loads(done.stdout) == expected
