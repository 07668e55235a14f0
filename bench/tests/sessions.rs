//! Sessions that are interrupted and go on, and sessions that are compared with each other.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command};

use serde_json::{Value, json};
use support::{Bench, Done, smarthttpd};

/// Two starts of the shortest scenario for a contender that is always there, and as many for the same one again.
const SHORT: [&str; 9] = ["run", "hello", "--quick", "--starts", "2", "--contender", "floor", "--contender", "floor"];

/// Starts a session and returns once this is in what it says; what was said until then, and the reader of the rest.
fn start_until(command: &mut Command, word: &str) -> (Child, String, BufReader<std::process::ChildStderr>) {
    let mut child = command.spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains(word) {
        assert!(errors.read_line(&mut said).unwrap() > 0, "ended before {word:?}:\n{said}");
    }
    (child, said, errors)
}

fn rest_of(errors: BufReader<std::process::ChildStderr>) -> String {
    errors.lines().map_while(Result::ok).collect::<Vec<_>>().join("\n")
}

/// The runs that are stored: name and bytes.
fn stored(out: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(format!("{out}/raw"))
        .unwrap()
        .flatten()
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .filter(|(name, _)| name.ends_with(".json"))
        .collect();
    files.sort();
    files
}

fn read(path: impl AsRef<Path>) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn write(path: impl AsRef<Path>, value: &Value) {
    fs::write(path, serde_json::to_string_pretty(value).unwrap()).unwrap();
}

#[test]
fn an_interrupted_session_goes_on_where_it_stopped() {
    let bench = Bench::new();
    let out = bench.out();
    let mut command = bench.command(&[&SHORT[..], &["--seed", "5", "--out", &out]].concat());
    // In the middle: two runs are stored, the third is going on.
    let (mut child, _, errors) = start_until(&mut command, "3/4 hello");
    support::signal(child.id(), "INT");
    let said = rest_of(errors);
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    bench.assert_nothing_stays();
    assert!(said.contains(&format!("bench run --resume {out}")), "{said}");
    let kept = stored(&out);
    assert_eq!(kept.len(), 2, "what was going on is not stored");
    let planned = read(format!("{out}/session.json"))["order"].clone();

    // Somebody copied only a part of the second run; of the third, the power took all but the beginning.
    let (damaged, bytes) = &kept[1];
    fs::write(format!("{out}/raw/{damaged}"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(format!("{out}/raw/x.json.unfinished"), "{").unwrap();
    let done = bench.run(&["run", "--resume", &out]);
    assert_eq!(done.code, 0, "{}\n{}", done.out, done.err);
    bench.assert_nothing_stays();
    assert!(done.err.contains(&format!("{damaged}: EOF while parsing")), "{}", done.err);
    assert!(done.err.contains("the run is made again"), "{}", done.err);
    assert!(!done.err.contains("1/4 hello") || damaged.starts_with(&label(&planned[0])), "{}", done.err);
    assert!(done.err.contains("4/4 hello"), "{}", done.err);

    let all = stored(&out);
    assert_eq!(all.len(), 4);
    assert!(all.contains(&kept[0]), "what was stored is as it was");
    let session = read(format!("{out}/session.json"));
    assert_eq!((&session["order"], &session["seed"]), (&planned, &json!(5)));
    assert_eq!(session["resumed"][0]["kept"], 1);
    let warnings = read(format!("{out}/summary.json"))["warnings"].to_string();
    assert!(warnings.contains("the session was interrupted and went on at "), "{warnings}");

    // A second time there is nothing to do, and the report says the same.
    let again = bench.run(&["run", "--resume", &out]);
    assert_eq!((again.code, &again.out), (0, &done.out), "{}", again.err);
    assert!(again.err.contains("is stored: only the report is made again"), "{}", again.err);
    assert_eq!(stored(&out), all);
}

fn label(id: &Value) -> String {
    format!("{}-r{}-{}.", id["scenario"].as_str().unwrap(), id["replicate"], id["contender"].as_str().unwrap())
}

#[test]
fn a_search_that_is_interrupted_goes_on_and_so_does_what_it_is_for() {
    let server = smarthttpd();
    let bench = Bench::new();
    let out = bench.out();
    let options = ["--quick", "--seed", "5", "--contender", "smarthttpd-busyness", "--out", &out];
    let mut first = bench.command(&[&["run", "step", "--tuned", "--smarthttpd", &server], &options[..]].concat());
    let mut second = bench.command(&["run", "--resume", &out, "--smarthttpd", &server]);
    // While the settings are tried: one of three is stored. Then in what the best of them was chosen for.
    for (command, word, kept) in [(&mut first, "] 2/", 1), (&mut second, " step · ", 3)] {
        let (mut child, _, errors) = start_until(command, word);
        support::signal(child.id(), "INT");
        let said = rest_of(errors);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
        bench.assert_nothing_stays();
        assert_eq!(stored(&out).len(), kept, "{word}: {said}");
    }
    let before = stored(&out);
    let planned = read(format!("{out}/session.json"));

    let done = bench.run(&["run", "--resume", &out, "--smarthttpd", &server]);
    assert_eq!(done.code, 0, "{}\n{}", done.out, done.err);
    bench.assert_nothing_stays();
    let session = read(format!("{out}/session.json"));
    // Who goes on was decided once, by what was stored.
    assert_eq!((&session["order"], &session["contenders"]), (&planned["order"], &planned["contenders"]));
    assert_eq!([0, 1].map(|number| session["resumed"][number]["kept"].as_u64()), [Some(1), Some(3)]);
    let all = stored(&out);
    assert!(before.iter().all(|run| all.contains(run)), "what was stored is as it was");
    let order = session["order"].as_array().unwrap();
    let mut labels: Vec<String> = order.iter().map(|id| label(id) + "json").collect();
    labels.sort();
    assert_eq!(all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), labels);
    assert!(order.iter().any(|id| id["scenario"] == "step" && id["contender"] == "smarthttpd-busyness"), "{order:?}");
    assert!(done.out.contains("smarthttpd busyness: best of 3 settings for the step: "), "{}", done.out);
    assert_eq!(bench.run(&["report", &out]).out, done.out);
}

#[test]
fn a_killed_session_goes_on_and_leaves_nothing() {
    let bench = Bench::new();
    let out = bench.out();
    let mut command = bench.command(&[&SHORT[..], &["--out", &out]].concat());
    let (mut child, ..) = start_until(&mut command, "2/4 hello");
    bench.await_marked(|pids| pids.len() >= 2);
    child.kill().unwrap();
    child.wait().unwrap();
    bench.await_marked(<[_]>::is_empty);
    let kept = stored(&out);
    assert_eq!(kept.len(), 1);
    // Nor does a session that was taken up again, when it is killed as well.
    let mut command = bench.command(&["run", "--resume", &out]);
    let (mut child, ..) = start_until(&mut command, "/4 hello");
    // Nobody else goes on with it meanwhile.
    let other = bench.run(&["run", "--resume", &out]);
    assert_eq!(other.code, 2, "{}", other.err);
    assert!(other.err.contains("another bench writes to it now; wait for its end or stop it"), "{}", other.err);
    child.kill().unwrap();
    child.wait().unwrap();
    bench.await_marked(<[_]>::is_empty);
    let done = bench.run(&["run", "--resume", &out]);
    assert_eq!(done.code, 0, "{}", done.err);
    bench.await_marked(<[_]>::is_empty);
    let all = stored(&out);
    assert!(all.len() == 4 && all.contains(&kept[0]));
}

#[test]
fn a_session_goes_on_under_the_same_circumstances_only() {
    let bench = Bench::new();
    let out = bench.out();
    let mut command = bench.command(&[&SHORT[..], &["--out", &out]].concat());
    let (mut child, _, errors) = start_until(&mut command, "2/4 hello");
    support::signal(child.id(), "TERM");
    rest_of(errors);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let begun = read(format!("{out}/session.json"));
    let resume = |change: &dyn Fn(&mut Value), more: &[&str]| -> Done {
        let mut session = begun.clone();
        change(&mut session);
        write(format!("{out}/session.json"), &session);
        bench.run(&[&["run", "--resume", &out], more].concat())
    };
    type Change = fn(&mut Value);
    let rows: [(Change, &[&str], &str); 6] = [
        (|s| s["machine"]["kernel"] = json!("1.0"), &[], "the machine's kernel was \"1.0\" and is "),
        (|s| s["plan"]["builds"]["bench"] = json!("00"), &[], "bench differs from what the session was begun with"),
        (|s| s["contenders"][0]["versions"]["bench"] = json!("0"), &[], "floor's versions were bench 0 and are bench "),
        (|s| _ = s.as_object_mut().unwrap().remove("plan"), &[], "an older bench began this session"),
        (|_| (), &["--smarthttpd", "/bin/true"], "leave --smarthttpd out"),
        (|_| (), &["--seed", "7"], "cannot be used with"),
    ];
    for (change, more, expected) in rows {
        let done = resume(&change, more);
        assert_eq!(done.code, 2, "{}", done.err);
        assert!(done.err.contains(expected), "{expected}: {}", done.err);
        assert_eq!(stored(&out).len(), 1);
    }
    bench.assert_nothing_stays();
}

#[test]
fn two_quick_sessions_are_compared() {
    let bench = Bench::new();
    let folder = bench.folder().to_str().unwrap().to_owned();
    let (old, new) = (format!("{folder}/old"), format!("{folder}/new"));
    for out in [&old, &new] {
        let done = bench.run(&[
            "run",
            "hello",
            "--quick",
            "--starts",
            "3",
            "--contender",
            "floor",
            "--seed",
            "1",
            "--out",
            out,
        ]);
        assert_eq!(done.code, 0, "{}", done.err);
    }
    let done = bench.run(&["compare", &old, &new, "--threshold", "1000", "--json"]);
    assert_eq!(done.code, 0, "{}\n{}", done.out, done.err);
    let told: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(told["differences"], json!([]), "machine, lengths, generator and seed are the same");
    assert!(told["count"]["figures"].as_u64().unwrap() >= 3, "{told}");

    // The same figures, all of them three times as large: what is better lower has become worse.
    let slower = format!("{folder}/slower.json");
    let mut summary = read(format!("{old}/summary.json"));
    for row in summary["tables"][0]["rows"].as_array_mut().unwrap() {
        for figure in row["figures"].as_array_mut().unwrap() {
            let Some(measured) = figure.get_mut("measured") else { continue };
            measured["invalid"] = json!(0);
            let starts = measured["replicates"].as_array_mut().unwrap();
            for (number, start) in starts.iter_mut().enumerate() {
                *start = json!(1000.0 + number as f64);
            }
            measured["value"] = json!(1001.0);
        }
    }
    let steady = format!("{folder}/steady.json");
    write(&steady, &summary);
    for row in summary["tables"][0]["rows"].as_array_mut().unwrap() {
        for figure in row["figures"].as_array_mut().unwrap() {
            let Some(measured) = figure.get_mut("measured") else { continue };
            for start in measured["replicates"].as_array_mut().unwrap() {
                *start = json!(start.as_f64().unwrap() * 3.0);
            }
            measured["value"] = json!(3003.0);
        }
    }
    write(&slower, &summary);
    let done = bench.run(&["compare", &steady, &slower]);
    assert_eq!(done.code, 3, "{}\n{}", done.out, done.err);
    assert!(done.err.starts_with("bench: worse than before: hello, CPU per request of floor: ×3"), "{}", done.err);
    assert!(done.out.contains("REGRESSION") && done.out.contains("improvement"), "{}", done.out);
    assert!(done.out.contains("would exclude 1 by chance"), "{}", done.out);
    let markdown = bench.run(&["compare", &steady, &slower, "--markdown"]);
    assert!(markdown.out.contains("| **regression** |"), "{}", markdown.out);
    // A change of 200 % is not one of 500 %.
    let done = bench.run(&["compare", &steady, &slower, "--threshold", "500"]);
    assert_eq!(done.code, 0, "{}\n{}", done.out, done.err);
    assert!(done.out.contains("below the threshold"), "{}", done.out);

    // Another machine: figures are shown and not judged.
    let mut session = read(format!("{new}/session.json"));
    session["machine"]["cpu"] = json!("another");
    session["seed"] = json!(2);
    write(format!("{new}/session.json"), &session);
    let done = bench.run(&["compare", &old, &new]);
    assert_eq!(done.code, 0, "{}\n{}", done.out, done.err);
    assert!(done.out.contains("→ another: no figure is comparable"), "{}", done.out);
    assert!(done.out.contains("not comparable (CPU differs)"), "{}", done.out);
    assert!(done.out.contains("seed: 1 → 2: only the order of runs is another"), "{}", done.out);
    assert!(done.out.contains("Nothing could be judged"), "{}", done.out);
    let nowhere = bench.run(&["compare", &old, "/nowhere"]);
    assert_eq!(nowhere.code, 1, "{}", nowhere.err);
}

/// How many A/A comparisons there are in a series, of so many starts on each side.
const COMPARISONS: u64 = 20;
const STARTS: u64 = 3;

/// The same contender twice, fresh starts, interleaved and shuffled, as a session; then twenty comparisons. At most one
/// of them may tell of a difference. That many do by chance in a series now and then, so a second series decides.
#[test]
fn a_against_a_tells_of_no_difference() {
    let server = smarthttpd();
    let mut series = Vec::new();
    for seed in 1..=2 {
        series.push(alarms(&server, seed));
        if series.last().is_some_and(|alarms| *alarms <= 1) {
            return;
        }
    }
    panic!("so many of {COMPARISONS} comparisons told of a difference, in two series: {series:?}");
}

/// How many of twenty comparisons tell of a difference.
fn alarms(server: &str, seed: u64) -> u64 {
    let bench = Bench::new();
    let out = bench.out();
    let (starts, seed) = ((COMPARISONS * STARTS).to_string(), seed.to_string());
    let name = "smarthttpd-native";
    let done = bench.run(&[
        "run",
        "hello",
        "--quick",
        "--divide",
        "5",
        "--starts",
        &starts,
        "--seed",
        &seed,
        "--smarthttpd",
        server,
        "--out",
        &out,
        "--contender",
        name,
        "--contender",
        name,
    ]);
    assert_eq!(done.code, 0, "{}\n{}", done.out, done.err);
    bench.assert_nothing_stays();
    let session = read(format!("{out}/session.json"));
    let mut judged = 0;
    let alarms = (0..COMPARISONS).filter(|number| {
        let side = |contender: &str| part(&bench, &out, &session, *number, contender, name);
        let done = bench.run(&["compare", &side(name), &side(&format!("{name}-again-2")), "--json"]);
        assert!([0, 3].contains(&done.code), "{}\n{}", done.out, done.err);
        let told: Value = serde_json::from_str(&done.out).unwrap();
        judged += told["count"]["judged"].as_u64().unwrap();
        told["count"]["regressions"] != 0 || told["count"]["improvements"] != 0
    });
    let alarms = alarms.count() as u64;
    println!("{alarms} of {COMPARISONS} comparisons, with {judged} figures, tell of a difference");
    assert!(judged > 0, "nothing was compared: all runs are INVALID");
    alarms
}

/// A folder with one contender's starts of one comparison, as a session of their own, under the name `called`.
fn part(bench: &Bench, out: &str, session: &Value, number: u64, contender: &str, called: &str) -> String {
    let folder = bench.folder().join(format!("{contender}-{number}"));
    fs::create_dir_all(folder.join("raw")).unwrap();
    let mut session = session.clone();
    let is_ours = |name: &Value| name == contender;
    session["contenders"].as_array_mut().unwrap().retain(|entrant| is_ours(&entrant["name"]));
    session["contenders"][0]["name"] = json!(called);
    let order = session["order"].as_array_mut().unwrap();
    order.retain(|id| {
        let replicate = id["replicate"].as_u64().unwrap();
        is_ours(&id["contender"]) && (replicate - 1) / STARTS == number
    });
    assert_eq!(order.len() as u64, STARTS);
    for id in order {
        let mut run = read(format!("{out}/raw/{}json", label(id)));
        id["contender"] = json!(called);
        run["id"] = id.clone();
        write(folder.join(format!("raw/{}json", label(id))), &run);
    }
    write(folder.join("session.json"), &session);
    folder.to_str().unwrap().to_owned()
}
