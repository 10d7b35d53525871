"""What all ranks have of a surrogate together: PLUGIN MODEL. Prints ranks, cells and range."""

import sys

from paraview import servermanager, simple

plugin, model = sys.argv[1:]
simple.LoadPlugin(plugin, ns=vars(simple))
ranks = servermanager.vtkProcessModule.GetProcessModule().GetNumberOfLocalPartitions()
source = simple.OpenDataFile(model)
source.Parameters = (14, 2.5, 5)
source.Dimensions = (48, 48, 24)
source.UpdatePipeline()
low, high = source.PointData["disturbance"].GetRange()
print("found", ranks, source.GetDataInformation().GetNumberOfCells(), low, high, flush=True)
