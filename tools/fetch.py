"""Fetch a file of known size and SHA-256; an interrupted transfer is continued by the next run.

A file gets its name only when it is whole and right; until then it is `NAME.part` beside it.
"""

import errno
import hashlib
import http.client
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

CHUNK = 1 << 20
TIMEOUT = 60  # seconds without a byte
ATTEMPTS = 6  # in a row without progress
PAUSE = 1.0  # seconds after the first failure, doubled for each one more
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class Problem(Exception):
    """Something the user has to know about, in words meant for them."""


class Refused(Problem):
    """The server wants credentials or a certificate that were not given."""


def opener(certificates=None, proxy=None):
    """A URL opener; proxies and certificates that are not given come from the environment."""
    certificates = certificates or os.environ.get("REQUESTS_CA_BUNDLE")
    kind = "capath" if certificates and os.path.isdir(certificates) else "cafile"
    try:
        context = ssl.create_default_context(**{kind: certificates})
    except OSError as error:
        raise Problem(f"the certificates in {certificates} cannot be read: {error}") from None
    handlers = [urllib.request.HTTPSHandler(context=context)]
    if proxy:
        handlers.append(urllib.request.ProxyHandler({"http": proxy, "https": proxy}))
    return urllib.request.build_opener(*handlers)


def fetch(url, target, size, sha256, urls):
    """Bring `url` to the path `target` through the opener `urls`."""
    if target.exists():
        return
    part = partial(target)
    if held(part) > size:
        part.unlink()
    continued = held(part) > 0
    download(url, part, size, urls)
    if continued and digest(part) != sha256:
        print("  what an earlier run left of it is damaged: starting over", flush=True)
        part.unlink()
        download(url, part, size, urls)
    accept(part, target, sha256)


def accept(part, target, sha256):
    """Give a downloaded file its name if its hash is the expected one, else delete it."""
    found = digest(part)
    if found != sha256:
        part.unlink()
        raise Problem(
            f"{target.name} is not the file that was expected, and was deleted.\n"
            f"  expected SHA-256 {sha256}\n"
            f"  received SHA-256 {found}\n"
            "A proxy or mirror may have answered in its place; try again, or use another index."
        )
    part.replace(target)


def partial(target):
    """Where the bytes of `target` are kept until all are there."""
    return target.with_name(target.name + ".part")


def held(path):
    """Size of a file, 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def digest(path):
    """SHA-256 of a file, in hexadecimal."""
    state = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            state.update(chunk)
    return state.hexdigest()


def download(url, part, size, urls):
    """Extend `part` to `size` bytes, again and again while that leads anywhere."""
    failures, best = 0, held(part)
    meter = Meter(best, size)
    while held(part) < size:
        reason = transfer(url, part, size, urls, meter)
        if held(part) >= size:
            break
        # A server without Range starts from 0 each time: only a new record counts as progress.
        failures = 1 if held(part) > best else failures + 1
        best = max(best, held(part))
        if failures == ATTEMPTS:
            raise Problem(
                f"could not download {url}\n  {reason}\n"
                "What has arrived is kept; the next run continues from there."
            )
        pause = PAUSE * 2 ** (failures - 1)
        meter.note(f"interrupted ({reason}); trying again in {pause:.0f} s")
        time.sleep(pause)
    meter.finish()


def transfer(url, part, size, urls, meter):
    """One request. Returns why it ended early, if it did; raises if asking again is no use."""
    have = held(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urls.open(request, timeout=TIMEOUT) as response:
            # Who ignores Range (some servers, and file:// URLs) sends it all from the start.
            span = response.headers.get("Content-Range") or ""
            mode = "ab" if span.startswith(f"bytes {have}-") else "wb"
            with open(part, mode) as file:
                while file.tell() < size and (chunk := response.read(CHUNK)):
                    file.write(chunk)
                    meter.show(file.tell())
        return "the connection was closed early"
    except urllib.error.HTTPError as error:
        answer = f"the server answered {error.code} {error.reason}"
        if error.code in (401, 403, 407):
            raise Refused(f"{url}: {answer}") from None
        if error.code < 500 and error.code not in (408, 429):
            raise Problem(f"could not download {url}\n  {answer}") from None
        return answer
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise Refused(f"{url}: {reason}") from None
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        return str(reason) or type(reason).__name__


class Meter:
    """Progress: one line that is redrawn on a terminal, elsewhere a line for each 10 % if large."""

    def __init__(self, have, size):
        self.size = size
        self.start = have
        self.began = self.drawn = time.monotonic()
        self.tenth = 10 * have // size
        self.live = sys.stdout.isatty()
        if have:
            self.note(f"continuing at {have / 1e6:.1f} of {size / 1e6:.1f} MB")

    def show(self, have):
        now = time.monotonic()
        tenth = 10 * have // self.size
        if self.live and now - self.drawn > 0.2:
            self.drawn = now
            print(f"\r  {self.line(have)} ", end="", flush=True)
        elif not self.live and tenth > self.tenth and self.size > 50e6:
            print(f"  {self.line(have)}", flush=True)
        self.tenth = max(self.tenth, tenth)

    def line(self, have):
        seconds = max(time.monotonic() - self.began, 1e-3)
        rate = max(have - self.start, 0) / 1e6 / seconds
        percent = 100 * have // self.size
        return f"{percent:3d} %  {have / 1e6:6.1f} of {self.size / 1e6:.1f} MB  {rate:5.1f} MB/s"

    def note(self, text):
        print(f"\r\033[K  {text}" if self.live else f"  {text}", flush=True)

    def finish(self):
        if self.live:
            self.note(self.line(self.size))
