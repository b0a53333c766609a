"""Old films make room for new ones, and what is written down stays."""

import os
from pathlib import Path

import pytest

from anomalib_stmem.watching import space
from anomalib_stmem.watching.space import Space, bytes_of

KILO = 1000
FILMS = ("annotated.mp4", "plain.mp4", "events/0001.mp4")


@pytest.mark.parametrize(
    ("text", "size"), [("50GB", 50e9), ("1.5 TB", 1.5e12), ("500MB", 5e8), ("10kB", 1e4), ("7B", 7)]
)
def test_sizes(text: str, size: float) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["50", "GB", "0GB", "-1GB", "50GiB", "fifty"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=f"--keep {text} is no size. Expected a number and a unit, as 50GB"):
        bytes_of(text)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two watches of two videos each; every film has 10 kB, the first watch's are older."""
    for age, watch in enumerate(("watch_2", "watch")):
        for video in ("gate", "yard"):
            folder = tmp_path / watch / video
            (folder / "events").mkdir(parents=True)
            for name in (
                "annotated.mp4",
                "plain.mp4",
                "events/0001.mp4",
                "events/0001.jpg",
                "scores.csv",
                "x.mp4.part",
            ):
                (folder / name).write_bytes(bytes(10 * KILO))
                os.utime(folder / name, (1e9 - 1000 * age, 1e9 - 1000 * age))
        (tmp_path / watch / "run.json").write_text("{}")
    return tmp_path


def films(results: Path) -> set[str]:
    return {path.relative_to(results).as_posix() for path in results.rglob("*.mp4")}


def looked(results: Path, limit: float | None) -> list[str]:
    told: list[str] = []
    Space(results / "watch", limit, told.append).look()
    return told


def test_whole_films_go_first_and_the_oldest_of_them(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "LEAST_FREE", 0)
    assert films(results) == films(results)
    before = films(results)
    assert looked(results, 95 * KILO) == ["The 3 oldest films were deleted: 0 MB, for --keep."]
    gone = before - films(results)
    assert len(gone) == 3
    assert all(name.startswith("watch/") and "events" not in name for name in gone)
    assert looked(results, 95 * KILO) == []
    looked(results, 30 * KILO)
    assert {name.rpartition("/")[2] for name in films(results)} == {"0001.mp4"}
    assert len(films(results)) == 3
    assert "watch/gate/events/0001.mp4" not in films(results) or "watch/yard/events/0001.mp4" not in films(results)
    looked(results, 1)
    assert not films(results)
    assert (
        len(list(results.rglob("*.jpg")))
        == len(list(results.rglob("scores.csv")))
        == len(list(results.rglob("*.part")))
        == 4
    )


def test_nothing_goes_without_a_limit_but_it_is_told(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "LEAST_FREE", 1e18)
    (told,) = looked(results, None)
    assert "MB are free on the disk of" in told
    assert told.endswith("Say --keep 50GB to let the oldest films go.")
    assert len(films(results)) == 12


def test_full_disk_lets_films_go_below_the_limit(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "LEAST_FREE", 1e18)
    assert len(looked(results, 1e12)) == 2
    assert not films(results)


def test_disk_that_is_gone_is_no_error(tmp_path: Path) -> None:
    assert looked(tmp_path / "gone" / "results", 1) == []
