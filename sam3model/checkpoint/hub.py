"""Find weights by name: the shipped ones, a path, or a repository on the Hugging Face hub."""

import logging
import re
from pathlib import Path

from sam3model.errors import CheckpointError
from sam3model.resources import TINY_WEIGHTS, asset

TINY = "tiny"
OFFICIAL_FILE = "sam3.pt"
_REPOSITORY = re.compile(r"(?!.*(?:--|\.\.))\b[\w.-]+\b/\b[\w.-]{1,96}\b(?<!\.git)")  # the hub's own rule
_LOGGER = logging.getLogger(__name__)


def find_weights(name_or_path: str | Path, *, download: bool = True) -> Path:
    """Local file or folder of `tiny`, a path, or a hub repository such as `facebook/sam3` (downloaded once).

    download: if False, only look in the local cache, without any request to the hub.

    Raises:
        CheckpointError: the weights do not exist, are gated, or cannot be downloaded.
    """
    if str(name_or_path) == TINY:
        return asset(TINY_WEIGHTS)
    try:
        path = Path(name_or_path).expanduser()
        if path.exists():
            return path
    except (OSError, RuntimeError, ValueError) as error:  # too long, a null byte, the home of an unknown user
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{str(name_or_path)[:80]!r} cannot be the name of weights: {reason}") from error
    is_file_name = path.suffix[1:2].isalpha()  # the version in sam3.1 is not a suffix
    if is_file_name or not _REPOSITORY.fullmatch(str(name_or_path)):
        raise CheckpointError(f"no weights at {name_or_path}: give 'tiny', a hub name such as facebook/sam3, or a path")
    return _download(str(name_or_path)) if download else _cached(str(name_or_path))


def _cached(repository: str) -> Path:
    """A repository in the local cache; looks for the same files as `_download`."""
    from huggingface_hub import try_to_load_from_cache

    names = (OFFICIAL_FILE, "config.json", "model.safetensors")
    official, config, model = (try_to_load_from_cache(repository, name) for name in names)
    if isinstance(official, str):
        return Path(official)
    if isinstance(config, str) and isinstance(model, str):
        return Path(config).parent
    raise CheckpointError(
        f"{repository} is not in the local cache: its first use downloads it (gigabytes for the released model); "
        f"if it is gated, first accept its licence at https://huggingface.co/{repository} and run `hf auth login`"
    )


def _download(repository: str) -> Path:
    from huggingface_hub import errors, hf_hub_download

    _LOGGER.info("downloading %s from the hub (once, then cached)", repository)
    try:
        try:
            return Path(hf_hub_download(repository, OFFICIAL_FILE))
        except errors.LocalEntryNotFoundError:
            raise
        except errors.EntryNotFoundError:
            config = Path(hf_hub_download(repository, "config.json"))
            hf_hub_download(repository, "model.safetensors")
            return config.parent
    except errors.GatedRepoError as error:
        raise CheckpointError(
            f"{repository} is gated: accept its licence at https://huggingface.co/{repository} and run `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(
            f"{repository} does not exist or is private: check the name, or run `hf auth login` if it is private"
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise CheckpointError(
            f"{repository} is not in the local cache and the hub cannot be reached: go online, or give a local path"
        ) from error
    except (errors.HfHubHTTPError, errors.EntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"cannot download {repository} from the hub ({reason}): give a local path instead"
        ) from error
