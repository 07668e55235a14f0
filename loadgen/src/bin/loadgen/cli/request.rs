//! The options that say what a request consists of.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::UsageError;

/// What is sent.
#[derive(Debug, Args)]
#[command(next_help_heading = "Request")]
pub(super) struct RequestOptions {
    /// Request method.
    #[arg(short = 'X', long, default_value = "GET")]
    pub(super) method: String,

    /// Header field to send; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    pub(super) headers: Vec<(String, String)>,

    /// Request body.
    #[arg(long, value_name = "TEXT", conflicts_with = "body_file")]
    body: Option<String>,

    /// Send this file as the request body.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    body_file: Option<PathBuf>,
}

impl RequestOptions {
    /// The body's bytes; reads its file.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn body(&self) -> Result<Vec<u8>, UsageError> {
        match (&self.body, &self.body_file) {
            (Some(text), _) => Ok(text.clone().into_bytes()),
            (None, Some(path)) => std::fs::read(path).map_err(|source| UsageError::Body { path: path.clone(), source }),
            (None, None) => Ok(Vec::new()),
        }
    }
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) => Ok((name.to_owned(), value.trim().to_owned())),
        None => Err("write NAME: VALUE".to_owned()),
    }
}
