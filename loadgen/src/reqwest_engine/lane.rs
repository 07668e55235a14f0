//! A client with room for one connection.

use std::sync::Arc;

use reqwest::Client;

use super::wire::Wire;

/// One connection's client, and what is seen of the connection.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) client: Client,
    pub(super) wire: Arc<Wire>,
}
