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

// `deeds` are the board's actions by the key that calls them.
export function listen(root, { cells, folders, search, again, deeds }) {
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
    else if (!isHeld && !event.altKey && name in deeds) event.repeat || deeds[name](); // once a press
    else isDone = false;
    if (isDone) event.preventDefault();
  });
}
