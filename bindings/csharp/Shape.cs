using System;

namespace Drr
{
    /// <summary>Checks of arrays, which the library sees as bare addresses.</summary>
    internal static unsafe class Shape
    {
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

        /// <summary>A count for the library, where negative ones would be enormous.</summary>
        public static ulong Count(long count, string name)
        {
            if (count < 0)
                throw new ArgumentOutOfRangeException(name, count, "negative");
            return (ulong)count;
        }

        /// <summary>Numbers that a lattice of <paramref name="outputs"/> values gives.</summary>
        public static long Numbers(Lattice lattice, int outputs)
        {
            Count(lattice);
            try
            {
                return checked(lattice.DimsX * lattice.DimsY * lattice.DimsZ * outputs);
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
                throw new ArgumentException("results overlap each other or what they are made of");
        }

        private static ArgumentException Wrong(string name, long length, string expected)
        {
            return new ArgumentException("has " + length + " numbers, expected " + expected, name);
        }
    }
}
