"""What is quoted in an error cannot break its message: not its line, not the terminal, and not what it says to do."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam3agent.config import load_settings
from sam3model.errors import MAX_MESSAGE, ConfigError, DataError, Sam3Error


@given(st.text() | st.text(min_size=1).map(lambda text: text * 3000))
def test_any_quoted_text_leaves_a_line(quoted: str) -> None:
    error = DataError(f"file.json: {quoted} is not a category; name one of the file")
    shown = str(error)
    assert shown.startswith("file.json: ") and shown.endswith("is not a category; name one of the file")
    assert len(shown) <= MAX_MESSAGE and len(shown.splitlines()) == 1
    assert quoted in error.args[0]


def test_what_steers_a_terminal_is_escaped() -> None:
    assert str(Sam3Error("a\x1b[2Jb\nc\u202ed")) == r"a\x1b[2Jb c\u202ed"


def test_a_setting_with_an_endless_name_is_refused_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'{"9" * 10**6}weights = "tiny"\n')
    with pytest.raises(
        ConfigError, match=r"config\.toml: 999.*weights is not a setting; known are weights, "
    ) as caught:
        load_settings({}, {"SAM3AGENT_CONFIG": str(file)})
    assert len(str(caught.value)) <= MAX_MESSAGE
