"""The declarations in drr._abi are those of include/drr.h."""

import ctypes
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from drr import _abi

INCLUDE = Path(__file__).resolve().parents[3] / "include"
HEADER = (INCLUDE / "drr.h").read_text()
CODE = re.sub(r"//[^\n]*|/\*.*?\*/", "", HEADER, flags=re.S)

HANDLES = ("drr_model", "drr_sampler", "drr_device_model", "drr_device_sampler")

NUMBERS = {
    "uint32_t": ctypes.c_uint32,
    "drr_status": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "drr_log_callback": _abi.log_callback,
    "void": None,
}


class Abi(unittest.TestCase):
    def test_structs_are_laid_out_as_the_compiler_does(self):
        names = set(re.findall(r"typedef struct (\w+) \{", CODE))
        self.assertEqual(names, set(_abi.STRUCTS))
        questions, expected = [], []
        for name, struct in _abi.STRUCTS.items():
            body = re.search(rf"typedef struct {name} \{{(.*?)\}}", CODE, re.S).group(1)
            fields = re.findall(r"(\w+)(?:\[\d+\])?;", body)
            self.assertEqual(fields, [field for field, _ in struct._fields_])
            questions.append(f"sizeof({name})")
            expected.append(ctypes.sizeof(struct))
            for field in fields:
                questions += [f"offsetof({name}, {field})", f"sizeof((({name} *)0)->{field})"]
                expected += [getattr(struct, field).offset, getattr(struct, field).size]
        self.assertEqual(answers(questions), expected)

    def test_constants_are_those_of_the_header(self):
        constants = {
            "DRR_ABI_VERSION": _abi.ABI_VERSION,
            "DRR_STRIDE_SAME": _abi.STRIDE_SAME % 2**64,
            "DRR_F32": _abi.F32,
            "DRR_F64": _abi.F64,
            "DRR_F16": _abi.F16,
            "DRR_STORAGE_HUGE_PAGES": _abi.STORAGE["huge"],
        }
        choices = {"STORAGE": _abi.STORAGE, "CHECKSUMS": _abi.CHECKSUMS}
        choices.update({"UNITS": _abi.UNITS, "OUTSIDE": _abi.OUTSIDE})
        choices.update({"RADIANCE": _abi.RADIANCE, "DEPTH": _abi.DEPTH})
        choices.update({"TRANSFORM": _abi.TRANSFORM, "DEVICE_KERNEL": _abi.DEVICE_KERNEL})
        for kind, names in choices.items():
            for name, number in names.items():
                if name != "huge":
                    constants[f"DRR_{kind}_{name.upper()}"] = number
            self.assertEqual(len(names), len(re.findall(rf"DRR_{kind}_\w+ =", CODE)))
        self.assertEqual(answers(constants), list(constants.values()))

    def test_every_status_has_an_exception(self):
        import drr

        statuses = [int(number) for number in re.findall(r"DRR_ERROR_\w+ = (\d+)", CODE)]
        kinds = [kind.status for kind in drr.Error.__subclasses__()]
        self.assertEqual(sorted(kinds), sorted(statuses))

    def test_every_function_is_declared_with_its_types(self):
        found = re.findall(r"^(const char \*|\w+ )(drr_\w+)\(([^)]*)\);", CODE, re.M)
        declared = {}
        for result, name, arguments in found:
            texts = [] if arguments == "void" else arguments.split(",")
            declared[name] = (kind(result), [kind(text) for text in texts])
        self.assertEqual(set(declared), set(_abi.FUNCTIONS))
        for name, types in declared.items():
            self.assertEqual(_abi.FUNCTIONS[name], types, name)


def kind(text):
    """The ctypes type of an argument, with or without its name, or of a result."""
    text = re.sub(r"\bconst\b|\bstruct\b", "", text).replace("*", " * ")
    words = text.split()
    stars, word = words.count("*"), words[0]
    if stars == 0:
        return NUMBERS[word]
    if word == "char":
        return ctypes.c_char_p
    if word in _abi.STRUCTS:
        return ctypes.POINTER(_abi.STRUCTS[word])
    if word == "uint32_t":
        return ctypes.POINTER(ctypes.c_uint32)
    assert word in HANDLES or word in ("void", "float", "double"), word
    return ctypes.c_void_p if stars == 1 else ctypes.POINTER(ctypes.c_void_p)


def answers(questions):
    """Numbers of a C program."""
    if not shutil.which("cc"):
        raise unittest.SkipTest("no C compiler")
    lines = "".join(f'printf("%llu\\n", (unsigned long long)({q}));\n' for q in questions)
    text = (
        f"#include <drr.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {{{lines}}}\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "layout.c", Path(folder) / "layout"
        source.write_text(text)
        command = ["cc", "-std=c11", "-I", str(INCLUDE), str(source), "-o", str(program)]
        subprocess.run(command, check=True)
        output = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    return [int(line) for line in output.split()]


if __name__ == "__main__":
    unittest.main()
