using System;
using System.IO;
using System.Linq;

namespace Drr
{
    // What is refused, and how.
    internal static unsafe partial class Test
    {
        private static void Errors()
        {
            string missing = Path.Combine(Path.GetDirectoryName(path), "fehlt-ß-無");
            Check(Refused(Status.Io, () => Model.Open(missing)).Contains("fehlt-ß-無"));
            var none = (DrrException)Catch(() => Model.Open(missing));
            Check(none.OsError == 2, "ENOENT is not " + none.OsError);
            var other = (DrrException)Catch(() => Model.Open(new byte[100]));
            Check(other.OsError == 0, "" + other.OsError);
            Throws<ArgumentNullException>(() => Model.Open((string)null));
            Throws<ArgumentException>(() => Model.Open(path + "\0x"));
            Check(Catch(() => Model.Open("\ud800")) is ArgumentException);
            Refused(Status.Format, () => Model.Open(new byte[100]));
            Refused(Status.Format, () => Model.Open(new byte[0]));
            byte[] damaged = File.ReadAllBytes(path);
            damaged[damaged.Length - 1] ^= 1;
            Refused(Status.Format, () => Model.Open(damaged));
            using (Model model = Model.Open(path))
            {
                string why = Refused(
                    Status.InvalidArgument, () => model.CreateSampler(new double[3]));
                Check(why.Contains("3") && why.Contains("2"), why);
                Refused(Status.InvalidArgument, () => model.CreateSampler(new double[0]));
                using (Sampler sampler = model.CreateSampler(At))
                    Refused(Status.InvalidArgument, () => sampler.Query(
                        new Points { Count = 1, Scalar = Scalar.F32 }, new Values()));
            }
        }

        private static Exception Catch(Action call)
        {
            try
            {
                call();
                return null;
            }
            catch (Exception error)
            {
                return error;
            }
        }

        private static void WrongArguments()
        {
            double[] a = new double[6], b = new double[4], none = null;
            using (Model model = Model.Open(path))
            using (Sampler sampler = model.CreateSampler(At))
            {
                Throws<ArgumentNullException>(() => model.CreateSampler(null));
                Throws<ArgumentNullException>(() => sampler.Query(none, b));
                Throws<ArgumentNullException>(() => sampler.Query(a, none));
                Throws<ArgumentNullException>(() => sampler.Query(b, b, none, new double[8]));
                Throws<ArgumentException>(() => sampler.Query(new double[5], b));
                Throws<ArgumentException>(() => sampler.Query(a, new double[5]));
                Throws<ArgumentException>(() => sampler.Query(a, a, new double[5], new double[12]));
                Throws<ArgumentException>(() => sampler.Query(b, b, b, new double[7]));
                Throws<ArgumentException>(() => sampler.QueryGradient(a, b, b));
                Throws<ArgumentException>(() => sampler.QueryGradient(a, null, null, new double[9]));
                Throws<ArgumentException>(() => model.Query(a, new double[3], b));
                Throws<ArgumentException>(() => model.QuerySets(a, new double[3], b));
                Throws<ArgumentException>(() => model.QuerySets(a, new double[4], b));
                Lattice lattice = model.DomainLattice(2);
                Throws<ArgumentException>(() => sampler.QueryLattice(lattice, new double[3]));
                lattice.DimsX = long.MaxValue;
                Throws<ArgumentException>(() => sampler.QueryLattice(lattice, b));
                lattice.DimsX = lattice.DimsY = -1;
                Throws<ArgumentOutOfRangeException>(() => sampler.QueryLattice(lattice, b));
                Throws<ArgumentOutOfRangeException>(() => sampler.Query(-1, (float*)0, (float*)0));
                double[] same = new double[12];
                Throws<ArgumentException>(() => sampler.Query(same, same, same, new double[12]));
                Throws<ArgumentException>(() => sampler.Query(
                    same, new double[12], new double[12], same));
                Throws<ArgumentException>(() =>
                {
                    fixed (double* p = same)
                        sampler.Query(2, p, p + 5);
                });
                Check(a.Concat(b).Concat(same).All(number => number == 0));
            }
        }
    }
}
