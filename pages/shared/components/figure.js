// Saves a Plotly figure of the page as PNG or SVG. Plotly's own toolbar button does the work; it reads its format from
// the figure's settings when it is pressed, and there is room for one format only, so it is told the wanted one first.
// The figure's background is transparent on the page; a file gets the page's colour, or its text could not be read.

const SCALE = { png: 3, svg: 1 };

function save(data, format) {
  const figure = document.querySelector(`.st-key-${CSS.escape(data.figure)} .js-plotly-plot`);
  const button = figure?.querySelector('.modebar-btn[data-title^="Download"]');
  if (!button) return;
  const page = getComputedStyle(document.querySelector("[data-testid=stApp]") ?? document.body).backgroundColor;
  const before = figure.layout.paper_bgcolor;
  figure._context.toImageButtonOptions = { format, filename: data.filename, scale: SCALE[format] };
  figure.layout.paper_bgcolor = page;
  button.click();
  figure.layout.paper_bgcolor = before;
}

export default function ({ data, parentElement }) {
  parentElement.querySelectorAll("button").forEach((button) => {
    button.onclick = () => save(data, button.dataset.format);
  });
}
