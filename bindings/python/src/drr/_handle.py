"""Handles of the library that are freed once nobody uses them."""

from __future__ import annotations

import ctypes
import os
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
    # What a child has of a parent's handle with threads, which it has not.
    _lost: Optional[Handle] = None

    def _own(self, handle: Handle, threads: bool) -> None:
        self._handle = handle
        if threads:
            _with_threads.add(self)

    def _live(self) -> Handle:
        handle = self._handle
        if handle is None and self._lost:
            raise ArgumentError(
                f"this {type(self).__name__} has threads, which a process that was forked has not: "
                "open the file in each process"
            )
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


_with_threads: weakref.WeakSet[Closable] = weakref.WeakSet()
_kept: list[Optional[Handle]] = []


def _give_up_threads() -> None:
    # A query would wait for them for ever, and so would freeing.
    for owner in list(_with_threads):
        owner._lost, owner._handle = owner._handle, None
        _kept.append(owner._lost)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_give_up_threads)
