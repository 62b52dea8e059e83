"""Measures `visage serve` next to bad clients, and its end under load.

    python load.py PROGRAM [--run RUN] [--bad-connections N] [--limit SECONDS]

PROGRAM is the `visage` to test; RUN is a run or a model file, by default one that `visage demo` trains in half a minute. A good client asks
for the attributes of a small image, alone and next to each kind of bad client, all from one address. The test fails if a good request is
refused, or if 99 % of them take more than 0.2 s (--limit) longer than alone. Then the server is told to stop, many times: under load, where every
accepted request must be answered, and right after its start, where it must end as at any other time. Needs Linux, Python 3.11 and no
packages.
"""

import argparse
import asyncio
import random
import resource
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

# How much longer a good request may take next to bad clients, in seconds.
LIMIT = 0.2
GOOD_REQUESTS = 60
STOPS_UNDER_LOAD = 8
STOPS_AT_START = 30
HOST = "127.0.0.1"


def png(side):
    """A black image file of one channel."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(side * (side + 1)), 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def request(path, body=b"", method="POST", close=False):
    connection = "connection: close\r\n" if close else ""
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n{connection}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


ATTRIBUTES = "/v1/models/{}/attributes"
LIVE = request("/v2/health/live", method="GET")


async def answer(reader):
    """Status and head of a response; None if the connection ends before."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(line for line in head.split("\r\n") if line.startswith("content-length:"))
        await reader.readexactly(int(length.partition(":")[2]))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return int(head.split(" ")[1]), head


async def ask(port, message):
    """The status of the response to a request on a new connection, or None."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(message)
        await writer.drain()
        found = await answer(reader)
        return found and found[0]
    except ConnectionError:
        return None
    finally:
        writer.close()


# The bad clients. Each is one connection, and a new one is opened when it ends.


async def idle(reader, writer, _):
    await reader.read()


async def slow_head(reader, writer, _):
    writer.write(b"POST /v1/attributes HTTP/1.1\r\n")
    while not writer.is_closing():
        writer.write(b"x: y\r\n")
        await writer.drain()
        await asyncio.sleep(2)


async def slow_body(reader, writer, _):
    writer.write(b"POST /v1/attributes HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(bytes(1000))
        await writer.drain()
        await asyncio.sleep(2)


async def live(reader, writer, _):
    while True:
        writer.write(LIVE)
        if await answer(reader) is None:
            return
        await asyncio.sleep(4)


async def flood(reader, writer, image):
    while True:
        writer.write(request(ATTRIBUTES.format("a"), image))
        if await answer(reader) is None:
            return


async def pipeline(reader, writer, image):
    async def send():
        while True:
            writer.write(request(ATTRIBUTES.format("a"), image) * 20)
            await writer.drain()
            # Leaves this program time for the other connections.
            await asyncio.sleep(0.2)

    sending = asyncio.create_task(send())
    try:
        while await reader.read(1 << 16):
            pass
    finally:
        sending.cancel()


async def hang_up(reader, writer, image):
    writer.write(request(ATTRIBUTES.format("a"), image))
    await writer.drain()
    await asyncio.sleep(0.05)


async def unknown(reader, writer, _):
    while True:
        writer.write(request("/none", method="GET"))
        if await answer(reader) is None:
            return
        await asyncio.sleep(0.005)


# Kind: title, function, number of connections (0: as many as given), side of its image.
KINDS = {
    "idle": ("idle connections", idle, 0, 0),
    "head": ("slow heads", slow_head, 0, 0),
    "body": ("slow bodies", slow_body, 0, 0),
    "live": ("/live every 4 s", live, 0, 0),
    "flood": ("flood on another model", flood, 64, 64),
    "same": ("flood on the same model", flood, 8, 64),
    "pipeline": ("pipelined requests", pipeline, 64, 64),
    "large": ("49 million pixels, hangs up", hang_up, 8, 7000),
    "log": ("reader of the log stalls", unknown, 4, 0),
}


async def be_bad(kind, port, connections):
    _, behave, number, side = KINDS[kind]
    number = number or connections
    image = png(side) if side else b""
    opened = 0

    async def client():
        nonlocal opened
        is_first = True
        while True:
            try:
                reader, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.1)
                continue
            opened += is_first
            if is_first and opened == number:
                print("ready", flush=True)
            is_first = False
            try:
                await behave(reader, writer, image)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()
            # A client that is thrown out comes back.
            await asyncio.sleep(random.uniform(0.2, 2) if number > 100 else 0)

    clients = []
    for index in range(number):
        clients.append(asyncio.create_task(client()))
        if index % 50 == 0:
            await asyncio.sleep(0.01)
    await asyncio.gather(*clients)


class Server:
    """A running `visage serve` of one model by two names."""

    def __init__(self, program, model, log=subprocess.DEVNULL):
        command = [program, "serve", f"a={model}", f"b={model}", "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)

    def wait(self):
        said = self.process.stdout.readline().decode().strip()
        self.port = int(said.rpartition(":")[2])
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def __enter__(self):
        return self.wait()

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


async def good(port, name="b"):
    """Seconds that good requests take, and how many are refused."""
    message, times, refused = request(ATTRIBUTES.format(name), png(64), close=True), [], 0
    for _ in range(GOOD_REQUESTS):
        began = time.perf_counter()
        try:
            status = await asyncio.wait_for(ask(port, message), 10)
        except (OSError, TimeoutError):
            status = None
        times.append(time.perf_counter() - began)
        refused += status != 200
        await asyncio.sleep(0.03)
    return times, refused


def measured(program, model, kind, connections):
    with Server(program, model, subprocess.PIPE if kind == "log" else subprocess.DEVNULL) as server:
        bad = None
        if kind:
            command = [sys.executable, __file__, program, "--be", kind, str(server.port), "--bad-connections", str(connections)]
            bad = subprocess.Popen(command, stdout=subprocess.PIPE)
            assert bad.stdout.readline() == b"ready\n"
            # Until the pipe of the log is full.
            time.sleep(5 if kind == "log" else 1)
        times, refused = asyncio.run(good(server.port, "a" if kind == "same" else "b"))
        if bad:
            bad.kill()
            bad.wait()
        code = server.stop()
    return statistics.median(times), sorted(times)[int(len(times) * 0.99)], refused, code


async def stop_under_load(server):
    """Asks until the server accepts nothing more. Returns the numbers of answered and of lost requests."""
    answered = lost = 0
    image = png(64)

    async def client(keeps):
        nonlocal answered, lost
        while True:
            try:
                reader, writer = await asyncio.open_connection(HOST, server.port)
            except OSError:
                return
            while True:
                try:
                    writer.write(request(ATTRIBUTES.format("a"), image, close=not keeps))
                    found = await answer(reader)
                except ConnectionError:
                    found = None
                answered += found is not None
                lost += found is None
                if not keeps or found is None or "connection: close" in found[1]:
                    break
            writer.close()

    clients = [asyncio.create_task(client(keeps)) for keeps in [True, False] * 6]
    await asyncio.sleep(random.uniform(0.3, 0.8))
    server.process.send_signal(signal.SIGTERM)
    await asyncio.gather(*clients)
    return answered, lost


def handles_sigterm(process):
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return False
    caught = next((line for line in status.splitlines() if line.startswith("SigCgt:")), "0")
    return bool(int(caught.split()[-1], 16) >> signal.SIGTERM - 1 & 1)


def stop_at_start(program, model):
    """Stops a server as soon as it can be. Returns the time until then, its exit code and its log."""
    began = time.perf_counter()
    server = Server(program, model, subprocess.PIPE)
    while not handles_sigterm(server.process) and server.process.poll() is None:
        pass
    took = time.perf_counter() - began
    time.sleep(random.choice([0, random.uniform(0, 0.2)]))
    server.process.send_signal(signal.SIGTERM)
    _, log = server.process.communicate(timeout=60)
    return took, server.process.returncode, log.decode()


def check_load(program, model, connections, limit):
    failures = []
    print(f"{'bad clients':30} {'50 %':>9} {'99 %':>9}  refused")
    alone = None
    for kind in [None, *KINDS]:
        median, slowest, refused, code = measured(program, model, kind, connections)
        title = KINDS[kind][0] if kind else "none"
        print(f"{title:30} {median * 1e3:6.1f} ms {slowest * 1e3:6.1f} ms  {refused} of {GOOD_REQUESTS}", flush=True)
        alone = alone or slowest
        if refused or slowest > alone + limit:
            failures.append(f"{title}: refused or too late")
        if code != 0:
            failures.append(f"{title}: exit code {code}")
    return failures


def check_stops(program, model):
    failures, answered, lost = [], 0, 0
    for _ in range(STOPS_UNDER_LOAD):
        with Server(program, model) as server:
            counts = asyncio.run(stop_under_load(server))
            answered, lost = answered + counts[0], lost + counts[1]
            if server.process.wait(timeout=60) != 0:
                failures.append(f"stopped under load: exit code {server.process.returncode}")
    print(f"stopped under load, {STOPS_UNDER_LOAD} times: {answered} requests answered, {lost} lost")
    if lost:
        failures.append(f"stopped under load: {lost} requests were lost")
    stops = [stop_at_start(program, model) for _ in range(STOPS_AT_START)]
    wrong = [(code, log) for _, code, log in stops if code != 0 or "told to stop" not in log and "shutting down" not in log]
    slowest = max(took for took, _, _ in stops)
    print(f"stopped at the start, {STOPS_AT_START} times: {len(wrong)} ended wrongly; SIGTERM was handled after {slowest * 1e3:.0f} ms at most")
    if wrong:
        failures.append(f"stopped at the start: exit code and log {wrong[0]!r}")
    return failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--bad-connections", type=int, default=2000)
    parser.add_argument("--limit", type=float, default=LIMIT)
    parser.add_argument("--be", nargs=2, metavar=("KIND", "PORT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if arguments.be:
        asyncio.run(be_bad(arguments.be[0], int(arguments.be[1]), arguments.bad_connections))
        return
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.run
        if model is None:
            demo = [arguments.program, "demo", "--out", f"{folder}/demo", "--images", "600", "--epochs", "1", "--size", "32"]
            subprocess.run(demo, check=True, capture_output=True)
            model = Path(folder) / "demo/enhanced"
        failures = check_load(arguments.program, model, arguments.bad_connections, arguments.limit) + check_stops(arguments.program, model)
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
