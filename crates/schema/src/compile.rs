//! From a JSON schema to nodes that can be checked.
//!
//! Keywords are read as the reference's code generator reads them (`generate_validator` in `lib/jsonschema.lua`), Lua's truth included: a keyword that is `false` is not there.

use std::collections::HashMap;
use std::ptr;

use serde_json::{Map, Value};

use crate::finding::SchemaError;
use crate::format::Format;
use crate::keyword::{Keywords, default, keyword, list, members, names, numeric, verdict};
use crate::limits::SCHEMA_DEPTH;
use crate::lua;
use crate::node::{
    Additional, AnyOf, ArrayRules, Condition, Contains, Dependency, Items, Limit, Node, NodeId,
    NumberRules, ObjectRules, Property, Rest, Rules, StringRules, Type, Types,
};
use crate::pattern::Pattern;
use crate::reference::References;

/// Compiles a schema to its nodes; the second value is where a check begins.
pub(crate) fn compile(root: &Value) -> Result<(Vec<Node>, NodeId), SchemaError> {
    let mut compiler = Compiler {
        references: References::of(root)?,
        nodes: Vec::new(),
        known: HashMap::new(),
    };
    let first = compiler.node(root, 0)?;
    Ok((compiler.nodes, first))
}

struct Compiler<'s> {
    references: References<'s>,
    nodes: Vec<Node>,
    /// Nodes by the address of their schema: a schema that is referred to twice, or by itself, is compiled once.
    known: HashMap<*const Value, NodeId>,
}

impl<'s> Compiler<'s> {
    fn node(&mut self, schema: &'s Value, depth: usize) -> Result<NodeId, SchemaError> {
        if depth > SCHEMA_DEPTH {
            return Err(SchemaError::TooDeep);
        }
        let schema = self.references.resolve(schema)?;
        let address = ptr::from_ref(schema);
        if let Some(known) = self.known.get(&address) {
            return Ok(*known);
        }
        let id = NodeId(self.nodes.len());
        self.nodes.push(Node::Boolean(true));
        self.known.insert(address, id);
        let node = match schema {
            Value::Bool(verdict) => Node::Boolean(*verdict),
            Value::Object(keywords) => Node::Rules(Box::new(self.rules(keywords, depth + 1)?)),
            // A list is a table without keywords.
            Value::Array(_) => Node::Boolean(true),
            Value::Null | Value::Number(_) | Value::String(_) => {
                return Err(SchemaError::NotASchema);
            }
        };
        if let Some(place) = self.nodes.get_mut(id.0) {
            *place = node;
        }
        Ok(id)
    }

    fn rules(&mut self, schema: &'s Keywords, depth: usize) -> Result<Rules, SchemaError> {
        let items_verdict = verdict(schema.get("items"));
        Ok(Rules {
            accepts_secret: schema
                .get("type")
                .is_none_or(|name| name.as_str() == Some("string")),
            types: types(schema)?,
            object: self.object(schema, depth)?,
            requires_empty: list(schema, "required")?.is_some_and(<[Value]>::is_empty),
            items_verdict,
            array: self.array(schema, depth)?,
            string: string(schema)?,
            number: number(schema)?,
            choices: choices(schema)?,
            all_of: self.branches(schema, "allOf", depth)?.unwrap_or_default(),
            any_of: self.any_of(schema, depth)?,
            one_of: self.branches(schema, "oneOf", depth)?,
            condition: self.condition(schema, depth)?,
            not: self.optional(schema, "not", depth)?,
            names_verdict: verdict(schema.get("propertyNames")),
            format: schema
                .get("format")
                .and_then(Value::as_str)
                .and_then(Format::named),
            constant: schema.get("const").cloned(),
            contains: match schema.get("contains") {
                None => None,
                Some(Value::Bool(true)) => Some(Contains::Items),
                Some(Value::Bool(false)) => Some(Contains::Scalar),
                Some(schema) => Some(Contains::Schema(self.node(schema, depth)?)),
            },
        })
    }

    fn object(
        &mut self,
        schema: &'s Keywords,
        depth: usize,
    ) -> Result<Option<ObjectRules>, SchemaError> {
        let is_there = [
            "properties",
            "patternProperties",
            "minProperties",
            "maxProperties",
            "dependencies",
            "required",
        ]
        .iter()
        .any(|name| keyword(schema, name).is_some());
        if !is_there && !schema.contains_key("additionalProperties") {
            return Ok(None);
        }
        let properties = members(schema, "properties")?;
        let dependencies = members(schema, "dependencies")?;
        let mut required = names(schema, "required")?;
        let mut rules = ObjectRules {
            least: numeric(schema, "minProperties")?.map(Limit::count),
            most: numeric(schema, "maxProperties")?.map(Limit::count),
            ..ObjectRules::default()
        };
        for (name, subschema) in properties.into_iter().flatten() {
            rules.properties.push(Property {
                name: name.as_str().into(),
                node: self.node(subschema, depth)?,
                is_required: required.remove(name.as_str()),
                dependency: match dependencies.and_then(|all| all.get(name)) {
                    Some(dependency) => Some(self.dependency(dependency, depth)?),
                    None => None,
                },
                default: subschema.get("default").and_then(default),
            });
        }
        // In the order of the list; each once.
        for name in list(schema, "required")?.into_iter().flatten() {
            if let Some(name) = name.as_str()
                && required.remove(name)
            {
                rules.required.push(name.into());
            }
        }
        for (name, dependency) in dependencies.into_iter().flatten() {
            if properties.is_none_or(|all| !all.contains_key(name)) {
                let dependency = self.dependency(dependency, depth)?;
                rules.dependencies.push((name.as_str().into(), dependency));
            }
        }
        for (pattern, subschema) in members(schema, "patternProperties")?.into_iter().flatten() {
            let node = self.node(subschema, depth)?;
            rules.patterns.push((Pattern::compile(pattern), node));
        }
        rules.additional = match schema.get("additionalProperties") {
            None | Some(Value::Bool(true)) => None,
            Some(additional) => {
                let mut known: Vec<Box<str>> = properties
                    .into_iter()
                    .flat_map(Map::keys)
                    .map(|name| name.as_str().into())
                    .collect();
                known.sort_unstable();
                let node = match additional {
                    Value::Object(_) | Value::Array(_) => Some(self.node(additional, depth)?),
                    _ => None,
                };
                Some(Additional { known, node })
            }
        };
        Ok(Some(rules))
    }

    fn dependency(
        &mut self,
        dependency: &'s Value,
        depth: usize,
    ) -> Result<Dependency, SchemaError> {
        match dependency {
            Value::Array(names) if !names.is_empty() => names
                .iter()
                .map(|name| {
                    name.as_str().map(Box::from).ok_or(SchemaError::Keyword {
                        keyword: "dependencies",
                        expected: "an object of schemas and lists of names",
                    })
                })
                .collect::<Result<_, _>>()
                .map(Dependency::Properties),
            schema => self.node(schema, depth).map(Dependency::Schema),
        }
    }

    fn array(
        &mut self,
        schema: &'s Keywords,
        depth: usize,
    ) -> Result<Option<ArrayRules>, SchemaError> {
        let items = match schema.get("items") {
            None | Some(Value::Bool(_)) => None,
            Some(Value::Array(items)) if !items.is_empty() => {
                let rest = match schema.get("additionalItems") {
                    Some(Value::Bool(false)) => Rest::Forbidden,
                    Some(rest @ (Value::Object(_) | Value::Array(_))) => {
                        Rest::Schema(self.node(rest, depth)?)
                    }
                    _ => Rest::Any,
                };
                Some(Items::Tuple {
                    items: self.nodes(items, depth)?,
                    rest,
                })
            }
            Some(items) => Some(Items::List(self.node(items, depth)?)),
        };
        let rules = ArrayRules {
            least: numeric(schema, "minItems")?.map(Limit::count),
            most: numeric(schema, "maxItems")?.map(Limit::count),
            items,
            is_unique: keyword(schema, "uniqueItems").is_some(),
        };
        let is_there = rules.least.is_some()
            || rules.most.is_some()
            || rules.items.is_some()
            || rules.is_unique;
        Ok(is_there.then_some(rules))
    }

    fn any_of(&mut self, schema: &'s Keywords, depth: usize) -> Result<Option<AnyOf>, SchemaError> {
        let Some(branches) = self.branches(schema, "anyOf", depth)? else {
            return Ok(None);
        };
        if branches.is_empty() {
            return Err(SchemaError::Keyword {
                keyword: "anyOf",
                expected: "a list with items",
            });
        }
        let required: Vec<String> = list(schema, "anyOf")?
            .into_iter()
            .flatten()
            .filter_map(|branch| keyword(branch.as_object()?, "required"))
            .map(Value::to_string)
            .collect();
        Ok(Some(AnyOf {
            branches,
            required: required.join(" or ").into(),
        }))
    }

    fn condition(
        &mut self,
        schema: &'s Keywords,
        depth: usize,
    ) -> Result<Option<Condition>, SchemaError> {
        let Some(test) = self.optional(schema, "if", depth)? else {
            return Ok(None);
        };
        Ok(Some(Condition {
            test,
            then: self.optional(schema, "then", depth)?,
            otherwise: self.optional(schema, "else", depth)?,
        }))
    }

    fn branches(
        &mut self,
        schema: &'s Keywords,
        name: &'static str,
        depth: usize,
    ) -> Result<Option<Vec<NodeId>>, SchemaError> {
        match list(schema, name)? {
            None => Ok(None),
            Some(branches) => self.nodes(branches, depth).map(Some),
        }
    }

    fn nodes(&mut self, schemas: &'s [Value], depth: usize) -> Result<Vec<NodeId>, SchemaError> {
        schemas
            .iter()
            .map(|schema| self.node(schema, depth))
            .collect()
    }

    fn optional(
        &mut self,
        schema: &'s Keywords,
        name: &str,
        depth: usize,
    ) -> Result<Option<NodeId>, SchemaError> {
        keyword(schema, name)
            .map(|subschema| self.node(subschema, depth))
            .transpose()
    }
}

fn types(schema: &Keywords) -> Result<Option<Types>, SchemaError> {
    const EXPECTED: &str = "a name or a list of names";
    match schema.get("type") {
        None => Ok(None),
        Some(Value::String(name)) => Ok(Some(Types {
            accepted: vec![Type::named(name)?],
            expected: name.as_str().into(),
        })),
        Some(Value::Array(list)) => {
            let names = list
                .iter()
                .map(|name| {
                    name.as_str().ok_or(SchemaError::Keyword {
                        keyword: "type",
                        expected: EXPECTED,
                    })
                })
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Some(Types {
                accepted: names
                    .iter()
                    .map(|name| Type::named(name))
                    .collect::<Result<_, _>>()?,
                expected: format!("one of {}", names.join(", ")).into(),
            }))
        }
        Some(_) => Err(SchemaError::Keyword {
            keyword: "type",
            expected: EXPECTED,
        }),
    }
}

fn string(schema: &Keywords) -> Result<Option<StringRules>, SchemaError> {
    let pattern = match keyword(schema, "pattern") {
        None => None,
        Some(Value::String(pattern)) => Some(Pattern::compile(pattern)),
        Some(_) => {
            return Err(SchemaError::Keyword {
                keyword: "pattern",
                expected: "a regular expression",
            });
        }
    };
    let length = |name| Ok(numeric(schema, name)?.map(f64::trunc).map(Limit::count));
    let rules = StringRules {
        least: length("minLength")?,
        most: length("maxLength")?,
        pattern,
    };
    let is_there = rules.least.is_some() || rules.most.is_some() || rules.pattern.is_some();
    Ok(is_there.then_some(rules))
}

fn number(schema: &Keywords) -> Result<Option<NumberRules>, SchemaError> {
    let bound = |name| Ok(numeric(schema, name)?.map(Limit::bound));
    let rules = NumberRules {
        minimum: bound("minimum")?,
        exclusive_minimum: bound("exclusiveMinimum")?,
        maximum: bound("maximum")?,
        exclusive_maximum: bound("exclusiveMaximum")?,
        multiple_of: bound("multipleOf")?,
    };
    let is_there = rules.minimum.is_some()
        || rules.exclusive_minimum.is_some()
        || rules.maximum.is_some()
        || rules.exclusive_maximum.is_some()
        || rules.multiple_of.is_some();
    Ok(is_there.then_some(rules))
}

fn choices(schema: &Keywords) -> Result<Option<Vec<Value>>, SchemaError> {
    let Some(choices) = list(schema, "enum")? else {
        return Ok(None);
    };
    if choices.is_empty() || choices.contains(&Value::Null) {
        return Err(SchemaError::Keyword {
            keyword: "enum",
            expected: "a list of values other than null",
        });
    }
    let through_text = |choice: &Value| match choice {
        Value::Number(number) => Value::from(lua::through_text(lua::double(number))),
        other => other.clone(),
    };
    Ok(Some(choices.iter().map(through_text).collect()))
}
