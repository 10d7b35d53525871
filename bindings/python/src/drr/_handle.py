"""Handles of the library that are freed once nobody uses them."""

from __future__ import annotations

import ctypes
import weakref
from typing import Callable, NoReturn, Optional, TypeVar

from ._errors import ArgumentError

Self = TypeVar("Self", bound="Closable")


class Handle:
    """One handle of the library, freed with this object.

    Calls hold a reference to it while they run, so that closing its owner from another thread
    waits for them by itself.
    """

    def __init__(self, pointer: ctypes.c_void_p, free: Callable[[int], None]) -> None:
        self.pointer: int = pointer.value or 0
        finalizer = weakref.finalize(self, free, self.pointer)
        # When Python exits, threads may still be inside the library; the system frees everything.
        finalizer.atexit = False


class Closable:
    """What owns a handle and gives it up by `close()`, `with`, or when it is garbage."""

    _handle: Optional[Handle] = None

    def _live(self) -> Handle:
        handle = self._handle
        if handle is None:
            raise ArgumentError(f"this {type(self).__name__} was closed")
        return handle

    @property
    def closed(self) -> bool:
        """Whether `close()` was called."""
        return self._handle is None

    def close(self) -> None:
        """Free what the library holds, at the end of calls that run; again is fine."""
        self._handle = None

    def __enter__(self: Self) -> Self:
        self._live()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} cannot be copied or pickled: open the file in each process"
        )
