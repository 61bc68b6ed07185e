// A table of a paper in its own form: each cell has the printed number and, below it, what was measured here. A click on
// a cell chooses it; arrow keys move between cells. Names of rows stay in sight while wide tables are scrolled.

class View {
  constructor(host) {
    this.root = element("div", "delt printed");
    host.appendChild(this.root);
    this.root.addEventListener("keydown", (event) => this.keys(event));
  }

  update(component) {
    this.component = component;
    const before = this.data;
    this.data = component.data;
    if (!before || before.version !== this.data.version) this.build();
    this.mark();
  }

  build() {
    const focused = this.root.getRootNode().activeElement?.dataset?.id;
    const scrolled = this.root.scrollLeft;
    const table = element("table");
    table.appendChild(element("caption", "", this.data.title));
    table.append(this.head(), this.body());
    this.root.replaceChildren(table);
    this.pin();
    this.root.scrollLeft = scrolled;
    if (focused) this.buttons().find((one) => one.dataset.id === focused)?.focus({ preventScroll: true });
  }

  // One line of headings an axis, below its name where numbers need one; equal ones beside each other are one, as the
  // paper prints them.
  head() {
    const made = element("thead");
    const lines = this.data.across.flatMap((title, level) => [...(title ? [{ title }] : []), { level }]);
    lines.forEach((line, number) => {
      const row = made.appendChild(element("tr"));
      if (number === 0) this.data.down.forEach((title) => this.corner(row, title, lines.length));
      const own = line.title ? [[{ text: line.title }, this.data.columns.length]] : runs(this.data.columns, line.level);
      own.forEach(([label, span]) => {
        const cell = row.appendChild(this.label("th", label));
        cell.colSpan = span;
        cell.scope = "col";
        if (line.title) cell.className = "axis";
      });
    });
    return made;
  }

  corner(row, title, span) {
    const cell = row.appendChild(element("th", "name", title));
    cell.rowSpan = span;
  }

  body() {
    const made = element("tbody");
    const labels = this.data.rows.map((row) => row.labels);
    const spans = this.data.down.map((_, level) => runs(labels, level));
    const begun = this.data.down.map(() => ({ at: 0, left: 0 }));
    const isGroup = (at) => this.data.down.length > 1 && at > 0 && labels[at][0].text !== labels[at - 1][0].text;
    this.data.rows.forEach((row, number) => {
      const line = made.appendChild(element("tr", isGroup(number) ? "first" : ""));
      begun.forEach((state, level) => {
        if (state.left === 0) {
          const [label, span] = spans[level][state.at++];
          state.left = span;
          const cell = line.appendChild(this.label("th", label));
          cell.className = "name";
          cell.rowSpan = span;
          cell.scope = span > 1 ? "rowgroup" : "row";
        }
        state.left -= 1;
      });
      row.cells.forEach((cell) => line.appendChild(this.cell(cell)));
    });
    return made;
  }

  label(tag, label) {
    const made = element(tag);
    if (label.colour) made.appendChild(element("i")).style.background = label.colour;
    made.appendChild(document.createTextNode(label.text || "–"));
    return made;
  }

  cell(cell) {
    const made = element("td");
    if (!cell) return made;
    const press = button(`number ${cell.state}`, undefined, () => this.choose(cell.id));
    press.dataset.id = cell.id;
    press.title = cell.hint;
    press.setAttribute("aria-label", cell.hint.replaceAll("\n", ", "));
    const printed = press.appendChild(element("span", "paper", cell.printed));
    if (cell.spread) printed.appendChild(element("small", "", ` ± ${cell.spread}`));
    const here = press.appendChild(element("span", "here", cell.here));
    if (cell.hereSpread) here.appendChild(element("small", "", ` ± ${cell.hereSpread}`));
    if (cell.mark) here.appendChild(element("small", "", ` ${cell.mark}`));
    if (cell.gap) here.appendChild(element("b", cell.side, cell.gap));
    made.appendChild(press);
    return made;
  }

  // Names of rows stand one beside the other at the left edge, each where the one before it ends.
  pin() {
    const corners = [...this.root.querySelectorAll("thead tr:first-child th.name")];
    const lefts = corners.map((_, at) => corners.slice(0, at).reduce((sum, one) => sum + one.offsetWidth, 0));
    const widths = corners.map((one) => one.offsetWidth);
    const taken = widths.map(() => 0);
    corners.forEach((one, at) => { one.style.left = `${lefts[at]}px`; });
    this.root.querySelectorAll("tbody tr").forEach((row) => {
      const own = [...row.querySelectorAll("th.name")];
      const free = taken.map((left, at) => (left === 0 ? at : -1)).filter((at) => at >= 0);
      own.forEach((one, number) => {
        one.style.left = `${lefts[free[number]]}px`;
        taken[free[number]] = one.rowSpan;
      });
      taken.forEach((left, at) => { taken[at] = Math.max(0, left - 1); });
    });
  }

  choose(id) {
    this.data = { ...this.data, chosen: this.data.chosen === id ? "" : id };
    this.mark();
    this.component.setTriggerValue("picked", `${this.data.chosen};`);
  }

  mark() {
    this.buttons().forEach((one) => one.setAttribute("aria-pressed", one.dataset.id === this.data.chosen));
  }

  buttons() { return [...this.root.querySelectorAll("button.number")]; }

  keys(event) {
    const way = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const cell = event.target.closest?.("td");
    if (!way || !cell) return;
    event.preventDefault();
    const rows = [...this.root.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("td")]);
    const down = rows.findIndex((row) => row.includes(cell));
    const across = rows[down].indexOf(cell);
    rows[down + way[0]]?.[across + way[1]]?.querySelector("button")?.focus();
  }
}

// Labels of a level with how many in a row are equal; a new one above begins new ones below.
function runs(labels, level) {
  const found = [];
  labels.forEach((own, at) => {
    const isSame = at > 0 && own.slice(0, level + 1).every((one, depth) => one.text === labels[at - 1][depth].text);
    if (isSame) found[found.length - 1][1] += 1;
    else found.push([own[level], 1]);
  });
  return found;
}

export default (component) => mounted(component, View);
