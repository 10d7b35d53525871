using System;
using System.Linq;

namespace Drr
{
    // Lattices, their derivatives, and where these go.
    internal static unsafe partial class Test
    {
        private static readonly Lattice FiveByFourByThree = new Lattice
        {
            DimsX = 5, DimsY = 4, DimsZ = 3,
            OriginX = 0.5, OriginY = -0.75, OriginZ = 5.9,
            SpacingX = 2.25, SpacingY = 1.125, SpacingZ = -0.25,
        };

        private static double[] LatticePoints(Lattice lattice)
        {
            var at = new double[60 * 3];
            for (int i = 0; i < 60; i++)
            {
                at[3 * i] = lattice.OriginX + i % 5 * lattice.SpacingX;
                at[3 * i + 1] = lattice.OriginY + i / 5 % 4 * lattice.SpacingY;
                at[3 * i + 2] = lattice.OriginZ + i / 20 * lattice.SpacingZ;
            }
            return at;
        }

        private static void LatticesAreTheirPoints()
        {
            using (Model model = Model.Open(path))
            using (Sampler sampler = model.CreateSampler(At))
            {
                Lattice domain = model.DomainLattice(5, 4, 1);
                Check(domain.OriginY == -1 && domain.SpacingX == 2.5 && domain.OriginZ == 5.5);
                Lattice lattice = FiveByFourByThree;
                var values = new double[120];
                sampler.QueryLattice(lattice, values);
                Same(values, onLattice.Values);
                Close(values, Query(sampler, LatticePoints(lattice)), 1e-4);
                var floats = new float[120];
                sampler.QueryLattice(lattice, floats);
                Same(Wide(floats), Wide(Narrow(values)));
                // Values apart: all the first, then all the second.
                var apart = new double[120];
                fixed (double* v = apart)
                    sampler.QueryLattice(lattice, new Values
                    {
                        Scalar = Scalar.F64, Data = (IntPtr)v, PointStride = 8, ValueStride = 480,
                    });
                Same(apart.Take(60).ToArray(), Part(values, 0, 2));
                Same(apart.Skip(60).ToArray(), Part(values, 1, 2));
                sampler.QueryLattice(new Lattice { DimsY = 2, DimsZ = 2 }, new double[0]);
            }
        }

        private static void LatticeGradients()
        {
            using (Model model = Model.Open(path))
            using (Sampler sampler = model.CreateSampler(At))
            {
                Lattice lattice = FiveByFourByThree;
                double[] values = new double[120], position = new double[360];
                var parameter = new double[240];
                sampler.QueryLatticeGradient(lattice, values, position, parameter);
                Same(position, onLattice.Position);
                Same(parameter, onLattice.Parameters);
                // The derivatives' values are those of points, not of lattices.
                double[] at = LatticePoints(lattice), again = new double[360];
                Same(values, Query(sampler, at));
                sampler.QueryGradient(at, null, again);
                Same(position, again);

                float[] floats = new float[120], slopes = new float[360], by = new float[240];
                sampler.QueryLatticeGradient(lattice, floats, slopes, by);
                Same(Wide(floats), Wide(Narrow(values)));
                Same(Wide(slopes), Wide(Narrow(position)));
                Same(Wide(by), Wide(Narrow(parameter)));
                Array.Clear(by, 0, by.Length);
                sampler.QueryLatticeGradient(lattice, (float[])null, null, by);
                Same(Wide(by), Wide(Narrow(parameter)));

                // The parameters' in f32, by parameter first: [parameters][outputs][z][y][x].
                var turned = new float[240];
                fixed (float* h = turned)
                    sampler.QueryLatticeGradient(lattice, null, null, new Gradients
                    {
                        Scalar = Scalar.F32, Data = (IntPtr)h, PointStride = 4,
                        ValueStride = 4 * 60, ComponentStride = 8 * 60,
                    });
                for (int k = 0; k < 4; k++)
                    Same(
                        Wide(turned.Skip((k % 2 * 2 + k / 2) * 60).Take(60).ToArray()),
                        Part(Wide(by), k, 4));
            }
        }

        /// <summary>
        /// Compares an array <c>[6][7][9][columns]</c>, of which the lattice is a part from (2, 1, 1)
        /// on, with that of the lattice alone. What is around it was left as it was.
        /// </summary>
        private static void IsWithin(double[] whole, double[] wanted, double around)
        {
            int columns = wanted.Length / 60;
            Check(whole.Length == 6 * 7 * 9 * columns);
            for (int i = 0; i < whole.Length; i++)
            {
                int point = i / columns;
                int x = point % 9 - 2, y = point / 9 % 7 - 1, z = point / 63 - 1;
                bool inside = x >= 0 && x < 5 && y >= 0 && y < 4 && z >= 0 && z < 3;
                double number = inside
                    ? wanted[((z * 4 + y) * 5 + x) * columns + i % columns] : around;
                Check(whole[i] == number, i + ": " + whole[i] + " is not " + number);
            }
        }

        private static double[] Filled(int count, double number) =>
            Enumerable.Repeat(number, count).ToArray();

        private static void PartsOfLargerLattices()
        {
            Lattice lattice = FiveByFourByThree;
            var within = new Within { DimsX = 9, DimsY = 7, DimsZ = 6, X = 2, Y = 1, Z = 1 };
            const int room = 9 * 7 * 6;
            using (Model model = Model.Open(path))
            using (Sampler sampler = model.CreateSampler(At))
            {
                double[] values = Filled(2 * room, -7);
                sampler.QueryLattice(lattice, values, within);
                IsWithin(values, onLattice.Values, -7);
                float[] floats = Narrow(Filled(2 * room, -7));
                sampler.QueryLattice(lattice, floats, within);
                IsWithin(Wide(floats), Wide(Narrow(onLattice.Values)), -7);

                double[] position = Filled(6 * room, -7), parameter = Filled(4 * room, -7);
                sampler.QueryLatticeGradient(lattice, values, position, parameter, within);
                IsWithin(values, Query(sampler, LatticePoints(lattice)), -7);
                IsWithin(position, onLattice.Position, -7);
                IsWithin(parameter, onLattice.Parameters, -7);
                float[] slopes = Narrow(Filled(6 * room, -7));
                sampler.QueryLatticeGradient(lattice, null, slopes, null, within);
                IsWithin(Wide(slopes), Wide(Narrow(onLattice.Position)), -7);

                // An array for each value and derivative.
                double[][] apart = Arrays(2, room), by = Arrays(6, room), of = Arrays(4, room);
                sampler.QueryLattice(lattice, apart, within);
                IsWithin(Interleaved(apart), onLattice.Values, 0);
                sampler.QueryLatticeGradient(lattice, null, by, of, within);
                IsWithin(Interleaved(by), onLattice.Position, 0);
                IsWithin(Interleaved(of), onLattice.Parameters, 0);

                Within ghosts = Within.Ghosts(lattice, 2, 1);
                Check(ghosts.DimsX == 9 && ghosts.DimsY == 6 && ghosts.DimsZ == 3);
                Check(ghosts.X == 2 && ghosts.Y == 1 && ghosts.Z == 0);
                ByStrides(sampler, lattice);
                WrongParts(sampler, lattice, within);
            }
        }

        private static void ByStrides(Sampler sampler, Lattice lattice)
        {
            const int room = 9 * 7 * 6;
            double[] values = Filled(2 * room, -7);
            fixed (double* v = &values[2 * ((1 * 7 + 1) * 9 + 2)])
                sampler.QueryLattice(lattice, new Values
                {
                    Scalar = Scalar.F64, Data = (IntPtr)v,
                    RowStride = 16 * 9, PlaneStride = 16 * 9 * 7,
                });
            IsWithin(values, onLattice.Values, -7);

            // [x][y][z], where z is the fastest, in two arrays.
            double[] first = new double[60], second = new double[60];
            IntPtr* places = stackalloc IntPtr[2];
            fixed (double* a = first, b = second)
            {
                places[0] = (IntPtr)a;
                places[1] = (IntPtr)b;
                sampler.QueryLattice(lattice, new Values
                {
                    Scalar = Scalar.F64, Separate = (IntPtr)places,
                    PointStride = 8 * 12, RowStride = 8 * 3, PlaneStride = 8,
                });
            }
            for (int i = 0; i < 60; i++)
            {
                int at = i % 5 * 12 + i / 5 % 4 * 3 + i / 20;
                Check(first[at] == onLattice.Values[2 * i]);
                Check(second[at] == onLattice.Values[2 * i + 1]);
            }
            fixed (double* v = values)
            {
                var rows = new Values { Scalar = Scalar.F64, Data = (IntPtr)v, RowStride = 144 };
                fixed (double* p = points)
                {
                    Points at = Points.Records(Scalar.F64, (IntPtr)p, 2, 24);
                    Refused(Status.InvalidArgument, () => sampler.Query(at, rows));
                }
            }
        }

        private static void WrongParts(Sampler sampler, Lattice lattice, Within within)
        {
            var values = new double[2 * 9 * 7 * 6];
            Action<Within> refused = wrong => Throws<ArgumentException>(
                () => sampler.QueryLattice(lattice, values, wrong));
            Throws<ArgumentException>(
                () => sampler.QueryLattice(lattice, new double[values.Length - 1], within));
            Throws<ArgumentException>(() => sampler.QueryLattice(lattice, values));
            Throws<ArgumentException>(() => sampler.QueryLatticeGradient(
                lattice, values, new double[3 * values.Length - 1], null, within));
            Throws<ArgumentException>(() => sampler.QueryLatticeGradient(
                lattice, null, null, new double[240 + 1]));
            Within part = within;
            part.X = 5;
            refused(part);
            part.X = -1;
            refused(part);
            part = within;
            part.DimsY = 4;
            part.DimsX *= 2;
            refused(part);
            part = within;
            part.Z = 4;
            refused(part);
            part = within;
            part.DimsX = part.DimsY = part.DimsZ = long.MaxValue / 2;
            refused(part);
            part.DimsX = part.DimsY = 1L << 31;
            part.DimsZ = 4;
            refused(part);
            refused(Within.Ghosts(lattice, -1));
            Check(values.All(value => value == 0));
        }
    }
}
