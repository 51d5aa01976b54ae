// The tools beside the image, and the hint below it.

import { find, icon, make } from "./dom.js";
import { knownObject, state } from "./state.js";

const TOUCH = matchMedia("(pointer: coarse)").matches;
const AWAY = TOUCH ? "press long" : "right click";
const AGAIN = TOUCH ? "Tap “Find again here”" : "Press R";

const TOOLS = [
  ["show", "Show: click an object, or drag a box around it (V)"], ["example", "Example: drag a box, find everything like it (E)"],
  ["paint", "Paint or erase (P)"], ["hand", "Move the image (H)"],
];

export function drawTools(stage, does) {
  const button = (name, title, pressed, onclick, extra = "") =>
    make(`button.tool${extra}`, { type: "button", title, "aria-label": title, "aria-pressed": String(pressed), onclick }, icon(name));
  find("#tools").replaceChildren(
    ...TOOLS.map(([name, title]) => button(name, title, stage.tool === name, () => does.tool(name))),
    make("hr"),
    button("plus", "Clicks and paint add (X)", stage.adds, () => does.sign(true), ".plus"),
    button("minus", "Clicks and paint take away (X)", !stage.adds, () => does.sign(false), ".minus"),
    make("hr"),
    button("fit", "Fit the image (F)", false, () => stage.fit()),
  );
  stage.canvas.dataset.tool = stage.tool;
  stage.canvas.classList.toggle("minus", !stage.adds);
}

/** What can be done now, in one sentence. */
export function hint(stage) {
  if (state.problem || !state.id) return "";
  if (document.body.classList.contains("busy")) return state.warm ? "Working …" : "Loading the model, a few seconds …";
  if (stage.tool === "example") return "Drag a box around one example: everything like it is found.";
  if (stage.tool === "paint") return `${stage.adds ? "Paint on" : "Erase from"} ${state.selected ? "the chosen object" : "the image to start an object"}. [ and ] change the brush, X the sign.`;
  if (stage.crosshair) return "Arrows move the crosshair, Space adds this place, Shift+Space takes it away, Esc leaves.";
  if (knownObject(state.selected)) return stage.adds ? `Click beside the mask to add a part; ${AWAY} to take one away. Click the mask when done.` : "Click a part to take it away. Choose + to add again.";
  if (!state.objects.length && state.recent.length) return `${AGAIN} to find ${state.recent.join(", ")}.`;
  return state.objects.length ? "Click a mask to choose it, or an object without one to add it." : "";
}
