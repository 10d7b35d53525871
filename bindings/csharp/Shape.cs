using System;

namespace Drr
{
    /// <summary>Checks of arrays, which the library sees as bare addresses.</summary>
    internal static unsafe class Shape
    {
        /// <summary>Size of a number, other than those that are for results only.</summary>
        public static long Bytes(Scalar scalar)
        {
            return scalar == Scalar.F64 ? sizeof(double) : sizeof(float);
        }

        public static long Length(Array array, string name)
        {
            if (array == null)
                throw new ArgumentNullException(name);
            return array.LongLength;
        }

        /// <summary>Rows of <paramref name="columns"/> numbers each in an array.</summary>
        public static long Rows(long length, int columns, string name)
        {
            // A model without parameters: nothing to count, one set.
            if (columns == 0 && length == 0)
                return 1;
            if (columns == 0 || length % columns != 0)
                throw Wrong(name, length, "a multiple of " + columns);
            return length / columns;
        }

        public static void Expect(long length, long expected, string name)
        {
            if (length != expected)
                throw Wrong(name, length, expected.ToString());
        }

        /// <summary>For results that are computed if there is an array for them.</summary>
        public static void ExpectOrNull(Array array, long expected, string name)
        {
            if (array != null)
                Expect(array.LongLength, expected, name);
        }

        /// <summary>For results in arrays of their own.</summary>
        /// <returns>How many there are.</returns>
        public static int ExpectArrays(Array[] arrays, int expected, string name)
        {
            long length = Length(arrays, name);
            if (length != expected)
                throw new ArgumentException(
                    "has " + length + " arrays, expected " + expected, name);
            return expected;
        }

        /// <summary>Of what is read: a number or row for each point, or one for all.</summary>
        /// <returns>The stride that says so.</returns>
        public static long ExpectOrSame(long length, long count, long columns, string name)
        {
            if (length == columns && count != 1)
                return Stride.Same;
            if (length != count * columns)
                throw Wrong(name, length, count * columns + " or " + columns);
            return 0;
        }

        /// <summary>A count for the library, where negative ones would be enormous.</summary>
        public static ulong Count(long count, string name)
        {
            if (count < 0)
                throw new ArgumentOutOfRangeException(name, count, "negative");
            return (ulong)count;
        }

        /// <summary>Where results of a lattice go, if they fit in there.</summary>
        /// <param name="lattice">The points.</param>
        /// <param name="within">The array, in points.</param>
        /// <param name="numbers">The most that a point has in one array; not 0.</param>
        public static Places Fit(Lattice lattice, Within within, long numbers)
        {
            Count(lattice);
            bool own = within.IsOwn;
            if (own)
                within = Within.Ghosts(lattice, 0);
            if (!(Fits(lattice.DimsX, within.X, within.DimsX)
                && Fits(lattice.DimsY, within.Y, within.DimsY)
                && Fits(lattice.DimsZ, within.Z, within.DimsZ)))
                throw new ArgumentException("has no room for the lattice there", nameof(within));
            try
            {
                long plane = checked(within.DimsX * within.DimsY);
                return new Places
                {
                    // In bytes too, whatever they are multiplied with.
                    Count = checked(plane * within.DimsZ * numbers * sizeof(double))
                        / (numbers * sizeof(double)),
                    First = (within.Z * within.DimsY + within.Y) * within.DimsX + within.X,
                    Row = own ? 0 : within.DimsX,
                    Plane = own ? 0 : plane,
                };
            }
            catch (OverflowException)
            {
                throw new ArgumentException("too many points", nameof(lattice));
            }
        }

        public static void Count(Lattice lattice)
        {
            if (lattice.DimsX < 0 || lattice.DimsY < 0 || lattice.DimsZ < 0)
                throw new ArgumentOutOfRangeException(nameof(lattice), "negative number of points");
        }

        /// <summary>Refuses results that would be written over what is still read.</summary>
        public static void Apart(void* a, long aBytes, void* b, long bBytes)
        {
            bool overlap = (byte*)a < (byte*)b + bBytes && (byte*)b < (byte*)a + aBytes;
            if (overlap && aBytes > 0 && bBytes > 0 && a != null && b != null)
                throw Overlap();
        }

        /// <summary>The same for whole arrays of .NET, which overlap if they begin together.</summary>
        public static void Apart(Points points, int dims, IntPtr results)
        {
            if (points.AxisX == results || (dims > 1 && points.AxisY == results)
                || (dims > 2 && points.AxisZ == results))
                throw Overlap();
        }

        public static ArgumentException Overlap()
        {
            return new ArgumentException("results overlap each other or what they are made of");
        }

        private static bool Fits(long count, long first, long room)
        {
            return first >= 0 && count <= room && first <= room - count;
        }

        private static ArgumentException Wrong(string name, long length, string expected)
        {
            return new ArgumentException("has " + length + " numbers, expected " + expected, name);
        }
    }
}
