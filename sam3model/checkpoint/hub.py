"""Find weights by name: the shipped ones, a path, or a repository on the Hugging Face hub."""

import logging
import re
from pathlib import Path

from sam3model.connection import variables_in_the_way
from sam3model.errors import CheckpointError, reason_of
from sam3model.files import expanded
from sam3model.resources import TINY_WEIGHTS, asset

TINY = "tiny"
OFFICIAL_FILE = "sam3.pt"
_REPOSITORY = re.compile(r"(?!.*(?:--|\.\.))\b[\w.-]+\b/\b[\w.-]{1,96}\b(?<!\.git)")  # the hub's own rule
_REVISION = re.compile(r"(?!.*\.\.)\w[\w./-]{0,99}")
_LOGGER = logging.getLogger(__name__)


def find_weights(name_or_path: str | Path, *, download: bool = True) -> Path:
    """Local file or folder of `tiny`, a path, or a hub repository such as `facebook/sam3` (downloaded once).

    A repository may be pinned to a branch, a tag or a commit: `facebook/sam3@0123abc`.

    download: if False, only look in the local cache, without any request to the hub.

    Raises:
        CheckpointError: the weights do not exist, are gated, or cannot be downloaded.
    """
    if str(name_or_path) == TINY:
        return asset(TINY_WEIGHTS)
    try:
        path = expanded(name_or_path)
        if path.exists():
            return path
    except (OSError, ValueError) as error:  # too long, a null byte
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{str(name_or_path)[:80]!r} cannot be the name of weights: {reason}") from error
    repository, at, revision = str(name_or_path).partition("@")
    is_file_name = Path(repository).suffix[1:2].isalpha()  # the version in sam3.1 is not a suffix
    if is_file_name or not _REPOSITORY.fullmatch(repository) or (at and not _REVISION.fullmatch(revision)):
        raise CheckpointError(f"no weights at {name_or_path}: give 'tiny', a hub name such as facebook/sam3, or a path")
    return (_download if download else _cached)(repository, revision or None)


def _cached(repository: str, revision: str | None) -> Path:
    """A repository in the local cache; looks for the same files as `_download`."""
    from huggingface_hub import try_to_load_from_cache

    names = (OFFICIAL_FILE, "config.json", "model.safetensors")
    official, config, model = (try_to_load_from_cache(repository, name, revision=revision) for name in names)
    if isinstance(official, str):
        return Path(official)
    if isinstance(config, str) and isinstance(model, str):
        return Path(config).parent
    raise CheckpointError(
        f"{_shown(repository, revision)} is not in the local cache: its first use downloads it (gigabytes for the "
        f"released model); if it is gated, first accept its licence at https://huggingface.co/{repository} and run "
        "`hf auth login`"
    )


def _download(repository: str, revision: str | None) -> Path:
    from huggingface_hub import errors

    name = _shown(repository, revision)
    _LOGGER.info("downloading %s from the hub (once, then cached)", name)
    try:
        return _fetch(repository, revision)
    except errors.GatedRepoError as error:
        raise CheckpointError(
            f"{repository} is gated: accept its licence at https://huggingface.co/{repository} and run `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(
            f"{repository} does not exist or is private: check the name, or run `hf auth login` if it is private"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(
            f"{repository} has no revision {revision!r}: give a branch, a tag or a commit of "
            f"https://huggingface.co/{repository}/commits/main"
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise CheckpointError(
            f"{name} is not in the local cache and the hub cannot be reached: go online, or give a local path{_check()}"
        ) from error
    except Exception as error:  # proxies, certificates and endpoints of the environment make the client raise anything
        raise CheckpointError(
            f"cannot download {name} from the hub ({reason_of(error)}): give a local path instead{_check()}"
        ) from error


def _fetch(repository: str, revision: str | None) -> Path:
    """The official file of a repository, or else the folder with the files of transformers."""
    from huggingface_hub import errors, hf_hub_download

    try:
        return Path(hf_hub_download(repository, OFFICIAL_FILE, revision=revision))
    except errors.LocalEntryNotFoundError:
        raise
    except errors.EntryNotFoundError:
        config = Path(hf_hub_download(repository, "config.json", revision=revision))
        hf_hub_download(repository, "model.safetensors", revision=revision)
        return config.parent


def _shown(repository: str, revision: str | None) -> str:
    return f"{repository}@{revision}" if revision else repository


def _check() -> str:
    return variables_in_the_way("HF_ENDPOINT")
