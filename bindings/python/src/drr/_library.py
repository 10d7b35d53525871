"""Finding and loading libdrr, and turning its statuses into exceptions."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Optional

from . import _abi
from ._errors import error_of

NAME = {"darwin": "libdrr.dylib", "win32": "drr.dll"}.get(sys.platform, "libdrr.so")


def load() -> ctypes.CDLL:
    """The library that is bundled, else the one DRR_LIBRARY names, else the system's.

    Raises:
        ImportError: it is in none of these places, or of another ABI version.
    """
    bundled = Path(__file__).with_name(NAME)
    named = os.environ.get("DRR_LIBRARY")
    path = str(bundled) if bundled.exists() else named or NAME
    try:
        library = ctypes.CDLL(path)
        # Before anything else: another version may lack functions.
        version = library.drr_abi_version()
        if version == _abi.ABI_VERSION:
            return _abi.declare(library)
    except (OSError, AttributeError) as error:
        raise ImportError(
            f"cannot load the library of drr: {error}. It was looked for in three places: bundled "
            f"with the package ({bundled}: {'there' if bundled.exists() else 'not there'}), the "
            f"environment variable DRR_LIBRARY ({named or 'not set'}), and {NAME} where the "
            "system's loader finds libraries. A wheel made by 'make wheel' bundles it; otherwise "
            "'cargo build --release' makes one for DRR_LIBRARY."
        ) from error
    raise ImportError(
        f"{path} has version {version} of the C ABI of drr, this package needs "
        f"{_abi.ABI_VERSION}: install a package and a library of the same version"
    )


library = load()


def check(status: int, filename: Optional[str] = None) -> None:
    """Raise what a status of the library says, with the library's message; `filename` is what it
    was asked to open.

    Raises:
        drr.Error: the status is not 0.
    """
    if status:
        message = library.drr_last_error().decode("utf-8", "replace")
        raise error_of(status, message, library.drr_last_os_error(), filename)
