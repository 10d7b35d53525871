using System;
using System.Runtime.InteropServices;

namespace Drr
{
    /// <summary>Type of the numbers in an array.</summary>
    public enum Scalar : uint
    {
        /// <summary>32-bit floating point.</summary>
        F32 = 0,
        /// <summary>64-bit floating point.</summary>
        F64 = 1,
        /// <summary>16-bit floating point (IEEE 754 binary16), for results only.</summary>
        F16 = 2,
    }

    /// <summary>Strides that are no number of bytes.</summary>
    public static class Stride
    {
        /// <summary>
        /// Of <see cref="Points"/> and <see cref="ParameterRows"/>: one coordinate, or one row, is
        /// that of all.
        /// </summary>
        public const long Same = long.MinValue;
    }

    /// <summary>
    /// Points in the caller's memory, in any layout: coordinate k of point i is at
    /// <c>Axis[k] + i * Stride[k]</c>, of any alignment.
    /// </summary>
    /// <remarks>
    /// The binding cannot check addresses: arrays must be pinned (<c>fixed</c>,
    /// <see cref="GCHandle"/>) until the query returns, and as long as the struct says.
    /// </remarks>
    [StructLayout(LayoutKind.Sequential)]
    public struct Points
    {
        internal uint StructSize;
        /// <summary>Type of the coordinates, not <see cref="Drr.Scalar.F16"/>.</summary>
        public Scalar Scalar;
        /// <summary>Number of points; 0 is fine, the addresses may be null then.</summary>
        public long Count;
        /// <summary>Address of the first point's x.</summary>
        public IntPtr AxisX;
        /// <summary>Address of the first point's y; ignored if the model has one axis.</summary>
        public IntPtr AxisY;
        /// <summary>Address of the first point's z; ignored if the model has fewer axes.</summary>
        public IntPtr AxisZ;
        /// <summary>
        /// Bytes from one x to the next, may be negative; 0 means an array without gaps,
        /// <see cref="Stride.Same"/> one x for all points.
        /// </summary>
        public long StrideX;
        /// <summary>Bytes from one y to the next.</summary>
        public long StrideY;
        /// <summary>Bytes from one z to the next.</summary>
        public long StrideZ;

        /// <summary>Points whose coordinates lie side by side, alone or within records.</summary>
        /// <param name="scalar">Type of the coordinates.</param>
        /// <param name="first">Address of the first point's x.</param>
        /// <param name="count">Number of points.</param>
        /// <param name="stride">
        /// Bytes from one point to the next: 12 for three floats without gaps, the size of a vertex
        /// if the position is a part of it, <see cref="Stride.Same"/> if all points are the first.
        /// Not 0.
        /// </param>
        public static Points Records(Scalar scalar, IntPtr first, long count, long stride)
        {
            // Past the model's axes the addresses are not read.
            long number = Shape.Bytes(scalar);
            return new Points
            {
                Scalar = scalar,
                Count = count,
                AxisX = first,
                AxisY = new IntPtr(first.ToInt64() + number),
                AxisZ = new IntPtr(first.ToInt64() + 2 * number),
                StrideX = stride,
                StrideY = stride,
                StrideZ = stride,
            };
        }

        /// <summary>Points as one array per coordinate, without gaps.</summary>
        /// <param name="scalar">Type of the coordinates.</param>
        /// <param name="x">Address of <paramref name="count"/> numbers.</param>
        /// <param name="y">The same; ignored if the model has one axis.</param>
        /// <param name="z">The same; ignored if the model has fewer than three.</param>
        /// <param name="count">Number of points.</param>
        public static Points Separate(Scalar scalar, IntPtr x, IntPtr y, IntPtr z, long count)
        {
            return new Points { Scalar = scalar, Count = count, AxisX = x, AxisY = y, AxisZ = z };
        }
    }

    /// <summary>
    /// Where results go, in any layout: value k of point i to
    /// <c>Data + i * PointStride + k * ValueStride</c>, or to
    /// <c>Separate[k] + i * PointStride</c>, of any alignment. Results must overlap neither each
    /// other nor the points. Addresses are as in <see cref="Points"/>.
    /// </summary>
    /// <remarks>
    /// Point (i, j, l) of a lattice goes to
    /// <c>i * PointStride + j * RowStride + l * PlaneStride</c> from its first, so that it may be a
    /// part of a larger array (one with ghost cells, say) or have its axes in another order.
    /// </remarks>
    [StructLayout(LayoutKind.Sequential)]
    public struct Values
    {
        internal uint StructSize;
        /// <summary>Type of the results.</summary>
        public Scalar Scalar;
        /// <summary>
        /// Address of the first point's first value; null with <see cref="Separate"/>.
        /// </summary>
        public IntPtr Data;
        /// <summary>
        /// Bytes from one point to the next, may be negative; 0 means that a point's values follow
        /// one another without gaps, and points too.
        /// </summary>
        public long PointStride;
        /// <summary>
        /// Bytes from one value of a point to the next; 0 means the size of one number, and is all
        /// that goes with <see cref="Separate"/>.
        /// </summary>
        public long ValueStride;
        /// <summary>
        /// Of a lattice, else 0: bytes from one point to its neighbour along y; 0 means that rows
        /// follow one another without gaps.
        /// </summary>
        public long RowStride;
        /// <summary>
        /// Of a lattice, else 0: bytes from one point to its neighbour along z; 0 means that planes
        /// follow one another without gaps.
        /// </summary>
        public long PlaneStride;
        /// <summary>
        /// Null, or an array for each value: address of as many addresses as the model has values,
        /// each of the first point's; read during the call only.
        /// </summary>
        public IntPtr Separate;
    }

    /// <summary>
    /// Where derivatives go, in any layout: that of value k of point i by coordinate or parameter c
    /// to <c>Data + i * PointStride + k * ValueStride + c * ComponentStride</c>, or to
    /// <c>Separate[k * components + c] + i * PointStride</c>, of any alignment; points of a lattice
    /// as in <see cref="Values"/>. Results must overlap neither each other nor the points.
    /// </summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Gradients
    {
        internal uint StructSize;
        /// <summary>Type of the results.</summary>
        public Scalar Scalar;
        /// <summary>
        /// Address of the first point's first derivative; null with <see cref="Separate"/>.
        /// </summary>
        public IntPtr Data;
        /// <summary>
        /// Bytes from one point to the next, may be negative; 0 means without gaps.
        /// </summary>
        public long PointStride;
        /// <summary>
        /// Bytes from one value of a point to the next; 0 means that a value's derivatives follow
        /// one another without gaps, and values too; it is all that goes with
        /// <see cref="Separate"/>.
        /// </summary>
        public long ValueStride;
        /// <summary>
        /// Bytes from one derivative of a value to the next; 0 means the size of one number, and is
        /// all that goes with <see cref="Separate"/>.
        /// </summary>
        public long ComponentStride;
        /// <summary>As in <see cref="Values"/>.</summary>
        public long RowStride;
        /// <summary>As in <see cref="Values"/>.</summary>
        public long PlaneStride;
        /// <summary>
        /// Null, or an array for each derivative: address of values times components addresses, each
        /// of the first point's; read during the call only.
        /// </summary>
        public IntPtr Separate;
    }

    /// <summary>
    /// Simulation parameters in the caller's memory: a row for each point or for each set, in any
    /// layout. Parameter k of row i is at <c>Data + i * RowStride + k * ParameterStride</c>, of any
    /// alignment.
    /// </summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct ParameterRows
    {
        internal uint StructSize;
        /// <summary>Type of the parameters, not <see cref="Drr.Scalar.F16"/>.</summary>
        public Scalar Scalar;
        /// <summary>Number of rows: points or sets; 0 is fine.</summary>
        public long Count;
        /// <summary>
        /// Address of the first row's first parameter, in the model's order and units (or in
        /// [0, 1] with <see cref="Units.Normalized"/>).
        /// </summary>
        public IntPtr Data;
        /// <summary>
        /// Bytes from one row to the next, may be negative; 0 means that the parameters of a row
        /// follow one another without gaps, and rows too; <see cref="Stride.Same"/> means one row
        /// for all.
        /// </summary>
        public long RowStride;
        /// <summary>
        /// Bytes from one parameter of a row to the next; 0 means the size of one number.
        /// </summary>
        public long ParameterStride;
    }

    /// <summary>
    /// A regular lattice of points: <c>Origin[k] + i * Spacing[k]</c> for i from 0 to below
    /// <c>Dims[k]</c> on each axis k; x is the fastest. Axes that the model lacks: 1 point, the
    /// rest is ignored. <see cref="Model.DomainLattice"/> makes one over the whole domain.
    /// </summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Lattice
    {
        internal uint StructSize;
        internal uint Reserved;
        /// <summary>Points along x; 0 is fine.</summary>
        public long DimsX;
        /// <summary>Points along y.</summary>
        public long DimsY;
        /// <summary>Points along z.</summary>
        public long DimsZ;
        /// <summary>x of the first point, in the sampler's units.</summary>
        public double OriginX;
        /// <summary>y of the first point.</summary>
        public double OriginY;
        /// <summary>z of the first point.</summary>
        public double OriginZ;
        /// <summary>Distance of neighbouring points along x; may be negative.</summary>
        public double SpacingX;
        /// <summary>Distance of neighbouring points along y.</summary>
        public double SpacingY;
        /// <summary>Distance of neighbouring points along z.</summary>
        public double SpacingZ;
    }

    /// <summary>
    /// The array of a larger lattice that results of a lattice go to, and where: one with ghost
    /// cells, say. What is not of the lattice is left as it is. <c>default</c> is the lattice's own
    /// array.
    /// </summary>
    public struct Within
    {
        /// <summary>Points along x that the array has room for.</summary>
        public long DimsX;
        /// <summary>Points along y.</summary>
        public long DimsY;
        /// <summary>Points along z.</summary>
        public long DimsZ;
        /// <summary>Index along x of the lattice's first point.</summary>
        public long X;
        /// <summary>Index along y.</summary>
        public long Y;
        /// <summary>Index along z.</summary>
        public long Z;

        internal bool IsOwn => (DimsX | DimsY | DimsZ | X | Y | Z) == 0;

        /// <summary>An array with layers of ghost cells around the lattice's own.</summary>
        /// <param name="lattice">The points.</param>
        /// <param name="x">Ghost cells on either side along x.</param>
        /// <param name="y">The same along y.</param>
        /// <param name="z">The same along z.</param>
        public static Within Ghosts(Lattice lattice, long x, long y = 0, long z = 0)
        {
            return new Within
            {
                DimsX = lattice.DimsX + 2 * x,
                DimsY = lattice.DimsY + 2 * y,
                DimsZ = lattice.DimsZ + 2 * z,
                X = x,
                Y = y,
                Z = z,
            };
        }
    }
}
