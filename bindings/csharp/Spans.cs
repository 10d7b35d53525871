#if NETSTANDARD2_1_OR_GREATER || NETCOREAPP || DRR_SPAN
using System;
using System.Runtime.InteropServices;

namespace Drr
{
    // The packed queries for spans. `fixed` over GetReference, which an empty span has too.
    public sealed unsafe partial class Sampler
    {
        /// <inheritdoc cref="Query(float[], float[])"/>
        public void Query(ReadOnlySpan<float> points, Span<float> values)
        {
            long count = Shape.Rows(points.Length, Dims, nameof(points));
            Shape.Expect(values.Length, count * Outputs, nameof(values));
            fixed (float* p = &MemoryMarshal.GetReference(points))
            fixed (float* v = &MemoryMarshal.GetReference(values))
                Query(count, p, v);
        }

        /// <inheritdoc cref="Query(double[], double[])"/>
        public void Query(ReadOnlySpan<double> points, Span<double> values)
        {
            long count = Shape.Rows(points.Length, Dims, nameof(points));
            Shape.Expect(values.Length, count * Outputs, nameof(values));
            fixed (double* p = &MemoryMarshal.GetReference(points))
            fixed (double* v = &MemoryMarshal.GetReference(values))
                Query(count, p, v);
        }

        /// <inheritdoc cref="QueryLattice(Lattice, float[], Within)"/>
        public void QueryLattice(
            Lattice lattice, Span<float> values, Within within = default(Within))
        {
            Places to = Fit(lattice, within);
            Shape.Expect(values.Length, to.Count * Outputs, nameof(values));
            fixed (float* v = &MemoryMarshal.GetReference(values))
                QueryLattice(lattice, to.Values(Scalar.F32, v, Outputs));
        }

        /// <inheritdoc cref="QueryLattice(Lattice, float[], Within)"/>
        public void QueryLattice(
            Lattice lattice, Span<double> values, Within within = default(Within))
        {
            Places to = Fit(lattice, within);
            Shape.Expect(values.Length, to.Count * Outputs, nameof(values));
            fixed (double* v = &MemoryMarshal.GetReference(values))
                QueryLattice(lattice, to.Values(Scalar.F64, v, Outputs));
        }

        /// <summary>The same for spans; those that are empty are not computed.</summary>
        /// <inheritdoc cref="QueryLatticeGradient(Lattice, float[], float[], float[], Within)"/>
        public void QueryLatticeGradient(
            Lattice lattice, Span<float> values, Span<float> positionGradients,
            Span<float> parameterGradients = default(Span<float>), Within within = default(Within))
        {
            Places to = Fit(lattice, within);
            ExpectResults(
                to.Count, values.Length, positionGradients.Length, parameterGradients.Length);
            fixed (float* v = &MemoryMarshal.GetReference(values))
            fixed (float* g = &MemoryMarshal.GetReference(positionGradients))
            fixed (float* h = &MemoryMarshal.GetReference(parameterGradients))
                QueryLatticeGradient(
                    lattice,
                    to,
                    Scalar.F32,
                    values.IsEmpty ? null : v,
                    positionGradients.IsEmpty ? null : g,
                    parameterGradients.IsEmpty ? null : h);
        }

        /// <inheritdoc cref="QueryLatticeGradient(Lattice, Span{float}, Span{float}, Span{float}, Within)"/>
        public void QueryLatticeGradient(
            Lattice lattice, Span<double> values, Span<double> positionGradients,
            Span<double> parameterGradients = default(Span<double>), Within within = default(Within))
        {
            Places to = Fit(lattice, within);
            ExpectResults(
                to.Count, values.Length, positionGradients.Length, parameterGradients.Length);
            fixed (double* v = &MemoryMarshal.GetReference(values))
            fixed (double* g = &MemoryMarshal.GetReference(positionGradients))
            fixed (double* h = &MemoryMarshal.GetReference(parameterGradients))
                QueryLatticeGradient(
                    lattice,
                    to,
                    Scalar.F64,
                    values.IsEmpty ? null : v,
                    positionGradients.IsEmpty ? null : g,
                    parameterGradients.IsEmpty ? null : h);
        }

        /// <summary>The same for spans; those that are empty are not computed.</summary>
        /// <inheritdoc cref="QueryGradient(float[], float[], float[], float[])"/>
        public void QueryGradient(
            ReadOnlySpan<float> points, Span<float> values, Span<float> positionGradients,
            Span<float> parameterGradients = default(Span<float>))
        {
            long count = GradientRows(
                points.Length, values.Length, positionGradients.Length, parameterGradients.Length);
            fixed (float* p = &MemoryMarshal.GetReference(points))
            fixed (float* v = &MemoryMarshal.GetReference(values))
            fixed (float* g = &MemoryMarshal.GetReference(positionGradients))
            fixed (float* h = &MemoryMarshal.GetReference(parameterGradients))
                QueryGradient(
                    count,
                    p,
                    values.IsEmpty ? null : v,
                    positionGradients.IsEmpty ? null : g,
                    parameterGradients.IsEmpty ? null : h);
        }

        /// <inheritdoc cref="QueryGradient(ReadOnlySpan{float}, Span{float}, Span{float}, Span{float})"/>
        public void QueryGradient(
            ReadOnlySpan<double> points, Span<double> values, Span<double> positionGradients,
            Span<double> parameterGradients = default(Span<double>))
        {
            long count = GradientRows(
                points.Length, values.Length, positionGradients.Length, parameterGradients.Length);
            fixed (double* p = &MemoryMarshal.GetReference(points))
            fixed (double* v = &MemoryMarshal.GetReference(values))
            fixed (double* g = &MemoryMarshal.GetReference(positionGradients))
            fixed (double* h = &MemoryMarshal.GetReference(parameterGradients))
                QueryGradient(
                    count,
                    p,
                    values.IsEmpty ? null : v,
                    positionGradients.IsEmpty ? null : g,
                    parameterGradients.IsEmpty ? null : h);
        }

        private long GradientRows(long points, long values, long position, long parameters)
        {
            long count = Shape.Rows(points, Dims, nameof(points));
            ExpectResults(count, values, position, parameters);
            return count;
        }

        private void ExpectResults(long count, long values, long position, long parameters)
        {
            long numbers = count * Outputs;
            if (values > 0)
                Shape.Expect(values, numbers, nameof(values));
            if (position > 0)
                Shape.Expect(position, numbers * Dims, "positionGradients");
            if (parameters > 0)
                Shape.Expect(parameters, numbers * Parameters, "parameterGradients");
        }
    }

    public sealed unsafe partial class Model
    {
        /// <inheritdoc cref="CreateSampler(double[], SamplerOptions)"/>
        public Sampler CreateSampler(
            ReadOnlySpan<double> parameters, SamplerOptions options = default(SamplerOptions))
        {
            fixed (double* numbers = &MemoryMarshal.GetReference(parameters))
                return CreateSampler(numbers, parameters.Length, options);
        }

        /// <inheritdoc cref="Query(float[], float[], float[], SamplerOptions)"/>
        public void Query(
            ReadOnlySpan<float> points, ReadOnlySpan<float> parameters, Span<float> values,
            SamplerOptions options = default(SamplerOptions))
        {
            long count = Lengths(points.Length, parameters.Length, values.Length, false);
            fixed (float* p = &MemoryMarshal.GetReference(points))
            fixed (float* q = &MemoryMarshal.GetReference(parameters))
            fixed (float* v = &MemoryMarshal.GetReference(values))
                Query(Scalar.F32, count, p, parameters.Length, q, v, options);
        }

        /// <inheritdoc cref="Query(double[], double[], double[], SamplerOptions)"/>
        public void Query(
            ReadOnlySpan<double> points, ReadOnlySpan<double> parameters, Span<double> values,
            SamplerOptions options = default(SamplerOptions))
        {
            long count = Lengths(points.Length, parameters.Length, values.Length, false);
            fixed (double* p = &MemoryMarshal.GetReference(points))
            fixed (double* q = &MemoryMarshal.GetReference(parameters))
            fixed (double* v = &MemoryMarshal.GetReference(values))
                Query(Scalar.F64, count, p, parameters.Length, q, v, options);
        }

        /// <inheritdoc cref="QuerySets(float[], float[], float[], SamplerOptions)"/>
        public void QuerySets(
            ReadOnlySpan<float> points, ReadOnlySpan<float> parameters, Span<float> values,
            SamplerOptions options = default(SamplerOptions))
        {
            long count = Lengths(points.Length, parameters.Length, values.Length, true);
            fixed (float* p = &MemoryMarshal.GetReference(points))
            fixed (float* q = &MemoryMarshal.GetReference(parameters))
            fixed (float* v = &MemoryMarshal.GetReference(values))
                QuerySets(Scalar.F32, count, p, parameters.Length, q, v, options);
        }

        /// <inheritdoc cref="QuerySets(double[], double[], double[], SamplerOptions)"/>
        public void QuerySets(
            ReadOnlySpan<double> points, ReadOnlySpan<double> parameters, Span<double> values,
            SamplerOptions options = default(SamplerOptions))
        {
            long count = Lengths(points.Length, parameters.Length, values.Length, true);
            fixed (double* p = &MemoryMarshal.GetReference(points))
            fixed (double* q = &MemoryMarshal.GetReference(parameters))
            fixed (double* v = &MemoryMarshal.GetReference(values))
                QuerySets(Scalar.F64, count, p, parameters.Length, q, v, options);
        }
    }
}
#endif
