using System;

namespace Drr
{
    // Queries that bring their own parameters.
    public sealed unsafe partial class Model
    {
        /// <summary>
        /// Values at points of which each has parameters of its own: a query of many times, say, or
        /// of particles that carry them.
        /// </summary>
        /// <param name="points"><c>[count][dims]</c>, x first.</param>
        /// <param name="parameters">
        /// <c>[count][parameters]</c>, in the model's order and units; or <c>[parameters]</c>: one
        /// row for all points.
        /// </param>
        /// <param name="values">Receives <c>[count][outputs]</c>.</param>
        /// <param name="options">How points and parameters are taken.</param>
        /// <exception cref="ArgumentException">Lengths do not fit, or arrays overlap.</exception>
        /// <exception cref="DrrException">
        /// <see cref="Status.OutsideDomain"/> by the options; nothing is written then.
        /// </exception>
        /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
        public void Query(
            float[] points, float[] parameters, float[] values,
            SamplerOptions options = default(SamplerOptions))
        {
            long count = Lengths(points, parameters, values, false);
            fixed (float* p = points, q = parameters, v = values)
                Query(Scalar.F32, count, p, parameters.LongLength, q, v, options);
        }

        /// <summary>The same for 64-bit arrays.</summary>
        /// <inheritdoc cref="Query(float[], float[], float[], SamplerOptions)"/>
        public void Query(
            double[] points, double[] parameters, double[] values,
            SamplerOptions options = default(SamplerOptions))
        {
            long count = Lengths(points, parameters, values, false);
            fixed (double* p = points, q = parameters, v = values)
                Query(Scalar.F64, count, p, parameters.LongLength, q, v, options);
        }

        /// <summary>The same for points, parameters and results in any layout.</summary>
        /// <param name="points">Where the coordinates are.</param>
        /// <param name="parameters">Where the parameters are: row i is that of point i.</param>
        /// <param name="values">Where the results go.</param>
        /// <param name="options">How points and parameters are taken.</param>
        /// <exception cref="DrrException">
        /// <see cref="Status.InvalidArgument"/>: the structs do not fit the model or each other;
        /// <see cref="Status.OutsideDomain"/> by the options; nothing is written then.
        /// </exception>
        /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
        public void Query(
            Points points, ParameterRows parameters, Values values,
            SamplerOptions options = default(SamplerOptions))
        {
            Complete(ref points, ref parameters, ref values, ref options);
            Native.Check(Native.drr_model_query(handle, &parameters, &options, &points, &values));
        }

        /// <summary>
        /// Values at the same points for many sets of parameters, bit by bit those of a sampler for
        /// each, but faster.
        /// </summary>
        /// <param name="points"><c>[count][dims]</c>, x first.</param>
        /// <param name="parameters">
        /// <c>[sets][parameters]</c>, in the model's order and units. A model without parameters has
        /// one set.
        /// </param>
        /// <param name="values">Receives <c>[sets][count][outputs]</c>.</param>
        /// <param name="options">How points and parameters are taken.</param>
        /// <exception cref="ArgumentException">Lengths do not fit, or arrays overlap.</exception>
        /// <exception cref="DrrException">
        /// <see cref="Status.OutsideDomain"/> by the options; nothing is written then.
        /// </exception>
        /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
        public void QuerySets(
            float[] points, float[] parameters, float[] values,
            SamplerOptions options = default(SamplerOptions))
        {
            long count = Lengths(points, parameters, values, true);
            fixed (float* p = points, q = parameters, v = values)
                QuerySets(Scalar.F32, count, p, parameters.LongLength, q, v, options);
        }

        /// <summary>The same for 64-bit arrays.</summary>
        /// <inheritdoc cref="QuerySets(float[], float[], float[], SamplerOptions)"/>
        public void QuerySets(
            double[] points, double[] parameters, double[] values,
            SamplerOptions options = default(SamplerOptions))
        {
            long count = Lengths(points, parameters, values, true);
            fixed (double* p = points, q = parameters, v = values)
                QuerySets(Scalar.F64, count, p, parameters.LongLength, q, v, options);
        }

        /// <summary>The same for points, parameters and results in any layout.</summary>
        /// <param name="points">Where the coordinates are.</param>
        /// <param name="parameters">Where the parameters are: a row for each set.</param>
        /// <param name="values">Where the results of the first set go.</param>
        /// <param name="setStride">
        /// Bytes from the results of one set to those of the next, may be negative; 0 means without
        /// gaps, as those of a set must be then.
        /// </param>
        /// <param name="options">How points and parameters are taken.</param>
        /// <exception cref="DrrException">
        /// <see cref="Status.InvalidArgument"/>: the structs do not fit the model or each other;
        /// <see cref="Status.OutsideDomain"/> by the options; nothing is written then.
        /// </exception>
        /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
        public void QuerySets(
            Points points, ParameterRows parameters, Values values, long setStride = 0,
            SamplerOptions options = default(SamplerOptions))
        {
            Complete(ref points, ref parameters, ref values, ref options);
            Native.Check(Native.drr_model_query_sets(
                handle, &parameters, &options, &points, &values, setStride));
        }

        private long Lengths(Array points, Array parameters, Array values, bool sets)
        {
            return Lengths(
                Shape.Length(points, nameof(points)),
                Shape.Length(parameters, nameof(parameters)),
                Shape.Length(values, nameof(values)),
                sets);
        }

        /// <summary>The number of points, if lengths fit.</summary>
        private long Lengths(long points, long parameters, long values, bool sets)
        {
            long count = Shape.Rows(points, Axes.Count, nameof(points));
            long rows = 1;
            if (sets)
                rows = Shape.Rows(parameters, Parameters.Count, nameof(parameters));
            else
                Shape.ExpectOrSame(parameters, count, Parameters.Count, nameof(parameters));
            Shape.Expect(values, rows * count * Values.Count, nameof(values));
            return count;
        }

        private void Query(
            Scalar scalar, long count, void* points, long parameterNumbers, void* parameters,
            void* values, SamplerOptions options)
        {
            long number = Shape.Bytes(scalar);
            long bytes = count * Values.Count * number;
            Shape.Apart(values, bytes, points, count * Axes.Count * number);
            Shape.Apart(values, bytes, parameters, parameterNumbers * number);
            long stride = Shape.ExpectOrSame(
                parameterNumbers, count, Parameters.Count, nameof(parameters));
            Query(
                Points.Records(scalar, (IntPtr)points, count, Axes.Count * number),
                new ParameterRows
                {
                    Scalar = scalar, Count = count, Data = (IntPtr)parameters, RowStride = stride,
                },
                new Values { Scalar = scalar, Data = (IntPtr)values },
                options);
        }

        private void QuerySets(
            Scalar scalar, long count, void* points, long parameterNumbers, void* parameters,
            void* values, SamplerOptions options)
        {
            long number = Shape.Bytes(scalar);
            long sets = Shape.Rows(parameterNumbers, Parameters.Count, nameof(parameters));
            long bytes = sets * count * Values.Count * number;
            Shape.Apart(values, bytes, points, count * Axes.Count * number);
            Shape.Apart(values, bytes, parameters, parameterNumbers * number);
            QuerySets(
                Points.Records(scalar, (IntPtr)points, count, Axes.Count * number),
                new ParameterRows { Scalar = scalar, Count = sets, Data = (IntPtr)parameters },
                new Values { Scalar = scalar, Data = (IntPtr)values },
                0,
                options);
        }

        private static void Complete(
            ref Points points, ref ParameterRows parameters, ref Values values,
            ref SamplerOptions options)
        {
            Shape.Count(points.Count, nameof(points));
            Shape.Count(parameters.Count, nameof(parameters));
            points.StructSize = (uint)sizeof(Points);
            parameters.StructSize = (uint)sizeof(ParameterRows);
            values.StructSize = (uint)sizeof(Values);
            options.StructSize = (uint)sizeof(SamplerOptions);
        }
    }
}
