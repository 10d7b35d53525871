using System;
using System.Collections.Generic;

namespace Drr
{
    /// <summary>An open baked model.</summary>
    /// <remarks>
    /// Immutable: any number of threads may use it at the same time, and dispose it meanwhile: calls
    /// that are under way end first. What describes it stays readable after
    /// <see cref="Dispose"/>; calls throw <see cref="ObjectDisposedException"/> then. A model that
    /// is dropped without is closed by the garbage collector.
    /// </remarks>
    public sealed unsafe partial class Model : IDisposable
    {
        private delegate Status Getter(ModelHandle model, uint index, NativeRange* range);

        private readonly ModelHandle handle;

        private Model(ModelHandle handle)
        {
            this.handle = handle;
            ModelInfo info = Info();
            Kernel = Native.Text(info.Kernel);
            SpecJson = Native.Text(info.SpecJson);
            IsRadiance = info.IsRadiance != 0;
            Axes = Ranges(info.Dims, Native.drr_model_get_axis);
            Parameters = Ranges(info.Parameters, Native.drr_model_get_parameter);
            Values = Ranges(info.Outputs, Native.drr_model_get_value);
        }

        /// <summary>Opens a baked file and checks it completely.</summary>
        /// <param name="path">Name of the file, any characters that Unicode has.</param>
        /// <param name="options">How it is opened.</param>
        /// <exception cref="DrrException">
        /// <see cref="Status.Io"/>, <see cref="Status.Format"/>, <see cref="Status.Version"/>,
        /// <see cref="Status.Unsupported"/>, <see cref="Status.InvalidArgument"/>,
        /// <see cref="Status.OutOfMemory"/>
        /// </exception>
        /// <exception cref="ArgumentException">The path has a NUL, or half a surrogate pair.
        /// </exception>
        public static Model Open(string path, OpenOptions options = default(OpenOptions))
        {
            Native.CheckAbi();
            options.StructSize = (uint)sizeof(OpenOptions);
            ModelHandle model;
            fixed (byte* name = Native.Path(path))
                Native.Check(Native.drr_model_open(name, &options, out model));
            return new Model(model);
        }

        /// <summary>Opens a baked file that is in memory already. The bytes are copied.</summary>
        /// <param name="data">The whole file.</param>
        /// <param name="options">How it is opened.</param>
        /// <exception cref="DrrException">As for files.</exception>
        public static Model Open(byte[] data, OpenOptions options = default(OpenOptions))
        {
            long length = Shape.Length(data, nameof(data));
            fixed (byte* bytes = data)
                return Open(bytes, length, options);
        }

        /// <summary>Opens a baked file that is in memory already. The bytes are copied.</summary>
        /// <param name="data">Address of the file.</param>
        /// <param name="length">Number of bytes.</param>
        /// <param name="options">How it is opened.</param>
        /// <exception cref="DrrException">As for files.</exception>
        public static Model Open(
            byte* data, long length, OpenOptions options = default(OpenOptions))
        {
            Native.CheckAbi();
            options.StructSize = (uint)sizeof(OpenOptions);
            ulong size = Shape.Count(length, nameof(length));
            ModelHandle model;
            Native.Check(Native.drr_model_open_memory(data, size, &options, out model));
            return new Model(model);
        }

        /// <summary>The coordinates of a point, x first, from their first to their last vertex.
        /// </summary>
        public IReadOnlyList<RangeInfo> Axes { get; }

        /// <summary>The simulation parameters, in the order of arrays of them.</summary>
        public IReadOnlyList<RangeInfo> Parameters { get; }

        /// <summary>The components of the field, from the smallest to the largest value that the
        /// model was trained on.</summary>
        public IReadOnlyList<RangeInfo> Values { get; }

        /// <summary>Name of the kernel in use: <c>avx2</c>, <c>neon</c>, ...</summary>
        public string Kernel { get; }

        /// <summary>The whole description as JSON (docs/format.md).</summary>
        public string SpecJson { get; }

        /// <summary>Whether it is a radiance field, which samplers render.</summary>
        public bool IsRadiance { get; }

        /// <summary>Size of the file in bytes.</summary>
        /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
        public long FileBytes => (long)Info().FileBytes;

        /// <summary>
        /// Memory that the open model takes in bytes, the file included (mapped pages are shared).
        /// </summary>
        /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
        public long MemoryBytes => (long)Info().MemoryBytes;

        /// <summary>Binds the model to simulation parameters.</summary>
        /// <param name="parameters">
        /// A number for each of <see cref="Parameters"/>, in their order and units (or in [0, 1] with
        /// <see cref="Units.Normalized"/>); copied.
        /// </param>
        /// <param name="options">How queries are answered.</param>
        /// <exception cref="DrrException">
        /// <see cref="Status.InvalidArgument"/>: not as many as the model has;
        /// <see cref="Status.OutsideDomain"/>: one is out of its range, and
        /// <see cref="SamplerOptions.OutsideParameters"/> says to fail then.
        /// </exception>
        /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
        public Sampler CreateSampler(
            double[] parameters, SamplerOptions options = default(SamplerOptions))
        {
            long count = Shape.Length(parameters, nameof(parameters));
            fixed (double* numbers = parameters)
                return CreateSampler(numbers, count, options);
        }

        /// <summary>
        /// Copies the model to a GPU and compares some hundred values there with those of the CPU;
        /// waits for both.
        /// </summary>
        /// <param name="ordinal">Number of the GPU, as CUDA counts.</param>
        /// <param name="kernel">Which kernel answers.</param>
        /// <param name="context">
        /// A <c>CUcontext</c> of the GPU that outlives the model there; zero: the primary one, that
        /// of the CUDA runtime.
        /// </param>
        /// <exception cref="DrrException">
        /// <see cref="Status.NoDevice"/>, <see cref="Status.OutOfMemory"/>;
        /// <see cref="Status.Unsupported"/>: the GPU, its driver or this build cannot run the model;
        /// <see cref="Status.Device"/>: it fails, or its values are not those of the CPU.
        /// </exception>
        /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
        public DeviceModel ToDevice(
            int ordinal, DeviceKernel kernel = DeviceKernel.Auto,
            IntPtr context = default(IntPtr))
        {
            if (ordinal < 0)
                throw new ArgumentOutOfRangeException(
                    nameof(ordinal), ordinal, "expected the number of a GPU, 0 or more");
            var options = new NativeDeviceOptions { Kernel = (uint)kernel, Context = context };
            options.StructSize = (uint)sizeof(NativeDeviceOptions);
            DeviceModelHandle there;
            Native.Check(Native.drr_model_to_device(handle, (uint)ordinal, &options, out there));
            return new DeviceModel(there, Axes.Count, Parameters.Count, Values.Count);
        }

        private Sampler CreateSampler(double* parameters, long count, SamplerOptions options)
        {
            options.StructSize = (uint)sizeof(SamplerOptions);
            SamplerHandle sampler;
            Native.Check(Native.drr_sampler_create(
                handle, parameters, (ulong)count, &options, out sampler));
            return new Sampler(sampler, Axes.Count, Parameters.Count, Values.Count);
        }

        /// <summary>
        /// A lattice from the first to the last vertex of each axis, in physical units; one point
        /// along an axis lies in its middle.
        /// </summary>
        /// <param name="x">Points along x.</param>
        /// <param name="y">Points along y; 1 if the model has no such axis.</param>
        /// <param name="z">Points along z; 1 if the model has no such axis.</param>
        public Lattice DomainLattice(long x, long y = 1, long z = 1)
        {
            var lattice = new Lattice { DimsX = x, DimsY = y, DimsZ = z };
            Spread(0, x, out lattice.OriginX, out lattice.SpacingX);
            Spread(1, y, out lattice.OriginY, out lattice.SpacingY);
            Spread(2, z, out lattice.OriginZ, out lattice.SpacingZ);
            return lattice;
        }

        /// <summary>Closes the model. Its samplers stay valid.</summary>
        public void Dispose()
        {
            handle.Dispose();
        }

        private void Spread(int axis, long count, out double origin, out double spacing)
        {
            origin = spacing = 0;
            if (axis >= Axes.Count)
                return;
            RangeInfo range = Axes[axis];
            origin = count == 1 ? (range.Min + range.Max) / 2 : range.Min;
            spacing = count > 1 ? (range.Max - range.Min) / (count - 1) : 0;
        }

        private ModelInfo Info()
        {
            ModelInfo info = default(ModelInfo);
            info.StructSize = (uint)sizeof(ModelInfo);
            Native.Check(Native.drr_model_get_info(handle, &info));
            return info;
        }

        private IReadOnlyList<RangeInfo> Ranges(uint count, Getter get)
        {
            var ranges = new RangeInfo[count];
            for (uint i = 0; i < count; i++)
            {
                NativeRange range = default(NativeRange);
                range.StructSize = (uint)sizeof(NativeRange);
                Native.Check(get(handle, i, &range));
                ranges[i] = new RangeInfo(range);
            }
            return Array.AsReadOnly(ranges);
        }
    }
}
