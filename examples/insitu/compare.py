"""Compares a running simulation with its surrogate: for each step a line of numbers and a picture.

A Catalyst script of ParaView's. `input` has cells with the array `pressure`, and as field data the
file of the surrogate (`model`), that of the plugin (`plugin`), what the simulation calls undisturbed
(`at rest`) and its unit (`unit`), and a number for each of the surrogate's parameters but time.

Writes comparison.csv and comparison_<step>.png: truth, surrogate and error in a plane over the
ground, in the same colours. What fails is an exception, on all ranks.
"""

import math
import os

from paraview import catalyst, simple
from vtkmodules.vtkCommonCore import vtkDoubleArray
from vtkmodules.vtkParallelCore import vtkCommunicator, vtkMultiProcessController

HEIGHT = 1.25  # of the plane, in the middle of cells
SIZE = (1200, 460)
GAP = 1.1  # from one panel to the next, in widths of a panel

ranks = vtkMultiProcessController.GetGlobalController()
options = catalyst.Options()
cells = simple.TrivialProducer(registrationName="input")


def output(proxy):
    """What a filter gave on this rank."""
    return proxy.GetClientSideObject().GetOutputDataObject(0)


def given(name):
    array = output(cells).GetFieldData().GetAbstractArray(name)
    return array.GetValue(0) if array else None


def over_ranks(numbers, operation):
    mine, all_of_them = vtkDoubleArray(), vtkDoubleArray()
    for number in numbers:
        mine.InsertNextValue(number)
    all_of_them.SetNumberOfValues(len(numbers))
    ranks.AllReduce(mine, all_of_them, operation)
    return [all_of_them.GetValue(n) for n in range(len(numbers))]


class Comparison:
    """The pipeline, made when the first cells are there."""

    def __init__(self):
        if not os.path.isfile(given("plugin")):
            raise RuntimeError(f"there is no plugin {given('plugin')}: expected drr.so")
        simple.LoadPlugin(given("plugin"), remote=False, ns=vars(simple))
        if not os.path.isfile(given("model")):
            raise RuntimeError(f"there is no surrogate {given('model')}: expected a baked file")
        self.probe = simple.DRRProbe(Input=cells, FileName=given("model"), Association="Cells")
        self.probe.UpdatePipelineInformation()
        names = list(self.probe.GetProperty("ValueNames"))
        if not names:
            raise RuntimeError(f"{given('model')} is not a surrogate that can be read")
        self.name = names[0]
        self.range = list(self.probe.GetProperty("ValueRanges"))[:2]
        truth = simple.Calculator(
            Input=cells,
            AttributeType="Cell Data",
            ResultArrayName=self.name,
            Function=f"(pressure - {given('at rest')!r}) / {given('unit')!r}",
        )
        self.probe.Input = truth
        self.panels = Panels(self.probe, self.name, self.range)

    def parameters(self, time):
        names = list(self.probe.GetProperty("ParameterNames"))
        values = [time if name == "time" else given(name) for name in names]
        for name, value in zip(names, values):
            if value is None:
                raise RuntimeError(
                    f"the surrogate depends on {name}: the simulation does not tell what it is"
                )
        return values

    def measure(self, time):
        """Root mean square of the error, its peak signal-to-noise ratio, and over how many cells."""
        self.probe.Parameters = self.parameters(time)
        self.probe.UpdatePipeline(time)
        about = output(self.probe).GetFieldData()
        prefix = f"drr_{self.name}_error_"
        rms, count = (about.GetArray(prefix + what) for what in ("rms", "count"))
        is_missing = rms is None
        if over_ranks([is_missing], vtkCommunicator.MAX_OP)[0]:
            raise RuntimeError("the surrogate gave nothing")
        count = count.GetValue(0)
        square = rms.GetValue(0) ** 2 * count if count else 0
        square, count = over_ranks([square, count], vtkCommunicator.SUM_OP)
        if count == 0:
            bounds = self.probe.GetDataInformation().GetBounds()
            raise RuntimeError(
                f"no cell is in the surrogate's domain: the cells are in {bounds}, the domain is "
                f"{tuple(self.probe.GetProperty('Domain'))}"
            )
        rms = math.sqrt(square / count)
        psnr = 20 * math.log10((self.range[1] - self.range[0]) / rms) if rms > 0 else math.inf
        return rms, psnr, int(count)


class Panels:
    """Truth, surrogate and error side by side."""

    def __init__(self, probe, name, limits):
        domain = list(probe.GetProperty("Domain"))
        (left, right), (low, high) = domain[:2], domain[2:4]
        # NaN is outside of the domain, and within no limits.
        inside = simple.Threshold(
            Input=probe,
            Scalars=["CELLS", f"drr_{name}"],
            LowerThreshold=-1e30,
            UpperThreshold=1e30,
        )
        plane = simple.Slice(Input=inside, SliceType="Plane")
        plane.SliceType.Origin = (left, low, HEIGHT)
        plane.SliceType.Normal = (0, 0, 1)

        self.view = view = simple.CreateView("RenderView")
        view.ViewSize = SIZE
        view.UseColorPaletteForBackground = 0
        view.Background = (1, 1, 1)
        view.OrientationAxesVisibility = 0
        # Disturbances are small but where the explosion is; their sign matters.
        strongest = max(map(abs, limits)) / 2
        titles = {name: "truth", f"drr_{name}": "surrogate", f"drr_{name}_error": "error"}
        for n, (array, title) in enumerate(titles.items()):
            panel = simple.Transform(Input=plane)
            panel.Transform.Translate = (n * GAP * (right - left), 0, 0)
            display = simple.Show(panel, view)
            display.Ambient, display.Diffuse = 1, 0
            simple.ColorBy(display, ("CELLS", array))
            colours = simple.GetColorTransferFunction(array)
            colours.ApplyPreset("Cool to Warm (Extended)", True)
            colours.RescaleTransferFunction(-strongest, strongest)
            self.caption(title, (0.023 + n * 0.293, 0.06))
        bar = simple.GetScalarBar(colours, view)
        bar.Title, bar.ComponentTitle = name, ""
        bar.WindowLocation, bar.Position, bar.ScalarBarLength = "Any Location", (0.9, 0.2), 0.6
        bar.TitleColor = bar.LabelColor = (0, 0, 0)
        bar.Visibility = 1
        self.title = self.caption("", (0.023, 0.89))

        middle = (left + (right - left) * (0.69 + GAP), (low + high) / 2)
        view.CameraParallelProjection = 1
        view.CameraFocalPoint = (*middle, HEIGHT)
        view.CameraPosition = (*middle, HEIGHT + 50)
        view.CameraViewUp = (0, 1, 0)
        view.CameraParallelScale = 0.72 * (high - low)

    def caption(self, text, place):
        caption = simple.Text(Text=text)
        display = simple.Show(caption, self.view)
        display.WindowLocation, display.Position = "Any Location", place
        display.Color, display.FontSize = (0, 0, 0), 22
        return caption

    def save(self, path, title, time):
        self.title.Text = title
        self.view.ViewTime = time
        simple.SaveScreenshot(path, self.view, ImageResolution=SIZE)


comparison = None


def catalyst_execute(info):
    global comparison
    # Whether it can be made is the same on all ranks.
    if comparison is None:
        comparison = Comparison()
        if ranks.GetLocalProcessId() == 0:
            with open("comparison.csv", "w") as table:
                table.write("step,time,rms,psnr,cells\n")
    rms, psnr, count = comparison.measure(info.time)
    title = f"{info.time:.1f} ms: RMS error {rms:.4f}, PSNR {psnr:.1f} dB"
    comparison.panels.save(f"comparison_{info.timestep:04}.png", title, info.time)
    if ranks.GetLocalProcessId() == 0:
        print(f"step {info.timestep}, {title}", flush=True)
        with open("comparison.csv", "a") as table:
            table.write(f"{info.timestep},{info.time},{rms},{psnr},{count}\n")
