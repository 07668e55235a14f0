//! A decision's inputs in one line that an operator can check by hand.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use crate::Limits;

use super::contention::Symptom;
use super::demand::Demand;
use super::staffing::{DRAIN, Staffing, drain_time};

/// What led to a decision.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub(super) demand: &'a Demand,
    pub(super) staffing: &'a Staffing,
    pub(super) symptom: Option<Symptom>,
    pub(super) limits: &'a Limits,
    pub(super) serving: u32,
    pub(super) starting: u32,
}

impl Inputs<'_> {
    /// By name: what [`Inputs::summary`] is made of.
    pub(super) fn figures(&self) -> BTreeMap<String, f64> {
        let Self { demand, staffing, limits, serving, starting, .. } = self;
        let figures = [
            ("rate", demand.rate),
            ("service_seconds", demand.service),
            ("running", demand.running),
            ("waiting", f64::from(demand.waiting)),
            ("lock_waits", demand.lock_waits),
            ("drain_seconds", drain_time(demand)),
            ("slots", staffing.slots),
            ("workers_by_slots", f64::from(staffing.by_slots)),
            ("cpu_cores", demand.cpu),
            ("cpu_limit_cores", limits.cpus),
            ("workers_by_cpu", f64::from(staffing.by_cpu)),
            ("workers_serving", f64::from(*serving)),
            ("workers_starting", f64::from(*starting)),
        ];
        figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// `λ=400/s W=50 ms, 3 waiting → 31 slots (1 worker), CPU 0.1 of 2 cores (1 worker), have 1`.
    pub(super) fn summary(&self) -> String {
        let Self { demand, staffing, symptom, limits, serving, starting } = self;
        let mut parts = format!("λ={}/s", Figure(demand.rate));
        if demand.rate > 0.0 {
            parts.push_str(&format!(" W={}", Seconds(demand.service)));
        }
        if demand.running >= 0.5 {
            parts.push_str(&format!(", {:.0} running", demand.running));
        }
        if demand.waiting > 0 {
            parts.push_str(&format!(", {} waiting", demand.waiting));
            if drain_time(demand) > DRAIN {
                parts.push_str(&format!(" (a start takes {})", Seconds(demand.start_time)));
            }
        }
        parts.push_str(&format!(
            " → {:.0} slots ({}), CPU {} of {} cores ({})",
            staffing.slots.ceil(),
            Workers(staffing.by_slots),
            Figure(demand.cpu),
            Figure(limits.cpus),
            Workers(staffing.by_cpu),
        ));
        match symptom {
            Some(Symptom::Lock) => {
                parts.push_str(&format!(", {} calls wait for the interpreter lock", Figure(demand.lock_waits)));
            }
            Some(Symptom::Queue) => parts.push_str(", requests queue for the CPU"),
            None => {}
        }
        parts.push_str(&format!(", have {serving}"));
        if *starting > 0 {
            parts.push_str(&format!(" ({starting} starting)"));
        }
        parts
    }
}

/// `1 worker`, `4 workers`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Workers(pub(super) u32);

impl Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, if self.0 == 1 { "worker" } else { "workers" })
    }
}

/// Two or three digits, no more.
struct Figure(f64);

impl Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = (self.0 * 10.0).round() / 10.0;
        if rounded < 10.0 && rounded.fract() != 0.0 { write!(f, "{rounded:.1}") } else { write!(f, "{:.0}", self.0) }
    }
}

/// Seconds in the unit that reads best.
struct Seconds(f64);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            s if s >= 1.0 => write!(f, "{} s", Figure(s)),
            s if s >= 1e-3 => write!(f, "{} ms", Figure(s * 1e3)),
            s => write!(f, "{:.0} µs", s * 1e6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        for (value, expected) in [(0.0, "0"), (0.04, "0"), (0.25, "0.3"), (2.0, "2"), (9.96, "10"), (400.4, "400")] {
            assert_eq!(Figure(value).to_string(), expected);
        }
        for (value, expected) in [(0.00012, "120 µs"), (0.0015, "1.5 ms"), (0.05, "50 ms"), (2.5, "2.5 s")] {
            assert_eq!(Seconds(value).to_string(), expected);
        }
    }
}
