import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from anomalib_stmem.model.speed import speed_map


def texture(shift: tuple[float, float], height: int = 64, width: int = 96) -> torch.Tensor:
    """A smooth picture, moved by so many rows and columns."""
    rows, columns = torch.meshgrid(
        torch.arange(height) - float(shift[0]), torch.arange(width) - float(shift[1]), indexing="ij"
    )
    waves = (0.35 * rows).sin() + (0.4 * columns).sin() + (0.3 * (rows + columns)).sin()
    return (0.3 * waves)[None, None]


@pytest.mark.parametrize("shift", [(0.0, 1.0), (1.5, 0.0), (-0.5, 0.5)])
def test_speed_is_the_way_that_a_picture_moved(shift: tuple[float, float]) -> None:
    speed = speed_map(texture(shift), texture((0, 0)))
    wanted = (shift[0] ** 2 + shift[1] ** 2) ** 0.5
    assert float(speed[:, 6:-6, 6:-6].median()) == pytest.approx(wanted, rel=0.15)


def test_faster_is_more_even_where_it_is_too_fast_to_follow() -> None:
    means = [float(speed_map(texture((0.0, way)), texture((0, 0))).mean()) for way in (0.5, 1, 2, 3)]
    assert means == sorted(means)


def test_it_is_the_least_squares_motion_of_each_window() -> None:
    torch.manual_seed(0)
    now, then = torch.rand(1, 1, 32, 32) * 2 - 1, torch.rand(1, 1, 32, 32) * 2 - 1
    small = [F.avg_pool2d((part + 1) / 2, 2)[0, 0].double() for part in (now, then)]
    middle, change = (small[0] + small[1]) / 2, small[0] - small[1]
    gradients, changes = [], []
    for row in range(5, 12):  # the 7x7 window around (8, 8)
        for column in range(5, 12):
            along = (middle[row, column + 1] - middle[row, column - 1]) / 2
            down = (middle[row + 1, column] - middle[row - 1, column]) / 2
            gradients.append([float(along), float(down)])
            changes.append(-float(change[row, column]))
    solved = torch.linalg.lstsq(torch.tensor(gradients), torch.tensor(changes)[:, None]).solution
    assert float(speed_map(now, then)[0, 8, 8]) == pytest.approx(2 * float(solved.norm()), rel=0.02)


def test_noise_without_texture_stands_still() -> None:
    torch.manual_seed(0)
    flat, noisy = torch.zeros(1, 1, 64, 64), 0.004 * torch.randn(1, 1, 64, 64)
    assert float(speed_map(noisy, flat).max()) < 0.2


def test_colour_is_seen_as_grey() -> None:
    now, then = texture((0, 1)), texture((0, 0))
    torch.testing.assert_close(speed_map(now.repeat(1, 3, 1, 1), then.repeat(1, 3, 1, 1)), speed_map(now, then))
