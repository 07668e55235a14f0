//! A list of requests from a file, in the form that vegeta reads, and which of them is next. Pure.
//!
//! ```text
//! # A line that begins with # is a comment; this one counts for the request after it:
//! # weight: 3
//! GET http://127.0.0.1:8000/items/{rand:1..1000}
//! Accept: application/json
//!
//! POST /items
//! Content-Type: application/json
//! @item.json
//! ```
//!
//! A request is a line `METHOD URL` (or `METHOD /PATH` of the command's target), its header fields,
//! and perhaps the file of its body; it ends with an empty line or with the next request.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::random::SplitMix;
use crate::target::{Target, TargetError};

/// Most requests in a round, after weights have been reduced: what [`Choice`] keeps in memory.
const ROUND_LIMIT: u64 = 1_000_000;

/// One request of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Request method.
    pub method: String,
    /// Path and query; may have places such as `{seq}`.
    pub path: String,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// How often it is sent, relative to the others; at least 1.
    pub weight: u32,
}

/// The order in which a list's requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// One after the other, round after round; a weight is a number of places, evenly spread over
    /// the round.
    Sequential,
    /// Each by chance, in proportion to its weight.
    Random,
}

/// A list that cannot be used, with its line.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ListError {
    /// Counted from 1; the last line for what is missing at the end.
    pub line: usize,
    /// What is wrong and what would be right.
    pub reason: String,
}

/// The requests of a list, and their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestList {
    /// At least one.
    pub entries: Vec<Entry>,
    /// Which comes after which.
    pub order: Order,
}

/// Reads a list: the target that all requests go to, and the requests. `base` is the target of
/// paths without a host; `read` reads the files of bodies.
///
/// # Errors
/// The first line that makes no sense, names another host than those before it, or has a body that
/// cannot be read; a list without requests.
pub fn parse_list(
    text: &str,
    base: Option<&Target>,
    read: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
) -> Result<(Target, Vec<Entry>), ListError> {
    let mut reader = Reader { base: base.cloned(), entries: Vec::new(), weight: None, state: State::Between };
    let mut last = 1;
    for (index, line) in text.lines().enumerate() {
        last = index + 1;
        reader.line(line.trim(), read).map_err(|reason| ListError { line: last, reason })?;
    }
    let missing = |reason: &str| ListError { line: last, reason: reason.to_owned() };
    if reader.weight.is_some() {
        return Err(missing("a weight, and no request after it"));
    }
    match reader.base {
        Some(target) if !reader.entries.is_empty() => Ok((target, reader.entries)),
        _ => Err(missing("no request in the file; write for instance GET http://127.0.0.1:8000/")),
    }
}

/// What a line may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A request.
    Between,
    /// A field of the last request, its body, or the next request.
    Fields,
    /// The next request.
    Bodied,
}

struct Reader {
    base: Option<Target>,
    entries: Vec<Entry>,
    /// Of the request to come.
    weight: Option<u32>,
    state: State,
}

impl Reader {
    fn line(&mut self, line: &str, read: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>) -> Result<(), String> {
        if let Some(comment) = line.strip_prefix('#') {
            return self.comment(comment);
        }
        if line.is_empty() {
            self.state = State::Between;
            return Ok(());
        }
        match (self.state, self.entries.last_mut(), line.strip_prefix('@')) {
            (State::Fields, Some(entry), Some(path)) => {
                entry.body = read(Path::new(path)).map_err(|error| format!("cannot read {path}: {error}"))?;
                self.state = State::Bodied;
                Ok(())
            }
            (State::Fields, Some(entry), None) if !is_request(line) => {
                let (name, value) = line.split_once(':').ok_or_else(|| {
                    format!("{line:?} is neither a request (METHOD URL) nor a header field (NAME: VALUE)")
                })?;
                entry.headers.push((name.to_owned(), value.trim().to_owned()));
                Ok(())
            }
            (_, _, Some(_)) => Err("a body without a request before it".to_owned()),
            (_, _, None) => self.request(line),
        }
    }

    /// A comment, or a weight in the disguise of one: for other tools the file remains a list.
    fn comment(&mut self, comment: &str) -> Result<(), String> {
        let Some((_, value)) = comment.split_once(':').filter(|(key, _)| key.trim() == "weight") else {
            return Ok(());
        };
        let weight = value.trim().parse().ok().filter(|weight| (1..=1_000_000).contains(weight));
        self.weight = Some(weight.ok_or("weight: must be a whole number from 1 to 1000000")?);
        Ok(())
    }

    fn request(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let (Some(method), Some(url), None) = (words.next(), words.next(), words.next()) else {
            return Err(format!("{line:?} is no request; write METHOD URL, for instance GET http://127.0.0.1:8000/"));
        };
        let target = match &self.base {
            Some(base) if url.starts_with('/') => base.with_path(url).map_err(|error| error.to_string())?,
            None if url.starts_with('/') => {
                return Err(format!("{url} has no host; give one with --target, or write the whole URL"));
            }
            base => {
                let target: Target = url.parse().map_err(|error: TargetError| error.to_string())?;
                if let Some(base) = base.as_ref().filter(|base| !base.has_authority_of(&target)) {
                    return Err(format!("{url} is not on the host of {base}; one run loads one host"));
                }
                target
            }
        };
        self.entries.push(Entry {
            method: method.to_owned(),
            path: target.path().to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            weight: self.weight.take().unwrap_or(1),
        });
        self.base.get_or_insert(target);
        self.state = State::Fields;
        Ok(())
    }
}

/// A line that begins with a word without a colon and goes on with a URL or path: no field.
fn is_request(line: &str) -> bool {
    line.split_once(char::is_whitespace).is_some_and(|(method, rest)| {
        let rest = rest.trim_start();
        !method.contains(':') && (rest.starts_with('/') || rest.contains("://") || rest.starts_with("unix:"))
    })
}

/// Which of a list's requests is sent when.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// One round: indices, each as often as its weight says.
    round: Vec<u32>,
    order: Order,
}

impl Choice {
    /// A list of one, which needs no choice.
    pub(crate) fn only() -> Self {
        Self { round: vec![0], order: Order::Sequential }
    }

    /// `None` when a round would be longer than a million requests.
    pub(crate) fn new(weights: &[u32], order: Order) -> Option<Self> {
        let divisor = weights.iter().copied().fold(0, gcd).max(1);
        let weights: Vec<u64> = weights.iter().map(|weight| u64::from(weight / divisor)).collect();
        if weights.iter().sum::<u64>() > ROUND_LIMIT {
            return None;
        }
        // The k-th of w places lies at (2k + 1) / 2w of the round: in the middle of its share.
        let mut places: Vec<(f64, u32)> = Vec::new();
        for (index, weight) in (0..).zip(&weights) {
            places.extend((0..*weight).map(|place| ((2 * place + 1) as f64 / (2 * weight) as f64, index)));
        }
        places.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        Some(Self { round: places.into_iter().map(|(_, index)| index).collect(), order })
    }

    /// The entry of the request with this number, counted from 1.
    pub(crate) fn entry(&self, seq: u64, random: &mut SplitMix) -> u32 {
        let length = self.round.len() as u64;
        let place = match self.order {
            _ if length == 1 => 0,
            Order::Sequential => (seq - 1) % length,
            Order::Random => random.below(length),
        };
        self.round[place as usize]
    }
}

fn gcd(one: u32, other: u32) -> u32 {
    if other == 0 { one } else { gcd(other, one % other) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str, base: Option<&str>) -> Result<(Target, Vec<Entry>), String> {
        let base: Option<Target> = base.map(|base| base.parse().unwrap());
        let mut read = |path: &Path| match path.to_str() {
            Some("item.json") => Ok(b"{}".to_vec()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        parse_list(text, base.as_ref(), &mut read).map_err(|error| error.to_string())
    }

    fn entry(method: &str, path: &str) -> Entry {
        Entry { method: method.to_owned(), path: path.to_owned(), headers: vec![], body: vec![], weight: 1 }
    }

    #[test]
    fn a_list_is_read() {
        let text = "\
# Requests of a shop.
# weight: 3
GET http://a:81/items/{rand:1..9}
Accept: application/json
X-Empty:

POST /items
Content-Type: application/json
@item.json
DELETE http://A:81/items/1
GET /plain
";
        let (target, entries) = parse(text, None).unwrap();
        assert_eq!(target.to_string(), "http://a:81/items/{rand:1..9}");
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            Entry {
                headers: vec![field("Accept", "application/json"), field("X-Empty", "")],
                weight: 3,
                ..entry("GET", "/items/{rand:1..9}")
            },
            Entry {
                headers: vec![field("Content-Type", "application/json")],
                body: b"{}".to_vec(),
                ..entry("POST", "/items")
            },
            entry("DELETE", "/items/1"),
            entry("GET", "/plain"),
        ];
        assert_eq!(entries, expected);
        // Of the base only the host counts.
        let (target, entries) = parse("GET /x?y\n", Some("http://b/else")).unwrap();
        assert_eq!((target.host(), entries), ("b", vec![entry("GET", "/x?y")]));
    }

    #[test]
    fn wrong_lists_name_the_line() {
        let rows = [
            ("", None, "line 1: no request in the file"),
            ("# only a comment\n\n", None, "line 2: no request in the file"),
            ("GET\n", None, "line 1: \"GET\" is no request; write METHOD URL"),
            ("GET http://a/ x\n", None, "line 1: \"GET http://a/ x\" is no request"),
            ("GET /x\n", None, "line 1: /x has no host; give one with --target"),
            ("GET http://a/\n\nGET http://b/\n", None, "line 3: http://b/ is not on the host of http://a/"),
            ("GET http://a/\n", Some("http://b/"), "line 1: http://a/ is not on the host of http://b/"),
            ("GET https://a/\nGET http://a/\n", None, "line 2: http://a/ is not on the host of https://a/"),
            ("GET http://a/\nno field\n", None, "line 2: \"no field\" is neither a request"),
            ("@item.json\n", None, "line 1: a body without a request"),
            ("GET http://a/\n@item.json\n@item.json\n", None, "line 3: a body without a request"),
            ("GET http://a/\n@gone.json\n", None, "line 2: cannot read gone.json"),
            ("# weight: 0\nGET http://a/\n", None, "line 1: weight: must be a whole number"),
            ("#weight: x\nGET http://a/\n", None, "line 1: weight: must be a whole number"),
            ("GET http://a/\n# weight: 2\n", None, "line 2: a weight, and no request after it"),
        ];
        for (text, base, expected) in rows {
            let error = parse(text, base).unwrap_err();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn requests_take_turns() {
        let rounds = |weights: &[u32], count: u64| -> Vec<u32> {
            let choice = Choice::new(weights, Order::Sequential).unwrap();
            let mut random = SplitMix::new(1, 0);
            (1..=count).map(|seq| choice.entry(seq, &mut random)).collect()
        };
        assert_eq!(rounds(&[1, 1, 1], 7), [0, 1, 2, 0, 1, 2, 0]);
        // The heavy one is spread over the round, and weights are reduced.
        assert_eq!(rounds(&[30, 10], 8), [0, 0, 1, 0, 0, 0, 1, 0]);
        assert_eq!(rounds(&[5], 3), [0, 0, 0]);
        assert!(Choice::new(&[1_000_000, 999_999], Order::Sequential).is_none());
        assert!(Choice::new(&[1_000_000, 500_000], Order::Sequential).is_some());
    }

    #[test]
    fn chance_follows_the_weights_and_the_seed() {
        let choice = Choice::new(&[1, 3], Order::Random).unwrap();
        let draw = |seed| {
            let mut random = SplitMix::new(seed, 0);
            (1..=4000).map(|seq| choice.entry(seq, &mut random)).collect::<Vec<_>>()
        };
        let heavy = draw(1).iter().filter(|entry| **entry == 1).count();
        // Five standard deviations of a binomial count of 4000 at 3/4 are 137.
        assert!(heavy.abs_diff(3000) < 137, "{heavy}");
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([ -~]{0,12}\n|GET |POST |# weight: |http://a/|/|@){0,12}") {
            if let Ok((_, entries)) = parse(&text, Some("http://a/")) {
                prop_assert!(!entries.is_empty());
            }
        }

        #[test]
        fn a_round_has_each_as_often_as_its_weight(weights in proptest::collection::vec(1..50u32, 1..10)) {
            let choice = Choice::new(&weights, Order::Sequential).unwrap();
            let mut random = SplitMix::new(1, 0);
            let mut counts = vec![0; weights.len()];
            for seq in 1..=weights.iter().map(|weight| u64::from(*weight)).sum() {
                counts[choice.entry(seq, &mut random) as usize] += 1;
            }
            prop_assert_eq!(counts, weights);
        }
    }
}
