"""What all ranks have of a surrogate together: PLUGIN MODEL PICTURE. Prints ranks, cells and range."""

import sys

from paraview import servermanager, simple

plugin, model, path = sys.argv[1:]
simple.LoadPlugin(plugin, ns=vars(simple))
ranks = servermanager.vtkProcessModule.GetProcessModule().GetNumberOfLocalPartitions()
source = simple.OpenDataFile(model)
source.Parameters = (14, 2.5, 5)
source.Dimensions = (48, 48, 24)
source.UpdatePipeline()
low, high = source.PointData["disturbance"].GetRange()
print("found", ranks, source.GetDataInformation().GetNumberOfCells(), low, high, flush=True)

view = simple.CreateView("RenderView")
view.OrientationAxesVisibility = 0
contour = simple.Contour(Input=source, ContourBy=["POINTS", "disturbance"])
contour.Isosurfaces = [-0.03, 0.05]
simple.ColorBy(simple.Show(contour, view), ("POINTS", "disturbance"))
simple.GetColorTransferFunction("disturbance").RescaleTransferFunction(-0.1, 0.2)
view.CameraPosition, view.CameraFocalPoint = (-8, -22, 16), (12, 9, 3)
view.CameraViewUp, view.CameraViewAngle = (0, 0, 1), 28
simple.SaveScreenshot(path, view, ImageResolution=(480, 360))
