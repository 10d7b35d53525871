using System;
using System.IO;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;

namespace Drr
{
    // Disposal, threads and the garbage collector.
    internal static unsafe partial class Test
    {
        private static void Disposed()
        {
            double[] at = new double[3], values = new double[2];
            Model model = Model.Open(path);
            Sampler sampler = model.CreateSampler(At);
            model.Dispose();
            model.Dispose();
            sampler.Query(at, values);
            Throws<ObjectDisposedException>(() => model.CreateSampler(At));
            Throws<ObjectDisposedException>(() => model.Query(at, At, values));
            Throws<ObjectDisposedException>(() => model.QuerySets(at, At, values));
            Throws<ObjectDisposedException>(() => Check(model.MemoryBytes > 0));
            sampler.Dispose();
            sampler.Dispose();
            Throws<ObjectDisposedException>(() => sampler.Query(at, values));
            Throws<ObjectDisposedException>(() => sampler.Query(
                new float[1], new float[1], new float[1], new float[2]));
            Throws<ObjectDisposedException>(() => sampler.QueryGradient(at, values, null));
            Throws<ObjectDisposedException>(() => sampler.QueryLattice(
                new Lattice { DimsX = 1, DimsY = 1, DimsZ = 1 }, values));
            Throws<ObjectDisposedException>(() => sampler.QueryLatticeGradient(
                new Lattice { DimsX = 1, DimsY = 1, DimsZ = 1 }, values, null));
            Throws<ObjectDisposedException>(() => sampler.Query(at, Arrays(2, 1)));
        }

        /// <summary>Runs a job in several threads at once; what they throw is thrown here.</summary>
        private static void InThreads(int count, Action<int> job)
        {
            var errors = new Exception[count];
            Thread[] threads = Enumerable.Range(0, count)
                .Select(n => new Thread(() => errors[n] = Catch(() => job(n)))).ToArray();
            foreach (Thread thread in threads)
                thread.Start();
            foreach (Thread thread in threads)
                thread.Join();
            foreach (Exception error in errors.Where(error => error != null))
                throw new Exception("in a thread", error);
        }

        private static void Threads()
        {
            using (Model model = Model.Open(path))
            using (Sampler sampler = model.CreateSampler(At))
                InThreads(4, n =>
                {
                    for (int round = 0; round < 50; round++)
                    {
                        Same(Query(sampler, points), expected);
                        // The reason of a failure is that of this thread's call.
                        string name = "/nowhere/" + n + "-" + round;
                        Check(Refused(Status.Io, () => Model.Open(name)).Contains(name));
                    }
                });
        }

        private static void DisposedWhileInUse()
        {
            for (int round = 0; round < 20; round++)
            {
                Model model = Model.Open(path);
                Sampler sampler = model.CreateSampler(At);
                var started = new CountdownEvent(3);
                InThreads(4, n =>
                {
                    if (n == 3)
                    {
                        started.Wait();
                        model.Dispose();
                        sampler.Dispose();
                        return;
                    }
                    var values = new double[expected.Length];
                    Exception end = Catch(() =>
                    {
                        // Signalled first: whatever goes wrong, nobody waits for ever.
                        started.Signal();
                        while (true)
                        {
                            sampler.Query(points, values);
                            Same(values, expected);
                        }
                    });
                    Check(end is ObjectDisposedException, end.ToString());
                });
            }
        }

        /// <summary>How many times the model's file is mapped: how many are open.</summary>
        private static int Mapped() =>
            File.ReadAllLines("/proc/self/maps").Count(line => line.EndsWith(ModelName));

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void Drop(int count)
        {
            for (int i = 0; i < count; i++)
            {
                Model model = Model.Open(path);
                Same(Query(model.CreateSampler(At), points), expected);
            }
        }

        private static void Collect()
        {
            for (int i = 0; i < 3; i++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        }

        private static void DroppedObjectsAreClosed()
        {
            Collect();
            int before = Mapped();
            Model held = Model.Open(path);
            Check(Mapped() == before + 1, "files are not counted");
            // In a thread, whose stack is gone afterwards: the collector takes all of it for live.
            InThreads(1, n => Drop(100));
            Collect();
            Check(Mapped() <= before + 3, Mapped() + " files are open");
            held.Dispose();
        }

        private static void ArraysAreHeldDuringCallsOnly()
        {
            var arrays = new WeakReference[20];
            using (Model model = Model.Open(path))
            using (Sampler sampler = model.CreateSampler(At))
                InThreads(1, n =>
                {
                    for (int i = 0; i < arrays.Length; i++)
                    {
                        // Half of the calls fail when some arrays are held already.
                        double[][] values = { new double[1], new double[1 + i % 2] };
                        Exception error = Catch(() => sampler.Query(new double[3], values));
                        Check((error == null) == (i % 2 == 0), "" + error);
                        arrays[i] = new WeakReference(values[0]);
                    }
                });
            Collect();
            int held = arrays.Count(array => array.IsAlive);
            Check(held <= 3, held + " arrays are held");
        }

        private static void CollectorDuringCalls()
        {
            bool done = false;
            var collector = new Thread(() =>
            {
                while (!Volatile.Read(ref done))
                    Collect();
            });
            collector.Start();
            // The query is the last use of each sampler: it must not be freed under way.
            Exception error = Catch(() => InThreads(2, n => Drop(100)));
            Volatile.Write(ref done, true);
            collector.Join();
            Check(error == null, "" + error);
        }

        private static void QueriesAllocateNothing()
        {
            double[] at = points.Take(3).ToArray(), values = new double[2];
            var gradient = new double[6];
            using (Model model = Model.Open(path))
            using (Sampler sampler = model.CreateSampler(At))
            {
                Lattice lattice = model.DomainLattice(1);
                Within within = Within.Ghosts(lattice, 1, 1, 1);
                double[] larger = new double[54];
                double[] x = { at[0] }, y = { at[1] }, z = { at[2] };
                double[][] apart = Arrays(2, 1), slopes = Arrays(6, 1);
                Action[] calls =
                {
                    () => sampler.Query(at, values),
                    () => sampler.QueryLattice(lattice, values),
                    () => sampler.QueryGradient(at, values, gradient),
                    () => sampler.Query(x, y, z, values),
                    () => sampler.Query(at, apart),
                    () => sampler.QueryGradient(at, apart, slopes),
                    () => sampler.QueryLattice(lattice, larger, within),
                    () => sampler.QueryLattice(lattice, apart),
                    () => sampler.QueryLatticeGradient(lattice, values, gradient),
                    () => sampler.QueryLatticeGradient(lattice, apart, slopes),
                    () => model.Query(at, At, values),
                    () => model.QuerySets(at, At, values),
                };
                for (int k = 0; k < calls.Length; k++)
                {
                    calls[k]();
                    GC.Collect();
                    // The smallest object has 16 bytes: these would fill the nursery of 512 KiB.
                    int before = GC.CollectionCount(0);
                    for (int i = 0; i < 40000; i++)
                        calls[k]();
                    Check(GC.CollectionCount(0) == before, "call " + k);
                }
            }
        }
    }
}
