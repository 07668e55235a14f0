//! `loadgen floor`: what the engines cost and add by themselves, on this machine.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use loadgen::{Engine, Floor, FloorQuestion, Transport, floor_table, measure_floor, parse_duration};
use serde::Serialize;

use crate::failure::Failure;
use crate::interrupt;
use crate::output::Output;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only this engine; both unless this is given.
    #[arg(long, value_enum)]
    engine: Option<Choice>,

    /// Connections to measure with besides a single one.
    #[arg(short, long, value_name = "COUNT", default_value_t = FloorQuestion::CONNECTIONS)]
    connections: usize,

    /// Measured time for each engine and number of connections.
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    duration: Duration,

    /// Pin the generator's thread to this CPU.
    #[arg(long = "cpus", value_name = "CPU")]
    cpu: Option<usize>,

    /// Write the figures as JSON to FILE; - or nothing means standard output.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    #[arg(value_hint = ValueHint::FilePath)]
    json: Option<PathBuf>,
}

/// The spelling of [`Engine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    Fast,
    Reqwest,
}

/// The JSON form.
#[derive(Serialize)]
struct Floors {
    generator: String,
    floors: Vec<Floor>,
}

impl Arguments {
    /// Measures, shows and writes.
    pub(super) fn execute(&self) -> Result<u8, Failure> {
        if self.connections == 0 {
            return Err(Failure::Words("--connections: must be at least 1".to_owned()));
        }
        if self.duration.is_zero() {
            return Err(Failure::Words("--duration: must be more than 0".to_owned()));
        }
        let output = self.json.as_deref().map(Output::create).transpose()?;
        let stop = interrupt::watch().map_err(Failure::Signals)?;
        let mut floors = Vec::new();
        for engine in self.engines() {
            let question =
                FloorQuestion { engine, connections: self.connections, duration: self.duration, cpu: self.cpu };
            match measure_floor(&question, &stop)? {
                Some(floor) => floors.push(floor),
                None => return Ok(interrupt::EXIT_CODE),
            }
        }
        let shown = output.as_ref().is_none_or(|output| !output.is_stdout());
        if shown {
            Output::stdout().write(floor_table(&floors).as_bytes())?;
        }
        if let Some(output) = output {
            let generator = concat!("loadgen ", env!("CARGO_PKG_VERSION")).to_owned();
            output.write_json(&Floors { generator, floors })?;
        }
        Ok(0)
    }

    fn engines(&self) -> Vec<Engine> {
        let reqwest = || Engine::Reqwest(Transport::default());
        match self.engine {
            Some(Choice::Fast) => vec![Engine::Fast],
            Some(Choice::Reqwest) => vec![reqwest()],
            None if cfg!(feature = "reqwest") => vec![Engine::Fast, reqwest()],
            None => vec![Engine::Fast],
        }
    }
}
