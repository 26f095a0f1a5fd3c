// The bars of tools: over the board, over the grid, and under what is chosen.

import { button, count, icon, make, some } from "./dom.js";

const STATUS = {
  all: "All",
  open: "Not approved",
  approved: "Approved",
  moved: "Moved by people",
  commented: "Commented",
  rejected: "Rejected from a cluster",
};
export const SORT = {
  doubt: "Most doubtful first",
  film: "Film order",
  size: "Largest first",
  name: "By cluster name",
};
const LEVEL = { scene: "Scenes", character: "Characters" };

// Over the board: what is shown, undo, who corrects.
export function topBar({ ask, again, askName, toLevel, help, sets, isAlone }) {
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
    title: "Your name, recorded with your corrections",
    onclick: askName,
  });
  const approval = button("approve", "Training sets", sets, { words: true, extra: "bb-training" });
  approval.hidden = true;
  const element = make(
    "div",
    { class: "bb-bar-top", role: "toolbar", "aria-label": "Board" },
    levels,
    search,
    status,
    sort,
    make("span", { class: "bb-gap" }),
    approval,
    isAlone ? make("a", { class: "bb-films", href: `/films${location.search}`, text: "Films" }) : null,
    undo,
    redo,
    who,
    button("help", "Keyboard shortcuts", help, { key: "?" }),
  );

  let typing = 0;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => ask({ search: search.value }), 150);
  });

  return {
    element,
    search,
    sort,
    showUser: (name) => who.replaceChildren(icon("person"), make("span", { text: name })),
    showSets: (hasSets) => {
      approval.hidden = !hasSets;
    },
    showSteps(answer) {
      for (const [one, text, word] of [[undo, answer.undo, "Undo"], [redo, answer.redo, "Redo"]]) {
        one.disabled = !text;
        one.title = text ? `${word}: ${text}` : `Nothing to ${word.toLowerCase()}`;
      }
    },
    showLevels(known, open) {
      levels.replaceChildren(
        ...known.map((level) =>
          make("button", {
            type: "button",
            role: "radio",
            "aria-checked": String(level === open),
            text: LEVEL[level],
            onclick: () => toLevel(level),
          }),
        ),
      );
    },
  };
}

// Over the grid: what is open, how many there are, what can be done with all of it.
export function headLine({ onRename, onJoin, onApprove }) {
  const title = make("h2", { class: "bb-title", ondblclick: onRename });
  const total = make("span", { class: "bb-small bb-number" });
  const rename = button("pencil", "Rename", onRename, { key: "R" });
  const merge = button("merge", "Merge with another", onJoin, { key: "J" });
  const all = button("check", "Approve all", onApprove, { words: true });
  const gap = make("span", { class: "bb-gap" });
  return {
    element: make("div", { class: "bb-head" }, title, rename, merge, total, gap, all),
    title: () => title.textContent,
    show(text, number, thing, isCluster) {
      title.textContent = text;
      total.textContent = some(number, thing);
      for (const one of [rename, merge, all]) one.hidden = !isCluster;
    },
  };
}

// Under what is chosen; `deeds` by the key that calls them.
export function chosenBar(deeds) {
  const number = make("span", { class: "bb-count" });
  const tool = (name, text, key, extra = "") =>
    button(name, text, () => deeds[key.toLowerCase()](), { words: true, key, extra });
  return {
    element: make(
      "div",
      { class: "bb-tools", role: "toolbar", "aria-label": "Selected items" },
      number,
      tool("folder", "Move", "M"),
      tool("plus", "New cluster", "N"),
      tool("check", "Approve", "A"),
      tool("close", "Reject", "X"),
      tool("alike", "Look-alikes", "L"),
      tool("comment", "Comment", "C"),
      tool("text", "Caption", "E", "bb-caption"),
    ),
    show: (length) => {
      number.textContent = `${count(length)} selected`;
    },
  };
}

function choice(name, values, onchange) {
  const select = make("select", { class: "bb-input", "aria-label": name });
  for (const [value, text] of Object.entries(values))
    select.append(make("option", { value, text }));
  select.addEventListener("change", () => onchange(select.value));
  return select;
}
