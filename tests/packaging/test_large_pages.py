"""Importing the model asks torch for large pages, unless the user decided otherwise."""

import os
import subprocess
import sys

import pytest

NAME = "THP_MEM_ALLOC_ENABLE"


@pytest.mark.parametrize(("own", "expected"), [(None, "1"), ("0", "0")])
def test_large_pages_are_asked_for_and_can_be_refused(own, expected):
    environment = {name: value for name, value in os.environ.items() if name != NAME}
    if own is not None:
        environment[NAME] = own
    code = f"import os, sam3model; print(os.environ[{NAME!r}])"
    shown = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == expected
