"""Standard output that the caller has closed is no failure."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
@pytest.mark.parametrize("command", ["sam3agent --version", "train"])
def test_a_closed_stream_goes_nowhere(command: str, closed: str) -> None:
    done = subprocess.run(["sh", "-c", f'"$0" -m {command} {closed}', sys.executable], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
