//! The live page in a real browser.

use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Browser, Gate, Launch, Load, wait};

/// What a chart has drawn: how many seconds, and whether a line of it leaves the ground.
const CHARTS: &str = "return ['rate', 'latency', 'workers', 'calls'].map(name => {
    const plot = document.querySelector(`#c-${name} .plot`);
    const paths = [...plot.querySelectorAll('path.line, path.area')].map(path => path.getAttribute('d'));
    const heights = paths.flatMap(d => [...d.matchAll(/[ML][\\d.-]+ ([\\d.-]+)|V([\\d.-]+)/g)].map(match => Number(match[1] ?? match[2])));
    return {points: Number(plot.dataset.points), spread: Math.max(...heights) - Math.min(...heights), said: plot.getAttribute('aria-label')};
})";

fn text(browser: &Browser, selector: &str) -> String {
    let value = browser.run(&format!("return document.querySelector('{selector}').textContent"));
    value.as_str().unwrap_or_else(|| panic!("{selector}: {value}")).to_owned()
}

/// The document is no wider than the window.
fn fits(browser: &Browser) -> bool {
    let width = browser.run("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]");
    width[0].as_f64() <= width[1].as_f64()
}

#[test]
fn the_page_shows_what_happens() {
    let launch = Launch::new("plain:app").args("--max-workers 4 --max-threads 2 --admin 0");
    let mut server = launch.start();
    let browser = Browser::start(1360, 1250);
    browser.open(&format!("http://{}/", server.admin()));
    wait::until_true("the first look", || text(&browser, "#phase") == "serving");
    Load::run(&server, 8, "/sleep?ms=20", |_| {
        let charts = wait::until("four charts with data", || {
            let charts = browser.run(CHARTS);
            let drawn = |chart: &Value| chart["points"].as_f64() >= Some(6.0) && chart["spread"].as_f64() >= Some(5.0);
            charts.as_array().is_some_and(|charts| charts.iter().all(drawn)).then_some(charts)
        });
        assert_eq!(charts.as_array().map(Vec::len), Some(4), "{charts}");
        wait::until_true("a decision", || text(&browser, "#decisions").contains("▲ spawn"));
        wait::until_true("busy workers", || text(&browser, "#workers").contains("busy"));
        assert!(text(&browser, "#t-p99").parse::<f64>().is_ok_and(|milliseconds| milliseconds >= 20.0));
        assert_eq!(text(&browser, "#t-errors"), "0");
        // Stacked areas cover each other to the pixel.
        let edges = "return [...document.querySelectorAll('#c-workers .area')].map(area => getComputedStyle(area).shapeRendering)";
        let edges = browser.run(edges);
        assert!(
            edges.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(|one| one == "crispedges")),
            "{edges}"
        );
        if let Ok(folder) = std::env::var("SMARTHTTPD_TEST_PICTURES") {
            browser.picture(&Path::new(&folder).join("admin-page.png"));
        }
    });
    assert!(fits(&browser));
    browser.resize(390, 844);
    wait::until_true("the charts follow the width", || {
        browser.run("return document.querySelector('#c-rate .plot').viewBox.baseVal.width").as_f64() < Some(390.0)
    });
    assert!(fits(&browser), "it scrolls sideways on a phone");
    if let Ok(folder) = std::env::var("SMARTHTTPD_TEST_PICTURES") {
        browser.picture(&Path::new(&folder).join("admin-page-phone.png"));
        browser.resize(1360, 1250);
        browser.darken();
        wait::until_true("the charts follow the width", || {
            browser.run("return document.querySelector('#c-rate .plot').viewBox.baseVal.width").as_f64() > Some(390.0)
        });
        browser.picture(&Path::new(&folder).join("admin-page-dark.png"));
    }
    assert_eq!(browser.console(), [""; 0], "the console is empty");

    server.signal(Signal::SIGTERM);
    assert_eq!(server.await_exit().code(), Some(0));
    wait::until_true("it says that the server is gone", || {
        text(&browser, "#phase") == "gone" && text(&browser, "#banner").contains("has not answered since")
    });
}

#[test]
fn tasks_are_shown_once_there_were_some() {
    let server = Launch::new("tasks_site:app").fixed(1, 2).args("--admin 0").start();
    let mut gate = Gate::new(server.folder(), "gate");
    let browser = Browser::start(1360, 900);
    browser.open(&format!("http://{}/", server.admin()));
    wait::until_true("the first look", || text(&browser, "#phase") == "serving");
    let shown = || {
        browser.run(
            "return ['#tasks', 'th.of-tasks', 'td.of-tasks'].map(name => document.querySelector(name).offsetWidth > 0)",
        )
    };
    assert_eq!(shown(), serde_json::json!([false, false, false]));
    let note = server.folder().join("notes");
    let target = gate.target_of("/submit");
    assert_eq!(server.get(&format!("{target}&note={}&text=1,2", note.display())).text(), "left");
    let expected = "Background tasks: 1 queued, 1 running, 0 done, 0 failed, 0 dropped, 0 refused";
    wait::until_true("the tasks", || text(&browser, "#tasks") == expected && text(&browser, "td.of-tasks") == "2");
    assert_eq!(shown(), serde_json::json!([true, true, true]));
    assert!(fits(&browser));
    if let Ok(folder) = std::env::var("SMARTHTTPD_TEST_PICTURES") {
        browser.picture(&Path::new(&folder).join("admin-page-tasks.png"));
    }
    gate.open();
    wait::until_true("their end", || {
        text(&browser, "#tasks").contains("2 done") && text(&browser, "td.of-tasks") == "0"
    });
    assert_eq!(browser.console(), [""; 0], "the console is empty");
}

#[test]
fn a_page_that_nobody_sees_asks_for_nothing() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--admin 0").start();
    let browser = Browser::start(800, 600);
    browser.open(&format!("http://{}/", server.admin()));
    let looks = "return performance.getEntriesByName(location.origin + '/status').length";
    wait::until_true("two looks", || browser.run(looks).as_u64() >= Some(2));
    browser.run(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true}); \
         document.dispatchEvent(new Event('visibilitychange'))",
    );
    // The timer that is set goes off once more, finds the page hidden, and sets no other.
    wait::until_true("the page rests", || browser.run("return timer === null").as_bool() == Some(true));
    let before = browser.run(looks);
    browser.run("Object.defineProperty(document, 'hidden', {value: false}); document.dispatchEvent(new Event('visibilitychange'))");
    wait::until_true("it looks again at once", || browser.run(looks).as_u64() > before.as_u64());
}

#[test]
fn a_page_of_a_server_with_a_token_asks_for_it() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--admin 0 --admin-token s3cret").start();
    let browser = Browser::start(800, 600);
    browser.open(&format!("http://{}/", server.admin()));
    wait::until_true("it asks", || text(&browser, "#phase") == "locked");
    let enter = |token: &str| {
        browser.run(&format!(
            "document.querySelector('#token').value = '{token}'; document.querySelector('#login button').click()"
        ))
    };
    enter("wrong");
    wait::until_true("it asks again", || {
        text(&browser, "#phase") == "locked" && browser.run("return document.querySelector('#login').hidden") == false
    });
    enter("s3cret");
    wait::until_true("it shows", || text(&browser, "#phase") == "serving");
}
