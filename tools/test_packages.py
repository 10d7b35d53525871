"""The list of programs that tests use is that of the tests."""

import re
import unittest
from pathlib import Path

import packages

ROOT = Path(__file__).resolve().parent.parent

# There with Rust, as the set-up checks, or with every Debian.
ALWAYS = {"cc", "g++", "c++", "make", "readelf", "python3", "cargo", "rustc"}


class Programs(unittest.TestCase):
    def test_every_program_that_a_test_asks_for_is_listed(self):
        sources = [*ROOT.glob("tests/**/*.rs"), *ROOT.glob("trainer/tests/**/*.rs")]
        found = {
            name
            for source in sources
            for call in re.findall(r"\bis_installed\(([^)]*)\)", source.read_text())
            for name in re.findall(r'"([^"]+)"', call)
        }
        self.assertTrue(found, "no test asks for a program")
        rows = packages.PROGRAMS + packages.CRATES
        listed = {name for names, _, _ in rows for name in names}
        self.assertEqual(found - listed - ALWAYS, set())

    def test_every_package_is_named_once(self):
        names = packages.packages(packages.PROGRAMS)
        self.assertEqual(len(names), len(set(names)))


if __name__ == "__main__":
    unittest.main()
