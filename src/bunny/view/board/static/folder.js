// The folders on the left: a tree of clusters, each a place to drop things on.

import { count, icon, label, make, share } from "./dom.js";

export const ALL = null;
export const NOISE = "";

export function tree(shelf, { onOpen, onDrop, onRename, onDrag }) {
  const list = make("div", {
    class: "bb-tree",
    role: "tree",
    tabindex: "0",
    "aria-label": "Clusters",
  });
  const filter = make("input", {
    class: "bb-input",
    type: "search",
    placeholder: "Filter folders",
    "aria-label": "Filter folders",
    oninput: () => draw(),
  });
  const fresh = make(
    "div",
    { class: "bb-new", "data-drop": "new", title: "Drop items here" },
    icon("plus"),
    make("span", { text: "New cluster" }),
  );
  const element = make("nav", { class: "bb-side", "aria-label": "Folders" }, filter, list, fresh);
  let folders = [];
  let open = { cluster: ALL, who: null };
  const wide = new Set(); // clusters whose sub-folders are shown
  let focus = "all";
  let isNaming = false;
  const boxes = new Map(); // row -> where its picture is shown
  const lines = new Map(); // key -> { element, state } of what is drawn

  const total = () => folders.reduce((sum, folder) => sum + folder.count, 0);
  const isSame = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
  const isOpen = (cluster, who) => open.cluster === cluster && isSame(open.who, who);

  function rows() {
    const words = filter.value.trim().toLowerCase();
    const found = [{ key: "all", cluster: ALL, name: "Everything", count: total() }];
    for (const folder of folders) {
      const isShown = folder.id === NOISE || label(folder).toLowerCase().includes(words);
      if (!isShown) continue;
      const { who: parts, ...own } = folder;
      found.push({ ...own, key: `c:${folder.id}`, cluster: folder.id, name: label(folder) });
      if (!wide.has(folder.id)) continue;
      for (const part of parts ?? [])
        found.push({
          key: `w:${folder.id}:${part.who.join("|")}`,
          cluster: folder.id,
          who: part.who,
          name: part.who.length ? `with ${part.who.join(", ")}` : "no known character",
          count: part.count,
        });
    }
    return found;
  }

  // Lines that say the same stay in the page: a browser sends no double-click to an element that
  // was put in anew by the first click.
  function draw() {
    if (isNaming) return; // an input is open: its folder is drawn when it closes
    const found = rows();
    const keys = new Set(found.map((row) => row.key));
    for (const key of lines.keys()) if (!keys.has(key)) lines.delete(key);
    const drawn = found.map(line);
    const isSameList =
      drawn.length === list.children.length && drawn.every((one, i) => one === list.children[i]);
    if (!isSameList) {
      const height = list.scrollTop;
      list.replaceChildren(...drawn);
      list.scrollTop = height;
    }
    boxes.clear();
    found.forEach((row, i) => {
      const box = Number.isInteger(row.row) ? drawn[i].querySelector(".bb-face") : null;
      if (box) boxes.set(row.row, [...(boxes.get(row.row) ?? []), box]);
    });
    shelf.wantFolders([...boxes.keys()]);
  }

  function line(row) {
    const isPart = row.who !== undefined;
    const isFolder = !isPart && row.cluster !== ALL;
    const hasParts = isFolder && (folderOf(row.cluster)?.who?.length ?? 0) > 1;
    const state = JSON.stringify([row, hasParts, wide.has(row.cluster)]);
    const known = lines.get(row.key);
    let element = known?.element;
    if (known?.state !== state) {
      element = build(row, { isPart, isFolder, hasParts });
      if (known?.element.parentElement === list) known.element.replaceWith(element);
      lines.set(row.key, { element, state });
    }
    element.setAttribute("aria-selected", isOpen(row.cluster, row.who));
    element.classList.toggle("is-open", isOpen(row.cluster, row.who));
    element.classList.toggle("is-focus", focus === row.key);
    return element;
  }

  function build(row, { isPart, isFolder, hasParts }) {
    const url = Number.isInteger(row.row) ? shelf.picture(row.row) : "";
    const isCluster = isFolder && row.cluster !== NOISE;
    const number = make("span", { class: "bb-number", text: count(row.count) });
    const element = make(
      "div",
      {
        class: `bb-folder${isPart ? " is-part" : ""}${row.cluster === NOISE ? " is-noise" : ""}`,
        role: "treeitem",
        id: `bb-t-${row.key}`,
        "aria-level": isPart ? 2 : 1,
        "aria-expanded": hasParts ? String(wide.has(row.cluster)) : null,
        "aria-label": `${row.name}, ${row.count} items`,
        draggable: isCluster ? "true" : null,
        "data-key": row.key,
        "data-cluster": isFolder ? row.cluster : null,
        "data-drop": isFolder ? "folder" : null,
      },
      isPart ? null : picture(row, url),
      make(
        "div",
        { class: "bb-about" },
        make("span", { class: "bb-name", text: row.name, title: isCluster ? `${row.name}\nDouble-click to rename` : row.name }),
        isPart ? null : numbers(row, number, isCluster),
        isCluster ? approvedBar(row) : null,
      ),
      isPart ? number : null,
    );
    if (hasParts) {
      const turn = make("button", {
        type: "button",
        class: `bb-turn${wide.has(row.cluster) ? " is-wide" : ""}`,
        tabindex: "-1",
        title: "Show characters",
        "aria-label": "Show characters",
        onclick: (event) => {
          event.stopPropagation();
          widen(row.cluster, !wide.has(row.cluster));
        },
      });
      turn.append(icon("chevron"));
      element.append(turn);
    }
    return element;
  }

  // Pictures came in: those of folders are put in, without drawing 300 folders anew.
  function arrived(rows) {
    for (const row of rows) {
      const url = boxes.has(row) ? shelf.picture(row) : "";
      for (const box of url ? boxes.get(row) : [])
        if (box.querySelector("img")?.getAttribute("src") !== url)
          box.replaceChildren(make("img", { src: url, alt: "", draggable: "false" }));
    }
  }

  function picture(row, url) {
    const box = make("div", { class: "bb-face" });
    if (url) box.append(make("img", { src: url, alt: "", draggable: "false" }));
    else box.append(icon(row.cluster === NOISE ? "close" : "folder"));
    return box;
  }

  // Under the name: how many there are, how much is approved, how doubtful they are.
  function numbers(row, number, isCluster) {
    const texts = [];
    if (isCluster && row.approved) texts.push(`${share(row.approved)} approved`);
    if (isCluster && row.doubt >= 0.005) texts.push(`doubt ${row.doubt.toFixed(2)}`);
    if (row.cluster === NOISE) texts.push("in no cluster");
    const thing = row.count === 1 ? "item" : "items";
    return make(
      "span",
      { class: "bb-numbers bb-small" },
      make("span", {}, number, ` ${thing}`),
      ...texts.map((text) => make("span", { text })),
    );
  }

  function approvedBar(row) {
    const bar = make("span", { class: "bb-bar", title: `${share(row.approved)} approved` });
    bar.append(make("span", { style: `width:${Math.round(row.approved * 100)}%` }));
    return bar;
  }

  const folderOf = (id) => folders.find((folder) => folder.id === id);

  function widen(id, isWide) {
    if (isWide) wide.add(id);
    else wide.delete(id);
    draw();
  }

  function go(key, isOpened = true) {
    const row = rows().find((one) => one.key === key);
    if (!row) return;
    focus = key;
    if (isOpened) onOpen({ cluster: row.cluster, who: row.who ?? null, title: row.name });
    draw();
    list.setAttribute("aria-activedescendant", `bb-t-${key}`);
    list.querySelector(`[data-key="${CSS.escape(key)}"]`)?.scrollIntoView({ block: "nearest" });
  }

  function key(event) {
    const all = rows();
    const at = all.findIndex((row) => row.key === focus);
    const row = all[at];
    if (event.target !== list || event.altKey) return false;
    if (event.key === "ArrowDown") go(all[Math.min(all.length - 1, at + 1)].key);
    else if (event.key === "ArrowUp") go(all[Math.max(0, at - 1)].key);
    else if (event.key === "Home") go(all[0].key);
    else if (event.key === "End") go(all[all.length - 1].key);
    else if (event.key === "ArrowRight" && row?.cluster) widen(row.cluster, true);
    else if (event.key === "ArrowLeft" && row?.cluster) widen(row.cluster, false);
    else if (event.key === "Enter" && row) go(row.key);
    else return false;
    return true;
  }

  list.addEventListener("click", (event) => {
    const found = event.target.closest(".bb-folder");
    if (found) go(found.dataset.key);
  });
  list.addEventListener("dblclick", (event) => {
    if (event.target.closest(".bb-turn")) return;
    const id = event.target.closest(".bb-folder")?.dataset.cluster;
    if (id) rename(id);
  });
  list.addEventListener("dragstart", (event) => {
    const found = event.target.closest(".bb-folder");
    if (found) onDrag(event, found.dataset.cluster, found);
  });

  // ---- drops

  const target = (event) => event.target.closest?.("[data-drop]");
  const mark = (found) => {
    for (const one of element.querySelectorAll(".is-target"))
      if (one !== found) one.classList.remove("is-target");
    found?.classList.add("is-target");
  };
  element.addEventListener("dragover", (event) => {
    const found = target(event);
    mark(found);
    if (!found) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = event.dataTransfer.types.includes("Files") ? "copy" : "move";
  });
  element.addEventListener("dragleave", (event) => {
    if (!element.contains(event.relatedTarget)) mark(null);
  });
  element.addEventListener("drop", (event) => {
    const found = target(event);
    mark(null);
    if (!found) return;
    event.preventDefault();
    onDrop(event, found.dataset.drop === "new" ? undefined : found.dataset.cluster);
  });

  // ---- names

  function rename(id) {
    go(`c:${id}`, false);
    const found = list.querySelector(`[data-key="${CSS.escape(`c:${id}`)}"] .bb-name`);
    const folder = folderOf(id);
    if (!found || !folder) return;
    isNaming = true;
    const input = make("input", { class: "bb-input bb-naming", "aria-label": "New name" });
    input.value = folder.name || folder.id;
    found.replaceWith(input);
    input.focus();
    input.select();
    const done = (isKept) => {
      if (!isNaming) return;
      isNaming = false;
      const name = input.value.trim();
      lines.get(`c:${id}`).state = ""; // its name is an input
      draw();
      list.focus({ preventScroll: true });
      if (isKept && name && name !== folder.name) onRename(id, name);
    };
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") done(true);
      if (event.key === "Escape") done(false);
    });
    input.addEventListener("blur", () => done(true));
  }

  return {
    element,
    key,
    rename,
    arrived,
    folderOf,
    all: () => folders,
    list,
    fresh,
    // What was drawn is forgotten: rows stand for other items now.
    reset: () => lines.clear(),
    show(found, now) {
      folders = found;
      if (now) {
        open = { cluster: now.cluster, who: now.who };
        focus =
          now.cluster === ALL
            ? "all"
            : now.who
              ? `w:${now.cluster}:${now.who.join("|")}`
              : `c:${now.cluster}`;
      }
      draw();
    },
    step(by) {
      const all = rows();
      const at = all.findIndex((row) => isOpen(row.cluster, row.who));
      go(all[Math.min(all.length - 1, Math.max(0, at + by))].key);
    },
  };
}
