"""A live camera is recorded for a time; what there is is used, whatever ends it."""

import errno
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from cameras import Camera, on_air
from makers import write_long

from anomalib_stmem.cli import main
from anomalib_stmem.learning import learn as learning
from anomalib_stmem.learning.recording import record, seconds_of
from anomalib_stmem.results.film import Film
from anomalib_stmem.video.recorded import open_video
from anomalib_stmem.video.source import find_sources


def recorded(url: str, folder: Path, seconds: float, stopping: threading.Event | None = None) -> tuple[float, str]:
    said: list[str] = []
    (source,) = find_sources([url])
    total = record(source, folder, seconds, said.append, stopping or threading.Event(), patience=1)
    return total, " ".join(said)


def frames_in(folder: Path) -> int:
    return sum(open_video(path).num_frames for path in folder.glob("*.mp4"))


def test_so_much_is_recorded_and_what_is_there_counts(tmp_path: Path) -> None:
    with on_air(Camera([90] * 400, rate=10)) as url:
        total, said = recorded(url, tmp_path / "gate", 2)
        assert total == pytest.approx(2, abs=0.3)
        assert said == ""
        assert frames_in(tmp_path / "gate") == pytest.approx(20, abs=4)
        total, said = recorded(url, tmp_path / "gate", 3)
    assert total == pytest.approx(3, abs=0.4)
    assert "2 s were recorded before, and count" in said


def test_camera_that_is_lost_for_good_leaves_what_there_is(tmp_path: Path) -> None:
    with on_air(Camera([90] * 400, rate=10, outages=[(1.5, 100)])) as url:
        total, said = recorded(url, tmp_path / "gate", 3)
    assert 0.5 < total < 2
    assert "recording ended early, because the camera was lost" in said
    assert frames_in(tmp_path / "gate") > 5


def test_full_disk_leaves_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([1e12, *[1e6] * 100])
    monkeypatch.setattr("anomalib_stmem.learning.recording.LOOK_EVERY", 1.0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=next(free)))
    with on_air(Camera([90] * 400, rate=10)) as url:
        total, said = recorded(url, tmp_path / "gate", 30)
    assert 0.3 < total < 3
    assert "less than 500 MB are free" in said


def test_disk_that_is_full_at_the_end_of_a_film_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gate").mkdir()
    write_long(tmp_path / "gate" / "001.mp4", 2)

    def full(_: Film) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Film, "close", full)
    with on_air(Camera([90] * 400, rate=10)) as url:
        total, said = recorded(url, tmp_path / "gate", 4)
    assert total == pytest.approx(2, abs=0.2)  # of the film of before
    assert "takes no more (No space left on device)" in said


def test_nothing_recorded_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        on_air(Camera([90] * 40, rate=10, outages=[(0, 100)])) as url,
        pytest.raises(ValueError, match=r"127\.0\.0\.1"),
    ):
        recorded(url, tmp_path / "model.recording" / "gate", 2)
    assert not (tmp_path / "model.recording").exists()


@pytest.mark.parametrize(("text", "seconds"), [("30m", 1800), ("2h", 7200), ("90s", 90), ("1h30m", 5400)])
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["30", "soon", "-5m", "0s"])
def test_what_is_no_length_of_time_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn", "day.mp4", f"--record={text}"]) == 2
    assert "Expected a number and a unit" in capsys.readouterr().err


@pytest.mark.slow
def test_camera_is_learned_and_its_recording_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(learning, "LEAST_MINUTES", 0.1)
    with on_air(Camera([90] * 4000, rate=20)) as url:
        out = str(tmp_path / "gate.ckpt")
        assert main(["learn", f"gate={url}", "--record", "8s", "--minutes", "0.1", "--out", out]) == 0
    said = capsys.readouterr().out
    assert "Ctrl-C ends the recording" in said
    assert "secret" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gate.ckpt", "gate.html"]
