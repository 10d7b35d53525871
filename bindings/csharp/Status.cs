using System;

namespace Drr
{
    /// <summary>Result of a call into the library. Numbers are fixed for ever.</summary>
    public enum Status : uint
    {
        /// <summary>Success.</summary>
        Ok = 0,
        /// <summary>An argument does not fit the model or is out of its range.</summary>
        InvalidArgument = 1,
        /// <summary>The operating system refused: no such file, no permission, ...</summary>
        Io = 2,
        /// <summary>Not a valid baked model: truncated, damaged or inconsistent.</summary>
        Format = 3,
        /// <summary>A baked model of a version that this library does not know.</summary>
        Version = 4,
        /// <summary>A point or parameter lies outside, and the options say to fail then.</summary>
        OutsideDomain = 5,
        /// <summary>This machine or build lacks what was asked for.</summary>
        Unsupported = 6,
        /// <summary>Memory could not be had.</summary>
        OutOfMemory = 7,
        /// <summary>There is no such device, or no driver for one.</summary>
        NoDevice = 8,
        /// <summary>A device or its driver failed.</summary>
        Device = 9,
        /// <summary>A bug in drr; please report it.</summary>
        Internal = 99,
    }

    /// <summary>
    /// The library refused. The message says what was given, what was expected, which file.
    /// </summary>
    /// <remarks>
    /// What the binding itself can see, arrays of the wrong length say, is an
    /// <see cref="ArgumentException"/>, and a closed object an
    /// <see cref="ObjectDisposedException"/>.
    /// </remarks>
    public sealed class DrrException : Exception
    {
        /// <summary>Makes an exception; the library's own come from its calls.</summary>
        public DrrException(Status status, string message, int osError = 0) : base(message)
        {
            Status = status;
            OsError = osError;
        }

        /// <summary>What kind of failure it is.</summary>
        public Status Status { get; }

        /// <summary>
        /// The operating system's number for what it refused: <c>errno</c>, or what
        /// <c>GetLastError</c> gives on Windows; 0 if it had no part in the failure. 2 is a file
        /// that does not exist, on either.
        /// </summary>
        public int OsError { get; }
    }
}
