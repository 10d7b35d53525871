"""Exceptions: one class per status of the C ABI, each also an ordinary Python exception."""

from __future__ import annotations


class Error(Exception):
    """The library or this package refused; the message says what was given and expected.

    `status` is the `drr_status` of the C ABI.
    """

    status = 99


class ArgumentError(Error, ValueError):
    """An argument is of the wrong shape, size or value, or the object was closed."""

    status = 1


class FileError(Error, OSError):
    """The operating system refused: no such file, no permission, ..."""

    status = 2


class FormatError(Error, ValueError):
    """Not a valid baked model: truncated, damaged or inconsistent."""

    status = 3


class VersionError(Error, ValueError):
    """A baked model of a version that this library does not know."""

    status = 4


class OutsideDomainError(Error, ValueError):
    """A point or parameter lies outside, and `"error"` was asked for then."""

    status = 5


class UnsupportedError(Error, NotImplementedError):
    """This machine or build lacks what was asked for."""

    status = 6


class OutOfMemoryError(Error, MemoryError):
    """Memory could not be had."""

    status = 7


class InternalError(Error, RuntimeError):
    """A bug in drr; please report it."""

    status = 99


_BY_STATUS = {kind.status: kind for kind in Error.__subclasses__()}


def error_of(status: int, message: str) -> Error:
    """The exception for a status of the library."""
    error = _BY_STATUS.get(status, Error)(message)
    error.status = status
    return error
