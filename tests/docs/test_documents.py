"""The documents run: commands and Python in them work, the output shown is right, and tables match the code.

What cannot run here is in `SKIPPED`, with its reason. An entry that skips nothing is an error, so the list stays true.
Skipped commands of sam3agent are still parsed, so their flags must exist.
"""

import os
import re
import shlex
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from sam3agent.cli import main
from sam3agent.cli.app import app
from sam3agent.config import load_settings
from sam3agent.local_model import LocalModel
from tests.docs.fenced_blocks import Command, blocks, commands

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


class Skip(NamedTuple):
    """Code that is not run: name of the document or "*", pattern of the command or code, reason."""

    document: str
    pattern: str
    reason: str


SKIPPED = (
    Skip("*", r"--base-url (?!http://localhost:9/)|--mllm (openai|vllm)|\$MLLM", "needs an MLLM server"),
    Skip("*", r"^(vllm serve|ollama|llama-server|export OPENAI_API_KEY)", "starts a server, or sets a key for it"),
    Skip("*", r"^(git clone|python3 -m venv|pip install|\.ci/run)", "sets up the machine"),
    Skip("*", r"^(hf auth|claude mcp|npx )", "needs an account or another program"),
    Skip("mcp.md", r"^sam3agent mcp", "serves until it is stopped; tests/servers starts it"),
    Skip("*", r"^sam3agent studio", "serves until it is stopped; tests/studio opens it"),
    Skip("*", r"^(python -m train|torchrun)", "trains; tests/training runs the same at small size"),
    Skip("*", r"^(python -m evals|MLLM=)", "needs a data set or many minutes; tests/evals runs the same at small size"),
    Skip("*", r"^python -m benchmarks", "measures for many minutes"),
    Skip("*", r"^python -m sam3model\.playground", "draws for a minute; tests/data runs the same at small size"),
    Skip("*", r"--weights runs/|^sam3agent weights average .* runs/", "needs the weights of a training run"),
    Skip("README.md", r"^sam3agent ask photo\.jpg", "needs the released weights to find anything in a photograph"),
    Skip("scale.md", r"^(ray start|RAY_ADDRESS)", "needs a cluster; tests/labelling runs actors on one machine"),
    Skip("scale.md", r"--workers 2$", "starts processes that load weights; tests/labelling does so without weights"),
    Skip("video.md", r"^sam3agent (track|ask) clips/", "needs the clips that the line before draws"),
    Skip("security.md", r"sam3@COMMIT|^pytest|tests\.fuzz", "needs the released weights, or many minutes"),
    Skip("exit-codes.md", r"^(if |echo |fi$)", "lines of a shell script, which this test does not interpret"),
)

SKIPPED_PYTHON = (
    Skip("architecture.md", "tracker-folder", "names files of the reader; tests/model runs these calls"),
    Skip("backends.md", "VLLMBackend", "needs vLLM"),
    Skip("benchmarks.md", "pyarrow", "needs the parquet file of CountBenchQA"),
    Skip("mcp.md", "server.run", "serves until it is stopped"),
    Skip("mcp.md", "agents import|pydantic_ai|langchain_mcp", "needs another program's package"),
)


def skip_of(skips: tuple[Skip, ...], document: Path, text: str) -> Skip | None:
    """The entry that skips this code of a document; None if it runs."""
    named = (skip for skip in skips if skip.document in ("*", document.name))
    return next((skip for skip in named if re.search(skip.pattern, text)), None)


@pytest.fixture(scope="module")
def model() -> LocalModel:
    """One model for all commands: loading it takes longer than most of them."""
    return LocalModel("tiny", device="cpu", for_clips=True)


@pytest.fixture
def desk(tmp_path: Path, model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with the files that documents name, and sam3-tiny for every name of released weights."""
    from sam3agent import api, segmenter, tracker

    for module in (api, segmenter, tracker):
        monkeypatch.setattr(module, "LocalModel", _shared(model))
    for name in [name for name in os.environ if name.startswith(("SAM3AGENT_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    (tmp_path / "match.png").symlink_to(ROOT / "assets" / "match.png")
    write_match_clip(tmp_path / "match.mp4")
    yield tmp_path


def _shared(model: LocalModel) -> Any:
    def shared(weights: str = "tiny", *options: Any, **named: Any) -> LocalModel:
        return model if weights in ("tiny", "facebook/sam3") else LocalModel(weights, *options, **named)

    return shared


def write_match_clip(path: Path, count: int = 2) -> None:
    """The demo image as a clip of a few frames."""
    import numpy as np

    from sam3model.frames import ClipWriter

    frame = np.asarray(Image.open(ROOT / "assets" / "match.png").convert("RGB").resize((480, 480)))
    with ClipWriter(path, (480, 480), 10.0) as writer:
        for _ in range(count):
            writer.write(frame)


def with_code(language: str) -> list[Path]:
    """The documents that have blocks of a language."""
    return [path for path in DOCUMENTS if any(block.language == language for block in blocks(path))]


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if commands(path)], ids=lambda path: path.name)
def test_commands_run(document: Path, desk: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in commands(document):
        place = f"{document.name}:{command.line}: {command.text}"
        if skip_of(SKIPPED, document, command.text):
            check_flags(command, place)
            continue
        words, variables = split(command)
        assert words[0] == "sam3agent", f"{place}: neither run nor skipped"
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as end:
                main(words[1:])
        printed = capsys.readouterr()
        assert end.value.code == command.code, f"{place}\n{printed.out}{printed.err}"
        lines = f"{printed.out}\n{printed.err}".splitlines()
        for shown in command.shown:
            pattern = ".*".join(map(re.escape, shown.strip().split("…")))
            assert any(re.fullmatch(pattern, line.strip()) for line in lines), f"{place}\nshows {shown}\nnot {lines}"


def split(command: Command) -> tuple[list[str], dict[str, str]]:
    """The words of a command up to a pipe, and the variables before it."""
    words = shlex.split(command.text)
    words = words[: words.index("|")] if "|" in words else words
    count = next(i for i, word in enumerate(words) if not re.match(r"[A-Z_0-9]+=", word))
    return words[count:], dict(word.split("=", 1) for word in words[:count])


def check_flags(command: Command, place: str) -> None:
    """Parse a command of sam3agent without running it."""
    import typer.main

    if not re.match(r"([A-Z_]+=\S+ )?sam3agent ", command.text):
        return
    (_, name, *rest), _ = split(command)
    found: Any = typer.main.get_command(app)
    try:
        found.commands[name].make_context(name, rest)
    except Exception as error:
        pytest.fail(f"{place}: {error}")


@pytest.mark.parametrize("document", with_code("python"), ids=lambda path: path.name)
def test_python_runs(document: Path, desk: Path) -> None:
    """The blocks of a document run one after the other in one module."""
    module = types.ModuleType(f"document_{document.stem}")
    sys.modules[module.__name__] = module
    try:
        for block in blocks(document):
            if block.language != "python" or skip_of(SKIPPED_PYTHON, document, block.text):
                continue
            text = "\n" * (block.line - 1) + block.text.replace('"facebook/sam3"', '"tiny"')
            exec(compile(text, document.name, "exec"), module.__dict__)
    finally:
        del sys.modules[module.__name__]


@pytest.mark.parametrize("document", with_code("toml"), ids=lambda path: path.name)
def test_settings_in_documents_are_valid(document: Path, tmp_path: Path) -> None:
    for block in blocks(document):
        if block.language == "toml":
            (tmp_path / "settings.toml").write_text(block.text)
            load_settings({}, {"SAM3AGENT_CONFIG": str(tmp_path / "settings.toml")})


def test_every_entry_skips_something() -> None:
    texts = [(path, command.text) for path in DOCUMENTS for command in commands(path)]
    code = [(path, block.text) for path in DOCUMENTS for block in blocks(path) if block.language == "python"]
    used = {skip_of(SKIPPED, *one) for one in texts} | {skip_of(SKIPPED_PYTHON, *one) for one in code}
    assert not [skip for skip in (*SKIPPED, *SKIPPED_PYTHON) if skip not in used]


def test_experiments_and_benchmarks_exist() -> None:
    """Names in commands that are too long to run."""
    from evals.benchmark_registry import BENCHMARKS

    experiments = {path.stem for path in (ROOT / "train" / "configs" / "experiment").glob("*.yaml")}
    for document in DOCUMENTS:
        for command in commands(document):
            place = f"{document.name}:{command.line}"
            for name in re.findall(r"\bexperiment=(\w+)", command.text):
                assert name in experiments, f"{place}: experiment={name}"
            for name in re.findall(r"python -m evals ([a-z]\S*)", command.text):
                assert name in {*BENCHMARKS, "list", "report", "simulated", "eyesight"}, f"{place}: {name}"


def test_links_between_documents_lead_somewhere() -> None:
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if target.startswith(("http://", "https://")):
                continue
            path, _, heading = target.partition("#")
            file = document if not path else (document.parent / path).resolve()
            assert file.exists(), f"{document.name} links to {target}"
            if heading:
                assert heading in headings(file), f"{document.name} links to {target}"


def headings(document: Path) -> set[str]:
    """The anchors of the headings of a document."""
    lines = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}
