// Uses a report in headless Chromium, driven through chromedriver by the WebDriver protocol (W3C), in the light, in the
// dark, as on a phone and on paper. Prints as JSON what it has seen, and writes pictures beside the page.
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const page = process.argv[2];
const profile = fs.mkdtempSync(path.join(os.tmpdir(), "bench-page-"));
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
    `--user-data-dir=${profile}`, "--window-size=1300,900"];
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
  const fits = () => run("return document.documentElement.scrollWidth <= innerWidth");
  const element = async (css) => Object.values(await post("element", { using: "css selector", value: css }))[0];
  const click = async (css) => {
    await run(`document.querySelector('${css}').scrollIntoView({ block: 'center' })`);
    await post(`element/${await element(css)}/click`, {});
  };
  const key = (value) => post("actions", { actions: [{ type: "key", id: "keys", actions: [
    { type: "keyDown", value }, { type: "keyUp", value }] }] });
  const move = (x, y) => post("actions", { actions: [{ type: "pointer", id: "mouse", parameters: { pointerType: "mouse" },
    actions: [{ type: "pointerMove", duration: 0, x, y }] }] });
  const tips = () => run("return [...document.querySelectorAll('.tip')].map((tip) => tip.innerText)");
  const visible = (css) => run(`return [...document.querySelectorAll('${css}')].filter((one) => one.checkVisibility()).length`);
  const seen = {};
  try {
    await post("url", { url: `file://${page}` });
    seen.figures = await run("return [...document.querySelectorAll('figure')].map((one) => one.id)");
    seen.tips = [];
    for (let place = 0; place < seen.figures.length; place += 1) {
      // Over the first value that the picture has.
      const at = await run(`const figure = document.querySelectorAll('figure')[${place}]; ` +
        "const svg = figure.querySelector('svg'); svg.scrollIntoView({ block: 'center' }); " +
        "const [x, y] = JSON.parse(figure.querySelector('.values').textContent).points[0]; " +
        "const at = () => new DOMPoint(x, y).matrixTransform(svg.getScreenCTM()); " +
        "scrollBy(0, at().y - innerHeight / 2); return [at().x, at().y].map(Math.round)");
      await move(...at);
      seen.tips.push(...await tips());
      await move(1, 1);
    }
    seen.left = await run("return document.querySelectorAll('.tip, .marks').length");
    await run("document.querySelector('#latency svg').focus()");
    await key("\uE014");
    await key("\uE014");
    seen.keys = await tips();
    await picture("hover.png");
    seen.shown = [await visible(".c0"), await visible(".c1")];
    await click("#show-1");
    seen.without = [await visible(".c0"), await visible(".c1")];
    await key("\uE014");
    await click("#show-1");
    const verdicts = () => run("return [...document.querySelectorAll('.claims tbody tr')].map((row) => row.cells[5].innerText)");
    seen.verdicts = [await verdicts()];
    await click(".claims thead th:nth-child(6) button");
    seen.verdicts.push(await verdicts());
    const heads = () => run("return [...document.querySelectorAll('.figures thead th')].map((head) => head.innerText)");
    seen.heads = [await heads()];
    await click(".figures tbody tr:nth-child(3) th button");
    seen.heads.push(await heads());
    seen.papers = [await paper()];
    seen.fits = [await fits()];
    await picture("light.png");
    await devtools("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: "dark" }] });
    seen.papers.push(await paper());
    await picture("dark.png");
    await devtools("Emulation.setEmulatedMedia", { media: "print", features: [{ name: "prefers-color-scheme", value: "dark" }] });
    seen.papers.push(await paper());
    seen.controls = await visible(".legend input, nav");
    const { data } = await devtools("Page.printToPDF", { printBackground: true });
    fs.writeFileSync(path.join(path.dirname(page), "report.pdf"), Buffer.from(data, "base64"));
    await devtools("Emulation.setEmulatedMedia", { media: "", features: [] });
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
