//! The keywords of arrays.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use serde_json::Value;

use super::Checker;
use crate::finding::Finding;
use crate::lua::{self, Kind};
use crate::node::{ArrayRules, Items, NodeId, Rest};

impl<'s> Checker<'s> {
    /// Checks `[]`, `{}` or an array with items.
    pub(super) fn array(self, rules: &'s ArrayRules, value: &mut Value) -> Result<(), Finding> {
        let items: &mut [Value] = match value {
            Value::Array(items) => items,
            _ => &mut [],
        };
        let count = items.len();
        if let Some(least) = rules.least.as_ref().filter(|least| least.is_above(count)) {
            return Err(Finding::too_few_items(&least.text));
        }
        if let Some(most) = rules.most.as_ref().filter(|most| most.is_below(count)) {
            return Err(Finding::too_many_items(&most.text));
        }
        match &rules.items {
            Some(Items::List(node)) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(*node, item)
                        .map_err(|inner| Finding::in_item(index + 1, &inner))?;
                }
            }
            Some(Items::Tuple { items: nodes, rest }) => self.tuple(nodes, rest, items)?,
            None => {}
        }
        if rules.is_unique
            && let Some((first, second)) = equal_items(items)
        {
            return Err(Finding::equal_items(first + 1, second + 1));
        }
        Ok(())
    }

    fn tuple(self, nodes: &[NodeId], rest: &Rest, items: &mut [Value]) -> Result<(), Finding> {
        for (index, (node, item)) in nodes.iter().zip(items.iter_mut()).enumerate() {
            self.node(*node, item)
                .map_err(|inner| Finding::in_item(index + 1, &inner))?;
        }
        for (index, item) in items.iter_mut().enumerate().skip(nodes.len()) {
            match rest {
                Rest::Any => break,
                Rest::Forbidden => return Err(Finding::extra_items()),
                Rest::Schema(node) => self
                    .node(*node, item)
                    .map_err(|inner| Finding::in_additional_item(index + 1, &inner))?,
            }
        }
        Ok(())
    }
}

/// The positions of two equal items: scalars first, as the reference compares them, then tables.
fn equal_items(items: &[Value]) -> Option<(usize, usize)> {
    let hasher = RandomState::new();
    let mut seen: HashMap<u64, Vec<usize>> = HashMap::new();
    // An earlier item that is equal to this one.
    let mut earlier = |index: usize, item: &Value| {
        let alike = seen.entry(digest(item, &hasher)).or_default();
        let is_equal = |other: &&usize| {
            items
                .get(**other)
                .is_some_and(|other| lua::equal(other, item))
        };
        let found = alike.iter().find(is_equal).copied();
        alike.push(index);
        found
    };
    let (tables, scalars): (Vec<_>, Vec<_>) = items
        .iter()
        .enumerate()
        .partition(|(_, item)| Kind::of(item).is_table());
    for (index, item) in scalars {
        if let Some(first) = earlier(index, item) {
            return Some((first, index));
        }
    }
    // The reference takes the pair whose first item comes first.
    tables
        .into_iter()
        .filter_map(|(index, item)| Some((earlier(index, item)?, index)))
        .min()
}

/// A hash that is the same for values that are [`lua::equal`].
fn digest(value: &Value, hasher: &RandomState) -> u64 {
    match value {
        Value::Null => 0,
        Value::Bool(flag) => hasher.hash_one(flag),
        // Adding zero makes one of the two zeros.
        Value::Number(number) => hasher.hash_one((lua::double(number) + 0.0).to_bits()),
        Value::String(text) => hasher.hash_one(text),
        Value::Array(items) => items
            .iter()
            .fold(0, |sum, item| hasher.hash_one((sum, digest(item, hasher)))),
        // Members have no order.
        Value::Object(members) => members.iter().fold(0, |sum: u64, (name, member)| {
            sum.wrapping_add(hasher.hash_one((name, digest(member, hasher))))
        }),
    }
}
