"""With what a run was made: versions, commit and date."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("sam3agent", "torch", "numpy", "pillow", "pycocotools", "transformers", "vllm")
CHECKOUT = Path(__file__).parent.parent


def run_record() -> dict[str, Any]:
    """Date (UTC), versions of the packages that are installed, and commit of the checkout; None if it is unknown.

    A commit with uncommitted changes ends in "+changes".
    """
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "versions": versions,
        "platform": platform.platform(terse=True),
    }


def _commit() -> str | None:
    head = _git("rev-parse", "HEAD")
    if not head:
        return None
    return head + "+changes" if _git("status", "--porcelain", "--untracked-files=no") else head


def _git(*arguments: str) -> str:
    """Output of a git command on the checkout; empty if it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(CHECKOUT), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
