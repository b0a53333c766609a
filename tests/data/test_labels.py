from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from makers import square_masks, write_frames, write_mask_images, write_numbered

from anomalib_stmem.data.labels import (
    MOST_FRAMES,
    LabelledVideo,
    load_intervals,
    load_labels,
    mark,
    split_labels,
    spread,
    whole,
    without_gaps,
)
from anomalib_stmem.data.masks import MaskImages
from anomalib_stmem.video.recorded import FrameFolder, Video

COUNTS = {"a": 24, "gate/b": 24}


@pytest.fixture
def video(tmp_path: Path) -> Video:
    return FrameFolder(write_numbered(tmp_path / "v", 6))


def test_labels_are_split_by_video(tmp_path: Path) -> None:
    values = np.arange(48) % 5 == 0
    np.save(tmp_path / "labels.npy", values.astype(np.uint8)[None])  # MNAD's files are (1, n)
    parts = split_labels(tmp_path / "labels.npy", COUNTS)
    np.testing.assert_array_equal(parts["a"], values[:24])
    np.testing.assert_array_equal(parts["gate/b"], values[24:])


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (np.zeros(47), r"holds 47 labels, but the videos have 48 frames \(a: 24, gate/b: 24\)"),
        (np.full(48, 2), r"other than 0 \(normal\) and 1"),
        (np.full(48, 0.5), r"other than 0 \(normal\) and 1"),
    ],
)
def test_wrong_labels_are_refused(tmp_path: Path, values: np.ndarray, complaint: str) -> None:
    np.save(tmp_path / "labels.npy", values)
    with pytest.raises(ValueError, match=complaint):
        split_labels(tmp_path / "labels.npy", COUNTS)


@pytest.mark.parametrize("load", [load_labels, lambda path: load_intervals(path, COUNTS)])
def test_missing_label_file_is_named(tmp_path: Path, load) -> None:  # noqa: ANN001
    with pytest.raises(FileNotFoundError, match=r"No label file at .*labels\.x"):
        load(tmp_path / "labels.x")


def test_intervals_count_from_zero_and_include_both_ends(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("video,start,end\ngate/b,0,2\ngate/b,23,23\n")
    labels = load_intervals(tmp_path / "labels.csv", COUNTS)
    assert not labels["a"].any()
    assert np.flatnonzero(labels["gate/b"]).tolist() == [0, 1, 2, 23]


def test_video_names_that_look_like_numbers_stay_text(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("video,start,end\n01,1,1\n")
    assert load_intervals(tmp_path / "labels.csv", {"01": 3})["01"].tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("a,20,24", r"line 2: the interval 20 to 24 is not inside frames 0 to 23 of video a"),
        ("a,-1,3", "not inside frames 0 to 23"),
        ("a,5,4", "the interval 5 to 4"),
        ("a,five,6", "the interval five to 6"),
        ("c,0,1", r"no video 'c'\. The videos are a, gate/b"),
    ],
)
def test_wrong_intervals_are_named_with_their_line(tmp_path: Path, row: str, complaint: str) -> None:
    (tmp_path / "labels.csv").write_text(f"video,start,end\n{row}\n")
    with pytest.raises(ValueError, match=complaint):
        load_intervals(tmp_path / "labels.csv", COUNTS)


def test_missing_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("video,from,to\na,0,1\n")
    with pytest.raises(ValueError, match=r"lacks the columns \['end', 'start'\]"):
        load_intervals(tmp_path / "labels.csv", COUNTS)


def test_matlab_stretches_count_from_one() -> None:
    assert np.flatnonzero(mark(10, [(1, 2), (10, 10)], "x")).tolist() == [0, 1, 9]
    with pytest.raises(ValueError, match=r"gt\.m, clip 3: the interval 9:11 is not inside the frames 1 to 10"):
        mark(10, [(9, 11)], "gt.m, clip 3")


def test_label_is_any_pixel_of_the_mask(tmp_path: Path, video: Video) -> None:
    masks = MaskImages(write_mask_images(tmp_path / "m", square_masks(6, [2, 3])))
    labelled = whole("v", video, masks=masks)
    assert [labelled.label(frame) for frame in range(6)] == [False, False, True, True, False, False]


def test_label_file_wins_over_the_mask(tmp_path: Path, video: Video) -> None:
    masks = MaskImages(write_mask_images(tmp_path / "m", square_masks(6, [])))
    assert whole("v", video, np.ones(6, bool), masks).label(0) is True


def test_thin_mask_that_vanishes_in_the_small_frame_keeps_its_label(tmp_path: Path) -> None:
    small = FrameFolder(write_numbered(tmp_path / "v", 1), (2, 3))
    thin = np.zeros((1, 8, 12), np.uint8)
    thin[0, 1, 1] = 1
    labelled = whole("v", small, masks=MaskImages(write_mask_images(tmp_path / "m", thin)))
    assert not labelled.mask(0).any()
    assert labelled.label(0) is True


def test_no_truth_is_none(video: Video) -> None:
    labelled = whole("v", video)
    assert labelled.label(3) is None
    assert labelled.mask(3) is None


@pytest.mark.parametrize("kind", ["labels", "masks"])
def test_truth_of_another_length_is_named(tmp_path: Path, video: Video, kind: str) -> None:
    truth = (
        np.zeros(5, bool) if kind == "labels" else MaskImages(write_mask_images(tmp_path / "m", square_masks(5, [])))
    )
    with pytest.raises(ValueError, match=rf"There are 5 {kind}.* for .*v, which has 6 frames"):
        whole("v", video, **{kind: truth})


def test_video_used_up_to_its_damage_may_have_more_truth(tmp_path: Path) -> None:
    folder = write_numbered(tmp_path / "v", 6)
    (folder / "005.jpg").write_bytes(b"torn")
    assert whole("v", FrameFolder(folder, damaged="keep"), np.arange(6) > 2).label(3) is True


def test_mask_of_another_size_is_named(tmp_path: Path, video: Video) -> None:
    masks = MaskImages(write_mask_images(tmp_path / "m", square_masks(6, [], (4, 4))))
    with pytest.raises(ValueError, match=r"mask of frame 0 in .*m is 4x4 pixels .* its frame 8x12"):
        whole("v", video, masks=masks).mask(0)


def test_training_does_not_go_across_missing_frames(tmp_path: Path) -> None:
    names = [f"{number:03d}.png" for number in [*range(10), *range(30, 34), *range(50, 62)]]
    video = whole("gate", FrameFolder(write_frames(tmp_path / "gate", names)))
    assert video.video.gaps == (10, 14)
    pieces = without_gaps([video], shortest=6)
    assert [(piece.first, piece.last) for piece in pieces] == [(0, 10), (14, 26)]
    (half,) = without_gaps([replace(video, first=15)], shortest=6)
    assert (half.first, half.last) == (15, 26)


@pytest.mark.parametrize("lengths", [[200] * 300, [40_000], [50, 100_000, 700]])
def test_of_much_video_stretches_are_taken_over_all_of_it(lengths: list[int]) -> None:
    videos = [
        LabelledVideo(str(number), SimpleNamespace(num_frames=length), 0, length)
        for number, length in enumerate(lengths)
    ]
    taken = spread(videos)
    assert sum(video.last - video.first for video in taken) == pytest.approx(MOST_FRAMES, rel=0.1)
    assert (taken[0].name, taken[0].first) == ("0", 0)
    assert (taken[-1].name, taken[-1].last) == (videos[-1].name, lengths[-1])
    places = [sum(lengths[: int(video.name)]) + video.first for video in taken]
    assert max(np.diff(places)) < 1.5 * sum(lengths) / len(taken) + 1000
    assert min(np.diff(places)) > 0
    few = videos[:1] if lengths[0] <= MOST_FRAMES else []
    assert spread(few) == few
