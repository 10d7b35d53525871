"""Exceptions: one class per status of the C ABI, each also an ordinary Python exception."""

from __future__ import annotations

import sys
from typing import Optional


class Error(Exception):
    """The library or this package refused; the message says what was given and expected.

    `status` is the `drr_status` of the C ABI.
    """

    status = 99


class ArgumentError(Error, ValueError):
    """An argument is of the wrong shape, size or value, or the object was closed."""

    status = 1


class FileError(Error, OSError):
    """The operating system refused: no such file, no permission, ...

    `errno` and `filename` are those of other `OSError`s, and so are the classes: a file that is
    missing is also a `FileNotFoundError`, one that may not be read a `PermissionError`.
    """

    status = 2

    def __str__(self) -> str:
        # The library's message names the file and the number already.
        return str(self.args[-1]) if self.args else ""


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


class NoDeviceError(Error, RuntimeError):
    """There is no such device, or no driver for one."""

    status = 8


class DeviceError(Error, RuntimeError):
    """A device or its driver failed."""

    status = 9


class InternalError(Error, RuntimeError):
    """A bug in drr; please report it."""

    status = 99


class _NotFoundError(FileError, FileNotFoundError):
    pass


class _NotPermittedError(FileError, PermissionError):
    pass


class _DirectoryError(FileError, IsADirectoryError):
    pass


class _NoDirectoryError(FileError, NotADirectoryError):
    pass


_BY_STATUS = {kind.status: kind for kind in Error.__subclasses__()}
# By the exception that Python itself raises.
_FILE_ERRORS = {kind.__bases__[1]: kind for kind in FileError.__subclasses__()}


def error_of(status: int, message: str, os_error: int = 0, filename: Optional[str] = None) -> Error:
    """The exception for a status of the library, and the system's number where it had a part."""
    if status == FileError.status and os_error:
        return _file_error(message, os_error, filename)
    error = _BY_STATUS.get(status, Error)(message)
    error.status = status
    return error


def _file_error(message: str, os_error: int, filename: Optional[str]) -> FileError:
    # On Windows the number is not errno; Python has the table.
    windows = sys.platform == "win32"
    plain = OSError(0, message, filename, os_error) if windows else OSError(os_error, message)
    return _FILE_ERRORS.get(type(plain), FileError)(plain.errno, message, filename)
