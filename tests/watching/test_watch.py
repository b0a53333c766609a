"""A watch from source to results, with a network that alarms at white pictures."""

import errno
import json
import os
import re
import signal
import threading
import time
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from cameras import GREY, WHITE, WINDOW, Camera, WhiteAlarm, on_air, receiver, serving
from makers import picture, write_numbered
from rich.console import Console

from anomalib_stmem.page.collect import Media, collect
from anomalib_stmem.results.film import Film
from anomalib_stmem.results.judged_frame import Verdict
from anomalib_stmem.results.reading import read_events
from anomalib_stmem.video import camera, reader
from anomalib_stmem.watching import signals, watch, watched
from anomalib_stmem.watching.watch import Outcome


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Console:
    """The fake network in place of the real one, and a console that remembers."""
    monkeypatch.setattr(watch, "FrameStreams", WhiteAlarm)
    monkeypatch.setattr(reader, "FIRST_WAIT", 0.1)
    return Console(record=True, width=400)


def film(path: Path, levels: list[int], rate: float = 25.0, size: tuple[int, int] = (48, 64)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, size[::-1])
    for number, level in enumerate(levels):
        writer.write(picture(level, number, size))
    writer.release()
    return path


def levels(count: int, *white: range) -> list[int]:
    return [WHITE if any(number in stretch for stretch in white) else GREY for number in range(count)]


def lines(outcome: Outcome) -> list[dict]:
    return [json.loads(line) for line in (outcome.folder / "events.jsonl").read_text().splitlines()]


def run_of(outcome: Outcome) -> dict:
    return json.loads((outcome.folder / "run.json").read_text())


def test_file(tmp_path: Path, said: Console) -> None:
    video = film(tmp_path / "gate.avi", levels(200, range(50, 60), range(130, 140)))
    outcome = watch.watch([str(video)], "m.ckpt", tmp_path / "out", console=said)
    assert outcome.num_events == 2
    assert not outcome.failures
    told = lines(outcome)
    assert [(one["state"], one["id"]) for one in told] == [("began", 1), ("ended", 1), ("began", 2), ("ended", 2)]
    assert [(one["start_frame"], one["end_frame"]) for one in told if one["state"] == "ended"] == [(50, 59), (130, 139)]
    assert all((outcome.folder / one[kind]).is_file() for one in told for kind in ("snapshot", "clip"))
    events = json.loads((outcome.folder / "gate" / "events.json").read_text())
    assert [event["start"] for event in events] == [2.0, 5.2]
    scores = pd.read_csv(outcome.folder / "gate" / "scores.csv")
    assert scores.frame.tolist() == list(range(WINDOW, 200))
    (source,) = run_of(outcome)["sources"]
    assert (source["frames_read"], source["frames_judged"], source["gaps"]) == (200, 195, 0)
    assert run_of(outcome)["ended"] is not None
    assert "gate: ALARM at 2.0 s" in said.export_text()
    assert not list(tmp_path.rglob("*.part"))


def sum_of_reasons(source: dict) -> int:
    reasons = ("judged", "not_judged", "late", "skipped", "repeated", "damaged", "dropped", "left")
    return sum(source[f"frames_{reason}"] for reason in reasons)


def test_every_frame_of_a_watch_that_is_stopped_is_counted_once(
    tmp_path: Path, said: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file that is half read, and of a camera that waits for the network."""

    class Slow(WhiteAlarm):
        def push(self, frames):  # noqa: ANN001, ANN202
            self.seconds_per_frame = 0.05
            return super().push(frames)

    monkeypatch.setattr(watch, "FrameStreams", Slow)
    video = film(tmp_path / "door.avi", levels(400))
    with on_air(Camera(levels(400))) as gate:
        outcome = _watch_for(3.0, [f"gate={gate}", str(video)], tmp_path / "out", said)
    sources = run_of(outcome)["sources"]
    assert [one["frames_read"] for one in sources] == [sum_of_reasons(one) for one in sources]
    assert all(one["frames_read"] > 20 for one in sources)
    assert sum(one["frames_left"] for one in sources) > 0


def test_every_frame_is_counted_once(tmp_path: Path, said: Console) -> None:
    """A film of 50 frames per second for a network of 25, of which every seventh picture repeats the one before."""
    numbers = list(range(140))
    numbers[6::7] = numbers[5::7]
    jpegs = [cv2.imencode(".jpg", picture(GREY, number))[1].tobytes() for number in numbers]
    jpegs[70] = jpegs[70][:400] + bytes(300) + jpegs[70][700:]
    (tmp_path / "gate").mkdir()
    for number, data in enumerate(jpegs):
        (tmp_path / "gate" / f"{number:03d}.jpg").write_bytes(data)
    outcome = watch.watch([str(tmp_path / "gate")], "m", tmp_path / "out", frame_rate=50, console=said)
    (source,) = run_of(outcome)["sources"]
    assert source["frames_read"] == 140 == sum_of_reasons(source)
    assert source["frames_skipped"] == 70
    assert source["frames_damaged"] == 1
    assert source["damaged_at"] == [70 / 50]
    assert re.search(r"1 of 140 frames are damaged, the first at 1\.4 s \(.*070\.jpg is ", said.export_text())


def test_missing_numbers_in_a_folder_are_said_and_start_anew(tmp_path: Path, said: Console) -> None:
    (tmp_path / "gate").mkdir()
    for number in [*range(30), *range(46, 71)]:
        cv2.imwrite(str(tmp_path / "gate" / f"{number:03d}.jpg"), picture(GREY, number))
    outcome = watch.watch([str(tmp_path / "gate")], "m", tmp_path / "out", console=said)
    (source,) = run_of(outcome)["sources"]
    assert (source["frames_judged"], source["gaps"]) == (55 - 2 * WINDOW, 1)
    assert "gate: frames are missing between 029.jpg and 046.jpg." in said.export_text()


def test_results_are_never_written_over(tmp_path: Path, said: Console) -> None:
    video = str(film(tmp_path / "gate.avi", levels(20)))
    folders = [watch.watch([video], "m", tmp_path / "out", console=said).folder.name for _ in range(2)]
    assert folders == ["out", "out_2"]


def test_source_is_resampled_to_the_training_rate(tmp_path: Path, said: Console) -> None:
    """75 frames per second for a model of 25: every third, with the source's frame numbers and times."""
    video = film(tmp_path / "gate.avi", levels(300, range(150, 181)), rate=75)
    outcome = watch.watch([str(video)], "m", tmp_path / "out", console=said)
    scores = pd.read_csv(outcome.folder / "gate" / "scores.csv")
    assert scores.frame.tolist() == list(range(3 * WINDOW, 300, 3))
    assert scores.seconds[0] == pytest.approx(0.2, abs=1e-3)
    assert [(one["start_frame"], one["end_frame"]) for one in lines(outcome)[1:]] == [(150, 180)]


def test_other_rate_is_said(tmp_path: Path, said: Console) -> None:
    outcome = watch.watch([str(film(tmp_path / "slow.avi", levels(70), rate=10))], "m", tmp_path / "out", console=said)
    assert not outcome.failures
    assert "frames come at 10 per second, the training video had 25: movement looks 2.5 times" in said.export_text()


def test_folder_of_videos_and_of_images(tmp_path: Path, said: Console) -> None:
    film(tmp_path / "all" / "b.avi", levels(30, range(10, 20)))
    write_numbered(tmp_path / "all" / "a", 12)
    outcome = watch.watch([str(tmp_path / "all")], "m", tmp_path / "out", console=said)
    assert len(pd.read_csv(outcome.folder / "a" / "scores.csv")) == 12 - WINDOW
    assert len(pd.read_csv(outcome.folder / "b" / "scores.csv")) == 30 - WINDOW  # it started anew
    assert outcome.num_events == 1


def test_bad_files_cost_only_themselves(tmp_path: Path, said: Console) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    (tmp_path / "zero.avi").touch()
    good = film(tmp_path / "good.avi", levels(30))
    outcome = watch.watch(
        [str(tmp_path / "bad.mp4"), str(tmp_path / "zero.avi"), str(good)], "m", tmp_path / "out", console=said
    )
    assert len(outcome.failures) == 2
    assert "bad.mp4: it is text, and no video." in outcome.failures[0]
    assert "zero.avi: it is empty (0 bytes)." in outcome.failures[1]
    assert len(pd.read_csv(outcome.folder / "good" / "scores.csv")) == 30 - WINDOW
    assert [source["failure"] is None for source in run_of(outcome)["sources"]] == [False, False, True]


def test_file_that_is_cut_off_keeps_what_was_judged(tmp_path: Path, said: Console) -> None:
    video = film(tmp_path / "gate.avi", levels(100))
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    outcome = watch.watch([str(video)], "m", tmp_path / "out", console=said)
    (failure,) = outcome.failures
    assert re.search(r"cut off at 1\.\d s, and 2\.\d s are missing.* What could be decoded is used", failure)
    assert len(pd.read_csv(outcome.folder / "gate" / "scores.csv")) > 20


def test_live_stream_with_a_drop(tmp_path: Path, said: Console) -> None:
    """One event before an outage, one that it cuts off, one after it: each is told once."""
    camera = Camera(levels(290, range(50, 60), range(100, 140), range(230, 240)), outages=[(5.2, 6.7)])
    with on_air(camera) as url:
        outcome = _watch_for(12.2, [f"gate={url}"], tmp_path / "out", said)
    told = lines(outcome)
    ended = [one for one in told if one["state"] == "ended"]
    assert [one["id"] for one in told if one["state"] == "began"] == [one["id"] for one in ended] == [1, 2, 3]
    assert [round(one["end"] - one["start"], 1) for one in ended] == pytest.approx([0.4, 1.2, 0.4], abs=0.25)
    gaps = np.diff([one["start"] for one in ended])
    assert gaps == pytest.approx([2.0, 5.2], abs=0.5)  # the outage is no hole in the time
    (source,) = run_of(outcome)["sources"]
    assert source["live"]
    assert source["reconnects"] >= 1
    assert source["gaps"] >= 1
    assert camera.connections >= 2
    text = said.export_text() + "".join(path.read_text() for path in outcome.folder.rglob("*.json*"))
    assert "no picture from http://127.0.0.1" in text
    assert "secret" not in text
    assert "time" in json.loads((outcome.folder / "gate" / "events.json").read_text())[0]
    assert not (outcome.folder / "gate" / "plain.mp4").exists()  # of live video, only events are filmed


def test_slow_network_drops_frames_to_stay_live(tmp_path: Path, said: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(WhiteAlarm):
        def push(self, frames):  # noqa: ANN001, ANN202
            self.seconds_per_frame = 0.12
            return super().push(frames)

    monkeypatch.setattr(watch, "FrameStreams", Slow)
    monkeypatch.setattr(reader, "BACKLOG_SECONDS", 0.4)
    with on_air(Camera(levels(200))) as url:
        outcome = _watch_for(6.5, [url], tmp_path / "out", said)
    (source,) = run_of(outcome)["sources"]
    assert source["frames_dropped"] > 50
    assert source["gaps"] >= 2  # what follows a drop starts anew, instead of being read as a jump
    scores = pd.read_csv(next(outcome.folder.rglob("scores.csv")))
    assert scores.seconds.max() > 3.0


def test_still_source_does_not_wait_for_a_busy_one(
    tmp_path: Path, said: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StillYard(WhiteAlarm):
        def push(self, frames):  # noqa: ANN001, ANN202
            self.seconds_per_frame = 0.2
            return super().push(frames)

        def glance(self, camera, _frame):  # noqa: ANN001, ANN202
            return Verdict(0, 0.1, False, np.full((4, 4), 0.1, np.float32)) if camera == "yard" else None

    monkeypatch.setattr(watch, "FrameStreams", StillYard)
    monkeypatch.setattr(reader, "BACKLOG_SECONDS", 0.4)
    with on_air(Camera(levels(200))) as gate, on_air(Camera(levels(200))) as yard:
        outcome = _watch_for(4.0, [f"gate={gate}", f"yard={yard}"], tmp_path / "out", said)
    busy, still = sorted(run_of(outcome)["sources"], key=lambda row: row["name"])
    assert busy["frames_dropped"] > 20
    assert still["frames_dropped"] == 0
    assert still["frames_judged"] > 2 * (busy["frames_judged"] + busy["frames_not_judged"])


def test_file_on_a_web_server_is_a_file(tmp_path: Path, said: Console) -> None:
    """It has an end and times of its own: nothing is dropped, and nothing is read twice."""
    video = film(tmp_path / "www" / "gate.avi", levels(200, range(50, 60)))
    with serving(lambda *given: SimpleHTTPRequestHandler(*given, directory=str(video.parent))) as port:
        outcome = watch.watch([f"gate=http://127.0.0.1:{port}/gate.avi"], "m", tmp_path / "out", console=said)
    (source,) = run_of(outcome)["sources"]
    assert (source["live"], source["frames_judged"], source["frames_dropped"], source["gaps"]) == (False, 195, 0, 0)
    assert not outcome.failures


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        (range(WINDOW), "5 come before the network has seen enough"),
        ([1] * 40, "39 repeat the one before, 1 come before the network has seen enough"),
    ],
)
def test_file_of_which_nothing_is_judged_says_why(numbers: list[int], why: str, tmp_path: Path, said: Console) -> None:
    (tmp_path / "gate").mkdir()
    for place, number in enumerate(numbers):
        cv2.imwrite(str(tmp_path / "gate" / f"{place:03d}.png"), picture(GREY, number))
    outcome = watch.watch([str(tmp_path / "gate")], "m", tmp_path / "out", frame_rate=25, console=said)
    (failure,) = outcome.failures
    assert failure.endswith(f"no frame was judged. Of {len(numbers)}, {why}.")


def test_several_sources_and_one_that_is_not_there(tmp_path: Path, said: Console) -> None:
    video = film(tmp_path / "gate.avi", levels(60, range(20, 30)))
    with on_air(Camera(levels(150, range(80, 100)))) as url:
        outcome = _watch_for(
            6.5, [f"live={url}", "gone=http://127.0.0.1:9/x", str(video), "99"], tmp_path / "out", said, patience=0.5
        )
    assert sorted(failure.split(":")[0] for failure in outcome.failures) == [
        "There is no picture from camera 99",
        "There is no picture from http",
    ]
    assert {one["video"] for one in lines(outcome)} == {"live", "gate"}


class Growing:
    """In place of ``cv2.VideoCapture``: 40 frames of 64x48 pixels, then 40 of 96x64."""

    def __init__(self, *_: object) -> None:
        self._number = -1

    def isOpened(self) -> bool:  # noqa: N802  # cv2's name
        return self._number < 79

    def grab(self) -> bool:
        self._number += 1
        time.sleep(0.04)
        return self._number < 80

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, growing(self._number)

    def release(self) -> None:
        return


def growing(number: int) -> np.ndarray:
    return picture(GREY, number, (48, 64) if number < 40 else (64, 96))


def test_size_that_changes(tmp_path: Path, said: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """A live source starts anew; a file must have one size, and keeps what was judged before."""
    monkeypatch.setattr(camera.cv2, "VideoCapture", Growing)
    outcome = _watch_for(5, ["gate=0"], tmp_path / "live", said)
    assert not outcome.failures
    assert "gate: the picture changes from 64x48 to 96x64 pixels at frame 40" in said.export_text()
    assert len(pd.read_csv(outcome.folder / "gate" / "scores.csv")) >= 80 - 2 * WINDOW
    jpegs = [cv2.imencode(".jpg", growing(number))[1].tobytes() for number in range(80)]
    (tmp_path / "gate.mjpeg").write_bytes(b"".join(jpegs))
    outcome = watch.watch([str(tmp_path / "gate.mjpeg")], "m", tmp_path / "file", console=said)
    assert "changes from 64x48 to 96x64 pixels at frame 40. A video must have one size" in outcome.failures[0]
    (source,) = run_of(outcome)["sources"]
    assert source["frames_read"] == 41 == sum_of_reasons(source)
    assert len(pd.read_csv(outcome.folder / "gate" / "scores.csv")) == 40 - WINDOW


def test_images_of_two_sizes(tmp_path: Path, said: Console) -> None:
    folder = write_numbered(tmp_path / "gate", 12)
    cv2.imwrite(str(folder / "010.jpg"), np.zeros((20, 30, 3), np.uint8))
    outcome = watch.watch([str(folder)], "m", tmp_path / "out", console=said)
    said = "changes from 12x8 to 30x20 pixels at frame 9 (010.jpg). A video must have one size"
    assert said in outcome.failures[0]
    assert len(pd.read_csv(outcome.folder / "gate" / "scores.csv")) == 9 - WINDOW


def test_webhook_gets_every_event_once(tmp_path: Path, said: Console) -> None:
    video = film(tmp_path / "gate.avi", levels(120, range(20, 30), range(70, 80)))
    with receiver(failures=2) as (url, taken):
        outcome = watch.watch([str(video)], "m", tmp_path / "out", webhook=url, console=said)
    assert [json.loads(body) for body in taken] == lines(outcome)
    assert run_of(outcome)["webhook"] == {"delivered": 4, "lost": 0, "waiting": 0}


def test_read_only_results(tmp_path: Path, said: Console) -> None:
    (tmp_path / "out").write_text("a file, where a folder should be")
    with pytest.raises(OSError, match="out"):
        watch.watch([str(film(tmp_path / "gate.avi", levels(20)))], "m", tmp_path / "out", console=said)


def test_disk_that_is_full_at_the_very_end(tmp_path: Path, said: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(_film: Film) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Film, "close", no_room)
    outcome = watch.watch([str(film(tmp_path / "gate.avi", levels(20)))], "m", tmp_path / "out", console=said)
    assert outcome.failures[0].endswith("its results cannot be written: No space left on device.")
    assert sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file()) == [
        "events.jsonl",
        "run.json",
        "scores.csv.part",
    ]
    assert run_of(outcome)["sources"][0]["failure"] == outcome.failures[0]


def no_room_for(monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Let films of a source fail, and only those."""
    write = Film.write

    def fail(film_: Film, image: np.ndarray, seconds: float) -> None:
        if folder in film_.path.parts:
            film_.discard()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(film_, image, seconds)

    monkeypatch.setattr(Film, "write", fail)


def test_trouble_of_one_file_with_the_disk_ends_that_file_only(
    tmp_path: Path, said: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_room_for(monkeypatch, "b")
    videos = [film(tmp_path / "day" / f"{name}.avi", levels(120, range(50, 60))) for name in "abc"]
    outcome = watch.watch([str(videos[0].parent)], "m", tmp_path / "out", console=said)
    assert outcome.num_events == 2
    assert outcome.failures[0].startswith(
        f"{videos[1]}: its results cannot be written to {outcome.folder / 'b'}: No space"
    )
    assert said.export_text().count("cannot be written") == 1
    for name in "ac":
        assert (outcome.folder / name / "events.json").is_file()
    run = {one["name"]: one for one in run_of(outcome)["sources"]}
    assert all(sum_of_reasons(one) == one["frames_read"] for one in run.values())


def test_camera_is_judged_and_tells_of_events_while_its_disk_is_full(
    tmp_path: Path, said: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "KEEP_AGAIN", 1.0)
    no_room_for(monkeypatch, "gate")
    camera = Camera(levels(200, range(50, 60), range(140, 150)))
    with on_air(camera) as url:
        outcome = _watch_for(8.5, [f"gate={url}"], tmp_path / "out", said)
    assert not outcome.failures
    told = [(line["state"], line["id"], line["snapshot"]) for line in lines(outcome)]
    assert told[:2] == [("began", 1, "gate/events/0001.jpg"), ("ended", 1, None)]
    assert told[2:] == [(state, 2, "gate_2/events/0002.jpg") for state in ("began", "ended")]
    assert "Events are told all the same. In 1 s gate_2 is tried." in said.export_text()
    (run,) = run_of(outcome)["sources"]
    assert run["events"] == 2
    assert sum_of_reasons(run) == run["frames_read"]
    assert (outcome.folder / "gate_2" / "events" / "0002.mp4").is_file()
    assert [one["id"] for video in collect(outcome.folder, Media())["videos"] for one in video["events"]] == [1, 2]


def test_second_signal_after_a_second_is_not_caught() -> None:
    stopping = threading.Event()

    def signal_twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(signals.IMPATIENT_AFTER + 0.1)
        assert stopping.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # pytest's workers ignore it
    try:
        with pytest.raises(KeyboardInterrupt), signals.stopped_by_signals(stopping):
            signal_twice()
    finally:
        signal.signal(signal.SIGINT, before)


def _watch_for(seconds: float, sources: list[str], out: Path, said: Console, patience: float = 10.0) -> Outcome:
    """Watch, and stop as a signal does."""
    before = threading.active_count()
    stop = threading.Timer(seconds, _stop_all)
    stop.start()
    try:
        outcome = watch.watch(sources, "m", out, console=said, patience=patience)
    finally:
        stop.cancel()
    assert threading.active_count() <= before + 12
    return outcome


def _stop_all() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("cut", [0, 7])
def test_report_and_accept_see_what_a_killed_watch_had_told(tmp_path: Path, said: Console, cut: int) -> None:
    """After kill -9 there is no events.json, and the last lines may be cut."""
    video = film(tmp_path / "gate.avi", levels(200, range(50, 60), range(130, 140)))
    outcome = watch.watch([str(video)], "m.ckpt", tmp_path / "out", console=said)
    folder = outcome.folder / "gate"
    events = json.loads((folder / "events.json").read_text())
    rows = (folder / "scores.csv").read_text()
    (folder / "scores.csv.part").write_text(rows[: len(rows) - cut])
    for name in ("scores.csv", "scores.jsonl", "events.json", "events.csv", "annotated.mp4", "plain.mp4"):
        (folder / name).unlink()
    told = (outcome.folder / "events.jsonl").read_text()
    (outcome.folder / "events.jsonl").write_text(told + told[:100])
    data = collect(outcome.folder, Media())
    (shown,) = data["videos"]
    assert shown["name"] == "gate (unfinished)"
    assert shown["frames"] == rows.count("\n") - 1 - (cut > 0)
    assert [{name: event[name] for name in events[0]} | {"clip": None} for event in shown["events"]] == [
        event | {"clip": None} for event in events
    ]
    assert all(event["clip"] for event in shown["events"])
    assert read_events(folder, outcome.folder) == events
