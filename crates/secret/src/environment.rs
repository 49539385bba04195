//! The environment of the process, as references see it.

use std::{collections::HashMap, fmt, sync::Arc};

/// Variables of the environment, read once. Cheap to clone.
#[derive(Clone, Default)]
pub struct Environment {
    variables: Arc<HashMap<String, String>>,
}

impl Environment {
    /// What this process was started with. Variables that are not UTF-8 are left out: no configuration can name or hold them.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self {
            variables: Arc::new(variables.into_iter().collect()),
        }
    }
}

impl fmt::Debug for Environment {
    /// Shows how many variables there are: they hold secrets.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Environment")
            .field("variables", &self.variables.len())
            .finish()
    }
}
