"""Run by ``anomalib_stmem.pth`` at every start of Python: wakes our registration when anomalib is imported.

A module of its own, because importing the package would cost a start of Python twice as much.
"""

import sys


class _Sleeper:
    def find_spec(self, name, path=None, target=None):  # noqa: ANN001, ANN202, ARG002
        if name == "anomalib":
            sys.meta_path.remove(self)
            try:
                import anomalib_stmem  # noqa: F401  # installs the registration
            except Exception as error:  # noqa: BLE001  # whatever is wrong with us must not break anomalib
                import warnings

                warnings.warn(f"anomalib-stmem does not load: {error!r}", RuntimeWarning, stacklevel=2)


sys.meta_path.insert(0, _Sleeper())
