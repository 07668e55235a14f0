// Headless Chromium, driven through chromedriver by the WebDriver protocol (W3C).
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

// Opens the file `page` in a window of this width, has `use` do with it what a person would do, and prints as JSON what
// `use` returns, with what the page asked for and complained about. Pictures are written beside the page.
exports.look = async (page, width, use) => {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "page-"));
  const driver = spawn("chromedriver", ["--port=0"], { stdio: ["ignore", "pipe", "ignore"] });
  driver.on("error", (error) => {
    console.error(`chromedriver: ${error.message} (Debian: apt-get install chromium chromium-driver)`);
    process.exit(1);
  });
  const port = new Promise((resolve) => {
    let text = "";
    driver.stdout.on("data", (data) => {
      text += data;
      const found = text.match(/successfully on port (\d+)/);
      if (found) resolve(found[1]);
    });
  });
  try {
    const root = `http://127.0.0.1:${await port}/session`;
    const { sessionId } = await ask("POST", root, { capabilities: { alwaysMatch: {
      browserName: "chrome", "goog:chromeOptions": { args: flags(profile, width) }, "goog:loggingPrefs": { browser: "ALL" },
    } } });
    const session = `${root}/${sessionId}`;
    try {
      const post = (command, body) => ask("POST", `${session}/${command}`, body);
      await post("url", { url: `file://${page}` });
      const browser = hands(post, path.dirname(page));
      const seen = await use(browser);
      seen.requests = await browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)");
      seen.console = (await post("se/log", { type: "browser" })).map((entry) => `${entry.level}: ${entry.message}`);
      console.log(JSON.stringify(seen));
    } finally {
      // Ends the browser's own processes; the driver would leave them.
      await ask("DELETE", session).catch(() => {});
    }
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  } finally {
    driver.kill();
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
};

// The sandbox does not work for root, as whom tests run in containers. The pages are our own.
const flags = (profile, width) => ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
  "--force-color-profile=srgb", `--user-data-dir=${profile}`, `--window-size=${width},900`];

async function ask(method, url, body) {
  const answer = await fetch(url, { method, body: body && JSON.stringify(body) });
  const { value } = await answer.json();
  if (value?.error) throw new Error(`${url}: ${JSON.stringify(value)}`);
  return value;
}

// What can be done with the page; pictures go to `folder`.
function hands(post, folder) {
  const run = (script) => post("execute/sync", { script, args: [] });
  const devtools = (cmd, params) => post("goog/cdp/execute", { cmd, params });
  const write = async (name, command, parameters) => {
    const { data } = await devtools(command, parameters);
    fs.writeFileSync(path.join(folder, name), Buffer.from(data, "base64"));
  };
  return {
    post,
    run,
    picture: (name) => write(name, "Page.captureScreenshot", { captureBeyondViewport: true }),
    print: (name) => write(name, "Page.printToPDF", { printBackground: true }),
    // "light", "dark" or "paper": on paper, somebody who has it dark on the screen.
    show: (how) => devtools("Emulation.setEmulatedMedia", {
      media: how === "paper" ? "print" : "",
      features: how === "light" ? [] : [{ name: "prefers-color-scheme", value: "dark" }],
    }),
    phone: () => devtools("Emulation.setDeviceMetricsOverride", { width: 390, height: 844, deviceScaleFactor: 1, mobile: true }),
    paper: () => run("return getComputedStyle(document.body).backgroundColor"),
    fits: () => run("return document.documentElement.scrollWidth <= innerWidth"),
    move: (x, y) => post("actions", { actions: [{ type: "pointer", id: "mouse", parameters: { pointerType: "mouse" },
      actions: [{ type: "pointerMove", duration: 0, x, y }] }] }),
    key: (value) => post("actions", { actions: [{ type: "key", id: "keys", actions: [
      { type: "keyDown", value }, { type: "keyUp", value }] }] }),
    click: async (css) => {
      await run(`document.querySelector('${css}').scrollIntoView({ block: 'center' })`);
      const [element] = Object.values(await post("element", { using: "css selector", value: css }));
      await post(`element/${element}/click`, {});
    },
  };
}
