import pytest
import torch

from anomalib_stmem.model.appearance import AROUND, FAR, PRIOR, Appearance


@pytest.fixture
def appearance() -> Appearance:
    one = Appearance(num_items=4, image_size=(32, 48), cell=4).eval()
    one.keep(torch.randn(3, 112))
    return one


@torch.no_grad()
def test_distance_is_that_to_the_nearest_item(appearance: Appearance) -> None:
    features = torch.randn(2, 3, 112)
    distance, nearest = appearance.distances(features)
    for row in range(2):
        for column in range(3):
            each = [float((features[row, column] - item).norm()) for item in appearance.items[:3]]
            assert float(distance[row, column]) == pytest.approx(min(each), rel=1e-4)
            assert int(nearest[row, column]) == each.index(min(each))


@torch.no_grad()
def test_places_of_the_memory_that_are_empty_are_near_to_nothing(appearance: Appearance) -> None:
    assert appearance.num_items == 3
    assert bool((appearance.items[3] == FAR).all())
    assert 3 not in appearance.distances(100 * torch.randn(500, 112))[1]


@torch.no_grad()
def test_surprise_is_the_literal_mean_over_the_moving_cells_around() -> None:
    distance, moving = torch.rand(1, 8, 12), torch.rand(1, 8, 12) > 0.5
    found = Appearance.around(distance, moving)
    for row, column in ((0, 0), (3, 5), (7, 11)):
        total = count = 0.0
        for r in range(row - AROUND // 2, row + AROUND // 2 + 1):
            for c in range(column - AROUND // 2, column + AROUND // 2 + 1):
                if 0 <= r < 8 and 0 <= c < 12 and moving[0, r, c]:
                    total, count = total + float(distance[0, r, c]), count + 1
        assert float(found[0, row, column]) == pytest.approx(total / (count + PRIOR), rel=1e-5)


@torch.no_grad()
def test_what_stands_still_surprises_nobody(appearance: Appearance) -> None:
    frame = torch.rand(1, 3, 32, 48) * 2 - 1
    assert float(appearance(frame, frame).surprise.max()) == 0


@torch.no_grad()
def test_only_the_place_that_moves_is_compared(appearance: Appearance) -> None:
    before = torch.zeros(1, 3, 32, 48)
    frame = before.clone()
    frame[..., 8:12, 20:24] = 1
    moving = appearance.moving(frame, before)
    assert moving.nonzero().tolist() == [[0, 2, 5]]
    surprise = appearance(frame, before).surprise[0]
    assert bool((surprise[0:5, 3:8] > 0).all())
    assert float(surprise[6:].max()) == 0


@torch.no_grad()
def test_where_nothing_moves_nothing_is_seen(appearance: Appearance, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = torch.rand(2, 3, 32, 48) * 2 - 1
    monkeypatch.setattr(appearance, "features", None)
    looks = appearance(frame, frame)
    assert not bool(looks.surprise.any())
    assert looks.nearest.tolist() == [0, 0]


@torch.no_grad()
def test_comparing_what_moves_is_comparing_all(appearance: Appearance, monkeypatch: pytest.MonkeyPatch) -> None:
    before, frame = torch.zeros(2, 3, 32, 48), torch.zeros(2, 3, 32, 48)
    frame[0, :, 8:20, 20:36] = torch.rand(3, 12, 16)
    frame[1, :, 0:8, 0:4] = 1
    chosen = appearance(frame, before)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)  # as a graph does
    everything = appearance(frame, before)
    torch.testing.assert_close(chosen.surprise, everything.surprise)
    assert torch.equal(chosen.nearest, everything.nearest)


@torch.no_grad()
def test_what_it_remembers_does_not_surprise_it(appearance: Appearance) -> None:
    before, frame = torch.zeros(1, 3, 32, 48), torch.rand(1, 3, 32, 48) * 2 - 1
    first = float(appearance(frame, before).surprise.max())
    appearance.items = appearance.items.new_full((96, 112), FAR)
    appearance.keep(appearance.features(frame).flatten(0, 2))
    assert float(appearance(frame, before).surprise.max()) < 0.05 * first  # half precision stays


@torch.no_grad()
def test_grid_comes_back_with_the_weights(appearance: Appearance) -> None:
    appearance.set_grid(8, 3)
    other = Appearance(num_items=4, image_size=(32, 48))
    other.load_state_dict(appearance.state_dict())
    assert (other.cell, other.every, other.size) == (8, 3, (4, 6))


@torch.no_grad()
def test_memory_grows_by_what_it_did_not_know(appearance: Appearance) -> None:
    appearance.items[:3] *= 0.01  # near to each other, as normal looks are
    before, frame = torch.zeros(1, 3, 32, 48), torch.rand(1, 3, 32, 48) * 2 - 1
    first = float(appearance(frame, before).surprise.max())
    places = appearance.remember(frame, before)
    assert len(places) > 0
    assert appearance.num_items == 3 + len(places)
    assert float(appearance(frame, before).surprise.max()) < first
    assert len(appearance.remember(frame, before)) == 0
    other = Appearance(num_items=4, image_size=(32, 48))
    other.load_state_dict(appearance.state_dict())
    torch.testing.assert_close(other.items, appearance.items)


@torch.no_grad()
def test_picture_shows_what_lies_around_the_cell(appearance: Appearance) -> None:
    frame = torch.full((3, 32, 48), -1.0)
    frame[:, 12:16, 20:24] = 1.0  # row 3, column 5 of cells of 4
    picture = appearance.picture(frame, 3, 5)
    assert picture.shape == (3, 20, 20)
    assert bool((picture[:, 8:12, 8:12] == 255).all())
    assert int((picture == 255).sum()) == 3 * 16


def test_nothing_of_it_is_trained(appearance: Appearance) -> None:
    assert not any(parameter.requires_grad for parameter in appearance.parameters())
