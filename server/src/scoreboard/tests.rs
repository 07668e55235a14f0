//! The scoreboard through two mappings, and what a slot says of its lives.

use super::*;
use std::os::fd::AsFd;

fn board(slots: usize) -> (OwnedFd, Scoreboard) {
    let fd = Scoreboard::create(slots).expect("memfd");
    let board = Scoreboard::map(fd.as_fd()).expect("mapping");
    (fd, board)
}

#[test]
fn two_mappings_see_the_same_words() {
    let (fd, ours) = board(3);
    let theirs = Scoreboard::map(fd.as_fd()).expect("second mapping");
    ours.slot(2).begin(7, 99);
    theirs.slot(2).set_phase(Phase::Ready);
    let cost = Cost { took_ns: 12, wall_ns: 10, cpu_ns: 4, lock_wait_ns: 1 };
    theirs.slot(2).count_request(500, cost);
    let seen = ours.slot(2).look();
    assert_eq!((seen.generation, seen.phase, seen.requests, seen.errors), (7, Phase::Ready, 1, 1));
    assert_eq!(
        (seen.wall, seen.cpu, seen.lock_wait),
        (Duration::from_nanos(10), Duration::from_nanos(4), Duration::from_nanos(1))
    );
    assert_eq!(ours.slots(), 3);
}

#[test]
fn a_new_life_starts_from_nothing() {
    let (_fd, board) = board(1);
    board.slot(0).begin(1, 0);
    board.slot(0).set_kill_pending();
    board.slot(0).set_connections(5);
    board.slot(0).begin(2, 0);
    let seen = board.slot(0).look();
    assert_eq!((seen.phase, seen.connections), (Phase::Starting, 0));
    assert!(!board.slot(0).kill_pending());
}

#[test]
fn a_birth_lasts_from_the_order_until_the_worker_serves() {
    let (_fd, board) = board(1);
    let slot = board.slot(0);
    slot.begin(1, 1000);
    assert_eq!(slot.look().birth(), None);
    slot.set_ready(4500);
    let seen = slot.look();
    assert_eq!((seen.phase, seen.birth()), (Phase::Ready, Some(Duration::from_nanos(3500))));
    slot.begin(2, 9000);
    assert_eq!(slot.look().birth(), None, "the next life has its own");
}

#[test]
fn a_worker_that_nobody_was_told_of_does_not_move_in_unseen() {
    let (_fd, board) = board(1);
    let slot = board.slot(0);
    slot.begin(1, 0);
    assert!(slot.move_in(1, 77));
    assert_eq!(slot.disown(), Some(77));
    slot.begin(2, 0);
    assert_eq!(slot.disown(), None);
    assert!(!slot.move_in(2, 78), "too late");
}

#[test]
fn tasks_are_counted_from_what_has_happened_to_them() {
    let (_fd, board) = board(1);
    let slot = board.slot(0);
    let after = |step| {
        slot.count_task(step);
        let TaskCounts { queued, running, done, failed, dropped, refused } = slot.tasks();
        [queued, running, done, failed, dropped, refused]
    };
    assert_eq!(after(TaskStep::Submitted), [1, 0, 0, 0, 0, 0]);
    assert_eq!(after(TaskStep::Submitted), [2, 0, 0, 0, 0, 0]);
    assert_eq!(after(TaskStep::Begun), [1, 1, 0, 0, 0, 0]);
    assert_eq!(after(TaskStep::Failed), [1, 0, 0, 1, 0, 0]);
    assert_eq!(after(TaskStep::Submitted), [2, 0, 0, 1, 0, 0]);
    assert_eq!(after(TaskStep::Begun), [1, 1, 0, 1, 0, 0]);
    assert_eq!(after(TaskStep::Done), [1, 0, 1, 1, 0, 0]);
    assert_eq!(after(TaskStep::Dropped), [0, 0, 1, 1, 1, 0]);
    assert_eq!(after(TaskStep::Refused), [0, 0, 1, 1, 1, 1]);
    assert_eq!(slot.tasks().open(), 0);
}

#[test]
fn logs_are_asked_for_by_number() {
    let (_fd, board) = board(1);
    let slot = board.slot(0);
    assert_eq!((board.log_generation(), slot.logs()), (0, LogState::Unopened));
    slot.set_logs(LogState::Open(0));
    assert_eq!(board.reopen_logs(), 1);
    assert_eq!((board.log_generation(), slot.logs().generation()), (1, Some(0)));
    slot.set_logs(LogState::Kept(1));
    assert_eq!(slot.logs(), LogState::Kept(1));
    slot.begin(2, 0);
    assert_eq!(slot.logs(), LogState::Unopened);
}

#[test]
fn slots_do_not_overlap() {
    let (_fd, board) = board(2);
    board.slot(0).count_request(200, Cost { took_ns: u64::MAX, ..Cost::default() });
    board.slot(0).begin(1, 1);
    assert_eq!(board.slot(1).look().generation, 0);
    assert_eq!(board.slot(1).look().phase, Phase::Empty);
    assert!((Word::ReadyAt as usize) < Word::Answered as usize);
    assert!((Word::Refused as usize) < Word::Worn as usize);
    assert!((Word::LockedOut as usize) < LATENCY);
}

#[test]
fn every_answer_is_in_one_class_and_one_bucket() {
    let (_fd, board) = board(1);
    let slot = board.slot(0);
    for (status, took_ns) in
        [(0, 1), (101, 20_000), (200, 50_000_000), (204, 50_000_000), (404, 1), (599, u64::MAX / 2)]
    {
        slot.count_request(status, Cost { took_ns, wall_ns: 7, ..Cost::default() });
    }
    slot.set_refused(3);
    slot.count_saturation();
    let tally = slot.tally();
    assert_eq!(tally.answered, [1, 1, 2, 0, 1, 1]);
    assert_eq!((tally.refused, tally.saturated, tally.wall), (3, 1, Duration::from_nanos(42)));
    assert_eq!(tally.latency.iter().sum::<u64>(), 6);
    assert_eq!(tally.latency[latency::bucket(50_000_000)], 2);
    assert_eq!((slot.look().requests, slot.look().errors), (6, 2));

    let mut sum = Tally::default();
    sum.add(&tally);
    sum.add(&tally);
    assert_eq!((sum.answered, sum.refused), ([2, 2, 4, 0, 2, 2], 6));
    assert_eq!(sum.took, tally.took * 2);
}
