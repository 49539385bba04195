"""What plugins cost where the benchmark kit does not look: many consumers, a limit in Redis, gzip, a scrape of many series. A part of `measure`.

Where two set-ups are compared, both stand side by side and rounds alternate; a ratio is taken within each round and the median of the
ratios is what counts, so that what else the machine does cancels out. The proxy is on the first core, what loads it and what answers it on
the second. CPU time is user and system time of the proxy's processes. Needs wrk, nginx and taskset, `redis` also redis-server.
"""
import json
import os
import random
import re
import socket
import statistics
import subprocess
import threading
import time
from contextlib import ExitStack

from log_measures import PROXY, Nginx, processes

# One header more than a plain request, in which keys have the same length however many there are.
KEYED = """\
math.randomseed({seed})
request = function()
  return string.format("GET / HTTP/1.1\\r\\nHost: a.test\\r\\napikey: key-%06d\\r\\n\\r\\n", math.random({count}) - 1)
end
"""


def kept(running, one):
    """Has something that was started stopped at the end, however that comes."""
    running.callback(one.stop)
    return one


def start(running, kit, binary, directory, more="", cores="0"):
    """A gateway with one worker; `more` is added to its configuration."""
    gateway = kit.Gateway(binary, directory)
    with open(f"{directory}/conf/config.yaml", "a") as file:
        file.write(more)
    gateway.start()
    subprocess.run(["taskset", "-a", "-p", "-c", cores, str(gateway.process.pid)], check=True, stdout=subprocess.DEVNULL)
    return kept(running, gateway)


def answering(running, kit, directory, location):
    """The port of an nginx on the second core."""
    (port,) = kit.free_ports(1)
    server = f"server {{ listen 127.0.0.1:{port} reuseport; {location} }}"
    kept(running, Nginx(directory, "access_log off;", server, 1))
    return port


def load(port, seconds, path="/", script=None, headers=(), connections=50):
    """Requests answered, requests/s, and the 99th percentile in milliseconds."""
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    for header in headers:
        command += ["-H", header]
    if script:
        command += ["-s", script]
    out = subprocess.run([*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(out)
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()
    return (int(re.search(r"(\d+) requests in", out).group(1)), float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
            float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit])


def busy_ns(pid):
    """Nanoseconds that the threads of a process have run for: exact, where user and system time come in ticks of 10 ms."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                total += int(file.read().split()[0])
        except FileNotFoundError:
            pass  # it has ended
    return total


def in_turns(kit, sides, rounds, run):
    """For each side and round: microseconds of CPU time a request, of it user, requests/s. `sides` are names and processes."""
    measured = {name: [] for name in sides}
    for number in range(rounds):
        order = list(sides)[number % len(sides):] + list(sides)[:number % len(sides)]
        for name in order:
            every = processes(sides[name])
            before = sum(map(busy_ns, every)), sum(kit.cpu_seconds(one)[0] for one in every)
            requests, rate, _ = run(name)
            after = sum(map(busy_ns, every)), sum(kit.cpu_seconds(one)[0] for one in every)
            measured[name].append(((after[0] - before[0]) / requests / 1e3, (after[1] - before[1]) / requests * 1e6, rate))
    return measured


def compare(measured, base, other, what=0):
    """The median of the ratios of the rounds, and the least and the largest."""
    ratios = sorted(one[what] / two[what] for one, two in zip(measured[other], measured[base]))
    return statistics.median(ratios), ratios[0], ratios[-1]


def show(measured):
    for name, runs in measured.items():
        cpu, user, rate = (statistics.median(one[part] for one in runs) for part in range(3))
        print(f"{name:24} {cpu:8.2f} us of CPU time a request (user {user:.2f}); {rate:.0f} requests/s")


def put_consumers(kit, gateway, numbers, threads=16):
    """Writes consumers from several connections at once; the seconds that took."""
    def run(start):
        connection = gateway.admin()
        for number in numbers[start::threads]:
            kit.put(connection, "consumers", {"username": f"consumer_{number}", "plugins": {"key-auth": {"key": f"key-{number:06}"}}})

    began = time.monotonic()
    every = [threading.Thread(target=run, args=(start,)) for start in range(threads)]
    for one in every:
        one.start()
    for one in every:
        one.join()
    return time.monotonic() - began


def measure_consumers(arguments, kit, directory, running):
    """key-auth with many consumers against a thousand: a request, and a write of one more."""
    count = arguments.count or 100_000
    origin_port = answering(running, kit, f"{directory}/origin", f'location / {{ return 200 "{"x" * 1024}"; }}')
    gateways, sides, scripts = {}, {}, {}
    for name, consumers in (("1000 consumers", 1000), (f"{count} consumers", count)):
        gateway = start(running, kit, arguments.binary, f"{directory}/{consumers}")
        seconds = put_consumers(kit, gateway, range(consumers))
        print(f"{name}: written in {seconds:.1f} s ({consumers / seconds:.0f}/s); memory {gateway.memory_mib():.0f} MiB", flush=True)
        kit.put(gateway.admin(), "routes/1", {"uri": "/*", "plugins": {"key-auth": {}}, "upstream": {"nodes": {f"127.0.0.1:{origin_port}": 1}}})
        gateways[name], sides[name] = gateway, gateway.process.pid
        scripts[name] = f"{directory}/{consumers}.lua"
        with open(scripts[name], "w") as file:
            file.write(KEYED.format(seed=random.randrange(1 << 30), count=consumers))
    base, other = sides

    def run(name):
        return load(gateways[name].proxy_port, 1, script=scripts[name])

    for name in sides:
        run(name)
    measured = in_turns(kit, sides, 41, run)
    show(measured)
    ratio, least, most = compare(measured, base, other)
    print(f"CPU time a request: {ratio:.3f} x that with 1000 ({least:.2f} to {most:.2f})")
    writes = {name: [] for name in sides}
    admins = {name: gateways[name].admin() for name in sides}
    for number in range(300):
        for name in sides:
            consumer = {"username": f"consumer_{number}", "plugins": {"key-auth": {"key": f"key-{number:06}"}}}
            began = time.perf_counter()
            kit.put(admins[name], "consumers", consumer)
            writes[name].append((time.perf_counter() - began) * 1e6)
    one, two = (statistics.median(writes[name]) for name in sides)
    print(f"PUT of a consumer: {one:.0f} us with 1000 there, {two:.0f} us with {count}: {two / one:.2f} x")
    return 0


class Redis:
    """A server without persistence, on the second core."""

    def __init__(self, kit, directory):
        os.makedirs(directory)
        (self.port,) = kit.free_ports(1)
        self.process = subprocess.Popen(["taskset", "-c", "1", "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                                         "--appendonly", "no", "--dir", directory], stdout=subprocess.DEVNULL)
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.01)
        raise SystemExit("redis-server did not come up")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def measure_redis(arguments, kit, directory, running):
    """limit-count with its counters in Redis, against the same route without it and with counters of the node's own."""
    origin_port = answering(running, kit, f"{directory}/origin", f'location / {{ return 200 "{"x" * 1024}"; }}')
    redis = kept(running, Redis(kit, f"{directory}/redis"))
    gateway = start(running, kit, arguments.binary, f"{directory}/gateway")
    limit = {"count": 999_999_999, "time_window": 3600, "key": "remote_addr", "policy": "local"}
    in_redis = {**limit, "policy": "redis", "redis_host": "127.0.0.1", "redis_port": redis.port}
    admin = gateway.admin()
    for name, plugins in (("plain", {}), ("local", {"limit-count": limit}), ("redis", {"limit-count": in_redis})):
        kit.put(admin, f"routes/{name}", {"uri": f"/{name}", "plugins": plugins, "upstream": {"nodes": {f"127.0.0.1:{origin_port}": 1}}})
    sides = {name: gateway.process.pid for name in ("plain", "local", "redis")}

    def run(name):
        return load(gateway.proxy_port, 2, path=f"/{name}")

    for name in sides:
        run(name)
    measured = in_turns(kit, sides, arguments.count or 9, run)
    show(measured)
    for what, words in ((2, "requests/s"), (0, "CPU time a request")):
        for name in ("local", "redis"):
            ratio, least, most = compare(measured, "plain", name, what)
            print(f"{words}, {name} against plain: {ratio:.2f} ({least:.2f} to {most:.2f})")
    return 0


def documents(size):
    """A list of records as APIs have them, in JSON of this size."""
    chance = random.Random(5)
    words = "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec romeo".split()
    records = []
    while len(text := json.dumps(records)) < size:
        number = len(records)
        records.append({"id": number, "uuid": f"{chance.getrandbits(128):032x}", "name": " ".join(chance.sample(words, 2)).title(),
                        "email": f"{chance.choice(words)}.{number}@example.com", "active": chance.random() < 0.7,
                        "balance": round(chance.uniform(0, 10_000), 2), "tags": chance.sample(words, 3),
                        "created": f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}T{chance.randint(0, 23):02}:15:00Z"})
    return text[:size]


def measure_gzip(arguments, kit, directory, running):
    """gzip at level 5 of 100 KiB of JSON, against nginx; each also without, so that it shows what is the compression's."""
    body = documents(100 << 10)
    # The workers of nginx are another user's.
    os.chmod(directory, 0o755)
    os.makedirs(f"{directory}/files")
    with open(f"{directory}/files/records.json", "w") as file:
        file.write(body)
    location = f"root {directory}/files; location / {{ default_type application/json; types {{ }} }}"
    origin_port = answering(running, kit, f"{directory}/origin", location)
    (nginx_port,) = kit.free_ports(1)
    gzip = "access_log off; gzip on; gzip_comp_level 5; gzip_types application/json; gzip_min_length 20;"
    nginx = kept(running, Nginx(f"{directory}/nginx", gzip, PROXY.format(origin=origin_port, port=nginx_port), 0))
    gateway = start(running, kit, arguments.binary, f"{directory}/gateway")
    plugins = {"gzip": {"types": ["application/json"], "comp_level": 5}}
    kit.put(gateway.admin(), "routes/1", {"uri": "/*", "plugins": plugins, "upstream": {"nodes": {f"127.0.0.1:{origin_port}": 1}}})
    ports = {"nginx": (nginx_port, nginx.process.pid), "gateway": (gateway.proxy_port, gateway.process.pid)}
    time.sleep(0.5)
    for name, (port, _) in ports.items():
        out = subprocess.run(["curl", "-s", "-H", "Accept-Encoding: gzip", f"http://127.0.0.1:{port}/records.json"], capture_output=True,
                             check=True).stdout
        if subprocess.run(["gzip", "-dc"], input=out, capture_output=True, check=True).stdout.decode() != body:
            raise SystemExit(f"{name} does not answer with the body in gzip")
        print(f"{name}: {len(body)} bytes become {len(out)}")
    sides = {f"{name}, {what}": pid for name, (_, pid) in ports.items() for what in ("gzip", "as it is")}

    def run(name):
        name, what = name.split(", ")
        headers = ["Accept-Encoding: gzip"] if what == "gzip" else []
        return load(ports[name][0], 2, path="/records.json", headers=headers, connections=20)

    for name in sides:
        run(name)
    measured = in_turns(kit, sides, arguments.count or 9, run)
    show(measured)
    for what in ("gzip", "as it is"):
        ratio, least, most = compare(measured, f"nginx, {what}", f"gateway, {what}")
        print(f"{what}: CPU time a request {ratio:.2f} x nginx's ({least:.2f} to {most:.2f})")
    return 0


CODES = [200, 201, 202, 203, 400, 401, 403, 404, 500, 503]
# Every route with every code, in order.
EVERY = """\
local codes = {{{codes}}}
local number = 0
request = function()
  number = number + 1
  local code = codes[math.floor(number / {routes}) % #codes + 1]
  return "GET /r/" .. number % {routes} .. "?s=" .. code .. " HTTP/1.1\\r\\nHost: a.test\\r\\n\\r\\n"
end
"""
# A rate that leaves both cores time: 50 connections, each 10 ms after its answer.
PACED = "delay = function() return 10 end\n"


def scrape(port):
    """Seconds until the last byte of the metrics, and how many bytes; keeps none of them."""
    buffer = bytearray(1 << 20)
    began = time.perf_counter()
    size, tail = 0, b""
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.settimeout(60)
        one.sendall(b"GET /apisix/prometheus/metrics HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        while got := one.recv_into(buffer):
            size += got
            tail = (tail + bytes(buffer[max(0, got - 400):got]))[-400:]
    if b"shared_dict" not in tail:
        raise SystemExit(f"the metrics end with {tail!r}")
    return time.perf_counter() - began, size


def peak_mib(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"^VmHWM:\s+(\d+)", file.read(), re.M).group(1)) / 1024


def measure_scrape(arguments, kit, directory, running):
    """Metrics of 10 000 routes with ten codes each: how long they take, what memory, and what traffic feels of it."""
    routes = arguments.count or 10_000
    returns = " ".join(f"if ($arg_s = {code}) {{ return {code}; }}" for code in CODES)
    origin_port = answering(running, kit, f"{directory}/origin", f'{returns} location / {{ return 200 "x"; }}')
    (metrics_port,) = kit.free_ports(1)
    more = f"plugin_attr: {{prometheus: {{export_addr: {{ip: 127.0.0.1, port: {metrics_port}}}}}}}\n"
    gateway = start(running, kit, arguments.binary, f"{directory}/gateway", more, "0,1")
    pid = gateway.process.pid
    kit.put(gateway.admin(), "plugin_configs/1", {"plugins": {"prometheus": {}}})
    kit.put(gateway.admin(), "upstreams/1", {"nodes": {f"127.0.0.1:{origin_port}": 1}})

    def fill(start):
        connection = gateway.admin()
        for number in range(start, routes, 8):
            kit.put(connection, f"routes/r{number}", {"uri": f"/r/{number}", "upstream_id": "1", "plugin_config_id": "1"})

    every = [threading.Thread(target=fill, args=(start,)) for start in range(8)]
    for one in every:
        one.start()
    for one in every:
        one.join()
    script, paced = f"{directory}/every.lua", f"{directory}/paced.lua"
    with open(script, "w") as file:
        file.write(EVERY.format(codes=", ".join(map(str, CODES)), routes=routes))
    with open(paced, "w") as file:
        file.write(PACED)
    done, wanted = 0, routes * len(CODES) * 5 // 4
    for _ in range(60):
        out = subprocess.run(["wrk", "-t1", "-c8", "-d10s", "-s", script, f"http://127.0.0.1:{gateway.proxy_port}/"], capture_output=True,
                             text=True, check=True).stdout
        # Each run begins anew: one has to go through all of them.
        done = int(re.search(r"(\d+) requests in", out).group(1))
        if done >= wanted:
            break
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")
    quiet = peak_mib(pid)
    elapsed = []
    for _ in range(15):
        seconds, size = scrape(metrics_port)
        elapsed.append(seconds * 1000)
    elapsed.sort()
    print(f"{routes} routes x {len(CODES)} codes: {size / 1e6:.0f} MB of text in {statistics.median(elapsed):.0f} ms, median of {len(elapsed)} "
          f"({elapsed[0]:.0f} to {elapsed[-1]:.0f}); at most {peak_mib(pid) - quiet:.1f} MiB of memory more than the {quiet:.0f} MiB "
          "before the first", flush=True)
    pairs = []
    for _ in range(5):
        _, _, alone = load(gateway.proxy_port, 4, path="/r/1", script=paced)
        stop = threading.Event()

        def keep_scraping():
            while not stop.wait(1):
                scrape(metrics_port)

        scraper = threading.Thread(target=keep_scraping)
        scraper.start()
        _, rate, beside = load(gateway.proxy_port, 4, path="/r/1", script=paced)
        stop.set()
        scraper.join()
        pairs.append((alone, beside))
    ratio = statistics.median(beside / alone for alone, beside in pairs)
    print(f"p99 of {rate:.0f} requests/s beside a scrape a second: {ratio:.2f} x the quiet p99 (median of five; ms: "
          + ", ".join(f"{alone:.2f} -> {beside:.2f}" for alone, beside in pairs) + ")", flush=True)
    before = gateway.memory_mib()
    hanging = []
    for _ in range(20):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", metrics_port))
        one.sendall(b"GET /apisix/prometheus/metrics HTTP/1.1\r\nHost: a.test\r\n\r\n")
        hanging.append(one)
    time.sleep(3)
    seconds, _ = scrape(metrics_port)
    after = gateway.memory_mib()
    print(f"{len(hanging)} scrapers that take nothing: {(after - before) / len(hanging):.2f} MiB each; another's scrape beside them {seconds * 1000:.0f} ms")
    for one in hanging:
        one.close()
    return 0


def ending(measure):
    """Ends what a measure has started."""
    def run(arguments, kit, directory):
        with ExitStack() as running:
            return measure(arguments, kit, directory, running)
    return run


MEASURES = {"consumers": ending(measure_consumers), "redis": ending(measure_redis), "gzip": ending(measure_gzip),
            "scrape": ending(measure_scrape)}
