//! What a running server can't change: the options of which a reload is refused when their values differ.

use super::{Config, Mpm};

/// Names of the options in which `new` differs from `old` and that only a restart changes.
///
/// An option that is added to [`Config`] has to be judged here before it compiles.
pub(crate) fn fixed(old: &Config, new: &Config) -> Vec<&'static str> {
    let Config {
        bind,
        backlog,
        unix_socket_mode,
        mpm,
        error_log,
        log_format,
        control,
        control_off,
        decision_log,
        watch,
        watch_extra,
        // Each generation of processes has its own.
        app: _,
        root_path: _,
        proxies: _,
        python: _,
        preload: _,
        rehearse: _,
        hooks: _,
        statics: _,
        limits: _,
        tasks: _,
        timeouts: _,
        access_log: _,
        max_requests: _,
        max_requests_jitter: _,
        max_worker_rss: _,
        max_worker_lifetime: _,
        // Fixed as well, but no part of the supervisor's configuration any more: it is compared there.
        admin: _,
    } = new;
    let differences = [
        // The listeners belong to the supervisor, and clients wait in them.
        ("bind", *bind != old.bind),
        ("backlog", *backlog != old.backlog),
        ("unix-socket-mode", *unix_socket_mode != old.unix_socket_mode),
        // Prefork takes no connections from others, and others would leave it theirs.
        ("mpm", kind(mpm) != kind(&old.mpm)),
        ("reload", *watch != old.watch),
        ("reload-extra", *watch_extra != old.watch_extra),
        // The supervisor's own log was set up once.
        ("log-level", *error_log != old.error_log),
        ("log-format", *log_format != old.log_format),
        // It is opened once, for a recording without a gap.
        ("decision-log", *decision_log != old.decision_log),
        ("control-socket", *control != old.control || *control_off != old.control_off),
    ];
    differences.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

fn kind(mpm: &Mpm) -> std::mem::Discriminant<Mpm> {
    std::mem::discriminant(mpm)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Bind;
    use super::super::tests::config;
    use super::*;

    #[test]
    fn what_the_supervisor_owns_is_fixed() {
        let old = config(&["app:app"], &[]);
        assert!(fixed(&old, &old).is_empty());
        let mut new = old.clone();
        new.timeouts.graceful = Duration::from_secs(1);
        new.max_requests = Some(5);
        new.mpm = Mpm::Adaptive { min_workers: 1, max_workers: 3, min_threads: 1, max_threads: 2 };
        assert!(fixed(&old, &new).is_empty(), "these are the workers' own");
        new.mpm = Mpm::Static { workers: 2, threads: 2 };
        new.bind = vec![Bind::Abstract("x".to_owned())];
        new.control_off = true;
        assert_eq!(fixed(&old, &new), ["bind", "mpm", "control-socket"]);
    }
}
