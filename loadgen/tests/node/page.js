// Shows a page in headless Chromium, driven through chromedriver by the WebDriver protocol (W3C), in
// the light and in the dark and as on a phone. Prints as JSON what it has seen, and writes pictures
// beside the page.
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const page = process.argv[2];
const profile = fs.mkdtempSync(path.join(os.tmpdir(), "loadgen-page-"));
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

async function ask(method, url, body) {
  const answer = await fetch(url, { method, body: body && JSON.stringify(body) });
  const { value } = await answer.json();
  if (value?.error) throw new Error(`${url}: ${JSON.stringify(value)}`);
  return value;
}

(async () => {
  const root = `http://127.0.0.1:${await port}/session`;
  // The sandbox does not work for root, as whom tests run in containers. The pages are our own.
  const args = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--force-color-profile=srgb",
    `--user-data-dir=${profile}`, "--window-size=1100,900"];
  const { sessionId } = await ask("POST", root, { capabilities: { alwaysMatch: {
    browserName: "chrome", "goog:chromeOptions": { args }, "goog:loggingPrefs": { browser: "ALL" },
  } } });
  const session = `${root}/${sessionId}`;
  const post = (command, body) => ask("POST", `${session}/${command}`, body);
  const run = (script) => post("execute/sync", { script, args: [] });
  const devtools = (cmd, params) => post("goog/cdp/execute", { cmd, params });
  const picture = async (name) => {
    const { data } = await devtools("Page.captureScreenshot", { captureBeyondViewport: true });
    fs.writeFileSync(path.join(path.dirname(page), name), Buffer.from(data, "base64"));
  };
  const paper = () => run("return getComputedStyle(document.body).backgroundColor");
  const figure = () => run("return getComputedStyle(document.querySelector('figure svg rect')).fill");
  const fits = () => run("return document.documentElement.scrollWidth <= innerWidth");
  const seen = {};
  try {
    await post("url", { url: `file://${page}` });
    seen.figures = await run("return [...document.querySelectorAll('figure')].map((f) => f.id)");
    seen.text = await run("return document.body.innerText");
    seen.light = [await paper(), await figure()];
    seen.tips = [];
    // The pointer over the middle of each figure, and away again.
    for (let place = 0; place < seen.figures.length; place += 1) {
      const at = await run(`const svg = document.querySelectorAll('figure svg')[${place}]; svg.scrollIntoView({ block: 'center' });` +
        "const box = svg.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2].map(Math.round)");
      const move = (x, y) => post("actions", { actions: [{ type: "pointer", id: "mouse", parameters: { pointerType: "mouse" },
        actions: [{ type: "pointerMove", duration: 0, x, y }] }] });
      await move(...at);
      seen.tips.push(await run("return [...document.querySelectorAll('.tip')].map((tip) => tip.textContent)"));
      if (place === 1) await picture("hover.png");
      await move(0, 0);
    }
    seen.left = await run("return document.querySelectorAll('.tip, .mark').length");
    await picture("light.png");
    seen.fits = [await fits()];
    await devtools("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: "dark" }] });
    seen.dark = [await paper(), await figure()];
    await picture("dark.png");
    await devtools("Emulation.setDeviceMetricsOverride", { width: 390, height: 844, deviceScaleFactor: 1, mobile: true });
    seen.fits.push(await fits());
    await picture("phone.png");
    seen.requests = await run("return performance.getEntriesByType('resource').map((entry) => entry.name)");
    seen.console = (await post("se/log", { type: "browser" })).map((entry) => `${entry.level}: ${entry.message}`);
    console.log(JSON.stringify(seen));
  } finally {
    // Ends the browser's own processes; the driver would leave them.
    await ask("DELETE", session).catch(() => {});
  }
})().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
}).finally(() => {
  driver.kill();
  fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
});
