// The board: folders, grid, tools and keys over the desk in Python; see `desk.py`.

import { connect } from "./api.js";
import { overlay } from "./dialog.js";
import { button, count, icon, label, make, some } from "./dom.js";
import { ALL, NOISE, tree } from "./folder.js";
import { grid } from "./grid.js";
import { shelf as makeShelf } from "./picture.js";

const POLL_MS = 1000;
const HIDDEN_POLL_MS = 5000;
const MAX_UPLOAD = 20 * 1024 * 1024;
const STATUS = {
  all: "All",
  open: "Not approved",
  approved: "Approved",
  moved: "Moved by people",
  commented: "Commented",
  rejected: "Rejected somewhere",
};
const SORT = { doubt: "Doubtful first", film: "Film order", size: "Largest first", name: "By cluster" };
const LEVEL = { scene: "Scenes", character: "Characters" };
const KEYS = [
  ["Choose", [
    ["\u2190 / \u2191 / \u2192 / \u2193", "go from item to item; with Shift more of them"],
    ["Space", "take in or leave out"],
    ["Ctrl A / Esc", "all, none"],
    ["Enter", "what is known of it"],
    ["[ / ]", "folder before, after"],
    ["F / G", "go to the folders, to the grid"],
    ["\u2190 / \u2192", "in the folders: close, open who is there"],
  ]],
  ["Correct", [
    ["M", "move to a folder\u2026"],
    ["A", "approve"],
    ["X / Del", "reject: not in this cluster"],
    ["N", "new cluster of the chosen"],
    ["L", "look-alikes\u2026, with a preview"],
    ["C", "comment"],
    ["E", "caption of a shot"],
    ["R / F2", "rename the folder"],
    ["J", "join the folder with another\u2026"],
    ["Ctrl Z / Ctrl Y", "undo, redo: yours only"],
  ]],
  ["Look", [
    ["V", "scenes or characters"],
    ["S", "next order"],
    ["/", "search"],
    ["?", "this help"],
  ]],
];

function render({ model, el }) {
  const isAlone = model.get("is_alone");
  const root = make("div", {
    class: `bb${isAlone ? " is-alone" : ""}`,
    "data-lm-suppress-shortcuts": "true",
  });
  el.append(root);
  const kept = (key, value) => {
    try {
      if (value === undefined) return localStorage.getItem(`bunny-board-${key}`);
      localStorage.setItem(`bunny-board-${key}`, value);
    } catch {
      return null; // storage is forbidden: names last as long as the page
    }
    return value;
  };

  const api = connect(model, (isSilent) => root.classList.toggle("is-silent", isSilent));
  const shelf = makeShelf(api, (rows) => {
    cells.redraw();
    folders.arrived(rows);
  });
  const now = {
    level: "scene",
    cluster: ALL,
    who: null,
    title: "Everything",
    search: "",
    status: "all",
    sort: "doubt",
  };
  let film = { aspect: 16 / 9, levels: ["scene"] };
  let user = kept("user") || "";
  let seen = 0;
  let dragged = null;
  let asked = 0; // queries that are not answered yet
  let isNew = false; // one of them shows something else
  let isClosed = false;

  // ---- parts

  const over = overlay(root);
  const cells = grid(shelf, {
    onSelect: (rows) => showChosen(rows.length),
    onOpen: (row) => details(row),
    onDrag: (event, rows, image) => {
      dragged = { rows };
      drag(event, some(rows.length, thing()), image);
    },
    name: (item) =>
      now.cluster === ALL || now.cluster === NOISE
        ? item.name || item.cluster || (item.guess ? `${item.guess}?` : "noise")
        : [`shot ${item.shot}`, ...(now.level === "scene" ? item.who : [])].join(" \u00b7 "),
  });
  const folders = tree(shelf, {
    onOpen: (to) => open(to),
    onRename: (id, text) => act("rename", { cluster: id, text }),
    onDrag: (event, id, image) => {
      dragged = { cluster: id };
      drag(event, `merge ${label(folders.folderOf(id))} into\u2026`, image);
    },
    onDrop: (event, id) => drop(event, id),
  });

  const levels = make("div", { class: "bb-switch", role: "radiogroup", "aria-label": "View" });
  const search = make("input", {
    class: "bb-input bb-search",
    type: "search",
    placeholder: "Search names, clusters, shot 12",
    "aria-label": "Search",
  });
  const status = choice("Show", STATUS, (value) => ask({ status: value }));
  const sort = choice("Order", SORT, (value) => ask({ sort: value }));
  const undo = button("undo", "Undo", () => again("undo"), { key: "Ctrl Z" });
  const redo = button("redo", "Redo", () => again("redo"), { key: "Ctrl Y" });
  const who = make("button", {
    type: "button",
    class: "bb-user",
    title: "Your name in the record of corrections",
    onclick: () => askName(),
  });
  const bar = make(
    "div",
    { class: "bb-bar-top", role: "toolbar", "aria-label": "Board" },
    levels,
    search,
    status,
    sort,
    make("span", { class: "bb-gap" }),
    undo,
    redo,
    who,
    button("help", "Keys", () => over.help(KEYS), { key: "?" }),
  );

  const title = make("h2", { class: "bb-title" });
  const total = make("span", { class: "bb-small bb-number" });
  const rename = button("pencil", "Rename", () => folders.rename(now.cluster), { key: "R" });
  const merge = button("merge", "Join with another", () => join(), { key: "J" });
  const all = button("check", "Approve all", () => approveAll(), { words: true });
  const head = make("div", { class: "bb-head" }, title, rename, merge, total, make("span", { class: "bb-gap" }), all);

  const number = make("span", { class: "bb-count" });
  const tools = make(
    "div",
    { class: "bb-tools", role: "toolbar", "aria-label": "Chosen items" },
    number,
    button("folder", "Move", () => move(), { words: true, key: "M" }),
    button("plus", "New cluster", () => split(), { words: true, key: "N" }),
    button("check", "Approve", () => act("approve"), { words: true, key: "A" }),
    button("close", "Reject", () => act("reject"), { words: true, key: "X" }),
    button("alike", "Look-alikes", () => alike(), { words: true, key: "L" }),
    button("comment", "Comment", () => comment(), { words: true, key: "C" }),
    button("text", "Caption", () => caption(), { words: true, key: "E", extra: "bb-caption" }),
  );
  const lost = make("div", {
    class: "bb-silent",
    role: "alert",
    text: "The kernel does not answer; nothing is lost, it goes on when it does.",
  });
  const main = make("main", { class: "bb-main" }, head, cells.element, tools);
  root.append(bar, folders.element, main, lost);
  const badge = make("div", { class: "bb-badge" });
  root.append(badge);

  function choice(name, values, onchange) {
    const select = make("select", { class: "bb-input", "aria-label": name });
    for (const [value, text] of Object.entries(values))
      select.append(make("option", { value, text }));
    select.addEventListener("change", () => onchange(select.value));
    return select;
  }

  const thing = () => (now.level === "scene" ? "shot" : "figure");

  // ---- what is shown

  const query = () => {
    const { level, cluster, who: there, search: words, status: which, sort: by } = now;
    return { level, cluster, who: there, search: words, status: which, sort: by };
  };

  // Only the answer to the last query is shown: a click may overtake an answer on its way, and
  // what is chosen and the title above it must be of one query.
  async function ask(change, isFresh = true) {
    Object.assign(now, change);
    asked += 1;
    isNew ||= isFresh;
    const answer = await tell("query", { query: query() });
    asked -= 1;
    if (asked || !answer) return;
    const wasNew = isNew;
    isNew = false;
    take(answer, wasNew);
  }

  const open = (to) => ask({ cluster: to.cluster, who: to.who, title: to.title });

  function take(answer, isFresh = false) {
    if (answer.is_closed) return begin();
    seen = answer.seen ?? seen;
    if (answer.is_stale) shelf.forget();
    if (answer.items) shelf.put(answer.items);
    if (answer.folders && !asked) {
      const isGone = now.cluster && !answer.folders.some((f) => f.id === now.cluster);
      folders.show(answer.folders, now);
      if (isGone && !isFresh) return open({ cluster: ALL, who: null, title: "Everything" });
    }
    if (answer.has_order && !asked) {
      const order = new Int32Array(answer.buffers[0].buffer.slice(
        answer.buffers[0].byteOffset,
        answer.buffers[0].byteOffset + answer.buffers[0].byteLength,
      ));
      const isScene = now.level === "scene";
      cells.show(order, {
        isFresh,
        aspect: isScene ? film.aspect : 1,
        least: isScene ? 160 : 116,
      });
      if (!order.length) cells.say(nothing());
    } else cells.redraw();
    if ("undo" in answer) {
      for (const [one, text, word] of [[undo, answer.undo, "Undo"], [redo, answer.redo, "Redo"]]) {
        one.disabled = !text;
        one.title = text ? `${word}: ${text}` : `Nothing to ${word.toLowerCase()}`;
      }
    }
    for (const news of answer.news ?? [])
      over.toast(news.text, { isBad: news.is_conflict, seconds: news.is_conflict ? 12 : 5 });
    if (!asked) showHead();
  }

  function nothing() {
    if (now.search || now.status !== "all") return "Nothing like that here.";
    return now.cluster === NOISE ? "The noise bucket is empty." : "Nothing here.";
  }

  function showHead() {
    const folder = now.cluster === ALL ? null : folders.folderOf(now.cluster);
    const name = now.cluster === ALL ? "Everything" : folder ? label(folder) : now.title;
    const part = now.who ? ` \u203a ${now.who.length ? `with ${now.who.join(", ")}` : "nobody known"}` : "";
    title.textContent = name + part;
    total.textContent = some(cells.order().length, thing());
    const isCluster = Boolean(now.cluster);
    for (const one of [rename, merge, all]) one.hidden = !isCluster;
  }

  function showChosen(length) {
    number.textContent = `${count(length)} chosen`;
    root.classList.toggle("has-chosen", length > 0);
  }

  function showLevels() {
    levels.replaceChildren(
      ...film.levels.map((level) =>
        make("button", {
          type: "button",
          role: "radio",
          "aria-checked": String(level === now.level),
          text: LEVEL[level],
          onclick: () => toLevel(level),
        }),
      ),
    );
    root.dataset.level = now.level;
  }

  function toLevel(level) {
    if (level === now.level || !film.levels.includes(level)) return;
    now.level = level;
    showLevels();
    ask({ cluster: ALL, who: null, title: "Everything" });
  }

  // ---- talking to the desk

  async function tell(kind, values = {}, buffers = []) {
    try {
      const answer = await api.ask(kind, { ...values, user, seen }, buffers);
      if (!answer.is_closed) return answer;
      over.toast("The film was run again; please repeat that.");
      begin();
    } catch (error) {
      over.toast(error.message, { isBad: true, seconds: 10 });
    }
    return null;
  }

  async function act(action, values = {}) {
    const rows = values.rows ?? cells.chosen();
    const hasItems = !["rename", "merge"].includes(action);
    if (hasItems && !rows.length) return over.toast("Choose some items first.");
    if (!user && !(await askName())) return;
    const answer = await tell("act", { level: now.level, rows, ...values, action });
    if (!answer) return;
    take(answer);
    if (answer.done) over.toast(answer.done, { seconds: 3 });
    return answer;
  }

  async function again(kind) {
    const answer = await tell(kind);
    if (!answer) return;
    take(answer);
    if (answer.done) over.toast(answer.done, { seconds: 3 });
  }

  async function poll() {
    while (!isClosed) {
      await new Promise((r) => setTimeout(r, document.hidden ? HIDDEN_POLL_MS : POLL_MS));
      if (isClosed) return;
      try {
        const answer = await api.ask("poll", { user, seen });
        if (answer.seen !== seen || answer.folders || answer.is_closed) take(answer);
      } catch (error) {
        console.warn("board: poll:", error.message);
      }
    }
  }

  // ---- actions

  async function askName() {
    const name = await over.ask("Your name", { value: user, about: [
      make("p", { class: "bb-small", text: "It stands beside each correction, so that others know whom to ask." }),
    ] });
    if (name) {
      user = kept("user", name) || name;
      who.replaceChildren(icon("person"), make("span", { text: user }));
      ask({}, false);
    }
    return Boolean(name);
  }

  async function move() {
    const rows = cells.chosen();
    if (!rows.length) return over.toast("Choose some items first.");
    const to = await over.pick(`Move ${some(rows.length, thing())} to`, folders.all());
    cells.element.focus({ preventScroll: true });
    if (to === undefined) return;
    if (to?.name) return act("split", { rows, text: to.name });
    return to === NOISE ? act("reject", { rows }) : act("assign", { rows, cluster: to });
  }

  async function split(rows = cells.chosen()) {
    if (!rows.length) return over.toast("Choose some items first.");
    const name = await over.ask(`New cluster of ${some(rows.length, thing())}`, {
      action: "Make it",
      about: [make("p", { class: "bb-small", text: "A name; empty gives it a number." })],
    });
    cells.element.focus({ preventScroll: true });
    if (name !== undefined) act("split", { rows, text: name });
  }

  async function join() {
    if (!now.cluster) return over.toast("Open a folder first.");
    const rest = folders.all().filter((one) => one.id && one.id !== now.cluster);
    const to = await over.pick(`Join \u201c${title.textContent}\u201d with`, rest, { hasNew: false });
    if (to) mergeInto(now.cluster, to);
  }

  async function mergeInto(gone, stays) {
    const answer = await act("merge", { cluster: stays, other: gone, rows: [] });
    if (answer && now.cluster === gone) folders.show(folders.all(), now);
  }

  function approveAll() {
    return act("approve", { rows: [...cells.order()] });
  }

  async function comment(rows = cells.chosen()) {
    if (!rows.length) return over.toast("Choose some items first.");
    const known = await tell("detail", { row: rows[0] });
    if (!known) return;
    const about = known.comments.map((one) =>
      make("p", { class: "bb-said" }, make("b", { text: one.user }), ` ${one.text}`),
    );
    const text = await over.ask(`Comment on ${some(rows.length, thing())}`, { isLong: true, about });
    cells.element.focus({ preventScroll: true });
    if (text) act("comment", { rows, text });
  }

  async function caption(rows = cells.chosen()) {
    if (now.level !== "scene") return over.toast("Captions belong to shots: see Scenes.");
    if (!rows.length) return over.toast("Choose a shot first.");
    const known = await tell("detail", { row: rows[0] });
    if (!known) return;
    const text = await over.ask(`Caption of ${some(rows.length, thing())}`, {
      isLong: true,
      value: known.caption,
    });
    cells.element.focus({ preventScroll: true });
    if (text && text !== known.caption) act("caption", { rows, text });
  }

  async function alike() {
    const rows = cells.chosen();
    if (!rows.length) return over.toast("Choose some items first.");
    const answer = await tell("preview", { rows });
    if (!answer) return;
    if (!answer.found.length) return over.toast("Nothing else looks like that.");
    const urls = answer.found.map((one, i) => {
      const data = answer.buffers[i];
      return data?.byteLength ? URL.createObjectURL(new Blob([data], { type: "image/jpeg" })) : "";
    });
    const found = answer.found.map((one, i) => ({ ...one, url: urls[i] }));
    const chosen = await over.preview({
      found,
      folders: folders.all(),
      cluster: answer.cluster,
      least: answer.threshold,
      thing: thing(),
    });
    urls.forEach((url) => url && URL.revokeObjectURL(url));
    cells.element.focus({ preventScroll: true });
    if (chosen) act("propagate", chosen);
  }

  async function details(row) {
    const known = await tell("detail", { row });
    if (!known) return;
    await over.open(`Shot ${known.shot}`, (body) => {
      const list = make("div", { class: "bb-facts" });
      for (const [key, text] of known.facts)
        list.append(make("span", { text: key }), make("span", { text }));
      const url = shelf.picture(row);
      body.append(url ? make("img", { src: url, alt: "" }) : "", list);
      for (const one of known.comments)
        body.append(make("p", { class: "bb-said" }, make("b", { text: one.user }), ` ${one.text}`));
    });
    cells.element.focus({ preventScroll: true });
  }

  // ---- dragging

  function drag(event, text, image) {
    badge.replaceChildren(make("span", { text }));
    if (image?.tagName === "IMG" && image.src) badge.prepend(image.cloneNode());
    event.dataTransfer.setData("text/plain", text);
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setDragImage(badge, -8, -8);
    root.classList.add("is-dragging");
  }
  root.addEventListener("dragend", () => {
    dragged = null;
    root.classList.remove("is-dragging");
  });

  function drop(event, id) {
    const what = dragged;
    dragged = null;
    root.classList.remove("is-dragging");
    if (event.dataTransfer.files.length) return upload([...event.dataTransfer.files], id);
    if (!what) return;
    if (what.cluster !== undefined) {
      if (id && id !== what.cluster) mergeInto(what.cluster, id);
      return;
    }
    if (id === undefined) return split(what.rows);
    if (id === NOISE) return act("reject", { rows: what.rows });
    return act("assign", { rows: what.rows, cluster: id });
  }

  async function upload(files, id) {
    if (now.level !== "character" || !id)
      return over.toast("Pictures from disk are references: drop them on a character.");
    const large = files.find((file) => file.size > MAX_UPLOAD);
    if (large) return over.toast(`${large.name}: expected at most 20 MB.`, { isBad: true });
    const buffers = await Promise.all(files.map((file) => file.arrayBuffer()));
    const names = files.map((file) => file.name);
    const answer = await tell("upload", { cluster: id, names }, buffers);
    if (answer) over.toast(answer.done, { seconds: 8 });
  }

  // ---- keys

  const KEY = {
    m: move,
    a: () => act("approve"),
    x: () => act("reject"),
    delete: () => act("reject"),
    backspace: () => act("reject"),
    n: () => split(),
    l: alike,
    c: () => comment(),
    e: () => caption(),
    r: () => now.cluster && folders.rename(now.cluster),
    f2: () => now.cluster && folders.rename(now.cluster),
    j: join,
    v: () => toLevel(film.levels.find((level) => level !== now.level)),
    s: () => {
      const all = Object.keys(SORT);
      sort.value = all[(all.indexOf(now.sort) + 1) % all.length];
      ask({ sort: sort.value });
    },
    f: () => folders.list.focus(),
    g: () => cells.element.focus(),
    "/": () => search.focus(),
    "?": () => over.help(KEYS),
    "[": () => folders.step(-1),
    "]": () => folders.step(1),
  };

  root.addEventListener("keydown", (event) => {
    event.stopPropagation(); // the notebook has keys of its own
    const isTyping = event.target.matches("input, textarea, select");
    const isHeld = event.ctrlKey || event.metaKey;
    if (event.target === search && event.key === "Escape") cells.element.focus();
    if (isTyping || event.target.closest("dialog")) return;
    const name = event.key.toLowerCase();
    let isDone = true;
    if (isHeld && name === "z") again(event.shiftKey ? "redo" : "undo");
    else if (isHeld && name === "y") again("redo");
    else if (document.activeElement === cells.element && cells.key(event)) isDone = true;
    else if (document.activeElement === folders.list && folders.key(event)) isDone = true;
    else if (!isHeld && !event.altKey && name in KEY) event.repeat || KEY[name](); // once a press
    else isDone = false;
    if (isDone) event.preventDefault();
  });

  let typing = 0;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => ask({ search: search.value }), 150);
  });

  // ---- begin

  async function begin() {
    const answer = await tell("hello", { query: query() });
    if (!answer) return;
    film = answer;
    user = user || answer.default_user;
    who.replaceChildren(icon("person"), make("span", { text: user || "your name" }));
    if (!film.levels.includes(now.level)) now.level = film.levels[0];
    if (isAlone) document.title = `Board \u00b7 ${answer.film_id}`;
    root.style.setProperty("--bb-height", `${model.get("height_px")}px`);
    showLevels();
    showChosen(0);
    shelf.forget(true);
    take(answer, true);
    root.classList.add("is-ready");
  }
  begin().then(poll);

  return () => {
    isClosed = true;
    cells.close();
    shelf.close();
    api.close();
  };
}

export default { render };
