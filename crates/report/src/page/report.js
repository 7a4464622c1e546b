// Updates the pictures when the epoch slider moves, and switches the theme. The page is complete without it.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  // Theme: that of the system until the reader chooses.
  const button = document.querySelector(".theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const nameButton = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to the ${isDark() ? "light" : "dark"} theme`);
  };
  const remember = (value) => {
    // A page opened from a file may have no storage; then the choice is lost when the page closes.
    try { if (value) localStorage.setItem("da2s-theme", value); return localStorage.getItem("da2s-theme"); } catch { return null; }
  };
  const chosen = remember();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  button.hidden = false;
  nameButton();
  system.addEventListener("change", nameButton);
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember(root.dataset.theme);
    nameButton();
  });

  // Charts: their numbers come from their data links.
  const short = (value) => (value === undefined || value === "" ? "–" : String(Number(Number(value).toPrecision(4))));
  const charts = all(".chart").map((figure) => {
    const text = decodeURIComponent(figure.querySelector("a.data").href.split(",").slice(1).join(","));
    const rows = text.trim().split("\n").slice(1).map((line) => line.split(","));
    return { figure, svg: figure.querySelector(":scope > svg"), values: all(".value", figure),
      rows: new Map(rows.map((row) => [Number(row[0]), row.slice(1)])) };
  });
  const place = (svg, epoch) => {
    const { left, right, first, last } = svg.dataset;
    const marker = svg.querySelector(".now");
    const inside = epoch !== null && epoch >= +first && epoch <= +last;
    marker.style.visibility = inside ? "visible" : "hidden";
    if (!inside) return;
    const share = +last > +first ? (epoch - first) / (last - first) : 0;
    const x = +left + share * (right - left);
    marker.setAttribute("x1", x);
    marker.setAttribute("x2", x);
  };
  const mark = (chart, epoch, visible = true) => {
    place(chart.svg, visible ? epoch : null);
    const row = chart.rows.get(epoch) ?? [];
    chart.values.forEach((value, index) => { value.textContent = short(row[index]); });
  };
  const epochAt = (svg, event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const { left, right, first, last } = svg.dataset;
    const share = Math.min(1, Math.max(0, (point.x - left) / Math.max(1, right - left)));
    return Math.round(+first + share * (last - first));
  };
  const nearest = (epochs, epoch) => epochs.reduce((a, b) => (Math.abs(b - epoch) < Math.abs(a - epoch) ? b : a), epochs[0]);
  for (const chart of charts.filter(({ figure }) => !("film" in figure.dataset))) {
    const epochs = [...chart.rows.keys()];
    chart.svg.addEventListener("pointermove", (event) => mark(chart, nearest(epochs, epochAt(chart.svg, event))));
    chart.svg.addEventListener("pointerleave", () => mark(chart, epochs.at(-1), false));
  }

  // The animation: one picture per epoch, then the discretized cells.
  const bar = document.querySelector(".film-bar");
  if (!bar) return;
  const film = JSON.parse(document.getElementById("film").textContent);
  const slider = bar.querySelector("input");
  const output = bar.querySelector("output");
  const play = bar.querySelector(".play");
  const followers = charts.filter(({ figure }) => "film" in figure.dataset);
  const timelines = all(".history .timeline");
  const HEAT_LEVELS = 25;
  const fraction = (units) => (units < 0 ? NaN : units / 1e4);
  const shareText = (share) => (Number.isNaN(share) ? "–" : share.toFixed(2).replace(/^0/, ""));
  const heat = (share) => Math.round(Math.min(1, Math.max(0, share || 0)) * (HEAT_LEVELS - 1));
  const cellFigures = all(".cell-figure");
  const matrixFigures = all(".matrix");

  const lookAt = (cell, frame, edge) => {
    const width = cell.operations.length;
    const p = cell.p[frame].slice(edge * width, (edge + 1) * width).map(fraction);
    const q = fraction(cell.q[frame][edge]);
    const best = p.map((_, index) => index).sort((a, b) => p[b] - p[a] || a - b).slice(0, cell.k);
    const weight = best.reduce((sum, index) => sum + p[index], 0);
    const presence = q * cell.needs[edge] || 0;
    const names = best.map((index) => cell.operations[index]);
    return { best, presence, thickness: presence * weight || 0,
      text: `${cell.edges[edge]}: ${names.join(" + ")}, p ${shareText(weight)}, q ${shareText(q)}` };
  };
  const keptLook = (cell, edge) => {
    const best = cell.kept[edge];
    if (!best) return { best: [], presence: 0, thickness: 0, text: `${cell.edges[edge]}: pruned` };
    const names = best.map((index) => cell.operations[index]);
    return { best, presence: 1, thickness: 1, text: `${cell.edges[edge]}: ${names.join(" + ")}` };
  };
  const drawCell = (figure, cell, frame) => {
    const lines = all("path.edge", figure);
    const labels = all("g.label", figure);
    lines.forEach((line, edge) => {
      const look = frame < cell.q.length ? lookAt(cell, frame, edge) : keptLook(cell, edge);
      const presence = Math.min(1, look.presence);
      line.setAttribute("stroke-width", 0.8 + 5.7 * Math.min(1, look.thickness));
      line.setAttribute("opacity", presence);
      line.querySelector("title").textContent = look.text;
      labels[edge].setAttribute("opacity", presence);
      // An edge keeps its colour and label while it fades out.
      if (!look.best.length) return;
      const colour = `op${cell.slots[look.best[0]]}`;
      line.setAttribute("class", `edge ${colour}`);
      labels[edge].setAttribute("class", `label ${colour}`);
      all("tspan", labels[edge]).forEach((span, rank) => { span.textContent = cell.operations[look.best[rank]] ?? ""; });
    });
  };
  const drawMatrix = (figure, cell, frame) => {
    const width = cell.operations.length;
    const fields = all("g.field", figure);
    cell.edges.forEach((_, edge) => {
      for (let column = 0; column <= width; column += 1) {
        const share = column < width ? fraction(cell.p[frame][edge * width + column]) : fraction(cell.q[frame][edge]) * cell.needs[edge];
        const field = fields[edge * (width + 1) + column];
        field.setAttribute("class", `field h${heat(share)}`);
        field.querySelector("text").textContent = shareText(share);
      }
    });
  };
  const show = (picture) => {
    const frames = film.epochs.length;
    const frame = Math.min(picture, frames - 1);
    const epoch = film.epochs[frame];
    const name = picture >= frames ? "discretized" : `epoch ${epoch}${film.planned ? ` of ${film.planned}` : ""}`;
    slider.value = picture;
    slider.setAttribute("aria-valuetext", name);
    output.textContent = name;
    film.cells.forEach((cell) => {
      const mine = (figure) => figure.dataset.kind === cell.kind;
      const graph = cellFigures.find(mine);
      const matrix = matrixFigures.find(mine);
      if (graph) drawCell(graph, cell, picture);
      if (matrix && cell.p.length) drawMatrix(matrix, cell, frame);
    });
    all(".matrix .frame").forEach((label) => { label.textContent = epoch; });
    followers.forEach((chart) => mark(chart, epoch));
    timelines.forEach((svg) => place(svg, epoch));
  };
  bar.hidden = false;
  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  const pick = (svg) => {
    const choose = (event) => {
      stop();
      const wanted = epochAt(svg, event);
      show(film.epochs.indexOf(nearest(film.epochs, wanted)));
    };
    svg.addEventListener("pointerdown", choose);
    svg.addEventListener("pointermove", (event) => { if (event.buttons) choose(event); });
  };
  [...followers.map(({ svg }) => svg), ...timelines].forEach(pick);

  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "▶"; play.setAttribute("aria-label", "Play the search"); };
  play.addEventListener("click", () => {
    if (timer) { stop(); return; }
    const last = Number(slider.max);
    if (Number(slider.value) >= last) show(0);
    play.textContent = "❚❚";
    play.setAttribute("aria-label", "Pause");
    // At most eight seconds in total; slower, and picture by picture, for readers who prefer reduced motion.
    const pause = calm.matches ? 1000 : Math.min(320, 8000 / last);
    timer = setInterval(() => { show(Number(slider.value) + 1); if (Number(slider.value) >= last) stop(); }, pause);
  });
  show(Number(slider.max));
})();
