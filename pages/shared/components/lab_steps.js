// One iteration stage by stage: the pictures are tiles of one sheet, so stepping needs no answer from the server.

class Steps {
  constructor(host) {
    this.root = element("div", "lab steps");
    host.appendChild(this.root);
    this.row = 0;
    this.stage = 0;
    this.root.addEventListener("keydown", (event) => this.keys(event));
  }

  async update({ data }) {
    if (this.data && this.data.version === data.version) return;
    this.data = data;
    this.row = Math.min(this.row, data.iterations.length - 1);
    this.root.style.setProperty("--shown", `${data.shown}px`);
    this.root.classList.toggle("pixelated", data.tile < 2 * data.shown);
    this.bitmap = null;
    this.draw();
    const bitmap = await decode(data.sheet);
    if (this.data !== data) return;
    this.bitmap = bitmap;
    this.root.dataset.ready = true;
    this.draw();
  }

  get stages() { return this.data.iterations[this.row].stages; }

  draw() {
    const focused = this.root.getRootNode().activeElement?.dataset?.name;
    const rows = this.picker("Iteration", this.data.iterations.map(({ label }) => label), this.row, "row", "aria-pressed");
    const stages = this.picker("Stage", this.stages.map(({ title }, at) => `${at + 1} ${title}`), this.stage, "stage", "aria-current");
    this.root.replaceChildren(rows, stages, this.panel(), this.moves());
    this.root.dataset.stage = this.stage;
    if (focused) this.root.querySelector(`[data-name="${focused}"]`)?.focus({ preventScroll: true });
  }

  picker(name, labels, chosen, what, mark) {
    const box = element("div", "pick");
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", name);
    box.appendChild(element("span", "", name));
    labels.forEach((label, at) => {
      const made = box.appendChild(button("", label, () => { this[what] = at; this.draw(); }));
      made.dataset.name = `${what}-${at}`;
      made.setAttribute(mark, mark === "aria-pressed" ? at === chosen : at === chosen ? "step" : "false");
    });
    return box;
  }

  panel() {
    const { title, text, pictures, bars, facts } = this.stages[this.stage];
    const panel = element("div", "stage");
    panel.setAttribute("aria-live", "polite");
    const shown = panel.appendChild(element("div", "pictures"));
    pictures.forEach((picture) => shown.appendChild(this.picture(picture)));
    const words = panel.appendChild(element("div", "words"));
    words.append(element("h4", "", title), element("p", "", text));
    if (bars.length) words.appendChild(this.bars(bars));
    const list = words.appendChild(element("dl"));
    facts.forEach(([name, value]) => list.append(element("dt", "", name), element("dd", "", value)));
    return panel;
  }

  picture({ column, row, alt, caption, box }) {
    const { tile } = this.data;
    const figure = element("figure");
    const frame = figure.appendChild(element("span", "frame"));
    const canvas = frame.appendChild(picture(tile, alt));
    if (this.bitmap) canvas.getContext("2d").drawImage(this.bitmap, column * tile, row * tile, tile, tile, 0, 0, tile, tile);
    if (box) {
      const [top, left, height, width] = box.map((value) => `${(100 * value) / tile}%`);
      Object.assign(frame.appendChild(element("span", "box")).style, { top, left, height, width });
    }
    figure.appendChild(element("figcaption", "", caption));
    return figure;
  }

  bars(bars) {
    const box = element("div", "bars");
    bars.forEach(([name, share, isTrue]) => {
      const line = element("i");
      line.appendChild(element("b")).style.width = `${100 * share}%`;
      box.append(element("span", isTrue ? "true" : "", name), line, element("span", "", `${(100 * share).toFixed(1)} %`));
    });
    return box;
  }

  moves() {
    const box = element("div", "moves");
    [["Back", -1], ["Next stage", 1]].forEach(([label, step]) => {
      const made = box.appendChild(button("", label, () => this.move(step)));
      made.dataset.name = `move${step}`;
      made.disabled = !this.stages[this.stage + step];
    });
    return box;
  }

  move(step) {
    this.stage = Math.max(0, Math.min(this.stage + step, this.stages.length - 1));
    this.draw();
  }

  keys(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    this.move(step);
  }
}

export default (component) => mounted(component, Steps);
