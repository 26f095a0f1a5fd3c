// What is known of items and their small pictures: asked for in batches, the last used are kept.

const BATCH = 40;
const MAX_PICTURES = 3000;
const MAX_ITEMS = 20000;
const CHUNK = 8192; // bytes that are made letters at once

// A picture's address with its bytes in it. An address of `URL.createObjectURL` costs the browser
// about a millisecond, in which the page stands still; this one a hundredth of that.
export function address(data) {
  if (!data?.byteLength) return "";
  const bytes = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
  let letters = "";
  for (let i = 0; i < bytes.length; i += CHUNK)
    letters += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  return `data:image/jpeg;base64,${btoa(letters)}`;
}

export function shelf(api, onArrival) {
  const items = new Map(); // row -> what stands under a picture
  const pictures = new Map(); // row -> its bytes, then its address; least recently used first
  let wanted = []; // rows of the grid
  let faces = []; // rows that stand for folders
  let asked = 0;

  async function fetch() {
    if (asked >= 2) return;
    const rows = wanted.splice(0, BATCH);
    if (rows.length < BATCH) rows.push(...faces.splice(0, BATCH - rows.length));
    if (!rows.length) return;
    const fresh = rows.filter((row) => !pictures.has(row));
    asked += 1;
    try {
      const answer = await api.ask("page", { rows, pictures: fresh });
      if (answer.is_closed) return; // the next poll begins anew
      answer.items.forEach((item) => items.set(item.row, item));
      fresh.forEach((row, i) => pictures.set(row, answer.buffers[i] ?? ""));
      trim();
      onArrival(new Set(rows));
    } catch (error) {
      console.warn("board: no pictures:", error.message);
    } finally {
      asked -= 1;
    }
    fetch();
  }

  function trim() {
    while (pictures.size > MAX_PICTURES) pictures.delete(pictures.keys().next().value);
    while (items.size > MAX_ITEMS) items.delete(items.keys().next().value);
  }

  return {
    item: (row) => items.get(row),
    // The address of a row's picture, "" when there is none, undefined when it is not here yet.
    picture(row) {
      const found = pictures.get(row);
      if (found === undefined) return undefined;
      const url = typeof found === "string" ? found : address(found);
      pictures.delete(row);
      pictures.set(row, url);
      return url;
    },
    put: (found) => found.forEach((item) => items.set(item.row, item)),
    // What is known of items is old; `isAll`: rows stand for other items now.
    forget(isAll = false) {
      items.clear();
      if (isAll) pictures.clear();
    },
    // Rows on the screen, the most wanted first; those asked for before and gone are dropped.
    want(rows) {
      wanted = rows.filter((row) => !items.has(row) || !pictures.has(row));
      fetch();
    },
    wantFolders(rows) {
      faces = rows.filter((row) => !pictures.has(row));
      fetch();
    },
    close() {
      wanted = [];
      faces = [];
      pictures.clear();
    },
  };
}
