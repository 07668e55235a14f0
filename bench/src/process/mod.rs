//! Starting processes so that none of them outlives the harness.
//!
//! ```text
//! main ── Server::spawn / Tool::run ──▶ bench __launch … ──exec──▶ the program, in a session of its own
//!   │            │
//!   │            ▼
//!   │         registry: the roots that run now, the folders to remove
//!   │            ▲
//!   └─ signals: a thread that reads a signalfd; on SIGINT, SIGTERM, SIGHUP it ends everything in the registry
//! ```
//!
//! Four things see to it that nothing stays: `Server` stops its tree when it is dropped (success, failure, panic), the
//! signal thread ends all trees, the harness is a child subreaper so that daemons come back to it, and every program
//! asks the kernel for SIGTERM should the harness be killed. Knows nothing of contenders and scenarios.

pub(crate) mod launch;
pub(crate) mod pidfd;
pub(crate) mod registry;
pub(crate) mod server;
pub(crate) mod signals;
pub(crate) mod tool;
