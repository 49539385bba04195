"""What `bench/measure` measures with the configuration in etcd. etcd is Debian's, started on ports that were free."""
import base64
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time

# Operations in one transaction: the most that etcd takes.
TRANSACTION = 128
# Writes under way at one time.
WRITERS = 64


def encoded(text):
    return base64.b64encode(text.encode()).decode()


class Etcd:
    """One member, with its data on the disk of the temporary directory."""

    def __init__(self, name="a", peers=None, ports=None):
        self.directory = tempfile.mkdtemp()
        self.name = name
        self.port, self.peer_port = ports
        self.peers = peers or f"{name}=http://127.0.0.1:{self.peer_port}"
        self.process = None

    def start(self):
        client, peer = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.peer_port}"
        self.process = subprocess.Popen(
            ["etcd", "--name", self.name, "--initial-cluster", self.peers, "--data-dir", f"{self.directory}/data",
             "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
             "--initial-advertise-peer-urls", peer],
            stdout=subprocess.DEVNULL, stderr=open(f"{self.directory}/log", "a"))

    def wait(self):
        for _ in range(3000):
            try:
                if self.ask("/health", None).get("health") == "true":
                    return
            except (OSError, http.client.HTTPException, ValueError):
                pass
            if self.process.poll() is not None:
                raise SystemExit("etcd ended: " + open(f"{self.directory}/log").read()[-2000:])
            time.sleep(0.01)
        raise SystemExit("etcd did not come up within 30 s")

    def ask(self, path, question):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET" if question is None else "POST", path, question and json.dumps(question))
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return json.loads(text)

    def put(self, key, value):
        self.ask("/v3/kv/put", {"key": encoded(key), "value": encoded(json.dumps(value))})

    def put_all(self, items):
        items = list(items)
        for start in range(0, len(items), TRANSACTION):
            puts = [{"requestPut": {"key": encoded(key), "value": encoded(json.dumps(value))}}
                    for key, value in items[start:start + TRANSACTION]]
            answer = self.ask("/v3/kv/txn", {"success": puts})
            if not answer.get("succeeded"):
                raise SystemExit(f"a transaction failed: {answer}")

    def compact(self):
        revision = self.ask("/v3/kv/range", {"key": encoded("a")})["header"]["revision"]
        self.ask("/v3/kv/compaction", {"revision": revision})

    def is_leader(self):
        status = self.ask("/v3/maintenance/status", {})
        return status["leader"] == status["header"]["member_id"]

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def cluster(free_ports, count=1):
    ports = free_ports(2 * count)
    names = "abcdefg"[:count]
    peers = ",".join(f"{name}=http://127.0.0.1:{ports[2 * n + 1]}" for n, name in enumerate(names))
    members = [Etcd(name, peers, ports[2 * n:2 * n + 2]) for n, name in enumerate(names)]
    for member in members:
        member.start()
    for member in members:
        member.wait()
    return members


def options(members):
    hosts = ", ".join(f"'http://127.0.0.1:{member.port}'" for member in members)
    return f"{{config_provider: etcd}}\n  etcd: {{host: [{hosts}], resync_delay: 1}}"


def route(number, prefix="r"):
    """As the reference's Admin API writes it."""
    value = {"id": f"{prefix}{number}", "uri": f"/{prefix}/{number}", "upstream_id": "1", "priority": 0, "status": 1,
             "methods": ["GET", "HEAD"], "create_time": 1700000000, "update_time": 1700000000}
    return f"/apisix/routes/{prefix}{number}", value


def fill(member, count, upstream):
    nodes = {"type": "roundrobin", "nodes": {upstream: 1}, "id": "1", "create_time": 1700000000, "update_time": 1700000000}
    member.put("/apisix/upstreams/1", nodes)
    member.put_all(route(number) for number in range(count))


def load(arguments, kit, directory):
    (member,) = cluster(kit.free_ports)
    empty = kit.Gateway(arguments.binary, f"{directory}/empty", store=options([member]))
    empty_s = empty.start()
    empty.stop()
    count = arguments.count or 100_000
    fill(member, count, "127.0.0.1:1")
    gateway = kit.Gateway(arguments.binary, f"{directory}/full", store=options([member]))
    starts = []
    for _ in range(5):
        starts.append(gateway.start())
        memory = gateway.memory_mib()
        connection = http.client.HTTPConnection("127.0.0.1", gateway.proxy_port, timeout=10)
        connection.request("GET", f"/r/{count - 1}")
        status = connection.getresponse().status
        assert status == 502, f"route r{count - 1} is not there: {status}"
        gateway.stop()
    member.end()
    print(f"{count} routes in etcd: start {statistics.median(starts):.2f} s (median of 5, {min(starts):.2f} to {max(starts):.2f}; "
          f"empty {empty_s:.2f} s); memory {memory:.0f} MiB")


def change(arguments, kit, directory):
    """From a write to etcd until a worker serves it."""
    (member,) = cluster(kit.free_ports)
    origin = kit.Origin(arguments.binary)
    fill(member, 10_000, origin.address())
    gateway = kit.Gateway(arguments.binary, directory, store=options([member]))
    gateway.start()
    client = http.client.HTTPConnection("127.0.0.1", gateway.proxy_port, timeout=10)
    etcd = http.client.HTTPConnection("127.0.0.1", member.port, timeout=10)
    from_begin, from_answer = [], []
    for number in range(arguments.count or 500):
        key, value = route(number, "new")
        question = json.dumps({"key": encoded(key), "value": encoded(json.dumps(value))})
        began = time.perf_counter()
        etcd.request("POST", "/v3/kv/put", question)
        etcd.getresponse().read()
        answered = time.perf_counter()
        while True:
            client.request("HEAD", value["uri"])
            answer = client.getresponse()
            answer.read()
            if answer.status == 200:
                break
            if time.perf_counter() - began > 5:
                raise SystemExit(f"{value['uri']} was not served within 5 s")
        served = time.perf_counter()
        from_begin.append((served - began) * 1000)
        from_answer.append((served - answered) * 1000)
    gateway.stop()
    origin.stop()
    member.end()
    slow = sorted(from_begin)[len(from_begin) * 99 // 100]
    print(f"{len(from_begin)} changes in etcd with 10 000 routes: served {statistics.median(from_answer):.2f} ms behind etcd's answer "
          f"(median), {statistics.median(from_begin):.2f} ms behind the start of the write (median; p99 {slow:.2f})")


def listing(arguments, kit, directory):
    (member,) = cluster(kit.free_ports)
    fill(member, 10_000, "127.0.0.1:1")
    gateway = kit.Gateway(arguments.binary, directory, store=options([member]))
    gateway.start()
    admin = gateway.admin()
    times = []
    for _ in range(arguments.count or 20):
        began = time.perf_counter()
        status, text = kit.call(admin, "GET", "routes")
        times.append((time.perf_counter() - began) * 1000)
        assert status == 200 and json.loads(text)["total"] == 10_000, text[:200]
    gateway.stop()
    member.end()
    print(f"list of 10 000 routes ({len(text) / 1e6:.1f} MB) through the Admin API: {statistics.median(times):.0f} ms "
          f"(median of {len(times)}, {min(times):.0f} to {max(times):.0f})")


WRK = """\
local number = 0
request = function()
  number = number + 1
  local body = string.gsub([[%s]], "N", tostring(%d + number %% 10000))
  return wrk.format("%s", string.gsub("%s", "N", tostring(%d + number %% 10000)), {["Content-Type"] = "application/json"}, body)
end
"""


def wrk_rate(port, method, path, body, directory, seconds=5):
    """Requests per second of one kind with WRITERS under way."""
    first = 100_000 + random.randrange(1000) * 10_000
    script = f"{directory}/wrk.lua"
    with open(script, "w") as file:
        file.write(WRK % (body, first, method, path, first))
    text = subprocess.run(["wrk", "-t1", f"-c{WRITERS}", f"-d{seconds}s", "-s", script, f"http://127.0.0.1:{port}/"],
                          capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in text and "Socket errors" not in text, text
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))


def writes(arguments, kit, directory):
    """Durable writes per second: the Admin API's, and those of the same etcd asked directly, in turns."""
    (member,) = cluster(kit.free_ports)
    fill(member, 1, "127.0.0.1:1")
    gateway = kit.Gateway(arguments.binary, f"{directory}/gateway", store=options([member]))
    gateway.start()
    body = '{"uri": "/w/N", "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}}'
    # The key in base64 must not depend on the number's place: one key, which costs etcd the same.
    raw = json.dumps({"key": encoded("/bench/key"), "value": encoded(body * 2)})
    ours, theirs = [], []
    for _ in range(arguments.count or 5):
        theirs.append(wrk_rate(member.port, "POST", "/v3/kv/put", raw.replace("N", "n"), directory))
        ours.append(wrk_rate(gateway.admin_port, "PUT", "/apisix/admin/routes/wN", body, directory))
    gateway.stop()
    native = None
    if arguments.etcd_bench:
        text = subprocess.run([arguments.etcd_bench, f"http://127.0.0.1:{member.port}", "20000"], capture_output=True,
                              text=True, check=True).stdout
        native = text.splitlines()[0]
    member.end()
    ratios = [one / other for one, other in zip(ours, theirs)]
    print(f"{WRITERS} writers: Admin API on etcd {statistics.median(ours):.0f}/s; the same etcd over its JSON interface "
          f"{statistics.median(theirs):.0f}/s; ratio {statistics.median(ratios):.2f} (medians of {len(ours)} turns)")
    if native:
        print(f"the same etcd over gRPC: {native}")


class Clients:
    """Requests without a pause on kept connections; every answer that is not 200 counts as failed."""

    def __init__(self, port, path, count=4):
        self.is_over = threading.Event()
        self.answered, self.failed = [0] * count, []
        self.threads = [threading.Thread(target=self.run, args=(port, path, n)) for n in range(count)]
        for one in self.threads:
            one.start()

    def run(self, port, path, place):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while not self.is_over.is_set():
            try:
                client.request("HEAD", path)
                answer = client.getresponse()
                answer.read()
                if answer.status == 200:
                    self.answered[place] += 1
                else:
                    self.failed.append(answer.status)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
                client.close()

    def end(self):
        self.is_over.set()
        for one in self.threads:
            one.join()
        return sum(self.answered), self.failed


def faults(arguments, kit, directory):
    """Requests that fail while etcd is started anew, changes its leader, and is compacted."""
    members = cluster(kit.free_ports, 3)
    origin = kit.Origin(arguments.binary)
    fill(members[0], 10_000, origin.address())
    gateway = kit.Gateway(arguments.binary, directory, store=options(members))
    gateway.start()
    clients = Clients(gateway.proxy_port, "/r/1")
    rounds = arguments.count or 3
    served = 0
    for number in range(rounds):
        leader = next(member for member in members if member.is_leader())
        leader.kill()
        time.sleep(2)
        leader.start()
        leader.wait()
        # All at once, and changes that nobody brings before they are compacted.
        for member in members:
            member.kill()
        time.sleep(1)
        for member in members:
            member.start()
        for member in members:
            member.wait()
        key, value = route(number, "after")
        members[0].put(key, value)
        members[0].compact()
        probe = http.client.HTTPConnection("127.0.0.1", gateway.proxy_port, timeout=10)
        for _ in range(3000):
            probe.request("HEAD", value["uri"])
            answer = probe.getresponse()
            answer.read()
            if answer.status == 200:
                served += 1
                break
            time.sleep(0.01)
    answered, failed = clients.end()
    gateway.stop()
    origin.stop()
    for member in members:
        member.end()
    print(f"{rounds} changes of the leader, {rounds} restarts of all three members, {rounds} compactions: {answered} requests answered, "
          f"{len(failed)} failed{': ' + str(failed[:3]) if failed else ''}; {served} of {rounds} changes made between were served")
    return len(failed) + rounds - served


MEASURES = {"etcd-load": load, "etcd-change": change, "etcd-list": listing, "etcd-writes": writes, "etcd-faults": faults}
