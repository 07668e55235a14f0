//! A status laid out for people.

use std::fmt::Write;

use super::protocol::{Decision, Reloaded, Scaled, Status, Tasks, Worker};

/// How many of the latest decisions are shown; `--json` has them all.
const DECISIONS: usize = 10;

/// The whole text, ending with a newline.
pub(super) fn status(status: &Status) -> String {
    let mut text = format!(
        "smarthttpd {}  pid {}  {}  {}  up {}  on {}\n",
        status.version,
        status.pid,
        status.mpm,
        status.phase,
        duration(status.uptime_seconds),
        status.listening.join(", ")
    );
    let totals = status.totals;
    let (total, busy, idle, kill_pending) = (totals.total, totals.busy, totals.idle, totals.kill_pending);
    let _ = write!(text, "Total {total}  Busy {busy}  Idle {idle}  KillPending {kill_pending}");
    if totals.starting > 0 {
        let _ = write!(text, "  Starting {}", totals.starting);
    }
    let counters = status.counters;
    let _ = writeln!(
        text,
        "\nSpawned {}  Retired {}  Died {}  Killed {}  TemplateRestarts {}  TimedOut {}",
        counters.spawned,
        counters.retired,
        counters.died,
        counters.killed,
        counters.template_restarts,
        counters.timed_out
    );
    if status.tasks.were_there() {
        let Tasks { queued, running, done, failed, dropped, refused } = status.tasks;
        let _ = writeln!(
            text,
            "Tasks  Queued {queued}  Running {running}  Done {done}  Failed {failed}  Dropped {dropped}  Refused {refused}"
        );
    }
    if counters.reloads > 0 {
        let _ = writeln!(text, "Reloads {}", counters.reloads);
    }
    if !status.workers.is_empty() {
        text.push('\n');
        table(&mut text, &status.workers, status.tasks.were_there());
    }
    if !status.decisions.is_empty() {
        text.push_str("\nLatest decisions\n");
        let first = status.decisions.len().saturating_sub(DECISIONS);
        for decision in &status.decisions[first..] {
            describe(&mut text, decision);
        }
    }
    text
}

/// `generation 2: 3 workers ready in 240 ms; 3 old ones leave`.
pub(super) fn reloaded(reloaded: &Reloaded) -> String {
    let Reloaded { code_generation, ready, ready_seconds, leaving } = reloaded;
    let workers = if *ready == 1 { "worker" } else { "workers" };
    let olds = if *leaving == 1 { "old one leaves" } else { "old ones leave" };
    let time = match ready_seconds * 1e3 {
        milliseconds if milliseconds < 1e3 => format!("{milliseconds:.0} ms"),
        _ => format!("{ready_seconds:.1} s"),
    };
    format!("generation {code_generation}: {ready} {workers} ready in {time}; {leaving} {olds}\n")
}

/// `2 to 5 workers from now on, until the next reload or restart`.
pub(super) fn scaled(scaled: &Scaled) -> String {
    let Scaled { min_workers, max_workers } = scaled;
    let workers = match (min_workers, max_workers) {
        (1, 1) => "1 worker".to_owned(),
        (min, max) if min == max => format!("{min} workers"),
        (min, max) => format!("{min} to {max} workers"),
    };
    format!("{workers} from now on, until the next reload or restart\n")
}

const HEADINGS: [&str; 14] = [
    "SLOT", "PID", "GEN", "PHASE", "STATE", "CONNS", "CALLS", "QUEUE", "THREADS", "REQUESTS", "ERRORS", "MEAN", "RSS",
    // Only once there were some.
    "TASKS",
];

fn cells(worker: &Worker) -> [String; 14] {
    [
        worker.slot.to_string(),
        worker.pid.to_string(),
        worker.generation.to_string(),
        worker.phase.clone(),
        if worker.busy { "busy" } else { "idle" }.to_owned(),
        worker.connections.to_string(),
        worker.in_flight.to_string(),
        worker.queued.to_string(),
        worker.threads.to_string(),
        worker.requests.to_string(),
        worker.errors.to_string(),
        worker.mean_ms.map_or_else(|| "-".to_owned(), |mean| format!("{mean:.1} ms")),
        worker
            .rss_bytes
            .map_or_else(|| "-".to_owned(), |bytes| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))),
        worker.tasks.open().to_string(),
    ]
}

/// Columns as wide as their widest cell, numbers to the right.
fn table(text: &mut String, workers: &[Worker], with_tasks: bool) {
    let rows: Vec<_> = std::iter::once(HEADINGS.map(str::to_owned)).chain(workers.iter().map(cells)).collect();
    let widths: [usize; HEADINGS.len()] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let columns = HEADINGS.len() - usize::from(!with_tasks);
    for row in &rows {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate().take(columns) {
            let gap = if column == 0 { "" } else { "  " };
            let is_word = HEADINGS[column] == "PHASE" || HEADINGS[column] == "STATE";
            let _ = if is_word { write!(text, "{gap}{cell:<width$}") } else { write!(text, "{gap}{cell:>width$}") };
        }
        text.push('\n');
    }
}

fn describe(text: &mut String, decision: &Decision) {
    let ago = duration(decision.seconds_ago);
    let _ = write!(text, "{ago:>9} ago  {}", decision.reason);
    if !decision.actions.is_empty() {
        let _ = write!(text, "  [{}]", decision.actions.join(", "));
    }
    text.push('\n');
}

/// Two units at most: `4.2 s`, `3 m 05 s`, `2 h 07 m`, `5 d 03 h`.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{:.1} s", seconds.max(0.0));
    }
    // `as` saturates; nobody has been up for longer.
    let whole = seconds as u64;
    let (large, unit, small, small_unit) = match whole {
        ..3_600 => (whole / 60, "m", whole % 60, "s"),
        3_600..86_400 => (whole / 3_600, "h", whole % 3_600 / 60, "m"),
        _ => (whole / 86_400, "d", whole % 86_400 / 3_600, "h"),
    };
    format!("{large} {unit} {small:02} {small_unit}")
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn a_status_reads_well() {
        let expected = "\
smarthttpd 0.1.0  pid 71  adaptive  serving  up 3 m 05 s  on 127.0.0.1:8000, unix:/run/app.sock
Total 2  Busy 1  Idle 0  KillPending 1
Spawned 3  Retired 0  Died 1  Killed 0  TemplateRestarts 0  TimedOut 0

SLOT    PID  GEN  PHASE     STATE  CONNS  CALLS  QUEUE  THREADS  REQUESTS  ERRORS     MEAN       RSS
   0    100    1  ready     busy      12      3      1        4     10500       2  50.5 ms  30.5 MiB
   1  12345    1  draining  idle       0      0      0        1         0       0        -         -

Latest decisions
    2.0 s ago  λ=400/s W=50 ms → 29 slots, have 16 → +1 worker  [spawn 1]
";
        assert_eq!(status(&sample()), expected);
    }

    #[test]
    fn tasks_are_shown_once_there_were_some() {
        let mut sample = sample();
        assert!(!status(&sample).contains("Tasks"));
        assert!(!status(&sample).contains("TASKS"));
        sample.tasks = Tasks { queued: 4, running: 1, done: 1200, failed: 3, dropped: 0, refused: 7 };
        sample.workers[0].tasks = Tasks { queued: 4, running: 1, done: 1000, ..Tasks::default() };
        let text = status(&sample);
        assert!(text.contains("\nTasks  Queued 4  Running 1  Done 1200  Failed 3  Dropped 0  Refused 7\n"), "{text}");
        assert!(text.contains("      RSS  TASKS\n"), "{text}");
        assert!(text.contains(" 30.5 MiB      5\n") && text.contains("        -      0\n"), "{text}");
    }

    #[test]
    fn only_the_latest_decisions_are_shown() {
        let mut sample = sample();
        let one = sample.decisions[0].clone();
        sample.decisions =
            (0..25).map(|number| Decision { reason: format!("reason {number}."), ..one.clone() }).collect();
        let text = status(&sample);
        assert!(!text.contains("reason 14.") && text.contains("reason 15.") && text.contains("reason 24."), "{text}");
    }

    #[test]
    fn a_reload_reads_well() {
        let text =
            |ready, ready_seconds, leaving| reloaded(&Reloaded { code_generation: 2, ready, ready_seconds, leaving });
        assert_eq!(text(3, 0.24, 3), "generation 2: 3 workers ready in 240 ms; 3 old ones leave\n");
        assert_eq!(text(1, 5.04, 1), "generation 2: 1 worker ready in 5.0 s; 1 old one leaves\n");
    }

    #[test]
    fn durations() {
        let table = [
            (0.0, "0.0 s"),
            (-0.1, "0.0 s"),
            (59.94, "59.9 s"),
            (60.0, "1 m 00 s"),
            (185.0, "3 m 05 s"),
            (7_620.0, "2 h 07 m"),
            (442_800.0, "5 d 03 h"),
        ];
        for (seconds, expected) in table {
            assert_eq!(duration(seconds), expected, "{seconds}");
        }
    }
}
