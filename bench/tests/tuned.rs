//! Several settings of a contender are tried, and the best is measured beside it: our server, as short as it gets.

mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
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
    let session = read(&folder.join("session.json"));
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

    let summary = read(&folder.join("summary.json"));
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
    assert!(
        page.contains("id=\"show-1\"") && !page.contains("id=\"show-2\""),
        "a box for a contender, not for a setting"
    );
    let steps: Vec<&Value> = tables.iter().filter(|table| table["scenario"] == "step").collect();
    assert_eq!(steps.len(), 1 + tuned.len(), "those with another setting have a table of their own");
    for (name, table) in tuned.iter().zip(&steps[1..]) {
        let columns = &table["contenders"];
        assert_eq!(columns[0]["name"], defaults[0], "{columns}");
        assert_eq!((&columns[1]["name"], &columns[1]["of"]), (&json!(name), &json!(defaults[1])), "{columns}");
        let title = columns[1]["title"].as_str().unwrap();
        assert!(page.contains(&format!("<th scope=\"col\" class=\"c1\">{title}</th>")), "it goes with its contender");
    }
    assert!(folder.join("cost-step-workers.svg").exists());

    let again = bench.run(&["report", &out]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(done.out, again.out);
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
