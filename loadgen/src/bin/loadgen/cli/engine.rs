//! The options that choose an engine and say how it reaches the target.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use loadgen::{Engine, Target, Transport, Trust, Version};

use super::UsageError;

/// As typed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Engine")]
pub(super) struct EngineOptions {
    /// What sends the requests: fast speaks HTTP/1.1 at the least cost, reqwest also HTTPS and what the options below ask
    /// for [default: fast where it can].
    #[arg(long, value_enum)]
    engine: Option<Choice>,

    /// Speak HTTP/2: over TLS with https://, without any negotiation with http://.
    #[arg(long)]
    http2: bool,

    /// HTTP/2: requests at a time on each connection [default: 1].
    #[arg(long, value_name = "COUNT", requires = "http2")]
    streams: Option<usize>,

    /// Go through this proxy: http://, https://, socks5:// or socks5h://[USER:PASSWORD@]HOST:PORT.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    proxy: Option<String>,

    /// Follow so many redirects per request; none are followed unless this is given.
    #[arg(long, value_name = "COUNT")]
    max_redirects: Option<usize>,

    /// Trust the certificate authorities in this PEM file, and no others.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "insecure")]
    cacert: Option<PathBuf>,

    /// Accept any certificate.
    #[arg(long)]
    insecure: bool,
}

/// The spelling of [`Engine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    Fast,
    Reqwest,
}

impl EngineOptions {
    /// The engine for `target`: as asked for, or the fast one unless something here or the target is beyond it.
    ///
    /// # Errors
    /// The fast engine together with what it cannot do.
    pub(super) fn engine(&self, target: &Target) -> Result<Engine, UsageError> {
        let beyond = [
            (self.http2, "--http2"),
            (self.proxy.is_some(), "--proxy"),
            (self.max_redirects.is_some_and(|most| most > 0), "--max-redirects"),
            (self.cacert.is_some(), "--cacert"),
            (self.insecure, "--insecure"),
        ];
        let beyond = beyond.into_iter().find_map(|(given, option)| given.then_some(option));
        match (self.engine, beyond) {
            (Some(Choice::Fast), Some(option)) => return Err(UsageError::BeyondFast(option)),
            // Whether it reaches the target is for the plan's check to say.
            (Some(Choice::Fast), None) => return Ok(Engine::Fast),
            (None, None) if !target.is_tls() => return Ok(Engine::Fast),
            _ => {}
        }
        Ok(Engine::Reqwest(Transport {
            http: if self.http2 { Version::Http2 } else { Version::Http1 },
            streams: self.streams.unwrap_or(1),
            proxy: self.proxy.clone(),
            max_redirects: self.max_redirects.unwrap_or(0),
            trust: match (&self.cacert, self.insecure) {
                (_, true) => Trust::Anyone,
                (Some(path), false) => Trust::Only(path.clone()),
                (None, false) => Trust::System,
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        engine: EngineOptions,
    }

    fn engine(url: &str, words: &str) -> Result<Engine, String> {
        let words = format!("loadgen {words}");
        let command = Command::try_parse_from(words.split_whitespace()).map_err(|e| e.to_string())?;
        command.engine.engine(&url.parse().unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_engine_is_the_fastest_that_can() {
        let reqwest = |change: fn(&mut Transport)| {
            let mut transport = Transport::default();
            change(&mut transport);
            Engine::Reqwest(transport)
        };
        let rows = [
            ("http://a/", "", Engine::Fast),
            ("http://a/", "--max-redirects 0", Engine::Fast),
            ("https://a/", "", reqwest(|_| {})),
            ("http://a/", "--engine reqwest", reqwest(|_| {})),
            // The plan's check refuses it, in one place for library and command.
            ("https://a/", "--engine fast", Engine::Fast),
            ("http://a/", "--http2 --streams 8", reqwest(|t| (t.http, t.streams) = (Version::Http2, 8))),
            ("http://a/", "--proxy http://p:1", reqwest(|t| t.proxy = Some("http://p:1".into()))),
            ("http://a/", "--max-redirects 3", reqwest(|t| t.max_redirects = 3)),
            ("https://a/", "--insecure", reqwest(|t| t.trust = Trust::Anyone)),
            ("https://a/", "--cacert /c.pem", reqwest(|t| t.trust = Trust::Only("/c.pem".into()))),
        ];
        for (url, words, expected) in rows {
            assert_eq!(engine(url, words), Ok(expected), "{url} {words}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let rows = [
            ("--engine fast --http2", "--engine fast has no --http2"),
            ("--engine fast --proxy http://p:1", "has no --proxy"),
            ("--streams 2", "--http2"),
            ("--insecure --cacert a", "--cacert"),
            ("--engine slow", "reqwest"),
        ];
        for (words, message) in rows {
            let error = engine("http://a/", words).unwrap_err();
            assert!(error.contains(message), "{words}: {error}");
        }
    }
}
