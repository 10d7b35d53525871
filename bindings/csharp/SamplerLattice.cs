using System;

namespace Drr
{
    // Regular lattices of points, which need no array of coordinates.
    public sealed unsafe partial class Sampler
    {
        /// <summary>
        /// Values at the points of a regular lattice: faster than the same points one by one, and
        /// equal to them up to rounding.
        /// </summary>
        /// <param name="lattice">The points.</param>
        /// <param name="values">Receives <c>[z][y][x][outputs]</c>: x is the fastest.</param>
        /// <param name="within">
        /// For an array of more points: which of them are the lattice's. The others are left as they
        /// are.
        /// </param>
        /// <exception cref="ArgumentException">
        /// The length does not fit, or the lattice does not lie within the array.
        /// </exception>
        /// <exception cref="DrrException">
        /// <see cref="Status.InvalidArgument"/>: more than 1 point along an axis that the model
        /// lacks; <see cref="Status.OutsideDomain"/> by the options; nothing is written then.
        /// </exception>
        /// <exception cref="ObjectDisposedException">The sampler was disposed.</exception>
        public void QueryLattice(
            Lattice lattice, float[] values, Within within = default(Within))
        {
            Places to = Fit(lattice, within);
            long length = Shape.Length(values, nameof(values));
            Shape.Expect(length, to.Count * Outputs, nameof(values));
            fixed (float* v = values)
                QueryLattice(lattice, to.Values(Scalar.F32, v, Outputs));
        }

        /// <inheritdoc cref="QueryLattice(Lattice, float[], Within)"/>
        public void QueryLattice(
            Lattice lattice, double[] values, Within within = default(Within))
        {
            Places to = Fit(lattice, within);
            long length = Shape.Length(values, nameof(values));
            Shape.Expect(length, to.Count * Outputs, nameof(values));
            fixed (double* v = values)
                QueryLattice(lattice, to.Values(Scalar.F64, v, Outputs));
        }

        /// <summary>The same with results in any layout.</summary>
        /// <param name="lattice">The points.</param>
        /// <param name="values">Where the results go.</param>
        /// <exception cref="DrrException">
        /// <see cref="Status.InvalidArgument"/>: more than 1 point along an axis that the model
        /// lacks, or the struct contradicts itself; <see cref="Status.OutsideDomain"/> by the
        /// options; nothing is written then.
        /// </exception>
        /// <exception cref="ObjectDisposedException">The sampler was disposed.</exception>
        public void QueryLattice(Lattice lattice, Values values)
        {
            Shape.Count(lattice);
            lattice.StructSize = (uint)sizeof(Lattice);
            values.StructSize = (uint)sizeof(Values);
            Native.Check(Native.drr_sampler_query_lattice(handle, &lattice, &values));
        }

        /// <summary>
        /// Values and derivatives at the points of a regular lattice: bit by bit those of
        /// <see cref="QueryGradient(float[], float[], float[], float[])"/> at these points, and no
        /// faster. Results that are null are not computed.
        /// </summary>
        /// <param name="lattice">The points.</param>
        /// <param name="values">Null, or receives <c>[z][y][x][outputs]</c>: x is the fastest.
        /// </param>
        /// <param name="positionGradients">
        /// Null, or receives <c>[z][y][x][outputs][dims]</c>: by each coordinate.
        /// </param>
        /// <param name="parameterGradients">
        /// Null, or receives <c>[z][y][x][outputs][parameters]</c>: by each parameter.
        /// </param>
        /// <param name="within">
        /// For arrays of more points: which of them are the lattice's. The others are left as they
        /// are.
        /// </param>
        /// <exception cref="ArgumentException">
        /// Lengths do not fit, arrays overlap, or the lattice does not lie within them.
        /// </exception>
        /// <exception cref="DrrException">
        /// <see cref="Status.InvalidArgument"/>: more than 1 point along an axis that the model
        /// lacks; <see cref="Status.OutsideDomain"/> by the options; nothing is written then.
        /// <see cref="Status.OutOfMemory"/>
        /// </exception>
        /// <exception cref="ObjectDisposedException">The sampler was disposed.</exception>
        public void QueryLatticeGradient(
            Lattice lattice, float[] values, float[] positionGradients,
            float[] parameterGradients = null, Within within = default(Within))
        {
            Places to = Fit(lattice, within);
            ExpectResults(to.Count, values, positionGradients, parameterGradients);
            fixed (float* v = values, g = positionGradients, h = parameterGradients)
                QueryLatticeGradient(lattice, to, Scalar.F32, v, g, h);
        }

        /// <inheritdoc cref="QueryLatticeGradient(Lattice, float[], float[], float[], Within)"/>
        public void QueryLatticeGradient(
            Lattice lattice, double[] values, double[] positionGradients,
            double[] parameterGradients = null, Within within = default(Within))
        {
            Places to = Fit(lattice, within);
            ExpectResults(to.Count, values, positionGradients, parameterGradients);
            fixed (double* v = values, g = positionGradients, h = parameterGradients)
                QueryLatticeGradient(lattice, to, Scalar.F64, v, g, h);
        }

        /// <summary>The same with results in any layout, each with its own type.</summary>
        /// <param name="lattice">The points.</param>
        /// <param name="values">Null, or where the values go.</param>
        /// <param name="positionGradients">Null, or where derivatives by coordinates go.</param>
        /// <param name="parameterGradients">Null, or where those by parameters go.</param>
        /// <exception cref="DrrException">
        /// <see cref="Status.InvalidArgument"/>: more than 1 point along an axis that the model
        /// lacks, or the structs contradict themselves; <see cref="Status.OutsideDomain"/> by the
        /// options; nothing is written then. <see cref="Status.OutOfMemory"/>
        /// </exception>
        /// <exception cref="ObjectDisposedException">The sampler was disposed.</exception>
        public void QueryLatticeGradient(
            Lattice lattice, Values? values, Gradients? positionGradients,
            Gradients? parameterGradients)
        {
            Shape.Count(lattice);
            lattice.StructSize = (uint)sizeof(Lattice);
            Values v = values.GetValueOrDefault();
            Gradients g = positionGradients.GetValueOrDefault();
            Gradients h = parameterGradients.GetValueOrDefault();
            v.StructSize = (uint)sizeof(Values);
            g.StructSize = h.StructSize = (uint)sizeof(Gradients);
            Native.Check(Native.drr_sampler_query_lattice_gradient(
                handle,
                &lattice,
                values.HasValue ? &v : null,
                positionGradients.HasValue ? &g : null,
                parameterGradients.HasValue ? &h : null));
        }

        private Places Fit(Lattice lattice, Within within)
        {
            return Shape.Fit(lattice, within, Outputs * Math.Max(Dims, Parameters));
        }

        private void QueryLatticeGradient(
            Lattice lattice, Places to, Scalar scalar, void* values, void* position,
            void* parameters)
        {
            Apart(to.Count * Shape.Bytes(scalar), null, values, position, parameters);
            QueryLatticeGradient(
                lattice,
                values == null ? (Values?)null : to.Values(scalar, values, Outputs),
                to.Gradients(scalar, position, Outputs * Dims),
                to.Gradients(scalar, parameters, Outputs * Parameters));
        }
    }
}
