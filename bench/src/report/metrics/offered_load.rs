//! The figures of the offered load: where the knee is, what latency is before and beyond it, and how much is borne.

use loadgen::Finding;

use super::{Better, Metric, Of, Part, Reading, per_answer, quantile_ms};
use crate::scenario::curve::{Observation, Offered, Point};
use crate::scenario::{Watched, capacity};

const HISTOGRAM: &str =
    "load generator: HdrHistogram of latencies from the intended send time, open loop with Poisson arrivals";
const SEARCH: &str = "load generator: doubling, bisecting and confirming runs of an open loop with Poisson arrivals; the highest rate confirmed, per start";

/// Every figure, in the order of the tables.
pub(super) const METRICS: &[Metric] = &[
    curve(
        "curve_saturation",
        ("throughput, saturated", "requests/s"),
        Better::Higher,
        "load generator: closed loop, whole answers per second",
        |curve| Ok(Reading::Value(curve.saturation.load.answered_rate)),
    ),
    curve(
        "curve_knee",
        ("knee", "requests/s"),
        Better::Higher,
        "the point with the greatest answered rate ÷ mean latency (Kleinrock’s power): its answered rate",
        |curve| knee(curve).map(|point| Reading::Value(point.load.load.answered_rate)),
    ),
    curve("curve_knee_p99", ("p99 at the knee", "ms"), Better::Lower, HISTOGRAM, |curve| {
        quantile_ms(&knee(curve)?.load.load.latency, 0.99)
    }),
    curve("curve_half_p50", ("p50 at 50 % of its saturation", "ms"), Better::Lower, HISTOGRAM, |curve| {
        quantile_ms(&share(curve, 0.5)?.load.latency, 0.5)
    }),
    curve("curve_half_p99", ("p99 at 50 % of its saturation", "ms"), Better::Lower, HISTOGRAM, |curve| {
        quantile_ms(&share(curve, 0.5)?.load.latency, 0.99)
    }),
    curve("curve_most_p99", ("p99 at 80 % of its saturation", "ms"), Better::Lower, HISTOGRAM, |curve| {
        quantile_ms(&share(curve, 0.8)?.load.latency, 0.99)
    }),
    curve("curve_past_p99", ("p99 at 110 % of its saturation", "ms"), Better::Lower, HISTOGRAM, |curve| {
        quantile_ms(&share(curve, 1.1)?.load.latency, 0.99)
    }),
    curve("curve_400_p99", ("p99 at 400 requests/s", "ms"), Better::Lower, HISTOGRAM, |curve| {
        quantile_ms(&rate(curve, 400.0)?.load.latency, 0.99)
    }),
    curve("curve_800_p99", ("p99 at 800 requests/s", "ms"), Better::Lower, HISTOGRAM, |curve| {
        quantile_ms(&rate(curve, 800.0)?.load.latency, 0.99)
    }),
    curve(
        "curve_half_cpu",
        ("CPU per request at 50 % of its saturation", "µs"),
        Better::Lower,
        "Σ utime+stime (+ reaped children) of /proc/PID/stat over the tree ÷ answers",
        |curve| {
            let half = share(curve, 0.5)?;
            per_answer(half, half.watch.cpu_seconds * 1e6)
        },
    ),
    curve(
        "curve_pss",
        ("memory (PSS), largest up to its saturation", "MiB"),
        Better::Lower,
        "Pss of /proc/PID/smaps_rollup, summed over the tree, once a second",
        |curve| {
            let most = curve.saturation.load.answered_rate;
            let within = curve.points.iter().filter(|point| point.rate <= most);
            let largest = within.filter_map(|point| pss_mib(&point.load)).max_by(f64::total_cmp);
            largest.map(Reading::Value).ok_or_else(|| "no sample of the memory".into())
        },
    ),
    curve("curve_errors", ("errors, all points", "requests"), Better::Lower, "load generator", |curve| {
        Ok(Reading::Value(curve.points.iter().map(|point| point.load.load.errors_total() as f64).sum()))
    }),
    search("capacity", ("capacity under the objective", "requests/s"), Better::Higher, SEARCH, |found| {
        match &found.capacity.finding {
            Finding::Found { rate, .. } => Ok(Reading::Value(*rate)),
            Finding::AtLeast { rate } | Finding::GeneratorLimited { rate, .. } => Ok(Reading::Beyond(*rate)),
            Finding::NotSustained { rate, reasons } => {
                Err(format!("not sustained at {rate} requests/s, the lowest rate tried: {}", reasons.join("; ")))
            }
            Finding::NotMeasured { rate, reasons } => {
                Err(format!("the generator was at its limit at {rate} requests/s: {}", reasons.join("; ")))
            }
            Finding::TargetLost { at, message, .. } => {
                Err(format!("the server was lost at {at} requests/s: {message}"))
            }
            Finding::Interrupted { .. } => Err("the search was interrupted".into()),
        }
    }),
    search("capacity_p99", ("p99 at the capacity", "ms"), Better::Lower, HISTOGRAM, |found| {
        let confirmed = found.capacity.confirmation().ok_or("no rate was confirmed")?;
        quantile_ms(&confirmed.report.latency, 0.99)
    }),
];

const fn curve(
    id: &'static str,
    (label, unit): (&'static str, &'static str),
    better: Better,
    source: &'static str,
    of: fn(&Observation) -> Result<Reading, String>,
) -> Metric {
    Metric { id, part: Part::Curve, label, unit, better, source, of: Of::Curve(of) }
}

const fn search(
    id: &'static str,
    (label, unit): (&'static str, &'static str),
    better: Better,
    source: &'static str,
    of: fn(&capacity::Observation) -> Result<Reading, String>,
) -> Metric {
    Metric { id, part: Part::Capacity, label, unit, better, source, of: Of::Capacity(of) }
}

/// The point at which most is done in the least time: the greatest ratio of throughput to mean latency (Kleinrock 1979;
/// Jain, The Art of Computer Systems Performance Analysis, 1991, §3.3).
pub(crate) fn knee(curve: &Observation) -> Result<&Point, String> {
    let points = curve.points.iter().filter(|point| !point.is_limited());
    let powers = points.filter_map(|point| {
        let load = &point.load.load;
        power(load.answered_rate, load.latency.mean_ns).map(|power| (power, point))
    });
    powers.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, point)| point).ok_or_else(|| "no valid point".into())
}

/// `None` of a point at which nothing was answered.
fn power(rate: f64, mean_ns: f64) -> Option<f64> {
    (rate > 0.0 && mean_ns > 0.0).then(|| rate / mean_ns)
}

fn share(curve: &Observation, wanted: f64) -> Result<&Watched, String> {
    at(curve, Offered::Share(wanted))
}

fn rate(curve: &Observation, wanted: f64) -> Result<&Watched, String> {
    at(curve, Offered::Rate(wanted))
}

fn at(curve: &Observation, wanted: Offered) -> Result<&Watched, String> {
    let of_it = || curve.points.iter().filter(|point| point.offered == wanted);
    let point = of_it().find(|point| !point.is_limited()).or_else(|| of_it().next()).ok_or_else(|| {
        if let Some(refused) = curve.refused.iter().find(|refused| refused.offered == wanted) {
            return refused.reason.clone();
        }
        match wanted {
            Offered::Share(_) => "this share was not offered".to_owned(),
            Offered::Rate(_) => {
                let most = super::super::format::number(curve.saturation.load.answered_rate);
                format!("not offered: far above its saturation of {most} requests/s")
            }
        }
    })?;
    match point.load.load.generator_limits().first() {
        None => Ok(&point.load),
        Some(limit) => Err(format!("INVALID: {limit}")),
    }
}

/// The largest of a watch, in MiB.
pub(crate) fn pss_mib(watched: &Watched) -> Option<f64> {
    watched.watch.samples.iter().filter_map(|sample| sample.pss_kib).max().map(|kib| kib as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_greatest_before_latency_grows_faster_than_load() {
        // (answered per second, mean latency in ns)
        let points = [(100.0, 1e6), (500.0, 1.2e6), (900.0, 2e6), (1000.0, 9e6), (1000.0, 90e6)];
        let powers: Vec<f64> = points.iter().filter_map(|(rate, mean)| power(*rate, *mean)).collect();
        let best = powers.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
        assert_eq!(points[best], (900.0, 2e6));
        assert_eq!(power(0.0, 1e6), None);
        assert_eq!(power(5.0, 0.0), None);
    }
}
