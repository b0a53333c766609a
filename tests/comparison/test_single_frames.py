from pathlib import Path

import torch
from conftest import TINY_DATA

from anomalib_stmem import VideoFolder
from anomalib_stmem.comparison.single_frames import as_single_frames
from anomalib_stmem.data.clips import as_floats


def test_image_models_get_the_frames_that_video_models_judge(scene: Path) -> None:
    data, frames = VideoFolder(scene, **TINY_DATA), as_single_frames(VideoFolder(scene, **TINY_DATA))
    for one in (data, frames):
        one.setup("fit")
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        torch.manual_seed(0)
        clips = list(getattr(data, loader)())
        torch.manual_seed(0)
        images = list(getattr(frames, loader)())
        assert len(clips) == len(images)
        for clip, image in zip(clips, images, strict=True):
            assert image.image.shape == (len(clip.image), 3, 128, 128)
            torch.testing.assert_close(image.image, as_floats(clip).image[:, -1])
            assert torch.equal(image.frames, clip.frames)
            assert torch.equal(image.gt_label, clip.gt_label)
            assert image.video_name == clip.video_name
            assert image.image_path[0] == f"{clip.video_name[0]}/{int(clip.frames[0]):06d}"
