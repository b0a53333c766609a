from pathlib import Path

import cv2
import numpy as np
import pytest

from anomalib_stmem.data.frames import FrameFolder, VideoFile, find_videos, open_video


def write_frames(folder: Path, names: list[str], size: tuple[int, int] = (8, 12)) -> Path:
    """Frames whose grey value is their place in ``names``."""
    folder.mkdir(parents=True)
    for place, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((*size, 3), 10 * place, np.uint8))
    return folder


def write_video(path: Path, count: int = 7) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (16, 8))
    for place in range(count):
        writer.write(np.full((8, 16, 3), 30 * place, np.uint8))
    writer.release()
    return path


def test_frames_come_in_natural_order_as_rgb(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "v", ["f10.png", "f9.png", "f100.png"])
    cv2.imwrite(str(folder / "f9.png"), np.full((8, 12, 3), (1, 2, 3), np.uint8))  # BGR
    frames = FrameFolder(folder).read(0, 3)
    assert frames.shape == (3, 8, 12, 3)
    assert frames[0, 0, 0].tolist() == [3, 2, 1]
    assert frames[1:, 0, 0, 0].tolist() == [0, 20]


def test_hidden_and_foreign_files_are_passed_over(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "v", ["0.png", "1.png"])
    (folder / "._0.png").write_bytes(b"apple")
    (folder / "notes.txt").write_text("no frame")
    assert FrameFolder(folder).num_frames == 2


def test_video_file_and_its_frames_agree(tmp_path: Path) -> None:
    video = VideoFile(write_video(tmp_path / "v.avi"), tmp_path / "cache")
    assert (video.num_frames, video.size_hw) == (7, (8, 16))
    frames = video.read(2, 6)
    assert np.abs(frames.mean(axis=(1, 2, 3)) - [60, 90, 120, 150]).max() < 2


def test_video_file_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "v.avi")
    first = VideoFile(path, tmp_path / "cache").read(0, 7)
    monkeypatch.setattr(cv2, "VideoCapture", None)
    np.testing.assert_array_equal(VideoFile(path, tmp_path / "cache").read(0, 7), first)


def test_changed_file_is_decoded_anew(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi")
    assert VideoFile(path, tmp_path / "cache").num_frames == 7
    path.unlink()
    assert VideoFile(write_video(path, count=9), tmp_path / "cache").num_frames == 9


@pytest.mark.parametrize("content", [b"", b"not a video at all"])
def test_undecodable_video_is_named_and_leaves_no_cache_entry(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.avi"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"no frame of .*bad\.avi"):
        VideoFile(path, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_videos_are_found_in_natural_order_whatever_their_kind(tmp_path: Path) -> None:
    write_frames(tmp_path / "10", ["0.png"])
    write_video(tmp_path / "9.avi")
    write_frames(tmp_path / "2", ["0.png"])
    (tmp_path / "readme.txt").touch()
    assert [path.name for path in find_videos(tmp_path)] == ["2", "9.avi", "10"]
    assert isinstance(open_video(tmp_path / "9.avi", tmp_path / "cache"), VideoFile)


def test_folder_of_images_is_one_video(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "v", ["0.png", "1.png"])
    assert find_videos(folder) == [folder]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No folder at .*nowhere"):
        find_videos(tmp_path / "nowhere")


def test_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="No video in"):
        find_videos(tmp_path)


def test_empty_folder_between_videos_is_named(tmp_path: Path) -> None:
    write_frames(tmp_path / "01", ["0.png"])
    (tmp_path / "02").mkdir()
    with pytest.raises(FileNotFoundError, match=r"No image in .*02, which lies between"):
        find_videos(tmp_path)


@pytest.mark.parametrize(("content", "complaint"), [(b"", "empty"), (b"\xff\xd8 no", "not a readable image")])
def test_bad_frame_is_named_before_training(tmp_path: Path, content: bytes, complaint: str) -> None:
    folder = write_frames(tmp_path / "v", ["0.jpg", "1.jpg"])
    (folder / "1.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=rf"1\.jpg is {complaint}"):
        FrameFolder(folder)


def test_frame_that_is_cut_off_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for name in ("0.jpg", "0.png"):
        folder = tmp_path / name[2:]
        folder.mkdir()
        cv2.imwrite(str(folder / name), noise)
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"0\.jpg is cut off"):
        FrameFolder(tmp_path / "jpg")
    with pytest.raises(ValueError, match=r"0\.png cannot be decoded"):
        FrameFolder(tmp_path / "png").read(0, 1)


def test_frame_of_another_size_is_named(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "v", ["0.png", "1.png"])
    cv2.imwrite(str(folder / "1.png"), np.zeros((6, 12), np.uint8))
    with pytest.raises(ValueError, match=r"1\.png is 6x12 .* 0\.png of the same video is 8x12"):
        FrameFolder(folder)
