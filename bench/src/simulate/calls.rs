//! What requests cost: a mixture of kinds of calls, each with its time on the CPU and its time blocked off it.

use serde::{Deserialize, Serialize};

use super::random::{Purpose, Random};
use super::time::{Nanos, nanos};

/// One kind of call. Times are means; one factor with mean 1 scatters both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallKind {
    /// Of all calls; shares are relative to each other.
    #[serde(default = "whole")]
    pub(crate) share: f64,
    /// Milliseconds on the CPU, with the interpreter lock.
    #[serde(default)]
    pub(crate) cpu_ms: f64,
    /// Milliseconds in which it waits for something else (a database, a sleep), without the lock.
    #[serde(default)]
    pub(crate) blocked_ms: f64,
    #[serde(default)]
    pub(crate) spread: Spread,
}

fn whole() -> f64 {
    1.0
}

/// How the times of one kind scatter around their mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Spread {
    #[default]
    Fixed,
    Exponential,
    /// The logarithm is normal with this standard deviation.
    Lognormal {
        sigma: f64,
    },
    /// The tail falls with this power, which is above 1; at 2 or below, the variance is infinite.
    Pareto {
        alpha: f64,
    },
}

impl Spread {
    /// A factor with mean 1.
    fn draw(self, random: &mut Random) -> f64 {
        match self {
            Self::Fixed => 1.0,
            Self::Exponential => random.exponential(),
            Self::Lognormal { sigma } => (sigma * random.normal() - sigma * sigma / 2.0).exp(),
            Self::Pareto { alpha } => (alpha - 1.0) / alpha * (1.0 - random.unit()).powf(-1.0 / alpha),
        }
    }
}

/// What one request costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) cpu: Nanos,
    pub(crate) blocked: Nanos,
}

impl Cost {
    /// From start to end when nothing stands in its way.
    pub(crate) fn alone(self) -> Nanos {
        self.cpu + self.blocked
    }
}

/// The costs of requests, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Costs<'a> {
    kinds: &'a [CallKind],
    random: Random,
}

impl<'a> Costs<'a> {
    /// What `seed` makes of `kinds`, of which there is at least one.
    pub(crate) fn new(kinds: &'a [CallKind], seed: u64) -> Self {
        Self { kinds, random: Random::new(seed, Purpose::Calls) }
    }

    /// The next one.
    pub(crate) fn draw(&mut self) -> Cost {
        let all: f64 = self.kinds.iter().map(|kind| kind.share).sum();
        let mut left = self.random.unit() * all;
        let chosen = self.kinds.iter().find(|kind| {
            left -= kind.share;
            left < 0.0
        });
        // Rounding may leave a hair's breadth behind the last one.
        let Some(kind) = chosen.or(self.kinds.last()) else { return Cost::default() };
        let factor = kind.spread.draw(&mut self.random);
        let time = |ms: f64| nanos(ms * factor / 1e3);
        Cost { cpu: time(kind.cpu_ms), blocked: time(kind.blocked_ms) }
    }
}

/// Mean seconds of a call, on the CPU and altogether.
pub(crate) fn means(kinds: &[CallKind]) -> (f64, f64) {
    let all: f64 = kinds.iter().map(|kind| kind.share).sum();
    let mean = |of: fn(&CallKind) -> f64| kinds.iter().map(|kind| kind.share * of(kind)).sum::<f64>() / all / 1e3;
    (mean(|kind| kind.cpu_ms), mean(|kind| kind.cpu_ms + kind.blocked_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_kept_whatever_the_spread() {
        let kind = |spread| CallKind { share: 1.0, cpu_ms: 2.0, blocked_ms: 8.0, spread };
        for (spread, tolerance) in [
            (Spread::Fixed, 1e-9),
            (Spread::Exponential, 0.01),
            (Spread::Lognormal { sigma: 1.0 }, 0.02),
            (Spread::Pareto { alpha: 2.5 }, 0.05),
        ] {
            let kinds = [kind(spread)];
            let mut costs = Costs::new(&kinds, 11);
            let (mut cpu, mut whole) = (0.0, 0.0);
            for _ in 0..200_000 {
                let cost = costs.draw();
                cpu += cost.cpu as f64 / 2e5;
                whole += cost.alone() as f64 / 2e5;
            }
            assert!((cpu / 2e6 - 1.0).abs() <= tolerance, "{spread:?}: {cpu}");
            assert!((whole / 1e7 - 1.0).abs() <= tolerance, "{spread:?}: {whole}");
        }
    }

    #[test]
    fn a_mixture_has_its_shares() {
        let kinds = [
            CallKind { share: 9.0, cpu_ms: 2.0, blocked_ms: 0.0, spread: Spread::Fixed },
            CallKind { share: 1.0, cpu_ms: 0.2, blocked_ms: 200.0, spread: Spread::Fixed },
        ];
        let mut costs = Costs::new(&kinds, 1);
        let long = (0..100_000).filter(|_| costs.draw().blocked > 0).count();
        assert!((9_600..10_400).contains(&long), "{long}");
        let (cpu, whole) = means(&kinds);
        assert!((cpu - 0.00182).abs() < 1e-9 && (whole - 0.02182).abs() < 1e-9);
    }
}
