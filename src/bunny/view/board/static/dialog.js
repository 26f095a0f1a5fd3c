// What lies over the board: questions, the preview of look-alikes, help, and what was done.

import { button, clock, icon, label, make, some } from "./dom.js";

export function overlay(root) {
  const toasts = make("div", { class: "bb-toasts", role: "status", "aria-live": "polite" });
  root.append(toasts);

  function toast(text, { isBad = false, seconds = 5 } = {}) {
    const one = make("div", { class: `bb-toast${isBad ? " is-bad" : ""}`, text });
    toasts.append(one);
    while (toasts.children.length > 4) toasts.firstChild.remove();
    (root.querySelector("dialog[open]") ?? root).append(toasts); // what is modal lies over all else
    setTimeout(() => one.remove(), seconds * 1000);
  }

  // A dialog with a title; resolves to what `close(value)` is called with, undefined on Escape.
  function open(title, build, extra = "") {
    return new Promise((resolve) => {
      const dialog = make("dialog", { class: `bb-dialog ${extra}`, "aria-label": title });
      let answer;
      const close = (value) => {
        answer = value;
        dialog.close();
      };
      dialog.addEventListener("keydown", (event) => event.stopPropagation());
      dialog.addEventListener("close", () => {
        root.append(toasts);
        dialog.remove();
        resolve(answer);
      });
      dialog.addEventListener("mousedown", (event) => {
        if (event.target === dialog) close();
      });
      const shut = button("close", "Close", () => close(), { key: "Esc" });
      const head = make("header", {}, make("h2", { text: title }), shut);
      const body = make("div", { class: "bb-body" });
      dialog.append(head, body);
      root.append(dialog);
      build(body, close);
      dialog.showModal();
      body.querySelector("[autofocus]")?.focus();
    });
  }

  const actions = (close, text, value) =>
    make(
      "div",
      { class: "bb-actions" },
      make("button", { type: "button", class: "bb-plain", text: "Cancel", onclick: () => close() }),
      make("button", {
        type: "button",
        class: "bb-strong",
        text,
        onclick: () => close(value()),
      }),
    );

  // A question that one button answers; resolves to true, or undefined where it was not pressed.
  function confirm(title, about, action) {
    return open(title, (body, close) => {
      const row = actions(close, action, () => true);
      row.lastChild.setAttribute("autofocus", "");
      body.append(...about, row);
    });
  }

  // Words from the person; `about` stands above the field.
  function ask(title, { value = "", isLong = false, about = [], action = "Save" } = {}) {
    return open(title, (body, close) => {
      const field = make(isLong ? "textarea" : "input", {
        class: "bb-input",
        autofocus: true,
        "aria-label": title,
      });
      field.value = value;
      field.addEventListener("keydown", (event) => {
        const isSent = event.key === "Enter" && (!isLong || event.ctrlKey || event.metaKey);
        if (!isSent) return;
        event.preventDefault();
        close(field.value.trim());
      });
      body.append(...about, field, actions(close, action, () => field.value.trim()));
      if (!isLong) queueMicrotask(() => field.select());
    });
  }

  // One of the folders, found by typing; resolves to its id, or to {name} for a new one.
  function pick(title, folders, { hasNew = true } = {}) {
    return open(title, (body, close) => {
      let at = 0;
      const field = make("input", {
        class: "bb-input",
        autofocus: true,
        placeholder: "Type to find a folder",
        "aria-label": title,
        role: "combobox",
        "aria-expanded": "true",
      });
      const list = make("div", { class: "bb-choices", role: "listbox" });
      const found = () => {
        const words = field.value.trim().toLowerCase();
        const rows = [...folders.filter((one) => one.id), ...folders.filter((one) => !one.id)]
          .filter((folder) => label(folder).toLowerCase().includes(words))
          .slice(0, 60)
          .map((folder) => ({ text: label(folder), value: folder.id, count: folder.count }));
        const isExact = rows.some((row) => row.text.toLowerCase() === words);
        if (hasNew && words && !isExact)
          rows.push({ text: `New cluster \u201c${field.value.trim()}\u201d`, isNew: true });
        return rows;
      };
      const value = (row) => (row?.isNew ? { name: field.value.trim() } : row?.value);
      const draw = () => {
        const rows = found();
        at = Math.max(0, Math.min(at, rows.length - 1));
        list.replaceChildren(
          ...rows.map((row, i) =>
            make(
              "div",
              {
                class: `bb-choice${i === at ? " is-focus" : ""}`,
                role: "option",
                "aria-selected": String(i === at),
                onclick: () => close(value(row)),
              },
              make("span", { text: row.text }),
              make("span", { class: "bb-number", text: row.isNew ? "" : String(row.count) }),
            ),
          ),
        );
        list.children[at]?.scrollIntoView({ block: "nearest" });
      };
      field.addEventListener("input", draw);
      field.addEventListener("keydown", (event) => {
        if (event.key === "ArrowDown") at += 1;
        else if (event.key === "ArrowUp") at -= 1;
        else if (event.key === "Enter") {
          event.preventDefault();
          return close(value(found()[at]));
        } else return;
        event.preventDefault();
        draw();
      });
      body.append(field, list);
      draw();
    });
  }

  // What would be moved along with the chosen ones; resolves to {rows, cluster}.
  function preview({ found, folders, cluster, least, thing }) {
    return open("Look-alikes", (body, close) => {
      const left = new Set(); // rows taken out of it by hand
      const top = Math.max(...found.map((one) => one.similarity), least);
      const slide = make("input", {
        type: "range",
        min: String(least),
        max: String(top),
        step: "0.005",
        "aria-label": "Minimum similarity",
      });
      slide.value = String(least);
      const shown = make("output", { class: "bb-number" });
      const select = make("select", { class: "bb-input", "aria-label": "Move to" });
      if (!cluster) select.append(make("option", { value: "", text: "choose a folder" }));
      for (const folder of folders.filter((one) => one.id))
        select.append(make("option", { value: folder.id, text: label(folder) }));
      if (cluster) select.value = cluster;
      const sheet = make("div", { class: "bb-sheet", role: "group" });
      const go = make("button", { type: "button", class: "bb-strong" });
      const wanted = () =>
        found.filter((one) => one.similarity >= Number(slide.value) - 1e-6 && !left.has(one.row));
      const tiles = found.map((one) => {
        const tile = make(
          "button",
          {
            type: "button",
            class: "bb-tile",
            title: `${one.from} at ${clock(one.time)}; click to exclude it`,
            onclick: () => {
              if (!left.delete(one.row)) left.add(one.row);
              draw();
            },
          },
          one.url ? make("img", { src: one.url, alt: "" }) : icon("folder"),
          make(
            "span",
            { class: "bb-line" },
            make("span", { text: one.from }),
            make("span", { class: "bb-number", text: one.similarity.toFixed(2) }),
          ),
        );
        sheet.append(tile);
        return tile;
      });
      const draw = () => {
        const rows = new Set(wanted().map((one) => one.row));
        tiles.forEach((tile, i) => {
          tile.hidden = found[i].similarity < Number(slide.value) - 1e-6;
          tile.classList.toggle("is-out", !rows.has(found[i].row));
          tile.setAttribute("aria-pressed", String(rows.has(found[i].row)));
        });
        shown.textContent = Number(slide.value).toFixed(2);
        go.textContent = `Move ${some(rows.size, thing)}`;
        go.disabled = !rows.size || !select.value;
      };
      slide.addEventListener("input", draw);
      select.addEventListener("change", draw);
      go.addEventListener("click", () =>
        close({ rows: wanted().map((one) => one.row), cluster: select.value }),
      );
      const line = make(
        "div",
        { class: "bb-choose" },
        make("label", {}, "Similarity at least ", slide, shown),
        make("label", {}, "Move to ", select),
      );
      const cancel = make("button", {
        type: "button",
        class: "bb-plain",
        text: "Cancel",
        onclick: () => close(),
      });
      const note = make("p", { class: "bb-small", text: "Nothing has changed yet. Click a picture to exclude it." });
      body.append(line, sheet, make("div", { class: "bb-actions" }, note, cancel, go));
      draw();
    }, "is-wide");
  }

  function help(groups) {
    return open("Keyboard shortcuts", (body) => {
      for (const [title, keys] of groups) {
        const table = make("div", { class: "bb-keys" });
        for (const [key, text] of keys) {
          const names = key.split(" / ").map((part) => make("kbd", { text: part }));
          table.append(make("span", {}, ...names), make("span", { text }));
        }
        body.append(make("section", {}, make("h3", { text: title }), table));
      }
    }, "is-help");
  }

  return { toast, ask, confirm, pick, preview, help, open };
}
