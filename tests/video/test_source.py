from pathlib import Path

import pytest
from makers import write_numbered, write_video

from anomalib_stmem.video.names import folder_of
from anomalib_stmem.video.source import find_sources, masked, without_password


def test_files_folders_cameras_and_streams(tmp_path: Path) -> None:
    video = write_video(tmp_path / "gate.avi")
    write_video(tmp_path / "all" / "north" / "1.avi")
    write_numbered(tmp_path / "all" / "2", 3)
    sources = find_sources(
        [str(video), str(tmp_path / "all"), "0", "rtsp://user:secret@10.0.0.7:554/live?token=secret"]
    )
    assert [(source.name, source.kind) for source in sources] == [
        ("gate", "file"),
        ("2", "file"),
        ("north/1", "file"),
        ("camera0", "camera"),
        ("10.0.0.7_554_live", "stream"),
    ]
    assert sources[-1].shown == "rtsp://10.0.0.7:554/live"
    assert "secret" not in repr(sources)


def test_names_are_the_users(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a=b.avi")
    gate, own = find_sources([f"gate={video}", str(video)])
    assert (gate.name, own.name) == ("gate", "a=b")
    (yard,) = find_sources(["yard=rtsp://10.0.0.7/live?a=b"])
    assert (yard.name, yard.address) == ("yard", "rtsp://10.0.0.7/live?a=b")


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    one, two = write_video(tmp_path / "1" / "gate.avi"), write_video(tmp_path / "2" / "gate.avi")
    with pytest.raises(ValueError, match=r"1.gate\.avi and .*2.gate\.avi would both be called gate\. .*NAME=SOURCE"):
        find_sources([str(one), str(two)])
    assert len(find_sources([str(one), f"other={two}"])) == 2


def test_missing_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no .*nothing\.mp4"):
        find_sources(["nothing.mp4"])


@pytest.mark.parametrize("name", ["../../etc", "/etc/passwd", "..", "a/../../b"])
def test_results_stay_below_their_folder(name: str, tmp_path: Path) -> None:
    assert (tmp_path / folder_of(name)).resolve().is_relative_to(tmp_path)
    assert folder_of(name) != Path()


def test_url_without_its_secrets() -> None:
    assert without_password("http://u:p@host/a?b=c#d") == "http://host/a"


@pytest.mark.parametrize(
    "url", ["rtsp://user:se/cret@host/x", "rtsp://user:12/34@host/x", "rtsp://user:1?secret@host", "http://[secret/x"]
)
def test_password_that_breaks_its_url_is_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match="A URL cannot be read") as refused:
        find_sources([url])
    assert not any(part in str(refused.value) for part in ("se/", "cret", "12", "34"))
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert find_sources(["rtsp://user:se%2Fcret@host/x"])[0].shown == "rtsp://host/x"


MALFORMED = [
    "rtsp:/user:secret@host/x",
    "rtsp:user:secret@host",
    "RTSP:/user:sec@ret@host/x",
    "http:/u:secret@h?key=secret",
]


@pytest.mark.parametrize("address", [*MALFORMED, *(f"gate={address}" for address in MALFORMED)])
def test_malformed_address_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(ValueError, match="A URL cannot be read") as refused:
        find_sources([address])
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        *((f"There is no {address}.", None) for address in MALFORMED),
        ("lost rtsp://user:secret@10.0.0.7:554/live?key=secret , again", "lost rtsp://***@10.0.0.7:554/live , again"),
        ("cannot read 'http://h/x?token=secret'", "cannot read 'http://h/x'"),
        ("There is no /videos/mail@home.mp4.", "There is no /videos/mail@home.mp4."),
        ("12:30:05 gate: 3 events?", "12:30:05 gate: 3 events?"),
    ],
)
def test_no_text_shows_a_password(text: str, shown: str | None) -> None:
    assert "secret" not in masked(text)
    if shown is not None:
        assert masked(text) == shown


def test_name_of_a_folder_is_put_before_the_names_of_its_videos(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_video(tmp_path / "two" / f"{name}.avi")
    write_video(tmp_path / "one" / "c.avi")
    sources = find_sources([f"gate={tmp_path / 'two'}", f"yard={tmp_path / 'one'}"])
    assert [source.name for source in sources] == ["gate/a", "gate/b", "yard"]
