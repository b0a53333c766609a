import pytest
import torch

from anomalib_stmem.data.order import SHUFFLED_FRAMES, ClipOrder


@pytest.mark.parametrize("workers", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("batch", [1, 4, 7])
@pytest.mark.parametrize("shuffle", [True, False])
def test_each_clip_comes_once(workers: int, batch: int, shuffle: bool) -> None:
    order = list(ClipOrder([3, 17, 5], 1, batch, workers, shuffle))
    assert sorted(order) == [*range(25)]


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("clips", [8, 9, 30, 31])
def test_each_worker_judges_one_run_of_consecutive_clips(workers: int, clips: int) -> None:
    order = torch.tensor(list(ClipOrder([clips], 1, 4, workers, shuffle=False)))
    batches = order.split(4)
    for worker in range(min(workers, len(batches))):
        run = torch.cat(batches[worker::workers]).tolist()
        assert run == [*range(run[0], run[0] + len(run))]


def test_one_worker_judges_in_order() -> None:
    assert list(ClipOrder([4, 6], 1, 3, 1, shuffle=False)) == [*range(10)]


def test_shuffling_mixes_videos_and_stays_within_a_stretch() -> None:
    order = list(ClipOrder([100] * 20, 1, 8, 1, shuffle=True))
    first = order[:SHUFFLED_FRAMES]
    assert len({clip // 100 for clip in first}) in {6, 7}  # 512 frames of videos of 100
    assert len({clip // 100 for clip in first[:8]}) > 2
    assert first != sorted(first)


def test_each_epoch_is_another_and_a_seed_repeats_it() -> None:
    def passes() -> tuple[list[int], list[int]]:
        torch.manual_seed(3)
        order = ClipOrder([50, 50], 1, 4, 2, shuffle=True)
        torch.rand(1)  # what else is drawn does not matter
        return list(order), list(order)

    first, second = passes()
    assert passes() == (first, second)
    assert first != second


def test_a_resumed_training_goes_on_with_its_epoch() -> None:
    order, resumed = ClipOrder([50, 50], 1, 4, 2, shuffle=True), ClipOrder([50, 50], 1, 4, 2, shuffle=True)
    _, second = list(order), list(order)
    resumed.set_epoch(1)
    assert list(resumed) == second
