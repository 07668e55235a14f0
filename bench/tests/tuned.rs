//! Several settings of a contender are tried, and the best is measured beside it: our server, as short as it gets.

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{Bench, smarthttpd};

#[test]
fn the_best_setting_takes_part_beside_the_default() {
    let server = smarthttpd();
    let bench = Bench::new();
    let out = bench.out();
    let mut arguments =
        vec!["run", "step", "--tuned", "--quick", "--seed", "7", "--out", &out, "--smarthttpd", &server];
    for name in ["smarthttpd-adaptive", "smarthttpd-static"] {
        arguments.extend(["--contender", name]);
    }
    let done = bench.run(&arguments);
    assert_eq!(done.code, 0, "{}\n{}", done.out, done.err);
    bench.assert_nothing_stays();

    let folder = Path::new(&out);
    let session = json(&folder.join("session.json"));
    let runs_of = |scenario: &str| -> Vec<String> {
        let order = session["order"].as_array().unwrap().iter().filter(|id| id["scenario"] == scenario);
        order.map(|id| id["contender"].as_str().unwrap().to_owned()).collect()
    };
    // Both as they come, and the first and the last of the values for workers with those for threads.
    let (tried, stepped) = (runs_of("tune"), runs_of("step"));
    assert_eq!(tried.len(), 6, "{tried:?}");
    let defaults = ["smarthttpd-adaptive", "smarthttpd-static"];
    let tuned: Vec<&String> = stepped.iter().filter(|name| !defaults.contains(&name.as_str())).collect();
    assert!(defaults.iter().all(|name| stepped.iter().any(|other| other == name)), "{stepped:?}");
    // The default has 8 threads for 20 calls at once; a worker with 32 is there to beat it. Whichever won, it was tried.
    assert!(tuned.len() <= 1 && tuned.iter().all(|name| tried.contains(name)), "{stepped:?}");
    for name in &tuned {
        let entrants = session["contenders"].as_array().unwrap();
        let entrant = entrants.iter().find(|entrant| entrant["name"] == name.as_str()).unwrap();
        assert_eq!(entrant["tuning"]["tried"]["of"], "smarthttpd-static");
        assert!(
            entrant["command"].as_array().unwrap().iter().all(|word| !word.as_str().unwrap().contains("{threads}"))
        );
    }

    let summary = json(&folder.join("summary.json"));
    let tables = summary["tables"].as_array().unwrap();
    let table = tables.iter().find(|table| table["scenario"] == "tune").unwrap();
    let notes: Vec<&str> = table["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect();
    assert!(notes[0].starts_with("smarthttpd adaptive: nothing to tune: "), "{notes:?}");
    assert!(
        notes.iter().any(|note| note.starts_with("smarthttpd static: best of 5 settings for the step: ")),
        "{notes:?}"
    );
    assert!(done.out.contains("smarthttpd static, tuned: threads 32, workers 1"), "{}", done.out);
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("Settings, tried"));
    assert!(folder.join("cost-step-workers.svg").exists());

    let again = bench.run(&["report", &out]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(done.out, again.out);
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
