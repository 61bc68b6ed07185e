// The lab as one file: lessons, the choice of a class, films, and a prediction with its answer. The address keeps which
// lesson and class are shown, so that a part of the page can be linked to.

const HALVES = [["Early half", "early"], ["Late half", "late"]];

function add(parent, tag, className, text) { return parent.appendChild(element(tag, className, text)); }

// How a bar of choices is walked with the arrow keys, Home and End.
function walked(box) {
  box.addEventListener("keydown", (event) => {
    const all = [...box.querySelectorAll("button")], at = all.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const next = all[(to + all.length) % all.length];
    next.focus();
    next.click();
  });
}

class LabPage {
  constructor(root, data) {
    this.data = data;
    this.guesses = {};
    const head = add(root, "header");
    add(head, "h1", "", `Early and late: ${data.title}`);
    const label = add(head, "label", "", "Class");
    this.select = label.appendChild(element("select"));
    data.classes.forEach(({ name }) => { add(this.select, "option", "", name).value = name; });
    this.select.addEventListener("change", () => this.go(this.lesson, this.select.value));
    this.bar = add(root, "div", "lessons");
    this.bar.setAttribute("role", "tablist");
    this.bar.setAttribute("aria-label", "Lessons");
    this.tabs = data.lessons.map(({ title }, at) => {
      const tab = this.bar.appendChild(button("", `${at + 1} ${title}`, () => this.go(at, this.name)));
      tab.setAttribute("role", "tab");
      return tab;
    });
    walked(this.bar);
    this.panel = add(root, "section", "lesson");
    this.panel.setAttribute("role", "tabpanel");
    this.title = add(this.panel, "h2");
    this.title.tabIndex = -1;
    this.text = add(this.panel, "p");
    this.ask = add(this.panel, "p", "ask");
    this.filmBox = add(this.panel, "div");
    this.rest = add(this.panel, "div");
    const walk = add(root, "div", "walk");
    this.back = walk.appendChild(button("", "Back", () => this.step(-1)));
    this.next = walk.appendChild(button("next", "", () => this.step(1)));
    this.foot(add(root, "footer"));
    this.film = new Film(this.filmBox);
    window.addEventListener("hashchange", () => this.arrive());
    this.arrive();
  }

  get entry() { return this.data.classes.find(({ name }) => name === this.name); }

  arrive() {
    const asked = new URLSearchParams(location.hash.slice(1)), lesson = Number(asked.get("lesson")) - 1;
    const names = this.data.classes.map(({ name }) => name);
    this.name = [asked.get("class"), this.data.opensWith, names[0]].find((name) => names.includes(name));
    this.lesson = Number.isInteger(lesson) && this.data.lessons[lesson] ? lesson : 0;
    this.draw();
  }

  go(lesson, name) {
    const hash = `#${new URLSearchParams({ lesson: lesson + 1, class: name })}`;
    if (hash === location.hash) this.draw(); else location.hash = hash;
  }

  step(by) { this.go(this.lesson + by, this.name); this.title.focus(); }

  draw() {
    const { lessons } = this.data, lesson = lessons[this.lesson], films = this.entry.films;
    this.select.value = this.name;
    this.tabs.forEach((tab, at) => {
      tab.setAttribute("aria-selected", at === this.lesson);
      tab.tabIndex = at === this.lesson ? 0 : -1;
    });
    this.title.textContent = lesson.title;
    this.text.textContent = lesson.text;
    this.ask.textContent = lesson.ask;
    this.back.disabled = !this.lesson;
    this.next.hidden = this.lesson === lessons.length - 1;
    this.next.textContent = this.next.hidden ? "" : `Next: ${lessons[this.lesson + 1].title}`;
    this.filmBox.hidden = !films[this.lesson];
    this.rest.replaceChildren();
    if (films[this.lesson]) this.watch(films[this.lesson]); else { this.film.stop(); this.predict(); }
    document.body.dataset.lesson = this.lesson + 1;
  }

  // Lessons on the timeline; the iteration stays where the reader has moved it.
  watch(film) {
    const at = this.film.data ? this.film.data.moments[this.film.at] : film.moments[film.moments.length - 1];
    const data = { ...film, sheets: [this.entry.sheet], at, version: `${this.name} ${this.lesson}` };
    this.film.update({ data, setStateValue() {} });
    if (this.lesson === 2) this.table(this.entry.rows);
    add(this.rest, "p", "note", this.entry.origin);
  }

  table(rows) {
    const table = add(add(this.rest, "div", "wide"), "table");
    const head = add(add(table, "thead"), "tr");
    Object.keys(rows[0]).forEach((name) => { add(head, "th", "", name).scope = "col"; });
    const body = add(table, "tbody");
    rows.forEach((row) => {
      const line = add(body, "tr");
      Object.values(row).forEach((value) => add(line, "td", "", value));
    });
  }

  predict() {
    const { sets, halves } = this.entry;
    if (!sets) { this.onlyHalves(halves); return; }
    const { methods } = this.data.claim;
    sets.forEach((set, at) => this.images(methods[at].title, methods[at].colour, set, `${this.name} made by ${methods[at].title}`));
    add(this.rest, "p", "", "Your prediction: whose images of this class are more alike?");
    const box = add(this.rest, "div", "guess");
    const names = methods.slice(0, 2).map(({ title }) => title);
    const drawn = names.map((title, at) => box.appendChild(button("", `${title}'s`, () => {
      this.guesses[this.name] = at;
      drawn.forEach((one, place) => one.setAttribute("aria-pressed", place === at));
      this.reveal(answer);
    })));
    drawn.forEach((one, place) => one.setAttribute("aria-pressed", this.guesses[this.name] === place));
    const answer = add(this.rest, "div", "answer");
    answer.setAttribute("aria-live", "polite");
    if (this.guesses[this.name] === undefined) add(answer, "p", "note", "The measured answer appears when you have picked one.");
    else this.reveal(answer);
  }

  reveal(box) {
    const { methods, overall, inside, why, origin } = this.data.claim, { answer, more } = this.entry;
    const isRight = this.guesses[this.name] === Number(more);
    box.replaceChildren();
    add(box, "p", `verdict ${isRight ? "right" : "wrong"}`, `${isRight ? "Right" : "Not this time"}: ${answer}.`);
    add(box, "h3", "", "Is that so for every class?");
    add(box, "p", "", overall);
    this.dots(box, methods);
    if (inside) {
      add(box, "h3", "", "And inside one DELT run?");
      add(box, "p", "", inside);
      add(box, "p", "", why);
    }
    add(box, "p", "note", origin);
  }

  images(title, colour, { sheet, tile, n }, alt) {
    const set = add(this.rest, "div", "set");
    set.style.setProperty("--mark", colour);
    const head = add(set, "h4");
    add(head, "i");
    head.append(title);
    const tiles = add(set, "div", "tiles");
    tiles.style.setProperty("--n", n);
    const drawn = Array.from({ length: n }, (_, at) => tiles.appendChild(picture(tile, `${alt}, image ${at + 1} of ${n}`)));
    decode(sheet).then((bitmap) => {
      drawn.forEach((canvas, at) => canvas.getContext("2d").drawImage(bitmap, at * tile, 0, tile, tile, 0, 0, tile, tile));
      set.dataset.ready = true;
    });
  }

  // A line a class with a dot a method; it ends at 1 and is at least 0.05 wide, so that small differences look small.
  dots(box, methods) {
    const values = methods.flatMap(({ alike }) => Object.values(alike));
    const low = Math.max(-1, Math.min(0.95, Math.floor(Math.min(...values) * 20) / 20));
    const legend = add(box, "div", "legend");
    methods.forEach(({ title, colour, mean }) => {
      const one = add(legend, "span");
      add(one, "i").style.setProperty("--mark", colour);
      one.append(`${title}, mean ${mean.toFixed(3)}`);
    });
    const grid = add(box, "div", "dots");
    Object.keys(methods[0].alike).forEach((name) => {
      add(grid, "b", name === this.name ? "here" : "", name);
      const line = add(grid, "div");
      line.setAttribute("role", "img");
      line.setAttribute("aria-label", methods.map(({ title, alike }) => `${title} ${alike[name].toFixed(3)}`).join(", "));
      methods.forEach(({ title, colour, alike }) => {
        const dot = add(line, "i");
        dot.title = `${title} ${alike[name].toFixed(3)}`;
        dot.style.setProperty("--mark", colour);
        dot.style.left = `${(100 * (alike[name] - low)) / (1 - low)}%`;
      });
    });
    add(grid, "b");
    const ends = add(grid, "div", "ends");
    [low, (low + 1) / 2, 1].forEach((value) => add(ends, "span", "", value.toFixed(3)));
  }

  // Where there is no run of CDA or SRe2L to hold DELT against: what was recorded of the halves, and that it is no answer.
  onlyHalves(halves) {
    this.images("The class at the end, in the order of joining", "var(--st-border-color)", halves, this.name);
    add(this.rest, "p", "", "No run of CDA or SRe²L under the same settings was there when this page was made, so DELT cannot be held against them here.");
    const numbers = HALVES.map(([title, name]) => `${title.toLowerCase()} ${halves[name].toFixed(3)}`).join(", ");
    add(this.rest, "p", "", `Recorded inside the DELT run, mean cosine of pairs: ${numbers}; 1 is identical. That does not say how alike the whole class is.`);
    add(this.rest, "p", "note", this.entry.origin);
  }

  foot(box) {
    const { command, versions } = this.data;
    add(box, "p", "", "Made with DELT Studio. Everything on this page is inside this file: it opens without a network, and every number was measured on the images shown or read from the run named beside it.");
    const how = add(box, "p", "", "Recorded with ");
    add(how, "code", "", command);
    how.append(` (${Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")}).`);
  }
}

new LabPage(document.getElementById("page"), JSON.parse(document.getElementById("data").textContent));
