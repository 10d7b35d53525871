#!/usr/bin/env python3
"""Render a scene from known cameras, for radiance fields to learn from: pictures with transparency
and transforms_{train,val,test}.json, in the form of the NeRF-synthetic scenes.

    python3 -m pip install vtk numpy pillow
    python3 tools/scene.py --models /usr/share/glmark2/models --out ~/.cache/drr/animals

The meshes are those of Debian's package glmark2-data (a rabbit, a horse, a cat), which
`apt-get download glmark2-data && dpkg -x glmark2-data_*.deb DIR` also unpacks without installing it.
They stand on a tiled disc, and shine, so that colours depend on the direction. Without --models, the
scene is made of VTK's own spheres, cones and tori.

    python3 tools/scene.py --models DIR --picture large.png --size 5000

makes one large picture of it instead, for neural images to learn.
"""

import argparse
import json
import math
import pathlib
import sys

import numpy
import PIL.Image
import vtkmodules.vtkInteractionStyle  # noqa: F401  (registers what windows need)
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonComputationalGeometry import vtkParametricTorus
from vtkmodules.vtkCommonCore import vtkObject
from vtkmodules.vtkCommonTransforms import vtkTransform
from vtkmodules.vtkFiltersCore import vtkAppendPolyData, vtkPolyDataNormals, vtkTriangleFilter
from vtkmodules.vtkFiltersGeneral import vtkTransformFilter
from vtkmodules.vtkFiltersSources import (
    vtkConeSource,
    vtkDiskSource,
    vtkParametricFunctionSource,
    vtkSphereSource,
)
from vtkmodules.vtkIOGeometry import vtkOBJReader
from vtkmodules.vtkIOImport import vtk3DSImporter
from vtkmodules.vtkRenderingCore import (
    vtkActor,
    vtkLight,
    vtkPolyDataMapper,
    vtkRenderer,
    vtkRenderWindow,
    vtkWindowToImageFilter,
)

DISTANCE = 4.0  # of the cameras from the middle of the scene, as in the NeRF-synthetic scenes
ANGLE = 0.6911112  # of the view, in radians; the same
SMOOTH = 2  # pixels are means of so many along both edges
FLOOR = -0.5  # height of the disc
FRONT = (0.3, -2.7, 1.1)  # from where the single picture is taken


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=pathlib.Path, help="folder of the scene")
    what.add_argument("--picture", type=pathlib.Path, help="one picture from the front, before white")
    parser.add_argument("--models", type=pathlib.Path, help="folder of glmark2's meshes")
    parser.add_argument("--size", type=int, default=400, help="edge of the pictures in pixels")
    parser.add_argument("--train", type=int, default=100, help="pictures to learn from")
    parser.add_argument("--test", type=int, default=20, help="pictures to judge by")
    arguments = parser.parse_args()
    vtkObject.GlobalWarningDisplayOff()
    stage = Stage(arguments.size)
    try:
        (animals if arguments.models else shapes)(stage, arguments.models)
    except OSError as error:
        sys.exit(f"scene.py: {error}")
    if arguments.picture:
        picture = stage.render(FRONT)
        white = PIL.Image.new("RGBA", picture.size, "white")
        PIL.Image.alpha_composite(white, picture).convert("RGB").save(arguments.picture)
        print(f"{arguments.picture}: {picture.width} x {picture.height} pixels")
        return
    random = numpy.random.default_rng(7)
    turns = numpy.linspace(0, 2 * math.pi, arguments.test, endpoint=False)
    splits = {
        "train": [upper_half(random) for _ in range(arguments.train)],
        "val": [upper_half(random) for _ in range(max(arguments.test // 4, 1))],
        "test": [(math.radians(30), turn) for turn in turns],
    }
    for name, places in splits.items():
        write(stage, arguments.out, name, places)
    print(f"{arguments.out}: {', '.join(f'{len(p)} {n}' for n, p in splits.items())}")


def upper_half(random):
    """Height and turn of a camera, evenly over the upper half of the sphere, a little below too."""
    return math.asin(random.uniform(-0.1, 0.98)), random.uniform(0, 2 * math.pi)


def write(stage, out, split, places):
    """Renders the pictures of a split."""
    (out / split).mkdir(parents=True, exist_ok=True)
    frames = []
    for number, (height, turn) in enumerate(places):
        position = DISTANCE * numpy.array(
            [
                math.cos(height) * math.cos(turn),
                math.cos(height) * math.sin(turn),
                math.sin(height),
            ]
        )
        name = f"{split}/r_{number}"
        stage.render(position).save(out / f"{name}.png")
        frames.append({"file_path": f"./{name}", "transform_matrix": matrix(position).tolist()})
        if sys.stderr.isatty():
            print(f"\r{split}: {number + 1}/{len(places)} ", end="", file=sys.stderr)
    transforms = {"camera_angle_x": ANGLE, "frames": frames}
    (out / f"transforms_{split}.json").write_text(json.dumps(transforms, indent=1))


def matrix(position):
    """Camera to world: x to the right, y up, it looks along -z at the middle; z is up in the world."""
    back = position / numpy.linalg.norm(position)
    right = numpy.cross([0.0, 0.0, 1.0], back)
    right /= numpy.linalg.norm(right)
    result = numpy.eye(4)
    result[:3, :4] = numpy.stack([right, numpy.cross(back, right), back, position], axis=1)
    return result


class Stage:
    """A window that nobody sees, with lights."""

    def __init__(self, size):
        self.size = size
        self.renderer = vtkRenderer()
        self.renderer.SetBackground(0, 0, 0)
        self.renderer.SetBackgroundAlpha(0)
        self.renderer.RemoveAllLights()
        self.renderer.AutomaticLightCreationOff()
        for place, strength in (((5, -3, 8), 0.9), ((-6, 4, 3), 0.45), ((0, 0, 9), 0.25)):
            light = vtkLight()
            light.SetLightTypeToSceneLight()
            light.SetPosition(*place)
            light.SetIntensity(strength)
            self.renderer.AddLight(light)
        self.window = vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetAlphaBitPlanes(1)
        self.window.SetMultiSamples(0)
        self.window.SetSize(size * SMOOTH, size * SMOOTH)
        self.window.AddRenderer(self.renderer)

    def add(self, mesh, colour, shine=0.0):
        """Adds a mesh of one colour; `None`: of those that its points have."""
        mapper = vtkPolyDataMapper()
        mapper.SetInputData(mesh)
        actor = vtkActor()
        actor.SetMapper(mapper)
        surface = actor.GetProperty()
        surface.SetInterpolationToPhong()
        surface.SetAmbient(0.25)
        surface.SetDiffuse(0.8)
        surface.SetSpecular(shine)
        surface.SetSpecularPower(35)
        if colour is not None:
            mapper.ScalarVisibilityOff()
            surface.SetColor(*colour)
        self.renderer.AddActor(actor)

    def render(self, position):
        """The picture from there."""
        camera = self.renderer.GetActiveCamera()
        camera.SetPosition(*position)
        camera.SetFocalPoint(0, 0, 0)
        camera.SetViewUp(0, 0, 1)
        camera.SetViewAngle(math.degrees(ANGLE))
        self.renderer.ResetCameraClippingRange()
        self.window.Render()
        grab = vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.SetInputBufferTypeToRGBA()
        grab.ReadFrontBufferOff()
        grab.Update()
        picture = vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars())
        edge = self.size * SMOOTH
        picture = picture.reshape(edge, edge, 4)[::-1].astype(numpy.float64) / 255
        # Opaque or not: a pixel's colour is the mean of what is opaque in it.
        picture[..., 3] = picture[..., 3] > 0
        picture[..., :3] *= picture[..., 3:]
        picture = picture.reshape(self.size, SMOOTH, self.size, SMOOTH, 4).mean(axis=(1, 3))
        picture[..., :3] /= numpy.maximum(picture[..., 3:], 1e-9)
        return PIL.Image.fromarray((picture * 255 + 0.5).astype(numpy.uint8), "RGBA")


def animals(stage, models):
    """The rabbit, the horse and the cat."""
    floor(stage)
    stage.add(place(read_obj(models / "bunny.obj"), 0.85, (-0.5, 0.35), 150), (0.85, 0.7, 0.5), 0.3)
    stage.add(place(read_3ds(models / "horse.3ds"), 1.2, (0.4, 0.35), 20), (0.5, 0.28, 0.16), 0.6)
    stage.add(place(read_3ds(models / "cat.3ds"), 0.75, (0.1, -0.6), -60), (0.35, 0.4, 0.5), 0.5)
    ball(stage, (-0.75, -0.4), 0.18, (0.8, 0.1, 0.12), 0.9)


def shapes(stage, _):
    """A torus, cones and balls."""
    floor(stage)
    ring = vtkParametricTorus()
    ring.SetRingRadius(0.6)
    ring.SetCrossSectionRadius(0.22)
    source = vtkParametricFunctionSource()
    source.SetParametricFunction(ring)
    source.SetUResolution(96)
    source.SetVResolution(48)
    source.Update()
    stage.add(place(source.GetOutput(), 1.2, (-0.1, 0.3), 0, upright=False), (0.2, 0.5, 0.75), 0.7)
    cone = vtkConeSource()
    cone.SetResolution(64)
    cone.SetDirection(0, 1, 0)
    cone.Update()
    stage.add(place(cone.GetOutput(), 0.9, (0.6, -0.4), 0), (0.9, 0.65, 0.15), 0.3)
    ball(stage, (-0.6, -0.5), 0.3, (0.8, 0.1, 0.12), 0.9)


def floor(stage):
    """The disc, tiled in two colours."""
    disc = vtkDiskSource()
    disc.SetInnerRadius(0)
    disc.SetOuterRadius(1.15)
    disc.SetRadialResolution(160)
    disc.SetCircumferentialResolution(480)
    disc.Update()
    mesh = disc.GetOutput()
    points = vtk_to_numpy(mesh.GetPoints().GetData())
    points[:, 2] = FLOOR
    odd = (numpy.floor(points[:, 0] * 4) + numpy.floor(points[:, 1] * 4)) % 2 > 0
    colours = numpy.where(odd[:, None], [225, 220, 205], [70, 95, 120]).astype(numpy.uint8)
    mesh.GetPointData().SetScalars(numpy_to_vtk(colours, deep=True))
    stage.add(mesh, None)


def ball(stage, at, radius, colour, shine):
    source = vtkSphereSource()
    source.SetThetaResolution(64)
    source.SetPhiResolution(64)
    source.Update()
    stage.add(place(source.GetOutput(), 2 * radius, at, 0), colour, shine)


def place(mesh, size, at, turn, upright=True):
    """Scales a mesh to its largest edge, turns it (its y is up) and lets it stand on the disc."""
    triangles = vtkTriangleFilter()
    triangles.SetInputData(mesh)
    normals = vtkPolyDataNormals()
    normals.SetInputConnection(triangles.GetOutputPort())
    normals.SplittingOff()
    normals.ConsistencyOn()
    transform = vtkTransform()
    transform.PostMultiply()
    if upright:
        transform.RotateX(90)
    transform.RotateZ(turn)
    move = vtkTransformFilter()
    move.SetInputConnection(normals.GetOutputPort())
    move.SetTransform(transform)
    move.Update()
    bounds = move.GetOutput().GetBounds()
    scale = size / max(bounds[1] - bounds[0], bounds[3] - bounds[2], bounds[5] - bounds[4])
    transform.Translate(
        -(bounds[0] + bounds[1]) / 2, -(bounds[2] + bounds[3]) / 2, -bounds[4]
    )
    transform.Scale(scale, scale, scale)
    transform.Translate(at[0], at[1], FLOOR)
    move.Update()
    return move.GetOutput()


def read_obj(path):
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}")
    reader = vtkOBJReader()
    reader.SetFileName(str(path))
    reader.Update()
    return reader.GetOutput()


def read_3ds(path):
    """All meshes of a 3D Studio file; its z is up, ours is y until it is turned."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}")
    importer = vtk3DSImporter()
    importer.SetFileName(str(path))
    importer.Update()
    meshes = vtkAppendPolyData()
    actors = importer.GetRenderer().GetActors()
    actors.InitTraversal()
    for _ in range(actors.GetNumberOfItems()):
        actor = actors.GetNextActor()
        actor.GetMapper().Update()
        meshes.AddInputData(actor.GetMapper().GetInput())
    meshes.Update()
    return meshes.GetOutput()


if __name__ == "__main__":
    main()
