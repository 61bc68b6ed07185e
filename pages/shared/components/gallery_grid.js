// Draws image tiles cut out of sheets (one PNG strip a class and round) and moves all of them with one slider.
// All sheets come at once, so scrubbing and playing need no answer from the server; the chosen frame is
// reported when the slider comes to rest.

const STEP_MS = 550, MOST_TICKS = 9;

// What must be equal for the cells on screen to be kept and only filled anew, so that nothing flickers.
function outline({ rows, layout, clickable, tile, columns, head }) {
  const shape = (cell) => [cell.id, cell.lines.length, !cell.counts, !cell.pick, !cell.over.length];
  const cells = rows.map((row) => [row.title, !row.note && !row.notes.length, row.tile, row.deep, row.link, row.empty, inOrder(row).map(shape)]);
  return JSON.stringify([cells, layout, clickable, tile, columns, head]);
}

function inOrder(row) { return row.lead ? [row.lead, ...row.cells] : row.cells; }

class View extends Player {
  constructor(host) {
    super();
    this.root = element("div", "delt");
    this.root.innerHTML =
      `<div class="bar" hidden><button class="play" type="button"></button><div class="track">
       <div class="now"><span></span><small></small></div>
       <input class="at" type="range" min="0" step="1" aria-label="Round"><div class="ticks" aria-hidden="true"></div></div></div>
       <div class="swipe" hidden><b></b><input type="range" min="0" max="100" value="50" aria-label="Swipe"><b></b>
       <button class="tool" type="button" title="Key S">Swap</button></div>
       <div class="body"></div>`;
    host.appendChild(this.root);
    this.bar = this.root.querySelector(".bar");
    this.wire("rounds");
    this.body = this.root.querySelector(".body");
    this.notes = [];
    this.tools = new Tools(this);
    this.body.before(this.tools.root);
    this.swipe = this.root.querySelector(".swipe");
    this.split = this.swipe.querySelector("input");
    this.split.addEventListener("input", () => this.divide(Number(this.split.value)));
    this.swipe.querySelector("button").addEventListener("click", () => this.swap());
    this.body.addEventListener("pointermove", (event) => this.sweep(event));
    this.onKey = (event) => { if (event.target === document.body) this.keys(event); };
    document.addEventListener("keydown", this.onKey);
    this.body.addEventListener("keydown", (event) => this.keys(event));
    this.range.addEventListener("keydown", (event) => { if (event.key === " ") this.keys(event); });
  }

  get last() { return Math.max(0, this.data.frames.length - 1); }
  get pause() { return STEP_MS; }

  update(component) {
    this.component = component;
    const data = component.data;
    const before = this.data;
    this.data = data;
    this.place(before);
    if (before && before.version === data.version) {
      this.select();
      this.draw();
      return;
    }
    this.controls();
    if (before && outline(before) === outline(data)) this.refill();
    else this.build();
    this.load();
  }

  scale() {
    const { layout, shown, pixelated } = this.data;
    this.body.className = `body rows ${layout} ${pixelated ? "pixelated" : ""} ${shown < 80 ? "small" : ""}`;
    this.body.style.setProperty("--shown", `${shown}px`);
  }

  refill() {
    this.scale();
    const cells = this.data.rows.flatMap(inOrder);
    this.tiles.forEach((tile, place) => {
      tile.cell = cells[place];
      tile.canvas.setAttribute("aria-label", tile.cell.alt);
      tile.missing.textContent = tile.cell.missing;
      tile.mark.style.setProperty("--mark", tile.cell.colour || "transparent");
      tile.lines.forEach((line, at) => { line.textContent = tile.cell.lines[at]; });
    });
    this.select();
    this.tools.draw();
  }

  // A frame set by the page counts only when it is news, not the echo of what was reported from here.
  place(before) {
    const { frame, follow } = this.data;
    const wasAtEnd = before && this.at >= before.frames.length - 1;
    if (!before || (frame !== before.frame && frame !== this.reported)) this.at = frame;
    if (before && follow && wasAtEnd && !this.timer) this.at = this.last;
    this.at = Math.min(this.at, this.last);
  }

  controls() {
    const { frames, slider, swipe } = this.data;
    this.swipe.hidden = !swipe.length;
    this.swipe.querySelectorAll("b").forEach((name, side) => { name.textContent = swipe[side] ?? ""; });
    this.divide(Number(this.split.value));
    this.bar.hidden = !slider || frames.length < 2;
    this.range.max = frames.length - 1;
    const ticks = this.bar.querySelector(".ticks");
    const few = Math.ceil(frames.length / MOST_TICKS), last = frames.length - 1;
    const isSaid = (at) => at === last || (at % few === 0 && last - at >= few);
    ticks.replaceChildren(...frames.map((frame, at) => element("span", "", isSaid(at) ? frame.tick : "")));
  }

  build() {
    const { rows } = this.data;
    this.tiles = [];
    this.notes = [];
    this.scale();
    this.body.style.setProperty("--sides", rows.length);
    this.body.style.setProperty("--across", this.data.columns);
    const focused = this.root.getRootNode().activeElement?.dataset?.id;
    this.body.replaceChildren(...this.head(), ...rows.map((row, place) => this.row(row, place)));
    this.select();
    this.tools.draw();
    if (focused) this.tiles.find(({ cell }) => cell.id === focused)?.made.focus({ preventScroll: true });
  }

  select() {
    this.tiles.forEach(({ cell, made }) => {
      const chosen = cell.id !== "" && cell.id === this.data.selected;
      made.classList.toggle("selected", chosen);
      if (made.type === "button") made.setAttribute("aria-pressed", chosen);
    });
  }

  head() {
    const { head, rows, layout, columns } = this.data;
    if (layout === "matrix") return head.map(({ title, note }) => {
      const group = element("div", "group");
      group.append(element("b", "", title), element("span", "", note));
      return group;
    });
    const wide = rows.length ? rows[0].cells.length : 0;
    if (!head.length || layout !== "rows" || wide > columns) return [];
    const made = element("div", rows[0].title ? "row head" : "row head untitled");
    if (rows[0].title) made.appendChild(element("div"));
    const cells = made.appendChild(element("div", "cells"));
    cells.style.setProperty("--columns", wide);
    head.forEach(({ span, title, note, colour }) => {
      const group = cells.appendChild(element("div", "group"));
      group.style.gridColumn = `span ${span}`;
      group.title = title;
      group.style.setProperty("--mark", colour || "var(--st-border-color)");
      group.append(element("b", "", title), element("span", "", note));
    });
    return [made];
  }

  row(row, place) {
    const made = element("div", row.title ? "row" : "row untitled");
    const tile = row.tile || this.data.tile;
    if (row.title) made.appendChild(this.title(row, place, tile));
    const cells = element("div", "cells");
    cells.style.setProperty("--columns", Math.min(row.cells.length, this.data.columns));
    const tiles = row.cells.map((cell) => this.cell(cell, cell.tile || tile));
    if (row.deep > 1) cells.append(...tiles.flatMap((_, at) => (at % row.deep ? [] : [this.stack(tiles.slice(at, at + row.deep))])));
    else cells.append(...tiles);
    if (!row.cells.length) cells.append(element("p", "", row.empty));
    made.appendChild(cells);
    return made;
  }

  stack(tiles) {
    const made = element("div", "stack");
    made.append(...tiles);
    return made;
  }

  title(row, place, tile) {
    const made = element("div", row.lead ? "title led" : "title");
    if (row.lead) made.appendChild(this.cell(row.lead, row.lead.tile || tile));
    const words = made.appendChild(element("div"));
    const name = words.appendChild(element("h4", "", row.link ? undefined : row.title));
    name.title = row.title;
    if (row.link) name.appendChild(button("link", row.title, () => this.component.setTriggerValue("picked", row.link)));
    if (!row.note && !row.notes.length) return made;
    this.notes.push({ place, note: words.appendChild(element("p")) });
    return made;
  }

  cell(cell, tile) {
    const isButton = this.data.clickable && cell.id;
    const made = element(isButton ? "button" : "div", "cell");
    if (isButton) {
      made.type = "button";
      made.title = "Open this image";
      made.addEventListener("click", () => this.component.setTriggerValue("picked", cell.id));
    }
    made.dataset.id = cell.id;
    const frame = made.appendChild(element("span", "frame"));
    const canvas = frame.appendChild(picture(tile, cell.alt));
    const over = cell.over.length ? frame.appendChild(element("canvas", "over")) : null;
    if (over) {
      over.width = over.height = tile;
      over.setAttribute("aria-hidden", "true"); // the label of the canvas below tells both
    }
    const missing = frame.appendChild(element("em", "", cell.missing));
    const mark = frame.appendChild(element("i"));
    mark.style.setProperty("--mark", cell.colour || "transparent");
    const counts = cell.counts ? made.appendChild(element("span", "text first")) : null;
    const lines = cell.lines.map((line) => made.appendChild(element("span", "text", line)));
    const box = cell.pick ? this.tools.box(cell) : null;
    this.tiles.push({ cell, tile, made, frame, canvas, over, missing, mark, counts, lines, box });
    if (!box) return made;
    const holder = element("div", "holder");
    holder.append(made, box);
    return holder;
  }

  // The frame on screen comes first; the others follow, so that moving the slider finds them ready.
  async load() {
    const { sheets } = this.data;
    this.keep(sheets);
    this.draw();
    const now = new Set(this.tiles.flatMap(({ cell }) => [cell.sheets, cell.over].map((line) => sheets[line[this.at]])));
    await this.fetch(sheets.filter((url) => now.has(url)));
    await this.fetch(sheets);
  }

  draw() {
    const { sheets, frames, rows } = this.data;
    const { at } = this;
    this.tiles.forEach(({ cell, tile, frame, canvas, over, counts }) => {
      const bitmap = this.bitmaps.get(sheets[cell.sheets[at]]);
      const other = over && this.bitmaps.get(sheets[cell.over[at]]);
      frame.classList.toggle("empty", cell.sheets[at] === null || cell.sheets[at] === undefined);
      frame.classList.toggle("waiting", at > 0 && cell.joins > at);
      if (bitmap) canvas.getContext("2d").drawImage(bitmap, cell.x * tile, 0, tile, tile, 0, 0, tile, tile);
      if (over) over.classList.toggle("none", cell.over[at] === null);
      if (over) over.classList.toggle("waits", at > 0 && cell.over_joins > at);
      if (other) over.getContext("2d").drawImage(other, cell.over_x * other.height, 0, other.height, other.height, 0, 0, tile, tile);
      if (counts) counts.textContent = cell.counts[at] ?? "";
    });
    this.notes.forEach(({ place, note }) => { note.textContent = rows[place].notes[at] ?? rows[place].note; });
    this.root.dataset.frame = at;
    this.tools.draw();
    const now = frames[at];
    if (!now) return;
    this.range.value = at;
    this.label(now.label, now.note || "");
  }

  report() {
    this.reported = this.at;
    if (this.data.report) this.component.setStateValue("frame", this.at);
  }

  end() { this.stop(); document.removeEventListener("keydown", this.onKey); }

  // Left of the divider is the first of the two, right of it the second.
  divide(percent) {
    this.split.value = percent;
    this.body.style.setProperty("--split", `${percent}%`);
  }

  swap() { this.divide(Number(this.split.value) >= 50 ? 0 : 100); }

  sweep(event) {
    const frame = this.data.swipe.length && event.pointerType === "mouse" ? event.target.closest(".frame") : null;
    if (!frame) return;
    const box = frame.getBoundingClientRect();
    this.divide(Math.round(100 * Math.max(0, Math.min(1, (event.clientX - box.left) / box.width))));
  }

  keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "s" && this.data.swipe.length) this.swap();
    if (this.bar.hidden) return;
    if (event.key === " " && !event.target.closest?.("button, input:not(.at)")) {
      event.preventDefault();
      this.playButton.click();
    }
    const to = { ArrowLeft: this.at - 1, ArrowRight: this.at + 1, Home: 0, End: this.last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.stop();
    this.show(to);
    this.report();
  }
}

export default (component) => mounted(component, View);
