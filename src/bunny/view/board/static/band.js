// The rubber band: a rectangle that is drawn with the mouse from an empty place.

import { make } from "./dom.js";

const EDGE_PX = 24; // from an edge of the list, where it scrolls along
const SCROLL_PX = 18;

// `onStretch` is given [x0, y0, x1, y1] of the list's content, as long as the button is held.
export function stretch(event, list, sizer, onStretch) {
  const box = list.getBoundingClientRect();
  const at = (e) => [
    e.clientX - box.left + list.scrollLeft,
    e.clientY - box.top + list.scrollTop,
  ];
  const start = at(event);
  const band = make("div", { class: "bb-band" });
  sizer.append(band);
  const drag = (e) => {
    const now = at(e);
    const [x0, x1] = [Math.min(start[0], now[0]), Math.max(start[0], now[0])];
    const [y0, y1] = [Math.min(start[1], now[1]), Math.max(start[1], now[1])];
    Object.assign(band.style, {
      left: `${x0}px`,
      top: `${y0}px`,
      width: `${x1 - x0}px`,
      height: `${y1 - y0}px`,
    });
    if (e.clientY > box.bottom - EDGE_PX) list.scrollTop += SCROLL_PX;
    if (e.clientY < box.top + EDGE_PX) list.scrollTop -= SCROLL_PX;
    onStretch([x0, y0, x1, y1]);
  };
  const done = () => {
    band.remove();
    window.removeEventListener("mousemove", drag);
    window.removeEventListener("mouseup", done);
  };
  window.addEventListener("mousemove", drag);
  window.addEventListener("mouseup", done);
  event.preventDefault();
}
