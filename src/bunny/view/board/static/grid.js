// The grid: thousands of items of which only those on the screen are in the page.

import { clock, icon, make } from "./dom.js";

const GAP = 12;
const PAD = 14;
const LABEL = 24;
const SPARE_ROWS = 3; // above and below what is seen
const TONES = ["machine", "learned", "person"];

export function grid(shelf, { onSelect, onOpen, onDrag, name }) {
  const sizer = make("div", { class: "bb-sizer" });
  const empty = make("div", { class: "bb-empty" });
  const element = make(
    "div",
    {
      class: "bb-grid",
      role: "listbox",
      tabindex: "0",
      "aria-multiselectable": "true",
      "aria-label": "Items",
    },
    sizer,
    empty,
  );
  const prefix = `bb-${Math.random().toString(36).slice(2, 8)}`;
  let order = new Int32Array(0);
  let place = new Map(); // row -> index; made when it is needed
  let shape = { columns: 1, width: 160, height: 120, picture: 90, aspect: 16 / 9, least: 150 };
  const cells = new Map(); // index -> element
  const free = [];
  const chosen = new Set(); // rows
  let focus = -1;
  let anchor = -1;
  let isDue = false;

  // ---- layout

  function measure() {
    const inner = element.clientWidth - 2 * PAD;
    if (inner <= 0) return;
    const columns = Math.max(1, Math.floor((inner + GAP) / (shape.least + GAP)));
    const width = Math.floor((inner - (columns - 1) * GAP) / columns);
    const picture = Math.round(width / shape.aspect);
    shape = { ...shape, columns, width, picture, height: picture + LABEL };
    sizer.style.height = `${top(Math.max(0, order.length - 1)) + shape.height + PAD}px`;
    for (const cell of cells.values()) position(cell, Number(cell.dataset.index));
  }

  const top = (index) => PAD + Math.floor(index / shape.columns) * (shape.height + GAP);
  const left = (index) => PAD + (index % shape.columns) * (shape.width + GAP);

  function position(cell, index) {
    cell.style.transform = `translate(${left(index)}px, ${top(index)}px)`;
    cell.style.width = `${shape.width}px`;
    cell.style.height = `${shape.height}px`;
    cell.firstChild.style.height = `${shape.picture}px`;
  }

  function span() {
    const step = shape.height + GAP;
    const first = Math.floor((element.scrollTop - PAD) / step) - SPARE_ROWS;
    const last = Math.ceil((element.scrollTop + element.clientHeight) / step) + SPARE_ROWS;
    return [
      Math.max(0, first * shape.columns),
      Math.min(order.length, Math.max(0, last) * shape.columns),
    ];
  }

  // ---- drawing

  function later() {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      draw();
    });
  }

  function draw() {
    const [first, end] = span();
    for (const [index, cell] of cells) {
      if (index < first || index >= end) {
        cells.delete(index);
        free.push(cell);
        cell.hidden = true;
      }
    }
    const rows = [];
    for (let index = first; index < end; index += 1) {
      let cell = cells.get(index);
      if (!cell) {
        cell = free.pop() ?? build();
        cell.hidden = false;
        cells.set(index, cell);
        cell.dataset.index = index;
        cell.id = `${prefix}-${index}`;
        position(cell, index);
        cell.dataset.row = "";
      }
      fill(cell, index);
      rows.push(order[index]);
    }
    empty.hidden = order.length > 0;
    element.setAttribute("aria-activedescendant", focus >= 0 ? `${prefix}-${focus}` : "");
    const middle = (first + end) / 2; // what is seen before what lies beyond the edges
    const near = rows.map((row, i) => [Math.abs(first + i - middle), row]);
    shelf.want(near.sort((a, b) => a[0] - b[0]).map(([, row]) => row));
  }

  function build() {
    const cell = make(
      "div",
      { class: "bb-cell", role: "option", draggable: "true" },
      make(
        "div",
        { class: "bb-picture" },
        make("img", { alt: "", draggable: "false" }),
        make("span", { class: "bb-doubt" }),
        make("span", { class: "bb-badges" }),
      ),
      make("div", { class: "bb-line" }, make("span"), make("span", { class: "bb-number" })),
    );
    cell.parts = {
      image: cell.querySelector("img"),
      doubt: cell.querySelector(".bb-doubt"),
      badges: cell.querySelector(".bb-badges"),
      words: cell.querySelectorAll(".bb-line span"),
    };
    sizer.append(cell);
    return cell;
  }

  function fill(cell, index) {
    const row = order[index];
    const item = shelf.item(row);
    const url = shelf.picture(row);
    const { image, doubt, badges, words } = cell.parts;
    const isChosen = chosen.has(row);
    const seen = `${row} ${url} ${isChosen} ${index === focus} ${order.length}`;
    if (cell.seen === seen && cell.drawn === item && cell.dataset.row) return;
    cell.seen = seen;
    if (cell.dataset.row !== String(row)) {
      image.removeAttribute("src");
      cell.dataset.row = row;
      cell.drawn = null;
    }
    if (url && image.getAttribute("src") !== url) image.src = url;
    cell.classList.toggle("is-bare", url === "");
    cell.classList.toggle("is-chosen", isChosen);
    cell.classList.toggle("is-focus", index === focus);
    cell.setAttribute("aria-selected", isChosen);
    cell.setAttribute("aria-posinset", index + 1);
    cell.setAttribute("aria-setsize", order.length);
    if (!item || cell.drawn === item) return;
    cell.drawn = item;
    cell.dataset.asset = item.asset;
    words[0].textContent = name(item);
    words[0].title = name(item);
    words[1].textContent = clock(item.time);
    doubt.style.width = `${Math.round(item.doubt * 100)}%`;
    badges.replaceChildren(
      ...[
        item.comments ? icon("comment") : null,
        item.source === TONES[2] && !item.approved ? icon("person") : null,
        item.approved ? icon("check") : null,
      ].filter(Boolean),
    );
    cell.classList.toggle("is-approved", item.approved);
    const said = item.approved ? ", approved" : "";
    const remarks = item.comments ? `, ${item.comments} comments` : "";
    cell.setAttribute(
      "aria-label",
      `${name(item)}, at ${clock(item.time)}, doubt ${item.doubt.toFixed(2)}${said}${remarks}`,
    );
    cell.title = [
      `shot ${item.shot} at ${clock(item.time)}`,
      item.who.length ? `with ${item.who.join(", ")}` : "",
      `doubt ${item.doubt.toFixed(2)}${said}`,
    ]
      .filter(Boolean)
      .join("\n");
  }

  // ---- selection

  function indexOf(row) {
    if (!place.size) order.forEach((value, index) => place.set(value, index));
    return place.get(row) ?? -1;
  }

  function changed() {
    later();
    onSelect([...chosen]);
  }

  function choose(indices, isAdded = false) {
    if (!isAdded) chosen.clear();
    for (const index of indices) if (index in order) chosen.add(order[index]);
    changed();
  }

  const range = (a, b) =>
    Array.from({ length: Math.abs(a - b) + 1 }, (_, i) => Math.min(a, b) + i);

  function click(index, event) {
    focus = index;
    if (event.shiftKey && anchor >= 0) return choose(range(anchor, index), event.ctrlKey);
    anchor = index;
    if (!(event.ctrlKey || event.metaKey)) return choose([index]);
    toggle(index);
  }

  function toggle(index) {
    const row = order[index];
    if (!chosen.delete(row)) chosen.add(row);
    changed();
  }

  function reveal(index) {
    const y = top(index);
    if (y < element.scrollTop + PAD) element.scrollTop = y - PAD;
    const low = y + shape.height + PAD - element.clientHeight;
    if (low > element.scrollTop) element.scrollTop = low;
  }

  function move(to, event) {
    if (!order.length) return;
    focus = Math.min(order.length - 1, Math.max(0, to));
    if (event.shiftKey && anchor >= 0) choose(range(anchor, focus));
    else if (event.ctrlKey || event.metaKey) later();
    else {
      anchor = focus;
      choose([focus]);
    }
    reveal(focus);
  }

  function key(event) {
    const page = Math.max(1, Math.floor(element.clientHeight / (shape.height + GAP)));
    const steps = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: shape.columns,
      ArrowUp: -shape.columns,
      PageDown: page * shape.columns,
      PageUp: -page * shape.columns,
    };
    if (event.altKey) return false;
    if (event.key in steps) move(focus < 0 ? 0 : focus + steps[event.key], event);
    else if (event.key === "Home") move(0, event);
    else if (event.key === "End") move(order.length - 1, event);
    else if (event.key === " " && focus >= 0) toggle(focus);
    else if (event.key === "Enter" && focus >= 0) onOpen(order[focus]);
    else if (event.key === "Escape" && chosen.size) choose([]);
    else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey))
      choose(order.keys());
    else return false;
    return true;
  }

  // ---- mouse

  const cellOf = (event) => event.target.closest?.(".bb-cell");
  let pressed = false; // a chosen cell was pressed: what happens is known when it is released

  element.addEventListener("mousedown", (event) => {
    if (event.button !== 0) return;
    const cell = cellOf(event);
    element.focus({ preventScroll: true });
    pressed = false;
    if (!cell) return rubber(event);
    const index = Number(cell.dataset.index);
    const isPlain = !(event.ctrlKey || event.metaKey || event.shiftKey);
    if (isPlain && chosen.has(order[index])) pressed = true;
    else click(index, event);
  });
  element.addEventListener("click", (event) => {
    const cell = cellOf(event);
    if (cell && pressed) click(Number(cell.dataset.index), event);
    pressed = false;
  });
  element.addEventListener("dblclick", (event) => {
    const cell = cellOf(event);
    if (cell) onOpen(order[Number(cell.dataset.index)]);
  });
  element.addEventListener("dragstart", (event) => {
    const cell = cellOf(event);
    if (!cell) return;
    pressed = false;
    if (!chosen.has(Number(cell.dataset.row))) choose([Number(cell.dataset.index)]);
    onDrag(event, [...chosen], cell.parts.image);
  });

  function rubber(event) {
    const box = element.getBoundingClientRect();
    if (event.clientX - box.left > element.clientWidth) return; // the scroll bar
    const at = (e) => [
      e.clientX - box.left + element.scrollLeft,
      e.clientY - box.top + element.scrollTop,
    ];
    const start = at(event);
    const before = event.ctrlKey || event.metaKey ? [...chosen] : [];
    const band = make("div", { class: "bb-band" });
    sizer.append(band);
    const drag = (e) => {
      const now = at(e);
      const [x0, x1] = [Math.min(start[0], now[0]), Math.max(start[0], now[0])];
      const [y0, y1] = [Math.min(start[1], now[1]), Math.max(start[1], now[1])];
      Object.assign(band.style, {
        left: `${x0}px`,
        top: `${y0}px`,
        width: `${x1 - x0}px`,
        height: `${y1 - y0}px`,
      });
      if (e.clientY > box.bottom - 24) element.scrollTop += 18;
      if (e.clientY < box.top + 24) element.scrollTop -= 18;
      chosen.clear();
      before.forEach((row) => chosen.add(row));
      const step = shape.height + GAP;
      const first = Math.max(0, Math.floor((y0 - PAD) / step)) * shape.columns;
      const end = Math.min(order.length, (Math.floor((y1 - PAD) / step) + 1) * shape.columns);
      for (let i = first; i < end; i += 1) {
        const [x, y] = [left(i), top(i)];
        if (x < x1 && x + shape.width > x0 && y < y1 && y + shape.height > y0)
          chosen.add(order[i]);
      }
      changed();
    };
    const done = () => {
      band.remove();
      window.removeEventListener("mousemove", drag);
      window.removeEventListener("mouseup", done);
    };
    if (!before.length) choose([]);
    window.addEventListener("mousemove", drag);
    window.addEventListener("mouseup", done);
    event.preventDefault();
  }

  element.addEventListener("scroll", later, { passive: true });
  const watcher = new ResizeObserver(() => {
    measure();
    later();
  });
  watcher.observe(element);

  return {
    element,
    key,
    chosen: () => [...chosen],
    choose,
    order: () => order,
    focused: () => (focus >= 0 ? order[focus] : undefined),
    say: (text) => {
      empty.textContent = text;
    },
    redraw: later,
    // New order; the place and what is chosen are kept where they still exist.
    show(next, { isFresh = false, aspect = shape.aspect, least = shape.least } = {}) {
      const held = focus >= 0 ? order[focus] : undefined;
      order = next;
      place = new Map();
      shape = { ...shape, aspect, least };
      for (const cell of cells.values()) cell.dataset.row = "";
      if (isFresh) {
        chosen.clear();
        focus = -1;
        anchor = -1;
        element.scrollTop = 0;
      } else {
        for (const row of chosen) if (indexOf(row) < 0) chosen.delete(row);
        const found = held === undefined ? -1 : indexOf(held);
        if (held !== undefined) focus = found >= 0 ? found : Math.min(focus, order.length - 1);
        anchor = focus;
      }
      measure();
      draw();
      onSelect([...chosen]);
    },
    close: () => watcher.disconnect(),
  };
}
