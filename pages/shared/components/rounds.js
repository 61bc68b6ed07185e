// MI and RI: a slider and a number each. What is moved is shown at once and sent; the server answers with the pair that
// fits. An answer to an older word than the last one sent is passed over, so that quick moves are never undone.

const SEND_MS = 120;
let words = 0;

class Line {
  constructor(view, name) {
    this.view = view;
    this.name = name;
    this.root = element("div", "line");
    this.title = element("label", "title");
    this.note = element("small", "note");
    this.refused = element("small", "refused");
    this.refused.setAttribute("role", "alert");
    this.range = element("input");
    this.range.type = "range";
    this.range.min = 0;
    this.box = element("input", "box");
    this.box.type = "number";
    this.box.inputMode = "numeric";
    this.box.id = `${name}-${(words += 1)}`;
    this.title.htmlFor = this.box.id;
    const head = element("div", "head");
    head.append(this.title, this.note);
    const body = element("div", "both");
    body.append(this.range, this.box);
    this.root.append(head, body, this.refused);
    this.range.addEventListener("pointerdown", () => { this.isHeld = true; });
    this.range.addEventListener("focus", () => view.hold(name));
    this.range.addEventListener("blur", () => view.hold(null));
    this.range.addEventListener("input", () => this.take(this.options[Number(this.range.value)]));
    this.range.addEventListener("change", () => { this.isHeld = false; this.view.send(this.name); });
    this.box.addEventListener("input", () => { this.isTyped = true; });
    this.box.addEventListener("change", () => this.typed());
    this.box.addEventListener("keydown", (event) => { if (event.key === "Enter") this.typed(); });
  }

  typed() {
    if (!this.isTyped) return;
    this.isTyped = false;
    this.view.hold(null);
    if (this.box.value === "") { this.box.value = this.value; return; }
    this.value = Number(this.box.value);
    this.view.send(this.name);
  }

  take(value) {
    this.isTyped = false;
    this.value = value;
    this.box.value = value;
    this.say();
    this.view.sendSoon(this.name);
  }

  say() { this.range.setAttribute("aria-valuetext", `${this.value.toLocaleString("en")} iterations`); }

  show({ title, help, value, options, step, note, refused }) {
    this.title.textContent = title;
    this.title.title = help;
    this.box.setAttribute("aria-label", title);
    this.range.setAttribute("aria-label", `${title}, slider`);
    this.box.step = step;
    this.note.textContent = note;
    this.refused.textContent = refused;
    this.box.setAttribute("aria-invalid", refused ? "true" : "false");
    if (!this.isHeld) { // or the thumb would move away under the pointer
      this.options = options;
      this.range.max = options.length - 1;
      this.range.disabled = options.length < 2;
      this.range.value = Math.max(0, options.indexOf(value));
    }
    if (refused) return; // what was typed stays to be mended
    this.value = value;
    if (!this.isTyped) this.box.value = value;
    this.say();
  }
}

class View {
  constructor(host) {
    this.root = element("div", "delt pair");
    this.lines = { iterations: new Line(this, "iterations"), round_iterations: new Line(this, "round_iterations") };
    this.said = element("p", "said");
    this.said.setAttribute("role", "status");
    this.root.append(...Object.values(this.lines).map((line) => line.root), this.said);
    host.appendChild(this.root);
  }

  update(component) {
    this.component = component;
    const { answers, lines, said } = component.data;
    if (this.last && answers !== this.last) return;
    this.said.textContent = said;
    for (const [name, line] of Object.entries(this.lines)) line.show(lines[name]);
  }

  // While a slider is moved on and on, the other number follows from where it stood at first, and not from where it
  // came to on the way.
  hold(name) {
    const others = Object.entries(this.lines).filter(([of]) => of !== name);
    this.held = name && Object.fromEntries(others.map(([of, line]) => [of, line.value]));
  }

  sendSoon(name) {
    this.timer ??= setTimeout(() => this.send(name), SEND_MS);
  }

  send(name) {
    clearTimeout(this.timer);
    this.timer = null;
    this.last = `${Date.now()}-${(words += 1)}`;
    const pair = Object.fromEntries(Object.entries(this.lines).map(([of, line]) => [of, line.value]));
    this.component.setStateValue("moved", { word: this.last, name, ...pair, ...this.held });
  }

  end() { clearTimeout(this.timer); }
}

export default (component) => mounted(component, View);
