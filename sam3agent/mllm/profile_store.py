"""Profiles that `doctor --probe` has found, one file per server and model in the user's cache."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

from sam3agent.mllm.endpoint import Endpoint
from sam3agent.mllm.profiles import SWITCHES, Profile
from sam3model.errors import OutputError
from sam3model.files import expanded, write_json
from sam3model.untrusted import read_json

log = logging.getLogger(__name__)

VERSION = 2


def profile_path(at: Endpoint, model: str, environment: Mapping[str, str] | None = None) -> Path:
    """The file of a server and model: in `$XDG_CACHE_HOME/sam3agent/servers`, by default `~/.cache/…`.

    Raises `OutputError` if there is no home.
    """
    environment = os.environ if environment is None else environment
    cache = expanded(environment.get("XDG_CACHE_HOME") or "~/.cache")
    if str(cache).startswith("~"):
        raise OutputError(f"there is no folder {cache}: set XDG_CACHE_HOME to one")
    digest = hashlib.blake2b(json.dumps([at.shown.rstrip("/"), model]).encode(), digest_size=10).hexdigest()
    return cache / "sam3agent" / "servers" / f"{digest}.json"


def store_profile(at: Endpoint, model: str, profile: Profile) -> Path:
    """Write the profile; the file. Raises `OutputError` or `OSError` if that fails."""
    path = profile_path(at, model)
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"version": VERSION, "url": at.shown, "model": model, "probed": time.strftime("%Y-%m-%d %H:%M:%S")}
    write_json(path, {**record, "profile": asdict(profile)})
    return path


def stored_profile(at: Endpoint, model: str) -> Profile | None:
    """The profile that was found for a server and model; None if there is none, or its file cannot be used."""
    try:
        path = profile_path(at, model)
        data = path.read_bytes() if path.is_file() and path.stat().st_size < 1 << 16 else b""
        record = read_json(data) if data else {}
        if not isinstance(record, dict) or record.get("version") not in (1, VERSION) or record.get("url") != at.shown:
            return None
        values = record["profile"]
        return _profile(values if record["version"] == VERSION else _upgraded(values))
    except (OSError, OutputError, ValueError, KeyError, TypeError) as error:
        log.warning("the stored profile of %s is ignored: %s; run sam3agent doctor --probe again", at.shown, error)
        return None


def _profile(values: Mapping[str, object]) -> Profile:
    """A profile from JSON values; options that an older version did not know have their usual value.

    Raises `ValueError` if one has the wrong type.
    """
    kinds = {"name": str, "parallel_tool_calls": bool, "tool_choice": str, "limit": str}
    known = {item.name: values[item.name] for item in fields(Profile) if item.name in values}
    if "name" not in known:
        raise ValueError("it has no name")
    for name, value in known.items():
        kind = bool if name in SWITCHES else kinds[name]
        if not (isinstance(value, kind) or (value is None and name not in (*SWITCHES, "name"))):
            raise ValueError(f"{name} is {value!r}")
    return Profile(**known)  # pyright: ignore[reportArgumentType]


def _upgraded(values: Mapping[str, object]) -> Mapping[str, object]:
    """A profile of version 1, whose temperature was a number, or None where it must not be sent."""
    temperature = values["temperature"]
    if isinstance(temperature, bool) or not (temperature is None or isinstance(temperature, int | float)):
        raise ValueError(f"temperature is {temperature!r}")
    return {**values, "temperature": temperature is not None}
