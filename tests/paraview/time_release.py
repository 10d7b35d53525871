"""How long a new picture takes after parameters changed, by `tests/paraview/run.sh --time`.

A surrogate of 128 x 128 x 128 points with two contours, drawn by software. Prints medians of some
changes: the queries, the rest of the reader's update, contours and rendering; then the same of the
coarse images that are shown while a slider is dragged.
"""

import statistics
import time

from support import EXPLOSION, PLUGIN

from paraview import simple

CHANGES = 7

simple.LoadPlugin(PLUGIN, ns=vars(simple))
surrogate = simple.OpenDataFile(EXPLOSION)
surrogate.Dimensions = (128, 128, 128)
view = simple.CreateView("RenderView")
view.ViewSize = (800, 600)
contour = simple.Contour(
    Input=surrogate, ContourBy=["POINTS", "disturbance"], Isosurfaces=[-0.03, 0.05]
)
simple.Show(contour, view)

names = ("queries", "rest of the reader", "contours and rendering", "in all")
for title, interactive in (("released", 0), ("dragged", 1)):
    surrogate.Interactive = interactive
    rows = []
    for change in range(CHANGES + 1):
        surrogate.Parameters = (14 + change, 2.5, 5)
        begin = time.perf_counter()
        surrogate.UpdatePipeline()
        updated = time.perf_counter()
        simple.Render(view)
        end = time.perf_counter()
        surrogate.SMProxy.UpdatePropertyInformation()
        query = surrogate.GetProperty("QuerySeconds")[0]
        rows.append((query, updated - begin - query, end - updated, end - begin))
    print(title)
    # The first change also opens the window.
    for name, seconds in zip(names, zip(*rows[1:])):
        low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
        print(f"  {name:24} {middle:6.3f} s   ({low:.3f} to {high:.3f})")
