// The stages from a dataset to a student as cards in a row, each with one number and one small picture; a click reports
// the stage. Pictures are tiles of sheets, or bars.

class Pipeline {
  constructor(host) {
    this.root = element("div", "pipeline");
    this.root.setAttribute("role", "group");
    host.appendChild(this.root);
    this.root.addEventListener("keydown", (event) => this.keys(event));
  }

  update(component) {
    this.component = component;
    const { data } = component;
    if (this.version !== data.version) {
      this.version = data.version;
      this.root.setAttribute("aria-label", data.label);
      this.cards = data.cards.map((card, at) => this.card(card, at));
      this.root.replaceChildren(...this.cards);
    }
    this.mark(data.chosen);
  }

  mark(chosen) {
    this.cards.forEach((card) => card.setAttribute("aria-pressed", card.dataset.id === chosen));
  }

  card({ id, title, number, note, tiles, bars }, at) {
    const made = button("card", "", () => {
      this.mark(id);
      this.component.setTriggerValue("picked", id);
    });
    made.dataset.id = id;
    made.appendChild(element("h4", "", `${at + 1} ${title}`));
    const shown = made.appendChild(element("div", bars.length ? "chart" : "tiles"));
    shown.setAttribute("aria-hidden", "true");
    tiles.forEach((tile) => this.tile(shown, tile));
    bars.forEach(([share, colour]) => {
      const bar = shown.appendChild(element("i"));
      bar.style.height = `${Math.max(3, 100 * share)}%`;
      if (colour) bar.style.background = colour;
    });
    made.append(element("b", "", number), element("small", "", note));
    return made;
  }

  async tile(shown, { sheet, x, side }) {
    const canvas = shown.appendChild(picture(side));
    const bitmap = await this.sheet(sheet).catch(() => null);
    if (bitmap) canvas.getContext("2d").drawImage(bitmap, x * side, 0, side, side, 0, 0, side, side);
  }

  sheet(url) {
    this.sheets ??= new Map();
    if (!this.sheets.has(url)) this.sheets.set(url, decode(url));
    return this.sheets.get(url);
  }

  keys(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const at = this.cards.indexOf(this.root.getRootNode().activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    this.cards[(at + step + this.cards.length) % this.cards.length].focus();
  }
}

export default (component) => mounted(component, Pipeline);
