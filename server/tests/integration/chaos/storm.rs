//! The plan of a storm: which blow falls when. A pure function of a seed and a span, so that a storm can be had again.
//!
//! Knows nothing of a server. Deadly rounds, in which every kind of blow falls, alternate with gentle ones that end no
//! process: what is lost then has no excuse.

use std::time::Duration;

use super::blows::Blow;
use super::question::Kind;

/// Between two blows, in milliseconds: some fall into the recovery from the one before, others after it.
const SHORTEST_GAP: u64 = 40;
const LONGEST_GAP: u64 = 400;
/// Nothing falls so long before the end: what is lost then has no excuse either.
const CALM: Duration = Duration::from_millis(500);

/// One blow at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strike {
    /// Since the storm began.
    pub(super) at: Duration,
    pub(super) blow: Blow,
}

type Draw = fn(&mut Chance) -> Blow;

const KILL_WORKER: Draw = |chance| Blow::KillWorker { pick: chance.next() };
const KILL_ALL_WORKERS: Draw = |_| Blow::KillAllWorkers;
const KILL_TEMPLATE: Draw = |_| Blow::KillTemplate;
const KILL_TEMPLATE_FORKING: Draw = |chance| Blow::KillTemplateForking { pick: chance.next() };
const EXIT: Draw = |_| Blow::Ask(Kind::Exits);
const FAULT: Draw = |_| Blow::Ask(Kind::Faults);

const STOP_WORKER: Draw = |chance| Blow::StopWorker { pick: chance.next(), milliseconds: chance.within(50, 500) };
const RAISE: Draw = |_| Blow::Ask(Kind::Raises);
const BREAK: Draw = |_| Blow::Ask(Kind::Breaks);
const LOOP: Draw = |_| Blow::Ask(Kind::Loops);
const ALLOCATE: Draw = |_| Blow::Ask(Kind::Allocates);
const GROW: Draw = |_| Blow::Ask(Kind::Grows);
const HANG: Draw = |_| Blow::Ask(Kind::Hangs);
const TASK: Draw = |_| Blow::Ask(Kind::Leaves);
const CONNECTIONS: Draw = |chance| Blow::Connections { count: chance.within(20, 100) };
const LEAVE: Draw = |chance| Blow::Leave { count: chance.within(1, 10) };
const SCALE: Draw = |chance| {
    let least = chance.within(3, 5);
    Blow::Scale { least, most: chance.within(least, 6) }
};
const RELOAD: Draw = |_| Blow::Reload;
const ROTATE: Draw = |_| Blow::Rotate;

/// What falls in a deadly round besides all of a gentle one.
const DEADLY: &[Draw] = &[
    KILL_WORKER,
    KILL_WORKER,
    KILL_WORKER,
    KILL_WORKER,
    KILL_ALL_WORKERS,
    KILL_TEMPLATE,
    KILL_TEMPLATE_FORKING,
    EXIT,
    EXIT,
    FAULT,
];

/// What falls in every round.
const GENTLE: &[Draw] = &[
    STOP_WORKER,
    STOP_WORKER,
    STOP_WORKER,
    RAISE,
    BREAK,
    BREAK,
    LOOP,
    ALLOCATE,
    GROW,
    HANG,
    TASK,
    CONNECTIONS,
    LEAVE,
    LEAVE,
    SCALE,
    RELOAD,
    ROTATE,
];

/// The storm that this seed makes within `span`.
pub(super) fn plan(seed: u64, span: Duration) -> Vec<Strike> {
    let mut chance = Chance::new(seed);
    let mut strikes = Vec::new();
    let mut at = Duration::ZERO;
    for deadly in [true, false].into_iter().cycle() {
        let mut round = GENTLE.to_vec();
        if deadly {
            round.extend(DEADLY);
        }
        while !round.is_empty() {
            let draw = round.swap_remove(chance.within(0, round.len() as u64 - 1) as usize);
            at += Duration::from_millis(chance.within(SHORTEST_GAP, LONGEST_GAP));
            if at + CALM > span {
                return strikes;
            }
            strikes.push(Strike { at, blow: draw(&mut chance) });
        }
    }
    strikes
}

/// Random numbers that a seed repeats (splitmix64).
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// The sequence of this seed.
    pub(super) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// Any number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `least` to `most`.
    pub(super) fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }
}

#[test]
fn a_seed_is_a_storm() {
    let minute = Duration::from_secs(60);
    assert_eq!(plan(7, minute), plan(7, minute));
    assert_ne!(plan(7, minute), plan(8, minute));
    // A shorter one is the longer one's beginning.
    let short = plan(7, Duration::from_secs(9));
    assert!(plan(7, minute).starts_with(&short));
}

#[test]
fn blows_keep_their_distance_and_leave_a_calm_end() {
    // (seed, span in seconds)
    for (seed, span) in [(0, 0), (0, 1), (1, 8), (2, 30), (u64::MAX, 1800)] {
        let span = Duration::from_secs(span);
        let strikes = plan(seed, span);
        let mut before = Duration::ZERO;
        for strike in &strikes {
            let gap = (strike.at - before).as_millis() as u64;
            assert!((SHORTEST_GAP..=LONGEST_GAP).contains(&gap), "{strike:?}");
            before = strike.at;
        }
        assert!(strikes.last().is_none_or(|last| last.at + CALM <= span));
        // Not less dense than the widest gaps allow.
        let most = Duration::from_millis(LONGEST_GAP);
        assert!(before + CALM + most >= span, "{seed}: the last blow falls at {before:?} of {span:?}");
    }
}

#[test]
fn every_kind_falls_in_a_deadly_round_and_no_process_ends_in_a_gentle_one() {
    let strikes = plan(3, Duration::from_secs(300));
    let (deadly, gentle) = (DEADLY.len() + GENTLE.len(), GENTLE.len());
    for rounds in strikes.chunks_exact(deadly + gentle) {
        let mut kinds: Vec<&str> = rounds[..deadly].iter().map(|strike| strike.blow.name()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), 19, "{kinds:?}");
        assert_eq!(rounds[..deadly].iter().filter(|strike| strike.blow.is_deadly()).count(), DEADLY.len());
        assert!(!rounds[deadly..].iter().any(|strike| strike.blow.is_deadly()), "{rounds:?}");
    }
}
