using System;
using System.Runtime.InteropServices;

namespace Drr
{
    // Functions for GPUs.
    internal static unsafe partial class Native
    {
        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_device_count(out uint count);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_model_to_device(
            ModelHandle model, uint ordinal, NativeDeviceOptions* options,
            out DeviceModelHandle deviceModel);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern void drr_device_model_close(IntPtr deviceModel);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_device_model_get_info(
            DeviceModelHandle deviceModel, NativeDeviceInfo* info);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_device_model_query(
            DeviceModelHandle deviceModel, ParameterRows* parameters, SamplerOptions* options,
            Points* points, Values* values, IntPtr stream);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_device_sampler_create(
            DeviceModelHandle deviceModel, double* parameters, ulong count,
            SamplerOptions* options, out DeviceSamplerHandle sampler);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern void drr_device_sampler_free(IntPtr sampler);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_device_sampler_set_parameters(
            DeviceSamplerHandle sampler, double* parameters, ulong count, IntPtr stream);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_device_sampler_query(
            DeviceSamplerHandle sampler, Points* points, Values* values, IntPtr stream);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_device_sampler_query_lattice(
            DeviceSamplerHandle sampler, Lattice* lattice, Values* values, IntPtr stream);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_device_sampler_query_gradient(
            DeviceSamplerHandle sampler, Points* points, Values* values,
            Gradients* positionGradients, Gradients* parameterGradients, IntPtr stream);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_device_sampler_query_lattice_gradient(
            DeviceSamplerHandle sampler, Lattice* lattice, Values* values,
            Gradients* positionGradients, Gradients* parameterGradients, IntPtr stream);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_device_radiance_query(
            DeviceSamplerHandle sampler, Points* points, Points* directions, Values* values,
            IntPtr stream);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_device_radiance_render(
            DeviceSamplerHandle sampler, NativeCamera* camera, ulong width, ulong height,
            NativeRenderOptions* options, float* rgba, float* depth, IntPtr stream);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_device_radiance_render_rays(
            DeviceSamplerHandle sampler, Points* origins, Points* directions,
            NativeRenderOptions* options, float* rgba, float* depth, IntPtr stream);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_device_sampler_query_host(
            DeviceSamplerHandle sampler, Points* points, Values* values);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_device_sampler_query_lattice_host(
            DeviceSamplerHandle sampler, Lattice* lattice, Values* values);
    }

    internal sealed class DeviceModelHandle : SafeHandle
    {
        private DeviceModelHandle() : base(IntPtr.Zero, true)
        {
        }

        public override bool IsInvalid => handle == IntPtr.Zero;

        protected override bool ReleaseHandle()
        {
            Native.drr_device_model_close(handle);
            return true;
        }
    }

    internal sealed class DeviceSamplerHandle : SafeHandle
    {
        private DeviceSamplerHandle() : base(IntPtr.Zero, true)
        {
        }

        public override bool IsInvalid => handle == IntPtr.Zero;

        protected override bool ReleaseHandle()
        {
            Native.drr_device_sampler_free(handle);
            return true;
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct NativeDeviceOptions
    {
        public uint StructSize;
        public uint Kernel;
        public IntPtr Context;
    }

// Fields that only the library writes.
#pragma warning disable 649
    [StructLayout(LayoutKind.Sequential)]
    internal struct NativeDeviceInfo
    {
        public uint StructSize;
        public uint Ordinal;
        public ulong MemoryBytes;
        public IntPtr Device;
        public IntPtr Kernel;
    }
#pragma warning restore 649
}
