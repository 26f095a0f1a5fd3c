// The grid: thousands of items of which only those on the screen are in the page.

import { stretch } from "./band.js";
import { build, fill } from "./cell.js";
import { make } from "./dom.js";
import { inside, lay, left, lines, PAD, span, tall, top } from "./layout.js";

const SPARE_ROWS = 3; // above and below what is seen
const FAST = 6; // screens a second: nobody sees a picture, none is asked for until it is slower
const CALM_MS = 60;

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
  let shape = { aspect: 16 / 9, least: 150, ...lay(1000, { aspect: 16 / 9, least: 150 }) };
  const cells = new Map(); // index -> element
  const free = [];
  const chosen = new Set(); // rows
  let focus = -1;
  let anchor = -1;
  let isDue = false;
  let isAsked = false; // whether it is in the order of questions
  let drawn = [0, 0]; // first and end of what was drawn last

  // ---- drawing

  function measure() {
    const inner = element.clientWidth - 2 * PAD;
    if (inner <= 0) return;
    shape = { ...shape, ...lay(inner, shape) };
    sizer.style.height = `${tall(shape, order.length)}px`;
    sizer.style.setProperty("--bb-wide", `${shape.width}px`);
    sizer.style.setProperty("--bb-high", `${shape.height}px`);
    sizer.style.setProperty("--bb-picture", `${shape.picture}px`);
    for (const cell of cells.values()) position(cell, Number(cell.dataset.index));
  }

  function position(cell, index) {
    cell.style.left = `${left(shape, index)}px`;
    cell.style.top = `${top(shape, index)}px`;
  }

  function later() {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      draw();
    });
  }

  // First and end of what is to be in the page, at which height, and how much of it is seen.
  function shown() {
    const [y, height] = [element.scrollTop, element.clientHeight];
    return [...span(shape, order.length, y, y + height, SPARE_ROWS), y, height];
  }

  // Most frames of a scroll show the same cells a little higher: there is nothing to draw.
  function scrolled() {
    const [first, end] = shown();
    if (first !== drawn[0] || end !== drawn[1]) later();
  }

  function draw() {
    const [first, end, y, height] = shown();
    drawn = [first, end];
    for (const [index, cell] of cells) {
      if (index < first || index >= end) {
        cells.delete(index);
        free.push(cell);
      }
    }
    for (let index = first; index < end; index += 1) {
      const row = order[index];
      fill(cells.get(index) ?? put(index), {
        row,
        index,
        total: order.length,
        item: shelf.item(row),
        url: shelf.picture(row),
        name,
        isChosen: chosen.has(row),
        isFocus: index === focus,
        isFirst: isAsked && begins(index),
      });
    }
    for (const cell of free) cell.hidden = true;
    empty.hidden = order.length > 0;
    element.setAttribute("aria-activedescendant", focus >= 0 ? `${prefix}-${focus}` : "");
    if (isCalm(y, height)) want(first, end);
  }

  // Whether another question begins here than the one before; what is not loaded yet begins none.
  function begins(index) {
    const [before, here] = [shelf.item(order[index - 1]), shelf.item(order[index])];
    return Boolean(before && here && before.question !== here.question);
  }

  function put(index) {
    let cell = free.pop();
    if (!cell) {
      cell = build();
      sizer.append(cell);
    }
    cell.hidden = false;
    cells.set(index, cell);
    cell.dataset.index = index;
    cell.dataset.row = "";
    cell.id = `${prefix}-${index}`;
    position(cell, index);
    return cell;
  }

  // Ask for what is seen before what lies beyond the edges.
  function want(first, end) {
    const middle = (first + end) / 2;
    const near = Array.from(order.subarray(first, end), (row, i) => [
      Math.abs(first + i - middle),
      row,
    ]);
    shelf.want(near.sort((a, b) => a[0] - b[0]).map(([, row]) => row));
  }

  let last = { y: 0, time: 0 };
  let calming = 0;

  // Whether it is scrolled slowly enough to look at pictures; if not, it is drawn again in a moment.
  function isCalm(y, height) {
    const time = performance.now();
    const screens = Math.abs(y - last.y) / Math.max(1, height);
    const speed = (1000 * screens) / Math.max(1, time - last.time);
    last = { y, time };
    clearTimeout(calming);
    if (speed > FAST && screens > 0) calming = setTimeout(later, CALM_MS);
    return speed <= FAST;
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
    const y = top(shape, index);
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
    const page = lines(shape, element.clientHeight);
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

  // The cell under the mouse; its padding is a gap between cells.
  const cellOf = (event) => event.target.closest?.(".bb-picture, .bb-line")?.parentElement;
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
    const cell = event.target.closest?.(".bb-cell");
    if (!cell) return;
    pressed = false;
    if (!chosen.has(Number(cell.dataset.row))) choose([Number(cell.dataset.index)]);
    onDrag(event, [...chosen], cell.parts.image);
  });

  function rubber(event) {
    const x = event.clientX - element.getBoundingClientRect().left;
    if (x > element.clientWidth) return; // the scroll bar
    const before = event.ctrlKey || event.metaKey ? [...chosen] : [];
    if (!before.length) choose([]);
    stretch(event, element, sizer, (box) => {
      chosen.clear();
      before.forEach((row) => chosen.add(row));
      for (const index of inside(shape, order.length, box)) chosen.add(order[index]);
      changed();
    });
  }

  element.addEventListener("scroll", scrolled, { passive: true });
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
    show(next, { isFresh = false, aspect = shape.aspect, least = shape.least, byDoubt = false }) {
      isAsked = byDoubt;
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
