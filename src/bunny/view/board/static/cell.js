// One item of the grid: its picture, words and marks. Cells are used again for other items.

import { clock, icon, make } from "./dom.js";

export function build() {
  const image = make("img", { alt: "", draggable: "false", decoding: "async" });
  const doubt = make("span", { class: "bb-doubt" });
  const badges = make("span", { class: "bb-badges" });
  const words = [make("span"), make("span", { class: "bb-number" })];
  const frame = make("div", { class: "bb-picture" }, image, doubt, badges);
  const line = make("div", { class: "bb-line" }, ...words);
  const cell = make("div", { class: "bb-cell", role: "option", draggable: "true" }, frame, line);
  cell.parts = { image, doubt, badges, words };
  return cell;
}

// What a cell shows; `item` and `url` may not be here yet, `url` is "" where there is no picture.
export function fill(cell, { row, index, total, item, url, name, isChosen, isFocus, isFirst }) {
  const seen = `${row} ${isChosen} ${isFocus} ${isFirst} ${total}`;
  const isSame = cell.seen === seen && cell.url === url && cell.drawn === item;
  if (isSame && cell.dataset.row) return;
  if (cell.dataset.row !== String(row)) cell.drawn = null;
  if (cell.url !== url) show(cell.parts.image, url);
  Object.assign(cell, { seen, url });
  cell.dataset.row = row;
  cell.classList.toggle("is-bare", url === "");
  cell.classList.toggle("is-chosen", isChosen);
  cell.classList.toggle("is-focus", isFocus);
  cell.classList.toggle("is-first", isFirst);
  cell.setAttribute("aria-selected", isChosen);
  cell.setAttribute("aria-posinset", index + 1);
  cell.setAttribute("aria-setsize", total);
  if (item && cell.drawn !== item) tell(cell, item, name(item));
}

function show(image, url) {
  if (url) image.src = url;
  else image.removeAttribute("src");
}

function tell(cell, item, name) {
  const { doubt, badges, words } = cell.parts;
  cell.drawn = item;
  cell.dataset.asset = item.asset;
  const shown = item.perhaps ? `perhaps ${item.perhaps}` : name;
  words[0].textContent = shown;
  words[0].title = item.perhaps ? `${shown} (${name})` : name;
  words[0].classList.toggle("bb-perhaps", Boolean(item.perhaps));
  words[1].textContent = clock(item.time);
  doubt.style.width = `${Math.round(item.doubt * 100)}%`;
  badges.replaceChildren(
    ...[
      item.comments ? icon("comment") : null,
      item.source === "person" && !item.approved ? icon("person") : null,
      item.approved ? icon("check") : null,
    ].filter(Boolean),
  );
  cell.classList.toggle("is-approved", item.approved);
  const said = item.approved ? ", approved" : "";
  const remarks = item.comments ? `, ${item.comments} comments` : "";
  cell.setAttribute(
    "aria-label",
    `${item.perhaps ? `${name}, ${shown}` : name}, at ${clock(item.time)}, doubt ${item.doubt.toFixed(2)}${said}${remarks}`,
  );
  cell.title = [
    `shot ${item.shot} at ${clock(item.time)}`,
    item.who.length ? `with ${item.who.join(", ")}` : "",
    `doubt ${item.doubt.toFixed(2)}${said}`,
  ]
    .filter(Boolean)
    .join("\n");
}
