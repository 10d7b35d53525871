using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace Drr
{
    // What the binding says twice, compared with the C ABI.
    internal static unsafe partial class Test
    {
        /// <summary>Compares numbers that have names with the header.</summary>
        private static void Enums(string header)
        {
            string text = File.ReadAllText(header);
            var numbers = Regex.Matches(text, @"^ +(DRR_\w+) = (\d+),", RegexOptions.Multiline)
                .Cast<Match>()
                .ToDictionary(m => m.Groups[1].Value, m => uint.Parse(m.Groups[2].Value));
            var types = new Dictionary<Type, string>
            {
                { typeof(Status), "DRR_ERROR_" },
                { typeof(Scalar), "DRR_" },
                { typeof(ValueTransform), "DRR_TRANSFORM_" },
                { typeof(Storage), "DRR_STORAGE_" },
                { typeof(Checksums), "DRR_CHECKSUMS_" },
                { typeof(Units), "DRR_UNITS_" },
                { typeof(Outside), "DRR_OUTSIDE_" },
                { typeof(RenderOutput), "DRR_RADIANCE_" },
                { typeof(DepthKind), "DRR_DEPTH_" },
                { typeof(LogLevel), "DRR_LOG_" },
                { typeof(DeviceKernel), "DRR_DEVICE_KERNEL_" },
            };
            int seen = 0;
            foreach (KeyValuePair<Type, string> type in types)
                foreach (object value in Enum.GetValues(type.Key))
                {
                    string words = Regex.Replace(value.ToString(), "(?<=[a-z])(?=[A-Z])", "_");
                    bool ok = value.Equals(Status.Ok);
                    string name = (ok ? "DRR_" : type.Value) + words.ToUpperInvariant();
                    Check(numbers.ContainsKey(name), name + " is not in the header");
                    Check(numbers[name] == (uint)value, name + " is " + numbers[name]);
                    if (value is Status)
                        Check(Library.StatusName((Status)value) == name, name);
                    seen++;
                }
            Check(seen == numbers.Count, seen + " of " + numbers.Count);
            Check(Library.StatusName((Status)1234) == "unknown status");
            Check(text.Contains("#define DRR_STRIDE_SAME INT64_MIN") && Stride.Same == long.MinValue);
        }

        /// <summary>Every function of the library is bound, or is not for a reason.</summary>
        private static void Symbols(string list)
        {
            var unbound = new Dictionary<string, string>
            {
                { "drr_model_query_f32", "drr_model_query takes the options too" },
                { "drr_model_query_f64", "drr_model_query takes the options too" },
            };
            string[] exported = File.ReadAllLines(list);
            MethodInfo[] bound = typeof(Native)
                .GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
                .Where(m => (m.Attributes & MethodAttributes.PinvokeImpl) != 0).ToArray();
            string[] names = bound.Select(m => m.Name).Concat(unbound.Keys)
                .OrderBy(name => name, StringComparer.Ordinal).ToArray();
            Check(
                names.SequenceEqual(exported),
                "not bound: " + string.Join(" ", exported.Except(names))
                    + "; not exported: " + string.Join(" ", names.Except(exported)));
            foreach (MethodInfo method in bound)
            {
                // Finds the function in the library.
                Marshal.Prelink(method);
                var import = method.GetCustomAttribute<DllImportAttribute>();
                Check(import.CallingConvention == CallingConvention.Cdecl, method.Name);
                Check(import.Value == "drr" && import.PreserveSig, method.Name);
            }
        }

        /// <summary>Code that is compiled ahead of time has nothing else to be called by.</summary>
        private static void Callbacks()
        {
            const BindingFlags all =
                BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic;
            MethodInfo[] marked = typeof(Native).Assembly.GetTypes()
                .SelectMany(type => type.GetMethods(all))
                .Where(m => m.GetCustomAttributes(false)
                    .Any(a => a.GetType().Name == "MonoPInvokeCallbackAttribute"))
                .ToArray();
            Check(marked.Length == 1 && marked[0].Name == "Forward");
            // The delegate that the library has is of that method, and is held by a field.
            object held = typeof(Log).GetFields(all)
                .Where(f => f.FieldType == typeof(Log.Callback) && f.IsInitOnly)
                .Select(f => f.GetValue(null)).Single();
            Check(((Delegate)held).Method == marked[0] && ((Delegate)held).Target == null);
            var convention = typeof(Log.Callback)
                .GetCustomAttribute<UnmanagedFunctionPointerAttribute>();
            Check(convention.CallingConvention == CallingConvention.Cdecl);
        }

        private static void Layouts(string list)
        {
            var types = new Dictionary<string, Type>
            {
                { "drr_open_options", typeof(OpenOptions) },
                { "drr_model_info", typeof(ModelInfo) },
                { "drr_range_info", typeof(NativeRange) },
                { "drr_sampler_options", typeof(SamplerOptions) },
                { "drr_points", typeof(Points) },
                { "drr_values", typeof(Values) },
                { "drr_lattice", typeof(Lattice) },
                { "drr_gradients", typeof(Gradients) },
                { "drr_parameters", typeof(ParameterRows) },
                { "drr_camera", typeof(NativeCamera) },
                { "drr_radiance_options", typeof(NativeRenderOptions) },
                { "drr_device_options", typeof(NativeDeviceOptions) },
                { "drr_device_info", typeof(NativeDeviceInfo) },
            };
            const BindingFlags all =
                BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
            Type type = null;
            int fields = 0, seen = 0;
            foreach (string line in File.ReadAllLines(list))
            {
                string[] words = line.Split(new[] { ' ' }, StringSplitOptions.RemoveEmptyEntries);
                if (words.Length == 2)
                {
                    Check(type == null || type.GetFields(all).Length == fields, type + " is longer");
                    type = types[words[0]];
                    fields = 0;
                    seen++;
                    Check(Marshal.SizeOf(type) == int.Parse(words[1]), line);
                    continue;
                }
                // An array in C is a field for each of x, y, z.
                string name = string.Concat(
                    words[2].Split('_').Select(word => char.ToUpper(word[0]) + word.Substring(1)));
                int offset = int.Parse(words[0]), size = int.Parse(words[1]);
                string[] axes = size == 24 ? new[] { "X", "Y", "Z" } : new[] { "" };
                for (int i = 0; i < axes.Length; i++, fields++)
                {
                    var field = type.GetField(name + axes[i], all);
                    Check(field != null, type + " has no " + name + axes[i]);
                    int at = (int)Marshal.OffsetOf(type, field.Name);
                    Check(at == offset + i * 8, type + "." + field.Name + " is at " + at);
                    Type number = field.FieldType;
                    number = number.IsEnum ? Enum.GetUnderlyingType(number) : number;
                    Check(Marshal.SizeOf(number) == size / axes.Length, type + "." + field.Name);
                }
            }
            Check(seen == types.Count && type.GetFields(all).Length == fields, "structs are missing");
            // As C# itself sees them, not only its marshaller.
            Check(sizeof(Points) == 64 && sizeof(Lattice) == 80 && sizeof(ModelInfo) == 56);
            Check(sizeof(Values) == 56 && sizeof(Gradients) == 64 && sizeof(ParameterRows) == 40);
        }
    }
}
