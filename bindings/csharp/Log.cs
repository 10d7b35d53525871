using System;
using System.Runtime.InteropServices;

namespace Drr
{
    /// <summary>How much a message matters. Numbers are fixed for ever.</summary>
    public enum LogLevel : uint
    {
        /// <summary>Nothing at all.</summary>
        Off = 0,
        /// <summary>Something failed without an exception that could say so.</summary>
        Error = 1,
        /// <summary>Works, but not as it was asked for: slower, say.</summary>
        Warn = 2,
        /// <summary>What was opened, and how it will be evaluated.</summary>
        Info = 3,
    }

    /// <summary>What the library has to say beside exceptions.</summary>
    public static class Log
    {
        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        internal delegate void Callback(LogLevel level, IntPtr message, IntPtr userData);

        // Held for ever, as the library may call it; a static method, which is all that can be
        // called from outside where code is compiled ahead of time (IL2CPP).
        private static readonly Callback Forwarder = Forward;
        private static readonly object Gate = new object();
        private static volatile Action<LogLevel, string> handler;
        private static bool isEndObserved;

        [ThreadStatic]
        private static bool isInside;

        /// <summary>
        /// Has the library's messages sent to a handler, the only one of the process. By default
        /// nothing is said.
        /// </summary>
        /// <param name="handler">
        /// Takes messages, one line each; null for none. Called by whatever thread has something to
        /// say, by several at once perhaps. What it throws is dropped. It may use the library; what
        /// that has to say meanwhile is dropped too. The one before is not called any more when this
        /// returns.
        /// </param>
        /// <param name="level">The least that matters.</param>
        /// <exception cref="InvalidOperationException">Called by a handler.</exception>
        /// <exception cref="DrrException">
        /// <see cref="Status.InvalidArgument"/>: no such level; <see cref="Status.Unsupported"/>: the
        /// program is in Rust and takes messages by itself.
        /// </exception>
        public static void To(Action<LogLevel, string> handler, LogLevel level = LogLevel.Warn)
        {
            // The library waits for handlers to return, who would wait here.
            if (isInside)
                throw new InvalidOperationException("a log handler cannot replace itself");
            Native.CheckAbi();
            lock (Gate)
            {
                if (handler == null)
                {
                    Native.Check(End());
                    return;
                }
                if (!isEndObserved)
                {
                    // Unity reloads a program's code while the library stays.
                    AppDomain.CurrentDomain.DomainUnload += (sender, e) => End();
                    AppDomain.CurrentDomain.ProcessExit += (sender, e) => End();
                    isEndObserved = true;
                }
                Action<LogLevel, string> before = Log.handler;
                Log.handler = handler;
                Status status = Native.drr_set_log_callback(Forwarder, level, IntPtr.Zero);
                if (status != Status.Ok)
                    Log.handler = before;
                Native.Check(status);
            }
        }

        private static Status End()
        {
            Status status = Native.drr_set_log_callback(null, LogLevel.Off, IntPtr.Zero);
            if (status == Status.Ok)
                handler = null;
            return status;
        }

        [MonoPInvokeCallback(typeof(Callback))]
        private static void Forward(LogLevel level, IntPtr message, IntPtr userData)
        {
            isInside = true;
            try
            {
                handler?.Invoke(level, Native.Text(message));
            }
            catch (Exception)
            {
                // There is nobody in the library to take it.
            }
            finally
            {
                isInside = false;
            }
        }
    }

    /// <summary>Marks what native code calls: IL2CPP looks for it by its name.</summary>
    [AttributeUsage(AttributeTargets.Method)]
    internal sealed class MonoPInvokeCallbackAttribute : Attribute
    {
        public MonoPInvokeCallbackAttribute(Type type)
        {
            Type = type;
        }

        public Type Type { get; }
    }
}
