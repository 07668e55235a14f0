//! `module:callable` to a Python callable, and what to tell the operator when that fails.
//!
//! Owns the search for the application. Knows nothing of requests; [`super::Interpreter::load`] calls it, once per process
//! and generation.

use pyo3::exceptions::{PyAttributeError, PyModuleNotFoundError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::traceback;

/// Why there is no application. Displayed, it is a message for the operator: one line, then the traceback where there is
/// one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoadError {
    /// There is no such module.
    #[error("cannot load {module:?}: there is no module {missing:?}{hint} (looked in {searched})")]
    ModuleNotFound {
        /// As given.
        module: String,
        /// The part of it that is missing.
        missing: String,
        /// Empty, or a suggestion.
        hint: String,
        /// `sys.path`.
        searched: String,
    },
    /// The module is there, but importing it, or taking the application out of it, raised an exception.
    #[error("cannot load {module:?}: {}\n{traceback}", traceback::last_line(.traceback))]
    ImportFailed {
        /// As given.
        module: String,
        /// The exception as Python shows it.
        traceback: String,
    },
    /// The module has no such attribute.
    #[error("module {module:?} has no attribute {attribute:?}{}", suggestion(.candidates))]
    AttributeMissing {
        /// As given.
        module: String,
        /// The dotted path up to what is missing.
        attribute: String,
        /// What in the module looks like an application.
        candidates: Vec<String>,
    },
    /// It is there, but can't be called.
    #[error("{module}:{callable} is not callable: it is of type {kind:?}{}", suggestion(.candidates))]
    NotCallable {
        /// As given.
        module: String,
        /// As given.
        callable: String,
        /// Its type.
        kind: String,
        /// What in the module looks like an application.
        candidates: Vec<String>,
    },
    /// A function that can't be called with an environ and start_response.
    #[error(
        "{module}:{callable} is no WSGI application: it can't be called with (environ, start_response), its parameters are \
         {parameters}{}", suggestion(.candidates)
    )]
    NotAnApplication {
        /// As given.
        module: String,
        /// As given.
        callable: String,
        /// Its parameters as Python writes them.
        parameters: String,
        /// What to write instead.
        candidates: Vec<String>,
    },
    /// Neither a dotted name nor a call.
    #[error("{callable:?} is neither a dotted name nor a call with literal arguments: {reason}")]
    BadExpression {
        /// As given.
        callable: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl LoadError {
    /// `error` came out of the application's own code.
    pub(super) fn raised(py: Python<'_>, module: &str, error: &PyErr) -> LoadError {
        LoadError::ImportFailed { module: module.to_owned(), traceback: traceback::format(py, error) }
    }
}

fn suggestion(candidates: &[String]) -> String {
    match candidates {
        [] => String::new(),
        [one] => format!("; did you mean {one:?}?"),
        many => format!("; did you mean one of {}?", many.join(", ")),
    }
}

/// Imports `module` and takes `callable` out of it.
pub(super) fn load(py: Python<'_>, module: &str, callable: &str) -> Result<Py<PyAny>, LoadError> {
    let imported = py.import(module).map_err(|error| import_error(py, module, &error))?.into_any();
    let application = if is_dotted_name(callable) {
        walk(&imported, module, callable)?
    } else {
        evaluate(&imported, module, callable)?
    };
    if !application.is_callable() {
        return Err(LoadError::NotCallable {
            module: module.to_owned(),
            callable: callable.to_owned(),
            kind: kind(&application),
            candidates: candidates(&imported),
        });
    }
    if let Some(parameters) = unfit_parameters(&application) {
        let as_factory = is_dotted_name(callable) && parameters == "()";
        return Err(LoadError::NotAnApplication {
            module: module.to_owned(),
            callable: callable.to_owned(),
            parameters,
            candidates: if as_factory { vec![format!("{callable}()")] } else { candidates(&imported) },
        });
    }
    Ok(application.unbind())
}

/// Imports `module` and takes the callable at the dotted `path` out of it, which need not be an application.
pub(super) fn find(py: Python<'_>, module: &str, path: &str) -> Result<Py<PyAny>, LoadError> {
    let imported = py.import(module).map_err(|error| import_error(py, module, &error))?.into_any();
    let found = walk(&imported, module, path).map_err(|error| match error {
        // Applications are no help to somebody who looks for something else.
        LoadError::AttributeMissing { module, attribute, .. } => {
            LoadError::AttributeMissing { module, attribute, candidates: Vec::new() }
        }
        error => error,
    })?;
    match found.is_callable() {
        true => Ok(found.unbind()),
        false => Err(LoadError::NotCallable {
            module: module.to_owned(),
            callable: path.to_owned(),
            kind: kind(&found),
            candidates: Vec::new(),
        }),
    }
}

/// The module itself, or a package on the way to it, is missing only if the exception names it; a module that fails to
/// import something else is there.
fn import_error(py: Python<'_>, module: &str, error: &PyErr) -> LoadError {
    let missing = error
        .is_instance_of::<PyModuleNotFoundError>(py)
        .then(|| error.value(py).getattr("name").and_then(|name| name.extract::<String>()))
        .and_then(Result::ok)
        .filter(|name| is_prefix(name, module));
    let Some(missing) = missing else {
        return LoadError::raised(py, module, error);
    };
    LoadError::ModuleNotFound {
        hint: spelling_hint(module),
        module: module.to_owned(),
        missing,
        searched: searched(py),
    }
}

fn searched(py: Python<'_>) -> String {
    py.import("sys").and_then(|sys| sys.getattr("path")?.extract::<Vec<String>>()).unwrap_or_default().join(", ")
}

/// Whether `name` is `module` or a package that contains it.
fn is_prefix(name: &str, module: &str) -> bool {
    module.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// People write file names.
fn spelling_hint(module: &str) -> String {
    match module.strip_suffix(".py") {
        Some(stem) => format!("; did you mean {:?}?", stem.trim_start_matches("./").replace('/', ".")),
        None if module.contains('/') => {
            format!("; did you mean {:?}?", module.trim_start_matches("./").replace('/', "."))
        }
        None => String::new(),
    }
}

/// Whether `text` is names joined by dots, as far as that can be told without Python's tables of letters.
fn is_dotted_name(text: &str) -> bool {
    !text.is_empty()
        && text.split('.').all(|name| {
            name.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
                && !name.starts_with(|letter: char| letter.is_numeric())
                && !name.is_empty()
        })
}

/// The attribute of `module` at `path`.
fn walk<'py>(module: &Bound<'py, PyAny>, name: &str, path: &str) -> Result<Bound<'py, PyAny>, LoadError> {
    let py = module.py();
    let mut found = module.clone();
    let mut passed = 0;
    for attribute in path.split('.') {
        passed += attribute.len();
        found = found.getattr(attribute).map_err(|error| {
            if error.is_instance_of::<PyAttributeError>(py) {
                LoadError::AttributeMissing {
                    module: name.to_owned(),
                    attribute: path[..passed].to_owned(),
                    candidates: candidates(module),
                }
            } else {
                LoadError::raised(py, name, &error)
            }
        })?;
        passed += 1;
    }
    Ok(found)
}

/// The result of `expression`, a call with literal arguments of something in `module`.
fn evaluate<'py>(module: &Bound<'py, PyAny>, name: &str, expression: &str) -> Result<Bound<'py, PyAny>, LoadError> {
    let py = module.py();
    let (path, args, kwargs) = parse_call(py, expression).map_err(|error| LoadError::BadExpression {
        callable: expression.to_owned(),
        reason: error.value(py).to_string(),
    })?;
    let factory = walk(module, name, &path)?;
    factory.call(args, Some(&kwargs)).map_err(|error| LoadError::raised(py, name, &error))
}

/// A call's dotted function name and its arguments.
type Call<'py> = (String, Bound<'py, PyTuple>, Bound<'py, PyDict>);

fn parse_call<'py>(py: Python<'py>, expression: &str) -> PyResult<Call<'py>> {
    let ast = py.import("ast")?;
    let call = ast.call_method1("parse", (expression, "<callable>", "eval"))?.getattr("body")?;
    if !call.is_instance(&ast.getattr("Call")?)? {
        return Err(PyTypeError::new_err("not a call"));
    }
    let path: String = ast.call_method1("unparse", (call.getattr("func")?,))?.extract()?;
    if !is_dotted_name(&path) {
        return Err(PyTypeError::new_err(format!("{path} is not a dotted name")));
    }
    let literal = |node: &Bound<'py, PyAny>| {
        ast.call_method1("literal_eval", (node,)).map_err(|error| match ast.call_method1("unparse", (node,)) {
            Ok(text) => PyTypeError::new_err(format!("the argument {text} is not a literal")),
            Err(_) => error,
        })
    };
    let args = PyList::empty(py);
    for node in call.getattr("args")?.try_iter()? {
        args.append(literal(&node?)?)?;
    }
    let kwargs = PyDict::new(py);
    for keyword in call.getattr("keywords")?.try_iter()? {
        let keyword = keyword?;
        let name = keyword.getattr("arg")?;
        if name.is_none() {
            return Err(PyTypeError::new_err("** can't be used"));
        }
        kwargs.set_item(name, literal(&keyword.getattr("value")?)?)?;
    }
    Ok((path, args.to_tuple(), kwargs))
}

fn kind(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "unknown".to_owned(), |name| name.to_string())
}

/// The parameters of a plain function that can't take two positional arguments. Anything but a plain function is given the
/// benefit of the doubt, for only there is the declaration sure to be what a call meets.
fn unfit_parameters(callable: &Bound<'_, PyAny>) -> Option<String> {
    let py = callable.py();
    let is_function = py.import("types").and_then(|types| callable.get_type().eq(types.getattr("FunctionType")?));
    let true = is_function.unwrap_or(false) else {
        return None;
    };
    let options = PyDict::new(py);
    // A decorator's wrapper is what will be called, not what it wraps.
    options.set_item("follow_wrapped", false).ok()?;
    let signature =
        py.import("inspect").and_then(|inspect| inspect.call_method("signature", (callable,), Some(&options))).ok()?;
    match signature.call_method1("bind", (py.None(), py.None())) {
        Err(error) if error.is_instance_of::<PyTypeError>(py) => Some(signature.to_string()),
        _ => None,
    }
}

/// Public names in `module` that look like an application, or like a function that makes one.
fn candidates(module: &Bound<'_, PyAny>) -> Vec<String> {
    const FACTORIES: [&str; 4] = ["create_app", "make_app", "get_app", "get_wsgi_application"];
    let Ok(names) = module.dir() else {
        return Vec::new();
    };
    let names = names.iter().filter_map(|name| name.extract::<String>().ok());
    names
        .filter(|name| !name.starts_with('_'))
        .filter_map(|name| {
            // Objects may refuse, e.g. a proxy outside of its context; such a one is no application.
            let value = module.getattr(name.as_str()).ok()?;
            if looks_like_application(module, &value).unwrap_or(false) {
                Some(name)
            } else if FACTORIES.contains(&name.as_str()) && value.is_callable() {
                Some(format!("{name}()"))
            } else {
                None
            }
        })
        .collect()
}

/// Takes two arguments, and is a function of the module itself or an instance of something.
fn looks_like_application(module: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    if !value.is_callable() || value.is_instance_of::<pyo3::types::PyType>() {
        return Ok(false);
    }
    let inspect = py.import("inspect")?;
    let routine = inspect.call_method1("isroutine", (value,))?.is_truthy()?;
    if routine {
        let home = value.getattr("__module__")?;
        if !home.eq(module.getattr("__name__")?)? {
            return Ok(false);
        }
    }
    // Exactly two that must be given: (text, count=1) is some other function.
    let parameters = inspect.call_method1("signature", (value,))?.getattr("parameters")?.call_method0("values")?;
    let mut required = 0;
    for parameter in parameters.try_iter()? {
        let parameter = parameter?;
        let kind = parameter.getattr("kind")?.getattr("name")?.cast_into::<PyString>()?;
        let has_default = !parameter.getattr("default")?.is(&parameter.getattr("empty")?);
        match &*kind.to_string_lossy() {
            "POSITIONAL_ONLY" | "POSITIONAL_OR_KEYWORD" if !has_default => required += 1,
            "KEYWORD_ONLY" if !has_default => return Ok(false),
            _ => {}
        }
    }
    Ok(required == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_expressions_are_told_apart() {
        for (text, expect) in [
            ("app", true),
            ("factory.app", true),
            ("_App2.wsgi_app", true),
            ("äpp", true),
            ("", false),
            ("a..b", false),
            ("create_app()", false),
            ("2app", false),
            ("app ", false),
        ] {
            assert_eq!(is_dotted_name(text), expect, "{text:?}");
        }
    }

    #[test]
    fn only_the_module_or_its_packages_count_as_missing() {
        for (name, module, expect) in [
            ("app", "app", true),
            ("pkg", "pkg.mod", true),
            ("pkg.mod", "pkg.mod", true),
            // The module is there and imports something of a similar name.
            ("pkg.mod.sub", "pkg.mod", false),
            ("pk", "pkg.mod", false),
            ("flask", "app", false),
        ] {
            assert_eq!(is_prefix(name, module), expect, "{name} {module}");
        }
    }

    #[test]
    fn file_names_get_a_hint() {
        for (module, expect) in [
            ("app.py", "; did you mean \"app\"?"),
            ("./web/app.py", "; did you mean \"web.app\"?"),
            ("web/app", "; did you mean \"web.app\"?"),
            ("web.app", ""),
        ] {
            assert_eq!(spelling_hint(module), expect, "{module}");
        }
    }
}
