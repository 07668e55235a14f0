//! A real browser: headless Chromium, driven through chromedriver by the WebDriver protocol (W3C).

use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::blocking::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::outsider;
use super::server::Lines;

/// A browser with one window. Dropping it ends it.
pub(crate) struct Browser {
    driver: Child,
    client: Client,
    /// Where the session's commands go.
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts one with a new, empty profile and a window of this size.
    pub(crate) fn start(width: u32, height: u32) -> Browser {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver can be started (Debian: apt-get install chromium chromium-driver)");
        let output = Lines::of(driver.stdout.take().expect("piped"));
        let port = output.await_after("successfully on port ").trim_end_matches('.').to_owned();
        let profile = tempfile::tempdir().expect("a temporary folder can be made");
        let arguments = [
            // The sandbox does not work for root, as whom tests run in containers. The pages are our own.
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--force-color-profile=srgb",
        ];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        arguments.push(format!("--window-size={width},{height}"));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let client = outsider::client();
        let root = format!("http://127.0.0.1:{port}/session");
        let answer = ask(client.post(&root).json(&wanted));
        let session = format!("{root}/{}", answer["sessionId"].as_str().expect("a session"));
        Browser { driver, client, session, _profile: profile }
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        ask(self.client.post(format!("{}/{command}", self.session)).json(body))
    }

    /// Goes to a page.
    pub(crate) fn open(&self, url: &str) {
        self.post("url", &json!({"url": url}));
    }

    /// What a function body returns in the page.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({"script": script, "args": []}))
    }

    /// What the page, or the browser about it, has written to the console since the last call.
    pub(crate) fn console(&self) -> Vec<String> {
        let entries = self.post("se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().expect("a list");
        entries.iter().map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    /// Has the page believe that its window is so large, as that of a phone is.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Has the page believe that its user likes it dark.
    pub(crate) fn darken(&self) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Writes a picture of the whole page to a file.
    pub(crate) fn picture(&self, path: &Path) {
        let shot = self.devtools("Page.captureScreenshot", &json!({"captureBeyondViewport": true}));
        let picture = STANDARD.decode(shot["data"].as_str().expect("a picture")).expect("in Base64");
        std::fs::write(path, picture).expect("a file can be written");
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser's own processes; the driver would leave them.
        let _ = self.client.delete(&self.session).send();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A command's value; what went wrong fails the test.
fn ask(request: reqwest::blocking::RequestBuilder) -> Value {
    let answer: Value = request.send().expect("the driver answers").json().expect("in JSON");
    let value = &answer["value"];
    assert!(value.get("error").is_none(), "{value:#}");
    value.clone()
}
