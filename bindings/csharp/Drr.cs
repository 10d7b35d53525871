using System;

namespace Drr
{
    /// <summary>The loaded library.</summary>
    public static class Library
    {
        /// <summary>Version of the loaded library, <c>MAJOR.MINOR.PATCH</c>.</summary>
        /// <exception cref="DllNotFoundException">The library is not where the runtime looks for
        /// it; see the README.</exception>
        public static string Version => Native.Text(Native.drr_version());

        /// <summary>Number of GPUs that NVIDIA's driver shows; 0 without a driver.</summary>
        /// <exception cref="DrrException">
        /// <see cref="Status.Device"/>: there is a driver that does not work.
        /// </exception>
        public static int DeviceCount
        {
            get
            {
                uint count;
                Native.Check(Native.drr_device_count(out count));
                return (int)count;
            }
        }

        /// <summary>Name of a status in C, for instance <c>DRR_ERROR_IO</c>.</summary>
        /// <param name="status">Any number; <c>unknown status</c> for those that are none.</param>
        public static string StatusName(Status status)
        {
            return Native.Text(Native.drr_status_name(status));
        }
    }

    /// <summary>
    /// How the values of a field were spread for training between their smallest and largest.
    /// </summary>
    public enum ValueTransform : uint
    {
        /// <summary>Evenly: errors are alike everywhere.</summary>
        Linear = 0,
        /// <summary>By their logarithms: relative errors are alike everywhere.</summary>
        Log = 1,
    }

    /// <summary>One axis, parameter or value of a model. Immutable, outlives the model.</summary>
    public sealed class RangeInfo
    {
        internal RangeInfo(NativeRange range)
        {
            Name = Native.Text(range.Name);
            Unit = Native.Text(range.Unit);
            Min = range.Min;
            Max = range.Max;
            Transform = range.Transform;
        }

        /// <summary>Name, for instance <c>x</c>.</summary>
        public string Name { get; }

        /// <summary>Unit, empty if none.</summary>
        public string Unit { get; }

        /// <summary>
        /// Smallest physical value: first vertex of an axis, lower end of a parameter, smallest
        /// training value.
        /// </summary>
        public double Min { get; }

        /// <summary>Largest physical value.</summary>
        public double Max { get; }

        /// <summary>How values were spread for training; linear for axes and parameters.</summary>
        public ValueTransform Transform { get; }

        /// <summary>For instance <c>x [cm] 0 to 10</c>.</summary>
        public override string ToString()
        {
            string unit = Unit.Length > 0 ? " [" + Unit + "]" : "";
            return FormattableString.Invariant($"{Name}{unit} {Min} to {Max}");
        }
    }
}
