// The line of tools above a grid: choosing images to download as a zip, and copying the page's link. The choice is
// kept while classes, pages and orders change; nothing of it goes to the server before the download is asked for.

function written(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.body.appendChild(document.createElement("textarea")); // plain http has no clipboard
  area.value = text;
  area.select();
  document.execCommand("copy");
  area.remove();
  return Promise.resolve();
}

class Tools {
  constructor(view) {
    this.view = view;
    this.chosen = new Set(); // "run/class number/image number"
    this.root = document.createElement("div");
    this.root.className = "tools";
    this.root.innerHTML =
      `<label><input type="checkbox" class="all"> <span></span></label>
       <a class="tool" download>Download zip</a><button type="button" class="tool clear">Clear</button>
       <span class="gap"></span><button type="button" class="tool link">Copy link</button>`;
    this.all = this.root.querySelector(".all");
    this.words = this.root.querySelector("label span");
    this.download = this.root.querySelector("a");
    this.clear = this.root.querySelector(".clear");
    this.link = this.root.querySelector(".link");
    this.all.addEventListener("change", () => this.choose(this.shown(), this.all.checked));
    this.clear.addEventListener("click", () => this.choose([...this.chosen], false));
    this.link.addEventListener("click", () => this.copy());
  }

  shown() { return this.view.tiles.map(({ cell }) => cell.pick).filter(Boolean); }

  // A checkbox beside an image; with shift, all between the last one touched and this one.
  box(cell) {
    const box = document.createElement("input");
    box.type = "checkbox";
    box.className = "choose";
    box.setAttribute("aria-label", `Choose ${cell.alt.split(":")[0]}`);
    box.addEventListener("click", (event) => {
      const pick = box.dataset.pick;
      const line = this.shown();
      const [from, to] = [line.indexOf(this.last), line.indexOf(pick)].sort((a, b) => a - b);
      this.choose(event.shiftKey && from >= 0 ? line.slice(from, to + 1) : [pick], box.checked);
      this.last = pick;
    });
    return box;
  }

  choose(picks, on) {
    picks.forEach((pick) => (on ? this.chosen.add(pick) : this.chosen.delete(pick)));
    this.draw();
  }

  draw() {
    const { download, rows } = this.view.data;
    this.root.hidden = !download;
    if (!download) return;
    this.view.tiles.forEach(({ cell, box, made }) => {
      if (!box) return;
      box.dataset.pick = cell.pick;
      box.checked = this.chosen.has(cell.pick);
      made.parentElement.classList.toggle("chosen", box.checked);
    });
    const shown = this.shown();
    const here = shown.filter((pick) => this.chosen.has(pick)).length;
    this.all.checked = here > 0 && here === shown.length;
    this.all.indeterminate = here > 0 && here < shown.length;
    const count = this.chosen.size;
    this.words.textContent = count ? `${count} chosen` : "Choose all shown";
    this.clear.disabled = !count;
    this.download.setAttribute("aria-disabled", !count);
    if (count) this.download.href = this.address(download, rows);
    else this.download.removeAttribute("href");
  }

  // Images go out as they are on screen; those of a run that is not on screen as last written.
  address(download, rows) {
    const rounds = new Map(rows.map((row) => [row.run, row.rounds[this.view.at]]));
    const groups = new Map();
    [...this.chosen].sort().forEach((pick) => {
      const [run, number, index] = pick.split("/");
      const key = `${run}/${number}`;
      groups.set(key, [...(groups.get(key) || []), index]);
    });
    const parts = [...groups].map(([key, indices]) => {
      const round = rounds.get(key.split("/")[0]);
      return `of=${encodeURIComponent(`${key}/${indices.join(",")}/${round ?? ""}`)}`;
    });
    return `${download}?${parts.join("&")}`;
  }

  async copy() {
    await written(window.location.href);
    this.link.textContent = "Link copied";
    setTimeout(() => { this.link.textContent = "Copy link"; }, 1600);
  }
}
