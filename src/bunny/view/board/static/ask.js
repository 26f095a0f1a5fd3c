// Corrections that need a word more from the person: where to, which name, what to say.

import { icon, label, make, some } from "./dom.js";
import { NOISE } from "./folder.js";
import { address } from "./picture.js";

export function questions({ now, over, cells, folders, shelf, tell, act, thing, titleOf }) {
  async function move() {
    const rows = cells.chosen();
    if (!rows.length) return over.toast("Select some items first.");
    const to = await over.pick(`Move ${some(rows.length, thing())} to`, folders.all());
    cells.element.focus({ preventScroll: true });
    if (to === undefined) return;
    if (to?.name) return act("split", { rows, text: to.name });
    return to === NOISE ? act("reject", { rows }) : act("assign", { rows, cluster: to });
  }

  async function split(rows = cells.chosen()) {
    if (!rows.length) return over.toast("Select some items first.");
    const name = await over.ask(`New cluster of ${some(rows.length, thing())}`, {
      action: "Create",
      about: [make("p", { class: "bb-small", text: "Enter a name, or leave it empty to use a number." })],
    });
    cells.element.focus({ preventScroll: true });
    if (name !== undefined) act("split", { rows, text: name });
  }

  async function join() {
    if (!now.cluster) return over.toast("Open a folder first.");
    const rest = folders.all().filter((one) => one.id && one.id !== now.cluster);
    const to = await over.pick(`Merge \u201c${titleOf()}\u201d with`, rest, { hasNew: false });
    if (to) mergeInto(now.cluster, to);
  }

  // One side of a merge: a face or shot of the folder, its name and how many are in it.
  function side(folder, url) {
    return make(
      "figure",
      { class: "bb-side-of-merge" },
      url ? make("img", { src: url, alt: `Picture of ${label(folder)}` }) : icon("folder"),
      make("figcaption", {}, make("b", { text: label(folder) }), ` ${some(folder.count, thing())}`),
    );
  }

  async function mergeInto(gone, stays) {
    const pair = [gone, stays].map((id) => folders.folderOf(id));
    const rows = pair.map((folder) => folder.row).filter(Number.isInteger);
    const known = await tell("page", { rows, pictures: rows });
    if (!known) return;
    const sides = pair.map((folder) => side(folder, address(known.buffers[rows.indexOf(folder.row)])));
    const [from, to] = pair.map((folder) => `\u201c${label(folder)}\u201d`);
    const about = [
      make("div", { class: "bb-merge" }, sides[0], icon("chevron"), sides[1]),
      make("p", { class: "bb-small", text: `Everything in ${from} moves to ${to}, which keeps its name.` }),
    ];
    if (!(await over.confirm(`Merge ${from} into ${to}?`, about, "Merge"))) return;
    await act("merge", { cluster: stays, other: gone, rows: [] });
  }

  function approveAll() {
    return act("approve", { rows: [...cells.order()] });
  }

  async function comment(rows = cells.chosen()) {
    if (!rows.length) return over.toast("Select some items first.");
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
    if (now.level !== "scene") return over.toast("Captions belong to shots: switch to Scenes.");
    if (!rows.length) return over.toast("Select a shot first.");
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
    if (!rows.length) return over.toast("Select some items first.");
    const answer = await tell("preview", { rows });
    if (!answer) return;
    if (!answer.found.length) return over.toast("No look-alikes found.");
    const found = answer.found.map((one, i) => ({ ...one, url: address(answer.buffers[i]) }));
    const chosen = await over.preview({
      found,
      folders: folders.all(),
      cluster: answer.cluster,
      least: answer.threshold,
      thing: thing(),
    });
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

  return { move, split, join, mergeInto, approveAll, comment, caption, alike, details };
}
