"""A small part of ``python tests/break_it.py``: files of every kind are broken, and nothing bad may come of it."""

from pathlib import Path

import pytest
from faults.broken_input import break_input, table
from faults.trials import BAD


@pytest.mark.parametrize(
    ("kinds", "count"),
    [(("video",), 32), (("pictures", "labels", "masks", "results", "config"), 28), (("model: checkpoint",), 12)],
)
def test_nothing_bad_comes_of_broken_files(tmp_path: Path, kinds: tuple[str, ...], count: int) -> None:
    tried = list(break_input(tmp_path, count, kinds, num_workers=1))
    assert len(tried) == count
    bad = [one for one in tried if one.outcome.what in BAD]
    assert not bad, bad
    assert any(one.outcome.what == "refused" for one in tried), table(tried)  # or nothing was broken
