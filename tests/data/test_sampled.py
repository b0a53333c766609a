"""Minutes out of hours: which frames of a long video are taken, and that it costs no more than the minutes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY_DATA, TINY_MODEL
from makers import write_long, write_numbered

from anomalib_stmem import NormalVideos, STMem
from anomalib_stmem.data import sampled
from anomalib_stmem.data.sampled import STRETCH, SampledVideo

RATE = 10  # of the videos that write_long writes


def when(video: SampledVideo, seconds: float) -> np.ndarray:
    """Of each frame, the second that its brightness says."""
    return (np.stack(list(video.frames()))[:, :, -8:].mean(axis=(1, 2, 3)) - 70) / 100 * seconds


@pytest.mark.parametrize("keys", [1, 50, 10_000], ids=["every frame", "every 5 s", "the first frame"])
def test_stretches_are_spread_over_all_of_it_wherever_key_frames_are(tmp_path: Path, keys: int) -> None:
    video = SampledVideo(write_long(tmp_path / "day.mp4", 200, keys=keys), tmp_path / "day.rgb", (16, 24), 60)
    assert (video.frame_rate, video.share, video.source_hw) == (RATE, 1, (48, 64))
    assert video.num_frames == pytest.approx(60 * RATE, abs=3)
    first, second = video.gaps
    times = when(video, 200)
    for place, start in ((0, 0), (first, 90), (second, 180)):
        np.testing.assert_allclose(times[place], start, atol=8)
        np.testing.assert_allclose(times[place + 199], start + STRETCH, atol=8)


def test_video_that_is_short_enough_is_taken_whole(tmp_path: Path) -> None:
    video = SampledVideo(write_long(tmp_path / "day.mp4", 30), tmp_path / "day.rgb", None, 60)
    assert (video.num_frames, video.size_hw, video.gaps) == (300, (48, 64), ())


def test_rate_and_repeats_are_those_of_a_watch(tmp_path: Path) -> None:
    path = write_long(tmp_path / "day.mp4", 30)
    assert SampledVideo(path, tmp_path / "day.rgb", rate=5.0).frame_rate == RATE / 2
    assert SampledVideo(path, tmp_path / "day.rgb", rate=5.0).num_frames == 150
    doubled = SampledVideo(write_long(tmp_path / "night.mp4", 30, repeats=2), tmp_path / "night.rgb")
    assert doubled.num_frames == pytest.approx(150, abs=2)
    assert doubled.share == pytest.approx(0.5, abs=0.01)


def test_pictures_of_unknown_rate_are_all_taken_and_25_are_a_second(tmp_path: Path) -> None:
    folder = write_numbered(tmp_path / "day", 100, ".png")
    (video,) = sampled.sampled([folder], tmp_path, None, minutes=2 / 60, rate=5.0)
    assert video.frame_rate is None
    assert video.num_frames == 50
    (video,) = sampled.sampled([folder], tmp_path, None, minutes=2 / 60, rate=5.0, said_rate=10)
    assert (video.frame_rate, video.num_frames) == (5, 10)


def test_minutes_are_shared_by_length(tmp_path: Path) -> None:
    paths = [write_long(tmp_path / "a.mp4", 60), write_long(tmp_path / "b.mp4", 180)]
    short, long = sampled.sampled(paths, tmp_path, (16, 24), 2.0)
    assert (short.num_frames, long.num_frames) == (pytest.approx(300, abs=3), pytest.approx(900, abs=3))


def test_much_video_is_not_decoded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken, choose = [], sampled.chosen_frames

    def counted(*args: object) -> object:
        for frame in choose(*args):
            taken.append(frame.seconds)
            yield frame

    monkeypatch.setattr(sampled, "chosen_frames", counted)
    SampledVideo(write_long(tmp_path / "day.mp4", 600), tmp_path / "day.rgb", (16, 24), 40)
    assert len(taken) <= (40 + 2 * 5) * RATE + 2  # and what lies between a stretch and the key frame before it


def test_no_room_names_folder_and_option(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"no room for the decoded frames of .*day.*--data\.minutes"):
        SampledVideo(write_long(tmp_path / "day.mp4", 3), tmp_path / "missing" / "day.rgb")


def test_a_camera_is_learned_from_some_minutes(tmp_path: Path) -> None:
    from anomalib.engine import Engine

    videos = [str(write_long(tmp_path / f"{name}.mp4", 60)) for name in "ab"]
    data = NormalVideos(videos, minutes=1.0, rate=5.0, **TINY_DATA)
    model = STMem(**TINY_MODEL)
    started = Engine(default_root_dir=tmp_path, accelerator="cpu", enable_progress_bar=False, max_steps=2)
    started.fit(model, datamodule=data)
    assert float(model.post_processor.frame_rate) == 5
    hours = float(model.post_processor.normal_hours)
    assert hours * 60 == pytest.approx(1.0, rel=0.1)
    assert not list(tmp_path.rglob("*.rgb"))
    assert torch.isfinite(model.post_processor.image_threshold)
    with pytest.raises(TypeError, match="to learn from"):
        data.test_videos()


@pytest.mark.parametrize("option", ["minutes", "rate"])
def test_impossible_option_is_named(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be above 0; got 0"):
        NormalVideos("day.mp4", **{option: 0})


def test_videos_of_a_few_frames_are_left_out_or_refused(tmp_path: Path) -> None:
    short, long = write_long(tmp_path / "a.mp4", 0.4), write_long(tmp_path / "b.mp4", 20)
    data = NormalVideos([str(short), str(long)], minutes=1.0, **TINY_DATA)
    assert [video.name for video in data.training_videos()] == [str(long)]
    assert data.too_short == [short]
    with pytest.raises(ValueError, match=r"No video has 6 frames that differ; the longest, .*a\.mp4, has 4\. Give"):
        NormalVideos(str(short), minutes=1.0, **TINY_DATA).training_videos()
