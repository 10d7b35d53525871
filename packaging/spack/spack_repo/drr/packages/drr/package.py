from spack_repo.builtin.build_systems.generic import Package

from spack.package import *


class Drr(Package):
    """Query neural-field surrogates of simulation ensembles in situ, from C, C++ and Fortran:
    the library libdrr, without the trainer and the Python package."""

    license("MIT")

    # Built from a checkout that is named by `spack develop`; see docs/install.md.
    version("0.1.0")

    depends_on("c", type="build")
    depends_on("gmake", type="build")
    depends_on("python@3.7:", type="build")
    depends_on("rust@1.89:", type="build")

    conflicts("platform=windows", msg="make install knows Linux and macOS")

    sanity_check_is_file = [
        join_path("include", "drr.h"),
        join_path("include", "drr.hpp"),
        join_path("lib", "libdrr.a"),
        join_path("lib", "pkgconfig", "drr.pc"),
        join_path("lib", "cmake", "drr", "drrConfig.cmake"),
        join_path("share", "drr", "drr.f90"),
        join_path("share", "drr", "drr_cuda.f90"),
    ]

    def install(self, spec, prefix):
        make("install", f"PREFIX={prefix}", extra_env={"CARGO_BUILD_JOBS": str(make_jobs)})
