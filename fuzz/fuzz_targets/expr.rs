//! Any bytes as a `vars` expression, a template and a log format: compiling and evaluating them ends and never panics.
//!
//! Input: up to the first zero byte the value every variable has, behind it the text to compile.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use lockgate_expr::{Expr, Lookup, Template, Value, Variable};

struct Same<'d>(&'d [u8]);

impl Lookup for Same<'_> {
    fn lookup<'a>(&'a self, variable: &Variable) -> Option<Cow<'a, [u8]>> {
        (!matches!(variable, Variable::Unknown(_))).then_some(Cow::Borrowed(self.0))
    }

    fn value<'a>(&'a self, variable: &Variable) -> Option<Value<'a>> {
        match variable {
            Variable::GraphqlRootFields => Some(Value::List(vec![Value::Text(Cow::Borrowed(self.0))])),
            _ => self.lookup(variable).map(Value::Text),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let (value, text) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (&b"value"[..], data),
    };
    let request = Same(value);
    if let Ok(rules) = serde_json::from_slice(text)
        && let Ok(expr) = Expr::compile(&rules)
    {
        expr.eval(&request);
    }
    if let Ok(text) = std::str::from_utf8(text) {
        let mut out = Vec::new();
        Template::parse(text).render(&request, &mut out);
        if let Ok(format) = Template::parse_log_format(text) {
            format.render(&request, &mut out);
        }
    }
});
