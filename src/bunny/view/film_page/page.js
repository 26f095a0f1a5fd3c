"use strict";

const PART = 4 * 2 ** 20; // bytes of one request
const HEAD = 2 ** 20; // bytes by whose hash a film that was cut off is known again
const PAUSES_MS = [500, 1000, 2000, 4000, 8000, 15000]; // between tries to send a part
const POLL_MS = 1000;
const STARTABLE = ["ready", "done", "here", "sample", "refused", "failed", "cancelled"];
const AT_REST = ["uploading", "ready", "done", "here", "failed", "cancelled"]; // takes references
const START = { ready: "Run", sample: "Run", done: "Run again", here: "Run again" };
const SAMPLE = {
  entry: "sample", name: "Sample film", size: 0, user: "", state: "sample", received: 0, error: "",
  progress: "A short animated film with pictures of its characters, for trying the program.",
  references: {}, has_board: false,
};
const WORDS = {
  uploading: "uploading", checking: "checking", ready: "ready to run", waiting: "queued",
  running: "running", done: "done", here: "in this workspace", sample: "included", refused: "refused", failed: "failed", cancelled: "cancelled",
};

const xsrf = document.querySelector("meta[name=xsrf]").content;
const list = document.getElementById("films");
const user = document.getElementById("user");
const sending = new Set(); // entries that this page sends

const byId = (id) => document.getElementById(id);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const here = (path, query = {}) => {
  const given = new URLSearchParams(location.search);
  Object.entries(query).forEach(([key, value]) => given.set(key, value));
  const text = given.toString();
  return text ? `${path}?${text}` : path;
};

function complain(sentence) {
  byId("fault").textContent = sentence;
  byId("fault").hidden = !sentence;
}

async function ask(method, path, { body, headers = {}, query } = {}) {
  const answer = await fetch(here(path, query), {
    method, body, headers: { "X-XSRFToken": xsrf, "Tus-Resumable": "1.0.0", ...headers },
  });
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  const fault = new Error(said.error || said.message || `the server answered ${answer.status}`);
  fault.status = answer.status;
  fault.offset = answer.headers.get("Upload-Offset");
  throw fault;
}

const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
const text64 = (text) => base64(new TextEncoder().encode(text));
const hex = (bytes) => [...new Uint8Array(bytes)].map((b) => b.toString(16).padStart(2, "0")).join("");
// A page that is neither encrypted nor of this machine has no crypto.subtle.
const sha256 = (bytes) => (window.crypto?.subtle ? crypto.subtle.digest("SHA-256", bytes) : null);

async function begin(file) {
  const head = await sha256(await file.slice(0, HEAD).arrayBuffer());
  const told = { filename: file.name, user: user.value, head: head ? hex(head) : "" };
  const words = Object.entries(told).map(([key, value]) => `${key} ${text64(value)}`.trim());
  const answer = await ask("POST", "/films/upload", {
    headers: { "Upload-Length": String(file.size), "Upload-Metadata": words.join(",") },
  });
  return [answer.headers.get("Location"), Number(answer.headers.get("Upload-Offset"))];
}

async function sendPart(path, file, offset) {
  const part = await file.slice(offset, offset + PART).arrayBuffer();
  const digest = await sha256(part);
  const headers = { "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" };
  if (digest) headers["Upload-Checksum"] = `sha256 ${base64(digest)}`;
  const answer = await ask("PATCH", path, { body: part, headers });
  return Number(answer.headers.get("Upload-Offset"));
}

async function findOffset(path) {
  return Number((await ask("HEAD", path)).headers.get("Upload-Offset"));
}

async function send(file) {
  let [path, offset] = await begin(file);
  const entry = path.split("/").pop();
  if (sending.has(entry)) return;
  sending.add(entry);
  try {
    for (let tries = 0; offset < file.size; ) {
      try {
        offset = await sendPart(path, file, offset);
        tries = 0;
      } catch (fault) {
        const isOver = [400, 403, 404, 413, 507].includes(fault.status);
        if (isOver || tries >= PAUSES_MS.length) throw fault;
        await wait(PAUSES_MS[tries++]);
        offset = await findOffset(path).catch(() => offset);
      }
    }
  } finally {
    sending.delete(entry);
  }
}

async function sendAll(files) {
  complain("");
  for (const file of files) {
    try {
      await send(file);
    } catch (fault) {
      complain(fault.message.startsWith(file.name) ? fault.message : `${file.name}: ${fault.message}`);
    }
    await refresh();
  }
}

async function addReferences(row, film) {
  const name = row.querySelector(".character").value.trim();
  const pictures = [...row.querySelector(".pictures").files];
  if (!name || !pictures.length) return complain("Enter the character's name and choose at least one picture.");
  for (const file of pictures) {
    const query = { name, file: file.name };
    await ask("POST", `/films/${film}/reference`, { body: file, query });
  }
  row.querySelector(".pictures").value = "";
  if (["done", "here"].includes(row.dataset.state)) row.dataset.added = "yes";
}

async function showLog(row, film) {
  const place = row.querySelector(".log");
  place.hidden = !place.hidden;
  if (place.hidden) return;
  place.textContent = (await (await ask("GET", `/films/${film}/log`)).json()).log || "Nothing yet.";
  place.scrollTop = place.scrollHeight;
}

async function act(row, name) {
  const film = row.dataset.entry;
  complain("");
  try {
    if (name === "reference") await addReferences(row, film);
    else if (name === "log") await showLog(row, film);
    else await ask("POST", `/films/${film}/${name}`, { query: { user: user.value } });
  } catch (fault) {
    complain(fault.message);
  }
  await refresh();
}

function describeSize(bytes) {
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MB` : `${(bytes / 2 ** 30).toFixed(1)} GB`;
}

function makeRow(entry) {
  const row = byId("row").content.firstElementChild.cloneNode(true);
  row.dataset.entry = entry;
  row.addEventListener("click", (event) => {
    const name = event.target.dataset?.act;
    if (!name) return;
    event.preventDefault();
    act(row, name);
  });
  return row;
}

function fill(row, film) {
  const find = (selector) => row.querySelector(selector);
  const share = film.size ? film.received / film.size : 0;
  const isCut = film.state === "uploading" && !sending.has(film.entry);
  row.dataset.state = film.state;
  find(".name").textContent = film.name;
  if (["waiting", "running"].includes(film.state)) delete row.dataset.added;
  find(".who").textContent = [film.size && describeSize(film.size), film.user && `by ${film.user}`].filter(Boolean).join(", ");
  find(".state").textContent = film.is_unwanted ? "being cancelled" : WORDS[film.state];
  const isKnown = film.state === "running" && film.share !== null;
  find("progress").hidden = film.state !== "uploading" && !isKnown;
  find("progress").value = isKnown ? film.share : share;
  find(".said").textContent = film.error || film.progress || (isCut
    ? `${Math.floor(100 * share)} % uploaded: add the same file again to resume` : "")
    || (row.dataset.added ? "Run the film again to use the new references." : "");
  const references = Object.entries(film.references).map(([name, count]) => `${name} (${count})`);
  find(".references").textContent = references.length ? `References: ${references.join(", ")}` : "";
  find("[data-act=start]").hidden = !STARTABLE.includes(film.state) || film.received < film.size;
  find("[data-act=start]").textContent = START[film.state] || "Try again";
  find("[data-act=cancel]").hidden = !["uploading", "waiting", "running"].includes(film.state);
  find("[data-act=remove]").hidden = !["ready", "done", "refused", "failed", "cancelled"].includes(film.state);
  find("[data-act=log]").hidden = !film.started_at;
  find(".give").hidden = !AT_REST.includes(film.state);
  find(".board").hidden = !film.has_board;
  find(".board").href = here("/", { film: film.film_id || "" });
}

async function refresh() {
  const { films, has_sample: hasSample } = await (await ask("GET", "/films/list")).json();
  if (!hasSample) films.push(SAMPLE);
  let place = 0;
  const rows = new Map([...list.children].map((row) => [row.dataset.entry, row]));
  for (const film of films) {
    const row = rows.get(film.entry) || makeRow(film.entry);
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] || null);
    rows.delete(film.entry);
    fill(row, film);
    place += 1;
  }
  rows.forEach((row) => row.remove());
  byId("none").hidden = films.some((film) => film.entry !== "sample");
  const open = new URLSearchParams(location.search).get("film");
  const shown = films.find((film) => film.has_board && film.film_id === open) ||
    films.find((film) => film.has_board);
  byId("back").hidden = !shown;
  if (shown) byId("back").href = here("/", { film: shown.film_id });
}

async function poll() {
  for (;;) {
    await refresh().catch(() => complain("The server is not responding. Runs that have started continue."));
    await wait(POLL_MS);
  }
}

user.value = localStorage.getItem("bunny-board-user") || "";
user.addEventListener("change", () => localStorage.setItem("bunny-board-user", user.value));
byId("choose").addEventListener("change", (event) => {
  sendAll([...event.target.files]);
  event.target.value = "";
});
const drop = byId("drop");
["dragenter", "dragover"].forEach((kind) => drop.addEventListener(kind, (event) => {
  event.preventDefault();
  drop.classList.add("is-over");
}));
["dragleave", "drop"].forEach((kind) => drop.addEventListener(kind, () => drop.classList.remove("is-over")));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  sendAll([...event.dataTransfer.files]);
});
window.addEventListener("beforeunload", (event) => sending.size && event.preventDefault());
poll();
