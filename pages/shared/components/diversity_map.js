// A map of images as points, drawn on a canvas: the point under the pointer, or the one the arrow keys are on, shows its
// image. A line drawn around points chooses them, Enter the one at hand; those of a run open in the gallery. Images are
// tiles of sheets; a sheet is fetched when one of its images is asked for.

const RADIUS = 4;
const REACH = 14;
const PAD = 16;
const MOST_OPENED = 300; // more would make an address too long

class Plane {
  constructor(host) {
    this.root = element("div", "map");
    this.root.innerHTML =
      `<div class="legend"></div><canvas class="plane" tabindex="0" role="application"></canvas>
       <div class="chosen" role="status"></div><div class="tip" role="status" hidden><canvas width="96" height="96" aria-hidden="true"></canvas><b></b><span></span></div>`;
    host.appendChild(this.root);
    this.legend = this.root.querySelector(".legend");
    this.canvas = this.root.querySelector(".plane");
    this.tip = this.root.querySelector(".tip");
    this.sheets = new Map();
    this.hidden = new Set();
    this.picked = new Set();
    this.bar = this.root.querySelector(".chosen");
    this.canvas.addEventListener("pointerdown", (event) => this.begin(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, () => this.close());
    this.canvas.addEventListener("pointerleave", () => this.point(-1));
    this.canvas.addEventListener("blur", () => this.point(-1));
    this.canvas.addEventListener("keydown", (event) => this.keys(event));
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.canvas);
  }

  update(component) {
    const { data } = component;
    this.component = component;
    if (this.version === data.version) return;
    this.version = data.version;
    this.data = data;
    this.at = -1;
    this.tip.hidden = true;
    this.choose([]);
    this.canvas.setAttribute("aria-label", data.alt);
    this.drawLegend();
    this.draw();
    this.root.dataset.ready = "true";
  }

  drawLegend() {
    this.legend.replaceChildren();
    this.data.groups.forEach((group, number) => {
      const label = element("label"), box = element("input");
      box.type = "checkbox";
      box.checked = !this.hidden.has(group.title);
      box.addEventListener("change", () => {
        if (box.checked) this.hidden.delete(group.title); else this.hidden.add(group.title);
        this.point(-1);
        this.choose([...this.picked].filter((each) => this.visible(each)));
      });
      const mark = element("i", group.open ? "open" : "");
      mark.style.setProperty("--mark", group.colour);
      const count = this.data.g.filter((each) => each === number).length;
      label.append(box, mark, `${group.title} (${count.toLocaleString("en")})`);
      this.legend.append(label);
    });
    this.legend.append(element("span", "gap"));
    for (const format of ["PNG", "SVG"]) {
      const save = button("save", format, () => this.save(format));
      save.setAttribute("aria-label", `Save the map as ${format}`);
      this.legend.append(save);
    }
  }

  // Places of the points on the canvas, in CSS pixels; x and y come scaled to 0..1.
  place(number) {
    const width = this.canvas.clientWidth - 2 * PAD, height = this.canvas.clientHeight - 2 * PAD;
    return [PAD + this.data.x[number] * width, PAD + (1 - this.data.y[number]) * height];
  }

  visible(number) { return !this.hidden.has(this.data.groups[this.data.g[number]].title); }

  draw() {
    if (!this.data || !this.canvas.clientWidth) return;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = this.canvas.clientWidth * ratio;
    this.canvas.height = this.canvas.clientHeight * ratio;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    for (let number = 0; number < this.data.x.length; number += 1) {
      if (!this.visible(number)) continue;
      const group = this.data.groups[this.data.g[number]], [x, y] = this.place(number);
      pen.beginPath();
      pen.arc(x, y, group.open ? RADIUS - 1 : RADIUS, 0, 2 * Math.PI);
      pen.globalAlpha = this.picked.size && !this.picked.has(number) ? 0.15 : group.open ? 0.7 : 0.9;
      if (group.open) { pen.strokeStyle = group.colour; pen.lineWidth = 1.2; pen.stroke(); }
      else { pen.fillStyle = group.colour; pen.fill(); }
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = getComputedStyle(this.root).color;
    pen.lineWidth = 1.5;
    if (this.line?.length > 1) {
      pen.setLineDash([4, 3]);
      pen.beginPath();
      this.line.forEach(([x, y]) => pen.lineTo(x, y));
      pen.closePath();
      pen.stroke();
      pen.setLineDash([]);
    }
    if (this.at >= 0) {
      const [x, y] = this.place(this.at);
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(x, y, RADIUS + 4, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  begin(event) {
    if (event.button !== 0 || event.pointerType === "touch") return; // a finger scrolls the page
    this.line = [[event.offsetX, event.offsetY]];
    this.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.line) { this.point(this.nearest(event.offsetX, event.offsetY)); return; }
    this.point(-1);
    this.line.push([event.offsetX, event.offsetY]);
    this.draw();
  }

  // What the line encloses is chosen; a click, which encloses nothing, chooses nothing any more.
  close() {
    if (!this.line) return;
    const line = this.line;
    this.line = null;
    this.choose([...this.data.x.keys()].filter((each) => this.visible(each) && inside(this.place(each), line)));
  }

  choose(numbers) {
    this.picked = new Set(numbers);
    this.draw();
    this.bar.replaceChildren();
    const total = this.picked.size, words = total === 1 ? "1 image chosen" : `${total.toLocaleString("en")} images chosen`;
    if (!total) {
      this.bar.append(element("span", "", "Draw a line around points, or press Enter on one, to choose images."));
      return;
    }
    this.bar.append(element("b", "", words));
    this.data.groups.forEach((group, place) => {
      const own = numbers.filter((each) => this.data.g[each] === place);
      if (!own.length) return;
      if (!group.run) { this.bar.append(element("span", "", `${own.length.toLocaleString("en")} of ${group.title}`)); return; }
      const some = own.slice(0, MOST_OPENED).map((each) => `${this.data.c[each]}:${this.data.i[each]}`);
      const label = `Open ${some.length} of ${group.title} in the gallery`;
      const open = () => this.component.setTriggerValue("opened", { run: group.run, imgs: some.join(",") });
      this.bar.append(button("save open", label, open));
    });
    this.bar.append(button("save", "Choose none", () => this.choose([])));
  }

  nearest(x, y) {
    let best = -1, least = REACH * REACH;
    for (let number = 0; number < (this.data?.x.length ?? 0); number += 1) {
      if (!this.visible(number)) continue;
      const [px, py] = this.place(number), gap = (px - x) ** 2 + (py - y) ** 2;
      if (gap <= least) { least = gap; best = number; }
    }
    return best;
  }

  keys(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") { this.point(-1); this.choose([]); }
    if (event.key === "Enter" && this.at >= 0) {
      const others = [...this.picked].filter((each) => each !== this.at);
      this.choose(this.picked.has(this.at) ? others : [...others, this.at]);
    }
    if (!step) return;
    event.preventDefault();
    const total = this.data.x.length;
    for (let tries = 0, next = this.at; tries < total; tries += 1) {
      next = (next + step + total) % total;
      if (this.visible(next)) { this.point(next); return; }
    }
  }

  point(number) {
    if (number === this.at) return;
    this.at = number;
    this.draw();
    this.tip.hidden = number < 0;
    if (number < 0) return;
    const [x, y] = this.place(number), wide = this.canvas.clientWidth;
    this.tip.style.left = `${Math.min(x + 14, wide - 130)}px`;
    this.tip.style.top = `${this.canvas.offsetTop + Math.min(y + 14, this.canvas.clientHeight - 160)}px`;
    const group = this.data.groups[this.data.g[number]];
    this.tip.querySelector("b").textContent = this.data.names[number];
    this.tip.querySelector("span").textContent = group.title;
    this.face(number);
  }

  async face(number) {
    const canvas = this.tip.querySelector("canvas"), pen = canvas.getContext("2d");
    pen.clearRect(0, 0, canvas.width, canvas.height);
    const sheet = this.data.sheets[this.data.s[number]];
    if (!sheet) { canvas.hidden = true; return; }
    canvas.hidden = false;
    if (!this.sheets.has(sheet.url)) {
      this.sheets.set(sheet.url, decode(sheet.url));
    }
    const bitmap = await this.sheets.get(sheet.url).catch(() => null);
    if (!bitmap || this.at !== number) return;
    const side = bitmap.width / sheet.columns, tile = this.data.t[number];
    canvas.width = canvas.height = side;
    const left = (tile % sheet.columns) * side, top = Math.floor(tile / sheet.columns) * side;
    pen.drawImage(bitmap, left, top, side, side, 0, 0, side, side);
    this.tip.dataset.shown = String(number);
  }

  save(format) {
    const link = element("a");
    link.download = `${this.data.filename}.${format.toLowerCase()}`;
    if (format === "PNG") link.href = this.canvas.toDataURL("image/png");
    else link.href = URL.createObjectURL(new Blob([this.svg()], { type: "image/svg+xml" }));
    link.click();
  }

  end() { this.watcher.disconnect(); }

  svg() {
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    const marks = this.data.x.map((_, number) => {
      if (!this.visible(number)) return "";
      const group = this.data.groups[this.data.g[number]], [x, y] = this.place(number);
      const look = group.open ? `fill="none" stroke="${group.colour}"` : `fill="${group.colour}"`;
      return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${group.open ? RADIUS - 1 : RADIUS}" ${look}/>`;
    });
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}">${marks.join("")}</svg>`;
  }
}

// Whether a point lies within a closed line: it does when a ray from it crosses the line an odd number of times.
function inside([x, y], line) {
  let found = false;
  line.forEach(([ax, ay], at) => {
    const [bx, by] = line[(at || line.length) - 1];
    if ((ay > y) !== (by > y) && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) found = !found;
  });
  return found;
}

export default (component) => mounted(component, Plane);
