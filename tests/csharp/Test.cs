using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Drr
{
    /// <summary>
    /// The C# binding does what its comments say. Arguments: a folder with a model and what Rust
    /// says of it, include/drr.h, tests/struct_layout.txt, tests/exported_symbols.txt. Prints what
    /// fails, and nothing else.
    /// </summary>
    internal static unsafe partial class Test
    {
        // Neither ASCII nor Latin-1 nor the basic plane.
        private const string ModelName = "modèle-数-𝛼.drr.safetensors";
        private static readonly double[] At = { 0.3, 0.8 };
        private static string path;
        private static double[] points, expected;
        private static Answer atPoints, onLattice;
        private static int failures;

        /// <summary>What Rust finds, without gaps.</summary>
        private struct Answer
        {
            public double[] Values, Position, Parameters;
        }

        private static int Main(string[] arguments)
        {
            path = Path.Combine(arguments[0], ModelName);
            ReadExpected(Path.Combine(arguments[0], "expected"));
            Run("enums", () => Enums(arguments[1]));
            Run("layouts", () => Layouts(arguments[2]));
            Run("symbols", () => Symbols(arguments[3]));
            Run("callbacks", Callbacks);
            Run("description", Description);
            Run("values", ValuesAreThoseOfRust);
            Run("arrays", ArraysOfAnyLayout);
            Run("separate", ResultsInSeparateArrays);
            Run("one for all", OneForAll);
            Run("lattice", LatticesAreTheirPoints);
            Run("lattice gradient", LatticeGradients);
            Run("within", PartsOfLargerLattices);
            Run("gradient", GradientsAreFiniteDifferences);
            Run("sets", ParametersOfTheirOwnAndSets);
            Run("radiance", RadianceFields);
            Run("options", Options);
            Run("spans", Spans);
            Run("errors", Errors);
            Run("messages", Messages);
            Run("bad handlers", BadHandlers);
            Run("messages of threads", MessagesOfThreads);
            Run("unloaded", UnloadedHandlers);
            Run("arguments", WrongArguments);
            Run("disposed", Disposed);
            Run("threads", Threads);
            Run("disposing", DisposedWhileInUse);
            Run("dropped", DroppedObjectsAreClosed);
            Run("held arrays", ArraysAreHeldDuringCallsOnly);
            Run("collector", CollectorDuringCalls);
            Run("allocation", QueriesAllocateNothing);
            return failures > 0 ? 1 : 0;
        }

        private static void Run(string name, Action test)
        {
            try
            {
                test();
            }
            catch (Exception error)
            {
                failures++;
                Console.WriteLine(name + ": " + error);
            }
        }

        private static void Check(bool holds, string what = "", [CallerLineNumber] int line = 0)
        {
            if (!holds)
                throw new Exception("line " + line + " " + what);
        }

        private static void Same(double[] a, double[] b, [CallerLineNumber] int line = 0)
        {
            Check(a.Length > 0 && a.Length == b.Length, "lengths", line);
            for (int i = 0; i < a.Length; i++)
                Check(BitConverter.DoubleToInt64Bits(a[i]) == BitConverter.DoubleToInt64Bits(b[i]),
                    i + ": " + a[i] + " is not " + b[i], line);
        }

        private static void Close(
            double[] a, double[] b, double tolerance, double exceptions = 0,
            [CallerLineNumber] int line = 0)
        {
            Check(a.Length > 0 && a.Length == b.Length, "lengths", line);
            int[] far = Enumerable.Range(0, a.Length)
                .Where(i => !(Math.Abs(a[i] - b[i]) <= tolerance * (1 + Math.Abs(b[i])))).ToArray();
            if (far.Length > exceptions * a.Length)
                Check(false, far[0] + ": " + a[far[0]] + " is not about " + b[far[0]], line);
        }

        private static T Throws<T>(Action call, [CallerLineNumber] int line = 0) where T : Exception
        {
            try
            {
                call();
            }
            catch (Exception error) when (error.GetType() == typeof(T))
            {
                return (T)error;
            }
            throw new Exception("line " + line + ": no " + typeof(T).Name);
        }

        private static string Refused(Status status, Action call, [CallerLineNumber] int line = 0)
        {
            DrrException error = Throws<DrrException>(call, line);
            Check(error.Status == status, error.Status + ": " + error.Message, line);
            Check(error.Message.Length > 10, error.Message, line);
            return error.Message;
        }

        private static double[] Wide(float[] a) => Array.ConvertAll(a, x => (double)x);

        private static float[] Narrow(double[] a) => Array.ConvertAll(a, x => (float)x);

        private static double[] Part(double[] a, int first, int step) =>
            a.Where((_, i) => i % step == first).ToArray();

        /// <summary>Points and answers in 64 bits, written by the Rust half of this test.</summary>
        private static void ReadExpected(string name)
        {
            byte[] bytes = File.ReadAllBytes(name);
            var numbers = new double[bytes.Length / 8];
            Buffer.BlockCopy(bytes, 0, numbers, 0, bytes.Length);
            int read = 0;
            Func<int, double[]> next = count =>
            {
                read += count;
                return numbers.Skip(read - count).Take(count).ToArray();
            };
            Func<int, Answer> answer = count => new Answer
            {
                Values = next(2 * count), Position = next(6 * count), Parameters = next(4 * count),
            };
            points = next(3 * 200);
            atPoints = answer(200);
            onLattice = answer(60);
            expected = atPoints.Values;
            Check(read == numbers.Length);
        }

        private static double[] Query(Sampler sampler, double[] at)
        {
            var values = new double[at.Length / 3 * 2];
            sampler.Query(at, values);
            return values;
        }

        private static void Description()
        {
            Check(Library.Version.Split('.').Length == 3, Library.Version);
            Model model = Model.Open(path);
            Check(model.FileBytes == new FileInfo(path).Length);
            Check(model.MemoryBytes >= model.FileBytes);
            model.Dispose();
            Check(string.Join(" ", model.Axes.Select(axis => axis.Name)) == "x y z");
            Check(string.Join(" ", model.Parameters.Select(p => p.Name)) == "p größe");
            Check(string.Join(" ", model.Values.Select(v => v.Name + v.Unit)) == "温度m³ v𝛼");
            Check(model.Values[1].Unit == "" && model.Values[0].Min == -1 && model.Values[0].Max == 2);
            Check(model.Values[0].Transform == ValueTransform.Linear);
            Check(model.Values[1].Transform == ValueTransform.Log);
            Check(model.Axes[0].Transform == ValueTransform.Linear);
            Check(model.Axes[1].Min == -1 && model.Axes[1].Max == 3);
            Check(model.Axes[1].ToString() == "y [cm] -1 to 3", model.Axes[1].ToString());
            Check(model.SpecJson.StartsWith("{") && model.SpecJson.Contains("温度"));
            Check(model.Kernel == Environment.GetEnvironmentVariable("DRR_CPU"), model.Kernel);
        }

        private static void ValuesAreThoseOfRust()
        {
            using (Model model = Model.Open(path))
            using (Model copy = Model.Open(File.ReadAllBytes(path)))
            using (Sampler a = model.CreateSampler(At))
            using (Sampler b = copy.CreateSampler(At))
            {
                Check(a.Dims == 3 && a.Outputs == 2 && a.Parameters == 2);
                Same(Query(a, points), expected);
                Same(Query(b, points), expected);
                Check(expected.Distinct().Count() > expected.Length / 2);
                model.Dispose();
                Same(Query(a, points), expected);
                a.Query(new double[0], new double[0]);
            }
        }

        [StructLayout(LayoutKind.Sequential)]
        private struct Vertex
        {
            public byte Tag;
            public float X, Y, Z;
            public double First;
            public int Colour;
            public double Second;
        }

        private static void ArraysOfAnyLayout()
        {
            int count = points.Length / 3;
            using (Model model = Model.Open(path))
            using (Sampler sampler = model.CreateSampler(At))
            {
                double[] x = Part(points, 0, 3), y = Part(points, 1, 3), z = Part(points, 2, 3);
                var values = new double[2 * count];
                sampler.Query(x, y, z, values);
                Same(values, expected);

                float[] narrow = Narrow(points), floats = new float[2 * count];
                sampler.Query(narrow, floats);
                Close(Wide(floats), expected, 1e-4);
                var again = new float[2 * count];
                sampler.Query(Narrow(x), Narrow(y), Narrow(z), again);
                Same(Wide(again), Wide(floats));
                Array.Clear(again, 0, again.Length);
                fixed (float* p = narrow, v = again)
                    sampler.Query(count, p, v);
                Same(Wide(again), Wide(floats));

                // Parts of records, and each value to a place of its own.
                var vertices = new Vertex[count];
                for (int i = 0; i < count; i++)
                    vertices[i] = new Vertex
                    {
                        X = narrow[3 * i], Y = narrow[3 * i + 1], Z = narrow[3 * i + 2], Colour = i,
                    };
                fixed (Vertex* v = vertices)
                    sampler.Query(
                        Points.Records(Scalar.F32, (IntPtr)(&v->X), count, sizeof(Vertex)),
                        new Values
                        {
                            Scalar = Scalar.F64,
                            Data = (IntPtr)(&v->First),
                            PointStride = sizeof(Vertex),
                            ValueStride = (byte*)&v->Second - (byte*)&v->First,
                        });
                Same(Narrowed(vertices.Select(v => v.First)), Part(Wide(floats), 0, 2));
                Same(Narrowed(vertices.Select(v => v.Second)), Part(Wide(floats), 1, 2));
                Check(vertices.Select((v, i) => v.Colour == i && v.Tag == 0).All(kept => kept));

                // Backwards, and a coordinate for all.
                var line = new double[2 * count];
                double height = 5.5;
                fixed (double* p = x, q = y, v = line)
                    sampler.Query(
                        new Points
                        {
                            Scalar = Scalar.F64, Count = count,
                            AxisX = (IntPtr)(p + count - 1), StrideX = -8,
                            AxisY = (IntPtr)(q + count - 1), StrideY = -8,
                            AxisZ = (IntPtr)(&height), StrideZ = Stride.Same,
                        },
                        new Values { Scalar = Scalar.F64, Data = (IntPtr)v });
                double[] backwards = new double[2 * count];
                sampler.Query(
                    x.Reverse().ToArray(), y.Reverse().ToArray(),
                    Enumerable.Repeat(height, count).ToArray(), backwards);
                Same(line, backwards);

                var halves = new ushort[2 * count];
                fixed (float* p = narrow)
                fixed (ushort* v = halves)
                    sampler.Query(
                        Points.Records(Scalar.F32, (IntPtr)p, count, 12),
                        new Values { Scalar = Scalar.F16, Data = (IntPtr)v });
                Close(Array.ConvertAll(halves, Half), Wide(floats), 1e-3);
            }
        }

        private static double[] Narrowed(IEnumerable<double> a) =>
            a.Select(v => (double)(float)v).ToArray();

        private static double Half(ushort bits)
        {
            int exponent = bits >> 10 & 31, fraction = bits & 1023;
            double size = exponent == 0
                ? fraction * Math.Pow(2, -24)
                : (1024 + fraction) * Math.Pow(2, exponent - 25);
            return bits >> 15 == 1 ? -size : size;
        }
    }
}
