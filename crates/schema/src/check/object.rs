//! The keywords of objects.

use serde_json::{Map, Value};

use super::Checker;
use crate::finding::Finding;
use crate::node::{Additional, Dependency, ObjectRules, Property};

impl<'s> Checker<'s> {
    /// Checks `{}`, `[]` or an object with members.
    pub(super) fn object(self, rules: &'s ObjectRules, value: &mut Value) -> Result<(), Finding> {
        for property in &rules.properties {
            self.property(property, value)?;
        }
        if let Some(missing) = rules.required.iter().find(|name| !has(value, name)) {
            return Err(Finding::required(missing));
        }
        for (name, dependency) in &rules.dependencies {
            if has(value, name) {
                self.dependency(name, dependency, value)?;
            }
        }
        if !rules.patterns.is_empty() || rules.additional.is_some() {
            for (name, member) in value.as_object_mut().into_iter().flatten() {
                self.member(rules, name, member)?;
            }
        }
        let count = value.as_object().map_or(0, Map::len);
        if let Some(least) = rules.least.as_ref().filter(|least| least.is_above(count)) {
            return Err(Finding::too_few_properties(&least.text));
        }
        if let Some(most) = rules.most.as_ref().filter(|most| most.is_below(count)) {
            return Err(Finding::too_many_properties(&most.text));
        }
        Ok(())
    }

    fn property(self, property: &'s Property, value: &mut Value) -> Result<(), Finding> {
        let Property { name, .. } = property;
        if let Some(member) = value.get_mut(&**name) {
            self.node(property.node, member)
                .map_err(|inner| Finding::in_property(name, &inner))?;
            if let Some(dependency) = &property.dependency {
                self.dependency(name, dependency, value)?;
            }
            return Ok(());
        }
        if property.is_required {
            return Err(Finding::required(name));
        }
        if let Some(default) = &property.default {
            if value.is_array() {
                // An empty list is an empty object.
                *value = Value::Object(Map::new());
            }
            if let Value::Object(members) = value {
                members.insert(name.to_string(), default.clone());
            }
        }
        Ok(())
    }

    fn dependency(
        self,
        present: &str,
        dependency: &'s Dependency,
        value: &mut Value,
    ) -> Result<(), Finding> {
        match dependency {
            Dependency::Properties(names) => match names.iter().find(|name| !has(value, name)) {
                Some(missing) => Err(Finding::required_with(missing, present)),
                None => Ok(()),
            },
            Dependency::Schema(node) => self
                .node(*node, value)
                .map_err(|inner| Finding::in_dependent(present, &inner)),
        }
    }

    /// `patternProperties` and `additionalProperties` for one member.
    fn member(self, rules: &'s ObjectRules, name: &str, member: &mut Value) -> Result<(), Finding> {
        let mut is_matched = false;
        for (pattern, node) in &rules.patterns {
            if pattern.is_match(name) {
                self.node(*node, member)
                    .map_err(|inner| Finding::in_matching(name, pattern.source(), &inner))?;
                is_matched = true;
            }
        }
        let Some(additional) = &rules.additional else {
            return Ok(());
        };
        if is_matched || additional.knows(name) {
            return Ok(());
        }
        match additional.node {
            None => Err(Finding::additional(name)),
            Some(node) => self
                .node(node, member)
                .map_err(|inner| Finding::in_additional(name, &inner)),
        }
    }
}

impl Additional {
    fn knows(&self, name: &str) -> bool {
        self.known
            .binary_search_by(|known| (**known).cmp(name))
            .is_ok()
    }
}

fn has(value: &Value, name: &str) -> bool {
    value.get(name).is_some()
}
