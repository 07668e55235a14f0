// Uses a report in headless Chromium, in the light, in the dark, as on a phone and on paper. Prints as JSON what it has
// seen, and writes pictures beside the page.
const { look } = require("../../../loadgen/tests/node/browser.js");

const RIGHT = "\uE014";

look(process.argv[2], 1300, async ({ run, move, key, click, picture, print, show, phone, paper, fits }) => {
  const tips = () => run("return [...document.querySelectorAll('.tip')].map((tip) => tip.innerText)");
  const visible = (css) => run(`return [...document.querySelectorAll('${css}')].filter((one) => one.checkVisibility()).length`);
  const seen = { tips: [], keys: [] };
  seen.figures = await run("return [...document.querySelectorAll('figure')].map((one) => one.id)");
  for (let place = 0; place < seen.figures.length; place += 1) {
    // Over one value of the picture, another for each picture, and by the keyboard over the second.
    const at = await run(`const figure = document.querySelectorAll('figure')[${place}]; ` +
      "const svg = figure.querySelector('svg'); svg.scrollIntoView({ block: 'center' }); " +
      "const { points } = JSON.parse(figure.querySelector('.values').textContent); " +
      `const [x, y] = points[(7 * ${place}) % points.length]; ` +
      "const at = () => new DOMPoint(x, y).matrixTransform(svg.getScreenCTM()); " +
      "scrollBy(0, at().y - innerHeight / 2); return [at().x, at().y].map(Math.round)");
    await move(...at);
    seen.tips.push(await tips());
    await move(1, 1);
    await run(`document.querySelectorAll('figure svg')[${place}].focus()`);
    await key(RIGHT);
    await key(RIGHT);
    seen.keys.push(await tips());
    if (["latency", "curve-p99"].includes(seen.figures[place])) await picture("hover.png");
    await run("document.activeElement.blur()");
  }
  seen.left = await run("return document.querySelectorAll('.tip, .marks').length");
  seen.shown = [await visible(".c0"), await visible(".c1")];
  await click("#show-1");
  seen.without = [await visible(".c0"), await visible(".c1")];
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
  await show("dark");
  seen.papers.push(await paper());
  seen.fits.push(await fits());
  await picture("dark.png");
  await show("paper");
  seen.papers.push(await paper());
  seen.controls = await visible(".legend input, nav");
  await print("report.pdf");
  await show("light");
  await phone();
  seen.fits.push(await fits());
  await picture("phone.png");
  return seen;
});
