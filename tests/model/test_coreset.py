import pytest
import torch

from anomalib_stmem.model.coreset import farthest_first


def test_each_is_the_literally_farthest_from_those_before() -> None:
    features = torch.randn(40, 6)
    chosen = [0]
    for _ in range(9):
        distances = [min(float((one - features[item]).norm()) for item in chosen) for one in features]
        chosen.append(distances.index(max(distances)))
    assert farthest_first(features, 10).tolist() == chosen


def test_near_duplicates_are_left_out() -> None:
    corners = torch.tensor([[0.0, 0], [0, 9], [9, 0], [9, 9]])
    features = torch.cat([corners + 0.01 * torch.randn(4, 2) for _ in range(30)])
    chosen = features[farthest_first(features, 4)].round()
    assert sorted(chosen.abs().tolist()) == sorted(corners.tolist())


@pytest.mark.parametrize("count", [3, 8])
def test_none_is_chosen_twice_even_where_all_are_equal(count: int) -> None:
    chosen = farthest_first(torch.ones(5, 2), count).tolist()
    assert len(chosen) == len(set(chosen)) == min(count, 5)
