"""What lies at a path: found by looking, with what is passed over and what goes wrong named."""

import os
import shutil
import socket
from pathlib import Path

import pytest
from films import pictures, write_film
from makers import write_frames, write_video

from anomalib_stmem.video.finding import find_videos, videos_at, what_it_holds
from anomalib_stmem.video.names import shown
from anomalib_stmem.video.source import find_sources

UNREADABLE = pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "a.mp4", pictures(8))


def names(folder: Path, said: list[str]) -> list[str]:
    return [shown(path.relative_to(folder)) for path in find_videos(folder, said.append)]


def test_video_of_any_suffix_is_found_by_looking(tmp_path: Path, film: Path) -> None:
    for name in ("1.dat", "2", "3.bak.mp4.1", "4.MP4", "5.ts"):
        shutil.copy(film, tmp_path / name)
    (tmp_path / "6.bin").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "notes").write_text("hello")
    (tmp_path / "labels.csv").write_text("video,start,end\n")
    said: list[str] = []
    assert names(tmp_path, said) == ["1.dat", "2", "3.bak.mp4.1", "4.MP4", "5.ts"]
    (line,) = said
    assert ": passed over as no video: 3 files (" in line
    assert all(name in line for name in ("6.bin", "notes", "labels.csv"))


def test_pictures_beside_videos_are_passed_over(tmp_path: Path, film: Path) -> None:
    shutil.copy(film, tmp_path / "a.mp4")
    write_frames(tmp_path / "x", ["cover.png"])
    shutil.move(tmp_path / "x" / "cover.png", tmp_path / "cover.png")
    (tmp_path / "x").rmdir()
    said: list[str] = []
    assert names(tmp_path, said) == ["a.mp4"]
    assert ": passed over as no video: 1 file (cover.png)" in said[0]


def test_links_are_followed_once_and_hidden_folders_never(tmp_path: Path, film: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    shutil.copy(film, real / "a.mp4")
    archive = tmp_path / "archive"
    (archive / ".trash").mkdir(parents=True)
    shutil.copy(film, archive / ".trash" / "old.mp4")
    shutil.copy(film, archive / ".hidden.mp4")
    (archive / "linked").symlink_to(real)
    (archive / "film.mp4").symlink_to(film)
    (real / "circle").symlink_to(archive)
    assert names(archive, []) == ["film.mp4", "linked/a.mp4"]


def test_broken_link_says_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").symlink_to(tmp_path / "gone.mp4")
    with pytest.raises(FileNotFoundError, match=r"a\.mp4 is a link to .*gone\.mp4, which is not there"):
        videos_at(tmp_path / "a.mp4")
    with pytest.raises(FileNotFoundError, match="is a link to"):
        find_sources([str(tmp_path / "a.mp4")])


@UNREADABLE
def test_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    write_video(tmp_path / "all" / "open" / "a.avi", 3)
    shut = tmp_path / "all" / "shut"
    shut.mkdir(mode=0)
    try:
        with pytest.raises(PermissionError, match=r"The folder .*shut may not be read"):
            find_videos(tmp_path / "all")
    finally:
        shut.chmod(0o700)


@pytest.mark.parametrize(
    "name",
    [
        "100% gate.mp4",
        "gate#1.mp4",
        "cam%03d.mp4",
        "Tür ゲート.mp4",
        'it\'s "x".mp4',
        "-gate.mp4",
        "gate=1.mp4",
        "rec@10:30.mp4",
        "[gate].mp4",
        "0.mp4",
        "0",
        "2024-03-01T10:30:00.mp4",
        "C:\\x.mp4",
        "new\nline.mp4",
        "..mp4",
        "a" * 240 + ".mp4",
        os.fsdecode(b"caf\xe9 \xff.mp4"),
    ],
)
def test_file_that_exists_is_a_file_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, film: Path, name: str
) -> None:
    from anomalib_stmem.video.connection import open_source

    shutil.copy(film, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for text in (name, str(tmp_path / name)):
        (source,) = find_sources([text])
        assert source.kind == "file"
        source.shown.encode()  # it can be printed
        source.name.encode()
        decoder = open_source(source, 10.0)
        assert decoder.advance()
        decoder.close()


def test_device_socket_and_pipe_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"/dev/null is a device and no camera\. Expected a file, a folder, a URL"):
        find_sources(["/dev/null"])
    with pytest.raises(FileNotFoundError, match=r"There is no device /dev/video77\. Plug the camera in"):
        find_sources(["/dev/video77"])
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "s"))
        with pytest.raises(ValueError, match="is a socket, which holds no video"):
            find_sources([str(tmp_path / "s")])
    os.mkfifo(tmp_path / "p.mkv")
    (source,) = find_sources([f"gate={tmp_path / 'p.mkv'}"])
    assert (source.name, source.kind) == ("gate", "file")


def test_two_that_collide_are_named_and_no_third(tmp_path: Path, film: Path) -> None:
    for name in ("a.mp4", "gate#1.mp4", "gate=1.mp4", "z.mp4"):
        shutil.copy(film, tmp_path / name)
    with pytest.raises(ValueError, match=r"gate[#=]1\.mp4 and .*gate[#=]1\.mp4 would both be called gate_1"):
        find_sources([str(tmp_path)])
    shutil.copy(film, tmp_path / "a.mkv")
    with pytest.raises(ValueError, match=r"a\.m(p4|kv) and .*a\.m(p4|kv) are two videos of one name"):
        find_videos(tmp_path)


def test_suffix_decides_without_opening(tmp_path: Path) -> None:
    """A hundred thousand files are listed, not read."""
    assert [what_it_holds(tmp_path / name) for name in ("a.mp4", "a.JPG", "a.txt")] == ["video", "picture", "neither"]
