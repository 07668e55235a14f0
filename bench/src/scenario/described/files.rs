//! Descriptions as files: those that are built in, and anybody's own by its path.

use std::fs;
use std::path::Path;

use super::Description;
use crate::failure::Failure;
use crate::scenario::Scenario;

/// Every file of `bench/scenarios/`: name and text.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/scenarios.rs"));

/// What the command line calls all built-in descriptions.
pub(crate) const GROUP: &str = "described";

/// The built-in descriptions, by name.
///
/// # Errors
/// A file with a mistake, named.
pub(crate) fn all() -> Result<Vec<Description>, Failure> {
    FILES
        .iter()
        .filter_map(|(file, text)| Some((file.strip_suffix(".toml")?, *file, *text)))
        .map(|(name, file, text)| parsed(name, &format!("bench/scenarios/{file}"), text))
        .collect()
}

/// The descriptions among `names`, which are names of built-in ones, [`GROUP`], or paths of files that end in `.toml`,
/// and the other names.
///
/// # Errors
/// A file that cannot be read or has a mistake, named.
pub(crate) fn chosen(names: &[String]) -> Result<(Vec<Description>, Vec<String>), Failure> {
    let built_in = all()?;
    let (mut chosen, mut others): (Vec<Description>, Vec<String>) = (Vec::new(), Vec::new());
    let mut add = |description: Description| {
        if chosen.iter().all(|other| other.name != description.name) {
            chosen.push(description);
        }
    };
    for name in names {
        if name == GROUP {
            built_in.iter().cloned().for_each(&mut add);
        } else if let Some(description) = built_in.iter().find(|description| description.name == *name) {
            add(description.clone());
        } else if name.ends_with(".toml") {
            add(read(Path::new(name))?);
        } else {
            others.push(name.clone());
        }
    }
    Ok((chosen, others))
}

fn read(path: &Path) -> Result<Description, Failure> {
    let text = fs::read_to_string(path).map_err(Failure::io("read", path))?;
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let file = path.display().to_string();
    if FILES.iter().any(|(other, _)| other.strip_suffix(".toml") == Some(name)) {
        return Err(wrong(&file, "a built-in scenario has this name: give the file another one"));
    }
    parsed(name, &file, &text)
}

fn wrong(file: &str, reason: &str) -> Failure {
    Failure::Usage(format!("{file}: {reason}"))
}

fn parsed(name: &str, file: &str, text: &str) -> Result<Description, Failure> {
    let mut description: Description = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        wrong(file, &format!("line {line}: {}", error.message().replace('\n', " ")))
    })?;
    name.clone_into(&mut description.name);
    check(&description).map_err(|reason| wrong(file, &reason))?;
    Ok(description)
}

/// What the types cannot say.
fn check(description: &Description) -> Result<(), String> {
    let is_name = |text: &str, more: u8| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == more)
    };
    if !is_name(&description.name, b'-') {
        return Err("a scenario is called as its file, which may have lower-case letters, digits and hyphens".into());
    }
    if Scenario::ALL.iter().any(|scenario| scenario.name() == description.name) {
        return Err("a scenario that is no file has this name: give the file another one".into());
    }
    if !is_name(&description.app, b'_') {
        return Err(format!("app: {:?} is no module of bench/apps; give its name without .py", description.app));
    }
    if description.starts == 0 {
        return Err("starts: must be at least 1".into());
    }
    if !(description.quick > 0.0 && description.quick <= 1.0) {
        return Err("quick: the part of its length that a quick session has is above 0 and at most 1".into());
    }
    if description.request.is_empty() {
        return Err("request: there is none; add a [[request]]".into());
    }
    for request in &description.request {
        if !request.path.starts_with('/') {
            return Err(format!("request.path: {:?} must begin with a slash", request.path));
        }
        if request.path.contains('{') && request.check.is_none() {
            return Err("request.path: has places to fill in; add check, the path of the gate's request".into());
        }
        if request.weight == 0 {
            return Err("request.weight: must be at least 1".into());
        }
    }
    if description.closed.is_none() && description.open.is_none() {
        return Err("there is no load; add [closed] or [open]".into());
    }
    let lasts = |seconds: f64| seconds.is_finite() && seconds > 0.0;
    if let Some(closed) = &description.closed
        && (!lasts(closed.seconds) || closed.connections == 0 || !closed.warmup_s.is_finite() || closed.warmup_s < 0.0)
    {
        return Err("closed: needs seconds above 0, warmup_s of 0 or more, and at least one connection".into());
    }
    if let Some(open) = &description.open {
        let is_rate = |rate: f64| rate.is_finite() && rate >= 0.0;
        let stage = |s: &super::Part| lasts(s.seconds) && is_rate(s.rate) && is_rate(s.to.unwrap_or(0.0));
        let loads = open.stages.iter().any(|s| s.rate > 0.0 || s.to.unwrap_or(0.0) > 0.0);
        if !loads || !open.stages.iter().all(stage) {
            return Err("open.stages: each needs seconds above 0 and a rate of 0 or more, one of them above 0".into());
        }
        if !lasts(open.objective_ms) || !open.warmup_s.is_finite() || open.warmup_s < 0.0 {
            return Err("open: needs objective_ms above 0 and warmup_s of 0 or more".into());
        }
    }
    if let Some(beside) = &description.beside {
        let slow = [&beside.slow_uploads, &beside.slow_readers];
        if slow.into_iter().flatten().any(|s| s.clients > 1000 || s.bytes_per_second == 0 || !s.path.starts_with('/')) {
            return Err(
                "beside: slow clients are at most 1000, with bytes_per_second above 0 and a path with a slash".into()
            );
        }
    }
    if let Some(failure) = &description.failure {
        let within = description.open.as_ref().is_some_and(|open| failure.at_s < open.seconds());
        if !within || !failure.at_s.is_finite() || failure.at_s < 0.0 {
            return Err("failure.at_s: must be within the stages of [open]".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = r#"
title = "A"
about = "B"
app = "plain_app"
[[request]]
path = "/"
expect = { status = 200, body = "Hello, World!" }
[open]
objective_ms = 50.0
stages = [{ seconds = 4.0, rate = 10.0 }]
[failure]
at_s = 2.0
what = "reload"
"#;

    #[test]
    fn every_file_makes_sense() {
        let all = all().unwrap();
        for name in [
            "wsgi-hello",
            "flask-json",
            "flask-template",
            "django-sqlite",
            "upload",
            "download",
            "blocking",
            "cpu-bound",
            "mixed-calls",
            "slow-clients",
            "many-idle",
            "connection-per-request",
            "shape-steady",
            "shape-step",
            "shape-ramp",
            "shape-spike",
            "shape-diurnal",
            "shape-poisson",
            "kill-worker",
            "reload",
        ] {
            assert!(all.iter().any(|description| description.name == name), "{name}");
        }
        for description in &all {
            let app = format!("{}/apps/{}.py", env!("CARGO_MANIFEST_DIR"), description.app);
            assert!(Path::new(&app).exists(), "{app}");
            let quick = description.clone().quick();
            let most = if quick.quick == 0.25 { 6.5 } else { 10.0 };
            assert!(quick.seconds() <= most, "{}: {} s", quick.name, quick.seconds());
            // A p99 takes a thousand answers, and a few may be errors.
            if let Some(open) = &description.open {
                assert!(open.requests() >= 1200.0, "{}: {} requests", description.name, open.requests());
            }
            let stored = serde_json::to_string(description).unwrap();
            assert_eq!(serde_json::from_str::<Description>(&stored).unwrap(), *description);
        }
    }

    #[test]
    fn mistakes_are_told_with_file_key_and_remedy() {
        assert!(parsed("own", "own.toml", RIGHT).is_ok());
        let rows = [
            ("app = ", "ap = ", "own.toml: line 4: unknown field `ap`, expected one of `name`, `title`"),
            ("app = ", "quick = 2.0\napp = ", "own.toml: quick: the part of its length that a quick session has"),
            ("rate = 10.0", "rate = 0.0", "own.toml: open.stages: each needs seconds above 0"),
            ("at_s = 2.0", "at_s = 5.0", "own.toml: failure.at_s: must be within the stages of [open]"),
            ("\"reload\"", "\"burn\"", "own.toml: line 13: unknown variant `burn`, expected `kill-worker` or `reload`"),
            ("\"/\"", "\"x\"", "own.toml: request.path: \"x\" must begin with a slash"),
            ("\"/\"", "\"/{seq}\"", "own.toml: request.path: has places to fill in; add check"),
            ("\"plain_app\"", "\"../x\"", "own.toml: app: \"../x\" is no module of bench/apps"),
        ];
        for (from, to, expected) in rows {
            let error = parsed("own", "own.toml", &RIGHT.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
        let error = parsed("steady", "steady.toml", RIGHT).unwrap_err().to_string();
        assert_eq!(error, "steady.toml: a scenario that is no file has this name: give the file another one");
    }

    #[test]
    fn names_and_paths_choose() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.toml");
        fs::write(&path, RIGHT).unwrap();
        let names = ["steady", "reload", "reload", path.to_str().unwrap()].map(String::from);
        let (chosen, others) = chosen(&names).unwrap();
        let chosen: Vec<&str> = chosen.iter().map(|description| description.name.as_str()).collect();
        assert_eq!((chosen, others), (vec!["reload", "own"], vec!["steady".to_owned()]));
        let missing = super::chosen(&["nowhere/x.toml".into()]).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read nowhere/x.toml: "), "{missing}");
    }
}
