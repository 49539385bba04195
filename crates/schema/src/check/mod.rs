//! Checking a value, and filling in defaults on the way.
//!
//! The order of the checks and the first finding are those of the code that the reference generates. Filling in belongs to checking: what a property's default adds is seen by every check after it,
//! and stays even where the branch that added it fails.

mod array;
mod object;

use std::cell::Cell;

use serde_json::Value;

use crate::finding::Finding;
use crate::limits::{CHECK_DEPTH, CHECK_STEPS};
use crate::lua::{self, Kind};
use crate::node::{
    AnyOf, Condition, Contains, Node, NodeId, NumberRules, Rules, StringRules, Type, Types, Verdict,
};
use crate::secret::is_secret_reference;

/// Checks a value against a node of a schema.
pub(crate) fn check(nodes: &[Node], first: NodeId, value: &mut Value) -> Result<(), Finding> {
    let steps_left = Cell::new(CHECK_STEPS);
    let checker = Checker {
        nodes,
        depth: 0,
        steps_left: &steps_left,
    };
    let outcome = checker.node(first, value);
    if steps_left.get() == 0 {
        // Whatever the outcome is, it rests on branches that were given up.
        return Err(Finding::too_complex());
    }
    outcome
}

#[derive(Clone, Copy)]
struct Checker<'s> {
    nodes: &'s [Node],
    depth: usize,
    /// None are left once any bound was met.
    steps_left: &'s Cell<u32>,
}

impl<'s> Checker<'s> {
    fn node(self, id: NodeId, value: &mut Value) -> Result<(), Finding> {
        let steps_left = self.steps_left.get().saturating_sub(1);
        if steps_left == 0 || self.depth > CHECK_DEPTH {
            self.steps_left.set(0);
            return Err(Finding::too_complex());
        }
        self.steps_left.set(steps_left);
        let deeper = Self {
            depth: self.depth + 1,
            ..self
        };
        match self.nodes.get(id.0) {
            Some(Node::Rules(rules)) => deeper.rules(rules, value),
            Some(Node::Boolean(false)) => Err(Finding::always_false()),
            // Invariant: ids are made by the compiler of the same schema.
            Some(Node::Boolean(true)) | None => Ok(()),
        }
    }

    fn is_valid(self, id: NodeId, value: &mut Value) -> bool {
        self.node(id, value).is_ok()
    }

    fn rules(self, rules: &'s Rules, value: &mut Value) -> Result<(), Finding> {
        if rules.accepts_secret && value.as_str().is_some_and(is_secret_reference) {
            return Ok(());
        }
        // What the value was before defaults were filled in.
        let kind = Kind::of(value);
        if let Some(types) = &rules.types {
            check_type(types, kind, value)?;
        }
        if let Some(object) = &rules.object
            && kind.is_object()
        {
            self.object(object, value)?;
        }
        if rules.requires_empty && kind != Kind::Empty {
            return Err(Finding::not_empty());
        }
        if let Some(verdict) = rules.items_verdict {
            return apply(verdict, kind);
        }
        if let Some(array) = &rules.array
            && kind.is_array()
        {
            self.array(array, value)?;
        }
        match (&*value, &rules.string, &rules.number) {
            (Value::String(text), Some(string), _) => check_string(string, text)?,
            (Value::Number(number), _, Some(rules)) => check_number(rules, lua::double(number))?,
            _ => {}
        }
        if let Some(choices) = &rules.choices
            && !choices.iter().any(|choice| lua::equal(choice, value))
        {
            return Err(Finding::no_choice());
        }
        self.branches(rules, value)?;
        if let Some(verdict) = rules.names_verdict {
            return apply(verdict, kind);
        }
        if let (Some(format), Value::String(text)) = (&rules.format, &*value)
            && !format.is_match(text)
        {
            return Err(Finding::wrong_format(format.name(), text));
        }
        if let Some(constant) = &rules.constant
            && !lua::equal(constant, value)
        {
            return Err(Finding::not_constant());
        }
        match &rules.contains {
            Some(contains) => self.contains(contains, kind, value),
            None => Ok(()),
        }
    }

    /// `allOf`, `anyOf`, `oneOf`, `if`, `not`.
    fn branches(self, rules: &'s Rules, value: &mut Value) -> Result<(), Finding> {
        for (index, branch) in rules.all_of.iter().enumerate() {
            self.node(*branch, value)
                .map_err(|inner| Finding::in_all_of(index + 1, &inner))?;
        }
        if let Some(AnyOf { branches, required }) = &rules.any_of
            && !branches.iter().any(|branch| self.is_valid(*branch, value))
        {
            return Err(Finding::no_branch(required));
        }
        if let Some(branches) = &rules.one_of {
            self.one_of(branches, value)?;
        }
        if let Some(condition) = &rules.condition {
            self.condition(condition, value)?;
        }
        if let Some(not) = rules.not
            && self.is_valid(not, value)
        {
            return Err(Finding::matches_not());
        }
        Ok(())
    }

    fn one_of(self, branches: &[NodeId], value: &mut Value) -> Result<(), Finding> {
        let mut matched = None;
        for (index, branch) in branches.iter().enumerate() {
            if !self.is_valid(*branch, value) {
                continue;
            }
            if let Some(first) = matched {
                return Err(Finding::one_of_both(first, index + 1));
            }
            matched = Some(index + 1);
        }
        matched.map(|_| ()).ok_or_else(Finding::one_of_none)
    }

    fn condition(self, condition: &Condition, value: &mut Value) -> Result<(), Finding> {
        let holds = self.is_valid(condition.test, value);
        let (clause, finding): (_, fn() -> Finding) = if holds {
            (condition.then, Finding::then_clause)
        } else {
            (condition.otherwise, Finding::else_clause)
        };
        match clause {
            Some(clause) if !self.is_valid(clause, value) => Err(finding()),
            _ => Ok(()),
        }
    }

    fn contains(self, contains: &Contains, kind: Kind, value: &mut Value) -> Result<(), Finding> {
        match contains {
            Contains::Items if kind == Kind::Array => Ok(()),
            Contains::Items => Err(Finding::contains_expects_array()),
            Contains::Scalar if !kind.is_table() => Ok(()),
            Contains::Scalar => Err(Finding::contains_expects_table()),
            Contains::Schema(_) if kind == Kind::Empty => Err(Finding::contains_in_empty()),
            Contains::Schema(node) => {
                let Value::Array(items) = value else {
                    return Ok(());
                };
                // Every item is looked at, because looking fills in defaults.
                let mut is_found = false;
                for item in items {
                    is_found |= self.is_valid(*node, item);
                }
                is_found.then_some(()).ok_or_else(Finding::contains_none)
            }
        }
    }
}

/// A boolean `items` or `propertyNames`.
fn apply(verdict: Verdict, kind: Kind) -> Result<(), Finding> {
    match verdict {
        Verdict::Accept => Ok(()),
        Verdict::AcceptEmpty if kind == Kind::Empty => Ok(()),
        Verdict::AcceptEmpty => Err(Finding::always_false()),
    }
}

fn check_type(types: &Types, kind: Kind, value: &Value) -> Result<(), Finding> {
    let is_type = |accepted: &Type| match accepted {
        Type::Object => kind.is_object(),
        Type::Array => kind.is_array(),
        Type::Table => kind.is_table(),
        Type::Integer => {
            matches!(value, Value::Number(number) if lua::modulo(lua::double(number), 1.0) == 0.0)
        }
        Type::String => value.is_string(),
        Type::Boolean => value.is_boolean(),
        Type::Number => value.is_number(),
        Type::Null => value.is_null(),
        Type::Function => false,
    };
    if types.accepted.iter().any(is_type) {
        Ok(())
    } else {
        Err(Finding::wrong_type(&types.expected, lua::type_name(value)))
    }
}

fn check_string(rules: &StringRules, text: &str) -> Result<(), Finding> {
    if rules.least.is_some() || rules.most.is_some() {
        let length = text.chars().count();
        if let Some(least) = rules.least.as_ref().filter(|least| least.is_above(length)) {
            return Err(Finding::too_short(&least.text, length));
        }
        if let Some(most) = rules.most.as_ref().filter(|most| most.is_below(length)) {
            return Err(Finding::too_long(&most.text, length));
        }
    }
    match &rules.pattern {
        Some(pattern) if !pattern.is_match(text) => Err(Finding::no_match(pattern.source(), text)),
        _ => Ok(()),
    }
}

fn check_number(rules: &NumberRules, number: f64) -> Result<(), Finding> {
    type Fails = fn(f64, f64) -> bool;
    let bounds: [(_, Fails, _); 4] = [
        (&rules.minimum, |n, bound| n < bound, "at least"),
        (
            &rules.exclusive_minimum,
            |n, bound| n <= bound,
            "greater than",
        ),
        (&rules.maximum, |n, bound| n > bound, "at most"),
        (
            &rules.exclusive_maximum,
            |n, bound| n >= bound,
            "smaller than",
        ),
    ];
    for (bound, fails, relation) in bounds {
        if let Some(bound) = bound
            && fails(number, bound.number)
        {
            return Err(Finding::out_of_range(number, relation, &bound.text));
        }
    }
    match &rules.multiple_of {
        Some(divisor) if !is_multiple(number, divisor.number) => {
            Err(Finding::not_multiple(number, &divisor.text))
        }
        _ => Ok(()),
    }
}

/// Exactly for whole divisors, within a relative error of 1e-12 for others.
fn is_multiple(number: f64, divisor: f64) -> bool {
    if divisor.fract() == 0.0 {
        return lua::modulo(number, divisor) == 0.0;
    }
    let quotient = number / divisor;
    let rounded = (quotient + 0.5).floor();
    let scale = if rounded == 0.0 { 1.0 } else { rounded.abs() };
    (quotient - rounded).abs() <= 1e-12 * scale
}
