"""What lies in the folder of a judged video, and what does not when the disk is full."""

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pandas as pd
import pytest

from anomalib_stmem.results.files import new_folder, whole_file
from anomalib_stmem.results.film import Film
from anomalib_stmem.results.judged_frame import JudgedFrame, Verdict
from anomalib_stmem.results.video_results import VideoResults
from anomalib_stmem.video.frame import Frame
from anomalib_stmem.video.names import safe_name

RATE, SIZE = 10.0, (48, 64)
ALARMS = range(40, 50)


def frames(count: int = 90, size: tuple[int, int] = SIZE) -> list[JudgedFrame]:
    """A grey video that is abnormal in its fifth second, highest in frame 45."""
    quiet, loud = np.full((12, 16), 0.2, np.float32), np.full((12, 16), 0.2, np.float32)
    loud[4:8, 4:12] = 0.8
    found = []
    for index in range(count):
        alarm = index in ALARMS
        score = 0.9 if index == 45 else 0.7 if alarm else 0.3
        verdict = None if index < 5 else Verdict(index, score, alarm, loud if alarm else quiet)
        frame = np.full((*size, 3), index % 200, np.uint8)
        found.append(JudgedFrame(Frame(index, index / RATE, frame), verdict, label=alarm))
    return found


def play(folder: Path, frames: list[JudgedFrame], **options: Any) -> tuple[VideoResults, list]:
    told: list = []
    results = VideoResults(folder, "gate", RATE, announce=lambda what, event: told.append((what, event)), **options)
    for judged in frames:
        results.push(judged)
    results.close()
    return results, told


def frames_of(path: Path) -> list[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]


def test_every_file_says_the_same(tmp_path: Path) -> None:
    _, told = play(tmp_path / "gate", frames())
    assert not list(tmp_path.rglob("*.part"))
    scores = pd.read_csv(tmp_path / "gate" / "scores.csv")
    assert scores.frame.tolist() == list(range(5, 90))
    assert scores.seconds.tolist() == [round(frame / RATE, 3) for frame in range(5, 90)]
    assert scores.pred_label.tolist() == scores.label.tolist() == [int(frame in ALARMS) for frame in range(5, 90)]
    lines = [json.loads(line) for line in (tmp_path / "gate" / "scores.jsonl").read_text().splitlines()]
    assert lines == scores.to_dict("records")
    (event,) = json.loads((tmp_path / "gate" / "events.json").read_text())
    assert (event["start"], event["peak"], event["end"], event["score"]) == (4.0, 4.5, 4.9, 0.9)
    assert event["boxes"] == [[16, 16, 32, 16]]
    assert pd.read_csv(tmp_path / "gate" / "events.csv").to_dict("records")[0]["reason"] == event["reason"]
    assert [what for what, _ in told] == ["began", "ended"]
    assert told[1][1] == event
    assert (tmp_path / "gate" / "curve.png").stat().st_size > 1000


def test_films_play_at_the_times_of_the_video(tmp_path: Path) -> None:
    play(tmp_path, frames())
    for name, height in (("plain.mp4", 240), ("annotated.mp4", 288)):
        shown = frames_of(tmp_path / name)
        assert [round(when, 3) for when, _ in shown] == [round(frame / RATE, 3) for frame in range(90)]
        assert shown[0][1].shape == (height, 320, 3)
    plain, annotated = frames_of(tmp_path / "plain.mp4")[45][1], frames_of(tmp_path / "annotated.mp4")[45][1]
    assert np.abs(plain.astype(int) - 45).max() < 6
    red = annotated[80:160, 80:240, 2].astype(int) - annotated[80:160, 80:240, 0]
    assert red.mean() > 40  # the heat of what was not expected


def test_clip_shows_the_seconds_around_its_event(tmp_path: Path) -> None:
    play(tmp_path, frames(), margin=1.5)
    shown = frames_of(tmp_path / "events" / "0001.mp4")
    assert len(shown) == 41  # 1.5 s before and after frames 40 to 49
    snapshot = cv2.imread(str(tmp_path / "events" / "0001.jpg"))
    assert snapshot.shape == (*SIZE, 3)


def test_event_is_told_when_it_begins(tmp_path: Path) -> None:
    told: list = []
    results = VideoResults(tmp_path, "gate", RATE, announce=lambda what, event: told.append((what, event)))
    for judged in frames(41):
        results.push(judged)
    assert [what for what, _ in told] == ["began"]
    assert (tmp_path / told[0][1]["snapshot"]).exists()
    assert results.is_alarm
    results.close()  # in the middle of it, as at a signal
    assert [what for what, _ in told] == ["began", "ended"]
    assert (tmp_path / "events" / "0001.mp4").exists()


def test_live_video_has_times_of_day(tmp_path: Path) -> None:
    began = datetime(2026, 11, 25, 10, tzinfo=timezone.utc)
    play(tmp_path, frames(), began=began, films_whole_video=False)
    assert pd.read_csv(tmp_path / "scores.csv").time[0] == "2026-11-25T10:00:00.500+00:00"
    assert json.loads((tmp_path / "events.json").read_text())[0]["time"] == "2026-11-25T10:00:04.000+00:00"
    assert not (tmp_path / "plain.mp4").exists()


def test_video_without_an_event_or_a_frame(tmp_path: Path) -> None:
    play(tmp_path / "quiet", frames(30))
    assert json.loads((tmp_path / "quiet" / "events.json").read_text()) == []
    assert pd.read_csv(tmp_path / "quiet" / "events.csv").empty
    play(tmp_path / "empty", [])
    assert not (tmp_path / "empty" / "scores.csv").exists()


def test_large_frames_are_filmed_small_and_kept_in_pictures(tmp_path: Path) -> None:
    play(tmp_path, frames(60, (720, 1280)))
    assert frames_of(tmp_path / "plain.mp4")[0][1].shape == (360, 640, 3)
    assert cv2.imread(str(tmp_path / "events" / "0001.jpg")).shape == (720, 1280, 3)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_full_disk_leaves_nothing_half_under_a_final_name(full_disk: Path) -> None:
    results = VideoResults(full_disk / "gate", "gate", RATE)
    noise = np.random.default_rng(0)

    def play_noise() -> None:
        for judged in frames(90, (240, 320)):
            judged.frame.image[:] = noise.integers(0, 256, judged.frame.image.shape)
            results.push(judged)

    with pytest.raises(OSError, match="No space left"):
        play_noise()
    results.discard()
    left = [path.name for path in full_disk.rglob("*") if path.is_file()]
    assert set(left) <= {"scores.csv.part", "0001.jpg"}


def test_film_that_is_thrown_away_leaves_nothing(tmp_path: Path) -> None:
    film = Film(tmp_path / "a.mp4", (64, 48), RATE)
    film.write(np.zeros((48, 64, 3), np.uint8), 0.0)
    film.discard()
    assert not list(tmp_path.iterdir())


def test_file_that_fails_half_way_does_not_appear(tmp_path: Path) -> None:
    def write() -> None:
        with whole_file(tmp_path / "a") as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "safe"), [("../../etc/passwd", "etc_passwd"), ("..", "video"), ("Tor 1 (Süd)", "Tor_1_Süd"), (".x", "x")]
)
def test_names_stay_in_their_folder(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_earlier_results_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    assert new_folder(tmp_path / "test", "scores.csv") == tmp_path / "test"
    (tmp_path / "test" / "scores.csv").touch()
    assert new_folder(tmp_path / "test", "scores.csv") == tmp_path / "test_2"


def test_results_here_get_a_number_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "run.json").touch()
    monkeypatch.chdir(tmp_path / "here")
    assert new_folder(Path(), "run.json") == tmp_path / "here_2"


def test_clip_of_a_long_event_ends_after_a_minute(tmp_path: Path) -> None:
    results = VideoResults(tmp_path, "gate", 2.0, films_whole_video=False, margin=1.0)
    shown, verdict = np.full((4, 4), 0.8, np.float32), None
    for index in range(180):  # an alarm from the fifth second to the last, the ninetieth
        verdict = Verdict(index, 0.9, index >= 10, shown)
        results.push(JudgedFrame(Frame(index, index / 2, np.zeros((16, 32, 3), np.uint8)), verdict))
    results.close()
    (event,) = results.events
    assert (event["start"], event["end"]) == (5.0, 89.5)
    last = frames_of(tmp_path / "events" / "0001.mp4")[-1][0]
    assert event["clip_start"] + last == pytest.approx(event["start"] + 60, abs=0.01)


def test_two_runs_at_once_never_share_a_folder(tmp_path: Path) -> None:
    """Of 30 pairs that looked at the same moment, two got the same folder."""
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: new_folder(tmp_path / "watch", "run.json"), range(64)))
    assert len(set(found)) == 64
    assert tmp_path / "watch" in found


def test_live_event_keeps_a_clip_without_anything_drawn_on_it(tmp_path: Path) -> None:
    results = VideoResults(tmp_path, "gate", 10.0, films_whole_video=False, keeps_plain=True)
    for index in range(60):
        alarm = 20 <= index < 30
        shown = np.full((12, 16), 0.8 if alarm else 0.2, np.float32)
        verdict = Verdict(index, 0.8 if alarm else 0.2, alarm, shown)
        results.push(JudgedFrame(Frame(index, index / 10, np.full((48, 64, 3), 90, np.uint8)), verdict))
    results.close()
    (event,) = results.events
    assert event["plain"] == "events/0001_plain.mp4"
    frames = {}
    for name in ("clip", "plain"):
        capture = cv2.VideoCapture(str(tmp_path / event[name]))
        frames[name] = [image for read, image in iter(capture.read, (False, None)) if read]
    assert len(frames["plain"]) == len(frames["clip"]) > 30
    assert np.abs(frames["plain"][25].astype(int) - 90).max() < 6
    assert frames["clip"][25].shape[0] > frames["plain"][25].shape[0]  # the strip under it
