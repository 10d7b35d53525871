"""In a graphical ParaView: opens DRR_MODEL with the plugin DRR_PLUGIN, then has DRR_DRAG drag."""

import os

from paraview import simple

simple.LoadPlugin(os.environ["DRR_PLUGIN"], ns=vars(simple))
source = simple.OpenDataFile(os.environ["DRR_MODEL"])
source.Dimensions = (49, 49, 25)
simple.SetActiveSource(source)
view = simple.GetActiveViewOrCreate("RenderView")
simple.Show(source, view)
simple.Render()
simple.LoadPlugin(os.environ["DRR_DRAG"])
