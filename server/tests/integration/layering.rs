//! Arrows between modules go down only. The table below is the picture in `ARCHITECTURE.md` in another form: whoever adds
//! an arrow changes both.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module of the server, from the top down, with the modules it may use.
const LAYERS: [(&str, &[&str]); 18] = [
    ("main", &["config", "ctl", "supervisor", "template"]),
    // Roles.
    ("supervisor", &["admin", "config", "ctl", "handoff", "link", "listener", "log", "scoreboard", "sys"]),
    (
        "template",
        &[
            "config",
            "exchange",
            "handoff",
            "link",
            "listener",
            "log",
            "native",
            "scoreboard",
            "statics",
            "sys",
            "worker",
            "wsgi",
        ],
    ),
    ("ctl", &["config"]),
    // Shows a status to HTTP clients. Knows neither workers nor policies.
    ("admin", &["config", "connection", "ctl", "exchange", "listener", "sys"]),
    // The worker knows the application as a trait of `exchange` only: neither `wsgi` nor `native`.
    ("worker", &["config", "connection", "exchange", "handoff", "listener", "log", "proxies", "scoreboard", "sys"]),
    // Applications. Python knows no sockets, no workers, no configuration.
    ("wsgi", &["exchange", "sys"]),
    ("native", &["exchange"]),
    ("statics", &["exchange"]),
    // What moves between processes and sockets.
    ("handoff", &["connection", "exchange", "sys"]),
    ("link", &["config", "sys"]),
    ("listener", &["config", "connection", "exchange", "sys"]),
    // Transport and protocol know nothing of workers, applications or options.
    ("connection", &["exchange", "sys"]),
    ("log", &["config"]),
    // Judges heads and addresses; what it finds goes with the request.
    ("proxies", &["config", "exchange"]),
    ("scoreboard", &["sys"]),
    // The ground: what both sides of a request share, what the operator asked for, what the kernel offers.
    ("exchange", &[]),
    ("config", &[]),
];

/// The ground below the ground: used by many, uses nobody.
const GROUND: &str = "sys";

/// Where `unsafe` may stand, below the workspace.
const UNSAFE: [&str; 2] = ["server/src/sys/", "server/src/wsgi/"];

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the server is a folder of the workspace")
}

/// A file of Rust code, its comments left out.
struct Source {
    path: PathBuf,
    /// As many lines as the file has.
    code: String,
}

impl Source {
    /// The lines that contain `word`, as `path:number: text`.
    fn lines_with<'a>(&'a self, word: &'a str) -> impl Iterator<Item = String> + 'a {
        self.code.lines().enumerate().filter(move |(_, line)| has_word(line, word)).map(|(index, _)| self.show(index))
    }

    /// The line in which the byte at `offset` stands.
    fn place(&self, offset: usize) -> String {
        self.show(self.code[..offset].matches('\n').count())
    }

    fn show(&self, index: usize) -> String {
        let text = self.code.lines().nth(index).unwrap_or_default();
        format!("{}:{}: {}", self.path.display(), index + 1, text.trim())
    }

    /// The top-level module of `server/src` that this file belongs to.
    fn module(&self) -> String {
        let below = self.path.strip_prefix("server/src").expect("it is below");
        let first = below.components().next().expect("a file has a name").as_os_str().to_string_lossy();
        first.trim_end_matches(".rs").to_owned()
    }
}

/// All Rust code below `folder` of the workspace, with paths from the workspace on.
fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![workspace().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace") {
            let path = entry.expect("a file of the workspace").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("source is UTF-8");
                let is_comment = |line: &str| line.trim_start().starts_with("//");
                let code: Vec<&str> = text.lines().map(|line| if is_comment(line) { "" } else { line }).collect();
                let path = path.strip_prefix(workspace()).expect("it is below").to_owned();
                found.push(Source { path, code: code.join("\n") });
            }
        }
    }
    assert!(!found.is_empty(), "no code in {folder}");
    found
}

/// Whether `word` stands in `text` by itself.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(is_part)
            && !text[at + word.len()..].chars().next().is_some_and(is_part)
    })
}

/// The top-level modules that this source names by a path from the crate's root, and where.
fn named_modules(source: &Source) -> Vec<(usize, String)> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for (at, root) in source.code.match_indices("crate::") {
        let rest = &source.code[at + root.len()..];
        match rest.strip_prefix('{') {
            None => found.push((at, name(rest))),
            Some(group) => {
                let mut depth = 0;
                let end = group.find(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    depth < 0
                });
                let group = &group[..end.unwrap_or(group.len())];
                // Parts of inner groups are no modules of ours and so do no harm.
                found.extend(group.split([',', '{']).map(|part| (at, name(part.trim()))));
            }
        }
    }
    found
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let sources = sources("server/src");
    let existing: BTreeSet<String> = sources.iter().map(Source::module).collect();
    let known: BTreeSet<String> =
        LAYERS.iter().map(|(name, _)| (*name).to_owned()).chain([GROUND.to_owned()]).collect();
    assert_eq!(existing, known, "the table of layers and the folder server/src differ");
    for source in &sources {
        let own = source.module();
        let allowed = LAYERS.iter().find(|(name, _)| *name == own).map_or(&[] as &[&str], |(_, allowed)| allowed);
        let mut named = named_modules(source);
        if own == "main" {
            // The root names modules without a prefix.
            let starts = |at: usize| !source.code[..at].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c));
            for module in &known {
                let path = format!("{module}::");
                let found = source.code.match_indices(&path).find(|(at, _)| starts(*at));
                named.extend(found.map(|(at, _)| (at, module.clone())));
            }
        }
        for (at, used) in named.iter().filter(|(_, used)| known.contains(used) && *used != own) {
            assert!(allowed.contains(&&**used), "{own} must not use {used}\n{}", source.place(*at));
        }
    }
}

#[test]
fn the_table_of_layers_has_no_circle() {
    // Modules whose arrows all lead to settled ones are settled; in a circle nobody ever is.
    let mut settled = BTreeSet::from([GROUND]);
    let mut open: Vec<_> = LAYERS.to_vec();
    while !open.is_empty() {
        let before = open.len();
        open.retain(|(name, uses)| {
            let ready = uses.iter().all(|used| settled.contains(used));
            if ready {
                settled.insert(name);
            }
            !ready
        });
        assert!(open.len() < before, "a circle within {open:?}");
    }
}

#[test]
fn only_the_bridge_knows_python() {
    for source in sources("server/src").iter().filter(|source| source.module() != "wsgi") {
        assert_eq!(source.lines_with("pyo3").next(), None, "only wsgi may use pyo3");
    }
}

#[test]
fn unsafe_stands_where_it_is_allowed() {
    for folder in ["server/src", "server/http", "server/mpm", "loadgen", "bench"] {
        for source in sources(folder) {
            if !UNSAFE.iter().any(|place| source.path.starts_with(place)) {
                assert_eq!(source.lines_with("unsafe").next(), None, "unsafe belongs into {UNSAFE:?}");
            }
        }
    }
    for root in ["server/http/src/lib.rs", "server/mpm/src/lib.rs", "loadgen/src/lib.rs", "bench/src/main.rs"] {
        let text = fs::read_to_string(workspace().join(root)).expect("a root of the workspace");
        assert!(text.contains("\n#![forbid(unsafe_code)]\n"), "{root} does not forbid unsafe code");
    }
}

#[test]
fn protocol_and_policies_do_no_io() {
    // Time is passed in, bytes are passed in; whoever wants more wants another crate.
    let forbidden = [
        "std::fs",
        "TcpStream",
        "UdpSocket",
        "std::os",
        "std::process",
        "std::thread",
        "Instant::now",
        "SystemTime::now",
    ];
    for folder in ["server/http/src", "server/mpm/src"] {
        for source in sources(folder).iter().filter(|source| !source.path.to_string_lossy().ends_with("_tests.rs")) {
            for word in forbidden {
                assert_eq!(source.lines_with(word).next(), None, "{word} has no place in {folder}");
            }
        }
    }
}

#[test]
fn packages_depend_on_what_they_may() {
    let ours = ["smarthttpd", "smarthttpd-http", "http1", "smarthttpd-mpm", "mpm", "loadgen", "bench"];
    // The load generator must not share a parser with the server it judges.
    let table: [(&str, &[&str]); 5] = [
        ("server", &["http1", "mpm"]),
        ("server/http", &[]),
        ("server/mpm", &[]),
        ("loadgen", &[]),
        ("bench", &["loadgen", "mpm"]),
    ];
    for (package, allowed) in table {
        let path = workspace().join(package).join("Cargo.toml");
        let text = fs::read_to_string(&path).expect("a package of the workspace");
        let manifest: toml::Table = text.parse().expect("a manifest is TOML");
        let tables =
            ["dependencies", "build-dependencies"].into_iter().filter_map(|name| manifest.get(name)?.as_table());
        for (name, _) in tables.flatten() {
            let foreign = !ours.contains(&name.as_str());
            assert!(foreign || allowed.contains(&name.as_str()), "{}: {package} must not use {name}", path.display());
        }
    }
}
