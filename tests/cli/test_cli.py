"""The command line as a process: what it prints, writes and returns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sam3agent.cli import main
from tests.agent.world import World

ROOT = Path(__file__).parents[2]


def run(
    *arguments: str, cwd: Path, stdin: bytes = b"", fake: bool = True, **variables: str
) -> subprocess.CompletedProcess:
    module = "tests.cli.fake_sam3agent" if fake else "sam3agent"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SAM3AGENT_")}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd, input=stdin, capture_output=True, timeout=120, check=False,
        env={**environment, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(cwd), **variables},
    )  # fmt: skip


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a match, größer.png"
    World().image.save(path)
    return path


def test_ask_prints_the_answer_and_writes_the_files(tmp_path: Path, image: Path) -> None:
    done = run("ask", image.name, "leftmost player in white", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = done.stdout.decode()
    assert said.startswith("1 mask") and "box 20,40,40,100" in said
    assert b"searching for 'player in white'" in done.stderr and b"built-in rules" in done.stderr
    folder = tmp_path / "sam3agent-out" / "a match, größer-1"
    assert {"overlay.png", "masks.json", "trace.jsonl"} <= {path.name for path in folder.iterdir()}
    again = run("ask", image.name, "the dog", cwd=tmp_path)
    assert again.returncode == 0 and again.stdout.startswith(b"no match")
    assert (tmp_path / "sam3agent-out" / "a match, größer-2").is_dir()


def test_json_is_one_object_and_nothing_else(tmp_path: Path, image: Path) -> None:
    done = run(
        "ask",
        "-",
        "every player except the one in blue",
        "--json",
        "--out",
        "here",
        cwd=tmp_path,
        stdin=image.read_bytes(),
    )
    assert done.returncode == 0 and done.stderr == b""
    value = json.loads(done.stdout)
    assert set(value) >= {
        "query", "status", "masks", "image", "mllm_calls", "segmenter_calls", "elapsed_s", "overlay", "trace",
        "weights", "backend",
    }  # fmt: skip
    assert value["status"] == "answered" and value["backend"] == "rules" and value["mllm_calls"] == 0
    assert value["image"] == {"width": 240, "height": 160}
    assert [set(mask) for mask in value["masks"]] == [{"id", "box", "score", "area", "rle"}] * 2
    assert value["masks"][0]["rle"]["size"] == [160, 240]
    assert (tmp_path / value["overlay"]).is_file() and (tmp_path / value["trace"]).is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("ask", "missing.png", "dog"), 2, "there is no file missing.png"),
        (("ask", "empty", "dog"), 2, "the folder empty contains no images"),
        (("ask", "*.jpg", "dog"), 2, "no file matches *.jpg"),
        (("ask", "dog", "p.png"), 2, "the image comes before the question"),
        (("ask", "p.png", "p.png"), 2, "Missing argument: the question"),
        (("ask", "file:///nowhere/p.png", "dog"), 2, "there is no file /nowhere/p.png"),
        (("ask", "http://127.0.0.1:9/p.png", "dog"), 2, "cannot download http://127.0.0.1:9/p.png"),
        (("ask", "p.png", "dog", "--out", ""), 2, "the folder has no name"),
        (("ask", "p.png", "dog", "--format", "jpg"), 2, "--format jpg is not known"),
        (("ask", "pipe.png", "dog"), 2, "is not a regular file"),
        (("ask", "/dev/zero", "dog"), 2, "is not a regular file"),
        (("ask", "text.png", "dog"), 2, "not an image"),
        (("ask", "p.png", "  "), 2, "question is empty"),
        (("ask", "p.png"), 2, "Missing argument"),
        (("ask", "p.png", "dog", "--threshold", "7"), 2, "--threshold: must be less than 1"),
        (("ask", "p.png", "dog", "--mllm", "oracle"), 2, "--mllm: must be"),
        (("ask", "p.png", "dog", "--model", "m", "--base-url", "http://127.0.0.1:9/v1"), 1, "127.0.0.1:9"),
        (("ask", "p.png", "dog", "--mllm", "vllm", "--model", "m"), 1, "pip install"),
        (("segment", "p.png"), 2, "nothing to search for"),
        (("segment", "--phrase", "ball"), 2, "Missing argument"),
        (("segment", "p.png", "ball"), 2, "there is no file ball; to search for it, write --phrase 'ball'"),
        (("segment", "p.png", "--box", "1,2,3"), 2, "x0,y0,x1,y1"),
        (("segment", "p.png", "--point", "9999,9999"), 2, "--point 9999,9999 is outside the image of 240x160"),
        (("segment", "p.png", "p.png", "--box", "1,2,3,4"), 2, "boxes, points and clicks belong to one image"),
        (("replay", "p.png"), 2, "not a trace"),
        (("nonsense",), 2, "nonsense"),
    ],
)  # fmt: skip
def test_failures_are_one_line_and_a_code(tmp_path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    World().image.save(tmp_path / "p.png")
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    last = done.stderr.decode().strip().splitlines()[-1]
    assert last.startswith("sam3agent: ") and said in last
    assert b"Traceback" not in done.stderr and done.stdout == b""


def test_settings_come_from_flags_then_environment_then_file(tmp_path: Path, image: Path) -> None:
    (tmp_path / "sam3agent.toml").write_text('out = "from-file"\nmllm = "rules"\n')
    assert b"from-file" in run("ask", image.name, "car", cwd=tmp_path).stdout
    assert b"from-env" in run("ask", image.name, "car", cwd=tmp_path, SAM3AGENT_OUT="from-env").stdout
    flag = run("ask", image.name, "car", "--out", "from-flag", cwd=tmp_path, SAM3AGENT_OUT="from-env")
    assert b"from-flag" in flag.stdout
    (tmp_path / "sam3agent.toml").write_text("wieghts = 1\n")
    wrong = run("ask", image.name, "car", cwd=tmp_path)
    assert wrong.returncode == 2 and b"sam3agent.toml: wieghts" in wrong.stderr
    (tmp_path / "sam3agent.toml").unlink()
    named = run("ask", image.name, "car", cwd=tmp_path, SAM3AGENT_MAX_CALLS="0")
    assert named.returncode == 2 and b"SAM3AGENT_MAX_CALLS: must be greater than" in named.stderr


def test_segment_by_phrase_and_box(tmp_path: Path, image: Path) -> None:
    done = run("segment", image.name, "--phrase", "car", "--phrase", "ball", "--json", cwd=tmp_path)
    value = json.loads(done.stdout)
    assert [mask["phrase"] for mask in value["masks"]] == ["car", "ball", "ball"]
    boxed = run("segment", image.name, "--box", "20,40,40,100", "--negative-point", "3,4", cwd=tmp_path)
    assert boxed.returncode == 0 and boxed.stdout.startswith(b"3 masks")


def test_replay_draws_and_runs_again(tmp_path: Path, image: Path) -> None:
    run("ask", image.name, "the two leftmost players", "--out", "o", cwd=tmp_path)
    shown = run("replay", "o", "--out", "again", cwd=tmp_path, fake=False)
    assert shown.returncode == 0, shown.stderr
    assert b"segment_phrase(phrases=['player'])" in shown.stdout and (tmp_path / "again/overlay.png").is_file()
    assert (tmp_path / "again/overlay.png").read_bytes() == (tmp_path / "o/overlay.png").read_bytes()
    rerun = run("replay", "o/trace.jsonl", "--rerun", "--json", cwd=tmp_path, fake=False)
    value = json.loads(rerun.stdout)
    assert value["backend"] == "replay of rules" and [mask["id"] for mask in value["masks"]] == [1, 3]


def test_doctor_reports_and_fails_when_something_is_missing(tmp_path: Path) -> None:
    done = run("doctor", "--weights", "nowhere.pt", "--json", cwd=tmp_path, fake=False)
    report = json.loads(done.stdout)
    checks = {check["name"]: check for check in report["checks"]}
    assert done.returncode == 1 and not report["ok"]
    assert checks["device"]["ok"] and not checks["weights"]["ok"] and checks["MLLM"]["ok"] is None


def test_a_standard_output_that_is_not_unicode_gets_escapes(tmp_path: Path, image: Path) -> None:
    done = run("ask", image.name, "le joueur à gauche\u202e", "--json", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode in (0, 2) and json.loads(done.stdout.decode("ascii"))["query"] == "le joueur à gauche\u202e"
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_standard_output_is_one_line(tmp_path: Path, image: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tests.cli.fake_sam3agent", "ask", image.name, "the ball", "--json"],
            cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == b"sam3agent: cannot write to standard output: No space left on device\n"


def test_names_cannot_steer_the_terminal(tmp_path: Path) -> None:
    name = "no\x1b[31m\u202e\x9b31msuch.png"
    for arguments in (("ask", name, "ball"), ("weights", "info", name), ("replay", name), ("track", name), (name,)):
        done = run(*arguments, cwd=tmp_path, fake=False)
        assert done.returncode in (1, 2) and done.stderr.decode().strip().isprintable(), arguments


HELP = [
    [],
    ["ask"],
    ["segment"],
    ["track"],
    ["replay"],
    ["doctor"],
    ["mcp"],
    ["studio"],
    ["tools"],
    ["weights", "convert"],
]


def test_every_command_has_help_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for command in HELP:
        for flag in ("-h", "--help"):
            with pytest.raises(SystemExit) as left:
                main([*command, flag])
            shown = capsys.readouterr().out
            assert left.value.code == 0 and "\n  Examples:\n" in shown and " sam3agent " in shown
            assert "[default: (" not in shown and "{" not in shown and "<str>" not in shown
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("sam3agent ")


def test_completion_lists_commands(tmp_path: Path) -> None:
    words = {"_SAM3AGENT_COMPLETE": "complete_bash", "COMP_WORDS": "sam3agent s", "COMP_CWORD": "1"}
    assert run(cwd=tmp_path, fake=False, **words).stdout.split() == [b"segment", b"studio"]


def test_help_is_quick_and_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, sam3agent.cli\n"
        "heavy = {'torch', 'transformers', 'openai', 'mcp', 'numpy', 'PIL'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
    before = os.times().children_user
    assert b"segment" in run("--help", cwd=tmp_path, fake=False).stdout
    assert os.times().children_user - before < 0.5
