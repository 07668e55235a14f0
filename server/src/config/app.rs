//! Which application to serve, and the ways to spell it.
//!
//! `MODULE:CALLABLE` is the usual spelling, `MODULE->CALLABLE` the one of the server's prototype. `MODULE` alone means
//! the callable `app`. Nothing is imported here: whether the module exists is the template's business.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The callable of a module that is named without one.
const DEFAULT_CALLABLE: &str = "app";

/// The native application answers without Python: a ceiling to compare against.
const NATIVE: &str = "native";

/// The application to serve. As text: `module:callable` or `native:name`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum AppSource {
    /// A WSGI callable.
    Wsgi {
        /// Dotted module name, importable.
        module: String,
        /// The callable in it: a name, possibly dotted (`factory.app`), or a call of one that returns the application
        /// (`create_app(debug=True)`). A bare `MODULE` means `app`.
        callable: String,
    },
    /// A handler written in Rust.
    Native {
        /// Its name, e.g. `hello`.
        name: String,
    },
}

/// Names of the native applications.
const NATIVE_NAMES: [&str; 1] = ["hello"];

impl AppSource {
    /// `MODULE:CALLABLE`, `MODULE->CALLABLE` or `MODULE`: always a WSGI application, even of a module named `native`.
    pub(crate) fn wsgi(text: &str) -> Result<AppSource, AppError> {
        // The first separator counts: a call's arguments may hold others.
        let arrow = text.find("->").map(|at| (at, 2));
        let colon = text.find(':').map(|at| (at, 1));
        let (module, callable) = match arrow.into_iter().chain(colon).min() {
            Some((at, length)) => (text[..at].trim(), text[at + length..].trim()),
            None => (text.trim(), DEFAULT_CALLABLE),
        };
        // An unquoted `--load module->callable` reaches us as `module-`: the shell took `>callable` for itself.
        if let Some(module) = module.strip_suffix('-').filter(|name| is_dotted_name(name)) {
            return Err(AppError::Redirected { module: module.to_owned() });
        }
        if module.contains('/') || module.ends_with(".py") {
            let name = module.strip_suffix(".py").unwrap_or(module);
            let module = name.trim_start_matches("./").trim_matches('/').replace('/', ".");
            return Err(AppError::File { given: text.to_owned(), module, callable: callable.to_owned() });
        }
        if !is_dotted_name(module) {
            return Err(AppError::Module { module: module.to_owned() });
        }
        if !is_callable(callable) {
            return Err(AppError::Callable { callable: callable.to_owned() });
        }
        Ok(AppSource::Wsgi { module: module.to_owned(), callable: callable.to_owned() })
    }
}

impl FromStr for AppSource {
    type Err = AppError;

    fn from_str(text: &str) -> Result<AppSource, AppError> {
        match text.split_once(':') {
            Some((NATIVE, name)) if NATIVE_NAMES.contains(&name) => Ok(AppSource::Native { name: name.to_owned() }),
            Some((NATIVE, name)) => Err(AppError::Native { name: name.to_owned() }),
            _ => AppSource::wsgi(text),
        }
    }
}

impl TryFrom<String> for AppSource {
    type Error = AppError;

    fn try_from(text: String) -> Result<AppSource, AppError> {
        text.parse()
    }
}

impl fmt::Display for AppSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // With a colon it would be read back as the native application.
            AppSource::Wsgi { module, callable } if module == NATIVE => {
                write!(f, "{module}->{callable}")
            }
            AppSource::Wsgi { module, callable } => write!(f, "{module}:{callable}"),
            AppSource::Native { name } => write!(f, "{NATIVE}:{name}"),
        }
    }
}

impl From<AppSource> for String {
    fn from(source: AppSource) -> String {
        source.to_string()
    }
}

/// Why a text names no application.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AppError {
    /// The module's name is no Python name.
    #[error("'{module}' is not a module name; give MODULE:CALLABLE, e.g. app:app or project.wsgi:application")]
    Module {
        /// As given.
        module: String,
    },
    /// The callable's name is no Python name.
    #[error("'{callable}' is not the name of a callable; give MODULE:CALLABLE, e.g. app:app")]
    Callable {
        /// As given.
        callable: String,
    },
    /// A file's path where a module's name belongs.
    #[error("'{given}' names a file; give the module's name instead: {module}:{callable} (--chdir says where it is)")]
    File {
        /// As given.
        given: String,
        /// The module's name, as far as we can guess it.
        module: String,
        /// The callable.
        callable: String,
    },
    /// The shell took `>callable` for a redirection.
    #[error("'{module}-' lacks its callable: the shell took '>' as a redirection; quote it: '{module}->CALLABLE'")]
    Redirected {
        /// What the shell left.
        module: String,
    },
    /// No such native application.
    #[error("there is no native application '{name}'; there is: native:hello")]
    Native {
        /// As given.
        name: String,
    },
}

/// True for Python names joined by dots.
pub(super) fn is_dotted_name(text: &str) -> bool {
    text.split('.').all(|name| {
        let starts_well = name.chars().next().is_some_and(|first| first == '_' || first.is_alphabetic());
        starts_well && name.chars().all(|character| character == '_' || character.is_alphanumeric())
    })
}

/// True for a name, possibly dotted, and for a call of one. Whether the arguments make sense is the loader's business.
fn is_callable(text: &str) -> bool {
    match text.split_once('(') {
        Some((name, arguments)) => is_dotted_name(name.trim_end()) && arguments.ends_with(')'),
        None => is_dotted_name(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wsgi(module: &str, callable: &str) -> AppSource {
        AppSource::Wsgi { module: module.to_owned(), callable: callable.to_owned() }
    }

    #[test]
    fn every_spelling_names_its_application() {
        let table = [
            ("app:app", wsgi("app", "app")),
            ("app", wsgi("app", "app")),
            ("project.wsgi:application", wsgi("project.wsgi", "application")),
            ("module->callable", wsgi("module", "callable")),
            ("module -> callable", wsgi("module", "callable")),
            ("shop:factory.app", wsgi("shop", "factory.app")),
            ("shop:create_app()", wsgi("shop", "create_app()")),
            ("shop:create_app(debug=True)", wsgi("shop", "create_app(debug=True)")),
            // Only the first separator separates.
            ("shop:create({'a': '->'})", wsgi("shop", "create({'a': '->'})")),
            ("shop->create({'a': 1})", wsgi("shop", "create({'a': 1})")),
            // Python 3 names are Unicode.
            ("größe:app", wsgi("größe", "app")),
            ("native:hello", AppSource::Native { name: "hello".to_owned() }),
            // The arrow reaches a module that happens to be named like the native application.
            ("native->hello", wsgi("native", "hello")),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
            assert_eq!(expected.to_string().parse(), Ok(expected), "{text} again from its own text");
        }
        assert_eq!(AppSource::wsgi("native:hello"), Ok(wsgi("native", "hello")));
    }

    #[test]
    fn a_misspelt_application_is_told_how_to_be_spelt() {
        let table = [
            ("", "'' is not a module name; give MODULE:CALLABLE, e.g. app:app or project.wsgi:application"),
            (":app", "'' is not a module name; give MODULE:CALLABLE, e.g. app:app or project.wsgi:application"),
            (
                "my-app:app",
                "'my-app' is not a module name; give MODULE:CALLABLE, e.g. app:app or project.wsgi:application",
            ),
            ("app:", "'' is not the name of a callable; give MODULE:CALLABLE, e.g. app:app"),
            ("app:create(", "'create(' is not the name of a callable; give MODULE:CALLABLE, e.g. app:app"),
            (
                "./shop/wsgi.py:application",
                "'./shop/wsgi.py:application' names a file; give the module's name instead: shop.wsgi:application (--chdir says where it is)",
            ),
            ("app.py", "'app.py' names a file; give the module's name instead: app:app (--chdir says where it is)"),
            (
                "module-",
                "'module-' lacks its callable: the shell took '>' as a redirection; quote it: 'module->CALLABLE'",
            ),
            ("native:bye", "there is no native application 'bye'; there is: native:hello"),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<AppSource>().unwrap_err().to_string(), expected, "{text}");
        }
    }
}
