using System;

namespace Drr
{
    /// <summary>A model bound to one set of simulation parameters.</summary>
    /// <remarks>
    /// Cheap to make (<see cref="Model.CreateSampler(double[], SamplerOptions)"/>), immutable: any
    /// number of threads may query it at the same time, and dispose it meanwhile: calls that are
    /// under way end first. Keeps what it needs of its model. Queries allocate nothing. Calls throw
    /// <see cref="ObjectDisposedException"/> once it is disposed; one that is dropped without is
    /// freed by the garbage collector.
    /// </remarks>
    public sealed unsafe partial class Sampler : IDisposable
    {
        private readonly SamplerHandle handle;

        internal Sampler(SamplerHandle handle, int dims, int parameters, int outputs)
        {
            this.handle = handle;
            Dims = dims;
            Parameters = parameters;
            Outputs = outputs;
        }

        /// <summary>Coordinates per point, 1 to 3.</summary>
        public int Dims { get; }

        /// <summary>Simulation parameters that it was made with.</summary>
        public int Parameters { get; }

        /// <summary>Values per point.</summary>
        public int Outputs { get; }

        /// <summary>Values at points, all arrays without gaps.</summary>
        /// <param name="points"><c>[count][dims]</c>, x first, in the sampler's units.</param>
        /// <param name="values">Receives <c>[count][outputs]</c>.</param>
        /// <exception cref="ArgumentException">Lengths do not fit, or arrays overlap.</exception>
        /// <exception cref="DrrException">
        /// <see cref="Status.OutsideDomain"/> by the options, naming the first such point; nothing
        /// is written then.
        /// </exception>
        /// <exception cref="ObjectDisposedException">The sampler was disposed.</exception>
        public void Query(float[] points, float[] values)
        {
            long count = Rows(points);
            Shape.Expect(Shape.Length(values, nameof(values)), count * Outputs, nameof(values));
            fixed (float* p = points, v = values)
                Query(count, p, v);
        }

        /// <summary>
        /// The same for 64-bit arrays. Arithmetic inside the model is 32-bit; coordinates are used
        /// in full.
        /// </summary>
        /// <inheritdoc cref="Query(float[], float[])"/>
        public void Query(double[] points, double[] values)
        {
            long count = Rows(points);
            Shape.Expect(Shape.Length(values, nameof(values)), count * Outputs, nameof(values));
            fixed (double* p = points, v = values)
                Query(count, p, v);
        }

        /// <summary>The same for memory that the caller has pinned.</summary>
        /// <param name="count">Number of points; 0 is fine.</param>
        /// <param name="points"><c>[count][dims]</c>, x first, in the sampler's units.</param>
        /// <param name="values">Receives <c>[count][outputs]</c>.</param>
        /// <inheritdoc cref="Query(float[], float[])"/>
        public void Query(long count, float* points, float* values)
        {
            ulong given = Shape.Count(count, nameof(count));
            Shape.Apart(points, count * Dims * 4, values, count * Outputs * 4);
            Native.Check(Native.drr_sampler_query_f32(handle, given, points, values));
        }

        /// <inheritdoc cref="Query(long, float*, float*)"/>
        public void Query(long count, double* points, double* values)
        {
            ulong given = Shape.Count(count, nameof(count));
            Shape.Apart(points, count * Dims * 8, values, count * Outputs * 8);
            Native.Check(Native.drr_sampler_query_f64(handle, given, points, values));
        }

        /// <summary>Values at points that are an array per coordinate.</summary>
        /// <param name="x"><c>[count]</c></param>
        /// <param name="y"><c>[count]</c>; null if the model has one axis.</param>
        /// <param name="z"><c>[count]</c>; null if the model has fewer than three.</param>
        /// <param name="values">Receives <c>[count][outputs]</c>.</param>
        /// <inheritdoc cref="Query(float[], float[])"/>
        public void Query(float[] x, float[] y, float[] z, float[] values)
        {
            long count = Lengths(x, y, z, values);
            fixed (float* px = x, py = y, pz = z, v = values)
                Separate(Scalar.F32, count, px, py, pz, v);
        }

        /// <inheritdoc cref="Query(float[], float[], float[], float[])"/>
        public void Query(double[] x, double[] y, double[] z, double[] values)
        {
            long count = Lengths(x, y, z, values);
            fixed (double* px = x, py = y, pz = z, v = values)
                Separate(Scalar.F64, count, px, py, pz, v);
        }

        /// <summary>Values at points in any layout: parts of larger records, say.</summary>
        /// <param name="points">Where the coordinates are.</param>
        /// <param name="values">Where the results go.</param>
        /// <exception cref="DrrException">
        /// <see cref="Status.InvalidArgument"/>: the structs contradict themselves;
        /// <see cref="Status.OutsideDomain"/> by the options; nothing is written then.
        /// </exception>
        /// <exception cref="ObjectDisposedException">The sampler was disposed.</exception>
        public void Query(Points points, Values values)
        {
            Shape.Count(points.Count, nameof(points));
            points.StructSize = (uint)sizeof(Points);
            values.StructSize = (uint)sizeof(Values);
            Native.Check(Native.drr_sampler_query(handle, &points, &values));
        }

        /// <summary>
        /// Values at the points of a regular lattice: faster than the same points one by one, and
        /// equal to them up to rounding.
        /// </summary>
        /// <param name="lattice">The points.</param>
        /// <param name="values">Receives <c>[z][y][x][outputs]</c>: x is the fastest.</param>
        /// <exception cref="ArgumentException">The length does not fit.</exception>
        /// <exception cref="DrrException">
        /// <see cref="Status.InvalidArgument"/>: more than 1 point along an axis that the model
        /// lacks; <see cref="Status.OutsideDomain"/> by the options; nothing is written then.
        /// </exception>
        /// <exception cref="ObjectDisposedException">The sampler was disposed.</exception>
        public void QueryLattice(Lattice lattice, float[] values)
        {
            long length = Shape.Length(values, nameof(values));
            Shape.Expect(length, Shape.Numbers(lattice, Outputs), nameof(values));
            fixed (float* v = values)
                QueryLattice(lattice, new Values { Scalar = Scalar.F32, Data = (IntPtr)v });
        }

        /// <inheritdoc cref="QueryLattice(Lattice, float[])"/>
        public void QueryLattice(Lattice lattice, double[] values)
        {
            long length = Shape.Length(values, nameof(values));
            Shape.Expect(length, Shape.Numbers(lattice, Outputs), nameof(values));
            fixed (double* v = values)
                QueryLattice(lattice, new Values { Scalar = Scalar.F64, Data = (IntPtr)v });
        }

        /// <summary>The same with results in any layout.</summary>
        /// <param name="lattice">The points.</param>
        /// <param name="values">Where the results go, point after point, x the fastest.</param>
        /// <inheritdoc cref="QueryLattice(Lattice, float[])"/>
        public void QueryLattice(Lattice lattice, Values values)
        {
            Shape.Count(lattice);
            lattice.StructSize = (uint)sizeof(Lattice);
            values.StructSize = (uint)sizeof(Values);
            Native.Check(Native.drr_sampler_query_lattice(handle, &lattice, &values));
        }

        /// <summary>Frees the sampler.</summary>
        public void Dispose()
        {
            handle.Dispose();
        }

        private long Rows(Array points)
        {
            return Shape.Rows(Shape.Length(points, nameof(points)), Dims, nameof(points));
        }

        private long Lengths(Array x, Array y, Array z, Array values)
        {
            long count = Shape.Length(x, nameof(x));
            if (Dims > 1)
                Shape.Expect(Shape.Length(y, nameof(y)), count, nameof(y));
            if (Dims > 2)
                Shape.Expect(Shape.Length(z, nameof(z)), count, nameof(z));
            Shape.Expect(Shape.Length(values, nameof(values)), count * Outputs, nameof(values));
            return count;
        }

        private void Separate(Scalar scalar, long count, void* x, void* y, void* z, void* values)
        {
            long bytes = count * (scalar == Scalar.F64 ? sizeof(double) : sizeof(float));
            Shape.Apart(x, bytes, values, bytes * Outputs);
            Shape.Apart(y, Dims > 1 ? bytes : 0, values, bytes * Outputs);
            Shape.Apart(z, Dims > 2 ? bytes : 0, values, bytes * Outputs);
            Query(
                Points.Separate(scalar, (IntPtr)x, (IntPtr)y, (IntPtr)z, count),
                new Values { Scalar = scalar, Data = (IntPtr)values });
        }
    }
}
