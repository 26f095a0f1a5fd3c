// Keys: what each does, and the table of them that `?` shows.

export const KEYS = [
  ["Select", [
    ["\u2190 / \u2191 / \u2192 / \u2193", "move between items; with Shift, extend the selection"],
    ["Space", "select or deselect"],
    ["Ctrl A / Esc", "select all, select none"],
    ["Enter", "show details"],
    ["[ / ]", "previous, next folder"],
    ["F / G", "focus the folders, the grid"],
    ["\u2190 / \u2192", "in the folders: hide, show characters"],
  ]],
  ["Correct", [
    ["M", "move to a folder\u2026"],
    ["A", "approve"],
    ["X / Del", "reject: not in this cluster"],
    ["N", "new cluster from the selection"],
    ["L", "find look-alikes\u2026 (with a preview)"],
    ["C", "comment"],
    ["E", "edit the caption of a shot"],
    ["R / F2", "rename the folder"],
    ["J", "merge the folder with another\u2026"],
    ["Ctrl Z / Ctrl Y", "undo, redo your own corrections"],
  ]],
  ["View", [
    ["V", "switch between scenes and characters"],
    ["S", "next sort order"],
    ["/", "search"],
    ["?", "this help"],
  ]],
];

// `deeds` are the board's actions by the key that calls them. A board that has the window for itself
// hears keys wherever the focus is, one in a notebook those of its own elements.
export function listen(root, { cells, folders, search, again, deeds, isAlone }) {
  const settle = () => {
    const at = document.activeElement;
    const isIdle = !at || at === document.body || (root.contains(at) && at.matches("button, a"));
    if (isIdle && !root.querySelector("dialog[open]")) cells.element.focus({ preventScroll: true });
  };
  const onKey = (event) => {
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
    else if (document.activeElement === folders.list && (folders.key(event) || cells.key(event)))
      isDone = true;
    else if (!isHeld && !event.altKey && name in deeds) event.repeat || deeds[name](); // once a press
    else isDone = false;
    if (isDone) event.preventDefault();
  };
  const place = isAlone ? document : root;
  place.addEventListener("keydown", onKey);
  // After a click on a button, a menu or an empty place, and after a dialog, arrow keys are the
  // grid's again; the folders keep the focus that a click gave them.
  root.addEventListener("click", (event) => event.detail && setTimeout(settle));
  root.addEventListener("close", () => setTimeout(settle), true);
  root.addEventListener("change", (event) => {
    if (event.target.matches(".bb-bar-top select")) cells.element.focus({ preventScroll: true });
  });
  return { settle, stop: () => place.removeEventListener("keydown", onKey) };
}
