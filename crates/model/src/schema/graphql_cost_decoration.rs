//! The weight of one position in an upstream's GraphQL schema, which belongs to a service.

use serde_json::{Value, json};

use super::part;

/// A GraphQL cost decoration.
pub(super) fn decoration() -> Value {
    json!({
        "type": "object",
        "properties": {
            "add_arguments": arguments("query arguments whose values are added to add_value"),
            "add_value": cost("the field's own cost"),
            "create_time": part::timestamp(),
            "desc": part::desc(),
            "field_path": {
                "type": "string",
                "description": "the decorated position in the schema graph. A single <GraphQL type> weights every field returning that type; <GraphQL type>.<field> weights that field wherever it is selected; further field segments pin the decoration to one chain of selections, as in Query.products.nodes.reviews. The root type (Query / Mutation) names the operation itself, and so weights the whole query",
                "pattern": r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$",
            },
            "id": part::id(),
            "labels": part::labels(),
            "mul_arguments": arguments("query arguments whose values are multiplied into mul_value"),
            "mul_value": cost("multiplies the cost of everything selected under the field"),
            "name": part::name(),
            "service_id": part::id(),
            "update_time": part::timestamp(),
        },
        "required": ["field_path"],
        "additionalProperties": false,
    })
}

fn arguments(description: &str) -> Value {
    json!({
        "type": "array",
        "description": description,
        "items": {"type": "string", "minLength": 1},
    })
}

fn cost(description: &str) -> Value {
    json!({"type": "number", "description": description, "minimum": 0, "default": 1})
}
