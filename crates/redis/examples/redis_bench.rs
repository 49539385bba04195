//! How many scripts per second one worker gets answered, with a given number in flight.
//!
//! `cargo run --release -p lockgate-redis --example redis_bench [calls in flight] [seconds per run]`; starts its own server on
//! loopback. The last figure is the processor time of this process per call.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints, and stops where it cannot go on"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use lockgate_net::dns::{DnsOptions, Resolver};
use lockgate_redis::{Address, Clients, Options, Script, Settings, Single};
use lockgate_testkit::redis::Redis;

/// A counter with an end, as limiting plugins ask for one with each request.
const SCRIPT: &str = "
    local count = redis.call('INCRBY', KEYS[1], ARGV[1])
    if count == tonumber(ARGV[1]) then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
    return {count, redis.call('PTTL', KEYS[1])}";

const RUNS: usize = 5;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| {
        let given = arguments.next();
        given.map_or(default, |text| text.parse().expect("a number"))
    };
    let (in_flight, seconds) = (number(64), number(2));
    let server = Redis::start();
    let clients = Clients::new(Options {
        resolver: Resolver::new(DnsOptions::default()),
        trusted: None,
        workers: 1,
    });
    let settings = Settings::Single(Single::new(Address::new("127.0.0.1", server.port())));
    let client = clients.get(&settings).expect("a client");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let script = Script::new(SCRIPT);
    for _run in 0..RUNS {
        let (calls, is_over) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (began, used) = (Instant::now(), processor_time());
        runtime.block_on(async {
            let tasks: Vec<_> = (0..in_flight)
                .map(|task| {
                    let (client, script) = (client.clone(), script.clone());
                    let (calls, is_over) = (calls.clone(), is_over.clone());
                    tokio::spawn(async move {
                        let key = format!("plugin-limit-count:route:{task}");
                        let args = [1_i64.into(), 60_i64.into()];
                        while !is_over.load(Relaxed) {
                            let answer = client.eval(0, &script, &[(&key).into()], &args).await;
                            answer.expect("an answer");
                            calls.fetch_add(1, Relaxed);
                        }
                    })
                })
                .collect();
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            is_over.store(true, Relaxed);
            for task in tasks {
                task.await.expect("a task");
            }
        });
        let calls = calls.load(Relaxed) as f64;
        println!(
            "{:.0} calls/s, {:.2} µs of processor time per call",
            calls / began.elapsed().as_secs_f64(),
            processor_time().saturating_sub(used).as_secs_f64() * 1e6 / calls
        );
    }
}

/// What this process has used so far, in user and kernel mode (proc(5), hundredths of a second).
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc is there");
    let (_name, rest) = stat.rsplit_once(')').expect("a name in parentheses");
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |field: usize| -> u64 {
        let text = fields.get(field).expect("a field");
        text.parse().expect("a number")
    };
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}
