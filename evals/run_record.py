"""With what a run was made: versions, commit and date."""

import platform
import subprocess
from collections.abc import Mapping, Sequence
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


def software(record: object) -> dict[str, object]:
    """What decides a prediction, of a record, by name: the commit and the versions; empty for older runs."""
    if not isinstance(record, dict) or not record:
        return {}
    versions = record.get("versions")
    return {"commit": record.get("commit"), **(versions if isinstance(versions, dict) else {})}


def differing_software(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the packages, or "commit", in which runs differ, also in what they were started with."""
    known = [software(record) for one in records for record in (one, one.get("started_with") or one)]
    names = dict.fromkeys(name for one in known for name in one)
    return [name for name in names if any(one.get(name) != known[0].get(name) for one in known)]


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
