"""The stock ``anomalib`` command as a user runs it, and ``stmem learn`` in seconds."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from anomalib_stmem import STMem, cli
from anomalib_stmem.learning import learn

LOCAL = {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}


def anomalib(*arguments: str, folder: Path) -> str:
    ran = subprocess.run(
        ["anomalib", *arguments],
        cwd=folder,
        env=os.environ | LOCAL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    return ran.stdout


def flags(kind: str, options: dict) -> list[str]:
    return [
        part
        for name, value in options.items()
        for part in (f"--{kind}.{name}", str(list(value) if isinstance(value, tuple) else value).replace(" ", ""))
    ]


def learn_little(arguments: list[str], monkeypatch: pytest.MonkeyPatch, **options: Any) -> int:
    """Run ``stmem learn`` with these options of the model, in seconds instead of minutes and on as much video."""
    arguments = list(arguments)
    arguments[arguments.index("--minutes") + 1] = "0.02"
    with monkeypatch.context() as patch:
        patch.setattr(learn, "LEAST_MINUTES", 0.05)
        patch.setattr(learn, "STMem", lambda **given: STMem(**given | options))
        return cli.main(arguments)
