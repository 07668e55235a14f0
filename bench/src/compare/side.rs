//! One of the two sessions that are compared.

use std::path::Path;

use crate::failure::Failure;
use crate::report::summary::{self, Summary};
use crate::results::schema::Session;
use crate::results::store::{self, Store};

/// A session's figures, and its circumstances where they are known.
#[derive(Debug)]
pub(crate) struct Side {
    /// As it was named on the command line.
    pub(crate) name: String,
    /// `None` when only its summary was given.
    pub(crate) session: Option<Session>,
    pub(crate) summary: Summary,
}

impl Side {
    /// Reads a results folder, whose figures are computed from its raw data, so that both sides have them of one version
    /// of the harness; or a `summary.json` alone.
    ///
    /// # Errors
    /// Results that are not there, damaged, or of another version.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        if path.is_file() {
            return Ok(Self { name, session: None, summary: store::read_json(path)? });
        }
        let (session, runs) = Store::open(path)?.read()?;
        let summary = summary::compute(&session, &runs);
        Ok(Self { name, session: Some(session), summary })
    }
}
