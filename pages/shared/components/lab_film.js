// Images over the iterations on one timeline. All frames come at once as sheets of tiles, so every move of the slider
// is drawn here; where the slider comes to rest is reported.

const REST_MS = 250, AGAIN_MS = 1800, MOST_COLUMNS = 5;
const SVG = "http://www.w3.org/2000/svg";
const WIDE = 320, HIGH = 150, LEFT = 34, RIGHT = 8, TOP = 10, BOTTOM = 20;
const DASHES = ["none", "7 4", "2 3"]; // of a lane's line, and in lab.css of the line below its title

function shape(parent, tag, attributes, text) {
  const made = parent.appendChild(document.createElementNS(SVG, tag));
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  if (text !== undefined) made.textContent = text;
  return made;
}

const number = (value) => value.toLocaleString("en-US");

class Chart {
  constructor(data, lanes) {
    this.data = data;
    this.root = element("div", "chart");
    const title = this.root.appendChild(element("h5", "", data.title));
    title.append(" ", element("small", "", data.unit));
    const svg = shape(this.root, "svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": data.alt, preserveAspectRatio: "xMidYMid meet" });
    const [x0, x1] = data.reach, top = data.top;
    this.x = (value) => LEFT + ((value - x0) / Math.max(1e-9, x1 - x0)) * (WIDE - LEFT - RIGHT);
    this.y = (value) => HIGH - BOTTOM - (value / Math.max(1e-9, top)) * (HIGH - TOP - BOTTOM);
    [0, top / 2, top].forEach((value) => {
      shape(svg, "line", { class: "axis", x1: LEFT, x2: WIDE - RIGHT, y1: this.y(value), y2: this.y(value) });
      shape(svg, "text", { x: LEFT - 5, y: this.y(value) + 3.5, "text-anchor": "end" }, value.toPrecision(2).replace(/\.?0+$/, ""));
    });
    [x0, (x0 + x1) / 2, x1].forEach((value, at) =>
      shape(svg, "text", { x: this.x(value), y: HIGH - 5, "text-anchor": ["start", "middle", "end"][at] }, number(Math.round(value))));
    this.dots = data.series.map(({ lane, xs, ys }) => {
      const path = xs.map((x, at) => `${at ? "L" : "M"}${this.x(x).toFixed(1)} ${this.y(ys[at]).toFixed(1)}`).join("");
      shape(svg, "path", { d: path, stroke: lanes[lane].colour, "stroke-dasharray": DASHES[lane % DASHES.length] });
      return shape(svg, "circle", { r: 4.5, fill: lanes[lane].colour });
    });
  }

  // ``done``: iterations each lane has had; ``now``: iterations of the run.
  show(now, done) {
    this.data.series.forEach(({ lane, xs, ys }, at) => {
      const goal = this.data.own ? done[lane] : now;
      let near = 0;
      xs.forEach((x, place) => { if (Math.abs(x - goal) < Math.abs(xs[near] - goal)) near = place; });
      const dot = this.dots[at];
      dot.setAttribute("cx", this.x(xs[near]));
      dot.setAttribute("cy", this.y(ys[near]));
      dot.setAttribute("visibility", goal >= xs[0] && (done[lane] > 0 || !this.data.own) ? "visible" : "hidden");
    });
  }
}

class Film extends Player {
  constructor(host) {
    super();
    this.root = element("div", "lab film");
    this.root.innerHTML =
      `<div class="lanes"></div><div class="time"><button class="play" type="button"></button><div>
       <div class="now"><span></span><small></small></div><input class="at" type="range" min="0" step="1" aria-label="Iteration">
       <div class="track" aria-hidden="true"></div><div class="ticks" aria-hidden="true"></div></div></div>
       <div class="charts"></div>`;
    host.appendChild(this.root);
    [this.lanesBox, this.track, this.ticks, this.chartsBox] =
      [".lanes", ".track", ".ticks", ".charts"].map((name) => this.root.querySelector(name));
    this.sent = [];
    this.wire("iterations");
    this.range.addEventListener("keydown", (event) => this.keys(event));
  }

  get last() { return this.data.moments.length - 1; }
  get pause() { return Math.min(600, Math.max(90, 6000 / this.data.moments.length)); }
  spot(iteration) { return this.nearest(iteration); }

  update(component) {
    this.component = component;
    const { data } = component;
    const before = this.data;
    this.data = data;
    if (!before || (data.at !== before.at && !this.isEcho(data.at))) this.at = this.nearest(data.at);
    this.at = Math.min(this.at, this.last);
    if (before && before.version === data.version) { this.draw(); return; }
    this.stop();
    this.build();
    this.load();
  }

  build() {
    const { lanes, charts, shown, tile, moments, borders } = this.data;
    const total = moments[moments.length - 1];
    this.root.style.setProperty("--shown", `${shown}px`);
    this.root.style.setProperty("--columns", lanes.length <= MOST_COLUMNS ? lanes.length : Math.ceil(lanes.length / 2));
    this.root.classList.toggle("pixelated", tile < 2 * shown);
    this.root.classList.toggle("plays", Boolean(this.data.autoplay));
    this.lanes = lanes.map((lane, place) => this.lane(lane, tile, place));
    this.lanesBox.replaceChildren(...this.lanes.map(({ box }) => box));
    this.range.max = total;
    this.track.replaceChildren(...lanes.filter((lane) => lane.bar).map((lane) => {
      const line = element("i");
      line.style.setProperty("--mark", lane.colour);
      line.appendChild(element("b")).style.left = `${Math.min(100, (100 * lane.first) / total)}%`;
      return line;
    }));
    this.cursor = this.track.appendChild(element("em"));
    const few = Math.ceil(borders.length / 9);
    this.ticks.replaceChildren(...borders.filter((_, at) => at % few === 0).map((border) => {
      const tick = element("span", "", number(border));
      tick.style.left = `${(100 * border) / total}%`;
      return tick;
    }));
    this.charts = charts.map((chart) => new Chart(chart, lanes));
    this.chartsBox.replaceChildren(...this.charts.map(({ root }) => root));
    this.chartsBox.hidden = !charts.length;
  }

  lane(lane, tile, place) {
    const box = element("div", "lane");
    if (this.data.charts.length) box.dataset.dash = place % DASHES.length;
    box.style.setProperty("--mark", lane.colour || "var(--st-border-color)");
    box.appendChild(element("h4", "", lane.title));
    const canvas = box.appendChild(element("span", "frame")).appendChild(picture(tile));
    const lines = lane.lines.map((_, at) => box.appendChild(element("p", at ? "" : "first")));
    return { box, canvas, lines };
  }

  async load() {
    const { sheets } = this.data;
    this.keep(sheets);
    this.draw();
    await this.fetch(sheets);
    this.root.dataset.ready = sheets.every((url) => this.bitmaps.get(url));
    this.draw();
    if (this.data.autoplay && !matchMedia("(prefers-reduced-motion: reduce)").matches) this.play();
  }

  draw() {
    const { lanes, moments, tile, sheets } = this.data, [iterations, length, count] = this.data.rounds;
    const now = moments[this.at], total = moments[moments.length - 1];
    lanes.forEach((lane, place) => {
      const { box, canvas, lines } = this.lanes[place];
      const pen = canvas.getContext("2d", { willReadFrequently: true });
      if (lane.change) this.change(pen, ...lane.change.map((other) => this.lanes[other].canvas));
      else {
        const [sheet, column, row] = lane.tiles[this.at];
        const bitmap = this.bitmaps.get(sheets[sheet]);
        if (bitmap) pen.drawImage(bitmap, column * tile, row * tile, tile, tile, 0, 0, tile, tile);
      }
      lines.forEach((line, at) => { line.textContent = lane.lines[at][this.at]; });
      box.classList.toggle("waiting", now < lane.first);
      canvas.setAttribute("aria-label", `${lane.alt}: ${lane.lines.map((line) => line[this.at]).join(", ")}`);
    });
    this.range.value = now;
    const label = now ? `After ${number(now)} of ${number(iterations)} iterations` : "Before the first iteration";
    const round = Math.min(count, Math.floor(Math.max(0, now - 1) / length) + 1);
    this.label(label, now ? `round ${round} of ${count}` : "the real patch");
    this.cursor.style.left = `${(100 * now) / total}%`;
    const done = lanes.map((lane) => Math.max(0, now - lane.first));
    this.charts.forEach((chart) => chart.show(now, done));
    this.root.dataset.now = now;
  }

  // The absolute difference of two images that are drawn already.
  change(pen, from, to) {
    const { tile } = this.data;
    const [a, b] = [from, to].map((canvas) => canvas.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, tile, tile));
    for (let i = 0; i < a.data.length; i += 1) b.data[i] = i % 4 === 3 ? 255 : Math.abs(a.data[i] - b.data[i]);
    pen.putImageData(b, 0, 0);
  }

  nearest(iteration) {
    let near = 0;
    this.data.moments.forEach((moment, at) => {
      if (Math.abs(moment - iteration) < Math.abs(this.data.moments[near] - iteration)) near = at;
    });
    return near;
  }

  // Answers to reports come late, when the reader may have moved on: only what was never reported from here is news.
  isEcho(at) {
    const place = this.sent.indexOf(at);
    this.sent = this.sent.slice(place + 1);
    return place >= 0;
  }

  report() {
    clearTimeout(this.resting);
    const at = this.data.moments[this.at];
    if (this.data.autoplay || at === this.sent[this.sent.length - 1]) return;
    this.sent.push(at);
    this.component.setStateValue("at", at);
  }

  // A film that plays by itself begins again after a while, unless the reader stopped it before its end.
  rest() {
    super.rest();
    if (this.data.autoplay && this.at >= this.last) this.again = setTimeout(() => this.play(), AGAIN_MS);
  }

  stop() { clearTimeout(this.again); super.stop(); }
  end() { this.stop(); clearTimeout(this.resting); }

  keys(event) {
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 5, PageDown: -5 }[event.key];
    if (!step) return;
    event.preventDefault();
    this.stop();
    this.show(this.at + step);
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.report(), REST_MS);
  }
}

export default (component) => mounted(component, Film);
