// A clip: play, scrub, lanes that show where each object has a mask, and following.

import { frameImage, get } from "./api.js";
import { find, icon, make, plural } from "./dom.js";

const AHEAD = 12;
const KEPT = 160;

/** Frames of the open clip, loaded ahead and kept for a while. */
export class Frames {
  constructor(id, side) {
    this.id = id;
    this.side = side;
    this.images = new Map();
  }

  async image(frame) {
    if (!this.images.has(frame)) {
      const load = frameImage(this.id, frame, this.side);
      load.catch(() => this.images.delete(frame));
      this.images.set(frame, load);
      while (this.images.size > KEPT) this.images.delete(this.images.keys().next().value);
    }
    return this.images.get(frame);
  }

  ahead(frame, count) {
    for (let next = frame + 1; next <= Math.min(frame + AHEAD, count - 1); next++) this.image(next).catch(() => {});
  }
}

/** The masks on some frames. */
export const masksBetween = (id, first, last) => get(`items/${id}/masks?frame=${first}&last=${last}`);

/** The bar below the image: built once per clip by `build`, then brought up to date by `draw`. */
export function drawClip(state, does) {
  const box = find("#clip");
  box.hidden = state.count < 2;
  if (state.count < 2) return;
  if (box.dataset.item !== state.id) build(box, state, does);
  const scrub = box.querySelector("input");
  scrub.value = state.frame;
  box.querySelector(".now").textContent = `${clock(state.frame / state.rate)}  frame ${state.frame} of ${state.count - 1}`;
  box.querySelector(".play").replaceChildren(icon(state.playing ? "pause" : "play"));
  box.querySelector(".play").title = state.playing ? "Pause (Space)" : "Play (Space)";
  const running = state.follow && !state.follow.ended;
  const { done = 0, total = 1 } = state.follow ?? {};
  box.querySelector(".follow").hidden = running;
  const progress = box.querySelector(".following");
  progress.hidden = !running;
  progress.querySelector("span").textContent = total ? `Following: ${done} of ${plural(total, "frame")}` : "Following";
  progress.querySelector("progress").value = total ? done / total : 0;
  box.querySelector(".lanes").replaceChildren(...state.objects.filter((one) => one.kept).slice(0, 8).map((one) => lane(one, state, does)));
  box.querySelector(".needle").style.left = `${(100 * state.frame) / Math.max(1, state.count - 1)}%`;
}

function build(box, state, does) {
  box.dataset.item = state.id;
  const scrub = make("input", { type: "range", min: 0, max: state.count - 1, step: 1, value: 0, oninput: () => does.seek(Number(scrub.value)) });
  scrub.setAttribute("aria-label", "Frame");
  box.replaceChildren(
    make("div.bar", {},
      make("button.icon.play", { type: "button", onclick: does.play }, icon("play")),
      make("span.now", { role: "status" }),
      make("span.follow", {},
        make("button.quiet", { type: "button", onclick: () => does.follow(true), title: "Follow the objects back to the start (Shift+T)" }, icon("back"), " Back"),
        make("button.quiet", { type: "button", onclick: () => does.follow(false), title: "Follow the objects from here to the end (T)" }, "Follow on ", icon("on"), " ", make("kbd", {}, "T"))),
      make("span.following", { hidden: true }, make("span"), make("progress", { max: 1, value: 0 }), make("button.quiet", { type: "button", onclick: does.stop }, "Stop ", make("kbd", {}, "Esc")))),
    make("div.track", {}, scrub, make("div.lanes"), make("div.needle")),
  );
}

function lane(one, state, does) {
  const last = Math.max(1, state.count - 1);
  const row = make(`div.lane${one.id === state.selected ? ".chosen" : ""}`, { title: one.label, onclick: () => does.choose(one.id) });
  for (const [from, to] of one.spans ?? []) {
    const part = make("span.span");
    part.style.left = `${(100 * from) / last}%`;
    part.style.width = `max(3px, ${(100 * (to - from)) / last}%)`;
    part.style.background = one.colour;
    row.append(part);
  }
  for (const at of one.shown ?? []) {
    const key = make("span.shown", { title: `Shown on frame ${at}` });
    key.style.left = `${(100 * at) / last}%`;
    row.append(key);
  }
  return row;
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}.${Math.floor((seconds - whole) * 10)}`;
}
