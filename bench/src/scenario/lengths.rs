//! Lengths and loads of a session: how long each scenario takes, how often, and how hard it pushes.
//!
//! Plain values that are stored with the results; `session` plans with them, `report` tells them.

use serde::{Deserialize, Serialize};

use super::{
    Scenario, bodies, calls, capacity, compute, counters, curve, described::Description, file, idle, isolation, memory,
    mixed, rest, small, spawn, steady, step, threads, tune,
};

/// Lengths and loads of a session, all in the results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lengths {
    /// Longest wait for an answer, in seconds; a request without one is an error.
    pub(crate) timeout_s: f64,
    pub(crate) steady: steady::Settings,
    pub(crate) step: step::Settings,
    /// Absent from folders that are older than these scenarios, which have no run of them.
    #[serde(default)]
    pub(crate) request_path: RequestPath,
    /// The same.
    #[serde(default)]
    pub(crate) process_manager: ProcessManager,
    /// The same.
    #[serde(default)]
    pub(crate) offered_load: OfferedLoad,
    /// The same.
    #[serde(default)]
    pub(crate) evidence: Evidence,
    /// The same.
    #[serde(default)]
    pub(crate) tune: tune::Settings,
    /// The scenarios of files that the session has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) described: Vec<Description>,
}

/// Those of the request path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RequestPath {
    pub(crate) small: small::Settings,
    pub(crate) bodies: bodies::Settings,
    pub(crate) file: file::Settings,
    pub(crate) calls: calls::Settings,
    pub(crate) isolation: isolation::Settings,
    pub(crate) threads: threads::Settings,
    pub(crate) idle: idle::Settings,
}

impl Default for RequestPath {
    fn default() -> Self {
        Self::of(false)
    }
}

impl RequestPath {
    fn of(quick: bool) -> Self {
        Self {
            small: small::Settings::of(quick),
            bodies: bodies::Settings::of(quick),
            file: file::Settings::of(quick),
            calls: calls::Settings::of(quick),
            isolation: isolation::Settings::of(quick),
            threads: threads::Settings::of(quick),
            idle: idle::Settings::of(quick),
        }
    }
}

/// Those of the process manager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProcessManager {
    pub(crate) burst: step::Settings,
    pub(crate) compute: compute::Settings,
    /// Of the search as well.
    pub(crate) mixed: mixed::Settings,
    pub(crate) spawn: spawn::Settings,
    pub(crate) memory: memory::Settings,
}

impl Default for ProcessManager {
    fn default() -> Self {
        Self::of(false)
    }
}

impl ProcessManager {
    fn of(quick: bool) -> Self {
        Self {
            burst: step::Settings::with_end(quick),
            compute: compute::Settings::of(quick),
            mixed: mixed::Settings::of(quick),
            spawn: spawn::Settings::of(quick),
            memory: memory::Settings::of(quick),
        }
    }
}

/// Those of the offered load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OfferedLoad {
    pub(crate) curve: curve::Settings,
    pub(crate) capacity: capacity::Settings,
}

impl Default for OfferedLoad {
    fn default() -> Self {
        Self::of(false)
    }
}

impl OfferedLoad {
    fn of(quick: bool) -> Self {
        Self { curve: curve::Settings::of(quick), capacity: capacity::Settings::of(quick) }
    }
}

/// Those of the evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evidence {
    pub(crate) counters: counters::Settings,
    pub(crate) rest: rest::Settings,
}

impl Default for Evidence {
    fn default() -> Self {
        Self::of(false)
    }
}

impl Evidence {
    fn of(quick: bool) -> Self {
        Self { counters: counters::Settings::of(quick), rest: rest::Settings::of(quick) }
    }
}

impl Lengths {
    /// Those of a full session (the comparison: at most four minutes for four contenders; the request path: at most a
    /// quarter of an hour; the process manager: twelve minutes; the offered load: half an hour; the evidence: two minutes)
    /// or of a quick one (at most one minute; two and a half; one and a half; two; half a minute).
    pub(crate) fn of(quick: bool) -> Self {
        Self {
            timeout_s: if quick { 2.0 } else { 6.0 },
            steady: steady::Settings::of(quick),
            step: step::Settings::of(quick),
            request_path: RequestPath::of(quick),
            process_manager: ProcessManager::of(quick),
            offered_load: OfferedLoad::of(quick),
            evidence: Evidence::of(quick),
            tune: tune::Settings::of(quick),
            described: Vec::new(),
        }
    }

    /// Adds the scenarios of files, as they are or shorter.
    pub(crate) fn describe(&mut self, descriptions: &[Description], quick: bool) {
        let descriptions = descriptions.iter().cloned();
        self.described.extend(descriptions.map(|one| if quick { one.quick() } else { one }));
    }

    /// What the file of this scenario says; `None` for one that is code.
    pub(crate) fn description(&self, scenario: Scenario) -> Option<&Description> {
        let is_it = |description: &&Description| scenario.is_described() && description.name == scenario.name();
        self.described.iter().find(is_it)
    }

    /// How often each contender is started for `scenario`.
    pub(crate) fn replicates(&self, scenario: Scenario) -> u32 {
        let path = &self.request_path;
        let manager = &self.process_manager;
        match scenario {
            Scenario::Steady => self.steady.replicates,
            Scenario::Step => self.step.replicates,
            Scenario::Hello | Scenario::Flask => path.small.replicates,
            Scenario::Bodies => path.bodies.replicates,
            Scenario::File => path.file.replicates,
            Scenario::Syscalls => path.calls.replicates,
            Scenario::Isolation => path.isolation.replicates,
            Scenario::Threads => path.threads.replicates,
            Scenario::Idle => path.idle.replicates,
            Scenario::Burst => manager.burst.replicates,
            Scenario::Compute => manager.compute.replicates,
            // What they are for is made sure of by what comes after them.
            Scenario::Search | Scenario::Tune => 1,
            Scenario::Mixed => manager.mixed.replicates,
            Scenario::Spawn => manager.spawn.replicates,
            Scenario::Memory => manager.memory.replicates,
            Scenario::Curve => self.offered_load.curve.replicates,
            Scenario::Capacity => self.offered_load.capacity.replicates,
            Scenario::Counters => self.evidence.counters.replicates,
            Scenario::Rest => self.evidence.rest.replicates,
            Scenario::Described(_) => self.description(scenario).map_or(0, |description| description.starts),
        }
    }

    /// Makes it `starts` for every scenario but the searches.
    pub(crate) fn start_each(&mut self, starts: u32) {
        let path = &mut self.request_path;
        let manager = &mut self.process_manager;
        for replicates in [
            &mut self.steady.replicates,
            &mut self.step.replicates,
            &mut path.small.replicates,
            &mut path.bodies.replicates,
            &mut path.file.replicates,
            &mut path.calls.replicates,
            &mut path.isolation.replicates,
            &mut path.threads.replicates,
            &mut path.idle.replicates,
            &mut manager.burst.replicates,
            &mut manager.compute.replicates,
            &mut manager.mixed.replicates,
            &mut manager.spawn.replicates,
            &mut manager.memory.replicates,
            &mut self.offered_load.curve.replicates,
            &mut self.offered_load.capacity.replicates,
            &mut self.evidence.counters.replicates,
            &mut self.evidence.rest.replicates,
        ] {
            *replicates = starts;
        }
        self.described.iter_mut().for_each(|description| description.starts = starts);
    }

    /// Seconds of load in one run of `scenario`.
    pub(crate) fn seconds(&self, scenario: Scenario) -> f64 {
        let path = &self.request_path;
        let manager = &self.process_manager;
        match scenario {
            Scenario::Steady => self.steady.seconds(),
            Scenario::Step => self.step.seconds(),
            Scenario::Hello | Scenario::Flask => path.small.seconds(),
            Scenario::Bodies => path.bodies.seconds(),
            Scenario::File => path.file.seconds(),
            Scenario::Syscalls => path.calls.seconds(),
            Scenario::Isolation => path.isolation.seconds(),
            Scenario::Threads => path.threads.seconds(),
            Scenario::Idle => path.idle.seconds(),
            Scenario::Burst => manager.burst.seconds(),
            Scenario::Compute => manager.compute.seconds(),
            Scenario::Search => manager.mixed.search_seconds(),
            Scenario::Mixed => manager.mixed.seconds(),
            Scenario::Spawn => manager.spawn.seconds(),
            Scenario::Memory => manager.memory.seconds(),
            Scenario::Curve => self.offered_load.curve.seconds(),
            Scenario::Capacity => self.offered_load.capacity.seconds(),
            Scenario::Counters => self.evidence.counters.seconds(),
            Scenario::Rest => self.evidence.rest.seconds(),
            Scenario::Tune => self.tune.seconds(),
            Scenario::Described(_) => self.description(scenario).map_or(0.0, Description::seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::spec;

    /// Seconds that a run takes beside its load, as measured on two cores: start, gate, answers that are still awaited,
    /// stop. In the default session Apache takes longer than the others, the more the fuller it was: its children import
    /// the application at their first request, and a queue is left when the load ends.
    fn around(contender: &str, scenario: Scenario, unnamed: bool) -> f64 {
        match scenario {
            _ if !unnamed => 1.7,
            Scenario::Steady if contender == "apache-prefork" => 4.2,
            Scenario::Step if contender == "apache-prefork" => 6.5,
            // Tools are attached three times; crowds, which the plan has for everybody, are for who records only.
            Scenario::Counters if contender == "apache-prefork" => 2.2,
            Scenario::Counters => 1.2,
            Scenario::Rest if contender == "apache-prefork" => 1.2,
            _ => 0.6,
        }
    }

    /// Seconds of a session of these scenarios with everybody who takes part by default.
    fn total(scenarios: &[Scenario], quick: bool) -> f64 {
        let unnamed = scenarios == Scenario::unnamed();
        let lengths = Lengths::of(quick);
        let contenders = spec::chosen(&[], scenarios).unwrap();
        scenarios
            .iter()
            .map(|scenario| {
                let mixed = &lengths.process_manager.mixed;
                let runs: f64 = contenders
                    .iter()
                    .filter(|c| c.scenarios.contains(scenario))
                    .map(|contender| {
                        let runs = match (contender.grid, scenario) {
                            (true, Scenario::Mixed) => mixed.finalists,
                            (true, _) => mixed.workers.len() * mixed.threads.len(),
                            (false, _) => 1,
                        };
                        let around = around(&contender.name, *scenario, unnamed);
                        runs as f64 * (lengths.seconds(*scenario) + around)
                    })
                    .sum();
                runs * f64::from(lengths.replicates(*scenario))
            })
            .sum()
    }

    #[test]
    fn sessions_keep_their_promised_lengths() {
        // The rest is for answers that are still awaited when a stage ends, and for making the report.
        let rows: [(&[Scenario], bool, f64); 10] = [
            (&Scenario::unnamed(), true, 59.0),
            (&Scenario::unnamed(), false, 235.0),
            (&Scenario::ALL[2..10], true, 140.0),
            (&Scenario::ALL[2..10], false, 820.0),
            (&Scenario::ALL[10..16], true, 90.0),
            (&Scenario::ALL[10..16], false, 720.0),
            (&Scenario::ALL[16..18], true, 120.0),
            (&Scenario::ALL[16..18], false, 1800.0),
            (&Scenario::ALL[18..20], true, 30.0),
            (&Scenario::ALL[18..20], false, 120.0),
        ];
        for (scenarios, quick, most) in rows {
            let total = total(scenarios, quick);
            assert!(total <= most, "{scenarios:?}, quick {quick}: {total}");
        }
    }

    #[test]
    fn a_number_of_starts_is_that_of_every_scenario() {
        let mut lengths = Lengths::of(true);
        lengths.start_each(9);
        let expected = |scenario| if matches!(scenario, Scenario::Search | Scenario::Tune) { 1 } else { 9 };
        assert_eq!(Scenario::ALL.map(|scenario| lengths.replicates(scenario)), Scenario::ALL.map(expected));
    }

    #[test]
    fn older_folders_have_no_lengths_of_later_scenarios() {
        let mut json = serde_json::to_value(Lengths::of(true)).unwrap();
        json.as_object_mut().unwrap().remove("request_path");
        json.as_object_mut().unwrap().remove("process_manager");
        json.as_object_mut().unwrap().remove("offered_load");
        json.as_object_mut().unwrap().remove("evidence");
        json.as_object_mut().unwrap().remove("tune");
        assert!(serde_json::from_value::<Lengths>(json).is_ok());
    }
}
