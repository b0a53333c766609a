"""The how-to pages are executed: their shell and Python blocks, in order, on small videos."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import cv2
import pytest
from anomalib.cli.cli import AnomalibCLI
from commands import flags, learn_little
from makers import write_long

from anomalib_stmem import cli, cli_options

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ("your_camera", "threshold", "report", "several_cameras", "openvino", "deployment", "python")
SMALL = {
    "image_size": (16, 16),
    "width": 2,
    "stem": 1,
    "memory_items": 3,
    "train_crop": None,
    "streams": "temporal",
    "appearance": False,
}
MODEL = flags("model", SMALL | {"train_crop": "null", "appearance": "false"})
RUN = ["--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.DOTALL)


def commands(page: str, language: str = "bash") -> list[list[str]]:
    lines = [line for block in blocks(page, language) for line in block.splitlines()]
    return [shlex.split(line) for line in lines if "--trainer.devices" not in line and "NODE_RANK" not in line]


def run(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    program, *arguments = command
    if command[:2] == ["stmem", "learn"]:
        assert learn_little(arguments, monkeypatch, **SMALL) == 0, command
    elif program == "stmem":
        assert cli.main(arguments) == 0, command
        if arguments[0] == "snapshot":  # somebody paints on it
            picture = cv2.imread(arguments[-1])
            picture[: len(picture) // 4] = (0, 0, 255)
            cv2.imwrite(arguments[-1], picture)
    elif program == "anomalib":
        small = [*MODEL] if arguments[0] == "export" else [*MODEL, *RUN]
        if arguments[0] == "fit":
            small += ["--data.num_workers", "0", "--trainer.max_epochs", "1"]
        AnomalibCLI([*arguments, *small])
    elif program == "cp":
        subprocess.run(command, check=True)
    else:
        assert program == "pip", command


def test_pages_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.chdir(tmp_path)
    for name in ("gate", "monday", "tuesday", "my_videos/test/1", "archive/1"):
        write_long(tmp_path / f"{name}.mp4", 1.4)
    for name in ("1", "2"):
        write_long(tmp_path / "my_videos" / "normal" / f"{name}.mp4", 1.4)
    exported = []  # already: an export costs half a minute
    for page in PAGES:
        for command in commands(page):
            if command not in exported:
                run(command, monkeypatch)
            if command[:2] == ["anomalib", "export"]:
                exported.append(command)
        names: dict = {}
        for block in blocks(page, "python") if page != "deployment" else ():  # tests/test_readme.py runs those
            exec(block, names)  # noqa: S102
    assert (tmp_path / "results" / "watch" / "report.html").is_file()
    assert (tmp_path / "friday.html").is_file()
    assert (tmp_path / "kept" / "gate" / "plain.mp4").is_file()
    assert (tmp_path / "watched" / "report.html").is_file()
    assert (tmp_path / "scores" / "summary.csv").is_file()
    shutil.rmtree(tmp_path / "results")


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_need_a_camera_can_be_parsed(page: str) -> None:
    for block in blocks(page, "text"):
        for line in block.splitlines():
            if line.startswith("stmem "):
                assert cli_options.parser().parse_args(shlex.split(line)[1:])


@pytest.mark.parametrize("page", [path.stem for path in DOCS.glob("*.md")])
def test_links_lead_somewhere(page: str) -> None:
    for file, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)", (DOCS / f"{page}.md").read_text()):
        target = DOCS / file if file else DOCS / f"{page}.md"
        assert target.exists(), file
        if anchor and target.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            known = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in known, (file, anchor)


def test_help_of_each_verb_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("learn", "watch", "report", "calibrate", "accept", "snapshot", "demo"):
        with pytest.raises(SystemExit) as end:
            cli.main([verb, "--help"])
        assert end.value.code == 0
        said = capsys.readouterr().out
        assert "stmem" in said
        assert len(said) > 400, verb
