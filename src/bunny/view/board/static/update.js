// The line that says whether the training sets are out of date, and the run that makes them again.

import { make } from "./dom.js";

export function updateLine({ onApply }) {
  const text = make("span", { class: "bb-update-text" });
  const bar = make("progress", { max: "1", "aria-label": "Progress" });
  const apply = make("button", {
    type: "button",
    class: "bb-strong",
    text: "Apply",
    title: "Update captions and training sets with the corrections",
    onclick: onApply,
  });
  const element = make("div", { class: "bb-update", role: "status" }, text, bar, apply);
  element.hidden = true;
  let wasRunning = false;

  return {
    element,
    // Shows what the session told; gives whether a run has just ended well.
    show(update) {
      const hasEnded = wasRunning && !update.is_running && !update.error;
      wasRunning = update.is_running;
      element.hidden = !update.text && !update.is_running && !update.error;
      element.classList.toggle("is-bad", Boolean(update.error));
      bar.hidden = !update.is_running;
      apply.hidden = update.is_running;
      bar.value = update.share;
      const said = update.error ? `The run failed: ${update.error}` : update.text;
      text.textContent = update.is_running ? `Updating the training sets: ${update.progress}` : said;
      text.title = text.textContent;
      return hasEnded;
    },
  };
}
