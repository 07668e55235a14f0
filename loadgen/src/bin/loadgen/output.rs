//! What a report is written as: the options that ask for it, the files, and the formats.
//!
//! A run and `loadgen report` share all of this. Knows nothing of how a report came about.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};
use loadgen::Report;
use loadgen::chart::{Picture, Theme};

use crate::failure::Failure;

/// Files that any report can be written as; `-` is standard output.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct FileOptions {
    /// Write a line per interval to FILE: rates, errors, percentiles (.csv).
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    csv: Option<PathBuf>,

    /// Write the intervals' histograms to FILE, for HdrHistogram's own tools (.hlog, ns).
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    hlog: Option<PathBuf>,

    /// Write the latency's percentiles to FILE, as HdrHistogram's plotters read them (.hgrm, ms).
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    hdr: Option<PathBuf>,

    /// Write a page with pictures and tables to FILE, which needs nothing else.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    html: Option<PathBuf>,

    /// Draw percentiles, latency over time, rates and errors to FILE.svg or FILE.png.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    plot: Option<PathBuf>,

    /// Colours of a PNG; pages and SVGs follow their reader's.
    #[arg(long, value_name = "THEME", value_enum, default_value_t)]
    plot_theme: PlotTheme,
}

/// The spelling of [`Theme`].
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum PlotTheme {
    #[default]
    Light,
    Dark,
}

/// How a report becomes bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Json,
    Csv,
    Hlog,
    Hgrm,
    Html,
    Plot(Picture),
}

impl FileOptions {
    fn chosen(&self) -> Result<Vec<(Format, &Path)>, Failure> {
        let mut chosen = Vec::new();
        let plain = [
            (Format::Csv, &self.csv),
            (Format::Hlog, &self.hlog),
            (Format::Hgrm, &self.hdr),
            (Format::Html, &self.html),
        ];
        chosen.extend(plain.into_iter().filter_map(|(format, path)| Some((format, path.as_deref()?))));
        if let Some(path) = self.plot.as_deref() {
            let theme = match self.plot_theme {
                PlotTheme::Light => Theme::Light,
                PlotTheme::Dark => Theme::Dark,
            };
            let picture = match path.extension().and_then(|extension| extension.to_str()) {
                Some("svg") => Picture::Svg,
                Some("png") => Picture::Png(theme),
                _ => {
                    let path = path.display();
                    return Err(Failure::Words(format!("--plot {path}: the name must end in .svg or .png")));
                }
            };
            chosen.push((Format::Plot(picture), path));
        }
        Ok(chosen)
    }
}

/// The files of a report, opened before it exists: a run must not be lost to a misspelt folder.
pub(crate) struct Outputs {
    files: Vec<(Format, Output)>,
}

impl Outputs {
    /// Opens what the options ask for, and `json`.
    ///
    /// # Errors
    /// A file that cannot be created; more than one for standard output.
    pub(crate) fn open(options: &FileOptions, json: Option<&Path>) -> Result<Self, Failure> {
        let json = json.map(|path| (Format::Json, path));
        let chosen: Vec<_> = json.into_iter().chain(options.chosen()?).collect();
        if chosen.iter().filter(|(_, path)| is_stdout(path)).count() > 1 {
            return Err(Failure::Words("only one output can go to standard output; give the others a file".to_owned()));
        }
        let files = chosen.into_iter().map(|(format, path)| Ok((format, Output::create(path)?)));
        Ok(Self { files: files.collect::<Result<_, Failure>>()? })
    }

    /// Nothing was asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// One of them is standard output, which the summary then has to leave.
    pub(crate) fn take_stdout(&self) -> bool {
        self.files.iter().any(|(_, output)| output.file.is_none())
    }

    /// Writes all of them.
    ///
    /// # Errors
    /// The first file that cannot be written, or a report whose histograms are damaged.
    pub(crate) fn write(self, report: &Report) -> Result<(), Failure> {
        for (format, output) in self.files {
            let bytes = format
                .render(report)
                .map_err(|reason| Failure::Output { path: output.path.clone(), source: io::Error::other(reason) })?;
            output.write(&bytes)?;
        }
        Ok(())
    }
}

impl Format {
    fn render(self, report: &Report) -> Result<Vec<u8>, String> {
        Ok(match self {
            Self::Json => {
                let mut text = serde_json::to_vec_pretty(report).map_err(|error| error.to_string())?;
                text.push(b'\n');
                text
            }
            Self::Csv => report.csv().into_bytes(),
            Self::Hlog => report.hlog().map_err(|error| error.to_string())?.into_bytes(),
            Self::Hgrm => report.latency.hgrm().map_err(|error| error.to_string())?.into_bytes(),
            Self::Html => report.html().map_err(|error| error.to_string())?.into_bytes(),
            Self::Plot(picture) => report.plot(picture).map_err(|error| error.to_string())?,
        })
    }
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A file, or standard output.
pub(crate) struct Output {
    path: PathBuf,
    /// `None` is standard output.
    file: Option<File>,
}

impl Output {
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        if is_stdout(path) {
            return Ok(Self::stdout());
        }
        let failed = |source| Failure::Output { path: path.to_owned(), source };
        Ok(Self { path: path.to_owned(), file: Some(File::create(path).map_err(failed)?) })
    }

    pub(crate) fn stdout() -> Self {
        Self { path: PathBuf::from("standard output"), file: None }
    }

    pub(crate) fn is_stdout(&self) -> bool {
        self.file.is_none()
    }

    pub(crate) fn write_json(self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let failed = |e: serde_json::Error| Failure::Output { path: self.path.clone(), source: e.into() };
        let mut text = serde_json::to_vec_pretty(value).map_err(failed)?;
        text.push(b'\n');
        self.write(&text)
    }

    pub(crate) fn write(self, text: &[u8]) -> Result<(), Failure> {
        let written = match self.file {
            Some(mut file) => file.write_all(text),
            None => io::stdout().write_all(text).and_then(|()| io::stdout().flush()),
        };
        match written {
            // A reader such as `head` has seen enough.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(source) => Err(Failure::Output { path: self.path, source }),
            Ok(()) => Ok(()),
        }
    }
}
