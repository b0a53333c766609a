import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from anomalib_stmem.model.around import average_around


@pytest.mark.parametrize("width", [1, 7, 27])
def test_average_is_that_of_a_pooling_with_zeros_beyond_the_border(width: int) -> None:
    maps = torch.rand(2, 3, 40, 52)
    pooled = F.avg_pool2d(maps, width, stride=1, padding=width // 2)
    torch.testing.assert_close(average_around(maps, width), pooled, atol=1e-6, rtol=1e-5)


def test_average_is_in_float32_whatever_the_autocast() -> None:
    maps = torch.rand(1, 1, 16, 24)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = average_around(maps, 5)
    assert torch.equal(coarse, average_around(maps, 5))
