//! A document as text.

use crate::{Document, DocumentError};

impl Document {
    /// As YAML that the standalone mode reads, too: it ends with the mark that such a file needs.
    ///
    /// # Errors
    /// A value that YAML cannot carry.
    pub fn to_yaml(&self) -> Result<String, DocumentError> {
        if self.objects.is_empty() {
            return Ok("{}\n#END\n".to_owned());
        }
        let written = serde_saphyr::to_string(&self.to_value());
        let mut text = written.map_err(|error| DocumentError::Unreadable(error.to_string()))?;
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str("#END\n");
        Ok(text)
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        format!("{:#}\n", self.to_value())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::Kind;

    fn values() -> impl Strategy<Value = Value> {
        let texts = prop_oneof![
            any::<String>(),
            "[-0-9a-z:#{}\\[\\],&*!|>'\"%@` \n\t]{0,12}",
            prop::sample::select(vec![
                "",
                "~",
                "null",
                "yes",
                "off",
                "true",
                "0x1F",
                "012",
                "1e3",
                ".inf",
                "1:20",
                "2020-01-01",
                "- a",
                "a: b",
                "#END",
                " a ",
                "a\n",
                "\n\n",
                "=",
                "<<",
                "'",
                "\\",
            ])
            .prop_map(str::to_owned),
        ];
        let leaves = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            // Quarters: the reader of JSON may be off by one in the last place of others.
            any::<i32>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
            texts.clone().prop_map(Value::from),
        ];
        leaves.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(texts.clone(), inner, 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    fn document(field: Value) -> Document {
        let mut document = Document::default();
        let mut object = Map::new();
        object.insert("id".to_owned(), "1".into());
        object.insert("desc".to_owned(), field);
        let kind = Kind::named("routes").expect("a kind");
        document.insert(kind, Value::Object(object)).expect("new");
        document
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote(field in values()) {
            let document = document(field);
            let yaml = document.to_yaml().expect("written");
            prop_assert_eq!(&Document::parse(&yaml).expect("read"), &document, "{}", yaml);
            let json = document.to_json();
            prop_assert_eq!(&Document::parse(&json).expect("read"), &document, "{}", json);
        }
    }

    #[test]
    fn is_easy_to_read() {
        let mut document = document(json!("a route"));
        let consumers = Kind::named("consumers").expect("a kind");
        for item in [
            json!({"username": "jack", "plugins": {"key-auth": {"key": "yes"}}}),
            json!({"id": "jack/credentials/one", "plugins": {}}),
        ] {
            document.insert(consumers, item).expect("new");
        }
        let expected = "consumers:
- username: jack
  plugins:
    key-auth:
      key: \"yes\"
- id: jack/credentials/one
  plugins: {}
routes:
- id: \"1\"
  desc: a route
#END
";
        assert_eq!(document.to_yaml().expect("written"), expected);
        assert_eq!(
            Document::default().to_yaml().expect("written"),
            "{}\n#END\n"
        );
    }
}
