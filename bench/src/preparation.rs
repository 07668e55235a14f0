//! What has to be there before a session measures: the server's binary, packages, data, and the places of all of it.
//!
//! Decides what is needed by who takes part in what; how something is built or installed is [`Workspace`]'s. Called by
//! `session`, and for the places by `list`.

use std::path::PathBuf;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::geteuid;

use crate::contender::spec::Packages;
use crate::contender::{Contender, Places};
use crate::failure::Failure;
use crate::scenario::described::Description;
use crate::scenario::{Lengths, Scenario, file};
use crate::session::Wish;
use crate::stage::Stage;
use crate::workspace::Workspace;

/// Whom Apache serves as when root starts it (Debian's choice).
const APACHE_USER: &str = "www-data";

/// What is there before anything is measured.
pub(crate) struct Prepared {
    pub(crate) stage: Stage,
    /// The binary that is measured, if one is.
    pub(crate) server: Option<PathBuf>,
    pub(crate) places: Places,
    pub(crate) published: Places,
    /// What the application needs to know.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Contenders whose package could not be installed, and why.
    pub(crate) refused: Vec<(String, String)>,
}

/// Builds and installs what the contenders need.
///
/// # Errors
/// What a tool said last; a package that cannot be installed costs only its contender.
pub(crate) fn prepare(wish: &Wish, workspace: &Workspace, lengths: &Lengths) -> Result<Prepared, Failure> {
    let needs =
        |what: &str| wish.contenders.iter().any(|contender| contender.command.iter().any(|word| word.contains(what)));
    let smarthttpd = match &wish.smarthttpd {
        Some(binary) => binary.clone(),
        None if needs("{smarthttpd}") => {
            eprintln!("building smarthttpd (cargo build --release; the first time takes minutes)");
            workspace.build_server()?
        }
        None => workspace.server(),
    };
    eprintln!("preparing Flask and gunicorn in target/bench/venv");
    let venv = workspace.prepare_venv()?;
    let mut refused = packages(wish, workspace);
    let stage = Stage::new()?;
    let root = geteuid().is_root();
    let user = if root {
        format!("User {APACHE_USER}\nGroup {APACHE_USER}")
    } else {
        "# started without privileges: serves as the user who started it".into()
    };
    let mut places = places(workspace)
        .with("smarthttpd", &smarthttpd, "target/release/smarthttpd")
        .with("venv", &venv, "target/bench/venv")
        .with_value("user", &user);
    let mut environment = Vec::new();
    if wish.scenarios.contains(&Scenario::File) {
        let path = stage.path().join("large.bin");
        file::write(&path, lengths.request_path.file.length).map_err(Failure::io("write", &path))?;
        places = places.with("file", &path, "{file}");
        environment.push(("BENCH_LARGE_FILE", path.display().to_string()));
    }
    let with_data: Vec<&Description> = wish.described.iter().filter(|description| description.data).collect();
    if !with_data.is_empty() {
        environment.push(("BENCH_DATA", make_data(&with_data, workspace, &stage)?.display().to_string()));
    }
    if wish.scenarios.contains(&Scenario::Idle) || wish.described.iter().any(Description::is_crowded) {
        raise_file_limit();
    }
    let mut published = places.clone();
    let with_mod_wsgi: Vec<&Contender> =
        wish.contenders.iter().filter(|contender| contender.packages == Packages::ModWsgi).collect();
    if !with_mod_wsgi.is_empty() {
        match workspace.prepare_mod_wsgi_packages() {
            Ok(None) => {}
            Ok(Some(packages)) => {
                let (apps, packages) = if root {
                    (
                        stage.publish(&workspace.apps(), "apps", APACHE_USER)?,
                        stage.publish(&packages, "packages", APACHE_USER)?,
                    )
                } else {
                    (workspace.apps(), packages)
                };
                published =
                    published.with("apps", &apps, "bench/apps").with("packages", &packages, "target/bench/packages");
            }
            Err(failure) => refused.extend(with_mod_wsgi.iter().map(|one| (one.name.clone(), last_line(&failure)))),
        }
    }
    let server = needs("{smarthttpd}").then_some(smarthttpd);
    Ok(Prepared { stage, server, places, published, environment, refused })
}

/// Has the applications make their data, in a folder that every server's user may read and write.
fn make_data(described: &[&Description], workspace: &Workspace, stage: &Stage) -> Result<PathBuf, Failure> {
    let made = tempfile::tempdir_in(stage.path()).map_err(Failure::io("make a folder in", stage.path()))?;
    for description in described {
        workspace.make_data(&description.app, made.path())?;
    }
    stage.publish(made.path(), "data", APACHE_USER)
}

/// Installs the packages that contenders are. One that cannot be installed costs only its contender.
fn packages(wish: &Wish, workspace: &Workspace) -> Vec<(String, String)> {
    let mut refused = Vec::new();
    for contender in &wish.contenders {
        let Some(package) = &contender.package else { continue };
        if let Err(failure) = workspace.prepare_package(package) {
            let needs: Vec<&str> = contender.needs.iter().map(|need| need.install.as_str()).collect();
            let reason = format!("{package} cannot be installed ({}); {}", last_line(&failure), needs.join("; "));
            refused.push((contender.name.clone(), reason));
        }
    }
    refused
}

/// What a tool said last, which is its reason.
fn last_line(failure: &Failure) -> String {
    failure.to_string().lines().last().unwrap_or_default().trim().to_owned()
}

/// Allows this process, and the servers that it starts, as many open files as the hard limit does. A limit that stays
/// too low is told by the scenario that needs more.
fn raise_file_limit() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

/// The places that are known without building anything.
pub(crate) fn places(workspace: &Workspace) -> Places {
    Places::default()
        .with("apps", &workspace.apps(), "bench/apps")
        .with("venv", &workspace.venv(), "target/bench/venv")
        .with("smarthttpd", &workspace.server(), "target/release/smarthttpd")
        .with("bench", &std::env::current_exe().unwrap_or_else(|_| "bench".into()), "target/release/bench")
}
