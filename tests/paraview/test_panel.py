"""What is coarse while a slider is dragged; traces and states of both kinds do the same again."""

import os
import shutil
import subprocess
import unittest
from pathlib import Path

import numpy as np
import support
from test_plugin import LOUD, Case, values

from paraview import servermanager, simple, smstate, smtrace

DRAG = os.environ.get("DRR_DRAG")
FOLDER = os.path.dirname(os.path.abspath(__file__))


def run(script, *show):
    """Runs a script in a ParaView of its own, and gives arrays: variable, name of an array."""
    path, out = support.path("run.py"), support.path("run.npz")
    lines = ["import os, sys, numpy", f"sys.path.insert(0, {FOLDER!r})", "import support", script]
    lines += ["from paraview import servermanager, simple", "found = {}"]
    for variable, name in show:
        lines += [
            f"{variable}.UpdatePipeline()",
            f"arrays = support.arrays(servermanager.Fetch({variable}))",
            f"found[{name!r}] = arrays[{name!r}]",
        ]
    lines += [f"numpy.savez({out!r}, **found)"]
    Path(path).write_text("\n".join(lines))
    done = subprocess.run(
        ["pvpython", "--force-offscreen-rendering", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout.decode()
    with np.load(out) as arrays:
        return dict(arrays)


def pipeline():
    """An image, and a probe of a sphere."""
    source = simple.DRRSurrogate(
        registrationName="source",
        FileName=support.EXPLOSION,
        Parameters=LOUD,
        Dimensions=(9, 8, 7),
    )
    sphere = simple.Sphere(registrationName="sphere", Center=(12, 9, 3), Radius=2)
    probe = simple.DRRProbe(
        registrationName="probe",
        Input=sphere,
        FileName=support.EXPLOSION,
        Parameters=(26, 4, 5),
        Gradient=1,
    )
    return source, probe


class Kept(Case):
    def expected(self, source, probe):
        return {
            "disturbance": values(source, "disturbance"),
            "drr_disturbance": values(probe, "drr_disturbance"),
            "drr_disturbance_gradient": values(probe, "drr_disturbance_gradient"),
        }

    SHOWN = (
        ("source", "disturbance"),
        ("probe", "drr_disturbance"),
        ("probe", "drr_disturbance_gradient"),
    )

    def same(self, found, expected):
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array, name)

    def test_a_trace_does_it_again(self):
        path = support.path("trace.py")
        script = (
            "from test_panel import pipeline, simple, smtrace\n"
            "smtrace.start_trace()\n"
            "simple.GetActiveViewOrCreate('RenderView')\n"
            "source, probe = pipeline()\n"
            f"open({path!r}, 'w').write(smtrace.stop_trace())"
        )
        expected = run(script, *self.SHOWN)
        trace = Path(path).read_text()
        self.assertIn("DRRProbe", trace)
        plugin = f"from paraview.simple import *\nLoadPlugin({support.PLUGIN!r}, ns=globals())\n"
        self.same(run(plugin + trace, *self.SHOWN), expected)

    def test_a_state_in_python(self):
        source, probe = pipeline()
        expected = self.expected(source, probe)
        simple.GetActiveViewOrCreate("RenderView")
        text = smstate.get_state()
        self.assertEqual(text.count("14.0, 2.5, 5.0"), 1)
        plugin = f"from paraview.simple import *\nLoadPlugin({support.PLUGIN!r}, ns=globals())\n"
        self.same(run(plugin + text, *self.SHOWN), expected)

    def test_a_state_in_xml(self):
        source, probe = pipeline()
        state = support.path("values.pvsm")
        simple.SaveState(state)
        script = (
            f"from paraview.simple import *\nLoadPlugin({support.PLUGIN!r}, ns=globals())\n"
            f"LoadState({state!r})\n"
            "source, probe = FindSource('source'), FindSource('probe')\n"
        )
        self.same(run(script, *self.SHOWN), self.expected(source, probe))


class Dragged(Case):
    def test_what_is_interactive_is_coarser(self):
        source = self.explosion((33, 33, 17))
        source.Interactive = 1
        expected = support.lattice(support.EXPLOSION, LOUD, (9, 9, 5))
        np.testing.assert_array_equal(values(source, "disturbance"), expected.ravel())
        source.InteractiveReduction = 8
        self.assertEqual(values(source, "disturbance").size, 5 * 5 * 3)
        source.Interactive = 0
        self.assertEqual(values(source, "disturbance").size, 33 * 33 * 17)

    @unittest.skipUnless(DRAG and shutil.which("paraview"), "the plugin that drags was not built")
    def test_a_slider_of_the_panel(self):
        out = Path(support.path("dragged"))
        environment = dict(
            os.environ,
            DRR_MODEL=support.EXPLOSION,
            DRR_DRAGGED=str(out),
            XDG_CONFIG_HOME=support.path("settings"),
        )
        script = os.path.join(FOLDER, "drag", "drag.py")
        done = subprocess.run(
            ["paraview", f"--script={script}"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
        )
        self.assertTrue(out.exists(), done.stdout.decode())
        said, trace = out.read_text().split("trace\n")
        whole, coarse = str(49 * 49 * 25), str(13 * 13 * 7)
        self.assertEqual(
            [line.split() for line in said.splitlines()],
            [
                ["before", "0", "18", whole],
                ["dragged", "1", "9", coarse],
                ["dragged", "1", "27", coarse],
                ["released", "0", "27", whole],
            ],
        )
        # The trace has where the slider was released, and nothing of the way there.
        self.assertIn(".Parameters = [27.0, 2.5, 3.0]", trace)
        self.assertNotIn("[9.0, 2.5, 3.0]", trace)
        self.assertNotIn("Interactive = 1", trace)


if __name__ == "__main__":
    unittest.main()
