// Small helpers to make elements and to write numbers.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "text") element.textContent = value;
    else if (key === "class") element.className = value;
    else if (key === "value") element.value = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const ICON = {
  approve: "M3 3h10v10H3zM5.5 8l2 2 3.3-4",
  check: "M3 8.5l3.2 3.2L13 4.8",
  close: "M4 4l8 8M12 4l-8 8",
  undo: "M6 3L3 6l3 3M3 6h6.5a3.5 3.5 0 010 7H7",
  redo: "M10 3l3 3-3 3M13 6H6.5a3.5 3.5 0 000 7H9",
  help: "M5.8 6a2.2 2.2 0 114 1.3c-.8.8-1.8 1-1.8 2.2M8 12.4v.1",
  pencil: "M3 13l.7-3L10.5 3.2l2.3 2.3L6 12.3 3 13z",
  comment: "M3 3.5h10v7H7.5L5 13v-2.5H3z",
  folder: "M2 4.5h4l1.5 1.5H14v6.5H2z",
  plus: "M8 3v10M3 8h10",
  alike: "M6 3a3 3 0 100 6 3 3 0 000-6zM10 7a3 3 0 100 6 3 3 0 000-6z",
  person: "M8 8a2.5 2.5 0 100-5 2.5 2.5 0 000 5zM3 13.5c.6-2.6 2.6-3.8 5-3.8s4.4 1.2 5 3.8",
  chevron: "M6 4l4 4-4 4",
  text: "M3 4h10M3 8h10M3 12h6",
  merge: "M3 3c0 5 5 3 5 8v2M13 3c0 5-5 3-5 8",
};

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "bb-icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICON[name]);
  svg.append(path);
  return svg;
}

export function button(name, label, onclick, { words = false, key = "", extra = "" } = {}) {
  const title = key ? `${label} (${key})` : label;
  return make(
    "button",
    { type: "button", class: `bb-button ${extra}`, title, "aria-label": label, onclick },
    icon(name),
    words ? make("span", { text: label }) : null,
  );
}

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (value) => String(value).padStart(2, "0");
  const minutes = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${minutes}` : minutes;
}

export const count = (number) => number.toLocaleString("en").replaceAll(",", "\u202f");
export const some = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;
export const share = (value) => `${Math.floor(value * 100 + 1e-6)} %`;
export const label = (folder) => folder.name || folder.id || "Noise";
