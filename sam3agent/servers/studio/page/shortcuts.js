// What each key does. `does` has the actions of the page.

import { find, toast } from "./dom.js";
import { bind } from "./keys.js";
import { knownObject, state } from "./state.js";

export function bindKeys(stage, does) {
  function moveCross(dx, dy, event) {
    if (!stage.crosshair) {
      if (state.count > 1 && dx) return does.seek(state.frame + dx * (event.shiftKey ? 10 : 1));
      return dx ? undefined : does.cycle(dy);
    }
    const step = (event.shiftKey ? 40 : 8) / stage.view.scale;
    stage.crosshair = stage.clamp({ x: stage.crosshair.x + dx * step, y: stage.crosshair.y + dy * step });
    const under = stage.objectAt(stage.crosshair);
    does.hover(under?.id ?? null);
    return undefined;
  }

  function crosshair() {
    stage.crosshair = stage.crosshair ? null : stage.clamp(stage.toImage(stage.middle()));
    if (stage.crosshair) find("#stage").focus({ preventScroll: true });
    does.draw();
  }

  function escape() {
    find("#words").blur();
    if (state.follow && !state.follow.ended) return does.stop();
    if (state.questions.at(-1)?.status === "running") return does.stop();
    if (stage.crosshair) stage.crosshair = null;
    else if (stage.ghosts.length) stage.ghosts = [];
    else if (state.selected) state.selected = null;
    else if (stage.tool !== "show") stage.tool = "show";
    return does.draw();
  }

  function space(minus) {
    if (stage.crosshair) return does.clicked(stage.crosshair, minus, true);
    return state.count > 1 ? does.play() : undefined;
  }

  const chosenOr = (run) => () => (knownObject(state.selected) ? run(knownObject(state.selected)) : toast("Choose an object first: click on its mask, or press the down arrow."));
  const brush = (factor) => {
    stage.radius = Math.min(400, Math.max(1, stage.radius * factor));
    stage.redraw();
  };

  bind([
    ["Find and ask", [
      ["/", "Write what to find", () => does.words("find")],
      ["q", "Write a question", does.question],
      ["r", "Find the same phrases as on the last image", () => does.again()],
      ["1 2 3", "Find this phrase, or label the chosen object with it", (event) => state.phrases[event.key - 1] && does.phrase(state.phrases[event.key - 1])],
      ["4 5 6 7 8 9", "", (event) => state.phrases[event.key - 1] && does.phrase(state.phrases[event.key - 1])],
      ["Escape", "Stop; let go of the chosen object", escape],
    ]],
    ["Go on", [
      ["Enter", "Accept and go to the next", does.accept],
      ["j PageDown", "Next image", () => does.neighbour(1)],
      ["k PageUp", "Previous image", () => does.neighbour(-1)],
      ["z Mod+z", "Undo", does.undo],
      ["Shift+z Mod+y Mod+Shift+z", "Redo", does.redo],
      ["s", "Export", does.exported],
      ["?", "This help", () => find("#help-dialog").showModal()],
    ]],
    ["Correct", [
      ["ArrowDown ArrowUp", "Choose the next or previous object", (event) => moveCross(0, event.key === "ArrowDown" ? 1 : -1, event)],
      ["Shift+ArrowDown Shift+ArrowUp", "", (event) => moveCross(0, event.key === "ArrowDown" ? 1 : -1, event)],
      ["c", "Crosshair: arrows move it", crosshair],
      ["Space", "Add the place under the crosshair; play a clip", () => space(false)],
      ["Shift+Space", "Take the place under the crosshair away", () => space(true)],
      ["x", "Keep or reject the chosen object", () => (knownObject(state.selected) && stage.tool !== "paint" ? does.keep(state.selected, !knownObject(state.selected).kept) : does.sign(!stage.adds))],
      ["l", "Rename it", chosenOr((one) => does.rename(one.id))],
      ["Delete Backspace", "Delete it", chosenOr((one) => does.remove(one.id))],
    ]],
    ["Look and tools", [
      ["v", "Show objects: click or drag a box", () => does.tool("show")],
      ["e", "Example: find everything like a box", () => does.tool("example")],
      ["p", "Paint", () => does.tool("paint")],
      ["h", "Move the image", () => does.tool("hand")],
      ["- =", "Clicks take away, or add", (event) => does.sign(event.key === "=")],
      ["[ ]", "Smaller or larger brush", (event) => brush(event.key === "]" ? 1.25 : 0.8)],
      ["m", "Show or hide masks", () => does.toggleAll()],
      ["f", "Fit the image", () => stage.fit()],
      ["i o", "Zoom in or out", (event) => stage.zoom(event.key === "i" ? 1.4 : 1 / 1.4)],
    ]],
    ["Clips", [
      ["ArrowLeft ArrowRight", "Previous or next frame", (event) => moveCross(event.key === "ArrowRight" ? 1 : -1, 0, event)],
      ["Shift+ArrowLeft Shift+ArrowRight", "Ten frames", (event) => moveCross(event.key === "ArrowRight" ? 1 : -1, 0, event)],
      ["Home End", "First or last frame", (event) => state.count > 1 && does.seek(event.key === "Home" ? 0 : state.count - 1)],
      ["t", "Follow the objects from here on", () => does.follow(false)],
      ["Shift+t", "Follow them back to the start", () => does.follow(true)],
    ]],
  ]);
}
