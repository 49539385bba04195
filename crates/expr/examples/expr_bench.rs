//! What a compiled comparison costs. Run it with `cargo run --release -p lockgate-expr --example expr_bench`.
//!
//! Prints nanoseconds per evaluation, the best of several rounds. The lookup is one comparison of names, so that what is measured is the expression.
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::borrow::Cow;
use std::hint::black_box;
use std::time::Instant;

use lockgate_expr::{Expr, Lookup, Variable};
use serde_json::json;

const ROUNDS: usize = 15;
const EVALUATIONS: u32 = 500_000;

struct Request {
    value: &'static str,
}

impl Lookup for Request {
    fn lookup<'a>(&'a self, variable: &Variable) -> Option<Cow<'a, [u8]>> {
        match variable {
            Variable::Header(name) if &**name == "x-tenant" => {
                Some(Cow::Borrowed(self.value.as_bytes()))
            }
            _ => None,
        }
    }
}

fn main() {
    let cases = [
        ("==", json!([["http_x_tenant", "==", "blue"]])),
        ("== absent", json!([["http_x_other", "==", "blue"]])),
        ("> number", json!([["http_x_tenant", ">", 10]])),
        (
            "in 4",
            json!([["http_x_tenant", "in", ["a", "b", "c", "blue"]]]),
        ),
        (
            "in 100",
            json!([[
                "http_x_tenant",
                "in",
                (0..100).map(|n| format!("t{n}")).collect::<Vec<_>>()
            ]]),
        ),
        ("~~", json!([["http_x_tenant", "~~", "^bl[a-z]+$"]])),
        (
            "~~ look-ahead",
            json!([["http_x_tenant", "~~", "^(?!red)"]]),
        ),
        (
            "ipmatch",
            json!([["http_x_tenant", "ipmatch", ["10.0.0.0/8", "192.168.0.0/16"]]]),
        ),
        (
            "OR of 3",
            json!([
                "OR",
                ["http_a", "==", "1"],
                ["http_b", "==", "1"],
                ["http_x_tenant", "==", "blue"]
            ]),
        ),
    ];
    let request = Request { value: "blue" };
    for (name, rules) in cases {
        let expr = Expr::compile(&rules).expect("the expression is well-formed");
        let best = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                for _ in 0..EVALUATIONS {
                    black_box(black_box(&expr).eval(black_box(&request)));
                }
                start.elapsed().as_secs_f64() * 1e9 / f64::from(EVALUATIONS)
            })
            .fold(f64::INFINITY, f64::min);
        println!("{name:16} {best:6.1} ns");
    }
}
