"""`sam3agent track`: follow objects through a clip."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sam3agent.api import make_tracker
from sam3agent.batch_journal import fingerprint, weights_as_read
from sam3agent.cli.image_sources import local_path
from sam3agent.cli.screen import Status, configure_logging, counted, say, say_json
from sam3agent.config import Settings, load_settings
from sam3agent.downloads import is_url, shown_url, source_stem
from sam3agent.knowledge import notice_of
from sam3agent.media import ClipMedia, damage_of, open_clip
from sam3agent.tracker import TrackOptions
from sam3agent.tracking.clip_overlay import write_overlay, write_strip
from sam3agent.tracking.track_files import (
    FORMATS,
    ClipFacts,
    Track,
    collect_tracks,
    delete_run,
    write_format,
    write_tracks,
)
from sam3agent.tracking.track_journal import TrackJournal
from sam3agent.tracking.track_prompts import PromptTexts, TrackPrompts, TrackSpan, check_prompts, tracked_frames
from sam3agent.tracking.track_run import TrackRun
from sam3agent.tracking.tracked_frames import FrameTracks
from sam3agent.written_lists import split_formats
from sam3model.errors import InputError, Sam3Error

LISTED_OBJECTS = 20
"""Maximum number of objects printed for people; the files and --json have all."""


class TrackingStoppedError(Sam3Error):
    """A clip that breaks off; what was tracked until there is kept."""


@dataclass(frozen=True, slots=True)
class TrackFlags:
    """The flags of the command that are no settings."""

    texts: PromptTexts
    first: int | None = None
    last: int | None = None
    every: int = 1
    reverse: bool = False
    max_objects: int | None = None
    preview: bool = False
    formats: tuple[str, ...] = ()
    restart: bool = False


@dataclass
class TrackProgress:
    """What is shown while work goes on: status lines, and bars in a terminal.

    speed: frames per second of tracking, without loading the weights.
    """

    status: Status
    quiet: bool
    speed: float = 0.0

    @contextmanager
    def bar(self, what: str, total: int, done: int = 0) -> Iterator[Any]:
        """A bar with frames per second and time left, removed at the end; nothing outside of a terminal."""
        self.status.done()
        hidden = self.quiet or not sys.stderr.isatty()
        with tqdm(total=total, initial=done, desc=what, unit=" frames", disable=hidden, leave=False) as bar:
            yield bar


def run_track(clip: str, flags: TrackFlags, given: Mapping[str, Any], *, as_json: bool, verbose: bool) -> None:
    """Track, write the files, print what was followed."""
    configure_logging(verbose)
    settings = load_settings(given)
    flags = replace(flags, formats=split_formats(flags.formats, FORMATS, "tracks.json"))
    prompts = TrackPrompts.read(flags.texts)
    if is_url(clip):
        raise InputError(f"{shown_url(clip)} is not a file: download the clip, so that an interrupted run can go on")
    clip = local_path(clip)
    media = open_clip(clip)
    span = TrackSpan.of(media, flags.first, flags.last, flags.every, flags.reverse)
    check_prompts(prompts, span, media)
    what = TrackRun(media, prompts, span, TrackOptions(settings.threshold, flags.max_objects))
    folder = settings.out or Path("sam3agent-out") / f"{source_stem(str(Path(clip).resolve()))}-track"
    if flags.restart:
        delete_run(folder)
    progress, started = TrackProgress(Status(quiet=as_json, verbose=verbose), as_json), time.monotonic()
    identity = _identity(clip, flags, settings)
    with TrackJournal(folder, media.size, identity) as journal:
        before = len(journal)
        problem = None if journal.finished else _track(what, journal, settings, progress)
        frames = list(journal.in_order_of_time())
        info = {**identity, "weights": settings.weights, "resumed_at": journal.resumed_at, "problem": problem}
        files, notes = _write(media, folder, frames, flags, info, progress)
    elapsed = time.monotonic() - started
    report = TrackReport(clip, settings.weights, frames, len(frames) - before, progress.speed, elapsed, info, files)
    notice = notice_of(settings.weights) if prompts.phrases else ""
    damage = [text for text in damage_of(media) if text != problem]
    report.say(as_json=as_json, notes=[*damage, *notes, *filter(None, [notice])])
    if problem:
        raise TrackingStoppedError(f"{problem} (the {counted(len(frames), 'frame')} before are tracked, see {folder})")


def _track(what: TrackRun, journal: TrackJournal, settings: Settings, progress: TrackProgress) -> str | None:
    """Track what the journal lacks; the reason if the clip breaks off."""
    total, done = len(tracked_frames(what.prompts, what.span)), len(journal)
    tell = progress.status.tell
    try:
        tell(f"tracking {counted(total, 'frame')} with {settings.weights}")
        tracker = make_tracker(settings)
        if done:
            last = journal.frames[-1]
            tell(f"{counted(done, 'frame')} of {total} are done: going on after frame {last}")
            frames = what.track_on(tracker, journal)
            journal.resume(last)
        else:
            frames = what.track(tracker)
        with progress.bar("tracking", total, done) as bar:
            started = time.monotonic()
            for tracked in frames:
                journal.add(tracked)
                bar.update()
                progress.speed = (len(journal) - done) / max(time.monotonic() - started, 1e-9)
    except InputError as error:
        if not len(journal):
            raise
        return str(error)
    except KeyboardInterrupt:
        tell(f"stopped after {counted(len(journal), 'frame')}: the same command goes on from there")
        raise
    finally:
        progress.status.done()
    journal.finish()
    return None


def _write(
    media: ClipMedia,
    folder: Path,
    frames: list[FrameTracks],
    flags: TrackFlags,
    info: Mapping[str, Any],
    progress: TrackProgress,
) -> tuple[dict[str, Path], list[str]]:
    """Write all files; where they are, and remarks."""
    clip, notes = ClipFacts.of(media), list[str]()
    files = {"tracks": folder / "tracks.json"}
    write_tracks(files["tracks"], clip, frames, info)
    for name in FORMATS:
        if name in flags.formats:
            files[name], left_out = write_format(name, folder, clip, frames)
            notes += [f"{name} cannot hold {counted(left_out, 'object')} with ids above 254"] if left_out else []
    if flags.preview:
        files["preview"] = folder / "preview.png"
        write_strip(files["preview"], media, frames)
        return files, notes
    files["overlay"] = folder / "overlay.mp4"
    with progress.bar("drawing", len(frames)) as bar:
        write_overlay(files["overlay"], media, frames, media.frames.rate / flags.every, bar.update)
    return files, notes


def _identity(clip: str, flags: TrackFlags, settings: Settings) -> dict[str, Any]:
    """All that the tracks depend on: a run goes on only if it is the same."""
    texts = asdict(flags.texts)
    named = [text.partition(":")[2] for text in flags.texts.masks]  # FILE, or FILE:OBJECT
    masks = [Path(name) if Path(name).exists() else Path(name.rpartition(":")[0]) for name in named]
    return {
        "clip": fingerprint(Path(clip)),
        "weights": weights_as_read(settings.weights),
        **texts,
        "mask_files": [fingerprint(path) for path in masks if path.is_file()],
        "from": flags.first,
        "to": flags.last,
        "every": flags.every,
        "reverse": flags.reverse,
        "max_objects": flags.max_objects,
        "threshold": settings.threshold,
    }


@dataclass(frozen=True, slots=True)
class TrackReport:
    """What a run has to say. tracked: number of frames that this process tracked, at `speed` frames per second.

    elapsed: seconds that the command took.
    """

    clip: str
    weights: str
    frames: list[FrameTracks]
    tracked: int
    speed: float
    elapsed: float
    info: Mapping[str, Any]
    files: Mapping[str, Path]

    def say(self, *, as_json: bool, notes: list[str]) -> None:
        """Print it for people, or as one JSON object."""
        tracks = collect_tracks(self.frames)
        if as_json:
            say_json(self._to_json(tracks, notes))
            return
        speed = f" in {self.elapsed:.1f} s (tracked at {self.speed:.2f} frames per second)" if self.tracked else ""
        say(f"{counted(len(tracks), 'object')} on {counted(len(self.frames), 'frame')}{speed}")
        for track in tracks[:LISTED_OBJECTS]:
            say(self._line(track))
        if len(tracks) > LISTED_OBJECTS:
            say(f"  … and {len(tracks) - LISTED_OBJECTS} more, see tracks.json")
        for note in notes:
            say(note)
        for name, path in self.files.items():
            say(f"{name:<8} {path}")

    def _line(self, track: Track) -> str:
        seen = sorted(track.sightings)
        first, last = self.frames[seen[0]].frame, self.frames[seen[-1]].frame
        label = f'"{track.phrase}"' if track.phrase else "no phrase"
        return (
            f"  object {track.id}  score {track.score:.2f}  frames {first} to {last}, visible on {len(seen)}  {label}"
        )

    def _to_json(self, tracks: list[Track], notes: list[str]) -> dict[str, Any]:
        return {
            "clip": self.clip,
            "frames": {
                "first": self.frames[0].frame,
                "last": self.frames[-1].frame,
                "count": len(self.frames),
                "tracked_now": self.tracked,
            },
            "objects": [self._track_json(track) for track in tracks],
            "complete": self.info["problem"] is None,
            "problem": self.info["problem"],
            "resumed_at": self.info["resumed_at"],
            "notes": notes,
            "elapsed_s": round(self.elapsed, 3),
            "frames_per_second": round(self.speed, 3) if self.tracked else None,
            "weights": self.weights,
            **{name: str(path) for name, path in self.files.items()},
        }

    def _track_json(self, track: Track) -> dict[str, Any]:
        seen = sorted(track.sightings)
        best = track.sightings[track.best]
        return {
            "id": track.id,
            "phrase": track.phrase,
            "score": round(track.score, 4),
            "first_frame": self.frames[seen[0]].frame,
            "last_frame": self.frames[seen[-1]].frame,
            "frames_visible": len(seen),
            "best_frame": self.frames[track.best].frame,
            "box": list(best.box),
            "area": best.area,
        }
