using System;
using System.Linq;

namespace Drr
{
    // Results in an array for each value and derivative; one coordinate or row for all points.
    internal static unsafe partial class Test
    {
        private static double[][] Arrays(int count, int length) =>
            Enumerable.Range(0, count).Select(_ => new double[length]).ToArray();

        /// <summary><c>[length][count]</c> from so many arrays.</summary>
        private static double[] Interleaved(double[][] arrays) =>
            Enumerable.Range(0, arrays[0].Length)
                .SelectMany(i => arrays.Select(array => array[i])).ToArray();

        private static double[] Interleaved(float[][] arrays) =>
            Interleaved(arrays.Select(Wide).ToArray());

        private static void ResultsInSeparateArrays()
        {
            int count = points.Length / 3;
            double[] x = Part(points, 0, 3), y = Part(points, 1, 3), z = Part(points, 2, 3);
            using (Model model = Model.Open(path))
            using (Sampler sampler = model.CreateSampler(At))
            {
                double[][] values = Arrays(2, count);
                sampler.Query(points, values);
                Same(Interleaved(values), expected);
                values = Arrays(2, count);
                sampler.Query(x, y, z, values);
                Same(Interleaved(values), expected);

                values = Arrays(2, count);
                double[][] position = Arrays(6, count), parameter = Arrays(4, count);
                sampler.QueryGradient(points, values, position, parameter);
                Same(Interleaved(values), expected);
                Same(Interleaved(position), atPoints.Position);
                Same(Interleaved(parameter), atPoints.Parameters);
                parameter = Arrays(4, count);
                sampler.QueryGradient(points, null, null, parameter);
                Same(Interleaved(parameter), atPoints.Parameters);

                var floats = new[] { new float[count], new float[count] };
                float[] wanted = new float[2 * count], narrow = Narrow(points);
                sampler.Query(narrow, wanted);
                sampler.Query(narrow, floats);
                Same(Interleaved(floats), Wide(wanted));
                floats = new[] { new float[count], new float[count] };
                sampler.Query(Narrow(x), Narrow(y), Narrow(z), floats);
                Same(Interleaved(floats), Wide(wanted));
                floats = new[] { new float[count], new float[count] };
                sampler.QueryGradient(narrow, floats, null);
                Same(Interleaved(floats), Wide(wanted));

                double[][] lattice = Arrays(2, 60), by = Arrays(6, 60), of = Arrays(4, 60);
                sampler.QueryLattice(FiveByFourByThree, lattice);
                Same(Interleaved(lattice), onLattice.Values);
                sampler.QueryLatticeGradient(FiveByFourByThree, null, by, of);
                Same(Interleaved(by), onLattice.Position);
                Same(Interleaved(of), onLattice.Parameters);
                sampler.Query(new double[0], Arrays(2, 0));
                SeparateByAddresses(model, sampler, count);
                WrongSeparateArrays(sampler, count);
            }
        }

        private static void SeparateByAddresses(Model model, Sampler sampler, int count)
        {
            // Two sets one after the other in each array; derivatives in every other place.
            double[] first = new double[2 * count], second = new double[2 * count];
            double[] slopes = new double[2 * 6 * count];
            double[] rows = { 0.9, 0.2, At[0], At[1] };
            IntPtr* values = stackalloc IntPtr[2];
            IntPtr* gradients = stackalloc IntPtr[6];
            fixed (double* p = points, q = rows, a = first, b = second, g = slopes)
            {
                values[0] = (IntPtr)a;
                values[1] = (IntPtr)b;
                for (int k = 0; k < 6; k++)
                    gradients[k] = (IntPtr)(g + (5 - k) * 2 * count + 1);
                Points at = Points.Records(Scalar.F64, (IntPtr)p, count, 24);
                var to = new Values { Scalar = Scalar.F64, Separate = (IntPtr)values };
                model.QuerySets(
                    at,
                    new ParameterRows { Scalar = Scalar.F64, Count = 2, Data = (IntPtr)q },
                    to);
                sampler.QueryGradient(
                    at,
                    null,
                    new Gradients
                    {
                        Scalar = Scalar.F64, Separate = (IntPtr)gradients, PointStride = 16,
                    },
                    null);
                values[1] = IntPtr.Zero;
                string why = Refused(Status.InvalidArgument, () => sampler.Query(at, to));
                Check(why.Contains("separate[1]"), why);
                to.Data = to.Separate;
                Refused(Status.InvalidArgument, () => sampler.Query(at, to));
            }
            Same(first.Skip(count).ToArray(), Part(expected, 0, 2));
            Same(second.Skip(count).ToArray(), Part(expected, 1, 2));
            Check(first[0] != first[count] && first[0] != 0);
            for (int k = 0; k < 6; k++)
            {
                double[] part = slopes.Skip((5 - k) * 2 * count).Take(2 * count).ToArray();
                Same(Part(part, 1, 2), Part(atPoints.Position, k, 6));
                Check(Part(part, 0, 2).All(number => number == 0));
            }
        }

        private static void WrongSeparateArrays(Sampler sampler, int count)
        {
            double[] at = points.Take(6).ToArray(), a = new double[2], b = new double[2];
            double[] three = new double[3];
            Throws<ArgumentNullException>(() => sampler.Query(at, (double[][])null));
            Throws<ArgumentNullException>(() => sampler.Query(at, new[] { a, null }));
            Throws<ArgumentNullException>(() => sampler.Query(a, a, a, new double[][] { null, a }));
            Throws<ArgumentException>(() => sampler.Query(at, new[] { a }));
            Throws<ArgumentException>(() => sampler.Query(at, new[] { a, b, new double[2] }));
            Throws<ArgumentException>(() => sampler.Query(at, new[] { a, three }));
            Throws<ArgumentException>(() => sampler.Query(at, new[] { a, a }));
            Throws<ArgumentException>(() => sampler.Query(a, b, new double[2], new[] { three, a }));
            Throws<ArgumentException>(() => sampler.Query(a, b, b, new[] { new double[2], b }));
            Throws<ArgumentException>(() => sampler.QueryGradient(at, new[] { a, b }, Arrays(5, 2)));
            Throws<ArgumentException>(() => sampler.QueryGradient(
                at, new[] { a, b }, null, new[] { new double[2], b, new double[2], new double[2] }));
            double[] six = new double[6];
            Throws<ArgumentException>(() => sampler.QueryLattice(
                FiveByFourByThree, new[] { six, six }));
            double[] same = new double[60];
            Throws<ArgumentException>(() => sampler.QueryLattice(
                FiveByFourByThree, new[] { same, same }));
            Throws<ArgumentException>(() => sampler.QueryLatticeGradient(
                FiveByFourByThree, Arrays(2, 60), Arrays(6, 60), Arrays(6, 60)));
            Check(a.Concat(b).Concat(three).Concat(same).All(number => number == 0));
        }

        private static void OneForAll()
        {
            int count = points.Length / 3;
            double[] x = Part(points, 0, 3), y = Part(points, 1, 3), height = { 5.5 };
            double[] heights = Enumerable.Repeat(5.5, count).ToArray();
            using (Model model = Model.Open(path))
            using (Sampler sampler = model.CreateSampler(At))
            {
                double[] plane = new double[2 * count], wanted = new double[2 * count];
                sampler.Query(x, y, heights, wanted);
                sampler.Query(x, y, height, plane);
                Same(plane, wanted);
                double[][] apart = Arrays(2, count);
                sampler.Query(x, y, height, apart);
                Same(Interleaved(apart), wanted);
                sampler.Query(new[] { x[7] }, new[] { y[7] }, height, plane);
                Same(plane, Enumerable.Range(0, 2 * count).Select(i => wanted[14 + i % 2]).ToArray());
                float[] floats = new float[2 * count], narrow = new float[2 * count];
                sampler.Query(Narrow(x), Narrow(y), Narrow(heights), narrow);
                sampler.Query(Narrow(x), Narrow(y), Narrow(height), floats);
                Same(Wide(floats), Wide(narrow));
                sampler.Query(new double[0], height, height, new double[0]);
                Throws<ArgumentException>(() => sampler.Query(x, y, new double[2], plane));
                Throws<ArgumentException>(() => sampler.Query(x, y, new double[0], plane));

                // By address: an array without gaps beside a coordinate for all.
                var plan = new Points
                {
                    Scalar = Scalar.F64, Count = count, StrideZ = Stride.Same,
                };
                Array.Clear(plane, 0, plane.Length);
                fixed (double* p = x, q = y, r = height, v = plane)
                {
                    plan.AxisX = (IntPtr)p;
                    plan.AxisY = (IntPtr)q;
                    plan.AxisZ = (IntPtr)r;
                    var to = new Values { Scalar = Scalar.F64, Data = (IntPtr)v };
                    sampler.Query(plan, to);
                    to.PointStride = Stride.Same;
                    Refused(Status.InvalidArgument, () => sampler.Query(plan, to));
                }
                Same(plane, wanted);

                // Parameters: the values that rows of their own have.
                double[] own = Enumerable.Range(0, 2 * count).Select(i => At[i % 2]).ToArray();
                double[] values = new double[2 * count], again = new double[2 * count];
                model.Query(points, own, values);
                model.Query(points, At, again);
                Same(again, values);
                Close(again, expected, 1e-4);
                model.Query(Narrow(points), Narrow(own), narrow);
                model.Query(Narrow(points), Narrow(At), floats);
                Same(Wide(floats), Wide(narrow));
                Array.Clear(again, 0, again.Length);
                fixed (double* p = points, q = At, v = again)
                    model.Query(
                        Points.Records(Scalar.F64, (IntPtr)p, count, 24),
                        new ParameterRows
                        {
                            Scalar = Scalar.F64, Count = count, Data = (IntPtr)q,
                            RowStride = Stride.Same,
                        },
                        new Values { Scalar = Scalar.F64, Data = (IntPtr)v });
                Same(again, values);
                Throws<ArgumentException>(() => model.Query(points, new double[4], values));
            }
        }
    }
}
