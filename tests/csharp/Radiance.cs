using System;

namespace Drr
{
    // Radiance fields.
    internal static unsafe partial class Test
    {
        private const int Width = 9, Height = 7, Pixels = Width * Height;

        private static Camera Before()
        {
            return new Camera
            {
                // From (0, -4, 0), along y.
                ToWorld = new double[] { 1, 0, 0, 0, 0, 0, -1, -4, 0, 1, 0, 0 },
                FocalX = 12,
                FocalY = 12,
                CentreX = 4.5,
                CentreY = 3.5,
            };
        }

        private static void RadianceFields()
        {
            Camera camera = Before();
            float[] rgba = new float[4 * Pixels], depth = new float[Pixels];
            float[] again = new float[4 * Pixels], depths = new float[Pixels];
            using (Model model = Model.Open(path + ".radiance"))
            using (Sampler sampler = model.CreateSampler(new[] { 0.5 }))
            {
                Check(model.IsRadiance);
                sampler.Render(camera, Width, Height, default(RenderOptions), rgba, depth);
                Check(rgba[4 * (Pixels / 2) + 3] > 0.9f && depth[Pixels / 2] > 3 && rgba[3] == 0);

                float[] from = new float[3 * Pixels], along = new float[3 * Pixels];
                for (int i = 0; i < Pixels; i++)
                {
                    from[3 * i + 1] = -4;
                    along[3 * i] = (i % Width - 4) / 12f;
                    along[3 * i + 1] = 1;
                    along[3 * i + 2] = -(i / Width - 3) / 12f;
                }
                sampler.RenderRays(from, along, default(RenderOptions), again, depths);
                for (int i = 0; i < again.Length; i++)
                    Check(Math.Abs(again[i] - rgba[i]) < 1e-4);

                var options = new RenderOptions
                {
                    Output = RenderOutput.Opaque, Depth = DepthKind.AlongAxis, BackgroundRed = 0.25,
                };
                var wall = new float[Pixels];
                for (int i = 0; i < Pixels; i++)
                    wall[i] = 2.5f;
                sampler.Render(camera, Width, Height, options, again, depths, wall);
                Check(again[0] == 0.25f && again[3] == 1 && depths[Pixels / 2] == 2.5f);

                var values = new float[8];
                sampler.Radiance(
                    new float[] { 0, 0, 0, 2, 0, 0 }, new float[] { 0, 0, -1, 0, 0, -1 }, values);
                Check(values[0] > 1 && values[1] > 0 && values[4] == 0);
                RefusedPictures(sampler, camera, rgba, options);
            }
            using (Model model = Model.Open(path))
            using (Sampler sampler = model.CreateSampler(At))
            {
                Check(!model.IsRadiance);
                Refused(
                    Status.InvalidArgument,
                    () => sampler.Render(camera, Width, Height, default(RenderOptions), rgba));
            }
        }

        private static void RefusedPictures(
            Sampler sampler, Camera camera, float[] rgba, RenderOptions options)
        {
            float[] six = { 0, 0, 0, 0, 0, 0 }, eight = new float[8];
            Throws<ArgumentException>(
                () => sampler.Render(camera, Width, Height + 1, options, rgba));
            Throws<ArgumentException>(
                () => sampler.Render(camera, Width, Height, options, rgba, new float[5]));
            Throws<ArgumentException>(
                () => sampler.Render(camera, Width, Height, options, rgba, null, new float[5]));
            Throws<ArgumentException>(() => sampler.RenderRays(six, new float[3], options, eight));
            Throws<ArgumentException>(() => sampler.Radiance(six, six, six));
            Throws<ArgumentOutOfRangeException>(
                () => sampler.Render(camera, -1, Height, options, rgba));
            Refused(Status.InvalidArgument, () => sampler.Radiance(six, six, eight));
            Refused(Status.InvalidArgument, () => sampler.RenderRays(six, six, options, eight));
            camera.FocalX = 0;
            Refused(
                Status.InvalidArgument,
                () => sampler.Render(camera, Width, Height, options, rgba));
            camera.ToWorld = null;
            Throws<ArgumentNullException>(
                () => sampler.Render(camera, Width, Height, options, rgba));
        }
    }
}
