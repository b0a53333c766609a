import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from makers import write_frames, write_video

from anomalib_stmem.video.finding import find_videos
from anomalib_stmem.video.frame import planes
from anomalib_stmem.video.names import video_name
from anomalib_stmem.video.recorded import FrameFolder, VideoFile, open_video


def values(video) -> list[int]:  # noqa: ANN001
    """Grey value of each frame in whole tens, as the makers write them."""
    return [10 * round(float(frame.mean()) / 10) for frame in video.frames()]


# -- folders of images


def test_frames_come_in_natural_order_as_rgb(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "v", ["f10.png", "f9.png", "f100.png"])
    cv2.imwrite(str(folder / "f9.png"), np.full((8, 12, 3), (1, 2, 3), np.uint8))  # BGR
    frames = list(FrameFolder(folder).frames())
    assert frames[0].shape == (3, 8, 12)
    assert frames[0][:, 0, 0].tolist() == [3, 2, 1]
    assert [frame[0, 0, 0] for frame in frames[1:]] == [0, 20]


def test_hidden_and_foreign_files_are_passed_over(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "v", ["0.png", "1.png"])
    (folder / "._0.png").write_bytes(b"apple")
    (folder / "notes.txt").write_text("no frame")
    assert FrameFolder(folder).num_frames == 2


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.full((9, 7), 40, np.uint8), [40, 40, 40]),
        (np.full((9, 7), 40 * 257, np.uint16), [40, 40, 40]),
        (np.full((9, 7, 3), (10, 20, 30), np.uint8), [30, 20, 10]),
        (np.full((9, 7, 3), np.array([10, 20, 30]) * 257, np.uint16), [30, 20, 10]),
    ],
    ids=["grey", "grey 16 bits", "colour", "colour 16 bits"],
)
def test_tiff_of_any_depth_becomes_eight_bit_rgb(tmp_path: Path, image: np.ndarray, expected: list[int]) -> None:
    cv2.imwrite(str(tmp_path / "0.tif"), image)
    (frame,) = FrameFolder(tmp_path).frames()
    assert frame.dtype == np.uint8
    assert frame[:, 4, 3].tolist() == expected


def test_path_with_spaces_and_foreign_letters(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "Straße 7 ± 門", ["0.png", "1.png"])
    assert values(FrameFolder(folder)) == [0, 10]
    film = write_video(tmp_path / "Straße 7 ± 門.avi", 3)
    assert values(VideoFile(film)) == [0, 10, 20]


def test_read_only_folder_is_read(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "v", ["0.png", "1.png"])
    write_video(tmp_path / "w.avi", 3)
    tmp_path.chmod(0o555)
    folder.chmod(0o555)
    try:
        assert [open_video(path).num_frames for path in find_videos(tmp_path)] == [2, 3]
    finally:
        tmp_path.chmod(0o755)
        folder.chmod(0o755)


@pytest.mark.parametrize(("content", "complaint"), [(b"", "empty"), (b"\xff\xd8 no", "no picture that can be read")])
def test_bad_frame_is_named_before_training(tmp_path: Path, content: bytes, complaint: str) -> None:
    folder = write_frames(tmp_path / "v", ["0.jpg", "1.jpg", "2.jpg"])
    (folder / "1.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=rf"1\.jpg is {complaint}"):
        FrameFolder(folder)


def test_frames_before_a_bad_one_are_kept_where_asked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_frames(tmp_path / "v", ["0.jpg", "1.jpg", "2.jpg", "3.jpg"])
    (folder / "2.jpg").write_bytes(b"torn")
    video = FrameFolder(folder, damaged="keep")
    assert (video.num_frames, video.cut_off) == (2, True)
    assert "Using the 2 frames before this one" in caplog.text


def test_frame_that_is_cut_off_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for name in ("0.jpg", "0.png"):
        folder = tmp_path / name[2:]
        folder.mkdir()
        cv2.imwrite(str(folder / name), noise)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"0\.jpg is cut off"):
        FrameFolder(tmp_path / "jpg")
    with pytest.raises(ValueError, match=r"0\.png is cut off"):
        FrameFolder(tmp_path / "png")


def test_frame_of_another_size_is_named(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "v", ["0.png", "1.png"])
    cv2.imwrite(str(folder / "1.png"), np.zeros((6, 12), np.uint8))
    with pytest.raises(ValueError, match=r"1\.png is 6x12 .* 0\.png of the same video is 8x12"):
        FrameFolder(folder)


# -- video files


def test_video_file_yields_its_frames(tmp_path: Path) -> None:
    video = VideoFile(write_video(tmp_path / "v.avi"))
    assert (video.num_frames, video.source_hw, video.frame_rate) == (7, (16, 32), 10)
    assert values(video) == [0, 10, 20, 30, 40, 50, 60]
    assert abs(next(video.frames(4)).mean() - 40) < 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty (0 bytes)"),
        (b"not a video at all", "it is text, and no video"),
        (b"<!DOCTYPE html><title>Login</title>", "it is a web page"),
        (bytes(range(256)), "it is no video, or damaged from its beginning"),
    ],
)
def test_undecodable_video_is_named(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "bad.avi"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"bad.avi: {why}.")):
        VideoFile(path)


def test_cut_off_video_is_refused_or_used_up_to_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "v.avi", 40)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"cut off at \d\.\d s, and \d\.\d s are missing.*--data\.damaged keep"):
        VideoFile(path)
    video = VideoFile(path, damaged="keep")
    assert 5 < video.num_frames < 30
    assert video.cut_off
    assert values(video) == [10 * place for place in range(video.num_frames)]
    assert "cut off" in caplog.text
    assert "The rest is used." in caplog.text
    assert "cut off" in video.damage_said


def test_few_frames_too_many_announced_are_no_damage(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", 40)
    content = bytearray(path.read_bytes())
    for header in (b"avih", b"strh"):  # total frames of the file, length of the stream
        at = content.index(header) + 8 + (16 if header == b"avih" else 32)
        assert struct.unpack_from("<I", content, at) == (40,)
        struct.pack_into("<I", content, at, 41)
    path.write_bytes(content)
    assert int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT)) == 41
    video = VideoFile(path)
    assert (video.num_frames, video.cut_off) == (40, False)


def test_video_that_changes_while_it_is_read_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", 9)
    video = VideoFile(path)
    write_video(path, 5)
    with pytest.raises(ValueError, match=r"Frame 5 of .*v\.avi could be decoded before.*changed"):
        list(video.frames())


def test_frames_are_exact_with_b_frames(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="writes H.264 with B-frames")
    path = tmp_path / "b.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=10, options={"crf": "1", "x264-params": "bframes=3:b-adapt=0:scenecut=0"}
        )
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for place in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), 8 * place, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        kinds = {str(int(frame.pict_type)) for frame in container.decode(video=0)}
    assert "3" in kinds, kinds  # 3 is a B-frame
    video = VideoFile(path)
    assert np.abs(np.array([frame.mean() for frame in video.frames()]) - 8 * np.arange(30)).max() <= 2
    assert abs(next(video.frames(17)).mean() - 8 * 17) <= 2


def test_video_is_turned_as_its_metadata_say(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 3, codec="mp4v", size=(16, 32))
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40  # the display matrix of the track, for version 0
    quarter_turn = (0, 0x00010000, 0, -0x00010000 & 0xFFFFFFFF, 0, 0, 0, 0, 0x40000000)
    struct.pack_into(">9I", content, at, *quarter_turn)
    path.write_bytes(content)
    video = VideoFile(path)
    assert video.source_hw == (32, 16)
    assert next(video.frames()).shape == (3, 32, 16)


# -- finding and resizing


def test_videos_are_found_in_natural_order_whatever_their_kind_and_depth(tmp_path: Path) -> None:
    write_frames(tmp_path / "10", ["0.png"])
    write_video(tmp_path / "9.avi")
    write_frames(tmp_path / "2" / "b", ["0.png"])
    write_video(tmp_path / "2" / "a.mp4", codec="mp4v")
    (tmp_path / "readme.txt").touch()
    found = find_videos(tmp_path)
    assert [video_name(path, tmp_path) for path in found] == ["2/a", "2/b", "9", "10"]
    assert [type(open_video(path)) for path in found] == [VideoFile, FrameFolder, VideoFile, FrameFolder]


def test_folder_of_images_is_one_video(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "v", ["0.png", "1.png"])
    assert find_videos(folder) == [folder]
    assert video_name(folder, folder) == "v"


def test_two_videos_of_one_name_are_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "1.avi")
    write_frames(tmp_path / "1", ["0.png"])
    with pytest.raises(ValueError, match=r"two videos of one name"):
        find_videos(tmp_path)


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


@pytest.mark.parametrize("size", [(4, 6), (16, 24), (5, 31)])
def test_resize_keeps_the_mean(size: tuple[int, int]) -> None:
    rows = np.linspace(0, 255, 8, dtype=np.uint8)[:, None, None]
    image = np.broadcast_to(rows, (8, 12, 3)).copy()
    small = planes(image, size)
    assert small.shape == (3, *size)
    assert abs(small.mean() - image.mean()) < 2


def test_right_size_is_only_rearranged() -> None:
    image = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)  # BGR
    np.testing.assert_array_equal(planes(image, (8, 12)), image[:, :, ::-1].transpose(2, 0, 1))


@pytest.mark.parametrize("size", [(1080, 1620), (1081, 1623), (2160, 3240), (480, 704)])
def test_large_picture_is_halved_first_and_hardly_differs(size: tuple[int, int]) -> None:
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8), (0, 0), 8)
    at_once = cv2.resize(image, (352, 240), interpolation=cv2.INTER_AREA)[:, :, ::-1].transpose(2, 0, 1)
    difference = np.abs(planes(image, (240, 352)).astype(int) - at_once)
    assert difference.max() <= 4
    assert difference.mean() < 0.7
