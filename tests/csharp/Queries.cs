using System;
using System.Linq;

namespace Drr
{
    // Derivatives, parameters, options.
    internal static unsafe partial class Test
    {
        private static void GradientsAreFiniteDifferences()
        {
            int count = points.Length / 3;
            using (Model model = Model.Open(path))
            using (Sampler sampler = model.CreateSampler(At))
            {
                double[] values = new double[2 * count];
                double[] position = new double[6 * count], parameter = new double[4 * count];
                sampler.QueryGradient(points, values, position, parameter);
                Same(values, expected);
                Same(position, atPoints.Position);
                Same(parameter, atPoints.Parameters);
                var alone = new double[4 * count];
                sampler.QueryGradient(points, null, null, alone);
                Same(alone, parameter);
                var floats = new float[6 * count];
                sampler.QueryGradient(Narrow(points), null, floats);
                Close(Wide(floats), position, 0.01, 0.02);

                int good = 0;
                for (int c = 0; c < 5; c++)
                {
                    double step = 2e-3 * (c < 3 ? model.Axes[c].Max - model.Axes[c].Min : 1);
                    double[] above = Moved(model, c, step), below = Moved(model, c, -step);
                    for (int i = 0; i < 2 * count; i++)
                    {
                        double given = c < 3 ? position[3 * i + c] : parameter[2 * i + c - 3];
                        double wanted = (above[i] - below[i]) / (2 * step);
                        good += Math.Abs(given - wanted) < 0.01 * (0.1 + Math.Abs(wanted)) ? 1 : 0;
                    }
                }
                // Differences over the faces of cells and the kinks of the network are no measure.
                Check(good > 0.8 * 10 * count, good + " of " + 10 * count);

                // By coordinate first: [dims][outputs][count].
                var turned = new double[6 * count];
                fixed (double* p = points, g = turned)
                    sampler.QueryGradient(
                        Points.Records(Scalar.F64, (IntPtr)p, count, 24),
                        null,
                        new Gradients
                        {
                            Scalar = Scalar.F64, Data = (IntPtr)g, PointStride = 8,
                            ValueStride = 8 * count, ComponentStride = 16 * count,
                        },
                        null);
                for (int k = 0; k < 6; k++)
                    Same(
                        turned.Skip((k % 3 * 2 + k / 3) * count).Take(count).ToArray(),
                        Part(position, k, 6));
            }
        }

        /// <summary>Values a step aside, along a coordinate or a parameter.</summary>
        private static double[] Moved(Model model, int component, double step)
        {
            double[] at = (double[])points.Clone(), parameters = (double[])At.Clone();
            if (component >= 3)
                parameters[component - 3] += step;
            for (int i = component; component < 3 && i < at.Length; i += 3)
                at[i] += step;
            using (Sampler sampler = model.CreateSampler(parameters))
                return Query(sampler, at);
        }

        private static void ParametersOfTheirOwnAndSets()
        {
            int count = points.Length / 3;
            double[] rows = { 0.3, 0.8, 0, 1, 0.9, 0.2 };
            using (Model model = Model.Open(path))
            {
                double[][] each = Enumerable.Range(0, 3).Select(set =>
                {
                    double[] parameters = rows.Skip(2 * set).Take(2).ToArray();
                    using (Sampler sampler = model.CreateSampler(parameters))
                        return Query(sampler, points);
                }).ToArray();
                double[] wanted = each.SelectMany(values => values).ToArray();
                Check(!each[0].SequenceEqual(each[1]));

                var sets = new double[6 * count];
                model.QuerySets(points, rows, sets);
                Same(sets, wanted);
                var floats = new float[6 * count];
                model.QuerySets(Narrow(points), Narrow(rows), floats);
                Close(Wide(floats), wanted, 1e-4);
                // The last set first.
                fixed (double* p = points, q = rows, v = sets)
                    model.QuerySets(
                        Points.Records(Scalar.F64, (IntPtr)p, count, 24),
                        new ParameterRows { Scalar = Scalar.F64, Count = 3, Data = (IntPtr)q },
                        new Values
                        {
                            Scalar = Scalar.F64, Data = (IntPtr)(v + 4 * count), PointStride = 16,
                        },
                        -16 * count);
                Same(sets, each.Reverse().SelectMany(values => values).ToArray());

                double[] own = Enumerable.Range(0, 2 * count).Select(i => rows[i % 6]).ToArray();
                double[] mixed = Enumerable.Range(0, 2 * count).Select(i => each[i / 2 % 3][i])
                    .ToArray();
                var values64 = new double[2 * count];
                model.Query(points, own, values64);
                Close(values64, mixed, 1e-4);
                var values32 = new float[2 * count];
                model.Query(Narrow(points), Narrow(own), values32);
                Close(Wide(values32), mixed, 1e-4);
            }
        }

        private static void Options()
        {
            double[] far = { 5, 1, 5.5, 11, 1, 5.5 }, values = new double[4];
            var threads = new OpenOptions
            {
                Storage = Storage.Copied, Checksums = Checksums.Skip, Threads = 2,
            };
            using (Model model = Model.Open(path, threads))
            {
                using (Sampler sampler = model.CreateSampler(At))
                    Same(Query(sampler, points), expected);
                var normalized = new SamplerOptions { Units = Units.Normalized };
                double[] middle = { 5, 1, 5.5 }, zero = new double[3];
                using (Sampler a = model.CreateSampler(At))
                using (Sampler b = model.CreateSampler(At, normalized))
                    Close(new[] { Query(b, zero)[0] * 3 - 1 }, new[] { Query(a, middle)[0] }, 1e-5);
                using (Sampler nan = model.CreateSampler(
                    At, new SamplerOptions { Outside = Outside.Nan }))
                    Check(double.IsNaN(Query(nan, far)[2]) && !double.IsNaN(Query(nan, far)[0]));
                var error = new SamplerOptions { Outside = Outside.Error };
                using (Sampler strict = model.CreateSampler(At, error))
                {
                    string why = Refused(Status.OutsideDomain, () => strict.Query(far, values));
                    Check(why.Contains("11"), why);
                }
                Refused(Status.OutsideDomain, () => model.Query(far, new double[4], values, error));
                Refused(Status.OutsideDomain, () => model.QuerySets(far, At, values, error));
                Check(values.All(value => value == 0));
                var inside = new SamplerOptions { OutsideParameters = Outside.Error };
                Refused(Status.OutsideDomain, () => model.CreateSampler(new[] { 0.5, 2 }, inside));
            }
            Refused(Status.InvalidArgument, () => Model.Open(path, new OpenOptions { Threads = -1 }));
        }

        private static void Spans()
        {
#if DRR_SPAN
            using (Model model = Model.Open(path))
            using (Sampler sampler = model.CreateSampler(At.AsSpan()))
            {
                int count = points.Length / 3;
                double[] values = new double[2 * count + 1], position = new double[6 * count];
                var some = new ReadOnlySpan<double>(points);
                sampler.Query(some, values.AsSpan(1));
                Same(values.Skip(1).ToArray(), expected);
                sampler.QueryGradient(some, default(Span<double>), position.AsSpan());
                var wanted = new double[6 * count];
                sampler.QueryGradient(points, null, wanted);
                Same(position, wanted);
                Lattice lattice = FiveByFourByThree;
                double[] on = new double[121], by = new double[361], of = new double[241];
                sampler.QueryLattice(lattice, on.AsSpan(1));
                Same(on.Skip(1).ToArray(), onLattice.Values);
                sampler.QueryLatticeGradient(
                    lattice, default(Span<double>), by.AsSpan(1), of.AsSpan(1));
                Same(by.Skip(1).ToArray(), onLattice.Position);
                Same(of.Skip(1).ToArray(), onLattice.Parameters);
                var slopes = new float[360];
                sampler.QueryLatticeGradient(lattice, default(Span<float>), slopes.AsSpan());
                Same(Wide(slopes), Wide(Narrow(onLattice.Position)));
                Within ghosts = Within.Ghosts(lattice, 0, 0, 1);
                var floats = new float[200];
                sampler.QueryLattice(lattice, floats.AsSpan(), ghosts);
                Same(Wide(floats.Skip(40).Take(120).ToArray()), Wide(Narrow(onLattice.Values)));
                Throws<ArgumentException>(
                    () => sampler.QueryLattice(lattice, floats.AsSpan(1), ghosts));
                Throws<ArgumentException>(() => sampler.QueryLatticeGradient(
                    lattice, by.AsSpan(0, 120), by.AsSpan(1)));
                model.QuerySets(some, At.AsSpan(), values.AsSpan(1));
                Same(values.Skip(1).ToArray(), expected);
                model.Query(some, At.AsSpan(), values.AsSpan(1));
                Close(values.Skip(1).ToArray(), expected, 1e-4);
                model.QuerySets(some, At.AsSpan(), values.AsSpan(1));
                Same(values.Skip(1).ToArray(), expected);
                sampler.Query(default(ReadOnlySpan<float>), default(Span<float>));
                Throws<ArgumentException>(
                    () => sampler.Query(points.AsSpan(0, 4), values.AsSpan(0, 2)));
                Throws<ArgumentException>(
                    () => sampler.Query(values.AsSpan(0, 6), values.AsSpan(5, 4)));
            }
#endif
        }
    }
}
