"""Write fields in every format that drr-train reads, each by the program that people write it with.

usage: write_fields.py FOLDER

FOLDER/manifest.json lists what was written: file, variable (null: the only one), shape, and a file
of little-endian float32 with the values that a reader has to give.
"""

import json
import sys
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import vtk
from PIL import Image
from vtk.util import numpy_support

FOLDER = Path(sys.argv[1])
SHAPE = (5, 6, 7)
# No two values are the same, and each fits into 8 bits.
INDEX = np.arange(210).reshape(SHAPE)
FIELD = INDEX.astype("f4") + np.float32(0.25)
VECTOR = np.stack([FIELD, 1000 - FIELD, FIELD**2], axis=-1)
manifest = []


def expect(file, variable, values, writer):
    """Note that `file` has `values`."""
    name = f"expected_{len(manifest)}.f32"
    values = np.asarray(values)
    values.astype("<f4").tofile(FOLDER / name)
    manifest.append(
        {
            "file": file,
            "variable": variable,
            "shape": list(values.shape),
            "values": name,
            "writer": writer,
        }
    )


def numpy_files():
    by = f"numpy {np.__version__}"
    for dtype in ["<f2", ">f4", "<f8", "i1", "<i2", ">i4", "<i8", "u1", ">u2", "<u4", "<u8"]:
        name = f"array_{np.dtype(dtype).name}.npy"
        np.save(FOLDER / name, INDEX.astype(dtype))
        expect(name, None, INDEX.astype(dtype), by)
    np.savez(FOLDER / "several.npz", energy=FIELD, velocity=VECTOR.astype(">f8"))
    expect("several.npz", "energy", FIELD, by)
    expect("several.npz", "velocity", VECTOR, by)
    np.savez_compressed(FOLDER / "one.npz", np.asfortranarray(FIELD))
    expect("one.npz", None, FIELD, by)


def vtk_image(arrays, cells=()):
    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(SHAPE))
    image.SetSpacing(0.5, 1, 2)
    for name, values in arrays:
        image.GetPointData().AddArray(vtk_array(name, values))
    for name, values in cells:
        image.GetCellData().AddArray(vtk_array(name, values))
    return image


def vtk_array(name, values):
    components = 1 if values.ndim == 3 else values.shape[-1]
    flat = np.ascontiguousarray(values).reshape(-1, components)
    array = numpy_support.numpy_to_vtk(flat if components > 1 else flat[:, 0], deep=True)
    array.SetName(name)
    return array


def vtk_files():
    by = "VTK " + vtk.vtkVersion.GetVTKVersion()
    cells = INDEX[:4, :5, :6].astype("i2") - 50
    image = vtk_image(
        [("energy", FIELD), ("wind speed", VECTOR.astype("f8"))], [("material", cells)]
    )
    energy = vtk_image([("energy", FIELD)])
    energy.GetPointData().SetActiveScalars("energy")

    for version in [42, 51]:
        for mode in ["ASCII", "Binary"]:
            for data, contents in [(image, "all"), (energy, "energy")]:
                name = f"{contents}_{mode}_{version}.vtk"
                writer = vtk.vtkStructuredPointsWriter()
                writer.SetFileName(str(FOLDER / name))
                writer.SetFileVersion(version)
                getattr(writer, f"SetFileTypeTo{mode}")()
                writer.SetInputData(data)
                assert writer.Write()
                if contents == "energy":
                    expect(name, None, FIELD, by)
                else:
                    expect(name, "energy", FIELD, by)
                    expect(name, "wind speed", VECTOR, by)
                    expect(name, "material", cells, by)

    for dtype in ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f8"]:
        name = f"types_{dtype}.vtk"
        writer = vtk.vtkStructuredPointsWriter()
        writer.SetFileName(str(FOLDER / name))
        writer.SetFileTypeToBinary()
        writer.SetInputData(vtk_image([("n", INDEX.astype(dtype))]))
        assert writer.Write()
        expect(name, None, INDEX.astype(dtype), by)
        name = f"types_{dtype}.vti"
        writer = vtk.vtkXMLImageDataWriter()
        writer.SetFileName(str(FOLDER / name))
        writer.SetInputData(vtk_image([("n", INDEX.astype(dtype))]))
        assert writer.Write()
        expect(name, None, INDEX.astype(dtype), by)

    for mode in ["Ascii", "Binary", "Appended"]:
        for compressor in ["None", "ZLib", "LZ4"]:
            for header in [32, 64]:
                for order in ["Little", "Big"]:
                    for raw in [False, True] if mode == "Appended" else [False]:
                        name = f"{mode}_{compressor}_{header}_{order}_{int(raw)}.vti"
                        writer = vtk.vtkXMLImageDataWriter()
                        writer.SetFileName(str(FOLDER / name))
                        getattr(writer, f"SetDataModeTo{mode}")()
                        getattr(writer, f"SetCompressorTypeTo{compressor}")()
                        getattr(writer, f"SetHeaderTypeToUInt{header}")()
                        getattr(writer, f"SetByteOrderTo{order}Endian")()
                        writer.SetEncodeAppendedData(not raw)
                        # Small, so that an array has several blocks and a last one that is not full.
                        writer.SetBlockSize(128)
                        writer.SetInputData(image)
                        assert writer.Write()
                        expect(name, "energy", FIELD, by)
                        expect(name, "wind speed", VECTOR, by)
                        expect(name, "material", cells, by)

    writer = vtk.vtkXMLImageDataWriter()
    writer.SetFileName(str(FOLDER / "refused_lzma.vti"))
    writer.SetCompressorTypeToLZMA()
    writer.SetInputData(energy)
    assert writer.Write()
    grid = vtk.vtkRectilinearGrid()
    grid.SetDimensions(2, 2, 2)
    writer = vtk.vtkRectilinearGridWriter()
    writer.SetFileName(str(FOLDER / "refused_grid.vtk"))
    writer.SetInputData(grid)
    assert writer.Write()


def netcdf_files():
    by = f"netCDF4 {netCDF4.__version__}, netCDF {netCDF4.__netcdf4libversion__}"
    kinds = {
        "NETCDF3_CLASSIC": {},
        "NETCDF3_64BIT_OFFSET": {},
        "NETCDF3_64BIT_DATA": {},
        "NETCDF4": {"zlib": True, "shuffle": True, "chunksizes": (1, 2, 3, 4), "fletcher32": True},
        "NETCDF4_CLASSIC": {"contiguous": False},
    }
    for kind, options in kinds.items():
        name = f"{kind}.nc"
        with netCDF4.Dataset(FOLDER / name, "w", format=kind) as file:
            file.createDimension("time", None)
            for axis, length in zip(["z", "lat", "lon"], SHAPE):
                file.createDimension(axis, length)
                file.createVariable(axis, "f8", (axis,))[:] = np.arange(length)
            axes = ("time", "z", "lat", "lon")
            file.createVariable("energy", "f4", axes, **options)[0] = FIELD
            file.variables["energy"].units = "J"
            packed = file.createVariable("heat", "i2", axes, fill_value=-1, **options)
            packed.scale_factor = 0.5
            packed.add_offset = 10.0
            packed[0] = np.ma.masked_equal(10 + 0.5 * INDEX, 12)
            file.createVariable("mass", "f8", axes)[0] = FIELD
        with_hole = 10 + 0.5 * INDEX
        with_hole[INDEX == 4] = np.nan
        expect(name, "energy", FIELD[np.newaxis], by)
        expect(name, "heat", with_hole[np.newaxis], by)
        expect(name, "mass", FIELD[np.newaxis], by)
    with netCDF4.Dataset(FOLDER / "group.nc", "w") as file:
        group = file.createGroup("run").createGroup("fields")
        for axis, length in zip(["z", "y", "x"], SHAPE):
            group.createDimension(axis, length)
        group.createVariable("energy", "f8", ("z", "y", "x"), endian="big")[:] = FIELD
    expect("group.nc", None, FIELD, by)
    expect("group.nc", "run/fields/energy", FIELD, by)
    expect("group.nc", "/run/fields/energy", FIELD, by)


def hdf5_files():
    by = f"h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}"
    for library in ["earliest", "latest"]:
        name = f"{library}.h5"
        with h5py.File(FOLDER / name, "w", libver=library) as file:
            file["fields/energy"] = FIELD
            file["fields/velocity"] = VECTOR.astype(">f8")
            options = {"chunks": (2, 3, 4), "compression": "gzip", "shuffle": True}
            file.create_dataset("packed/a", data=INDEX.astype("u2"), fletcher32=True, **options)
            file.create_dataset("packed/half", data=FIELD.astype("f2"), chunks=(5, 6, 7))
            file.create_dataset(
                "packed/growing", data=INDEX.astype(">i4"), maxshape=(None, None, 7), **options
            )
            file["names"] = np.array(["a", "b"], dtype=h5py.string_dtype())
            file["time"] = np.arange(3)
            file["again"] = h5py.SoftLink("/fields/energy")
            file["packed/up"] = file["/"]
        expect(name, "fields/energy", FIELD, by)
        expect(name, "/fields/velocity", VECTOR, by)
        expect(name, "packed/a", INDEX, by)
        expect(name, "packed/half", FIELD.astype("f2"), by)
        expect(name, "packed/growing", INDEX, by)
    with h5py.File(FOLDER / "one.hdf5", "w") as file:
        file["deep/er/energy"] = FIELD
        file["time"] = np.arange(3)
    expect("one.hdf5", None, FIELD, by)
    with h5py.File(FOLDER / "refused_huge.h5", "w") as file:
        file.create_dataset("energy", shape=(4000, 4000, 4000), dtype="u1", chunks=(9, 9, 9))
    with h5py.File(FOLDER / "refused_bfloat16.h5", "w") as file:
        kind = h5py.h5t.IEEE_F16LE.copy()
        kind.set_fields(15, 7, 8, 0, 7)
        kind.set_ebias(127)
        h5py.h5d.create(file.id, b"energy", kind, h5py.h5s.create_simple(SHAPE))


def pictures():
    import PIL

    by = f"Pillow {PIL.__version__}"
    flat = INDEX.reshape(14, 15)
    grey = Image.fromarray(flat.astype("u1"))
    colours = np.stack([flat, 255 - flat, flat // 2], axis=-1).astype("u1")
    rgb = Image.fromarray(colours)
    see_through = np.concatenate([colours, flat[..., None].astype("u1")], axis=-1)
    deep = (flat * 300).astype("u2")

    def keep(image, name, values, **options):
        image.save(FOLDER / name, **options)
        expect(name, None, values, by)

    keep(grey, "grey.png", flat)
    keep(rgb, "rgb.png", colours)
    keep(Image.fromarray(see_through), "rgba.png", see_through)
    keep(Image.fromarray(deep), "deep.png", deep)
    palette = rgb.quantize(16)
    keep(palette, "palette.png", np.asarray(palette.convert("RGB")))
    keep(grey, "grey.tif", flat)
    keep(rgb, "rgb.tiff", colours)
    keep(rgb, "rgb_lzw.tif", colours, compression="tiff_lzw")
    keep(Image.fromarray(deep), "deep.tif", deep, compression="tiff_adobe_deflate")
    floats = (flat * 0.5 - 7).astype("f4")
    keep(Image.fromarray(floats), "floats.tif", floats)
    keep(Image.fromarray(flat.astype("i4") - 90), "signed.tif", flat - 90)
    palette.save(FOLDER / "refused_palette.tif")
    # JPEG loses: what its own decoder gives is close to what any other gives.
    smooth = Image.fromarray(np.add.outer(np.arange(64) * 2, np.arange(64)).astype("u1"))
    smooth.save(FOLDER / "smooth.jpg", quality=95)
    expect("smooth.jpg", None, np.asarray(Image.open(FOLDER / "smooth.jpg")), by)




def scattered_points():
    """Points on a small patch of a large sphere: single precision would lose where they are."""
    radius = np.linspace(6.37e6, 6.37e6 + 40, 4)
    longitude = np.linspace(30, 30.0005, 5)
    latitude = np.linspace(-10, -9.9995, 3)
    sphere = np.stack(np.meshgrid(radius, longitude, latitude, indexing="ij"), axis=-1)
    r, lon, lat = sphere[..., 0], np.deg2rad(sphere[..., 1]), np.deg2rad(sphere[..., 2])
    places = np.stack(
        [r * np.cos(lat) * np.cos(lon), r * np.cos(lat) * np.sin(lon), r * np.sin(lat)], axis=-1
    )
    rows = places.reshape(-1, 3)
    low, high = rows.min(axis=0), rows.max(axis=0)
    (2 * (rows - low) / (high - low) - 1).astype("<f4").tofile(FOLDER / "points_expected.f32")
    np.save(FOLDER / "points.npy", np.asfortranarray(rows))
    np.save(FOLDER / "points_shaped.npy", places.astype(">f8"))
    np.savez_compressed(FOLDER / "points.npz", places=rows, other=np.arange(3))
    with netCDF4.Dataset(FOLDER / "points.nc", "w") as file:
        file.createDimension("cell", len(rows))
        file.createDimension("axis", 3)
        file.createVariable("places", "f8", ("cell", "axis"), zlib=True)[:] = rows
        file.createVariable("area", "f8", ("cell",))[:] = 1
    for name, values in [("points.h5", places), ("points_sphere.h5", sphere)]:
        with h5py.File(FOLDER / name, "w") as file:
            file.create_dataset("mesh/places", data=values, compression="gzip")
    for name, first in [("points_a.nc", 0), ("points_b.nc", 10)]:
        with netCDF4.Dataset(FOLDER / name, "w") as file:
            file.createDimension("cell", len(rows))
            file.createDimension("part", 2)
            wind = first + np.arange(2 * len(rows)).reshape(-1, 2)
            file.createVariable("wind", "f4", ("cell", "part"))[:] = wind


numpy_files()
scattered_points()
vtk_files()
netcdf_files()
hdf5_files()
pictures()
(FOLDER / "manifest.json").write_text(json.dumps(manifest, indent=1))
