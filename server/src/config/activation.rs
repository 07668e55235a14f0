//! Sockets that systemd has opened for us (sd_listen_fds(3)): which descriptors they are, from the environment.

/// The first descriptor that is passed (`SD_LISTEN_FDS_START`).
const FIRST: i32 = 3;
/// More sockets than this are a mistake, if not a trick.
const MOST: i32 = 1024;

/// What says which sockets were passed; not for children, whom it does not concern.
pub(crate) const VARIABLES: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"];

/// One socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Its descriptor.
    pub(crate) number: i32,
    /// What the socket unit calls it (`FileDescriptorName=`, by default the unit's own name).
    pub(crate) name: String,
}

/// The sockets that were passed to the process `pid`, in whose environment `variable` looks. None were if the variables say
/// nothing, or speak of another process: an ancestor that did not remove them.
pub(crate) fn passed(variable: impl Fn(&str) -> Option<String>, pid: u32) -> Vec<Passed> {
    if variable("LISTEN_PID").as_deref() != Some(&*pid.to_string()) {
        return Vec::new();
    }
    let count = variable("LISTEN_FDS").and_then(|count| count.parse().ok()).filter(|count| (0..=MOST).contains(count));
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let numbers = FIRST..FIRST + count.unwrap_or(0);
    numbers.map(|number| Passed { number, name: names.next().unwrap_or_default().to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_for_the_process_that_is_named() {
        type Row<'a> = (&'a [(&'a str, &'a str)], &'a [(i32, &'a str)]);
        let table: [Row<'_>; 8] = [
            (&[], &[]),
            (&[("LISTEN_PID", "7"), ("LISTEN_FDS", "1")], &[(3, "")]),
            (
                &[("LISTEN_PID", "7"), ("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "web.socket:admin")],
                &[(3, "web.socket"), (4, "admin")],
            ),
            // Fewer names than sockets.
            (&[("LISTEN_PID", "7"), ("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "web")], &[(3, "web"), (4, "")]),
            (&[("LISTEN_PID", "8"), ("LISTEN_FDS", "1")], &[]),
            (&[("LISTEN_FDS", "1")], &[]),
            (&[("LISTEN_PID", "7"), ("LISTEN_FDS", "-1")], &[]),
            (&[("LISTEN_PID", "7"), ("LISTEN_FDS", "99999999")], &[]),
        ];
        for (variables, expected) in table {
            let variable =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            let found = passed(variable, 7);
            let found: Vec<_> = found.iter().map(|socket| (socket.number, &*socket.name)).collect();
            assert_eq!(found, expected, "{variables:?}");
        }
    }
}
