// Shows a page in headless Chromium, in the light and in the dark and as on a phone. Prints as JSON what it has seen, and
// writes pictures beside the page.
const { look } = require("./browser.js");

look(process.argv[2], 1100, async ({ run, move, picture, show, phone, paper, fits }) => {
  const figure = () => run("return getComputedStyle(document.querySelector('figure svg rect')).fill");
  const seen = { tips: [] };
  seen.figures = await run("return [...document.querySelectorAll('figure')].map((f) => f.id)");
  seen.text = await run("return document.body.innerText");
  seen.light = [await paper(), await figure()];
  // The pointer over the middle of each figure, and away again.
  for (let place = 0; place < seen.figures.length; place += 1) {
    const at = await run(`const svg = document.querySelectorAll('figure svg')[${place}]; svg.scrollIntoView({ block: 'center' });` +
      "const box = svg.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2].map(Math.round)");
    await move(...at);
    seen.tips.push(await run("return [...document.querySelectorAll('.tip')].map((tip) => tip.textContent)"));
    if (place === 1) await picture("hover.png");
    await move(0, 0);
  }
  seen.left = await run("return document.querySelectorAll('.tip, .mark').length");
  await picture("light.png");
  seen.fits = [await fits()];
  await show("dark");
  seen.dark = [await paper(), await figure()];
  await picture("dark.png");
  await phone();
  seen.fits.push(await fits());
  await picture("phone.png");
  return seen;
});
