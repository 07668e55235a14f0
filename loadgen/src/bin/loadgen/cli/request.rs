//! The options that say what a request consists of.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum, ValueHint};
use loadgen::{Field, FieldValue, Order, RequestList, Target, encode_form, parse_list};

use super::UsageError;

/// Header fields.
type Headers = Vec<(String, String)>;

/// What a list of requests says itself. The list's own options exclude it as well: the parser does not
/// ask for a partner that is excluded already.
const NOT_IN_A_LIST: [&str; 4] = ["method", "body", "body_file", "form"];

/// What is sent.
#[derive(Debug, Args)]
#[command(next_help_heading = "Request")]
pub(super) struct RequestOptions {
    /// Send the requests of FILE: METHOD URL, header fields, @BODYFILE, and an empty line between
    /// them; '# weight: 3' before one sends it three times as often.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with_all = NOT_IN_A_LIST)]
    targets: Option<PathBuf>,

    /// The order of --targets.
    #[arg(long, value_enum, default_value_t = Sequence::Sequential)]
    #[arg(requires = "targets", conflicts_with_all = NOT_IN_A_LIST)]
    order: Sequence,

    /// Request method [default: GET, or POST with --form].
    #[arg(short = 'X', long)]
    method: Option<String>,

    /// Header field to send; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(String, String)>,

    /// Request body.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["body_file", "form"])]
    body: Option<String>,

    /// Send this file as the request body.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "form")]
    body_file: Option<PathBuf>,

    /// Submit a form with this field; may be repeated. NAME=@FILE uploads a file (multipart).
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_field)]
    form: Vec<FormField>,

    /// Send these credentials (Basic); better in the environment, where ps does not show them.
    #[arg(long, value_name = "USER:PASSWORD", value_parser = parse_credentials)]
    #[arg(env = "LOADGEN_BASIC_AUTH", hide_env_values = true, conflicts_with = "bearer")]
    basic_auth: Option<String>,

    /// Send this token (Bearer); better in the environment, where ps does not show it.
    #[arg(long, value_name = "TOKEN", value_parser = parse_token)]
    #[arg(env = "LOADGEN_BEARER", hide_env_values = true)]
    bearer: Option<String>,
}

/// The spelling of [`Order`]. Its variants have no help of their own, see `Spread` in `load`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sequence {
    Sequential,
    Random,
}

/// A field of a form, its file unread.
#[derive(Clone, Debug)]
struct FormField {
    name: String,
    value: FormValue,
}

#[derive(Clone, Debug)]
enum FormValue {
    Text(String),
    File(PathBuf),
}

impl RequestOptions {
    /// The list of requests, if there is one, and the target that they go to; reads its files.
    ///
    /// # Errors
    /// A file that cannot be read, or is no list.
    pub(super) fn list(&self, base: Option<&Target>) -> Result<Option<(Target, RequestList)>, UsageError> {
        let Some(path) = &self.targets else {
            return Ok(None);
        };
        let text = String::from_utf8(read("targets", path)?).map_err(|_| UsageError::Text { path: path.clone() })?;
        let (target, entries) = parse_list(&text, base, &mut |body| std::fs::read(body))
            .map_err(|source| UsageError::List { path: path.clone(), source })?;
        let order = match self.order {
            Sequence::Sequential => Order::Sequential,
            Sequence::Random => Order::Random,
        };
        Ok(Some((target, RequestList { entries, order })))
    }

    /// The request method.
    pub(super) fn method(&self) -> String {
        let default = if self.form.is_empty() { "GET" } else { "POST" };
        self.method.clone().unwrap_or_else(|| default.to_owned())
    }

    /// The header fields and the body; reads files.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn content(&self) -> Result<(Headers, Vec<u8>), UsageError> {
        let mut headers = self.headers.clone();
        let given = |headers: &Headers, name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let body = match (&self.body, &self.body_file) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(path)) => read("body-file", path)?,
            (None, None) if self.form.is_empty() => Vec::new(),
            (None, None) => {
                let form = encode_form(&self.fields()?);
                if !given(&headers, "content-type") {
                    headers.push(("Content-Type".to_owned(), form.content_type));
                }
                form.body
            }
        };
        let credentials = match (&self.basic_auth, &self.bearer) {
            (Some(pair), _) => Some(format!("Basic {}", STANDARD.encode(pair))),
            (None, Some(token)) => Some(format!("Bearer {token}")),
            (None, None) => None,
        };
        // A field that was written out is more deliberate than a variable of the environment.
        if let Some(credentials) = credentials.filter(|_| !given(&headers, "authorization")) {
            headers.push(("Authorization".to_owned(), credentials));
        }
        Ok((headers, body))
    }

    fn fields(&self) -> Result<Vec<Field>, UsageError> {
        let field = |field: &FormField| {
            let value = match &field.value {
                FormValue::Text(text) => FieldValue::Text(text.clone()),
                FormValue::File(path) => FieldValue::File {
                    name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                    content: read("form", path)?,
                },
            };
            Ok(Field { name: field.name.clone(), value })
        };
        self.form.iter().map(field).collect()
    }
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, UsageError> {
    std::fs::read(path).map_err(|source| UsageError::File { option, path: path.to_owned(), source })
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) => Ok((name.to_owned(), value.trim().to_owned())),
        None => Err("write NAME: VALUE".to_owned()),
    }
}

fn parse_field(text: &str) -> Result<FormField, String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, or NAME=@FILE to upload a file")?;
    let value = match value.strip_prefix('@') {
        Some(path) => FormValue::File(PathBuf::from(path)),
        None => FormValue::Text(value.to_owned()),
    };
    Ok(FormField { name: name.to_owned(), value })
}

/// RFC 7617 §2: the user's name is what stands before the first colon.
fn parse_credentials(text: &str) -> Result<String, &'static str> {
    if text.contains(':') { Ok(text.to_owned()) } else { Err("write USER:PASSWORD") }
}

/// RFC 6750 §2.1.
fn parse_token(text: &str) -> Result<String, &'static str> {
    let token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if token { Ok(text.to_owned()) } else { Err("a token consists of visible ASCII characters only") }
}
