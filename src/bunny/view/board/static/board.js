// The board: folders, grid, tools and keys over the desk in Python; see `desk.py`.

import { connect } from "./api.js";
import { questions } from "./ask.js";
import { overlay } from "./dialog.js";
import { label, make, some } from "./dom.js";
import { dragging } from "./drag.js";
import { ALL, NOISE, tree } from "./folder.js";
import { grid } from "./grid.js";
import { KEYS, listen } from "./key.js";
import { shelf as makeShelf } from "./picture.js";
import { chosenBar, headLine, SORT, topBar } from "./tool.js";
import { trainingSets } from "./training_set.js";
import { updateLine } from "./update.js";

const POLL_MS = 1000;
const HIDDEN_POLL_MS = 5000;

function render({ model, el }) {
  const isAlone = model.get("is_alone");
  const root = make("div", {
    class: `bb${isAlone ? " is-alone" : ""}`,
    "data-lm-suppress-shortcuts": "true",
  });
  el.append(root);

  const api = connect(model, (isSilent) => root.classList.toggle("is-silent", isSilent));
  const shelf = makeShelf(api, (rows) => {
    cells.redraw();
    folders.arrived(rows);
  });
  const now = {
    level: "scene",
    cluster: ALL,
    who: null,
    title: "All items",
    search: "",
    status: "all",
    sort: "doubt",
  };
  let film = { aspect: 16 / 9, levels: ["scene"] };
  let user = kept("user") || "";
  let seen = 0;
  let asked = 0; // queries that are not answered yet
  let isNew = false; // one of them shows something else
  let isClosed = false;
  let behind = ""; // what the training sets lack
  let hasAsked = false; // for a run that makes them again

  // ---- parts

  const over = overlay(root);
  const thing = () => (now.level === "scene" ? "shot" : "figure");
  const cells = grid(shelf, {
    onSelect: (rows) => {
      tools.show(rows.length);
      root.classList.toggle("has-chosen", rows.length > 0);
    },
    onOpen: (row) => words.details(row),
    onDrag: (event, rows, image) => drag.start(event, { rows }, some(rows.length, thing()), image),
    name: (item) =>
      now.cluster === ALL || now.cluster === NOISE
        ? item.name || item.cluster || "noise"
        : [`shot ${item.shot}`, ...(now.level === "scene" ? item.who : [])].join(" \u00b7 "),
  });
  const folders = tree(shelf, {
    onOpen: (to) => open(to),
    onRename: (id, text) => {
      const same = folders.all().find((one) => one.id && one.id !== id && one.name === text);
      if (same) words.mergeInto(id, same.id); // two of one name are one
      else act("rename", { cluster: id, text });
    },
    onDrag: (event, id, image) => {
      const text = `merge ${label(folders.folderOf(id))} into\u2026`;
      drag.start(event, { cluster: id }, text, image);
    },
    onDrop: (event, id) => drag.drop(event, id),
  });
  const titleOf = () => head.title();
  const words = questions({ now, over, cells, folders, shelf, tell, act, thing, titleOf });
  const drag = dragging(root, { now, over, tell, act, ...words });
  const rename = () => now.cluster && folders.rename(now.cluster);
  const reject = () => act("reject");
  const deeds = {
    m: words.move,
    a: () => act("approve"),
    x: reject,
    delete: reject,
    backspace: reject,
    n: () => words.split(),
    l: words.alike,
    c: () => words.comment(),
    e: () => words.caption(),
    r: rename,
    f2: rename,
    j: words.join,
    v: () => toLevel(film.levels.find((level) => level !== now.level)),
    s: () => {
      const all = Object.keys(SORT);
      bar.sort.value = all[(all.indexOf(now.sort) + 1) % all.length];
      ask({ sort: bar.sort.value });
    },
    f: () => folders.list.focus(),
    g: () => cells.element.focus(),
    "/": () => bar.search.focus(),
    "?": () => over.help(KEYS),
    "[": () => folders.step(-1),
    "]": () => folders.step(1),
  };
  const help = () => over.help(KEYS);
  const update = updateLine({ onApply: () => apply() });
  const sets = trainingSets({
    over,
    tell,
    named: async () => user || (await askName()),
    behind: () => behind,
    onApply: () => apply(),
  });
  const bar = topBar({ ask, again, askName: () => askName(), toLevel, help, sets: sets.show, isAlone });
  const head = headLine({
    onRename: rename,
    onJoin: words.join,
    onApprove: words.approveAll,
  });
  const tools = chosenBar(deeds);
  const lost = make("div", {
    class: "bb-silent",
    role: "alert",
    text: "The kernel is not responding. Nothing is lost; the board continues when it responds again.",
  });
  const main = make("main", { class: "bb-main" }, head.element, cells.element, tools.element);
  const upper = make("div", { class: "bb-upper" }, bar.element, update.element);
  root.append(upper, folders.element, main, lost);
  const keys = listen(root, { cells, folders, search: bar.search, again, deeds, isAlone });

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

  // `heir` finds the folder that is open from now on, where the one that was is gone.
  function take(answer, isFresh = false, heir = () => false) {
    if (answer.is_closed) return begin();
    seen = answer.seen ?? seen;
    if (answer.is_stale) shelf.forget();
    if (answer.items) shelf.put(answer.items);
    if (answer.folders && !asked) {
      const isGone = now.cluster && !answer.folders.some((f) => f.id === now.cluster);
      folders.show(answer.folders, now);
      const next = isGone ? answer.folders.find(heir) : null;
      if (next) return open({ cluster: next.id, who: null, title: label(next) });
      if (isGone && !isFresh) return open({ cluster: ALL, who: null, title: "All items" });
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
        byDoubt: now.sort === "doubt",
      });
      if (!order.length) cells.say(nothing());
    } else cells.redraw();
    if ("undo" in answer) bar.showSteps(answer);
    if ("has_sets" in answer) bar.showSets(answer.has_sets);
    if (answer.update) showUpdate(answer.update);
    for (const news of answer.news ?? [])
      over.toast(news.text, { isBad: news.is_conflict, seconds: news.is_conflict ? 12 : 5 });
    if (!asked) showHead();
  }

  function showUpdate(told) {
    behind = told.text;
    const hasEnded = update.show(told);
    if (told.error) hasAsked = false;
    if (!hasEnded) return;
    over.toast("The training sets are up to date.");
    if (hasAsked) sets.show(); // not where somebody else applied the corrections
    hasAsked = false;
  }

  async function apply() {
    hasAsked = true;
    const answer = await tell("apply");
    if (answer?.update) showUpdate(answer.update);
  }

  function nothing() {
    if (now.search || now.status !== "all") return "No items match.";
    return now.cluster === NOISE ? "The noise bucket is empty." : "No items here.";
  }

  function showHead() {
    const folder = now.cluster === ALL ? null : folders.folderOf(now.cluster);
    const name = now.cluster === ALL ? "All items" : folder ? label(folder) : now.title;
    const part = now.who ? ` \u203a ${now.who.length ? `with ${now.who.join(", ")}` : "no known character"}` : "";
    head.show(name + part, cells.order().length, thing(), Boolean(now.cluster));
  }

  function showLevels() {
    bar.showLevels(film.levels, now.level);
    root.dataset.level = now.level;
  }

  function toLevel(level) {
    if (level === now.level || !film.levels.includes(level)) return;
    now.level = level;
    showLevels();
    ask({ cluster: ALL, who: null, title: "All items" });
  }

  // ---- talking to the desk

  async function tell(kind, values = {}, buffers = []) {
    try {
      const answer = await api.ask(kind, { ...values, user, seen }, buffers);
      if (answer.is_again && kind !== "query") recover();
      if (!answer.is_closed) return answer;
      over.toast("The film was processed again and the board reloaded; please repeat your last action.");
      begin();
    } catch (error) {
      over.toast(error.message, { isBad: true, seconds: 10 });
    }
    return null;
  }

  // A question was asked twice, and of what changed in between one answer told and was not heard.
  function recover() {
    shelf.forget();
    ask({}, false);
  }

  async function act(action, values = {}) {
    const rows = values.rows ?? cells.chosen();
    const hasItems = !["rename", "merge"].includes(action);
    if (hasItems && !rows.length) return over.toast("Select some items first.");
    if (!user && !(await askName())) return;
    const answer = await tell("act", { level: now.level, rows, ...values, action });
    if (!answer) return;
    take(answer, false, ({ id, name }) =>
      action === "rename" ? name === values.text : action === "merge" && id === values.cluster,
    );
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
        if (answer.is_again) recover();
        const isNews = answer.seen !== seen || answer.folders || answer.update;
        if (isNews || answer.is_closed) take(answer);
      } catch (error) {
        console.warn("board: poll:", error.message);
      }
    }
  }

  async function askName() {
    const name = await over.ask("Your name", { value: user, about: [
      make("p", { class: "bb-small", text: "Shown with each of your corrections, so that others know whom to ask." }),
    ] });
    if (name) {
      user = kept("user", name) || name;
      bar.showUser(user);
      ask({}, false);
    }
    return Boolean(name);
  }

  // ---- begin

  async function begin() {
    const answer = await tell("hello", { query: query() });
    if (!answer) return;
    film = answer;
    user = user || answer.default_user;
    bar.showUser(user || "your name");
    if (!film.levels.includes(now.level)) now.level = film.levels[0];
    if (isAlone) document.title = `Board \u00b7 ${answer.film_id}`;
    root.style.setProperty("--bb-height", `${model.get("height_px")}px`);
    showLevels();
    tools.show(0);
    shelf.forget(true);
    folders.reset();
    take(answer, true);
    root.classList.add("is-ready");
    if (isAlone) keys.settle();
  }
  begin().then(poll);

  return () => {
    isClosed = true;
    keys.stop();
    cells.close();
    shelf.close();
    api.close();
  };
}

// Something that this browser remembers; null where storage is forbidden: then it lasts a page.
function kept(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(`bunny-board-${key}`);
    localStorage.setItem(`bunny-board-${key}`, value);
  } catch {
    return null;
  }
  return value;
}

export default { render };
