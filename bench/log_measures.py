"""What a line of the access log costs, and what nginx pays for the same line: a part of `measure`.

Four proxies stand side by side, the gateway and nginx, each with its log off and on, all on the first core; the load generator
and the origin, an nginx that returns a constant, are on the second. Rounds go over all four, and ratios are taken within a
round, so that what else the machine does cancels out. CPU time is what is measured: a core that is full answers as many requests
as fit into it, while on two cores the load generator and the origin are full first. Needs nginx, wrk and taskset.
"""
import os
import re
import statistics
import subprocess
import time

# The default format of the reference, with nginx's name for the id of a request.
FORMAT = ('$remote_addr - $remote_user [$time_local] $http_host "$request" $status $body_bytes_sent $request_time '
          '"$http_referer" "$http_user_agent" $upstream_addr $upstream_status $upstream_response_time '
          '"$scheme://$proxy_host$uri" "$request_id"')

NGINX = """\
worker_processes 1; daemon off; pid {directory}/pid; error_log {directory}/error.log crit;
events {{ worker_connections 4096; }}
http {{
    keepalive_timeout 600s; keepalive_requests 1000000000; {log}
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/t1; uwsgi_temp_path {directory}/t2; scgi_temp_path {directory}/t3;
    proxy_buffer_size 16k; proxy_buffers 16 16k; proxy_busy_buffers_size 64k;
    {server}
}}
"""
PROXY = """\
upstream nodes {{ server 127.0.0.1:{origin}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 600s; }}
    server {{ listen 127.0.0.1:{port} reuseport; location / {{
        proxy_pass http://nodes; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
        proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;
        proxy_set_header X-Forwarded-Port $server_port; }} }}"""


class Nginx:
    """nginx in the foreground, in a directory of its own."""

    def __init__(self, directory, log, server, core):
        os.makedirs(directory)
        with open(f"{directory}/nginx.conf", "w") as file:
            file.write(NGINX.format(directory=directory, log=log, server=server))
        self.process = subprocess.Popen(["taskset", "-c", str(core), "nginx", "-c", f"{directory}/nginx.conf",
                                         "-e", f"{directory}/error.log"])

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def processes(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [pid, *map(int, file.read().split())]


def wrk(port, seconds):
    out = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", "-c50", f"-d{seconds}s", "-H", "User-Agent: Mozilla/5.0 (X11; Linux)",
                          f"http://127.0.0.1:{port}/some/path?a=1"], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(out)
    return int(re.search(r"(\d+) requests in", out).group(1))


def measure_log(arguments, kit, directory):
    origin_port, off_port, on_port = kit.free_ports(3)
    body = "x" * 1024
    server = f'server {{ listen 127.0.0.1:{origin_port} reuseport; location / {{ return 200 "{body}"; }} }}'
    origin = Nginx(f"{directory}/origin", "access_log off;", server, 1)
    log = f"log_format main '{FORMAT}'; access_log {directory}/nginx.log main buffer=16384 flush=3s;"
    running = [Nginx(f"{directory}/off", "access_log off;", PROXY.format(origin=origin_port, port=off_port), 0),
               Nginx(f"{directory}/on", log, PROXY.format(origin=origin_port, port=on_port), 0)]
    sides = {"nginx, off": (off_port, running[0].process.pid), "nginx, on": (on_port, running[1].process.pid)}
    for name, setting in [("off", "false"), ("on", f"true, access_log: {directory}/gateway.log")]:
        gateway = kit.Gateway(arguments.binary, f"{directory}/gateway-{name}")
        config = f"{gateway.directory}/conf/config.yaml"
        with open(config) as file:
            text = file.read()
        with open(config, "w") as file:
            file.write(text.replace("enable_access_log: false", f"enable_access_log: {setting}"))
        gateway.start()
        subprocess.run(["taskset", "-a", "-p", "-c", "0", str(gateway.process.pid)], check=True, stdout=subprocess.DEVNULL)
        kit.put(gateway.admin(), "routes/1", {"uri": "/*", "upstream": {"nodes": {f"127.0.0.1:{origin_port}": 1}}})
        running.append(gateway)
        sides[f"gateway, {name}"] = (gateway.proxy_port, gateway.process.pid)
    time.sleep(0.5)
    for port, _ in sides.values():
        wrk(port, 1)
    rounds = []
    for number in range(arguments.count or 9):
        order = list(sides)[number % 4:] + list(sides)[:number % 4]
        measured = {}
        for name in order:
            port, pid = sides[name]
            every = processes(pid)
            before = sum(sum(kit.cpu_seconds(one)) for one in every)
            requests = wrk(port, 2)
            used = sum(sum(kit.cpu_seconds(one)) for one in every) - before
            measured[name] = used / requests * 1e6
        rounds.append(measured)
    for name in sides:
        print(f"{name:14} {statistics.median(one[name] for one in rounds):6.2f} us of CPU time a request")
    for name in ("nginx", "gateway"):
        # What a core that is full loses.
        lost = sorted(1 - one[f"{name}, off"] / one[f"{name}, on"] for one in rounds)
        print(f"{name}: the line costs {statistics.median(lost):.1%} of throughput ({lost[0]:.1%} to {lost[-1]:.1%})")
    for one in [*running, origin]:
        one.stop()
    return 0


MEASURES = {"log": measure_log}
