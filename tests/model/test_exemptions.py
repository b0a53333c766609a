"""What does not count, and what is accepted at its place."""

import numpy as np
import pytest
import torch

from anomalib_stmem.model.exemptions import COARSE, Exemptions, allowance_of

SIZE = 16, 24


def test_maps_of_any_size_are_nothing_where_the_picture_does_not_count() -> None:
    exempt, region = Exemptions(), np.arange(24)[None].repeat(16, 0) >= 8
    maps = torch.rand(2, 3, *SIZE)
    assert exempt.counted(maps) is maps
    exempt.narrow(region)
    torch.testing.assert_close(exempt.counted(maps), maps * torch.from_numpy(region))
    half = torch.rand(2, 8, 12)
    torch.testing.assert_close(exempt.counted(half), half * torch.from_numpy(region[::2, ::2]))
    exempt.narrow(~region | (np.arange(16) < 4)[:, None])
    assert int(exempt.region.sum()) == 4 * 16
    with pytest.raises(ValueError, match="Nothing of the picture is left"):
        exempt.narrow(~region)


def test_only_what_is_beyond_the_accepted_counts_and_only_there() -> None:
    maps, shown = (
        {"motion": torch.rand(5, *SIZE), "speed": torch.rand(5, 8, 12)},
        torch.zeros(5, *SIZE, dtype=torch.bool),
    )
    shown[2, 4:8, 8:12] = True
    exempt = Exemptions()
    exempt.accept([allowance_of(maps, shown), torch.zeros(2, 4, 6)])
    highest = maps["motion"][:, 4:8, 8:12].max()
    again = exempt.beyond("motion", maps["motion"][None])[0]
    assert not again[:, 4:8, 8:12].any()
    elsewhere = ~shown.any(dim=0)
    torch.testing.assert_close(again[:, elsewhere], maps["motion"][:, elsewhere])
    torch.testing.assert_close(
        exempt.beyond("motion", maps["motion"] + 1)[2, 4:8, 8:12], maps["motion"][2, 4:8, 8:12] + 1 - highest
    )
    assert not exempt.beyond("speed", maps["speed"])[:, 2:4, 4:6].any()
    exempt.accept([])
    assert exempt.beyond("motion", maps["motion"]) is maps["motion"]


def test_exemptions_travel_in_a_state_and_older_states_have_none() -> None:
    exempt, again = Exemptions(), Exemptions()
    exempt.narrow(np.eye(16, dtype=bool))
    exempt.accept([torch.rand(2, 16 // COARSE, 16 // COARSE)])
    again.load_state_dict(exempt.state_dict())
    torch.testing.assert_close(again.state_dict(), exempt.state_dict())
    again.load_state_dict({})
    assert (again.region.shape, again.accepted.shape) == ((1, 1), (2, 1, 1))
