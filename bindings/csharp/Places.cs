using System;

namespace Drr
{
    /// <summary>Where results of a lattice go, counted in points of an array.</summary>
    internal unsafe struct Places
    {
        /// <summary>Points that the array has room for.</summary>
        public long Count;
        /// <summary>That of the lattice's first point.</summary>
        public long First;
        /// <summary>From one row and plane to the next; 0 means without gaps.</summary>
        public long Row, Plane;

        public Values Values(Scalar scalar, void* array, int outputs)
        {
            long point = outputs * Shape.Bytes(scalar);
            return new Values
            {
                Scalar = scalar,
                Data = (IntPtr)((byte*)array + First * point),
                RowStride = Row * point,
                PlaneStride = Plane * point,
            };
        }

        /// <summary>None if there is no array for them.</summary>
        public Gradients? Gradients(Scalar scalar, void* array, int derivatives)
        {
            if (array == null)
                return null;
            long point = derivatives * Shape.Bytes(scalar);
            return new Gradients
            {
                Scalar = scalar,
                Data = (IntPtr)((byte*)array + First * point),
                RowStride = Row * point,
                PlaneStride = Plane * point,
            };
        }
    }
}
