using System;

namespace Drr
{
    /// <summary>Which kernel answers on a GPU.</summary>
    public enum DeviceKernel : uint
    {
        /// <summary>
        /// The one for tensor cores where it can and its values are those of the CPU up to rounding
        /// to 16 bits, else the portable one; a message to the log says why.
        /// </summary>
        Auto = 0,
        /// <summary>The portable one: everything in 32 bits.</summary>
        Portable = 1,
        /// <summary>The one for tensor cores, or an error.</summary>
        Tensor = 2,
    }

    /// <summary>A model in the memory of a GPU.</summary>
    /// <remarks>
    /// From <see cref="Model.ToDevice"/>. Immutable: any number of threads may use it at the same
    /// time. Keeps what it needs of its model. Dispose it, and its samplers, when the GPU has done
    /// all that was queued: the garbage collector cannot know of that.
    /// </remarks>
    public sealed unsafe class DeviceModel : IDisposable
    {
        private readonly DeviceModelHandle handle;
        private readonly int dims, parameters, outputs;

        internal DeviceModel(DeviceModelHandle handle, int dims, int parameters, int outputs)
        {
            this.handle = handle;
            this.dims = dims;
            this.parameters = parameters;
            this.outputs = outputs;
            NativeDeviceInfo info = default(NativeDeviceInfo);
            info.StructSize = (uint)sizeof(NativeDeviceInfo);
            Native.Check(Native.drr_device_model_get_info(handle, &info));
            Ordinal = (int)info.Ordinal;
            MemoryBytes = (long)info.MemoryBytes;
            Device = Native.Text(info.Device);
            Kernel = Native.Text(info.Kernel);
        }

        /// <summary>Number of the GPU, as CUDA counts.</summary>
        public int Ordinal { get; }

        /// <summary>Memory of the GPU that it takes in bytes, without its samplers.</summary>
        public long MemoryBytes { get; }

        /// <summary>Number and name of the GPU: <c>cuda:0 (...)</c>.</summary>
        public string Device { get; }

        /// <summary>Name of the kernel in use: <c>portable</c> or <c>tensor</c>.</summary>
        public string Kernel { get; }

        /// <summary>Binds the model to simulation parameters, and waits for that.</summary>
        /// <param name="parameters">As for <see cref="Model.CreateSampler(double[], SamplerOptions)"/>.</param>
        /// <param name="options">
        /// How queries are answered; <see cref="Outside.Error"/> is not for GPUs.
        /// </param>
        /// <exception cref="DrrException">
        /// As for <see cref="Model.CreateSampler(double[], SamplerOptions)"/>; <see cref="Status.Device"/> if the GPU fails.
        /// </exception>
        /// <exception cref="ObjectDisposedException">The model there was disposed.</exception>
        public DeviceSampler CreateSampler(
            double[] parameters, SamplerOptions options = default(SamplerOptions))
        {
            long count = Shape.Length(parameters, nameof(parameters));
            options.StructSize = (uint)sizeof(SamplerOptions);
            DeviceSamplerHandle sampler;
            fixed (double* numbers = parameters)
                Native.Check(Native.drr_device_sampler_create(
                    handle, numbers, (ulong)count, &options, out sampler));
            return new DeviceSampler(sampler, dims, this.parameters, outputs);
        }

        /// <summary>
        /// Values at points of which each has parameters of its own, all in the GPU's memory;
        /// queued.
        /// </summary>
        /// <param name="rows">Where the parameters are, a row per point.</param>
        /// <param name="points">Where the coordinates are.</param>
        /// <param name="values">Where the results go.</param>
        /// <param name="stream">A <c>CUstream</c> or <c>cudaStream_t</c>; zero: the default one.
        /// </param>
        /// <param name="options">As for <see cref="CreateSampler"/>.</param>
        /// <exception cref="DrrException">As for <see cref="DeviceSampler.Query"/>.</exception>
        /// <exception cref="ObjectDisposedException">The model there was disposed.</exception>
        public void Query(
            ParameterRows rows, Points points, Values values, IntPtr stream = default(IntPtr),
            SamplerOptions options = default(SamplerOptions))
        {
            Shape.Count(points.Count, nameof(points));
            rows.StructSize = (uint)sizeof(ParameterRows);
            points.StructSize = (uint)sizeof(Points);
            values.StructSize = (uint)sizeof(Values);
            options.StructSize = (uint)sizeof(SamplerOptions);
            Native.Check(Native.drr_device_model_query(
                handle, &rows, &options, &points, &values, stream));
        }

        /// <summary>Frees it. Its samplers stay valid.</summary>
        public void Dispose()
        {
            handle.Dispose();
        }
    }

    /// <summary>A model on a GPU bound to one set of simulation parameters.</summary>
    /// <remarks>
    /// Belongs to one stream at a time. Calls without <c>Host</c> in their names take addresses of
    /// the GPU and are queued on a stream: they neither wait nor allocate, and may be captured into
    /// a CUDA graph. The sampler must not be disposed until the stream got to the end of them.
    /// </remarks>
    public sealed unsafe partial class DeviceSampler : IDisposable
    {
        private readonly DeviceSamplerHandle handle;

        internal DeviceSampler(
            DeviceSamplerHandle handle, int dims, int parameters, int outputs)
        {
            this.handle = handle;
            Dims = dims;
            Parameters = parameters;
            Outputs = outputs;
        }

        /// <summary>Coordinates per point, 1 to 3.</summary>
        public int Dims { get; }

        /// <summary>Simulation parameters that it is bound to.</summary>
        public int Parameters { get; }

        /// <summary>Values per point.</summary>
        public int Outputs { get; }

        /// <summary>Binds it to other parameters: what is queued on the stream afterwards is
        /// answered for them.</summary>
        /// <param name="parameters">Numbers of the host; copied.</param>
        /// <param name="stream">As for <see cref="Query"/>.</param>
        /// <exception cref="DrrException">
        /// <see cref="Status.InvalidArgument"/>: not as many as the model has;
        /// <see cref="Status.Device"/>
        /// </exception>
        /// <exception cref="ObjectDisposedException">The sampler was disposed.</exception>
        public void SetParameters(double[] parameters, IntPtr stream = default(IntPtr))
        {
            long count = Shape.Length(parameters, nameof(parameters));
            fixed (double* numbers = parameters)
                Native.Check(Native.drr_device_sampler_set_parameters(
                    handle, numbers, (ulong)count, stream));
        }

        /// <summary>Values at points in the GPU's memory; queued.</summary>
        /// <param name="points">Where the coordinates are; addresses of the GPU.</param>
        /// <param name="values">
        /// Where the results go; <see cref="Values.Separate"/> itself is an array of the host.
        /// </param>
        /// <param name="stream">A <c>CUstream</c> or <c>cudaStream_t</c>; zero: the default one.
        /// </param>
        /// <exception cref="DrrException">
        /// <see cref="Status.InvalidArgument"/>: the structs contradict themselves;
        /// <see cref="Status.Device"/>: the GPU failed, maybe in something before.
        /// </exception>
        /// <exception cref="ObjectDisposedException">The sampler was disposed.</exception>
        public void Query(Points points, Values values, IntPtr stream = default(IntPtr))
        {
            Prepare(ref points, ref values);
            Native.Check(Native.drr_device_sampler_query(handle, &points, &values, stream));
        }

        /// <summary>Values at the points of a lattice, in the GPU's memory; queued.</summary>
        /// <param name="lattice">The points.</param>
        /// <param name="values">As for <see cref="Query"/>.</param>
        /// <param name="stream">As for <see cref="Query"/>.</param>
        /// <inheritdoc cref="Query"/>
        public void QueryLattice(Lattice lattice, Values values, IntPtr stream = default(IntPtr))
        {
            Prepare(ref lattice, ref values);
            Native.Check(Native.drr_device_sampler_query_lattice(
                handle, &lattice, &values, stream));
        }

        /// <summary>
        /// Values and derivatives (docs/derivatives.md) at points in the GPU's memory, in 32 bits;
        /// queued. What is null is not computed.
        /// </summary>
        /// <param name="points">As for <see cref="Query"/>.</param>
        /// <param name="values">Null, or where the values go.</param>
        /// <param name="positionGradients">Null, or where derivatives by coordinates go.</param>
        /// <param name="parameterGradients">Null, or where derivatives by parameters go.</param>
        /// <param name="stream">As for <see cref="Query"/>.</param>
        /// <exception cref="DrrException">
        /// <see cref="Status.Unsupported"/>: the layers are too wide and many for derivatives there;
        /// else as for <see cref="Query"/>.
        /// </exception>
        /// <exception cref="ObjectDisposedException">The sampler was disposed.</exception>
        public void QueryGradient(
            Points points, Values? values, Gradients? positionGradients,
            Gradients? parameterGradients = null, IntPtr stream = default(IntPtr))
        {
            Values v = values.GetValueOrDefault();
            Gradients g = positionGradients.GetValueOrDefault();
            Gradients h = parameterGradients.GetValueOrDefault();
            Prepare(ref points, ref v);
            g.StructSize = h.StructSize = (uint)sizeof(Gradients);
            Native.Check(Native.drr_device_sampler_query_gradient(
                handle, &points, values.HasValue ? &v : null,
                positionGradients.HasValue ? &g : null, parameterGradients.HasValue ? &h : null,
                stream));
        }

        /// <summary>The same at the points of a lattice.</summary>
        /// <param name="lattice">The points.</param>
        /// <param name="values">Null, or where the values go.</param>
        /// <param name="positionGradients">Null, or where derivatives by coordinates go.</param>
        /// <param name="parameterGradients">Null, or where derivatives by parameters go.</param>
        /// <param name="stream">As for <see cref="Query"/>.</param>
        /// <inheritdoc cref="QueryGradient"/>
        public void QueryLatticeGradient(
            Lattice lattice, Values? values, Gradients? positionGradients,
            Gradients? parameterGradients = null, IntPtr stream = default(IntPtr))
        {
            Values v = values.GetValueOrDefault();
            Gradients g = positionGradients.GetValueOrDefault();
            Gradients h = parameterGradients.GetValueOrDefault();
            Prepare(ref lattice, ref v);
            g.StructSize = h.StructSize = (uint)sizeof(Gradients);
            Native.Check(Native.drr_device_sampler_query_lattice_gradient(
                handle, &lattice, values.HasValue ? &v : null,
                positionGradients.HasValue ? &g : null, parameterGradients.HasValue ? &h : null,
                stream));
        }

        /// <summary>Values at points, both in pinned memory of the host; waits for them.</summary>
        /// <param name="points">Where the coordinates are.</param>
        /// <param name="values">Where the results go.</param>
        /// <exception cref="DrrException">
        /// As for <see cref="Query"/>; <see cref="Status.OutOfMemory"/>
        /// </exception>
        /// <exception cref="ObjectDisposedException">The sampler was disposed.</exception>
        public void QueryHost(Points points, Values values)
        {
            Prepare(ref points, ref values);
            Native.Check(Native.drr_device_sampler_query_host(handle, &points, &values));
        }

        /// <summary>Values at the points of a lattice, in pinned memory of the host; waits.
        /// </summary>
        /// <param name="lattice">The points.</param>
        /// <param name="values">Where the results go.</param>
        /// <inheritdoc cref="QueryHost"/>
        public void QueryLatticeHost(Lattice lattice, Values values)
        {
            Prepare(ref lattice, ref values);
            Native.Check(Native.drr_device_sampler_query_lattice_host(handle, &lattice, &values));
        }

        /// <summary>Frees the sampler.</summary>
        public void Dispose()
        {
            handle.Dispose();
        }

        private static void Prepare(ref Points points, ref Values values)
        {
            Shape.Count(points.Count, nameof(points));
            points.StructSize = (uint)sizeof(Points);
            values.StructSize = (uint)sizeof(Values);
        }

        private static void Prepare(ref Lattice lattice, ref Values values)
        {
            lattice.StructSize = (uint)sizeof(Lattice);
            values.StructSize = (uint)sizeof(Values);
        }
    }
}
