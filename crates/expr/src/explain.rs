//! Why an expression holds for a request or does not, for people: which comparisons decide, and what the values were.
//!
//! A comparison is decided by the code that decides it for traffic. What is added is a third outcome, for requests of which not every
//! value is known: a comparison of an unknown value is neither true nor false, and an expression depends on it unless others decide
//! (S. C. Kleene's strong logic).

use serde_json::Value as Json;

use crate::{
    Expr, Lookup, Variable,
    expr::{Comparison, Group, Join, Node, logical_operator, text_of},
    limits::SHOWN_VALUE_BYTES,
};

/// Something that knows some values, and which it does not know.
pub trait PartialLookup: Lookup {
    /// Whether [`Lookup::value`] tells what the variable has, be it that it is absent.
    fn is_known(&self, variable: &Variable) -> bool;
}

/// What comes of an expression where some values may be unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is true, whatever the unknown values are.
    Holds,
    /// It is false, whatever they are, because of these comparisons.
    Fails(Vec<Blamed>),
    /// It depends on the values of these variables.
    Depends(Vec<String>),
}

/// A comparison because of which an expression is false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blamed {
    /// The comparison as it was written, in JSON.
    pub rule: String,
    /// The variable that it looks at.
    pub variable: String,
    /// What that has, cut off where it is long; `None` where it is absent.
    pub value: Option<String>,
    /// What came of the comparison; the other would be needed.
    pub held: bool,
}

impl Expr {
    /// Why the expression holds or does not. [`Verdict::Holds`] exactly where [`Self::eval`] is true, if every value is known.
    pub fn explain<L: PartialLookup + ?Sized>(&self, lookup: &L) -> Verdict {
        let Some(root) = self.root() else {
            return Verdict::Holds;
        };
        match root.outcome(lookup) {
            Some(true) => Verdict::Holds,
            Some(false) => {
                let source = serde_json::from_str(self.source()).unwrap_or_default();
                let mut blamed = Vec::new();
                blame_group(root, &source, true, lookup, &mut blamed);
                Verdict::Fails(blamed)
            }
            None => {
                let mut names = Vec::new();
                root.unknown(lookup, &mut names);
                Verdict::Depends(names)
            }
        }
    }
}

impl Group {
    /// Whether it holds; `None` where that depends on what is not known.
    fn outcome<L: PartialLookup + ?Sized>(&self, lookup: &L) -> Option<bool> {
        let decisive = match self.joins {
            Join::All => false,
            Join::Any => true,
        };
        let mut joined = Some(!decisive);
        for node in &self.nodes {
            match node.outcome(lookup) {
                Some(holds) if holds == decisive => return Some(decisive != self.negated),
                Some(_) => {}
                None => joined = None,
            }
        }
        joined.map(|joined| joined != self.negated)
    }

    /// Adds the variables that it depends on.
    fn unknown<L: PartialLookup + ?Sized>(&self, lookup: &L, names: &mut Vec<String>) {
        for node in self
            .nodes
            .iter()
            .filter(|node| node.outcome(lookup).is_none())
        {
            match node {
                Node::Group(group) => group.unknown(lookup, names),
                Node::Comparison(comparison) => {
                    let name = comparison.variable.name().into_owned();
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
        }
    }
}

impl Node {
    fn outcome<L: PartialLookup + ?Sized>(&self, lookup: &L) -> Option<bool> {
        match self {
            Self::Group(group) => group.outcome(lookup),
            Self::Comparison(comparison) => lookup
                .is_known(&comparison.variable)
                .then(|| self.eval(lookup)),
        }
    }
}

/// Adds the comparisons because of which a group is not `wanted`. `source` is what it was compiled from.
fn blame_group<L: PartialLookup + ?Sized>(
    group: &Group,
    source: &Json,
    wanted: bool,
    lookup: &L,
    blamed: &mut Vec<Blamed>,
) {
    let wanted = wanted != group.negated;
    // Where one node is enough to decide, the first that does is shown; else all of them decided together.
    let one_decides = match group.joins {
        Join::All => wanted,
        Join::Any => !wanted,
    };
    let culprits = group
        .nodes
        .iter()
        .zip(operands(source))
        .filter(|(node, _)| node.outcome(lookup) == Some(!wanted));
    for (node, source) in culprits.take(if one_decides { 1 } else { usize::MAX }) {
        match node {
            Node::Group(group) => blame_group(group, source, wanted, lookup, blamed),
            Node::Comparison(comparison) => {
                blamed.push(Blamed {
                    rule: source.to_string(),
                    variable: comparison.variable.name().into_owned(),
                    value: shown(comparison, lookup),
                    held: !wanted,
                });
            }
        }
    }
}

/// The operands of a group as they were written, without the operator in front.
fn operands(source: &Json) -> &[Json] {
    let items = source.as_array().map_or(&[][..], Vec::as_slice);
    let is_operator = |item: &Json| {
        let text = text_of(item);
        text.is_ok_and(|text| logical_operator(&text).is_some())
    };
    match items {
        [first, operands @ ..] if is_operator(first) => operands,
        all => all,
    }
}

/// The value that a comparison looks at.
fn shown<L: Lookup + ?Sized>(comparison: &Comparison, lookup: &L) -> Option<String> {
    let value = lookup.value(&comparison.variable)?;
    let mut text = Vec::new();
    value.write_shown(&mut text);
    let is_long = text.len() > SHOWN_VALUE_BYTES;
    text.truncate(SHOWN_VALUE_BYTES);
    let mut shown = String::from_utf8_lossy(&text).into_owned();
    if is_long {
        shown.push('…');
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// `arg_a`, `arg_b`, `arg_c`: their values, and whether they are known.
    #[derive(Debug, Clone)]
    struct Args([(Option<&'static str>, bool); 3]);

    impl Args {
        fn of(&self, variable: &Variable) -> (Option<&'static str>, bool) {
            let place = match variable {
                Variable::Arg(name) => ["a", "b", "c"].iter().position(|known| **name == **known),
                _ => None,
            };
            place.map_or((None, true), |place| self.0[place])
        }
    }

    impl Lookup for Args {
        fn lookup<'a>(&'a self, variable: &Variable) -> Option<Cow<'a, [u8]>> {
            let (value, is_known) = self.of(variable);
            assert!(is_known, "an unknown value is not asked for");
            value.map(|value| Cow::Borrowed(value.as_bytes()))
        }
    }

    impl PartialLookup for Args {
        fn is_known(&self, variable: &Variable) -> bool {
            self.of(variable).1
        }
    }

    fn explain(rules: &Json, args: &Args) -> Verdict {
        Expr::compile(rules).expect("compiles").explain(args)
    }

    #[test]
    fn names_the_comparisons_that_decide() {
        let args = Args([(Some("x"), true), (None, true), (Some("1"), false)]);
        let is = |name: &str, value: &str| json!([format!("arg_{name}"), "==", value]);
        let (a, b, c) = (is("a", "x"), is("b", "y"), is("c", "z"));
        for (rules, expected) in [
            (json!([]), "holds"),
            (json!([a]), "holds"),
            (json!([a, b]), "arg_b absent is false"),
            (json!([a, ["arg_a", "!", "==", "x"]]), "arg_a=x is false"),
            (
                json!(["OR", b, ["arg_a", ">", 5]]),
                "arg_b absent is false, arg_a=x is false",
            ),
            (json!(["!AND", a, a]), "arg_a=x is true, arg_a=x is true"),
            (json!(["!OR", b, a]), "arg_a=x is true"),
            (json!([["!OR", b, ["OR", b, a]]]), "arg_a=x is true"),
            // What is not known does not matter where others decide.
            (json!([c, b]), "arg_b absent is false"),
            (json!(["OR", c, a]), "holds"),
            (json!([a, c]), "depends on arg_c"),
            (json!(["OR", b, ["!AND", a, c]]), "depends on arg_c"),
        ] {
            let said = match explain(&rules, &args) {
                Verdict::Holds => "holds".to_owned(),
                Verdict::Depends(names) => format!("depends on {}", names.join(", ")),
                Verdict::Fails(blamed) => {
                    let blamed = blamed.iter().map(|one| {
                        let value = one.value.as_ref();
                        let value = value.map_or(" absent".to_owned(), |value| format!("={value}"));
                        assert!(rules.to_string().contains(&one.rule), "{}", one.rule);
                        format!("{}{value} is {}", one.variable, one.held)
                    });
                    blamed.collect::<Vec<_>>().join(", ")
                }
            };
            assert_eq!(said, expected, "{rules}");
        }
    }

    #[test]
    fn long_values_are_cut_off() {
        let text: &'static str = "ä".repeat(SHOWN_VALUE_BYTES).leak();
        let args = Args([(Some(text), true), (None, true), (None, true)]);
        let Verdict::Fails(blamed) = explain(&json!([["arg_a", "==", "x"]]), &args) else {
            panic!("it is false");
        };
        let value = blamed[0].value.as_ref().expect("there");
        assert!(value.ends_with('…') && value.len() < SHOWN_VALUE_BYTES + 8);
    }

    fn any_rules() -> impl Strategy<Value = Json> {
        let comparison = (
            prop::sample::select(vec!["arg_a", "arg_b", "arg_c"]),
            prop::sample::select(vec!["==", "~=", "~~", "in"]),
            any::<bool>(),
        )
            .prop_map(|(name, operator, negated)| {
                let right = if operator == "in" {
                    json!(["x"])
                } else {
                    json!("x")
                };
                if negated {
                    json!([name, "!", operator, right])
                } else {
                    json!([name, operator, right])
                }
            });
        comparison.prop_recursive(3, 12, 3, |inner| {
            let operator = prop::sample::select(vec!["AND", "OR", "!AND", "!OR"]);
            (operator, prop::collection::vec(inner, 2..4)).prop_map(|(operator, mut nodes)| {
                nodes.insert(0, json!(operator));
                Json::Array(nodes)
            })
        })
    }

    proptest! {
        #[test]
        fn agrees_with_eval_whatever_the_unknown_values_are(rules in any_rules(), known in any::<[bool; 3]>()) {
            let expr = Expr::compile(&json!([rules])).expect("compiles");
            let values = [None, Some("x"), Some("y")];
            for of_known in 0..27 {
                let value = |place: usize, number: usize| values[number / 3_usize.pow(place as u32) % 3];
                let args = Args(std::array::from_fn(|place| (value(place, of_known), known[place])));
                let verdict = expr.explain(&args);
                // Every request that this may be.
                let outcomes: Vec<bool> = (0..27).map(|of_unknown| {
                    let number = |place: usize| if known[place] { of_known } else { of_unknown };
                    expr.eval(&Args(std::array::from_fn(|place| (value(place, number(place)), true))))
                }).collect();
                match verdict {
                    Verdict::Holds => prop_assert!(outcomes.iter().all(|holds| *holds)),
                    Verdict::Fails(blamed) => {
                        prop_assert!(outcomes.iter().all(|holds| !holds));
                        prop_assert!(!blamed.is_empty());
                    }
                    Verdict::Depends(names) => {
                        prop_assert!(known != [true; 3]);
                        prop_assert!(!names.is_empty());
                    }
                }
            }
        }
    }
}
