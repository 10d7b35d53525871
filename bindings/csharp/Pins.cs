using System;
using System.Runtime.InteropServices;

namespace Drr
{
    /// <summary>
    /// Arrays of numbers that the library writes to, one for each value or derivative, held where
    /// they are until <see cref="Free"/>. Allocates nothing: the caller lends the memory.
    /// </summary>
    internal unsafe struct Pins
    {
        private readonly Scalar scalar;
        private readonly Places places;
        private readonly GCHandle* handles;
        private readonly IntPtr* firsts;
        private int count;

        /// <param name="scalar">Type of the numbers in the arrays.</param>
        /// <param name="places">Where the points go in each of them.</param>
        /// <param name="handles">Room for as many as there will be arrays.</param>
        /// <param name="firsts">The same.</param>
        public Pins(Scalar scalar, Places places, GCHandle* handles, IntPtr* firsts)
        {
            this.scalar = scalar;
            this.places = places;
            this.handles = handles;
            this.firsts = firsts;
            count = 0;
        }

        /// <summary>None if there are no arrays for them.</summary>
        public Values? Values(Array[] arrays)
        {
            if (arrays == null)
                return null;
            return new Values
            {
                Scalar = scalar,
                Separate = Add(arrays, "values"),
                RowStride = places.Row * Shape.Bytes(scalar),
                PlaneStride = places.Plane * Shape.Bytes(scalar),
            };
        }

        /// <summary>None if there are no arrays for them.</summary>
        public Gradients? Gradients(Array[] arrays, string name)
        {
            if (arrays == null)
                return null;
            return new Gradients
            {
                Scalar = scalar,
                Separate = Add(arrays, name),
                RowStride = places.Row * Shape.Bytes(scalar),
                PlaneStride = places.Plane * Shape.Bytes(scalar),
            };
        }

        /// <summary>Refuses arrays that the points are read from.</summary>
        public void Apart(Points points, int dims)
        {
            for (int i = 0; i < count && points.Count > 0; i++)
                Shape.Apart(points, dims, firsts[i]);
        }

        public void Free()
        {
            while (count > 0)
                handles[--count].Free();
        }

        private IntPtr Add(Array[] arrays, string name)
        {
            int before = count;
            foreach (Array array in arrays)
            {
                Shape.Expect(Shape.Length(array, name), places.Count, name);
                handles[count] = GCHandle.Alloc(array, GCHandleType.Pinned);
                long first = places.First * Shape.Bytes(scalar);
                firsts[count] = (IntPtr)(handles[count].AddrOfPinnedObject().ToInt64() + first);
                count++;
                for (int i = 0; i < count - 1 && places.Count > 0; i++)
                    if (firsts[i] == firsts[count - 1])
                        throw Shape.Overlap();
            }
            return (IntPtr)(firsts + before);
        }
    }
}
