"""Every door through which anomalib finds a model, each in a fresh Python, as a user's shell would start it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from anomalib_stmem.registration import refuse_unreadable_configs


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def test_doors_of_models_and_data() -> None:
    code = (
        "from anomalib.models import get_model, list_models\n"
        "from anomalib.data import get_datamodule\n"
        "import anomalib.models, anomalib_stmem\n"
        "STMem = anomalib.models.STMem\n"
        "assert anomalib_stmem.STMem is STMem\n"
        "assert type(get_model('stmem', width=2)) is STMem\n"
        "assert type(get_model({'class_path': 'STMem', 'init_args': {'width': 2}})) is STMem\n"
        "assert type(get_model({'class_path': 'anomalib.models.STMem'}, width=2)) is STMem\n"
        "assert 's_t_mem' in list_models() and 'STMem' in list_models(case='pascal')\n"
        "assert get_datamodule({'class_path': 'VideoFolder', 'init_args': {'root': '.'}}).name == 'VideoFolder'\n"
        "assert get_datamodule({'data': {'class_path': 'WalkwayDemo'}}).name == 'WalkwayDemo'\n"
    )
    result = python(code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "first",
    [
        "anomalib_stmem.data.clips",
        pytest.param("anomalib_stmem.lightning_model", marks=pytest.mark.slow),
        pytest.param("anomalib_stmem.model.torch_model", marks=pytest.mark.slow),
        "anomalib.data",
    ],
)
def test_order_of_imports_does_not_matter(first: str) -> None:
    result = python(f"import {first}, anomalib.models as m, anomalib.data as d; m.STMem, d.VideoFolder, d.WalkwayDemo")
    assert result.returncode == 0, result.stderr


def test_python_that_never_imports_anomalib_loads_nothing() -> None:
    """What start-up pays for is one small module; benchmarks/startup.py measures it."""
    code = (
        "import sys; assert any(type(f).__name__ == '_Sleeper' for f in sys.meta_path); "
        "loaded = [n for n in sys.modules if n.split('.')[0] in {'anomalib_stmem', 'anomalib', 'torch', 'numpy'}]; "
        "assert not loaded, loaded"
    )
    result = python(code)
    assert result.returncode == 0, result.stderr


def test_switch_turns_it_off() -> None:
    result = python("import anomalib.models as m; assert not hasattr(m, 'STMem')", ANOMALIB_STMEM_REGISTER="0")
    assert result.returncode == 0, result.stderr


def test_fault_of_ours_is_a_warning_and_anomalib_works() -> None:
    code = (
        "import anomalib_stmem.registration as r, warnings\n"
        "r.ADDED['anomalib.models'] = ('Missing',)\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    from anomalib.models import get_model, Padim\n"
        "text = [str(w.message) for w in caught if w.category is RuntimeWarning]\n"
        "assert len(text) == 1 and 'Missing' in text[0] and 'AttributeError' in text[0], text\n"
    )
    result = python(code)
    assert result.returncode == 0, result.stderr


def test_package_that_does_not_load_is_a_warning_and_anomalib_works() -> None:
    code = (
        "import sys, warnings\n"
        "sys.modules['anomalib_stmem'] = None\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    import anomalib\n"
        "assert any('anomalib-stmem does not load' in str(w.message) for w in caught)\n"
    )
    result = python(code)
    assert result.returncode == 0, result.stderr


def test_foreign_class_of_the_same_name_is_not_replaced() -> None:
    code = (
        "import anomalib_stmem.registration as r, anomalib.models as m\n"
        "m.STMem = int\n"
        "try:\n    r.register('anomalib.models')\n"
        "except RuntimeError as e:\n    assert 'exists already' in str(e)\n"
        "else:\n    raise SystemExit(1)\n"
    )
    result = python(code, ANOMALIB_STMEM_REGISTER="0")
    assert result.returncode == 0, result.stderr


def test_registering_twice_changes_nothing() -> None:
    code = (
        "import anomalib.models as m, anomalib_stmem.registration as r\n"
        "before = m.STMem; r.register('anomalib.models'); r.install(); assert m.STMem is before\n"
        "import sys; assert sum(type(f).__name__ == '_Watcher' for f in sys.meta_path) == 1"
    )
    result = python(code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("flag", ["--config {}", "-c {}", "--config={}"])
def test_config_that_is_no_text_is_refused_by_name(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gate.yaml").write_bytes(b"model: caf\xe9\n")
    with pytest.raises(SystemExit):
        refuse_unreadable_configs(["train", *flag.format(tmp_path / "gate.yaml").split()])
    assert (
        "gate.yaml is no config, which is text in UTF-8: invalid continuation byte at byte 10."
        in capsys.readouterr().err
    )
