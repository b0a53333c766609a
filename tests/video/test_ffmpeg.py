"""Files that people really have, each made here: what comes out is what a player shows, at its times."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from films import RATE, OneWay, pictures, remux, write_film

from anomalib_stmem.video.ffmpeg import FFmpegDecoder
from anomalib_stmem.video.frame import colour
from anomalib_stmem.video.reasons import NoVideoError

INTERLACED = 0x20000000 | 0x40000  # motion estimation and transform by fields


class Read:
    """Everything that a decoder gives."""

    def __init__(self, path: Path, frame_rate: float | None = None) -> None:
        self.decoder = decoder = FFmpegDecoder(path, frame_rate)
        self.seconds, self.images, self.gaps, self.damaged, self.share = [], [], [], [], []
        while decoder.advance():
            if decoder.follows_gap:
                self.gaps.append(len(self.seconds))
            if decoder.is_damaged:
                self.damaged.append(len(self.seconds))
            self.seconds.append(decoder.seconds)
            self.images.append(colour(decoder.picture()))
            self.share.append(decoder.share_read)
        decoder.close()


def shows(read: Read, frames: list[np.ndarray], within: float = 8.0) -> bool:
    """Whether each picture is the frame, but for coding."""
    pairs = zip(read.images, frames, strict=True)
    return all(np.abs(image.astype(float) - frame).mean() < within for image, frame in pairs)


def is_steady(seconds: list[float], rate: float = RATE) -> bool:
    """Whether the times are those of so many frames per second, right to a tenth of a frame."""
    return bool(np.allclose(seconds, np.arange(len(seconds)) / rate, atol=0.1 / rate))


def interlace(context: av.VideoCodecContext) -> None:
    context.flags = int(context.flags) | INTERLACED


# -- interlaced ------------------------------------------------------------------------------------------------------


def two_fields(number: int, size: tuple[int, int]) -> np.ndarray:
    """A bar that moves between the two fields of a frame, as it does before a camera."""
    frame = np.full((*size, 3), 80, np.uint8)
    for field in (0, 1):
        left = (16 * number + 8 * field) % (size[1] - 16)
        frame[field::2, left : left + 16] = 200
    return frame


def combing(image: np.ndarray) -> float:
    """How much the lines differ from those above and below, where their neighbours agree with each other."""
    grey = image[..., 1].astype(float)
    return float(np.abs(grey[1:-1] - (grey[:-2] + grey[2:]) / 2).mean())


@pytest.mark.parametrize(
    ("name", "codec", "size", "options"),
    [
        ("h264.mp4", "libx264", (96, 128), {"x264-params": "interlaced=1"}),
        ("mpeg2.mpg", "mpeg2video", (96, 128), {"b": "3000000"}),
        ("tape.dv", "dvvideo", (576, 720), {}),
    ],
)
def test_interlaced_video_is_made_whole(
    tmp_path: Path, name: str, codec: str, size: tuple[int, int], options: dict[str, str]
) -> None:
    frames = [two_fields(number, size) for number in range(12)]
    read = Read(write_film(tmp_path / name, frames, codec, rate=25, options=options, prepare=interlace))
    assert len(read.images) == 12
    assert is_steady(read.seconds, 25)
    assert min(image.mean() for image in read.images) > 60  # cv2 from 4.13 on shows black
    assert max(combing(image) for image in read.images) < 0.5 * min(combing(frame) for frame in frames)


# -- lengths, ends, suffixes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "container", "codec", "pix_fmt"),
    [
        ("browser.mkv", "matroska", "libx264", "yuv420p"),
        ("browser.webm", "webm", "libvpx", "yuv420p"),
        ("live.flv", "flv", "libx264", "yuv420p"),
        ("raspberry.h264", "h264", "libx264", "yuv420p"),
        ("phone.3gp", "3gp", "libx264", "yuv420p"),
        ("camera.m2ts", "mpegts", "libx264", "yuv420p"),
        ("old.asf", "asf", "wmv2", "yuv420p"),
        ("recorder.avi", "avi", "libx264", "yuv420p"),
        ("browser.gif", "gif", "gif", "rgb8"),
        ("new.mp4", "mp4", "libx265", "yuv420p"),
    ],
)
def test_file_without_length_is_a_file_with_an_end(
    tmp_path: Path, name: str, container: str, codec: str, pix_fmt: str
) -> None:
    frames, path = pictures(40), tmp_path / name
    if container in {"matroska", "webm", "flv"}:
        target = OneWay()
        write_film(target, frames, codec, pix_fmt, container)
        path.write_bytes(target.written)
    else:
        write_film(path, frames, codec, pix_fmt, container)
    read = Read(path)
    assert not read.decoder.is_endless
    assert shows(read, frames, within=40 if codec == "gif" else 8)  # which has 4 levels of blue
    assert is_steady(read.seconds)
    assert read.decoder.frame_rate == pytest.approx(RATE)
    assert read.decoder.damage.explain(name) is None
    assert read.share == sorted(read.share)
    assert 0 <= read.share[0] <= read.share[-1] <= 1


def test_raw_stream_without_a_rate_says_so_and_is_counted(tmp_path: Path) -> None:
    frames = pictures(20)
    path = write_film(tmp_path / "bare.mjpeg", frames, "mjpeg", "yuvj420p", "mjpeg")
    read = Read(path, frame_rate=5)
    assert (read.decoder.frame_rate, read.decoder.says_times) == (None, False)
    assert shows(read, frames)
    assert is_steady(read.seconds, 5)


def test_file_that_is_being_written_is_read_to_where_it_is(tmp_path: Path) -> None:
    target = OneWay()
    write_film(target, pictures(60), container="matroska", options={"g": "10"})
    (tmp_path / "now.mkv").write_bytes(target.written[: len(target.written) * 2 // 3])
    read = Read(tmp_path / "now.mkv")
    assert 20 < len(read.images) < 60
    assert read.decoder.damage.ends_early


# -- time stamps -----------------------------------------------------------------------------------------------------


def test_clock_that_starts_again_goes_on(tmp_path: Path) -> None:
    """As where a recorder's segments are joined with ``cat``."""
    part = write_film(tmp_path / "a.ts", pictures(30))
    (tmp_path / "joined.ts").write_bytes(3 * part.read_bytes())
    read = Read(tmp_path / "joined.ts")
    assert len(read.seconds) == 90
    assert is_steady(read.seconds)
    assert read.gaps == [30, 60]
    assert not read.decoder.damage.is_grave


@pytest.mark.parametrize("before", [1.0, 2.5])
def test_clock_of_33_bits_that_wraps_goes_on(tmp_path: Path, before: float) -> None:
    film = write_film(tmp_path / "a.mp4", pictures(40))
    remux(film, tmp_path / "wrap.ts", shift=2**33 / 90000 - before - 1.4)
    read = Read(tmp_path / "wrap.ts")
    assert len(read.seconds) == 40
    assert is_steady(read.seconds)


def test_negative_and_missing_stamps(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", pictures(40))
    remux(film, tmp_path / "negative.mkv", shift=-2)
    read = Read(tmp_path / "negative.mkv")
    assert len(read.seconds) == 40
    assert is_steady(read.seconds)


def test_stamps_of_their_own_are_kept(tmp_path: Path) -> None:
    """25 per second by day, half of it by night."""
    stamps = [*range(20), *range(20, 60, 2)]
    read = Read(write_film(tmp_path / "a.mp4", pictures(40), rate=25, stamps=stamps))
    assert np.allclose(read.seconds, np.array(stamps) / 25, atol=0.001)


def test_rate_of_a_jittering_file_is_that_of_its_frames(tmp_path: Path) -> None:
    """Times to the hundredth, as phones write them: FFmpeg also guesses 100 frames per second."""
    stamps = [10 * number + 3 * (number % 2) for number in range(40)]
    read = Read(write_film(tmp_path / "a.mp4", pictures(40), rate=100, stamps=stamps))
    assert read.decoder.frame_rate == pytest.approx(10, rel=0.03)
    assert np.allclose(read.seconds, np.array(stamps) / 100, atol=0.001)


def test_frames_that_avi_keeps_in_the_order_of_decoding_have_rising_times(tmp_path: Path) -> None:
    noise = [np.random.default_rng(number).integers(0, 255, (48, 64, 3), np.uint8) for number in range(40)]
    options = {"bf": "3", "x264-params": "b-adapt=0:b-pyramid=none", "crf": "10"}
    read = Read(write_film(tmp_path / "dvr.avi", noise, options=options))
    assert len(read.seconds) == 40
    assert (np.diff(read.seconds) > 0.04).all()
    assert abs(read.seconds[-1] - 3.9) < 0.11


# -- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.avi", "a.flv"])
def test_file_that_is_cut_off_says_where(tmp_path: Path, name: str) -> None:
    container_options = {"movflags": "faststart"} if name == "a.mp4" else {}
    frames = [np.random.default_rng(number).integers(0, 255, (48, 64, 3), np.uint8) for number in range(60)]
    codec = "mjpeg" if name == "a.avi" else "libx264"
    pix_fmt = "yuvj420p" if name == "a.avi" else "yuv420p"
    path = write_film(tmp_path / name, frames, codec, pix_fmt, container_options=container_options)
    whole = path.read_bytes()
    assert Read(path).decoder.damage.explain(name) is None
    path.write_bytes(whole[: len(whole) // 2])
    read = Read(path)
    damage = read.decoder.damage
    assert 20 < len(read.images) < 40
    assert damage.ends_early
    assert damage.is_grave
    assert f"cut off at {read.seconds[-1]:.1f} s" in damage.explain(name, read.seconds[-1])
    if name != "a.flv":
        assert damage.missing_seconds == pytest.approx(6 - len(read.images) / RATE, abs=0.31)


def test_frames_that_the_decoder_complains_of_are_counted_and_named(tmp_path: Path) -> None:
    frames = [np.random.default_rng(number).integers(0, 255, (48, 64, 3), np.uint8) for number in range(60)]
    path = write_film(tmp_path / "a.mp4", frames, options={"g": "5", "bf": "0"})
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    path.write_bytes(content)
    read = Read(path)
    damage = read.decoder.damage
    assert 1 <= damage.num_frames <= 5
    assert damage.num_seen == 60
    assert 2 < damage.seconds[0] < 4
    assert not damage.ends_early
    said = f"{damage.num_frames} of 60 frames are damaged, the first at {damage.seconds[0]:.1f} s"
    assert said in damage.explain("a")
    assert not read.damaged or 20 < read.damaged[0] < 40


def test_frame_that_is_shown_with_rubbish_is_marked(tmp_path: Path) -> None:
    frames = [np.random.default_rng(number).integers(0, 255, (48, 64, 3), np.uint8) for number in range(60)]
    path = write_film(tmp_path / "a.mjpeg", frames, "mjpeg", "yuvj420p", "mjpeg")
    content = path.read_bytes()
    starts = [at for at in range(len(content)) if content.startswith(b"\xff\xd8", at)]
    hole = slice(starts[50] + 700, starts[50] + 1000)
    path.write_bytes(content[: hole.start] + bytes(300) + content[hole.stop :])
    read = Read(path, frame_rate=10)
    assert read.damaged == [50]
    assert (read.decoder.damage.num_frames, read.decoder.damage.num_lost, len(read.images)) == (1, 0, 60)


def test_edit_list_is_no_cut(tmp_path: Path) -> None:
    """A file that shows only a part of what it holds, as phones and ``ffmpeg -ss`` write it, is whole."""
    path = write_film(tmp_path / "a.mp4", pictures(40), options={"bf": "0"})
    content = bytearray(path.read_bytes())
    at = content.index(b"elst") + 12
    duration, start = struct.unpack_from(">II", content, at)
    struct.pack_into(">II", content, at, duration // 2, start)
    path.write_bytes(content)
    read = Read(path)
    assert 15 <= len(read.images) <= 40
    assert not read.decoder.damage.is_grave


# -- pictures --------------------------------------------------------------------------------------------------------


def bands(size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Blue, green, red and grey, from left to right; and black above, so that up is known."""
    image = np.zeros((*size, 3), np.uint8)
    quarter = size[1] // 4
    for place, bgr in enumerate([(200, 60, 60), (60, 180, 60), (60, 60, 200), (128, 128, 128)]):
        image[:, place * quarter : (place + 1) * quarter] = bgr
    image[: size[0] // 4] = 16
    return image


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "options"),
    [
        ("a.mp4", "libx264", "yuv420p", {}),
        ("a.mp4", "libx264", "yuvj420p", {}),
        ("a.mp4", "libx264", "yuv444p", {}),
        ("a.mp4", "libx264", "yuv420p10le", {}),
        ("a.mp4", "libx265", "yuv420p12le", {}),
        ("a.mov", "prores_ks", "yuv422p10le", {}),
        ("a.mkv", "ffv1", "bgr0", {}),
        ("a.webm", "libvpx-vp9", "yuva420p", {}),
        ("a.mov", "png", "rgba", {}),
        ("a.avi", "mjpeg", "yuvj422p", {"q": "2"}),
        ("a.mkv", "rawvideo", "yuv420p", {}),
    ],
)
def test_colours_are_those_that_a_player_shows(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, options: dict[str, str]
) -> None:
    read = Read(write_film(tmp_path / name, [bands()] * 5, codec, pix_fmt, options=options))
    for image in read.images:
        assert np.abs(image[16:44, 4:60:16].astype(int) - bands()[16:44, 4:60:16]).max() < 26
        assert image[:8].max() < 40


@pytest.mark.parametrize("pix_fmt", ["gray", "yuvj420p", "yuv420p"])
def test_grey_is_the_same_by_whatever_way_it_is_kept(tmp_path: Path, pix_fmt: str) -> None:
    codec = "ffv1" if pix_fmt == "gray" else "libx264"
    frame = np.repeat(np.tile(np.arange(64, dtype=np.uint8) * 3 + 20, (48, 1))[..., None], 3, axis=2)
    options = {} if codec == "ffv1" else {"crf": "1"}
    read = Read(write_film(tmp_path / "a.mkv", [frame] * 3, codec, pix_fmt, options=options))
    assert max(np.abs(image.astype(int) - frame).max() for image in read.images) <= 6


def turn(path: Path, turns: int) -> None:
    """Write the matrix of the track's header, as phones do: shown turned clockwise."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    a, b = {1: (0, 1), 2: (-1, 0), 3: (0, -1)}[turns]
    matrix = (a << 16, b << 16, 0, -b << 16, a << 16, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", content, at, *matrix)
    path.write_bytes(content)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotation_of_the_file_is_obeyed(tmp_path: Path, turns: int) -> None:
    path = write_film(tmp_path / "a.mp4", [bands()] * 4)
    turn(path, turns)
    wanted = np.rot90(bands(), -turns)
    (image, *_) = Read(path).images
    assert image.shape == wanted.shape
    assert np.abs(image.astype(int) - wanted).mean() < 8


@pytest.mark.parametrize(("aspect", "width"), [(Fraction(2), 128), (Fraction(1, 2), 32), (Fraction(8, 9), 57)])
def test_pixels_that_are_not_square_are_made_so(tmp_path: Path, aspect: Fraction, width: int) -> None:
    (image, *_) = Read(write_film(tmp_path / "a.mp4", [bands()] * 4, pixel_aspect=aspect)).images
    assert image.shape == (48, width, 3)
    assert np.abs(image.astype(int) - cv2.resize(bands(), (width, 48))).mean() < 10


def test_pixels_that_are_not_square_are_turned_with_the_picture(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", [bands()] * 4, pixel_aspect=Fraction(2))
    turn(path, 1)
    (image, *_) = Read(path).images
    assert image.shape == (64, 24, 3)  # in the proportion of 128x48


@pytest.mark.parametrize(("size", "pix_fmt"), [((1, 1), "yuv444p"), ((17, 23), "yuv444p"), ((2160, 3840), "yuv420p")])
def test_sizes_from_one_pixel_to_4k(tmp_path: Path, size: tuple[int, int], pix_fmt: str) -> None:
    frames = [np.full((*size, 3), 40 * number, np.uint8) for number in range(3)]
    read = Read(write_film(tmp_path / "a.mkv", frames, "ffv1", pix_fmt))
    assert [image.shape for image in read.images] == [(*size, 3)] * 3
    assert shows(read, frames, within=3)


def test_cover_is_not_the_video(tmp_path: Path) -> None:
    """A file with sound first, and a picture of its cover as the first video."""
    film = write_film(tmp_path / "a.mp4", pictures(10))
    with av.open(str(film)) as given, av.open(str(tmp_path / "b.mkv"), "w") as output:
        sound = output.add_stream("aac", rate=8000)
        copied = output.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = copied
                output.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        output.mux([*sound.encode(frame), *sound.encode(None)])
    assert len(Read(tmp_path / "b.mkv").images) == 10


# -- what is no video ------------------------------------------------------------------------------------------------


def png(path: Path) -> None:
    path.write_bytes(cv2.imencode(".png", bands())[1].tobytes())


def no_index(path: Path) -> None:
    film = write_film(path.with_suffix(".mp4"), pictures(30))
    path.write_bytes(film.read_bytes()[:1500])


def unknown_codec(path: Path) -> None:
    content = write_film(path.with_suffix(".mp4"), pictures(10)).read_bytes()
    path.write_bytes(content.replace(b"avc1", b"zzzz"))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (unknown_codec, "FFmpeg has no decoder for it"),
        (lambda path: path.touch(), "it is empty (0 bytes)"),
        (lambda path: path.write_text("<html>Login</html>"), "it is a web page"),
        (lambda path: path.write_text("ERROR 404"), "it is text, and no video"),
        (lambda path: path.write_bytes(b"\0" * 5000), "it is no video, or damaged from its beginning"),
        (png, "it is a picture, and no video"),
        (no_index, "its index is missing, because the recording was cut off before its end"),
    ],
)
def test_what_is_no_video_is_told_apart(tmp_path: Path, make, why: str) -> None:  # noqa: ANN001
    make(tmp_path / "a.mov")
    with pytest.raises(NoVideoError) as error:
        FFmpegDecoder(tmp_path / "a.mov")
    assert str(error.value) == why


def test_messages_hold_nothing_of_an_address() -> None:
    with pytest.raises(NoVideoError) as error:
        FFmpegDecoder("http://user:secret@127.0.0.1:9/live?token=secret", timeouts=(2.0, 2.0))
    assert str(error.value) == "nothing answers at this host and port"
