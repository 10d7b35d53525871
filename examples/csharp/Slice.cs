// A horizontal slice through the middle of a model, as a picture (PGM, grey) and on the console.
//
//     mcs -unsafe -out:slice.exe examples/csharp/Slice.cs bindings/csharp/*.cs
//     LD_LIBRARY_PATH=target/release mono slice.exe field.drr.safetensors slice.pgm time=1.3
//
// Parameters that are not named are in the middle of their range.

using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using Drr;

internal static class Slice
{
    private const int Size = 256;

    private static int Main(string[] arguments)
    {
        if (arguments.Length < 2)
        {
            Console.Error.WriteLine("usage: slice.exe MODEL PICTURE [NAME=NUMBER]...");
            return 2;
        }
        try
        {
            using (Model model = Model.Open(arguments[0]))
                Draw(model, arguments[1], arguments.Skip(2).ToArray());
            return 0;
        }
        catch (Exception error) when (error is DrrException || error is ArgumentException
            || error is IOException || error is FormatException)
        {
            Console.Error.WriteLine("slice: " + error.Message);
            return 1;
        }
    }

    private static void Draw(Model model, string picture, string[] given)
    {
        double[] parameters = model.Parameters.Select(p => (p.Min + p.Max) / 2).ToArray();
        foreach (string[] pair in given.Select(text => text.Split(new[] { '=' }, 2)))
        {
            int index = model.Parameters.ToList().FindIndex(p => p.Name == pair[0]);
            if (index < 0 || pair.Length < 2)
                throw new ArgumentException("not NAME=NUMBER of a parameter: " + pair[0]);
            parameters[index] = double.Parse(pair[1], CultureInfo.InvariantCulture);
        }

        int outputs = model.Values.Count;
        var values = new float[Size * Size * outputs];
        using (Sampler sampler = model.CreateSampler(parameters))
            sampler.QueryLattice(model.DomainLattice(Size, Size), values);

        float[] first = values.Where((_, i) => i % outputs == 0).ToArray();
        float low = first.Min(), high = first.Max();
        Console.WriteLine(FormattableString.Invariant(
            $"{model.Values[0].Name}: {low} to {high} {model.Values[0].Unit}").TrimEnd());

        byte[] head = Encoding.ASCII.GetBytes("P5 " + Size + " " + Size + " 255\n");
        float scale = high > low ? 255 / (high - low) : 0;
        byte[] grey = first.Select(value => (byte)((value - low) * scale)).ToArray();
        File.WriteAllBytes(picture, head.Concat(grey).ToArray());
    }
}
