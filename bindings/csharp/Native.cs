using System;
using System.Runtime.InteropServices;
using System.Text;

namespace Drr
{
    /// <summary>The C ABI as it is (include/drr.h), and what it takes to call it.</summary>
    /// <remarks>
    /// Handles are passed as <see cref="SafeHandle"/>s: the runtime counts calls that are under way
    /// and closes a handle after the last, whoever disposed or dropped the object meanwhile.
    /// </remarks>
    internal static unsafe partial class Native
    {
        // libdrr.so, libdrr.dylib or drr.dll: each runtime knows its platform's names.
        private const string Name = "drr";
        private const uint AbiVersion = 1;

        // Not the default, which would put '?' where a string is no Unicode: another file's name.
        private static readonly Encoding Utf8 = new UTF8Encoding(false, true);

        /// <summary>Text of the library's, copied.</summary>
        public static string Text(IntPtr text)
        {
            int length = 0;
            while (((byte*)text)[length] != 0)
                length++;
            return Encoding.UTF8.GetString((byte*)text, length);
        }

        /// <summary>A path as the library wants it: UTF-8 that ends with a NUL.</summary>
        public static byte[] Path(string path)
        {
            if (path == null)
                throw new ArgumentNullException(nameof(path));
            if (path.IndexOf('\0') >= 0)
                throw new ArgumentException("contains a NUL character", nameof(path));
            return Utf8.GetBytes(path + '\0');
        }

        /// <summary>Throws unless a call succeeded. The reason is the calling thread's.</summary>
        public static void Check(Status status)
        {
            if (status != Status.Ok)
                throw new DrrException(status, Text(drr_last_error()), drr_last_os_error());
        }

        /// <summary>Throws if the library is not the one that the structs are for.</summary>
        public static void CheckAbi()
        {
            uint found = drr_abi_version();
            if (found == AbiVersion)
                return;
            string message = "libdrr has ABI version " + found + ", expected " + AbiVersion;
            throw new DrrException(Status.Unsupported, message);
        }

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        private static extern IntPtr drr_last_error();

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        private static extern int drr_last_os_error();

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern IntPtr drr_status_name(Status status);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern IntPtr drr_version();

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        private static extern uint drr_abi_version();

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_model_open(
            byte* path, OpenOptions* options, out ModelHandle model);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_model_open_memory(
            byte* data, ulong size, OpenOptions* options, out ModelHandle model);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern void drr_model_close(IntPtr model);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_model_get_info(ModelHandle model, ModelInfo* info);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_model_get_axis(
            ModelHandle model, uint index, NativeRange* info);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_model_get_parameter(
            ModelHandle model, uint index, NativeRange* info);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_model_get_value(
            ModelHandle model, uint index, NativeRange* info);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_model_query(
            ModelHandle model, ParameterRows* parameters, SamplerOptions* options, Points* points,
            Values* values);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_model_query_sets(
            ModelHandle model, ParameterRows* parameters, SamplerOptions* options, Points* points,
            Values* values, long setStride);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_sampler_create(
            ModelHandle model, double* parameters, ulong count, SamplerOptions* options,
            out SamplerHandle sampler);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern void drr_sampler_free(IntPtr sampler);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_sampler_query_f32(
            SamplerHandle sampler, ulong count, float* points, float* values);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_sampler_query_f64(
            SamplerHandle sampler, ulong count, double* points, double* values);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_sampler_query(
            SamplerHandle sampler, Points* points, Values* values);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_sampler_query_lattice(
            SamplerHandle sampler, Lattice* lattice, Values* values);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_sampler_query_gradient_f32(
            SamplerHandle sampler, ulong count, float* points, float* values,
            float* positionGradients, float* parameterGradients);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_sampler_query_gradient_f64(
            SamplerHandle sampler, ulong count, double* points, double* values,
            double* positionGradients, double* parameterGradients);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_sampler_query_gradient(
            SamplerHandle sampler, Points* points, Values* values, Gradients* positionGradients,
            Gradients* parameterGradients);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_sampler_query_lattice_gradient(
            SamplerHandle sampler, Lattice* lattice, Values* values, Gradients* positionGradients,
            Gradients* parameterGradients);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_set_log_callback(
            Log.Callback callback, LogLevel level, IntPtr userData);
    }

    internal sealed class ModelHandle : SafeHandle
    {
        private ModelHandle() : base(IntPtr.Zero, true)
        {
        }

        public override bool IsInvalid => handle == IntPtr.Zero;

        protected override bool ReleaseHandle()
        {
            Native.drr_model_close(handle);
            return true;
        }
    }

    internal sealed class SamplerHandle : SafeHandle
    {
        private SamplerHandle() : base(IntPtr.Zero, true)
        {
        }

        public override bool IsInvalid => handle == IntPtr.Zero;

        protected override bool ReleaseHandle()
        {
            Native.drr_sampler_free(handle);
            return true;
        }
    }

// Fields that only the library writes.
#pragma warning disable 649
    [StructLayout(LayoutKind.Sequential)]
    internal struct ModelInfo
    {
        public uint StructSize;
        public uint Dims;
        public uint Parameters;
        public uint Outputs;
        public ulong FileBytes;
        public ulong MemoryBytes;
        public IntPtr Kernel;
        public IntPtr SpecJson;
        public uint IsRadiance;
        public uint Reserved;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct NativeRange
    {
        public uint StructSize;
        public ValueTransform Transform;
        public IntPtr Name;
        public IntPtr Unit;
        public double Min;
        public double Max;
    }
#pragma warning restore 649
}
