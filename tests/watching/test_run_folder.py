import json
from pathlib import Path

from anomalib_stmem.watching.run_folder import RunFolder, earlier_folders


def test_earlier_watches_are_found_in_their_order(tmp_path: Path) -> None:
    made = [RunFolder(tmp_path / "watch", {}) for _ in range(3)]
    assert [folder.path.name for folder in made] == ["watch", "watch_2", "watch_3"]
    assert list(earlier_folders(tmp_path / "watch")) == [folder.path for folder in made]
    assert not list(earlier_folders(tmp_path / "other"))
    for folder in made:
        folder.close([], {})
        assert json.loads((folder.path / "run.json").read_text())["ended"]
