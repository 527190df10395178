"""deploy/certbot-hook, run as certbot runs it."""

from __future__ import annotations

import grp
import os
import subprocess
from pathlib import Path

import pytest

HOOK = Path(__file__).parents[2] / "deploy" / "certbot-hook"


@pytest.fixture
def hook(tmp_path: Path) -> Path:
    """The hook as delivered; only its two folders and the group are those of the test."""
    text = HOOK.read_text()
    lineage = tmp_path / "live" / "mx.example.com"
    for delivered, here in (
        ("/etc/letsencrypt/live/mx.example.com", str(lineage)),
        ("/etc/bounced", str(tmp_path / "etc")),
        ("-g bounced", f"-g {grp.getgrgid(os.getegid()).gr_name}"),
    ):
        assert delivered in text
        text = text.replace(delivered, here)
    (tmp_path / "etc").mkdir()
    lineage.mkdir(parents=True)
    for name in ("privkey", "fullchain"):
        (lineage / f"{name}.pem").write_text(name)
    path = tmp_path / "hook"
    path.write_text(text)
    path.chmod(HOOK.stat().st_mode)
    return path


def run(hook: Path, lineage: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"RENEWED_LINEAGE": str(hook.parent / "live" / lineage)}
    return subprocess.run((hook,), env=environment, check=False, capture_output=True, text=True)


def test_the_renewed_pair_is_copied_for_the_group(hook: Path) -> None:
    done = run(hook, "mx.example.com")
    assert (done.returncode, done.stderr) == (0, "")
    folder = hook.parent / "etc" / "tls"
    assert folder.stat().st_mode & 0o777 == 0o750
    assert {
        file.name: (file.read_text(), oct(file.stat().st_mode & 0o777))
        for file in folder.iterdir()
    } == {"key.pem": ("privkey", "0o640"), "certificate.pem": ("fullchain", "0o640")}


def test_another_certificate_of_the_host_is_left_alone(hook: Path) -> None:
    done = run(hook, "www.example.com")
    assert (done.returncode, done.stderr) == (0, "")
    assert not (hook.parent / "etc" / "tls").exists()


def test_a_key_that_is_missing_is_told_to_certbot(hook: Path) -> None:
    (hook.parent / "live" / "mx.example.com" / "privkey.pem").unlink()
    done = run(hook, "mx.example.com")
    assert done.returncode != 0
    assert "privkey.pem" in done.stderr
