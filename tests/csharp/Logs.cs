using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;

namespace Drr
{
    // What the library says beside exceptions.
    internal static unsafe partial class Test
    {
        private static void Open()
        {
            Model.Open(path).Dispose();
        }

        private static void Messages()
        {
            var heard = new List<string>();
            Action<LogLevel, string> listen = (level, message) => heard.Add(level + " " + message);
            Open();
            Log.To(listen, LogLevel.Info);
            Collect();
            Open();
            Check(heard.Count == 1 && heard[0].StartsWith("Info "), string.Join("\n", heard));
            Check(heard[0].Contains(ModelName), heard[0]);
            Log.To(listen);
            Open();
            Log.To(listen, LogLevel.Off);
            Open();
            Check(heard.Count == 1, string.Join("\n", heard));
            Refused(Status.InvalidArgument, () => Log.To(listen, (LogLevel)4));

            // The next one takes all, and none is none.
            int other = 0;
            Log.To((level, message) => other++, LogLevel.Info);
            Open();
            Log.To(null);
            Open();
            Check(other == 1 && heard.Count == 1);
        }

        private static void BadHandlers()
        {
            int calls = 0;
            Log.To((level, message) =>
            {
                calls++;
                throw new InvalidOperationException("mine");
            }, LogLevel.Info);
            Open();
            Open();
            Check(calls == 2);

            // A handler may use the library, which says nothing meanwhile, but not replace itself.
            Exception refused = null;
            Log.To((level, message) =>
            {
                calls++;
                Open();
                refused = Catch(() => Log.To(null));
            }, LogLevel.Info);
            Open();
            Check(calls == 3 && refused is InvalidOperationException, "" + refused);
            Open();
            Check(calls == 4);
            // A level that is none leaves the one before.
            Refused(Status.InvalidArgument, () => Log.To((level, message) => { }, (LogLevel)4));
            Open();
            Check(calls == 5);
            Log.To(null);
        }

        private static void MessagesOfThreads()
        {
            for (int round = 0; round < 20; round++)
            {
                int calls = 0, late = 0;
                bool gone = false;
                Log.To((level, message) =>
                {
                    Interlocked.Increment(ref calls);
                    Thread.Sleep(1);
                    if (Volatile.Read(ref gone))
                        Interlocked.Increment(ref late);
                }, LogLevel.Info);
                InThreads(3, n =>
                {
                    for (int i = 0; i < 5; i++)
                    {
                        if (n == 2 && i == 2)
                        {
                            Log.To(null);
                            Volatile.Write(ref gone, true);
                        }
                        Open();
                        Collect();
                    }
                });
                Check(calls >= 2 && calls < 15 && late == 0, calls + ", " + late + " late");
            }
        }

        /// <summary>Code that is unloaded is not called any more: Unity does so at each reload.
        /// </summary>
        private static void UnloadedHandlers()
        {
            AppDomain domain = AppDomain.CreateDomain("other");
            domain.DoCallBack(() => Log.To((level, message) => { }, LogLevel.Info));
            AppDomain.Unload(domain);
            Collect();
            Open();
        }
    }
}
