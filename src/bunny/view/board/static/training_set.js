// The training sets: what is in each, who approved it, and the buttons that decide about it.

import { count, make, some } from "./dom.js";
import { address } from "./picture.js";

const SET_PAGE = 60; // pictures in one answer
const SET_WORD = { approved: "approved", changed: "changed since", withdrawn: "withdrawn", open: "not approved" };

function setSentence(one) {
  const when = one.at.replace("T", " ").replace("+00:00", " UTC");
  if (one.state === "approved") return `Approved by ${one.by} on ${when}.`;
  if (one.state === "changed") return `${one.by} approved this set on ${when}; it has changed since.`;
  if (one.state === "withdrawn") return `${one.by} withdrew the approval on ${when}.`;
  return "Nobody has approved this set.";
}

function setCounts(pictures) {
  const kinds = pictures.map((p) => (p.role === "class" ? "class" : p.split));
  const number = (kind) => kinds.filter((k) => k === kind).length;
  const parts = [`${some(number("train"), "picture")} to train on`];
  if (number("held-out")) parts.push(`${count(number("held-out"))} held out`);
  if (number("class")) parts.push(`${some(number("class"), "class picture")} without the character`);
  return parts.join(", ");
}

function setMark(picture) {
  const words = [];
  if (picture.role === "class") words.push("class");
  if (picture.split === "held-out") words.push("held out");
  if (picture.repeats > 1) words.push(`${picture.repeats}\u00d7`);
  if (picture.mask_file) words.push("mask");
  return words.join(", ");
}

// `tell` asks the session in Python and shows what it refuses; `named` asks for the person's name;
// `behind` is what the sets lack, in words, and `onApply` makes them again.
export function trainingSets({ over, tell, named, behind, onApply }) {
  let name = null; // whose set is shown
  let isOpen = false;

  async function show() {
    const first = await tell("sets");
    if (!first) return;
    isOpen = true;
    await over.open("Training sets", (body, close) => draw(body, first, close), "is-wide");
    isOpen = false;
  }

  async function again(body, close) {
    const answer = await tell("sets");
    if (answer && isOpen) draw(body, answer, close);
  }

  function draw(body, answer, close) {
    const one = answer.sets.find((set) => set.character === name) ?? answer.sets[0];
    if (!one) return body.replaceChildren(make("p", { text: "No character has a training set." }));
    name = one.character;
    const tabs = answer.sets.map((set) =>
      make("button", {
        type: "button",
        role: "radio",
        "aria-checked": String(set === one),
        class: `is-${set.state}`,
        text: `${set.character}: ${SET_WORD[set.state]}`,
        onclick: () => {
          name = set.character;
          draw(body, answer, close);
        },
      }),
    );
    const tiles = one.pictures.map((picture) =>
      make(
        "figure",
        { class: "bb-tile", title: picture.caption },
        make("img", { alt: picture.caption }),
        make("figcaption", { class: "bb-small", text: picture.caption }),
        make("span", { class: "bb-small bb-mark", text: setMark(picture) }),
      ),
    );
    const say = (text, extra = "") => make("p", { class: `bb-small ${extra}`, text });
    const approve = make("button", { type: "button", class: "bb-strong" });
    const withdraw = make("button", { type: "button", class: "bb-plain", text: "Withdraw approval" });
    const ready = (seen) => {
      const isAll = seen === one.pictures.length;
      approve.textContent = isAll
        ? `Approve ${some(seen, "picture")} of ${one.character}`
        : `Loading ${count(seen)} of ${some(one.pictures.length, "picture")}\u2026`;
      approve.disabled = !isAll || one.state === "approved" || Boolean(behind());
    };
    withdraw.disabled = one.state !== "approved";
    approve.addEventListener("click", () => decide(body, one, false, close));
    withdraw.addEventListener("click", () => decide(body, one, true, close));
    ready(0);
    const apply = make("button", { type: "button", class: "bb-strong", text: "Apply" });
    apply.addEventListener("click", () => {
      close();
      onApply();
    });
    const old = behind() && make(
      "div",
      { class: "bb-state is-changed bb-behind", role: "alert" },
      make("span", { text: `${behind()}. Press Apply, look at the new set, then approve it.` }),
      apply,
    );
    body.replaceChildren(
      ...(old ? [old] : []),
      make("div", { class: "bb-switch bb-sets", role: "radiogroup", "aria-label": "Character" }, ...tabs),
      make("p", { class: `bb-state is-${one.state}`, role: "status", text: setSentence(one) }),
      say(`${setCounts(one.pictures)}. ${answer.needs_approval
        ? "Training, export and publishing require approval."
        : "Training does not require approval (review.needs_approval is off)."}`),
      make("div", { class: "bb-rights" }, ...answer.rights.map((line) => say(line))),
      make("div", { class: "bb-sheet" }, ...tiles),
      make(
        "div",
        { class: "bb-actions" },
        say("Approval covers exactly these pictures, masks, captions and split."),
        withdraw,
        approve,
      ),
    );
    load(one, tiles, ready);
  }

  // Pictures come in pages; a set can be approved once all of it was shown.
  async function load(one, tiles, ready) {
    for (let at = 0; at < tiles.length; at += SET_PAGE) {
      const images = one.pictures.slice(at, at + SET_PAGE).map((picture) => picture.image_id);
      const answer = await tell("set_pictures", { images });
      if (!answer || !tiles[at].isConnected) return;
      images.forEach((_, i) => {
        const url = address(answer.buffers[i]);
        const image = tiles[at + i].querySelector("img");
        if (url) image.src = url;
        else image.replaceWith(make("div", { class: "bb-gone", text: "missing" }));
      });
      ready(Math.min(at + SET_PAGE, tiles.length));
    }
  }

  async function decide(body, one, isWithdrawn, close) {
    if (!(await named())) return;
    const { character, set_hash, num_said } = one;
    const values = { character, set_hash, num_said, is_withdrawn: isWithdrawn };
    const answer = await tell("set_decide", values);
    if (answer?.done) over.toast(answer.done, { seconds: 5 });
    await again(body, close); // after a refusal too: it shows what there is now
  }

  return { show };
}
