// What the components share: elements, images fetched as bitmaps, one view a place on the page, and a slider that plays.

const PLAY = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 2.5v11l9-5.5z"/></svg>';
const PAUSE = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 2.5h3v11H4zM9 2.5h3v11H9z"/></svg>';
const views = new WeakMap();

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(className, text, onClick) {
  const made = element("button", className, text);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

// A canvas for one square tile of a sheet, told to screen readers as an image.
function picture(side, alt) {
  const canvas = element("canvas");
  canvas.width = canvas.height = side;
  canvas.setAttribute("role", "img");
  if (alt !== undefined) canvas.setAttribute("aria-label", alt);
  return canvas;
}

async function decode(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${answer.status}: ${url.slice(0, 200)}`);
  return createImageBitmap(await answer.blob());
}

// The view of a place on the page is made when it is first drawn, and updated from then on.
function mounted(component, View) {
  const host = component.parentElement;
  if (!views.has(host)) views.set(host, new View(host));
  const view = views.get(host);
  view.update(component);
  return () => { view.end?.(); view.root.remove(); views.delete(host); };
}

// A slider with a play button. A subclass has a root with both in it, ``last`` (the last position), ``pause`` (ms between
// two), ``draw()``, ``report()``, and ``spot(value)`` where the slider's value is not the position itself.
class Player {
  wire(what) {
    this.what = what;
    this.at = 0;
    this.bitmaps = new Map();
    this.playButton = this.root.querySelector(".play");
    this.range = this.root.querySelector("input.at");
    this.range.addEventListener("input", () => { this.stop(); this.show(this.spot(Number(this.range.value))); });
    this.range.addEventListener("change", () => this.report());
    this.playButton.addEventListener("click", () => (this.timer ? this.rest() : this.play()));
    this.face();
  }

  spot(value) { return value; }
  show(at) { this.at = Math.max(0, Math.min(at, this.last)); this.draw(); }
  rest() { this.stop(); this.report(); }
  stop() { clearInterval(this.timer); this.timer = null; this.face(); }

  play() {
    if (this.at >= this.last) this.show(0);
    this.timer = setInterval(() => { this.show(this.at + 1); if (this.at >= this.last) this.rest(); }, this.pause);
    this.face();
  }

  face() {
    this.playButton.innerHTML = this.timer ? PAUSE : PLAY;
    this.playButton.setAttribute("aria-label", this.timer ? "Pause" : `Play all ${this.what}`);
  }

  label(words, note) {
    this.range.setAttribute("aria-valuetext", words);
    this.root.querySelector(".now span").textContent = words;
    this.root.querySelector(".now small").textContent = note;
  }

  async fetch(urls) {
    await Promise.all(urls.map(async (url) => {
      if (this.bitmaps.has(url)) return;
      this.bitmaps.set(url, null);
      try { this.bitmaps.set(url, await decode(url)); } catch { this.bitmaps.delete(url); }
    }));
    this.draw();
  }

  keep(urls) { for (const url of this.bitmaps.keys()) if (!urls.includes(url)) this.bitmaps.delete(url); }
}
