using System;

namespace Drr
{
    // Radiance fields.
    public sealed unsafe partial class DeviceSampler
    {
        /// <summary>
        /// Densities and colours of a radiance field at points in the GPU's memory, each seen along a
        /// direction; queued.
        /// </summary>
        /// <param name="points">Where the coordinates are; addresses of the GPU.</param>
        /// <param name="directions">
        /// As many, away from the eye; one of length 0 makes the colour NaN.
        /// </param>
        /// <param name="values">Where the results go: density, red, green, blue.</param>
        /// <param name="stream">A <c>CUstream</c> or <c>cudaStream_t</c>; zero: the default one.
        /// </param>
        /// <exception cref="DrrException">
        /// <see cref="Status.InvalidArgument"/>: the model is no radiance field, or the structs
        /// contradict themselves; <see cref="Status.Unsupported"/>: the layers that make colours are
        /// too wide for the GPU; <see cref="Status.Device"/>: it failed, maybe in something before.
        /// </exception>
        /// <exception cref="ObjectDisposedException">The sampler was disposed.</exception>
        public void Radiance(
            Points points, Points directions, Values values, IntPtr stream = default(IntPtr))
        {
            Prepare(ref points, ref values);
            Prepare(ref directions, ref values);
            Native.Check(Native.drr_device_radiance_query(
                handle, &points, &directions, &values, stream));
        }

        /// <summary>
        /// A picture of a radiance field as a camera sees it, in the GPU's memory; queued.
        /// </summary>
        /// <param name="camera">Where it is seen from.</param>
        /// <param name="width">Pixels; 0 is fine.</param>
        /// <param name="height">The same.</param>
        /// <param name="options">How; <c>default</c>: all that is seen, premultiplied.</param>
        /// <param name="rgba">
        /// Receives 32-bit numbers <c>[height][width][4]</c>, the upper row first: red, green, blue,
        /// opacity; an address of the GPU, as the two below.
        /// </param>
        /// <param name="depth">
        /// Zero, or receives <c>[height][width]</c>: how far away what is seen is.
        /// </param>
        /// <param name="sceneDepth">
        /// Zero, or <c>[height][width]</c>: where rays end at something else.
        /// </param>
        /// <param name="stream">As for <see cref="Radiance"/>.</param>
        /// <exception cref="ArgumentException">The camera's matrix has not 12 numbers.</exception>
        /// <inheritdoc cref="Radiance"/>
        public void Render(
            Camera camera, long width, long height, RenderOptions options, IntPtr rgba,
            IntPtr depth = default(IntPtr), IntPtr sceneDepth = default(IntPtr),
            IntPtr stream = default(IntPtr))
        {
            ulong w = Shape.Count(width, nameof(width)), h = Shape.Count(height, nameof(height));
            NativeCamera from = NativeCamera.Of(camera);
            var how = new NativeRenderOptions(options, (float*)sceneDepth);
            Native.Check(Native.drr_device_radiance_render(
                handle, &from, w, h, &how, (float*)rgba, (float*)depth, stream));
        }

        /// <summary>The same for rays of any kind.</summary>
        /// <param name="origins">Where rays begin; addresses of the GPU.</param>
        /// <param name="directions">
        /// As many; one of length 0 makes what its ray sees NaN.
        /// </param>
        /// <param name="options">How; not <see cref="DepthKind.AlongAxis"/>.</param>
        /// <param name="rgba">Receives <c>[count][4]</c>.</param>
        /// <param name="depth">Zero, or receives <c>[count]</c>.</param>
        /// <param name="sceneDepth">Zero, or <c>[count]</c>.</param>
        /// <param name="stream">As for <see cref="Radiance"/>.</param>
        /// <inheritdoc cref="Radiance"/>
        public void RenderRays(
            Points origins, Points directions, RenderOptions options, IntPtr rgba,
            IntPtr depth = default(IntPtr), IntPtr sceneDepth = default(IntPtr),
            IntPtr stream = default(IntPtr))
        {
            var none = new Values();
            Prepare(ref origins, ref none);
            Prepare(ref directions, ref none);
            var how = new NativeRenderOptions(options, (float*)sceneDepth);
            Native.Check(Native.drr_device_radiance_render_rays(
                handle, &origins, &directions, &how, (float*)rgba, (float*)depth, stream));
        }
    }
}
