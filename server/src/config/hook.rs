//! A callable of the application that the server calls at a moment of a worker's life. As text: `MODULE:CALLABLE`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::app::is_dotted_name;

/// Where the callable is; whether it is there is the template's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Hook {
    /// Dotted module name, importable.
    pub(crate) module: String,
    /// A name in it, possibly dotted (`engine.dispose`).
    pub(crate) callable: String,
}

/// Why a text names no hook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' names no callable; give MODULE:CALLABLE, e.g. shop.db:engine.dispose")]
pub(crate) struct HookError(String);

impl FromStr for Hook {
    type Err = HookError;

    fn from_str(text: &str) -> Result<Hook, HookError> {
        match text.split_once(':') {
            Some((module, callable)) if is_dotted_name(module) && is_dotted_name(callable) => {
                Ok(Hook { module: module.to_owned(), callable: callable.to_owned() })
            }
            _ => Err(HookError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Hook {
    type Error = HookError;

    fn try_from(text: String) -> Result<Hook, HookError> {
        text.parse()
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.module, self.callable)
    }
}

impl From<Hook> for String {
    fn from(hook: Hook) -> String {
        hook.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_a_module_and_a_name_in_it() {
        for text in ["app:reseed", "shop.db:engine.dispose", "random:seed"] {
            assert_eq!(text.parse::<Hook>().unwrap().to_string(), text);
        }
        for text in ["", "app", "app:", ":f", "app:f()", "app.py:f ", "a/b:f", "app:f:g"] {
            assert!(text.parse::<Hook>().is_err(), "{text:?}");
        }
    }
}
