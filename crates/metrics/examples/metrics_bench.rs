//! What a request's updates cost, and a scrape. Run it with `cargo run --release -p lockgate-metrics --example metrics_bench`.
//!
//! A request is a status, two bandwidths and three latencies, found by one key of a memo. Prints nanoseconds per request, the best of
//! several rounds: alone, through the lock of a worker, over 10 000 routes in a scattered order, and with every series opened anew.
//! Then prints milliseconds of a processor per scrape of 10 000 routes with 10 statuses each, three latencies and two bandwidths, counted by two
//! recorders: the first scrape, which sorts, and the following ones. `updates` or `scrapes` behind `--` runs one half.
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::{hint::black_box, time::Instant};

use lockgate_metrics::{
    Bundle, Counter, CounterSeries, Histogram, HistogramSeries, Memo, Recorder, Recording,
    Registry, Workers, apisix,
};

/// Short ones, so that some of them are not interrupted on a busy machine.
const ROUNDS: usize = 500;
const REQUESTS: u32 = 10_000;
const SCRAPES: usize = 15;
const ROUTES: u32 = 10_000;
const STATUSES: [u16; 10] = [200, 201, 204, 301, 302, 400, 401, 404, 500, 503];

struct Families {
    status: Counter,
    latency: Histogram,
    bandwidth: Counter,
}

type Http = (CounterSeries, [HistogramSeries; 3], [CounterSeries; 2]);

/// What is known of a request.
struct Request<'a> {
    route_number: u64,
    route: &'a str,
    status: u16,
    consumer: &'a str,
    node: &'a str,
}

impl Families {
    fn declare(registry: &Registry) -> Self {
        let latency = &apisix::HTTP_LATENCY;
        Self {
            status: registry
                .counter(&apisix::HTTP_STATUS.declaration())
                .expect("a new name"),
            latency: registry
                .histogram(&latency.declaration(), &latency.default_buckets())
                .expect("a new name"),
            bandwidth: registry
                .counter(&apisix::BANDWIDTH.declaration())
                .expect("a new name"),
        }
    }

    fn open(&self, recording: &mut Recording<'_>, request: &Request<'_>) -> Http {
        let &Request {
            route,
            consumer,
            node,
            ..
        } = request;
        let code = request.status.to_string();
        let labels = [
            &*code,
            route,
            "/anything/*",
            "",
            "service-1",
            consumer,
            node,
            "traditional_http",
            "",
            "",
            "upstream",
        ];
        let by_type = |name: &'static str| {
            let kind = "traditional_http";
            [name, route, "service-1", consumer, node, kind, "", ""]
        };
        (
            recording.counter(&self.status, &labels),
            ["request", "upstream", "apisix"]
                .map(|name| recording.histogram(&self.latency, &by_type(name))),
            ["ingress", "egress"].map(|name| recording.counter(&self.bandwidth, &by_type(name))),
        )
    }

    fn log(
        &self,
        recorder: &mut Recorder,
        memo: &mut Memo<Http>,
        now_ms: u64,
        request: &Request<'_>,
    ) {
        let mut recording = recorder.at(now_ms);
        let (status, latency, bandwidth) = memo.get(
            &mut recording,
            |key| {
                key.number(request.route_number)
                    .number(u64::from(request.status))
                    .bytes(request.consumer.as_bytes())
                    .bytes(request.node.as_bytes())
                    .bytes(b"")
                    .bytes(b"");
            },
            |recording| self.open(recording, request),
        );
        count(&mut recording, status, latency, bandwidth);
    }
}

fn count(
    recording: &mut Recording<'_>,
    status: &CounterSeries,
    latency: &[HistogramSeries; 3],
    bandwidth: &[CounterSeries; 2],
) {
    recording.add(status, 1);
    for (series, ms) in latency.iter().zip([12.5, 12.0, 0.5]) {
        recording.observe(series, black_box(ms));
    }
    for (series, bytes) in bandwidth.iter().zip([320, 1500]) {
        recording.add(series, black_box(bytes));
    }
}

fn best(name: &str, mut round: impl FnMut()) {
    let best = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_secs_f64() * 1e9 / f64::from(REQUESTS)
        })
        .fold(f64::INFINITY, f64::min);
    println!("{name:44} {best:7.1} ns");
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("updates") => updates(),
        Some("scrapes") => scrapes(),
        _ => {
            updates();
            scrapes();
        }
    }
}

fn updates() {
    let registry = Registry::new("apisix_");
    let families = Families::declare(&registry);
    let routes: Vec<String> = (0..ROUTES).map(|n| format!("route-{n:05}")).collect();
    let request = |n: usize| Request {
        route_number: n as u64,
        route: routes.get(n).map_or("", String::as_str),
        status: 200,
        consumer: "jack",
        node: "10.20.30.40",
    };
    let (mut recorder, mut memo) = (registry.recorder(), Memo::new());
    best("a request", || {
        for now_ms in 0..u64::from(REQUESTS) {
            families.log(&mut recorder, &mut memo, now_ms, black_box(&request(7)));
        }
    });
    let mut recording = recorder.at(1);
    let (status, latency, bandwidth) = families.open(&mut recording, &request(7));
    best("its updates without the memo", || {
        for _ in 0..REQUESTS {
            count(&mut recording, black_box(&status), &latency, &bandwidth);
        }
    });
    let usable = (status, latency, bandwidth);
    best("whether its series are usable", || {
        for _ in 0..REQUESTS {
            black_box(black_box(&usable).is_usable(&recording));
        }
    });
    let workers = Workers::new(&registry, 2);
    best("a request, through the lock of a worker", || {
        for now_ms in 0..u64::from(REQUESTS) {
            workers.with(1, |recorder, memo| {
                families.log(recorder, memo, now_ms, black_box(&request(7)));
            });
        }
    });
    best("a request of one in 10 000 routes", || {
        let mut route = 1_u32;
        for now_ms in 0..u64::from(REQUESTS) {
            // Each route once before any comes again, in no order that a processor would guess.
            route = (route.wrapping_mul(7_621) + 1) % ROUTES;
            families.log(&mut recorder, &mut memo, now_ms, &request(route as usize));
        }
    });
    best("a request whose series are looked up by labels", || {
        for now_ms in 0..u64::from(REQUESTS) {
            let mut recording = recorder.at(now_ms);
            let (status, latency, bandwidth) = families.open(&mut recording, &request(7));
            count(&mut recording, &status, &latency, &bandwidth);
        }
    });
}

fn scrapes() {
    let registry = Registry::new("apisix_");
    let families = Families::declare(&registry);
    let start = Instant::now();
    let recorders: Vec<Recorder> = (0..2)
        .map(|_| {
            let (mut recorder, mut memo) = (registry.recorder(), Memo::new());
            for route_number in 0..ROUTES {
                for status in STATUSES {
                    let request = Request {
                        route_number: u64::from(route_number),
                        route: &format!("route-{route_number:05}"),
                        status,
                        consumer: "",
                        node: "10.20.30.40",
                    };
                    families.log(&mut recorder, &mut memo, 1, &request);
                }
            }
            recorder
        })
        .collect();
    println!(
        "{:44} {:7.1} ms",
        "opening 150 000 series twice",
        start.elapsed().as_secs_f64() * 1e3
    );
    let (ms, bytes, chunks) = scrape(&registry);
    println!(
        "{:44} {ms:7.1} ms, {bytes} bytes in {chunks} chunks",
        "first scrape"
    );
    let mut times: Vec<f64> = (0..SCRAPES).map(|_| scrape(&registry).0).collect();
    times.sort_unstable_by(f64::total_cmp);
    let at = |place: usize| times.get(place).copied().unwrap_or_default();
    let (least, median) = (at(0), at(SCRAPES / 2));
    println!(
        "{:44} {least:7.1} ms, median {median:.1} ms",
        "following scrapes, the best"
    );
    drop(recorders);
    let (ms, ..) = scrape(&registry);
    println!("{:44} {ms:7.1} ms", "scrape after the recorders are gone");
}

/// Milliseconds that this thread has had a processor for: what a busy machine does not add to.
fn on_cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = stat.split(' ').next().and_then(|ns| ns.parse().ok());
    ns.unwrap_or(0.0) / 1e6
}

fn scrape(registry: &Registry) -> (f64, usize, usize) {
    let start = on_cpu_ms();
    let (mut bytes, mut chunks, mut chunk) = (0, 0, Vec::new());
    let mut scrape = registry.scrape(2);
    while scrape.next_chunk(&mut chunk) {
        bytes += black_box(&chunk).len();
        chunks += 1;
    }
    (on_cpu_ms() - start, bytes, chunks)
}
