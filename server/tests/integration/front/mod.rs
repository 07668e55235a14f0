//! What stands in front of the server: proxies, and whoever has opened its sockets.

mod activation;
mod forwarded;
mod proxy_protocol;
mod root_path;
