// The list of runs as a table: headings sort, a click on a row selects it, boxes select several, groups and students
// under their run fold. Sorting and folding need no answer from the server; the chosen rows are reported.

const numberOrText = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));

class View {
  constructor(host) {
    this.root = element("div", "delt runs");
    this.root.tabIndex = -1;
    host.appendChild(this.root);
    this.open = new Map();
    this.sort = null;
    this.root.addEventListener("keydown", (event) => this.keys(event));
  }

  update(component) {
    this.component = component;
    const before = this.data;
    this.data = component.data;
    if (!before || before.selected.join() !== this.data.selected.join()) this.chosen = new Set(this.data.selected);
    if (!before || before.version !== this.data.version) this.build();
    this.mark();
  }

  build() {
    const focused = this.root.getRootNode().activeElement?.dataset?.id;
    const scrolled = this.root.scrollTop;
    const table = element("table");
    table.appendChild(element("caption", "", "Runs"));
    table.append(this.head(), ...this.data.groups.map((group) => this.group(group)));
    this.root.replaceChildren(table);
    this.root.scrollTop = scrolled;
    if (focused) this.names().find((name) => name.dataset.id === focused)?.focus({ preventScroll: true });
  }

  head() {
    const row = element("tr");
    for (const [name, words] of [["box", "Select"], ["pictures", "Images"]]) {
      row.appendChild(element("th", name)).appendChild(element("span", "unseen", words));
    }
    this.data.columns.forEach((column, at) => {
      const cell = element("th", column.number ? "number" : "");
      const way = this.sort?.at === at ? this.sort.way : 0;
      cell.setAttribute("aria-sort", { 1: "ascending", [-1]: "descending", 0: "none" }[way]);
      const press = button("sort", column.title, () => this.sortBy(at, column.number));
      press.title = column.help || `Sort by ${column.title}`;
      press.appendChild(element("span", "way", { 1: "▲", [-1]: "▼", 0: "" }[way]));
      cell.appendChild(press);
      row.appendChild(cell);
    });
    const made = element("thead");
    made.appendChild(row);
    return made;
  }

  // Numbers begin with the largest; a third press gives back the order of the page, the newest first.
  sortBy(at, isNumber) {
    const first = isNumber ? -1 : 1;
    const now = this.sort?.at === at ? this.sort.way : 0;
    this.sort = now === 0 ? { at, way: first } : now === first ? { at, way: -first } : null;
    this.build();
    this.mark();
  }

  sorted(rows) {
    if (!this.sort) return rows;
    const { at, way } = this.sort;
    const value = (row) => row.cells[at][1];
    const [known, none] = [rows.filter((row) => value(row) !== null), rows.filter((row) => value(row) === null)];
    return [...known.sort((a, b) => way * numberOrText(value(a), value(b))), ...none];
  }

  group(group) {
    const made = element("tbody");
    const isOpen = !group.title || this.isOpen(group.title, group.open);
    if (group.title) {
      const row = element("tr", "group");
      const cell = element("td");
      cell.colSpan = this.data.columns.length + 2;
      cell.appendChild(this.folder(group.title, group.title, isOpen));
      row.appendChild(cell);
      made.appendChild(row);
    }
    if (isOpen) this.sorted([...group.rows]).forEach((row) => made.append(...this.rows(row)));
    return made;
  }

  isOpen(key, usual) { return this.open.has(key) ? this.open.get(key) : usual; }

  folder(key, text, isOpen) {
    const made = button("fold", `${isOpen ? "▾" : "▸"} ${text}`, () => {
      this.open.set(key, !isOpen);
      this.build();
      this.mark();
    });
    made.setAttribute("aria-expanded", isOpen);
    return made;
  }

  rows(row) {
    const isOpen = row.children.length > 0 && this.isOpen(row.id, row.open);
    const below = isOpen ? this.sorted([...row.children]).map((child) => this.row(child, "child")) : [];
    return [this.row(row, "", isOpen), ...below];
  }

  row(row, kind, isOpen = false) {
    const made = element("tr", `run ${kind}`);
    made.dataset.id = row.id;
    made.addEventListener("click", (event) => {
      if (!event.target.closest("button, input")) this.choose(row.id, event.ctrlKey || event.metaKey || event.shiftKey);
    });
    const box = element("input");
    box.type = "checkbox";
    box.setAttribute("aria-label", `Select ${row.cells[0][0]}`);
    box.addEventListener("change", () => this.choose(row.id, true));
    made.appendChild(element("td", "box")).appendChild(box);
    const pictures = made.appendChild(element("td", "pictures"));
    row.pictures.forEach(([address, alt]) => {
      const image = element("img");
      Object.assign(image, { src: address, alt, title: alt, loading: "lazy" });
      pictures.appendChild(image);
    });
    row.cells.forEach(([text], at) => made.appendChild(this.cell(row, text, at, isOpen)));
    return made;
  }

  cell(row, text, at, isOpen) {
    const column = this.data.columns[at];
    const made = element("td", column.number ? "number" : "");
    if (at === 0) {
      const name = button("name", text, (event) => this.choose(row.id, event.ctrlKey || event.metaKey || event.shiftKey));
      name.dataset.id = row.id;
      name.title = row.hint;
      made.appendChild(name);
      row.tags.forEach((tag) => made.appendChild(element("span", "tag", tag)));
      if (row.children.length) made.appendChild(this.folder(row.id, row.below, isOpen));
    } else if (column.badge) {
      made.appendChild(element("span", `badge ${row.look}`, text));
    } else {
      made.textContent = text;
      made.title = text;
    }
    return made;
  }

  choose(id, more) {
    const others = more ? [...this.chosen].filter((one) => one !== id) : [];
    const isOff = more ? this.chosen.has(id) : this.chosen.size === 1 && this.chosen.has(id);
    this.chosen = new Set(isOff ? others : [...others, id]);
    this.mark();
    this.component.setTriggerValue("picked", `${[...this.chosen].join(",")},`);
  }

  mark() {
    this.root.querySelectorAll("tr.run").forEach((row) => {
      const isChosen = this.chosen.has(row.dataset.id);
      row.setAttribute("aria-selected", isChosen);
      row.querySelector("input").checked = isChosen;
    });
  }

  names() { return [...this.root.querySelectorAll("button.name")]; }

  keys(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const names = this.names();
    const at = names.indexOf(event.target);
    if (!step || at < 0) return;
    event.preventDefault();
    names[at + step]?.focus();
  }
}

export default (component) => mounted(component, View);
