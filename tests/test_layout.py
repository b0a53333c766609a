"""Imports go one way, between rooms and between files; and what a command does not need is not imported."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import anomalib_stmem

ROOT = Path(anomalib_stmem.__file__).parent
# From the bottom of the house to its top; a room may import from those before it.
ROOMS = (
    *("video", "data", "model", "evaluation", "results", "runtime", "shell", "lightning_model"),
    *("watching", "page", "comparison", "learning", "demo", "cli_options", "cli"),
)
DOORS = {"__init__", "cli", "cli_options", "registration", "lightning_model"}  # files at the top


def files() -> dict[str, Path]:
    """Every file of the package by its dotted name below it."""
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in ROOT.rglob("*.py")}


def imports_of(name: str, path: Path) -> set[str]:
    """Files of ours that a file imports anywhere: at its top, for types only, or inside functions."""
    known, found = files(), set()
    package = name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (node.module or "").split(".")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "anomalib_stmem":
            base = node.module.split(".")[1:]
        else:
            continue
        base = [part for part in base if part]
        for alias in node.names:
            inside = ".".join([*base, alias.name])
            found.add(inside if inside in known else ".".join(base) if ".".join(base) in known else "__init__")
    return found - {name}


GRAPH = {name: imports_of(name, path) for name, path in files().items() if name.rsplit(".", 1)[-1] != "__init__"}
EDGES = sorted((name, other) for name, others in GRAPH.items() for other in others)


def room_of(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def test_the_test_sees_imports_wherever_they_stand() -> None:
    assert ("cli", "watching.watch") in EDGES  # inside a function
    assert ("runtime.open_backend", "model.trained_model") in EDGES  # for types
    assert ("watching.watch", "video.source") in EDGES  # at the top
    assert len(EDGES) > 150


def test_every_flat_file_is_a_door_and_every_room_has_its_place() -> None:
    assert {path.stem for path in ROOT.glob("*.py")} == DOORS
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms == set(ROOMS) - DOORS


@pytest.mark.parametrize(("name", "other"), [edge for edge in EDGES if room_of(edge[0]) in ROOMS])
def test_imports_go_down_the_house(name: str, other: str) -> None:
    if other == "__init__":  # names of the package itself: its version, and the public names of what is on video
        return
    assert ROOMS.index(room_of(other)) <= ROOMS.index(room_of(name))


def test_no_circle_of_files() -> None:
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"circle: {' -> '.join([*way[way.index(name) :], name])}"
        if name not in done:
            for other in GRAPH.get(name, ()):
                walk(other, (*way, name))
            done.add(name)

    for name in GRAPH:
        walk(name, ())


def test_video_is_decoded_in_one_file() -> None:
    users = [name for name, path in files().items() if "VideoCapture(" in path.read_text()]
    assert users == ["video.camera"]
    users = [name for name, path in files().items() if re.search(r"av\.open\((?!str)", path.read_text())]
    assert users == ["video.ffmpeg"]


@pytest.mark.parametrize("room", sorted(path.parent for path in ROOT.glob("*/__init__.py")), ids=str)
def test_room_says_what_comes_in_and_what_goes_out(room: Path) -> None:
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text()))
    assert said.startswith("In: ")
    assert ". Out: " in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import anomalib_stmem", {"numpy", "torch", "anomalib"}),
        ("import anomalib_stmem.cli; anomalib_stmem.cli_options.parser()", {"numpy", "cv2", "torch", "anomalib"}),
        (
            "import anomalib_stmem.watching.watch",
            {"torch", "anomalib", "lightning", "torchvision", "pandas", "matplotlib"},
        ),
        ("import anomalib_stmem.watching.calibrate", {"anomalib", "lightning", "torchvision"}),
        ("import anomalib_stmem.page.page", {"torch", "anomalib", "lightning"}),
    ],
)
def test_nothing_is_imported_that_the_command_does_not_need(statement: str, absent: set[str]) -> None:
    code = f"import sys; {statement}; sys.exit(', '.join({absent!r} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nothing_runs_code_from_what_it_reads() -> None:
    """No pickle but torch's with ``weights_only``, no eval, no shell: a checkpoint or a results folder is only data."""
    forbidden = {
        "eval",
        "exec",
        "compile",
        "pickle.load",
        "pickle.loads",
        "os.system",
        "os.popen",
        "yaml.load",
        "input",
    }
    for name, path in files().items():
        for call in (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)):
            called = ast.unparse(call.func)
            assert called not in forbidden, f"{name}: {called}"
            given = {word.arg: ast.unparse(word.value) for word in call.keywords}
            assert given.get("shell", "False") == "False", name
            assert given.get("allow_pickle", "False") == "False", name
            if called == "torch.load":
                assert given["weights_only"] == "True", name


def test_text_is_written_in_utf_8_whatever_the_machine_is_set_to() -> None:
    for name, path in files().items():
        text = path.read_text("utf-8")
        found = re.findall(r"\.(?:read_text|write_text)\(([^()]*(?:\([^()]*\))?[^()]*)\)", text)
        assert all("utf-8" in given for given in found), (name, found)
