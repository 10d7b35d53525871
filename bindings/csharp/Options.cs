using System.Runtime.InteropServices;

namespace Drr
{
    /// <summary>Where an open file's bytes live.</summary>
    public enum Storage : uint
    {
        /// <summary>
        /// Mapped and shared with other processes. The file must not be truncated or rewritten in
        /// place while it is open; replacing it by rename is fine.
        /// </summary>
        Mapped = 0,
        /// <summary>Read into private memory.</summary>
        Copied = 1,
        /// <summary>
        /// Read into private memory, in huge pages where the system has them to give.
        /// </summary>
        HugePages = 2,
    }

    /// <summary>Whether numbers are compared with their checksums at opening.</summary>
    public enum Checksums : uint
    {
        /// <summary>Read the whole file once; refuse it if a bit is wrong.</summary>
        Verify = 0,
        /// <summary>Trust the numbers: opening does not touch the grids.</summary>
        Skip = 1,
    }

    /// <summary>What coordinates, parameters and results are measured in.</summary>
    public enum Units : uint
    {
        /// <summary>The file's physical units.</summary>
        Physical = 0,
        /// <summary>
        /// Coordinates in [-1, 1], parameters in [0, 1], results before de-normalisation.
        /// </summary>
        Normalized = 1,
    }

    /// <summary>
    /// What a point or parameter outside its range gives. NaN always gives NaN.
    /// </summary>
    public enum Outside : uint
    {
        /// <summary>The value at the nearest point of the border.</summary>
        Clamp = 0,
        /// <summary>
        /// Vertex features outside are zero and fade out within one cell. For points only.
        /// </summary>
        Zeros = 1,
        /// <summary>NaN.</summary>
        Nan = 2,
        /// <summary><see cref="Status.OutsideDomain"/>; nothing is written.</summary>
        Error = 3,
    }

    /// <summary>How a file is opened; <c>default</c> has the defaults.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct OpenOptions
    {
        internal uint StructSize;
        /// <summary>Where the bytes live; ignored for files in memory.</summary>
        public Storage Storage;
        /// <summary>Whether the numbers are checked.</summary>
        public Checksums Checksums;
        /// <summary>
        /// Threads that a query may use: 0 or 1 for the caller's alone, more (at most 1024) for a
        /// private pool.
        /// </summary>
        public int Threads;
    }

    /// <summary>
    /// How queries are answered; <c>default</c> has the defaults: physical units, clamp outside.
    /// </summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct SamplerOptions
    {
        internal uint StructSize;
        /// <summary>Units of points, parameters and values.</summary>
        public Units Units;
        /// <summary>What points outside the domain give.</summary>
        public Outside Outside;
        /// <summary>
        /// What parameters outside their ranges give (not <see cref="Outside.Zeros"/>).
        /// </summary>
        public Outside OutsideParameters;
    }
}
