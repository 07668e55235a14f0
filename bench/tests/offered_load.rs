//! The offered load, the whole way and as short as it gets: our server alone, without any other installed, and a server
//! that lets nobody in after a while.

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{Bench, smarthttpd};

#[test]
fn curves_go_past_the_knee_and_a_capacity_is_searched_for_every_start() {
    let server = smarthttpd();
    let bench = Bench::new();
    let out = bench.out();
    let name = "smarthttpd-adaptive";
    let options = ["--quick", "--seed", "7", "--out", &out, "--smarthttpd", &server, "--contender", name];
    let done = bench.run(&[&["run", "offered-load"][..], &options].concat());
    assert_eq!(done.code, 0, "{}\n{}", done.out, done.err);
    bench.assert_nothing_stays();

    let folder = Path::new(&out);
    let run = json(&folder.join(format!("raw/curve-r1-{name}.json")));
    let curve = &run["outcome"]["measured"]["observation"]["curve"];
    let most = curve["saturation"]["load"]["answered_rate"].as_f64().unwrap();
    let rates: Vec<f64> =
        curve["points"].as_array().unwrap().iter().map(|point| point["rate"].as_f64().unwrap()).collect();
    assert!(rates.len() >= 4, "{rates:?}");
    assert!(rates.windows(2).all(|pair| pair[0] <= pair[1]), "{rates:?}");
    assert!(rates.last().unwrap() / most > 1.09, "{rates:?} {most}");

    let run = json(&folder.join(format!("raw/capacity-r1-{name}.json")));
    let capacity = &run["outcome"]["measured"]["observation"]["capacity"]["capacity"];
    let trials = capacity["trials"].as_array().unwrap();
    assert!(!trials.is_empty() && trials.iter().all(|trial| trial["report"]["latency"]["hdr"].is_string()));
    let summary = json(&folder.join("summary.json"));
    let curves = summary["curves"].as_array().unwrap();
    assert_eq!(curves.iter().map(|curve| curve["name"].as_str().unwrap()).collect::<Vec<_>>(), [name]);
    let mut drawn = false;
    for curve in curves {
        // On a machine that others use the generator may be held up; then a point says that, and nothing else.
        let (valid, limited): (Vec<&Value>, Vec<&Value>) =
            curve["points"].as_array().unwrap().iter().partition(|point| point["starts"] == 1);
        assert!(valid.iter().all(|point| point["p50"]["value"].is_f64()), "{curve}");
        assert!(limited.iter().all(|point| point["limited"].as_u64() >= Some(1) && point["p50"].is_null()), "{curve}");
        assert_eq!(curve["knee"].is_array(), !valid.is_empty(), "{curve}");
        drawn |= valid.len() > 1;
    }
    assert_eq!(folder.join("curve-p50.svg").exists(), drawn);
    assert!(done.out.contains("capacity under the objective"), "{}", done.out);
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("Latency over offered load") && page.contains("Capacity under an objective"));
    assert_eq!(page.contains("p50 over offered load"), drawn, "the picture is in the page");

    let again = bench.run(&["report", &out]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(done.out, again.out);
}

#[test]
fn a_rate_at_which_nobody_is_let_in_leaves_the_others_of_the_curve() {
    let bench = Bench::new();
    let done = bench.run_session(&["curve"], "closing.py");
    assert_eq!(done.code, 0, "{}\n{}", done.out, done.err);
    bench.assert_nothing_stays();

    let folder = bench.out();
    let run = json(&Path::new(&folder).join("raw/curve-r1-smarthttpd-adaptive.json"));
    let curve = &run["outcome"]["measured"]["observation"]["curve"];
    assert!(!curve["points"].as_array().unwrap().is_empty(), "{curve}");
    let refused = curve["refused"].as_array().unwrap();
    assert!(!refused.is_empty() && refused.iter().all(|one| one["reason"].as_str().unwrap().contains("refused")));
    assert!(done.out.contains("curve-r1-smarthttpd-adaptive: nothing at "), "{}", done.out);
    assert!(done.out.contains("not measured: p99 at 110 % of its saturation: cannot connect to "), "{}", done.out);
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
