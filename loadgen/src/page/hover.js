// Shows a figure's values under the pointer. The page is whole without it.
for (const figure of document.querySelectorAll("figure[data-values]")) {
  const svg = figure.querySelector("svg");
  const { area: [left, top, right, bottom], points } = JSON.parse(figure.dataset.values);
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "line");
  mark.setAttribute("class", "mark");
  mark.setAttribute("y1", top);
  mark.setAttribute("y2", bottom);
  const tip = document.createElement("div");
  tip.className = "tip";
  const leave = () => { mark.remove(); tip.remove(); };
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("pointermove", (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    if (at.x < left || at.x > right || at.y < top || at.y > bottom || points.length === 0) return leave();
    const [x, text] = points.reduce((a, b) => (Math.abs(b[0] - at.x) < Math.abs(a[0] - at.x) ? b : a));
    mark.setAttribute("x1", x);
    mark.setAttribute("x2", x);
    svg.append(mark);
    tip.textContent = text;
    figure.append(tip);
    const frame = figure.getBoundingClientRect();
    const room = frame.width - tip.offsetWidth - 4;
    tip.style.left = `${Math.max(4, Math.min(room, event.clientX - frame.left + 14))}px`;
    tip.style.top = `${event.clientY - frame.top + 18}px`;
  });
}
