using System;
using System.Runtime.InteropServices;

namespace Drr
{
    // Results in an array for each value and for each derivative.
    public sealed unsafe partial class Sampler
    {
        /// <summary>Values at points, an array for each value of a point.</summary>
        /// <param name="points"><c>[count][dims]</c>, x first, in the sampler's units.</param>
        /// <param name="values">Receives <c>[outputs]</c> arrays <c>[count]</c>.</param>
        /// <inheritdoc cref="Query(float[], float[])"/>
        public void Query(float[] points, float[][] values)
        {
            long count = Rows(points);
            fixed (float* p = points)
                Query(Packed(Scalar.F32, p, count), values);
        }

        /// <inheritdoc cref="Query(float[], float[][])"/>
        public void Query(double[] points, double[][] values)
        {
            long count = Rows(points);
            fixed (double* p = points)
                Query(Packed(Scalar.F64, p, count), values);
        }

        /// <summary>
        /// Values at points, an array for each coordinate and for each value. One number in an array
        /// is the coordinate of all points.
        /// </summary>
        /// <param name="x"><c>[count]</c> or <c>[1]</c></param>
        /// <param name="y">The same; null if the model has one axis.</param>
        /// <param name="z">The same; null if the model has fewer than three.</param>
        /// <param name="values">Receives <c>[outputs]</c> arrays <c>[count]</c>.</param>
        /// <inheritdoc cref="Query(float[], float[])"/>
        public void Query(float[] x, float[] y, float[] z, float[][] values)
        {
            Points points = Axes(Scalar.F32, PointsOf(values), x, y, z);
            fixed (float* px = x, py = y, pz = z)
                Query(At(points, px, py, pz), values);
        }

        /// <inheritdoc cref="Query(float[], float[], float[], float[][])"/>
        public void Query(double[] x, double[] y, double[] z, double[][] values)
        {
            Points points = Axes(Scalar.F64, PointsOf(values), x, y, z);
            fixed (double* px = x, py = y, pz = z)
                Query(At(points, px, py, pz), values);
        }

        /// <summary>
        /// Values at the points of a regular lattice, an array for each value of a point.
        /// </summary>
        /// <param name="lattice">The points.</param>
        /// <param name="values">Receives <c>[outputs]</c> arrays <c>[z][y][x]</c>.</param>
        /// <param name="within">
        /// For arrays of more points: which of them are the lattice's. The others are left as they
        /// are.
        /// </param>
        /// <inheritdoc cref="QueryLattice(Lattice, float[], Within)"/>
        public void QueryLattice(
            Lattice lattice, float[][] values, Within within = default(Within))
        {
            QueryLattice(lattice, Fit(lattice, within), Scalar.F32, values);
        }

        /// <inheritdoc cref="QueryLattice(Lattice, float[][], Within)"/>
        public void QueryLattice(
            Lattice lattice, double[][] values, Within within = default(Within))
        {
            QueryLattice(lattice, Fit(lattice, within), Scalar.F64, values);
        }

        /// <summary>
        /// Values and derivatives at points, an array for each. Results that are null are not
        /// computed.
        /// </summary>
        /// <param name="points"><c>[count][dims]</c>, x first, in the sampler's units.</param>
        /// <param name="values">Null, or receives <c>[outputs]</c> arrays <c>[count]</c>.</param>
        /// <param name="positionGradients">
        /// Null, or receives <c>[outputs][dims]</c> arrays: of the first value by each coordinate,
        /// then of the next.
        /// </param>
        /// <param name="parameterGradients">
        /// Null, or receives <c>[outputs][parameters]</c> arrays.
        /// </param>
        /// <inheritdoc cref="QueryGradient(float[], float[], float[], float[])"/>
        public void QueryGradient(
            float[] points, float[][] values, float[][] positionGradients,
            float[][] parameterGradients = null)
        {
            long count = Rows(points);
            fixed (float* p = points)
                QueryGradient(
                    Packed(Scalar.F32, p, count), values, positionGradients, parameterGradients);
        }

        /// <inheritdoc cref="QueryGradient(float[], float[][], float[][], float[][])"/>
        public void QueryGradient(
            double[] points, double[][] values, double[][] positionGradients,
            double[][] parameterGradients = null)
        {
            long count = Rows(points);
            fixed (double* p = points)
                QueryGradient(
                    Packed(Scalar.F64, p, count), values, positionGradients, parameterGradients);
        }

        /// <summary>
        /// Values and derivatives at the points of a regular lattice, an array for each. Results that
        /// are null are not computed.
        /// </summary>
        /// <param name="lattice">The points.</param>
        /// <param name="values">Null, or receives <c>[outputs]</c> arrays <c>[z][y][x]</c>.</param>
        /// <param name="positionGradients">
        /// Null, or receives <c>[outputs][dims]</c> arrays: of the first value by each coordinate,
        /// then of the next.
        /// </param>
        /// <param name="parameterGradients">
        /// Null, or receives <c>[outputs][parameters]</c> arrays.
        /// </param>
        /// <param name="within">
        /// For arrays of more points: which of them are the lattice's. The others are left as they
        /// are.
        /// </param>
        /// <inheritdoc cref="QueryLatticeGradient(Lattice, float[], float[], float[], Within)"/>
        public void QueryLatticeGradient(
            Lattice lattice, float[][] values, float[][] positionGradients,
            float[][] parameterGradients = null, Within within = default(Within))
        {
            Places to = Fit(lattice, within);
            QueryLatticeGradient(
                lattice, to, Scalar.F32, values, positionGradients, parameterGradients);
        }

        /// <inheritdoc cref="QueryLatticeGradient(Lattice, float[][], float[][], float[][], Within)"/>
        public void QueryLatticeGradient(
            Lattice lattice, double[][] values, double[][] positionGradients,
            double[][] parameterGradients = null, Within within = default(Within))
        {
            Places to = Fit(lattice, within);
            QueryLatticeGradient(
                lattice, to, Scalar.F64, values, positionGradients, parameterGradients);
        }

        private Points Packed(Scalar scalar, void* points, long count)
        {
            return Points.Records(scalar, (IntPtr)points, count, Dims * Shape.Bytes(scalar));
        }

        /// <summary>Points that arrays have values for: as many as the first.</summary>
        private long PointsOf(Array[] values)
        {
            Shape.ExpectArrays(values, Outputs, nameof(values));
            return Shape.Length(values[0], nameof(values));
        }

        private void Query(Points points, Array[] values)
        {
            int count = Shape.ExpectArrays(values, Outputs, nameof(values));
            GCHandle* handles = stackalloc GCHandle[count];
            IntPtr* firsts = stackalloc IntPtr[count];
            var to = new Pins(points.Scalar, new Places { Count = points.Count }, handles, firsts);
            try
            {
                Values v = to.Values(values).Value;
                to.Apart(points, Dims);
                Query(points, v);
            }
            finally
            {
                to.Free();
            }
        }

        private void QueryLattice(Lattice lattice, Places places, Scalar scalar, Array[] values)
        {
            int count = Shape.ExpectArrays(values, Outputs, nameof(values));
            GCHandle* handles = stackalloc GCHandle[count];
            IntPtr* firsts = stackalloc IntPtr[count];
            var to = new Pins(scalar, places, handles, firsts);
            try
            {
                QueryLattice(lattice, to.Values(values).Value);
            }
            finally
            {
                to.Free();
            }
        }

        private void QueryGradient(Points points, Array[] values, Array[] position, Array[] parameters)
        {
            int count = ExpectArrays(values, position, parameters);
            GCHandle* handles = stackalloc GCHandle[count];
            IntPtr* firsts = stackalloc IntPtr[count];
            var to = new Pins(points.Scalar, new Places { Count = points.Count }, handles, firsts);
            try
            {
                Values? v = to.Values(values);
                Gradients? g = to.Gradients(position, "positionGradients");
                Gradients? h = to.Gradients(parameters, "parameterGradients");
                to.Apart(points, Dims);
                QueryGradient(points, v, g, h);
            }
            finally
            {
                to.Free();
            }
        }

        private void QueryLatticeGradient(
            Lattice lattice, Places places, Scalar scalar, Array[] values, Array[] position,
            Array[] parameters)
        {
            int count = ExpectArrays(values, position, parameters);
            GCHandle* handles = stackalloc GCHandle[count];
            IntPtr* firsts = stackalloc IntPtr[count];
            var to = new Pins(scalar, places, handles, firsts);
            try
            {
                Values? v = to.Values(values);
                Gradients? g = to.Gradients(position, "positionGradients");
                Gradients? h = to.Gradients(parameters, "parameterGradients");
                QueryLatticeGradient(lattice, v, g, h);
            }
            finally
            {
                to.Free();
            }
        }

        /// <summary>The number of arrays, if each value and derivative that is wanted has one.
        /// </summary>
        private int ExpectArrays(Array[] values, Array[] position, Array[] parameters)
        {
            int count = 0;
            if (values != null)
                count += Shape.ExpectArrays(values, Outputs, nameof(values));
            if (position != null)
                count += Shape.ExpectArrays(position, Outputs * Dims, "positionGradients");
            if (parameters != null)
                count += Shape.ExpectArrays(
                    parameters, Outputs * Parameters, "parameterGradients");
            return count;
        }
    }
}
