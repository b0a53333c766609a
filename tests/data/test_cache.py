import errno
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from makers import write_numbered, write_video

from anomalib_stmem.data import cache
from anomalib_stmem.data.cache import open_cached
from anomalib_stmem.video.recorded import VideoFile, open_video


@pytest.fixture(params=["folder", "file"])
def video(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_numbered(tmp_path / "v", 7) if request.param == "folder" else write_video(tmp_path / "v.avi", 7)


def test_cached_frames_are_the_decoded_ones(video: Path, tmp_path: Path) -> None:
    direct, cached = open_video(video, (5, 9)), open_cached(video, tmp_path / "cache", (5, 9))
    for name in ("num_frames", "source_hw", "size_hw", "frame_rate", "cut_off"):
        assert getattr(cached, name) == getattr(direct, name)
    np.testing.assert_array_equal(cached.read(0, 7), np.stack(list(direct.frames())))
    np.testing.assert_array_equal(np.stack(list(cached.frames(3))), np.stack(list(direct.frames(3))))


def test_second_time_decodes_nothing(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_cached(video, tmp_path / "cache").read(0, 7)
    monkeypatch.setattr(cache, "open_video", None)
    np.testing.assert_array_equal(open_cached(video, tmp_path / "cache").read(0, 7), first)


def test_moved_video_keeps_its_entry_and_changed_one_gets_another(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", 7)
    open_cached(path, tmp_path / "cache")
    open_cached(path.rename(tmp_path / "w.avi"), tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert open_cached(write_video(path, 9), tmp_path / "cache").num_frames == 9
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_each_size_has_its_entry(video: Path, tmp_path: Path) -> None:
    assert open_cached(video, tmp_path / "cache", (4, 4)).size_hw == (4, 4)
    assert open_cached(video, tmp_path / "cache", (6, 8)).size_hw == (6, 8)


def test_crash_half_way_leaves_no_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "v.avi", 7)
    whole_file = VideoFile.frames

    def crash(self: VideoFile, start: int = 0):  # noqa: ANN202
        for number, frame in enumerate(whole_file(self, start)):
            if number == 4:
                raise KeyboardInterrupt
            yield frame

    with monkeypatch.context() as patched:
        patched.setattr(VideoFile, "frames", crash)
        with pytest.raises(KeyboardInterrupt):
            open_cached(path, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    assert open_cached(path, tmp_path / "cache").num_frames == 7


def test_torn_entry_is_made_anew(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", 7)
    expected = np.array(open_cached(path, tmp_path / "cache").read(0, 7))
    (entry,) = (tmp_path / "cache").iterdir()
    entry.write_bytes(b"torn by a power cut")
    np.testing.assert_array_equal(open_cached(path, tmp_path / "cache").read(0, 7), expected)


def test_undecodable_video_leaves_no_entry(tmp_path: Path) -> None:
    (tmp_path / "bad.avi").write_bytes(b"not a video")
    with pytest.raises(ValueError, match="There is no video in"):
        open_cached(tmp_path / "bad.avi", tmp_path / "cache")
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())


def test_unwritable_cache_is_named_with_the_room_it_needs(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", 7)
    (tmp_path / "cache").touch()  # a file where the folder should be
    with pytest.raises(OSError, match=r"cache cannot take .*v\.avi \(0 MiB\).*--data\.cache_dir"):
        open_cached(path, tmp_path / "cache")


def test_full_disk_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "v.avi", 7)

    def full(self: VideoFile, start: int = 0):  # noqa: ANN202
        yield from whole_file(self, start)
        raise OSError(errno.ENOSPC, "No space left on device")

    whole_file = VideoFile.frames
    monkeypatch.setattr(VideoFile, "frames", full)
    with pytest.raises(OSError, match="No space left on device"):
        open_cached(path, tmp_path / "cache")
    monkeypatch.setattr(VideoFile, "frames", whole_file)
    assert len(list((tmp_path / "cache").glob("*.part"))) == 0


def test_two_processes_may_fill_it_at_once(tmp_path: Path) -> None:
    path, folder = write_video(tmp_path / "v.avi", 7), tmp_path / "cache"
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        opened = list(pool.map(open_cached, [path] * 4, [folder] * 4))
    assert len(list(folder.iterdir())) == 1
    for video in opened:
        np.testing.assert_array_equal(video.read(0, 7), np.stack(list(VideoFile(path).frames())))


def test_what_was_kept_in_spite_of_damage_is_still_refused_where_damage_is(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    kept = open_cached(path, tmp_path / "cache", damaged="keep")
    assert kept.cut_off
    with pytest.raises(ValueError, match="cut off at"):
        open_cached(path, tmp_path / "cache", damaged="refuse")
