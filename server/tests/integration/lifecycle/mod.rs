//! Beginning and end, wanted and unwanted: whatever is stopped or killed, only what was inside a killed process is lost.

mod containment;
mod hooks;
mod kill;
mod preload;
mod recycle;
mod rehearsal;
mod reload;
mod scale;
mod stop;
mod timeout;
