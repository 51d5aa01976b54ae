"""What a user of the wheel gets: two packages with their data, working without a checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "SAM3AGENT_"))}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from the sdist, as an index would get it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_the_two_packages_and_nothing_else_at_top_level(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"sam3agent", "sam3model"}
    assets = {"sam3-tiny.safetensors", "bpe_simple_vocab_16e6.txt.gz", "match.png", "match.json", "common_nouns.txt"}
    assert {f"sam3model/_assets/{name}" for name in assets} <= set(names)
    prompts = {path.name for path in (ROOT / "prompts").iterdir()}
    assert {f"sam3agent/_prompts/{name}" for name in prompts} <= set(names)
    page = ROOT / "sam3agent" / "servers" / "studio" / "page"
    assert {path.relative_to(ROOT).as_posix() for path in page.iterdir()} <= set(names)
    assert {"sam3agent/py.typed", "sam3model/py.typed"} <= set(names)


def test_the_sdist_can_build_itself(wheel):
    (sdist,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"pyproject.toml", "README.md", "LICENSE", "assets/sam3-tiny.safetensors"} <= names


def test_ask_runs_from_the_wheel_in_an_environment_of_its_own(wheel, tmp_path):
    """An environment with the wheel; the dependencies come from the environment of the tests, the project does not."""
    venv.create(tmp_path / "env", with_pip=True, symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    # A path alone: the .pth files beside the dependencies stay out.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = run(
        python, "-c", "import sam3agent, sam3model; print(sam3agent.__file__, sam3model.__file__)", cwd=tmp_path
    )
    assert all(str(tmp_path) in path for path in where.split())
    image = site / "sam3model" / "_assets" / "match.png"
    command = tmp_path / "env" / "bin" / "sam3agent"
    answer = json.loads(run(command, "ask", image, "leftmost player in white", "--json", cwd=tmp_path))
    assert answer["status"] == "answered" and len(answer["masks"]) == 1
