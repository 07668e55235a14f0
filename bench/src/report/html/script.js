// Values under the pointer or by the arrow keys, and tables that sort. The page is whole without it.
"use strict";
const names = new Map();
for (const box of document.querySelectorAll(".legend input")) {
  names.set(Number(box.id.slice("show-".length)), { box, name: box.parentElement.textContent.trim() });
}
const shown = (place) => names.get(place)?.box.checked ?? true;
const make = (name, text) => Object.assign(document.createElement(name), { textContent: text });

for (const figure of document.querySelectorAll("figure:has(script.values)")) {
  const svg = figure.querySelector("svg");
  const { by, span: [top, bottom], points } = JSON.parse(figure.querySelector("script.values").textContent);
  const title = svg.querySelector("title");
  svg.setAttribute("aria-label", `${title.textContent} Arrow keys go through the values.`);
  // Otherwise the browser would show it over the values.
  title.remove();
  svg.tabIndex = 0;
  const marks = document.createElementNS("http://www.w3.org/2000/svg", "g");
  marks.setAttribute("class", "marks");
  const mark = (name, attributes) => {
    const one = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
    marks.append(one);
  };
  const tip = make("div", "");
  tip.className = "tip";
  tip.setAttribute("role", "status");
  const leave = () => { marks.remove(); tip.remove(); };
  const visible = () => points.filter(([, , place]) => shown(place));
  const show = ([x, y, place]) => {
    const those = by === "point" ? visible().filter((p) => p[0] === x && p[1] === y && p[2] === place)
      : visible().filter((p) => p[0] === x);
    marks.replaceChildren();
    if (by === "column") mark("line", { x1: x, x2: x, y1: top, y2: bottom });
    for (const point of those) mark("circle", { cx: point[0], cy: point[1], r: by === "point" ? 18 : 9 });
    svg.append(marks);
    const list = make("dl", "");
    const told = new Set();
    for (const point of those) {
      if (told.has(point[2] + point[4])) continue;
      told.add(point[2] + point[4]);
      list.append(make("dt", names.get(point[2])?.name ?? ""), make("dd", point[4]));
    }
    tip.replaceChildren(make("b", those[0]?.[3] ?? ""), list);
    figure.append(tip);
    const frame = figure.getBoundingClientRect();
    const matrix = svg.getScreenCTM();
    const at = new DOMPoint(x, by === "point" ? y : top).matrixTransform(matrix);
    const right = at.x - frame.left + 16;
    const fits = right + tip.offsetWidth < frame.width;
    tip.style.left = `${Math.max(4, fits ? right : at.x - frame.left - tip.offsetWidth - 16)}px`;
    tip.style.top = `${at.y - frame.top + (by === "point" ? 16 : 4)}px`;
  };
  const nearest = (at) => visible().reduce((best, point) => {
    const distance = by === "point" ? Math.hypot(point[0] - at.x, point[1] - at.y) : Math.abs(point[0] - at.x);
    return best === null || distance < best[0] ? [distance, point] : best;
  }, null);
  svg.addEventListener("pointermove", (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const found = nearest(at);
    if (found === null || at.y < top - 40 || at.y > bottom + 40 || found[0] > 90) return leave();
    show(found[1]);
  });
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("blur", leave);
  let step = -1;
  svg.addEventListener("keydown", (event) => {
    const stops = by === "point" ? visible()
      : [...new Map(visible().map((point) => [point[0], point])).values()].sort((a, b) => a[0] - b[0]);
    const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") return leave();
    if (move === undefined || stops.length === 0) return;
    event.preventDefault();
    step = Math.max(0, Math.min(stops.length - 1, step + move));
    show(stops[step]);
  });
}

// A heading sorts the rows; a row's name sorts the contenders, the best first. Once more: back again.
const value = (cell) => {
  const number = Number.parseFloat(cell.dataset.value ?? cell.textContent.replace(/[,×>\s]/g, ""));
  return Number.isNaN(number) ? null : number;
};
const order = (a, b) => {
  const [x, y] = [value(a), value(b)];
  if (x !== null && y !== null) return x - y;
  if (x !== null || y !== null) return x === null ? 1 : -1;
  return a.textContent.localeCompare(b.textContent);
};
const button = (cell, words, press) => {
  const one = make("button", "");
  one.type = "button";
  one.title = words;
  one.append(...cell.childNodes);
  cell.append(one);
  one.addEventListener("click", press);
};
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => button(head, "Sort by this column", () => {
    const now = { none: "ascending", ascending: "descending", descending: "none" }[head.ariaSort ?? "none"];
    for (const other of heads) other.ariaSort = null;
    head.ariaSort = now;
    const sorted = now === "none" ? rows : rows.toSorted((a, b) => order(a.cells[column], b.cells[column]));
    body.append(...(now === "descending" ? sorted.toReversed() : sorted));
  }));
}
for (const table of document.querySelectorAll("table.figures")) {
  const rows = [table.tHead.rows[0], ...table.tBodies[0].rows];
  const first = rows.map((row) => [...row.cells]);
  for (const row of table.tBodies[0].rows) {
    const cells = [...row.cells].slice(1, -1);
    const own = cells.map((cell) => (cell.dataset.value === undefined ? null : Number(cell.dataset.value)));
    const way = row.dataset.better === "lower" ? 1 : -1;
    const best = own.map((_, place) => place).sort((a, b) =>
      own[a] === null || own[b] === null ? (own[a] === null) - (own[b] === null) : way * (own[a] - own[b]));
    button(row.cells[0], "Order the contenders by this figure", () => {
      const sorted = row.classList.contains("sorted");
      for (const other of rows) other.classList.remove("sorted");
      row.classList.toggle("sorted", !sorted);
      rows.forEach((other, line) => {
        const [name, ...rest] = first[line];
        const source = rest.pop();
        other.append(name, ...(sorted ? rest : best.map((place) => rest[place])), source);
      });
    });
  }
}
