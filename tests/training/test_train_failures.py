"""Whatever fails in a command of training ends in one line and an exit code, never in a traceback."""

import errno
from typing import Any

import pytest

from train import app

FAILURES = [
    (
        RuntimeError("shapes differ\nsecond line"),
        1,
        "unexpected error, please report it: RuntimeError: shapes differ (",
    ),
    (OSError(errno.ENOSPC, "No space left on device", "runs/x"), 1, "runs/x: No space left on device"),
    (MemoryError(), 1, "the memory is used up"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (RecursionError("too deep \x1b[31m"), 1, "too deep \\x1b[31m"),
]


@pytest.mark.parametrize(("failure", "code", "line"), FAILURES, ids=lambda value: type(value).__name__)
def test_a_failure_is_one_line(
    failure: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Any) -> int:
        raise failure

    monkeypatch.setattr(app, "_check", fail)
    assert app.main(["check", "experiment=finetune", "data.root=none"]) == code
    said = capsys.readouterr().err
    assert line in said
    assert "Traceback" not in said
    assert said.count("\n") == 1
