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

        /// <summary>
        /// Values at points that are an array per coordinate. One number in an array is the
        /// coordinate of all points.
        /// </summary>
        /// <param name="x"><c>[count]</c> or <c>[1]</c></param>
        /// <param name="y">The same; null if the model has one axis.</param>
        /// <param name="z">The same; null if the model has fewer than three.</param>
        /// <param name="values">Receives <c>[count][outputs]</c>.</param>
        /// <inheritdoc cref="Query(float[], float[])"/>
        public void Query(float[] x, float[] y, float[] z, float[] values)
        {
            Points points = Axes(Scalar.F32, PointsOf(values), x, y, z);
            fixed (float* px = x, py = y, pz = z, v = values)
                Query(At(points, px, py, pz), v);
        }

        /// <inheritdoc cref="Query(float[], float[], float[], float[])"/>
        public void Query(double[] x, double[] y, double[] z, double[] values)
        {
            Points points = Axes(Scalar.F64, PointsOf(values), x, y, z);
            fixed (double* px = x, py = y, pz = z, v = values)
                Query(At(points, px, py, pz), v);
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

        /// <summary>Frees the sampler.</summary>
        public void Dispose()
        {
            handle.Dispose();
        }

        private long Rows(Array points)
        {
            return Shape.Rows(Shape.Length(points, nameof(points)), Dims, nameof(points));
        }

        /// <summary>Points that an array without gaps has values for.</summary>
        private long PointsOf(Array values)
        {
            return Shape.Rows(Shape.Length(values, nameof(values)), Outputs, nameof(values));
        }

        /// <summary>Points that are an array per coordinate, whose places are not known yet.
        /// </summary>
        private Points Axes(Scalar scalar, long count, Array x, Array y, Array z)
        {
            return new Points
            {
                Scalar = scalar,
                Count = count,
                StrideX = Along(x, count, nameof(x)),
                StrideY = Dims > 1 ? Along(y, count, nameof(y)) : 0,
                StrideZ = Dims > 2 ? Along(z, count, nameof(z)) : 0,
            };
        }

        private static long Along(Array axis, long count, string name)
        {
            return Shape.ExpectOrSame(Shape.Length(axis, name), count, 1, name);
        }

        private static Points At(Points points, void* x, void* y, void* z)
        {
            points.AxisX = (IntPtr)x;
            points.AxisY = (IntPtr)y;
            points.AxisZ = (IntPtr)z;
            return points;
        }

        private void Query(Points points, void* values)
        {
            // Whole arrays are the same or do not overlap.
            if (points.Count > 0)
                Shape.Apart(points, Dims, (IntPtr)values);
            Query(points, new Values { Scalar = points.Scalar, Data = (IntPtr)values });
        }
    }
}
