import torch

from anomalib_stmem.model.crops import moving_crops


def test_crop_is_one_part_of_all_frames() -> None:
    clip = torch.arange(2 * 3 * 16 * 16.0).reshape(1, 2, 3, 16, 16)
    (crop,) = moving_crops(clip, (8, 4))
    assert crop.shape == (2, 3, 8, 4)
    first = int(crop[0, 0, 0, 0])
    row, column = divmod(first, 16)
    torch.testing.assert_close(crop, clip[0, :, :, row : row + 8, column : column + 4])


def test_crops_show_motion_more_often_than_chance() -> None:
    clips = torch.zeros(200, 2, 1, 32, 32)
    clips[:, 1, :, 4:8, 4:8] = 1.0
    seen = (moving_crops(clips, (8, 8)) != 0).flatten(1).any(dim=1).float().mean()
    once = (min(8 + 4 - 1, 4 + 4) / 25) ** 2  # of the 25 x 25 places, those that touch the moving square
    assert seen > 1.5 * once


def test_crop_of_the_whole_frame_is_the_frame() -> None:
    clips = torch.rand(2, 3, 1, 8, 8)
    torch.testing.assert_close(moving_crops(clips, (8, 8)), clips)


def test_crop_larger_than_the_frame_ends_where_the_frame_does() -> None:
    assert moving_crops(torch.zeros(1, 2, 1, 16, 32), (8, 40)).shape == (1, 2, 1, 8, 32)
