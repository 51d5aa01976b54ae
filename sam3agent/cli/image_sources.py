"""The images of a command as typed: files, folders, patterns, URLs and standard input."""

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

from sam3agent.downloads import STDIN, is_url, shown_url, split_url
from sam3agent.servers.written_paths import ACCEPTED, read_path
from sam3model.connection import without_account
from sam3model.errors import InputError
from sam3model.files import expanded, is_folder
from sam3model.untrusted import clean_line

_ADDRESS = re.compile(r"(file|data):|[a-z][a-z0-9+.-]+://", re.IGNORECASE)

EXAMPLE = 'sam3agent ask match.png "leftmost player in white"'


def split_question(words: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The images and the question of a command line, whose question may be written without quotes.

    The first word is an image and the last belongs to the question. Words between them are images as long as they are
    written like images: existing files, URLs, patterns, paths, and names with the ending of an image.

    Raises `InputError` if the images or the question are missing.
    """
    if not words:
        raise InputError(f"Missing arguments: an image and a question, e.g. {EXAMPLE}")
    if len(words) == 1:
        raise InputError(f"Missing argument: the question about {words[0]}, e.g. {EXAMPLE}")
    if _is_file(words[-1]) and Path(words[-1]).suffix:  # a file named "ball" may lie beside the image
        if _like_image(words[0]) or is_folder(words[0]):
            raise InputError(f"Missing argument: the question after {words[-1]}, e.g. {EXAMPLE}")
        raise InputError(f"there is no image {words[0]!r}: the image comes before the question, e.g. {EXAMPLE}")
    count = 1
    while count < len(words) - 1 and _like_image(words[count]):
        count += 1
    return tuple(words[:count]), " ".join(words[count:])


def check_images(words: Sequence[str]) -> None:
    """Raise `InputError` for a word that is not written like an image and is not one: perhaps a phrase."""
    for word in words:
        if not _like_image(word) and not is_folder(word):
            raise InputError(f"there is no file {word}; to search for it, write --phrase {word!r}")


def expand_sources(words: Sequence[str], *, clips: bool = False) -> tuple[list[str], bool]:
    """The images that the words stand for, each once, and whether several were asked for.

    A folder stands for the images in it, sorted as people count, and a pattern for the files that match it. clips: each
    word stands for a clip, a folder for one clip, whose frames are its images, and a pattern for clips that match it.

    Raises `InputError` if a folder or a pattern has no images, or with `clips` no clips, and with `clips` for an image.
    """
    if clips:
        once = dict[str, str]()
        for clip in (clip for word in words for clip in _clips(word)):
            once.setdefault(clip if is_url(clip) else os.path.normpath(Path(clip).absolute()), clip)
        return list(once.values()), len(words) > 1 or any(map(_is_pattern, words))
    found, several = list[str](), len(words) > 1
    for word in words:
        if word == STDIN or is_url(word):
            found.append(word)
        elif _is_address(word):
            found.append(local_path(word))
        elif is_folder(word):
            found += _images_in(Path(word))
            several = True
        elif _is_pattern(word):
            found += _matches(word)
            several = True
        else:
            found.append(word)
    return list(dict.fromkeys(found)), several


def local_path(word: str) -> str:
    """A word that is no URL of the web as a path: a `file:` address becomes one, a path stays as it is.

    Raises `InputError` for another address, such as one of ftp:.
    """
    if not _is_address(word):
        return word
    if word.lower().startswith("file:"):
        try:
            return str(read_path(word))
        except InputError as error:
            raise InputError(str(error).replace(ACCEPTED, "give the path of the file")) from error
    kind, shown = word.partition(":")[0], clean_line(without_account(word), 80)
    raise InputError(f"{kind}: addresses are not read ({shown}): save it as a file and give that")


def _is_address(word: str) -> bool:
    """Whether a word is an address of another kind than http: `file:`, `data:`, or with `://`."""
    return bool(_ADDRESS.match(word)) and not is_url(word) and not _is_file(word)


def _clips(word: str) -> list[str]:
    """The clips and folders of frames that a word stands for. Raises `InputError` for anything else that exists."""
    from sam3agent.media import holds_clip

    if is_url(word):
        other = Path(split_url(word).path).suffix.lower() in _image_suffixes() - {".gif"}
    elif _is_pattern(word):
        if found := [path for path in _matches(word, folders=True) if holds_clip(path)]:
            return found
        raise InputError(f"no clip and no folder matches {word}")
    else:
        word = local_path(word)
        other = word == STDIN or (Path(word).exists() and not holds_clip(word))
    if other:
        name = "standard input" if word == STDIN else shown_url(word)
        raise InputError(f"{name} is no clip: --clip is for clips, and folders with an image per frame")
    return [word]


def _like_image(word: str) -> bool:
    if word == STDIN or is_url(word) or _is_address(word) or _is_pattern(word) or _is_file(word):
        return True
    ending = Path(word).suffix.lower()
    return _like_path(word) or ending in _image_suffixes() or ending in _clip_suffixes()


def _like_path(word: str) -> bool:
    """Whether a word with a slash is written as a path: from the root or here, or into a folder that exists.

    In "red/white player", "and/or" and "1/2" the slash is one of the question.
    """
    if ("/" not in word and os.sep not in word) or not word.strip("/.~"):
        return False
    parent = str(Path(word).parent)
    return word.startswith(("/", "./", "../", "~/")) or is_folder(word) or (parent != "." and is_folder(parent))


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except (OSError, ValueError):
        return False


def _is_pattern(word: str) -> bool:
    """Whether a word is a pattern of files. A question mark at its end is one of a question."""
    if _is_file(word) or is_folder(word):
        return False
    return glob.has_magic(word[:-1]) or word.endswith(("*", "]"))


def _images_in(folder: Path) -> list[str]:
    from sam3model.frames.frame_folder import image_files

    return [str(path) for path in image_files(folder)]


def _matches(pattern: str, *, folders: bool = False) -> list[str]:
    from sam3model.frames.frame_folder import natural_key

    names = glob.glob(str(expanded(pattern)), recursive=True)  # noqa: PTH207 (any pattern, also an absolute one)
    files = [str(path) for path in sorted(map(Path, names), key=natural_key) if folders or not path.is_dir()]
    if not files:
        raise InputError(f"no file matches {pattern}")
    return files


def _image_suffixes() -> frozenset[str]:
    from sam3model.frames.frame_folder import IMAGE_SUFFIXES

    return IMAGE_SUFFIXES | {".gif"}


def _clip_suffixes() -> tuple[str, ...]:
    from sam3agent.media import CLIP_SUFFIXES

    return CLIP_SUFFIXES
