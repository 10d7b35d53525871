"""The PTX in the repository is what its sources give, and no kernel spills registers."""

import unittest

import ptx
from fetch import Problem
from setup import cache


class Kernels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.tools = ptx.provide(cache() / "tools" / f"nvrtc-{ptx.VERSION}")
        except Problem as problem:
            raise unittest.SkipTest(str(problem)) from None

    def test_ptx_is_that_of_the_sources(self):
        compiler = ptx.Compiler(self.tools)
        for source, oldest, _ in ptx.KERNELS:
            committed = (ptx.OUTPUT / source).with_suffix(".ptx").read_text()
            same = committed == compiler.ptx(ptx.SOURCES / source, oldest)
            self.assertTrue(same, f"{source} was changed: run tools/ptx.py")

    def test_nothing_spills(self):
        for source, _, architectures in ptx.KERNELS:
            target = (ptx.OUTPUT / source).with_suffix(".ptx")
            declared = (ptx.SOURCES / source).read_text().count("DRR_KERNEL drr_")
            self.assertGreater(declared, 0)
            for architecture in architectures:
                kernels = list(ptx.assemble(self.tools, target, architecture))
                self.assertEqual(len(kernels), declared, f"{source} for sm_{architecture}")

    def test_a_spill_is_noticed(self):
        """ptxas is told to do with fewer registers than the kernel needs."""
        target = (ptx.OUTPUT / ptx.KERNELS[0][0]).with_suffix(".ptx")
        with self.assertRaisesRegex(Problem, "spills"):
            list(ptx.assemble(self.tools, target, 80, "--maxrregcount=16"))


if __name__ == "__main__":
    unittest.main()
