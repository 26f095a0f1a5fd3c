// Dragging: items and folders onto folders, and pictures from disk.

import { make } from "./dom.js";
import { NOISE } from "./folder.js";

const MAX_UPLOAD = 20 * 1024 * 1024;

export function dragging(root, { now, over, tell, act, split, mergeInto }) {
  const badge = make("div", { class: "bb-badge" });
  root.append(badge);
  let dragged = null; // { rows } or { cluster }

  function start(event, what, text, image) {
    dragged = what;
    badge.replaceChildren(make("span", { text }));
    if (image?.tagName === "IMG" && image.src) badge.prepend(image.cloneNode());
    event.dataTransfer.setData("text/plain", text);
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setDragImage(badge, -8, -8);
    root.classList.add("is-dragging");
  }

  function end() {
    const what = dragged;
    dragged = null;
    root.classList.remove("is-dragging");
    return what;
  }
  root.addEventListener("dragend", end);

  function drop(event, id) {
    const what = end();
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
      return over.toast("Pictures from disk become reference pictures: drop them on a character.");
    const large = files.find((file) => file.size > MAX_UPLOAD);
    if (large) return over.toast(`${large.name} is too large: at most 20 MB.`, { isBad: true });
    const buffers = await Promise.all(files.map((file) => file.arrayBuffer()));
    const names = files.map((file) => file.name);
    const answer = await tell("upload", { cluster: id, names }, buffers);
    if (answer) over.toast(answer.done, { seconds: 8 });
  }

  return { start, drop };
}
