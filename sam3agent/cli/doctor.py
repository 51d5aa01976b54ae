"""`sam3agent doctor`: checks the installation; a failed check says what to do."""

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from sam3agent.api import run_to_end
from sam3agent.cli.screen import say, say_json
from sam3agent.config import Settings, load_settings
from sam3agent.mllm.errors import MLLMError
from sam3model.errors import ConfigError, Sam3Error

if TYPE_CHECKING:
    from sam3agent.mllm.openai import OpenAIBackend

PACKAGES = ("sam3agent", "torch", "transformers", "httpx2", "mcp", "pydantic", "pillow", "numpy", "safetensors")


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. ok: None if there was nothing to check."""

    name: str
    ok: bool | None
    detail: str


def run_doctor(flags: Mapping[str, Any], *, as_json: bool, probe: bool = False) -> int:
    """Print the report; returns exit code 1 if a check failed.

    probe: also try out the MLLM server, and store what is found for the agent.
    """
    settings = load_settings(flags)
    _check_url(settings)
    checks = [_versions(), *(_guard(name, check, settings) for name, check in CHECKS.items())]
    if probe:
        checks += _probe(settings)
    failed = any(check.ok is False for check in checks)
    if as_json:
        say_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            mark = {True: "ok  ", False: "FAIL", None: "-   "}[check.ok]
            say(f"{mark} {check.name:11} {check.detail}")
    return int(failed)


def _check_url(settings: Settings) -> None:
    """Raises `ConfigError` if the URL of the server cannot be one."""
    if settings.backend == "openai":
        from sam3agent.mllm.openai import OpenAIBackend

        OpenAIBackend.from_settings(settings)


def _probe(settings: Settings) -> list[Check]:
    """One check per ability of the server."""
    from sam3agent.mllm.openai import OpenAIBackend
    from sam3agent.mllm.probe import probe_server
    from sam3agent.mllm.profile_store import store_profile

    if settings.backend != "openai":
        raise ConfigError("--probe tries out a server: set --base-url")
    endpoint = OpenAIBackend.from_settings(settings).endpoint
    try:
        found = run_to_end(probe_server(endpoint, settings.model or ""))
    except MLLMError as error:
        return [Check("probe", False, str(error))]
    checks = [Check(finding.name, finding.ok, finding.detail) for finding in found.findings]
    try:
        stored = f"the agent will use it for {found.model}: {store_profile(endpoint, found.model, found.profile)}"
        return [*checks, Check("profile", True, stored)]
    except (OSError, Sam3Error) as error:
        return [*checks, Check("profile", None, f"not stored: {error}")]


def _versions() -> Check:
    missing, found = [], [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    missing = [name for name in missing if name != "sam3agent"]
    detail = f"missing packages: {', '.join(missing)}; reinstall sam3agent" if missing else ", ".join(found)
    return Check("versions", not missing, detail)


def _device(settings: Settings) -> str:
    from sam3model.devices import INT8, resolve_device, resolve_dtype

    device = resolve_device(settings.device)
    precision = str(resolve_dtype(settings.dtype, device)).removeprefix("torch.")
    return f"{device}, {'int8 and ' if settings.dtype == INT8 else ''}{precision}"


def _weights(settings: Settings) -> str:
    from sam3model.checkpoint import find_weights

    path = find_weights(settings.weights, download=False)
    size = sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*.safetensors")))
    return f"{settings.weights}: {path} ({size / 1e6:.0f} MB)"


def _scope(settings: Settings) -> str:
    from sam3agent.knowledge import read_knowledge

    knowledge = read_knowledge(settings.weights)
    return knowledge.notice or "the training record of the weights names no limit to drawn scenes"


def _mllm(settings: Settings) -> str:
    if settings.backend == "rules":
        return "rules (no MLLM is configured; to use one, set --base-url and --model)"
    if settings.backend == "vllm":
        from sam3agent.mllm.vllm import VLLMBackend

        return f"{VLLMBackend.from_settings(settings).name}, installed; the model is loaded with the first question"
    from sam3agent.mllm.openai import OpenAIBackend

    backend = OpenAIBackend.from_settings(settings)
    names = run_to_end(_models(backend))
    listed = ", ".join(names[:10]) or "none"
    if settings.model and settings.model not in names:
        raise Sam3Error(f"the server does not have the model {settings.model!r}; set --model to one of: {listed}")
    return f"server reached; models: {listed} (--probe tries out what it can do)"


async def _models(backend: "OpenAIBackend") -> list[str]:
    try:
        return await backend.models()
    finally:
        await backend.close()


CHECKS: dict[str, Callable[[Settings], str]] = {
    "device": _device,
    "weights": _weights,
    "scope": _scope,
    "MLLM": _mllm,
}


def _guard(name: str, check: Callable[[Settings], str], settings: Settings) -> Check:
    """Run a check; an error becomes a failed check."""
    try:
        return Check(name, None if name == "MLLM" and settings.backend == "rules" else True, check(settings))
    except Sam3Error as error:
        return Check(name, False, str(error))
    except Exception as error:  # a broken installation can raise anything, and the report must name it
        return Check(name, False, f"{type(error).__name__}: {error}")
