// Where each item of the grid lies: arithmetic alone, nothing of the page is read.

export const PAD = 14;
const GAP = 12;
const LABEL = 24;

// Columns as wide as fill `inner` pixels, none narrower than `least`; pictures of that aspect.
export function lay(inner, { aspect, least }) {
  const columns = Math.max(1, Math.floor((inner + GAP) / (least + GAP)));
  const width = Math.floor((inner - (columns - 1) * GAP) / columns);
  const picture = Math.round(width / aspect);
  return { columns, width, picture, height: picture + LABEL };
}

export const top = (shape, index) =>
  PAD + Math.floor(index / shape.columns) * (shape.height + GAP);
export const left = (shape, index) => PAD + (index % shape.columns) * (shape.width + GAP);
export const tall = (shape, count) => top(shape, Math.max(0, count - 1)) + shape.height + PAD;

// First item and end of those between two heights, with `spare` more lines at both sides.
export function span(shape, count, y0, y1, spare = 0) {
  const step = shape.height + GAP;
  const first = Math.floor((y0 - PAD) / step) - spare;
  const last = Math.ceil(y1 / step) + spare;
  return [
    Math.max(0, first * shape.columns),
    Math.min(count, Math.max(0, last) * shape.columns),
  ];
}

export const lines = (shape, height) => Math.max(1, Math.floor(height / (shape.height + GAP)));

// Items that a rectangle touches.
export function inside(shape, count, [x0, y0, x1, y1]) {
  const step = shape.height + GAP;
  const first = Math.max(0, Math.floor((y0 - PAD) / step)) * shape.columns;
  const end = Math.min(count, (Math.floor((y1 - PAD) / step) + 1) * shape.columns);
  const found = [];
  for (let i = first; i < end; i += 1) {
    const [x, y] = [left(shape, i), top(shape, i)];
    if (x < x1 && x + shape.width > x0 && y < y1 && y + shape.height > y0) found.push(i);
  }
  return found;
}
