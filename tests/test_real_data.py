"""Real video, where it is at hand; skipped elsewhere."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from anomalib_stmem import AvenueClips, UCSDClips, VideoFolder
from anomalib_stmem.comparison.frame_difference import DifferenceModel
from anomalib_stmem.data.clips import as_floats
from anomalib_stmem.data.labels import load_labels
from anomalib_stmem.model.normal_view import NormalView, PictureCheck
from anomalib_stmem.video.finding import list_images
from anomalib_stmem.video.frame import planes
from anomalib_stmem.video.recorded import FrameFolder, VideoFile, open_video

DATA = Path(__file__).parents[2] / "shared" / "data"
needs_ped2 = pytest.mark.skipif(not (DATA / "ped2").is_dir(), reason=f"UCSD Ped2 is not in {DATA}")
needs_avenue = pytest.mark.skipif(not (DATA / "avenue_subset").is_dir(), reason=f"Avenue is not in {DATA}")


@needs_ped2
def test_ped2_is_read_without_options() -> None:
    data = VideoFolder(DATA / "ped2", num_workers=0)
    data.setup("fit")
    assert len(data.train_data.videos) == 14
    assert [video.name for video in data.val_data.videos] == ["06", "12"]
    assert sum(video.video.num_frames for video in data.test_data.videos) == 2010
    assert len(data.test_data) == 2010 - 12 * 5
    assert sum(int(video.labels.sum()) for video in data.test_data.videos) == 1648


@needs_ped2
def test_ped2_masks_agree_with_labels_on_a_clip() -> None:
    data = VideoFolder(DATA / "ped2", num_workers=0)
    data.setup("test")
    video = data.test_data.videos[0]
    assert all(video.labels[frame] == video.mask(frame).any() for frame in range(0, video.last, 10))


@needs_ped2
def test_h264_holds_the_same_frames() -> None:
    frames = list(FrameFolder(DATA / "ped2" / "testing" / "frames" / "03").frames())
    film = list(VideoFile(DATA / "ped2_h264" / "testing" / "03.mp4").frames())
    assert len(film) == len(frames)
    for one, other in zip(frames, film, strict=True):
        error = one.astype(float) - other
        assert 10 * np.log10(255**2 / (error**2).mean()) > 40


@needs_ped2
@pytest.mark.slow
def test_scores_from_jpeg_and_from_h264_agree() -> None:
    """The control's, on all test clips: 47 dB of compression move a frame's score by half a percent."""

    def scores(data: VideoFolder) -> tuple[torch.Tensor, torch.Tensor]:
        data.setup("test")
        judged = [(DifferenceModel()(as_floats(b).image).pred_score, b.gt_label) for b in data.test_dataloader()]
        return tuple(torch.cat(column) for column in zip(*judged, strict=True))

    labels = DATA / "ped2" / "testing" / "frame_labels.npy"
    options = {"num_workers": 0, "image_size": (80, 120)}
    from_jpeg, truth = scores(VideoFolder(DATA / "ped2", **options))
    from_film, same_truth = scores(VideoFolder(DATA / "ped2_h264", label_file=labels, **options))
    assert torch.equal(truth, same_truth)
    assert np.corrcoef(from_jpeg, from_film)[0, 1] > 0.999
    assert abs(roc_auc_score(truth, from_jpeg) - roc_auc_score(truth, from_film)) < 0.005


@needs_ped2
def test_official_layout_converted_from_the_frames_holds_the_same(tmp_path: Path) -> None:
    """The official files are not at hand: TIFF and BMP converted from JPEG and PNG stand in for them."""
    for split, number in (("Train", 1), ("Test", 1)):
        clip = DATA / "ped2" / f"{split.lower()}ing" / "frames" / f"{number:02d}"
        folder = tmp_path / "UCSDped2" / split / f"{split}{number:03d}"
        folder.mkdir(parents=True)
        for place, path in enumerate(list_images(clip)[:12], start=1):
            cv2.imwrite(str(folder / f"{place:03d}.tif"), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    masks = tmp_path / "UCSDped2" / "Test" / "Test001_gt"
    masks.mkdir()
    for place, path in enumerate(list_images(DATA / "ped2" / "testing" / "masks" / "01")[:12], start=1):
        cv2.imwrite(str(masks / f"{place:03d}.bmp"), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    official, frames = UCSDClips(tmp_path, num_workers=0), VideoFolder(DATA / "ped2", num_workers=0)
    official.setup("test")
    frames.setup("test")
    for index in range(12 - 5):
        ours, theirs = official.test_data[index], frames.test_data[index]
        assert torch.equal(ours.image, theirs.image)
        assert torch.equal(ours.gt_mask, theirs.gt_mask)
        assert ours.gt_label == theirs.gt_label


@pytest.mark.skipif(not (DATA / "ucsd_ped1_sample").is_dir(), reason=f"the Ped1 clip is not in {DATA}")
def test_official_ped1_clip() -> None:
    data = UCSDClips(DATA / "ucsd_ped1_sample", "UCSDped1", num_workers=0)
    data.setup("test")
    (clip,) = data.test_data.videos
    assert (clip.name, clip.video.num_frames, clip.video.source_hw) == ("Test003", 200, (158, 238))
    assert 0 < sum(clip.label(frame) for frame in range(200)) < 200
    assert next(iter(data.test_dataloader())).image.float().std() > 10


@needs_avenue
@pytest.mark.parametrize(("labels", "abnormal"), [("pixels", 1046), ("frames", 972)])
def test_avenue_under_both_label_sets(labels: str, abnormal: int) -> None:
    data = AvenueClips(
        DATA / "avenue_subset", labels=labels, label_file="frame_labels_hasan.npy", num_workers=0, image_size=(36, 64)
    )
    data.setup("fit")
    assert sum(v.video.num_frames for v in data.train_data.videos + data.val_data.videos) == 389
    assert [video.name for video in data.test_data.videos] == ["08", "17", "18", "19", "20", "21"]
    assert sum(video.video.num_frames for video in data.test_data.videos) == 1353
    judged = [video.label(frame) for video in data.test_data.videos for frame in range(5, video.last)]
    assert (len(judged), sum(judged)) == (1353 - 6 * 5, abnormal)


@needs_avenue
def test_avenue_label_sets_differ_as_published() -> None:
    """15,324 frames; 25.2 % abnormal under the frame labels, 24.2 % under the masks; 441 frames differ."""
    data = AvenueClips(DATA / "avenue_subset", labels="frames", label_file="frame_labels_hasan.npy", num_workers=0)
    masks = data._masks()
    labels = data._frame_labels({number: len(masks[number]) for number in sorted(masks)})
    assert sum(len(own) for own in labels.values()) == 15324
    by_pixels = {number: np.array([mask.any() for mask in own]) for number, own in masks.items()}
    assert sum(int((by_pixels[number] != labels[number]).sum()) for number in masks) == 441
    assert by_pixels[8].all()
    assert not labels[8].all()


@pytest.mark.skipif(not (DATA / "shanghaitech_labels").is_dir(), reason=f"ShanghaiTech's labels are not in {DATA}")
def test_shanghaitech_labels_hold_40791_frames() -> None:
    files = list((DATA / "shanghaitech_labels" / "test_frame_mask").glob("*.npy"))
    labels = [load_labels(path) for path in files]
    assert (len(files), sum(map(len, labels))) == (107, 40791)
    assert sum(int(own.sum()) for own in labels) == 17326


@needs_ped2
@needs_avenue
@pytest.mark.parametrize("data", ["ped2_h264/training/01.mp4", "avenue_subset/training_videos/12.avi"])
def test_each_trouble_of_a_real_camera_is_told_for_what_it_is(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures of the nuisance suite, compared with a view that other frames of the video gave."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    from nuisance_kinds import TROUBLES, shown_at

    size = (240, 352)
    images = [np.ascontiguousarray(one[::-1].transpose(1, 2, 0)) for one in open_video(DATA / data).frames()]
    check = PictureCheck(NormalView.learn(_floats(image, size) for image in images[::4]))
    rest = images[2:120:2]
    assert [check(_floats(image, size)) for image in rest] == [None] * len(rest)
    is_grey = data.startswith("ped2")
    for name, trouble in TROUBLES.items():
        if name == "frozen" or (name == "infrared" and is_grey):  # of a source, not of a picture; has no colours
            continue
        shown = trouble(shown_at(rest, 10.0), 10.0, np.random.default_rng(0))  # six seconds
        late = [check(_floats(one.image, size)) for one in shown if one.seconds > 4.5]
        assert late
        assert late.count(name) >= 0.9 * len(late), (name, late)


def _floats(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return planes(image, size).astype(np.float32) / np.float32(255)
