using System;
using System.Runtime.InteropServices;

namespace Drr
{
    /// <summary>What is written for each pixel of a radiance field.</summary>
    public enum RenderOutput : uint
    {
        /// <summary>
        /// Colours multiplied by opacity, and opacity: to be put over something.
        /// </summary>
        Premultiplied = 0,
        /// <summary>Colours over the background, and 1.</summary>
        Opaque = 1,
    }

    /// <summary>How the distance of something from a camera is measured.</summary>
    public enum DepthKind : uint
    {
        /// <summary>Along the ray, from the camera.</summary>
        AlongRay = 0,
        /// <summary>Along the camera's axis: how far in front of the camera's plane.</summary>
        AlongAxis = 1,
    }

    /// <summary>
    /// A pinhole camera. Its own axes: x right, y up, and it looks along -z, as in OpenGL and NeRF
    /// (and as Unity's <c>Camera.cameraToWorldMatrix</c> has it).
    /// </summary>
    public struct Camera
    {
        /// <summary>
        /// From the camera's coordinates to the model's: three rows of four numbers, a rotation in
        /// the first three columns, the camera's position in the last.
        /// </summary>
        public double[] ToWorld;
        /// <summary>Focal length in pixels, horizontal; positive.</summary>
        public double FocalX;
        /// <summary>The same, vertical.</summary>
        public double FocalY;
        /// <summary>
        /// Where the camera's axis meets the picture, in pixels from its left border.
        /// </summary>
        public double CentreX;
        /// <summary>The same from its upper border.</summary>
        public double CentreY;
    }

    /// <summary>How a picture is made; <c>default</c> has the defaults.</summary>
    public struct RenderOptions
    {
        /// <summary>What is written.</summary>
        public RenderOutput Output;
        /// <summary>Of the scene's depths and of those that are written.</summary>
        public DepthKind Depth;
        /// <summary>
        /// Distance of samples along a ray; 0: the one that the model was trained with.
        /// </summary>
        public double Step;
        /// <summary>Where rays begin: a distance along the ray.</summary>
        public double RayBegin;
        /// <summary>Where they end; 0: never.</summary>
        public double RayEnd;
        /// <summary>A ray ends when less than this part of the light passes; 0: 1e-4.</summary>
        public double Stop;
        /// <summary>Red of what is behind, for opaque output.</summary>
        public double BackgroundRed;
        /// <summary>Green.</summary>
        public double BackgroundGreen;
        /// <summary>Blue.</summary>
        public double BackgroundBlue;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct NativeCamera
    {
        public uint StructSize;
        public uint Reserved;
        public fixed double ToWorld[12];
        public double FocalX;
        public double FocalY;
        public double CentreX;
        public double CentreY;

        public static NativeCamera Of(Camera camera)
        {
            Shape.Expect(Shape.Length(camera.ToWorld, nameof(camera)), 12, nameof(camera));
            var native = new NativeCamera
            {
                StructSize = (uint)sizeof(NativeCamera),
                FocalX = camera.FocalX,
                FocalY = camera.FocalY,
                CentreX = camera.CentreX,
                CentreY = camera.CentreY,
            };
            for (int i = 0; i < 12; i++)
                native.ToWorld[i] = camera.ToWorld[i];
            return native;
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct NativeRenderOptions
    {
        public uint StructSize;
        public RenderOutput Output;
        public DepthKind Depth;
        public uint Reserved;
        public double Step;
        public double RayBegin;
        public double RayEnd;
        public double Stop;
        public double BackgroundX;
        public double BackgroundY;
        public double BackgroundZ;
        public IntPtr SceneDepth;

        public NativeRenderOptions(RenderOptions options, float* sceneDepth)
        {
            StructSize = (uint)sizeof(NativeRenderOptions);
            Output = options.Output;
            Depth = options.Depth;
            Reserved = 0;
            Step = options.Step;
            RayBegin = options.RayBegin;
            RayEnd = options.RayEnd;
            Stop = options.Stop;
            BackgroundX = options.BackgroundRed;
            BackgroundY = options.BackgroundGreen;
            BackgroundZ = options.BackgroundBlue;
            SceneDepth = (IntPtr)sceneDepth;
        }
    }

    internal static unsafe partial class Native
    {
        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_radiance_query(
            SamplerHandle sampler, Points* points, Points* directions, Values* values);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_radiance_render(
            SamplerHandle sampler, NativeCamera* camera, ulong width, ulong height,
            NativeRenderOptions* options, float* rgba, float* depth);

        [DllImport(Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern Status drr_radiance_render_rays(
            SamplerHandle sampler, Points* origins, Points* directions,
            NativeRenderOptions* options, float* rgba, float* depth);
    }

    // Radiance fields.
    public sealed unsafe partial class Sampler
    {
        /// <summary>
        /// Densities and colours of a radiance field at points, each seen along a direction, all
        /// arrays without gaps.
        /// </summary>
        /// <param name="points"><c>[count][3]</c></param>
        /// <param name="directions">
        /// <c>[count][3]</c>, away from the eye, of any length but 0.
        /// </param>
        /// <param name="values">
        /// Receives <c>[count][4]</c>: density (0 outside the domain), red, green, blue.
        /// </param>
        /// <exception cref="ArgumentException">Lengths do not fit, or arrays overlap.</exception>
        /// <exception cref="DrrException">
        /// <see cref="Status.InvalidArgument"/>: the model is no radiance field, or a direction is
        /// zero; nothing is written then.
        /// </exception>
        /// <exception cref="ObjectDisposedException">The sampler was disposed.</exception>
        public void Radiance(float[] points, float[] directions, float[] values)
        {
            long count = RayRows(points, directions);
            Shape.Expect(Shape.Length(values, nameof(values)), 4 * count, nameof(values));
            if (ReferenceEquals(points, values) || ReferenceEquals(directions, values))
                throw Shape.Overlap();
            fixed (float* p = points, d = directions, v = values)
            {
                Points from = Packed(p, count), along = Packed(d, count);
                var to = new Values { StructSize = (uint)sizeof(Values), Data = (IntPtr)v };
                Native.Check(Native.drr_radiance_query(handle, &from, &along, &to));
            }
        }

        /// <summary>A picture of a radiance field as a camera sees it.</summary>
        /// <param name="camera">Where it is seen from.</param>
        /// <param name="width">Pixels; 0 is fine.</param>
        /// <param name="height">The same.</param>
        /// <param name="options">How; <c>default</c>: all that is seen, premultiplied.</param>
        /// <param name="rgba">
        /// Receives <c>[height][width][4]</c>, the upper row first: red, green, blue, opacity.
        /// </param>
        /// <param name="depth">
        /// Null, or receives <c>[height][width]</c>: how far away what is seen is; where nothing
        /// is, where the ray ends.
        /// </param>
        /// <param name="sceneDepth">
        /// Null, or <c>[height][width]</c>: where rays end at something else.
        /// </param>
        /// <inheritdoc cref="Radiance(float[], float[], float[])"/>
        public void Render(
            Camera camera, long width, long height, RenderOptions options, float[] rgba,
            float[] depth = null, float[] sceneDepth = null)
        {
            ulong w = Shape.Count(width, nameof(width)), h = Shape.Count(height, nameof(height));
            NativeCamera from = NativeCamera.Of(camera);
            ExpectPicture(checked(width * height), rgba, depth, sceneDepth);
            fixed (float* c = rgba, d = depth, s = sceneDepth)
            {
                var how = new NativeRenderOptions(options, s);
                Native.Check(Native.drr_radiance_render(handle, &from, w, h, &how, c, d));
            }
        }

        /// <summary>The same for rays of any kind.</summary>
        /// <param name="origins"><c>[count][3]</c></param>
        /// <param name="directions"><c>[count][3]</c>, of any length but 0.</param>
        /// <param name="options">How; not <see cref="DepthKind.AlongAxis"/>.</param>
        /// <param name="rgba">Receives <c>[count][4]</c>.</param>
        /// <param name="depth">Null, or receives <c>[count]</c>.</param>
        /// <param name="sceneDepth">Null, or <c>[count]</c>.</param>
        /// <inheritdoc cref="Radiance(float[], float[], float[])"/>
        public void RenderRays(
            float[] origins, float[] directions, RenderOptions options, float[] rgba,
            float[] depth = null, float[] sceneDepth = null)
        {
            long count = RayRows(origins, directions);
            ExpectPicture(count, rgba, depth, sceneDepth);
            if (ReferenceEquals(origins, rgba) || ReferenceEquals(directions, rgba)
                || (depth != null && (ReferenceEquals(origins, depth)
                    || ReferenceEquals(directions, depth))))
                throw Shape.Overlap();
            fixed (float* o = origins, d = directions, c = rgba, z = depth, s = sceneDepth)
            {
                Points from = Packed(o, count), along = Packed(d, count);
                var how = new NativeRenderOptions(options, s);
                Native.Check(Native.drr_radiance_render_rays(handle, &from, &along, &how, c, z));
            }
        }

        private static long RayRows(Array points, Array directions)
        {
            long count = Shape.Rows(Shape.Length(points, nameof(points)), 3, nameof(points));
            long length = Shape.Length(directions, nameof(directions));
            Shape.Expect(length, 3 * count, nameof(directions));
            return count;
        }

        private static void ExpectPicture(
            long count, float[] rgba, float[] depth, float[] sceneDepth)
        {
            Shape.Expect(Shape.Length(rgba, nameof(rgba)), checked(4 * count), nameof(rgba));
            Shape.ExpectOrNull(depth, count, nameof(depth));
            Shape.ExpectOrNull(sceneDepth, count, nameof(sceneDepth));
            if (ReferenceEquals(rgba, sceneDepth) || ReferenceEquals(rgba, depth)
                || (depth != null && ReferenceEquals(depth, sceneDepth)))
                throw Shape.Overlap();
        }

        private static Points Packed(float* first, long count)
        {
            Points points = Points.Records(Scalar.F32, (IntPtr)first, count, 3 * sizeof(float));
            points.StructSize = (uint)sizeof(Points);
            return points;
        }
    }
}
