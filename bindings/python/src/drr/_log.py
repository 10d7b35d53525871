"""What the library has to say beside errors, for `logging`."""

from __future__ import annotations

import atexit
import ctypes
import logging
from typing import Optional

from . import _abi
from ._library import check, library

# Of `drr_log_level`, and what they are here.
_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO}

# Kept as long as the library may call it.
_callback = _abi.log_callback()


def log_to(logger: Optional[logging.Logger]) -> None:
    """Send the library's messages to a logger, those at its level when this is called.

    None ends it. One for the process. `INFO` says what was opened and how it is evaluated,
    `WARNING` what works but not as it was asked for.

        drr.log_to(logging.getLogger("drr"))
    """
    global _callback
    new, level = _abi.log_callback(), 0
    if logger is not None:
        least = logger.getEffectiveLevel()
        level = max((ours for ours, its in _LEVELS.items() if its >= least), default=0)

        def tell(level: int, message: bytes, _: ctypes.c_void_p) -> None:
            logger.log(_LEVELS.get(level, logging.INFO), "%s", message.decode("utf-8", "replace"))

        new = _abi.log_callback(tell)

    check(library.drr_set_log_callback(new, level, None))
    # Only now is the one before not called any more.
    _callback = new


# Python cannot be called when it has ended.
atexit.register(log_to, None)
