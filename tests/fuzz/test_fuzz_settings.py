"""Settings: any file and any variables give settings, or one line that names the key and its source."""

import os
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import strategies as st

from sam3agent.config import FILE_VARIABLE, PREFIX, Settings, load_settings
from sam3model.errors import ConfigError
from tests.fuzz.commands import sam3agent
from tests.fuzz.fuzzing import fuzzed
from tests.fuzz.mutations import damaged_bytes

WHOLE = b"""
weights = "tiny"
mllm = "openai"
model = "Qwen/Qwen3-VL-8B-Instruct"
base_url = "http://localhost:8000/v1"
timeout = 60.0
max_calls = 20
threshold = 0.4
out = "results"
"""
KEYS = sorted(Settings.model_fields)
LITERALS = st.sampled_from(
    ["nan", "inf", "-1", "0", "1e400", "9" * 5000, "[]", "{}", "true", '""', "1979-05-27", '"\\u202e"', '"\\u001b[2J"',
     '"x\\u0000"', '"http://a:b@[::"', '"socks5://x"', "[" * 500, "{a=" * 200]
)  # fmt: skip
LINES = st.builds("{} = {}".format, st.sampled_from(KEYS) | st.text("abc_-. \"'", max_size=9), LITERALS)
FILES = damaged_bytes(WHOLE) | st.lists(LINES, max_size=5).map(lambda lines: "\n".join(lines).encode()) | st.binary()
TEXTS = st.text(max_size=30) | st.sampled_from(["nan", "-1", "9" * 5000, "http://x:99999", "http://[", "a\x1b[2J", "é"])


def loaded(flags: dict[str, Any], environment: dict[str, str]) -> None:
    try:
        settings = load_settings(flags, environment)
    except ConfigError as error:
        assert 0 < len(str(error)) < 1500
        return
    assert settings.timeout > 0 and settings.max_calls > 0 and settings.max_seconds > 0


@fuzzed(FILES, quick=80)
def test_any_file(folder: Path, content: bytes) -> None:
    (folder / "config.toml").write_bytes(content)
    loaded({}, {FILE_VARIABLE: str(folder / "config.toml")})


@fuzzed(st.dictionaries(st.sampled_from(KEYS), TEXTS, max_size=4), st.booleans(), quick=60)
def test_any_variables_and_flags(folder: Path, values: dict[str, str], as_flags: bool) -> None:
    variables = {PREFIX + key.upper(): value for key, value in values.items()}
    loaded(values if as_flags else {}, {"XDG_CONFIG_HOME": str(folder), **({} if as_flags else variables)})


@fuzzed(FILES, st.dictionaries(st.sampled_from(KEYS), TEXTS.filter(str.isprintable), max_size=2), quick=6)
def test_a_command_says_what_is_wrong(folder: Path, content: bytes, values: dict[str, str]) -> None:
    """The weights do not exist, so that nothing is loaded."""
    (folder / "config.toml").write_bytes(content)
    variables = {PREFIX + key.upper(): value for key, value in values.items()}
    with mock.patch.dict(os.environ, {FILE_VARIABLE: str(folder / "config.toml"), **variables}):
        sam3agent("ask", str(folder / "no.png"), "the ball", "--out", str(folder / "out"), codes=(1, 2))
        sam3agent("doctor", "--weights", str(folder / "no.pt"), "--mllm", "rules", codes=(1, 2))
