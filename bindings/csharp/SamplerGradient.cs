using System;

namespace Drr
{
    // Values with their derivatives.
    public sealed unsafe partial class Sampler
    {
        /// <summary>
        /// Values and derivatives at points, all arrays without gaps. Results that are null are not
        /// computed.
        /// </summary>
        /// <remarks>
        /// Derivatives are those of physical values by physical coordinates and parameters, or of
        /// normalised ones with <see cref="Units.Normalized"/>. On the face between two cells the
        /// derivative is that of the cell above; where a coordinate is clamped it is 0. See
        /// docs/derivatives.md.
        /// </remarks>
        /// <param name="points"><c>[count][dims]</c>, x first, in the sampler's units.</param>
        /// <param name="values">
        /// Null, or receives <c>[count][outputs]</c>: those of a query without derivatives, bit by
        /// bit.
        /// </param>
        /// <param name="positionGradients">
        /// Null, or receives <c>[count][outputs][dims]</c>: by each coordinate.
        /// </param>
        /// <param name="parameterGradients">
        /// Null, or receives <c>[count][outputs][parameters]</c>: by each parameter.
        /// </param>
        /// <exception cref="ArgumentException">Lengths do not fit, or arrays overlap.</exception>
        /// <exception cref="DrrException">
        /// <see cref="Status.OutsideDomain"/> by the options; nothing is written then.
        /// <see cref="Status.OutOfMemory"/>
        /// </exception>
        /// <exception cref="ObjectDisposedException">The sampler was disposed.</exception>
        public void QueryGradient(
            float[] points, float[] values, float[] positionGradients,
            float[] parameterGradients = null)
        {
            long count = GradientRows(points, values, positionGradients, parameterGradients);
            fixed (float* p = points, v = values, g = positionGradients, h = parameterGradients)
                QueryGradient(count, p, v, g, h);
        }

        /// <inheritdoc cref="QueryGradient(float[], float[], float[], float[])"/>
        public void QueryGradient(
            double[] points, double[] values, double[] positionGradients,
            double[] parameterGradients = null)
        {
            long count = GradientRows(points, values, positionGradients, parameterGradients);
            fixed (double* p = points, v = values, g = positionGradients, h = parameterGradients)
                QueryGradient(count, p, v, g, h);
        }

        /// <summary>The same for memory that the caller has pinned.</summary>
        /// <param name="count">Number of points; 0 is fine.</param>
        /// <param name="points"><c>[count][dims]</c>, x first, in the sampler's units.</param>
        /// <param name="values">Null, or receives <c>[count][outputs]</c>.</param>
        /// <param name="positionGradients">
        /// Null, or receives <c>[count][outputs][dims]</c>: by each coordinate.
        /// </param>
        /// <param name="parameterGradients">
        /// Null, or receives <c>[count][outputs][parameters]</c>: by each parameter.
        /// </param>
        /// <inheritdoc cref="QueryGradient(float[], float[], float[], float[])"/>
        public void QueryGradient(
            long count, float* points, float* values, float* positionGradients,
            float* parameterGradients)
        {
            ulong given = Shape.Count(count, nameof(count));
            Apart(count * 4, points, values, positionGradients, parameterGradients);
            Native.Check(Native.drr_sampler_query_gradient_f32(
                handle, given, points, values, positionGradients, parameterGradients));
        }

        /// <inheritdoc cref="QueryGradient(long, float*, float*, float*, float*)"/>
        public void QueryGradient(
            long count, double* points, double* values, double* positionGradients,
            double* parameterGradients)
        {
            ulong given = Shape.Count(count, nameof(count));
            Apart(count * 8, points, values, positionGradients, parameterGradients);
            Native.Check(Native.drr_sampler_query_gradient_f64(
                handle, given, points, values, positionGradients, parameterGradients));
        }

        /// <summary>The same for points and results in any layout, each with its own type.
        /// </summary>
        /// <param name="points">Where the coordinates are.</param>
        /// <param name="values">Null, or where the values go.</param>
        /// <param name="positionGradients">Null, or where derivatives by coordinates go.</param>
        /// <param name="parameterGradients">Null, or where those by parameters go.</param>
        /// <exception cref="DrrException">
        /// <see cref="Status.InvalidArgument"/>: the structs contradict themselves;
        /// <see cref="Status.OutsideDomain"/> by the options; nothing is written then.
        /// <see cref="Status.OutOfMemory"/>
        /// </exception>
        /// <exception cref="ObjectDisposedException">The sampler was disposed.</exception>
        public void QueryGradient(
            Points points, Values? values, Gradients? positionGradients,
            Gradients? parameterGradients)
        {
            Shape.Count(points.Count, nameof(points));
            points.StructSize = (uint)sizeof(Points);
            Values v = values.GetValueOrDefault();
            Gradients g = positionGradients.GetValueOrDefault();
            Gradients h = parameterGradients.GetValueOrDefault();
            v.StructSize = (uint)sizeof(Values);
            g.StructSize = h.StructSize = (uint)sizeof(Gradients);
            Native.Check(Native.drr_sampler_query_gradient(
                handle,
                &points,
                values.HasValue ? &v : null,
                positionGradients.HasValue ? &g : null,
                parameterGradients.HasValue ? &h : null));
        }

        private long GradientRows(
            Array points, Array values, Array positionGradients, Array parameterGradients)
        {
            long count = Rows(points);
            ExpectResults(count, values, positionGradients, parameterGradients);
            return count;
        }

        private void ExpectResults(
            long count, Array values, Array positionGradients, Array parameterGradients)
        {
            long numbers = count * Outputs;
            Shape.ExpectOrNull(values, numbers, nameof(values));
            Shape.ExpectOrNull(positionGradients, numbers * Dims, nameof(positionGradients));
            Shape.ExpectOrNull(
                parameterGradients, numbers * Parameters, nameof(parameterGradients));
        }

        private void Apart(long row, void* points, void* values, void* position, void* parameters)
        {
            long v = row * Outputs, g = v * Dims, h = v * Parameters;
            Shape.Apart(points, row * Dims, values, v);
            Shape.Apart(points, row * Dims, position, g);
            Shape.Apart(points, row * Dims, parameters, h);
            Shape.Apart(values, v, position, g);
            Shape.Apart(values, v, parameters, h);
            Shape.Apart(position, g, parameters, h);
        }
    }
}
