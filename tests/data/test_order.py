from itertools import chain

import pytest
import torch

from anomalib_stmem.data.order import SHUFFLED_FRAMES, ClipOrder, Share


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


def test_fewer_clips_than_there_are_come_from_all_the_video() -> None:
    order = ClipOrder([1000] * 20, 4, 1, 1, shuffle=True, wanted=1500)
    first, second = list(order), list(order)
    assert len(first) == len(set(first)) == len(order) == 1500
    assert len({clip // 1000 for clip in first}) > 7  # of an epoch's beginning they would be of two
    assert set(first) != set(second)
    shares = [list(ClipOrder([1000] * 20, 4, 1, 1, True, Share(2, rank, True, 5), 700)) for rank in range(2)]
    assert [len(share) for share in shares] == [700, 700]
    assert not set(shares[0]) & set(shares[1])


def test_more_clips_than_there_are_change_nothing() -> None:
    assert sorted(ClipOrder([50, 50], 1, 4, 2, shuffle=True, wanted=500)) == [*range(100)]


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


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("devices", [1, 2, 3, 5])
def test_devices_share_clips_without_repeats_to_judge(devices: int, workers: int) -> None:
    orders = [ClipOrder([3, 17, 5], 1, 4, workers, False, Share(devices, rank)) for rank in range(devices)]
    shares = [list(order) for order in orders]
    assert sorted(chain.from_iterable(shares)) == [*range(25)]
    assert [len(order) for order in orders] == [len(share) for share in shares]
    assert all(sorted(share) == [*range(min(share), max(share) + 1)] for share in shares)  # each decodes one stretch


@pytest.mark.parametrize("devices", [2, 3, 4])
def test_devices_take_as_many_steps_to_train(devices: int) -> None:
    orders = [ClipOrder([3, 17, 5], 1, 4, 2, True, Share(devices, rank, True, seed=7)) for rank in range(devices)]
    shares = [list(order) for order in orders]
    assert {len(share) for share in shares} == {len(order) for order in orders} == {-(-25 // devices)}
    assert set(chain.from_iterable(shares)) == {*range(25)}


def test_more_devices_than_clips_are_refused() -> None:
    with pytest.raises(ValueError, match=r"2 clips cannot be shared by 3 devices"):
        ClipOrder([2], 1, 4, 0, False, Share(3, 0))
