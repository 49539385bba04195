//! What does one more plugin whose hook does nothing cost a request, by phase and form of the hook?
//!
//! `cargo run --release -p lockgate-plugin --example hook_bench`; each figure is the median of nine runs in time on a CPU, so
//! that other work on the machine counts as little as it can. Chains of none, one, eight and 32 plugins run one phase; what
//! one hook costs is the difference between none and 32, divided by 32.

use std::{
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
};

use lockgate_plugin::{
    About, Access, AccessAsync, Chain, Compile, ConfigError, Exchange, Flow, HeaderFilter, Hooks,
    Log, Plugin, PluginSet,
    host::{Phase, Slot, run},
    testing::{Kit, Request},
};
use serde_json::{Value, json};

const REQUESTS: usize = 1_000_000;
const RUNS: usize = 9;
const COUNTS: [usize; 4] = [0, 1, 8, 32];

/// A plugin that does nothing, in a form of hook.
macro_rules! idle {
    ($name:ident, $register:ident, $hook:item) => {
        struct $name;

        impl Plugin for $name {
            const ABOUT: About = About::new("idle", 1, "{}");
            type Config = Value;

            fn compile(_: Value, _: &Compile<'_>) -> Result<Self, ConfigError> {
                Ok(Self)
            }

            fn hooks(self: Arc<Self>, on: &mut Hooks) {
                on.$register(self);
            }
        }

        $hook
    };
}

idle!(
    Idle,
    access,
    impl Access for Idle {
        fn access(&self, ex: &mut Exchange<'_>) -> Flow {
            black_box(ex);
            Flow::Next
        }
    }
);

idle!(
    IdleAsync,
    access_async,
    impl AccessAsync for IdleAsync {
        async fn access(&self, ex: &mut Exchange<'_>) -> Flow {
            black_box(ex);
            Flow::Next
        }
    }
);

idle!(
    IdleFilter,
    header_filter,
    impl HeaderFilter for IdleFilter {
        fn header_filter(&self, ex: &mut Exchange<'_>) {
            black_box(ex);
        }
    }
);

idle!(
    IdleLog,
    log,
    impl Log for IdleLog {
        fn log(&self, ex: &mut Exchange<'_>) {
            black_box(ex);
        }
    }
);

#[expect(clippy::print_stdout, reason = "its figures are for a person")]
fn main() {
    println!(
        "nanoseconds per request and phase\n{:<28}{:>8}{:>8}{:>8}{:>8}{:>16}",
        "hooks", "0", "1", "8", "32", "one more hook"
    );
    row::<Idle>("access", &access);
    row::<IdleAsync>("access, may wait", &access);
    row::<IdleFilter>("header_filter", &|chain, request| {
        chain.filter_head(None, &mut Exchange::new(request));
    });
    row::<IdleLog>("log", &|chain, request| {
        chain.log(None, &mut Exchange::new(request));
    });
}

/// Runs the phase as a worker does; none of these hooks waits.
fn access(chain: &Chain, request: &mut Request) {
    let mut ex = Exchange::new(request);
    let run = pin!(run(chain, Phase::Access, None, &mut ex));
    let polled = run.poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_ready(), "a hook waits");
}

#[expect(clippy::print_stdout, reason = "its figures are for a person")]
fn row<P: Plugin>(name: &str, run: &dyn Fn(&Chain, &mut Request)) {
    let kit = Kit::new();
    let figures = COUNTS.map(|count| {
        let chain = chain_of::<P>(&kit, count);
        let mut request = Request::get("/hello").header("apikey", "secret");
        let mut time = || {
            let began = cpu_ns();
            for _ in 0..REQUESTS {
                run(black_box(&chain), &mut request);
            }
            (cpu_ns() - began) / REQUESTS as f64
        };
        time();
        let mut runs: Vec<f64> = (0..RUNS).map(|_| time()).collect();
        runs.sort_by(f64::total_cmp);
        runs.get(RUNS / 2).copied().unwrap_or_default()
    });
    let [none, .., most] = figures;
    print!("{name:<28}");
    for figure in figures {
        print!("{figure:>8.1}");
    }
    println!("{:>16.2}", (most - none) / 32.0);
}

/// A chain of so many plugins, each configured on its own.
fn chain_of<P: Plugin>(kit: &Kit, count: usize) -> Chain {
    let mut set = PluginSet::default();
    for number in 0..count {
        let one = kit.plugin::<P>(&json!({})).expect("valid");
        for (instance, _) in one.chain.plugins() {
            let name = format!("idle-{number}").leak();
            set.insert(name, Slot::On(instance.clone()));
        }
    }
    Chain::of(&set).unwrap_or_default()
}

/// Nanoseconds this thread has run for, as Linux counts them.
fn cpu_ns() -> f64 {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = counts.split(' ').next().and_then(|text| text.parse().ok());
    ns.unwrap_or_default()
}
