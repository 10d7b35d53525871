"""Tests of the set-up that need no network: python3 -m unittest discover tools"""

import contextlib
import hashlib
import http.server
import io
import os
import re
import tempfile
import threading
import unittest
import urllib.request
import zipfile
from pathlib import Path
from unittest import mock

import fetch
import libtorch
import setup
from fetch import Problem

CONTENT = bytes(range(256)) * 8192  # 2 MiB: more than one chunk
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT; its attributes say how badly."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges = True
        self.status = None  # answer with this error
        self.send_at_most = len(CONTENT)  # then close the connection
        self.asked = []  # the Range header of each request
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/file"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        if server.status:
            return self.send_error(server.status)
        start = 0
        if wanted and server.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted).group(1))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : start + server.send_at_most])

    def log_message(self, *_):
        pass


class Temporary(unittest.TestCase):
    """A temporary folder for each test, and no output."""

    def setUp(self):
        self.folder = Path(self.enter(tempfile.TemporaryDirectory())).resolve()
        self.output = self.enter(contextlib.redirect_stdout(io.StringIO()))

    def enter(self, context):
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value


class Fetch(Temporary):
    def setUp(self):
        super().setUp()
        self.server = Server()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.enter(mock.patch.object(fetch, "PAUSE", 0))
        self.enter(mock.patch.dict(os.environ, no_proxy="127.0.0.1"))
        self.target = self.folder / "file.whl"
        self.part = self.folder / "file.whl.part"

    def fetch(self, url=None, sha256=SHA256):
        fetch.fetch(url or self.server.url, self.target, len(CONTENT), sha256, fetch.opener())

    def assert_fetched(self):
        self.assertEqual(self.target.read_bytes(), CONTENT)
        self.assertFalse(self.part.exists())

    def test_a_fetched_file_is_not_asked_for_again(self):
        self.fetch()
        self.fetch()
        self.assert_fetched()
        self.assertEqual(self.server.asked, [None])

    def test_a_part_is_continued(self):
        self.part.write_bytes(CONTENT[:1000])
        self.fetch()
        self.assert_fetched()
        self.assertEqual(self.server.asked, ["bytes=1000-"])

    def test_a_server_without_ranges_starts_over(self):
        self.server.ranges = False
        self.part.write_bytes(CONTENT[:1000])
        self.fetch()
        self.assert_fetched()

    def test_a_damaged_part_is_fetched_anew(self):
        self.part.write_bytes(b"x" * 1000)
        self.fetch()
        self.assert_fetched()
        self.assertEqual(self.server.asked, ["bytes=1000-", None])

    def test_a_part_that_is_too_long_is_dropped(self):
        self.part.write_bytes(CONTENT + b"x")
        self.fetch()
        self.assert_fetched()

    def test_broken_connections_are_continued_as_long_as_bytes_arrive(self):
        self.server.send_at_most = len(CONTENT) // 20 + 1
        self.fetch()
        self.assert_fetched()
        self.assertEqual(len(self.server.asked), 20)

    def test_a_server_that_sends_nothing_is_given_up_and_the_part_kept(self):
        self.server.send_at_most = 0
        self.part.write_bytes(CONTENT[:1000])
        with self.assertRaisesRegex(Problem, "closed early"):
            self.fetch()
        self.assertEqual(len(self.server.asked), fetch.ATTEMPTS)
        self.assertEqual(self.part.read_bytes(), CONTENT[:1000])

    def test_a_broken_server_is_asked_again_and_a_missing_file_is_not(self):
        for status, requests in ((503, fetch.ATTEMPTS), (404, 1)):
            self.server.status, self.server.asked = status, []
            with self.assertRaisesRegex(Problem, str(status)):
                self.fetch()
            self.assertEqual(len(self.server.asked), requests)

    def test_missing_credentials_are_told_apart(self):
        self.server.status = 401
        with self.assertRaises(fetch.Refused):
            self.fetch()

    def test_a_wrong_file_is_deleted(self):
        with self.assertRaisesRegex(Problem, "expected SHA-256 0123"):
            self.fetch(sha256="0123")
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_file_url_works(self):
        source = self.folder / "source"
        source.write_bytes(CONTENT)
        self.part.write_bytes(CONTENT[:1000])
        self.fetch(source.as_uri())
        self.assert_fetched()

    def test_a_given_proxy_is_used(self):
        proxied = fetch.opener(proxy="http://127.0.0.1:9")
        handlers = [h for h in proxied.handlers if isinstance(h, urllib.request.ProxyHandler)]
        self.assertEqual(handlers[0].proxies["https"], "http://127.0.0.1:9")


def make_tree(folder, version="2.11.0"):
    """A folder that looks like a libtorch."""
    for name in (
        "include/torch/csrc/api/include/torch/torch.h",
        "lib/libtorch.so",
        "lib/libtorch_cpu.so",
        "lib/libc10.so",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "build-version").write_text(version + "\n")
    return folder


class Tree(Temporary):
    def setUp(self):
        super().setUp()
        self.wheel = self.folder / "torch.whl"
        self.tree = self.folder / "tree"
        with zipfile.ZipFile(self.wheel, "w") as archive:
            for name in (
                "torch/include/torch/csrc/api/include/torch/torch.h",
                "torch/lib/libtorch_cpu.so",
                "torch/lib/libc10.so",
                "torch/lib/libgomp-0123abcd.so.1",
                "torch/lib/libtorch_cuda.so",
                "torch/nn/functional.py",
                "nvidia/cu13/lib/libcupti.so.13",
                "nvidia/cu13/lib/libnvperf_host.so",
            ):
                archive.writestr(name, name)
        self.loads = self.enter(mock.patch.object(libtorch, "check_loads"))

    def test_only_what_is_needed_is_unpacked(self):
        libtorch.unpack([self.wheel], self.tree)
        files = {str(p.relative_to(self.tree)) for p in self.tree.rglob("*") if p.is_file()}
        self.assertEqual(
            files,
            {
                "include/torch/csrc/api/include/torch/torch.h",
                "lib/libtorch_cpu.so",
                "lib/libtorch.so",
                "lib/libc10.so",
                "lib/libgomp-0123abcd.so.1",
                "lib/libcupti.so.13",
                "build-version",
                libtorch.STAMP,
            },
        )
        self.assertTrue(libtorch.complete(self.tree))
        self.assertIsNone(libtorch.fault(self.tree))

    def test_a_tree_is_incomplete_without_its_stamp_or_a_byte(self):
        self.assertFalse(libtorch.complete(self.tree))
        libtorch.unpack([self.wheel], self.tree)
        with open(self.tree / "lib" / "libc10.so", "a") as file:
            file.write("x")
        self.assertFalse(libtorch.complete(self.tree))
        libtorch.unpack([self.wheel], self.tree)
        (self.tree / libtorch.STAMP).unlink()
        self.assertFalse(libtorch.complete(self.tree))

    def test_a_failure_leaves_no_tree(self):
        self.loads.side_effect = Problem("no")
        with self.assertRaises(Problem):
            libtorch.unpack([self.wheel], self.tree)
        self.assertEqual(list(self.folder.iterdir()), [self.wheel])

    def test_a_complete_tree_is_provided_without_work(self):
        tree = self.folder / f"libtorch-{libtorch.VERSION}-cpu"
        libtorch.unpack([self.wheel], tree)
        with mock.patch.object(libtorch, "make", side_effect=AssertionError):
            self.assertEqual(libtorch.provide(self.folder), tree)

    def test_a_full_disk_is_noticed_first(self):
        usage = mock.Mock(free=1_000_000)
        with mock.patch.object(libtorch.shutil, "disk_usage", return_value=usage):
            with self.assertRaisesRegex(Problem, "has 1 MB"):
                libtorch.check_space(libtorch.WHEELS["x86_64"], self.folder, "x86_64")


class LoadCheck(Temporary):
    def test_a_library_that_does_not_load_is_a_problem(self):
        library = self.folder / "libtorch.so"
        library.write_text("not a library")
        with self.assertRaisesRegex(Problem, "cannot load it"):
            libtorch.check_loads(library)


class OwnLibtorch(Temporary):
    def given(self, value):
        self.enter(mock.patch.dict(os.environ, LIBTORCH=str(value)))

    def test_a_good_one_is_used(self):
        for version in ("2.11.0", "2.11.0+cu130"):
            tree = make_tree(self.folder / version, version)
            self.given(tree)
            self.assertEqual(setup.own_libtorch(), tree)

    def test_a_pytorch_installation_is_used(self):
        tree = make_tree(self.folder)
        (tree / "build-version").unlink()
        (tree / "version.py").write_text("__version__ = '2.11.0+cu130'\n")
        self.given(tree)
        self.assertEqual(setup.own_libtorch(), tree)

    def test_a_bad_one_is_refused_with_the_reason(self):
        other = make_tree(self.folder / "other", "2.11.01")
        partial = make_tree(self.folder / "partial")
        (partial / "lib" / "libc10.so").unlink()
        nameless = make_tree(self.folder / "nameless")
        (nameless / "build-version").unlink()
        for value, reason in (
            ("", "empty"),
            (self.folder / "missing", "no such folder"),
            (other, "version is 2.11.01"),
            (partial, "no lib/libc10.so"),
            (nameless, "version is unknown"),
        ):
            self.given(value)
            with self.assertRaisesRegex(Problem, reason):
                setup.own_libtorch()


class Link(Temporary):
    def setUp(self):
        super().setUp()
        self.link = self.folder / "link"
        self.enter(mock.patch.dict(os.environ, DRR_CACHE=str(self.folder / "cache")))

    def test_it_is_laid_and_moved(self):
        for name in ("a", "a", "b"):
            setup.lay(self.link, self.folder / name)
            self.assertEqual(os.readlink(self.link), str(self.folder / name))

    def test_a_folder_in_its_place_stays(self):
        self.link.mkdir()
        with self.assertRaisesRegex(Problem, "in the way"):
            setup.lay(self.link, self.folder)

    def test_a_working_choice_is_kept(self):
        tree = make_tree(self.folder / "own")
        self.link.symlink_to(tree)
        self.assertEqual(setup.kept_libtorch(self.link), tree)
        (tree / "lib" / "libc10.so").unlink()
        self.assertIsNone(setup.kept_libtorch(self.link))

    def test_what_the_cache_has_is_checked_by_its_stamp(self):
        self.link.symlink_to(make_tree(self.folder / "cache" / "libtorch-2.11.0-cpu"))
        self.assertIsNone(setup.kept_libtorch(self.link))


class Tools(Temporary):
    def test_everything_missing_is_named_at_once(self):
        with mock.patch.dict(os.environ, PATH=str(self.folder)):
            with self.assertRaisesRegex(Problem, "(?s)build-essential.*cargo is missing"):
                setup.check_tools()

    def test_the_exit_status_of_an_interruption(self):
        with mock.patch.object(setup, "check_tools", side_effect=KeyboardInterrupt):
            with mock.patch("sys.argv", ["setup"]), contextlib.redirect_stderr(io.StringIO()):
                self.assertEqual(setup.main(), 130)


if __name__ == "__main__":
    unittest.main()
