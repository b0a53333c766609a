"""Check sums of an exported streaming step and of what lies beside it, as ``sha256sum --check`` reads them."""

import hashlib
from pathlib import Path

from .backend import examples_beside, looks_beside

SEAL = ".sha256"  # suffix
LETTERS = 64  # of a sum


def seal(path: Path) -> Path:
    """Write the check sums of a streaming step (``.onnx`` or ``.xml``) into ``NAME.sha256`` beside it."""
    sealed = _seal_of(path)
    sealed.write_text("".join(f"{_sum_of(part)}  {part.name}\n" for part in _parts(path)), encoding="utf-8")
    return sealed


def refuse_broken(path: Path) -> None:
    """Compare a streaming step with its check sums; where there are none, nothing is compared.

    Raises:
        ValueError: a file is not what was exported, or is missing.
    """
    sealed = _seal_of(path)
    if not sealed.is_file():
        return
    for line in sealed.read_text(encoding="utf-8", errors="replace").splitlines():
        known, _, name = line.partition("  ")
        if len(known) != LETTERS or not name:
            msg = f"{sealed} is damaged. Copy it anew, or delete it to go without check sums."
            raise ValueError(msg)
        part = path.with_name(Path(name).name)
        if not part.is_file() or _sum_of(part) != known:
            what = "is not the file that was exported" if part.is_file() else "is missing"
            msg = f"{part} {what}, by the check sums in {sealed.name}. Copy all files anew, or export the model again."
            raise ValueError(msg)


def _seal_of(path: Path) -> Path:
    return path.with_name(path.name + SEAL)


def _parts(path: Path) -> list[Path]:
    graphs = [path, looks_beside(path)]
    weights = [graph.with_suffix(".bin") for graph in graphs if path.suffix == ".xml"]
    return [part for part in (*graphs, *weights, examples_beside(path)) if part.is_file()]


def _sum_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
