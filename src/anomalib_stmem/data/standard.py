"""What the standard datasets share: a root in one of the usual places, and a sentence when it is not there."""

from pathlib import Path

from .datamodule import ClipData


class StandardData(ClipData):
    """A dataset with a fixed layout and a page where it is obtained."""

    title: str
    source: str  # where people obtain it; nothing is downloaded, since such links die
    root: Path

    def need(self, path: Path, what: str) -> Path:
        """Return a path of the layout that must exist.

        Raises:
            FileNotFoundError: it does not.
        """
        if path.exists():
            return path
        msg = (
            f"{self.title} needs {what} at {path.resolve()}, and there is nothing. Name the folder that holds the "
            f"dataset with --data.root; {type(self).__name__} shows the tree it expects. The dataset is obtained from "
            f"{self.source}"
        )
        raise FileNotFoundError(msg)
