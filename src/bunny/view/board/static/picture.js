// What is known of items and their small pictures: asked for in batches, the last used are kept.

const BATCH = 40;
const MAX_PICTURES = 3000;
const MAX_ITEMS = 20000;

export function shelf(api, onArrival) {
  const items = new Map(); // row -> what stands under a picture
  const pictures = new Map(); // row -> address of its picture, least recently used first
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
      fresh.forEach((row, i) => keep(row, answer.buffers[i]));
      trim();
      onArrival(new Set(rows));
    } catch (error) {
      console.warn("board: no pictures:", error.message);
    } finally {
      asked -= 1;
    }
    fetch();
  }

  function keep(row, data) {
    const blob = data?.byteLength ? new Blob([data], { type: "image/jpeg" }) : null;
    pictures.set(row, blob ? URL.createObjectURL(blob) : "");
  }

  function trim() {
    while (pictures.size > MAX_PICTURES) {
      const [row, url] = pictures.entries().next().value;
      if (url) URL.revokeObjectURL(url);
      pictures.delete(row);
    }
    while (items.size > MAX_ITEMS) items.delete(items.keys().next().value);
  }

  return {
    item: (row) => items.get(row),
    picture(row) {
      const url = pictures.get(row);
      if (url !== undefined) {
        pictures.delete(row);
        pictures.set(row, url);
      }
      return url;
    },
    put: (found) => found.forEach((item) => items.set(item.row, item)),
    // What is known of items is old; `isAll`: rows stand for other items now.
    forget(isAll = false) {
      items.clear();
      if (!isAll) return;
      for (const url of pictures.values()) if (url) URL.revokeObjectURL(url);
      pictures.clear();
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
      for (const url of pictures.values()) if (url) URL.revokeObjectURL(url);
    },
  };
}
