using System;

namespace Drr
{
    /// <summary>
    /// Models on a GPU in C#. The GPU is that of driver.cpp, whose memory is the host's. Argument: a
    /// model. Prints what fails.
    /// </summary>
    internal static unsafe class DeviceTest
    {
        private const int Count = 60;
        private static readonly double[] Own = { 0.4, 0.6 }, Others = { 0.1, 0.9 };

        private static int Main(string[] arguments)
        {
            Check(Library.DeviceCount == 1, "count");
            var random = new Random(1);
            var points = new double[Count * 3];
            for (int n = 0; n < points.Length; n++)
                points[n] = random.NextDouble();
            using (Model model = Model.Open(arguments[0]))
            using (DeviceModel there = model.ToDevice(0, DeviceKernel.Portable))
            using (DeviceSampler sampler = there.CreateSampler(Own))
            {
                Check(there.Device == "cuda:0 (Fake GPU)" && there.Kernel == "portable", "names");
                Check(there.Ordinal == 0 && there.MemoryBytes > 1000, "info");
                fixed (double* p = points)
                    Values(model, there, sampler, points, p);
                Lattices(model, sampler);
                Refusals(model, there, sampler);
            }
            using (Model model = Model.Open(arguments[0] + ".radiance"))
                Pictures(model);
            return 0;
        }

        private static void Pictures(Model model)
        {
            const int width = 17, height = 9, pixels = width * height;
            var camera = new Camera
            {
                ToWorld = new double[] { 1, 0, 0, 0, 0, 0, -1, -4, 0, 1, 0, 0 },
                FocalX = 20,
                FocalY = 20,
                CentreX = width / 2.0,
                CentreY = height / 2.0,
            };
            double[] middle = { 0.5 };
            float[] rgba = new float[4 * pixels], wanted = new float[4 * pixels];
            float[] depth = new float[pixels], scene = new float[pixels];
            var at = new float[3 * pixels];
            for (int n = 0; n < at.Length; n++)
                at[n] = n * 37 % 101 / 60.0f - 0.8f;
            for (int n = 0; n < pixels; n++)
                scene[n] = n % 2 == 0 ? 3.9f : 100;
            using (Sampler here = model.CreateSampler(middle))
            using (DeviceModel there = model.ToDevice(0))
            using (DeviceSampler sampler = there.CreateSampler(middle))
                fixed (float* c = rgba, d = depth, s = scene, a = at)
                {
                    here.Render(camera, width, height, new RenderOptions(), wanted, null, scene);
                    sampler.Render(
                        camera, width, height, new RenderOptions(), (IntPtr)c, (IntPtr)d,
                        (IntPtr)s);
                    Near(rgba, wanted, "a picture");
                    Check(wanted[4 * (height / 2 * width + width / 2) + 3] > 0.5, "something seen");
                    Points points = Drr.Points.Records(
                        Scalar.F32, (IntPtr)a, pixels, 3 * sizeof(float));
                    here.RenderRays(at, at, new RenderOptions(), wanted);
                    sampler.RenderRays(points, points, new RenderOptions(), (IntPtr)c);
                    Near(rgba, wanted, "rays");
                    here.Radiance(at, at, wanted);
                    sampler.Radiance(points, points, new Values { Data = (IntPtr)c });
                    Near(rgba, wanted, "colours");
                    Fails(Status.InvalidArgument, () => sampler.Render(
                        camera, width, height, new RenderOptions(), IntPtr.Zero));
                }
        }

        private static void Values(
            Model model, DeviceModel there, DeviceSampler sampler, double[] points, double* p)
        {
            Points at = Drr.Points.Records(Scalar.F64, (IntPtr)p, Count, 3 * sizeof(double));
            double[] found = new double[Count * 2], expected = new double[Count * 2];
            double[] position = new double[Count * 6], parameters = new double[Count * 4];
            double[] wantedPosition = new double[Count * 6], wantedParameters = new double[Count * 4];
            Sampler cpu = model.CreateSampler(Own);
            cpu.QueryGradient(points, expected, wantedPosition, wantedParameters);
            fixed (double* v = found, g = position, h = parameters)
            {
                var values = new Values { Scalar = Scalar.F64, Data = (IntPtr)v };
                sampler.Query(at, values);
                Near(found, expected, "values");
                Array.Clear(found, 0, found.Length);
                sampler.QueryHost(at, values);
                Near(found, expected, "of the host");
                Array.Clear(found, 0, found.Length);
                sampler.QueryGradient(
                    at, values, new Gradients { Scalar = Scalar.F64, Data = (IntPtr)g },
                    new Gradients { Scalar = Scalar.F64, Data = (IntPtr)h }, new IntPtr(1));
                Near(found, expected, "beside derivatives");
                Near(position, wantedPosition, "by position");
                Near(parameters, wantedParameters, "by parameters");
                sampler.SetParameters(Others);
                sampler.Query(at, values);
                model.CreateSampler(Others).Query(points, expected);
                Near(found, expected, "other parameters");
                var rows = new double[Count * 2];
                for (int n = 0; n < rows.Length; n++)
                    rows[n] = Others[n % 2];
                Array.Clear(found, 0, found.Length);
                fixed (double* r = rows)
                    there.Query(
                        new ParameterRows { Scalar = Scalar.F64, Count = Count, Data = (IntPtr)r },
                        at, values);
                Near(found, expected, "own parameters");
            }
        }

        private static void Lattices(Model model, DeviceSampler sampler)
        {
            Lattice lattice = model.DomainLattice(4, 3, 2);
            double[] found = new double[48], expected = new double[48];
            double[] slopes = new double[144], wanted = new double[144];
            model.CreateSampler(Others).QueryLatticeGradient(lattice, expected, wanted);
            fixed (double* v = found, g = slopes)
            {
                var values = new Values { Scalar = Scalar.F64, Data = (IntPtr)v };
                sampler.QueryLattice(lattice, values);
                Near(found, expected, "lattice");
                Array.Clear(found, 0, found.Length);
                sampler.QueryLatticeHost(lattice, values);
                Near(found, expected, "lattice of the host");
                sampler.QueryLatticeGradient(
                    lattice, null, new Gradients { Scalar = Scalar.F64, Data = (IntPtr)g });
                Near(slopes, wanted, "lattice gradient");
            }
        }

        private static void Refusals(Model model, DeviceModel there, DeviceSampler sampler)
        {
            Fails(Status.NoDevice, () => model.ToDevice(7));
            Fails(Status.InvalidArgument, () => sampler.SetParameters(new[] { 1.0 }));
            Fails(Status.InvalidArgument, () => sampler.Query(
                new Points { Count = 1 }, new Values()));
            Fails(Status.Unsupported, () => there.CreateSampler(
                Own, new SamplerOptions { Outside = Outside.Error }));
            bool thrown = false;
            try
            {
                model.ToDevice(-1);
            }
            catch (ArgumentOutOfRangeException)
            {
                thrown = true;
            }
            Check(thrown, "device -1");
            sampler.Dispose();
            try
            {
                sampler.SetParameters(Own);
                Check(false, "disposed");
            }
            catch (ObjectDisposedException)
            {
            }
        }

        private static void Fails(Status status, Action call)
        {
            try
            {
                call();
            }
            catch (DrrException error)
            {
                Check(error.Status == status, error.Message);
                return;
            }
            Check(false, "no " + status);
        }

        private static void Near(double[] found, double[] expected, string what)
        {
            for (int n = 0; n < expected.Length; n++)
                if (!(Math.Abs(found[n] - expected[n]) <= 1e-4 * (1 + Math.Abs(expected[n]))))
                    Check(false, what + ": " + found[n] + ", expected " + expected[n]);
        }

        private static void Near(float[] found, float[] expected, string what)
        {
            for (int n = 0; n < expected.Length; n++)
                if (!(Math.Abs(found[n] - expected[n]) <= 1e-3f * (1 + Math.Abs(expected[n]))))
                    Check(false, what + ": " + found[n] + ", expected " + expected[n]);
        }

        private static void Check(bool isRight, string what)
        {
            if (isRight)
                return;
            Console.Error.WriteLine("wrong: " + what);
            Environment.Exit(1);
        }
    }
}
