// The page: its state, what can be done, and news from the server. Panels draw the state; the stage shows the image.

import { Refused, download, get, imageAddress, listen, post } from "./api.js";
import { Frames, drawClip, masksBetween } from "./clip.js";
import { find, icon, make, plural, toast } from "./dom.js";
import { bind } from "./keys.js";
import { maskOf } from "./masks.js";
import { drawFilm, drawObjects, drawPhrases, editLabel } from "./panels.js";
import { candidates, drawQuestions } from "./questions.js";
import { Stage } from "./stage.js";

const state = {
  title: "", items: [], labels: [], weights: "", // of the studio
  id: null, name: "", kind: "image", size: { width: 1, height: 1 }, count: 1, rate: 1, frame: 0, version: -1, // of the item
  accepted: false, undo: null, redo: null, objects: [], questions: [], follow: null, firstImage: null,
  selected: null, hidden: new Set(), masksShown: true, playing: false, status: "", warm: false, // of this tab
  phrases: [], label: "", mode: "find", problem: "",
};
const small = new URLSearchParams(location.search).has("small");
document.documentElement.classList.toggle("small", small);

const stage = new Stage(find("#stage"), {
  click: (place, minus, extend) => clicked(place, minus, extend),
  box: (box) => (stage.tool === "example" ? act("like", { boxes: [box], label: state.label }) : select(null, () => act("click", { box, label: state.label }))),
  stroke: (points, radius, adds) => act("paint", { object: state.selected, stroke: points, radius, add: adds, label: state.label }),
  hover: (id) => hover(id),
});
let frames = null;
let line = Promise.resolve();
let waiting = 0;

// Doing things: one after the other, so that quick clicks build on each other

function act(name, body = {}, { quiet = false } = {}) {
  const { id, frame } = state;
  if (!id || state.problem) return Promise.resolve(null);
  const started = performance.now();
  waiting += 1;
  setTimeout(showBusy, 150);
  line = line.then(async () => {
    try {
      const reply = await post(name, { item: id, frame, ...body });
      performance.measure(`studio:${name}`, { start: started });
      if (reply.objects && id === state.id) {
        stage.ghosts = [];
        if (reply.object) state.selected = reply.object;
        take(reply);
        if (!quiet) told(name, reply, body);
      }
      return reply;
    } catch (error) {
      report(error);
      return null;
    } finally {
      waiting -= 1;
      showBusy();
    }
  });
  return line;
}

function showBusy() {
  document.body.classList.toggle("busy", waiting > 0);
  find("#hint").textContent = hint();
}

function report(error) {
  if (!(error instanceof Refused)) console.error(error);
  toast(error.message, "bad");
}

/** What to say after a change that is not plain to see. */
function told(name, reply, body) {
  const one = reply.objects.find((other) => other.id === reply.object);
  if (name === "click" && one && one.score < 0.5) toast(`A weak mask (${one.score.toFixed(2)}): click again to correct it, or press Z to undo.`);
  else if (name === "click" && one && body.object === null && !state.phrases.length) toast(`Added as “${one.label}”. Press L to name it.`);
}

const knownObject = (id) => state.objects.find((one) => one.id === id);

function clicked(place, minus, extend) {
  if (stage.crosshair) stage.crosshair = place;
  const under = stage.masksShown ? stage.objectAt(place) : null;
  const subtract = minus || !stage.adds;
  const chosen = knownObject(state.selected);
  if (under && under.id !== state.selected && !extend && !(chosen && subtract)) return select(under.id);
  if (subtract && !chosen) return toast("Choose an object first: click on its mask.");
  if (stage.tool === "example") return toast("Drag a box around one example: everything like it is found.");
  return act("click", { object: state.selected, click: [place.x, place.y, subtract ? 0 : 1], label: state.label });
}

async function findPhrases(phrases) {
  if (!phrases.length) return toast("Write what to find, e.g. red ball. A comma separates several.");
  const before = new Set(state.objects.map((one) => one.id));
  remember(phrases);
  const reply = await act("find", { phrases }, { quiet: true });
  if (!reply?.objects || reply.id !== state.id) return undefined;
  const fresh = reply.objects.filter((one) => !before.has(one.id) && one.kept);
  const counts = phrases.map((phrase) => `${phrase} ${fresh.filter((one) => one.label === phrase).length}`);
  const there = reply.objects.filter((one) => phrases.includes(one.label) && one.kept).length;
  if (fresh.length) return toast(`Found: ${counts.join(", ")}`, "good");
  const weak = reply.objects.filter((one) => phrases.includes(one.label) && !one.kept).length;
  return toast(there ? "Nothing new: these objects are there already." : weak ? `Only weak matches: see Rejected (${weak}).` : `No ${phrases.join(", no ")} here. Click the object to show it.`);
}

function remember(phrases) {
  state.phrases = [...new Set([...state.phrases, ...phrases])].slice(-9);
  state.label = phrases[0];
  localStorage.setItem(`phrases:${state.title}`, JSON.stringify(state.phrases));
  drawPhrases(state, does);
}

function usePhrase(phrase) {
  state.label = phrase;
  if (knownObject(state.selected)) return act("edit", { objects: [state.selected], label: phrase });
  return findPhrases([phrase]);
}

async function ask(question) {
  state.status = "starting";
  state.questionOpen = true;
  const asked = await act("ask", { question });
  if (asked?.id) put(asked);
}

function submit(event) {
  event.preventDefault();
  const words = find("#words").value.trim();
  if (!words) return toast(state.mode === "find" ? "Write what to find, e.g. red ball." : "Write a question, e.g. leftmost player in white.");
  find("#words").value = "";
  find("#stage").focus({ preventScroll: true });
  return state.mode === "ask" ? ask(words) : findPhrases(words.split(",").map((part) => part.trim().replace(/\s+/g, " ")).filter(Boolean));
}

async function accept() {
  if (!state.id) return;
  const next = nextOpen();
  const reply = state.problem ? true : state.accepted ? true : await act("accept", { accepted: true });
  if (!reply) return;
  await refreshItems();
  if (next) await open(next.id);
  else if (state.items.every((item) => item.accepted || item.problem)) {
    draw();
    toast("Everything is accepted.", "good");
    exportDialog();
  } else toast("The others are open: choose one on the left.");
}

function nextOpen() {
  const at = state.items.findIndex((item) => item.id === state.id);
  const order = [...state.items.slice(at + 1), ...state.items.slice(0, at)];
  return order.find((item) => !item.accepted && !item.problem);
}

function neighbour(by) {
  const at = state.items.findIndex((item) => item.id === state.id) + by;
  if (state.items[at]) open(state.items[at].id);
}

// Choosing and showing

function select(id, then) {
  state.selected = id;
  stage.ghosts = [];
  draw();
  return then?.();
}

function cycle(by) {
  const order = state.objects.filter((one) => one.kept && one.mask);
  if (!order.length) return;
  const at = order.findIndex((one) => one.id === state.selected);
  select(order[(at + by + order.length) % order.length].id);
}

function hover(id) {
  document.querySelectorAll(".object").forEach((row) => row.classList.toggle("hovered", row.dataset.object === String(id)));
  stage.hovered = id;
  stage.canvas.classList.toggle("over", id !== null);
  const one = knownObject(id);
  find("#hint").textContent = one ? `${one.label} ${one.id}. ${one.why}` : hint();
  stage.redraw();
}

function hint() {
  if (state.problem || !state.id) return "";
  if (document.body.classList.contains("busy")) return state.warm ? "Working …" : "Loading the model, a few seconds …";
  if (stage.tool === "example") return "Drag a box around one example: everything like it is found.";
  if (stage.tool === "paint") return `${stage.adds ? "Paint on" : "Erase from"} ${state.selected ? "the chosen object" : "the image to start an object"}. [ and ] change the brush, X the sign.`;
  if (stage.crosshair) return "Arrows move the crosshair, Space adds this place, Shift+Space takes it away, Esc leaves.";
  if (state.selected) return `Click to add a part${stage.adds ? ", right click to take one away" : " is off: clicks take parts away"}. Esc when done.`;
  if (!state.objects.length && state.phrases.length) return `Press R to find ${state.phrases.slice(0, 4).join(", ")} here.`;
  return state.objects.length ? "Click a mask to choose it, or an object without one to add it." : "";
}

function setTool(tool) {
  stage.tool = tool;
  if (tool !== "paint") stage.pointer = null;
  draw();
}

function setSign(adds) {
  stage.adds = adds;
  draw();
}

const does = {
  open, hover, choose: select, follow: (backward) => follow(backward), play, stop, seek: (frame) => { state.playing = false; seek(frame); },
  phrase: usePhrase,
  again: () => findPhrases(state.phrases),
  keep: (id, kept) => act("edit", { objects: [id], kept }),
  remove: (id) => act("remove", { objects: [id] }).then(() => select(null)),
  rename: (id) => editLabel(id, knownObject(id)?.label ?? "", [...new Set([...state.phrases, ...state.labels])], (name) => {
    if (name && name !== knownObject(id)?.label) {
      remember([name]);
      act("edit", { objects: [id], label: name });
    } else draw();
    find("#stage").focus({ preventScroll: true });
  }),
  toggle: (id) => {
    if (!state.hidden.delete(id)) state.hidden.add(id);
    draw();
  },
  toggleAll: () => {
    state.masksShown = stage.masksShown = !state.masksShown;
    draw();
  },
  ghost: (one) => {
    stage.ghosts = one ? [one] : [];
    stage.redraw();
  },
};

const undo = () => (state.undo ? act("undo") : toast("There is nothing to undo."));
const redo = () => (state.redo ? act("redo") : toast("There is nothing to do again."));

// Clips

async function seek(frame) {
  const to = Math.min(Math.max(frame, 0), state.count - 1);
  const { id } = state;
  state.frame = to;
  drawClip(state, does);
  try {
    const [image, masks] = await Promise.all([frames.image(to), masksBetween(id, to, to)]);
    if (state.id !== id || state.frame !== to) return;
    place(masks.frames[to]);
    stage.show(image, state.size, true);
    frames.ahead(to, state.count);
    draw();
  } catch (error) {
    report(error);
  }
}

async function play() {
  if (state.count < 2) return;
  state.playing = !state.playing;
  if (state.frame >= state.count - 1) state.frame = 0;
  const { id } = state;
  let known = {};
  let due = performance.now();
  while (state.playing && state.id === id && state.frame < state.count - 1) {
    const next = state.frame + 1;
    if (!known[next]) known = (await masksBetween(id, next, Math.min(next + 31, state.count - 1))).frames;
    const image = await frames.image(next);
    frames.ahead(next, state.count);
    due = Math.max(due + 1000 / state.rate, performance.now());
    await new Promise((done) => setTimeout(done, due - performance.now()));
    if (!state.playing || state.id !== id) break;
    state.frame = next;
    place(known[next] ?? {});
    stage.show(image, state.size, true);
    show();
    drawClip(state, does);
  }
  if (state.id === id) {
    state.playing = false;
    draw();
  }
}

async function follow(backward) {
  if (state.count < 2) return;
  state.playing = false;
  await act("follow", { backward });
}

function stop() {
  post("stop", { item: state.id }).catch(report);
}

// Taking what the server says

function place(masks) {
  for (const one of state.objects) {
    const counts = masks[one.shape];
    one.mask = counts ? maskOf(`${one.shape}:${state.frame}`, counts, state.size.height) : null;
  }
}

function take(view) {
  const { id, name, kind, count, rate, version, accepted, undo: before, redo: after } = view;
  Object.assign(state, { id, name, kind, count, rate: rate || 1, version, accepted, undo: before, redo: after, problem: "" });
  state.size = { width: view.width, height: view.height };
  state.objects = view.objects;
  if (view.frame === state.frame) place(view.masks);
  else if (state.count > 1) seek(state.frame);
  if (!knownObject(state.selected)) state.selected = null;
  const item = state.items.find((other) => other.id === id);
  if (item) Object.assign(item, { accepted, count: view.objects.filter((one) => one.kept).length });
  draw();
}

function put(question) {
  const at = state.questions.findIndex((one) => one.id === question.id);
  if (at < 0) state.questions.push(question);
  else if (question.steps.length >= state.questions[at].steps.length || question.status !== "running") state.questions[at] = question;
  const seen = [...candidates(question, state.size.height).values()];
  stage.ghosts = seen.filter((one) => (question.status === "running" ? one.verdict !== "reject" : one.chosen));
  drawQuestions(state, does);
  stage.redraw();
}

async function open(id) {
  if (!id) return;
  Object.assign(state, { id, frame: 0, selected: null, playing: false, questions: [], follow: null, firstImage: null, objects: [], status: "", questionOpen: true, problem: "" });
  state.hidden.clear();
  stage.ghosts = [];
  history.replaceState(null, "", `${location.pathname}${location.search}#${id}`);
  drawFilm(state, does);
  find(".current")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  const side = Math.min(4096, Math.max(512, Math.round(Math.max(innerWidth, innerHeight) * devicePixelRatio)));
  frames = new Frames(id, 4096);
  const item = state.items.find((one) => one.id === id);
  if (item?.kind === "clip") frames.side = side;
  try {
    const [view, image, questions] = await Promise.all([get(`items/${id}`), frames.image(0), get(`items/${id}/questions`)]);
    if (state.id !== id) return;
    state.firstImage = image;
    state.questions = questions;
    if (item) item.problem = "";
    take(view);
    stage.show(image, state.size);
    if (state.count > 1) frames.ahead(0, state.count);
    post("warm", { item: id }).then(({ notice }) => {
      state.warm = true;
      if (state.id === id) warned(notice);
    }).catch(() => {});
    prepare();
  } catch (error) {
    if (state.id !== id) return;
    state.problem = error.message;
    if (item) item.problem = error.message;
    stage.show(null, { width: 1, height: 1 });
    draw();
  }
}

let noticed = false;
function warned(notice) {
  if (notice && !noticed) toast(`${notice}.`);
  noticed ||= Boolean(notice);
}

/** Load the next image ahead, and let the server encode it. */
function prepare() {
  const next = nextOpen();
  if (next && next.kind === "image") {
    new Image().src = imageAddress(next.id);
    setTimeout(() => post("warm", { item: next.id }).catch(() => {}), 800);
  }
}

async function refreshItems() {
  const { title, items, labels, weights } = await get("items");
  const problems = new Map(state.items.map((item) => [item.id, item.problem]));
  Object.assign(state, { title, labels, weights, items: items.map((item) => ({ ...item, problem: problems.get(item.id) ?? "" })) });
  drawTop();
  drawFilm(state, does);
}

async function reload() {
  if (state.id && !state.problem) {
    const [view, questions] = await Promise.all([get(`items/${state.id}?frame=${state.frame}`), get(`items/${state.id}/questions`)]);
    if (view.id !== state.id) return;
    state.questions = questions;
    take(view);
  }
}

let refreshing = null;
const hear = {
  hello: () => Promise.all([refreshItems(), reload()]).catch(report),
  sheet: ({ item, version }) => {
    if (item === state.id && version !== state.version && !waiting) reload().catch(report);
    clearTimeout(refreshing);
    refreshing = setTimeout(() => refreshItems().catch(report), 300);
  },
  question: ({ item, question }) => {
    if (item !== state.id) return;
    put(question);
    if (question.status !== "running") reload().catch(report);
  },
  status: ({ item, text }) => {
    if (item !== state.id) return;
    state.status = text;
    drawQuestions(state, does);
  },
  follow: (news) => {
    if (news.item !== state.id) return;
    state.follow = news;
    if (news.problem) toast(news.problem, "bad");
    if (news.ended) {
      reload().then(() => seek(news.frame)).catch(report);
    } else if (!state.playing && news.frame !== state.frame) {
      state.frame = news.frame;
      seek(news.frame);
    } else drawClip(state, does);
  },
};

// Drawing

function show() {
  stage.objects = state.objects.map((one) => ({
    ...one, selected: one.id === state.selected,
    visible: !state.hidden.has(one.id) && (one.kept || one.id === state.selected || one.id === stage.hovered),
  }));
  const chosen = knownObject(state.selected);
  stage.dots = chosen?.clicks[state.frame] ?? [];
  stage.redraw();
}

function drawTop() {
  const accepted = state.items.filter((item) => item.accepted).length;
  document.title = state.name ? `${state.name} – studio` : "sam3agent studio";
  find("#title").textContent = state.title;
  find("#progress").textContent = state.items.length > 1 ? `${accepted} of ${state.items.length} accepted` : "";
  const [back, again] = [find("#undo"), find("#redo")];
  back.disabled = !state.undo;
  again.disabled = !state.redo;
  back.title = state.undo ? `Undo: ${state.undo} (Z)` : "Nothing to undo";
  again.title = state.redo ? `Redo: ${state.redo} (Shift+Z)` : "Nothing to do again";
}

function draw() {
  show();
  drawTop();
  drawFilm(state, does);
  drawPhrases(state, does);
  drawObjects(state, does);
  drawQuestions(state, does);
  drawClip(state, does);
  drawTools();
  const blank = find("#blank");
  blank.hidden = !state.problem && state.items.length > 0;
  blank.replaceChildren(...(state.problem ? [make("strong", {}, "This file cannot be opened"), make("p", {}, state.problem)]
    : [make("strong", {}, "There are no images here"), make("p", {}, "Start the studio with images, clips or a folder: sam3agent studio photos/")]));
  const last = !nextOpen();
  find("#accept").firstChild.textContent = state.problem ? (last ? "Skip " : "Skip to next ") : state.accepted ? (last ? "Accepted " : "Accepted, next ") : last ? "Accept " : "Accept and next ";
  find("#accept").classList.toggle("done", state.accepted);
  find("#hint").textContent = hint();
  find("#words").placeholder = state.mode === "find" ? "what to find, e.g. red ball, player" : "a question, e.g. leftmost player in white";
  find("#go").textContent = state.mode === "find" ? "Find all" : "Ask";
}

const TOOLS = [
  ["show", "Show: click an object, or drag a box around it (V)"], ["example", "Example: drag a box, find everything like it (E)"],
  ["paint", "Paint or erase (P)"], ["hand", "Move the image (H)"],
];

function drawTools() {
  const button = (name, title, pressed, onclick, extra = "") =>
    make(`button.tool${extra}`, { type: "button", title, "aria-label": title, "aria-pressed": String(pressed), onclick }, icon(name));
  find("#tools").replaceChildren(
    ...TOOLS.map(([name, title]) => button(name, title, stage.tool === name, () => setTool(name))),
    make("hr"),
    button("plus", "Clicks and paint add (X)", stage.adds, () => setSign(true), ".plus"),
    button("minus", "Clicks and paint take away (X)", !stage.adds, () => setSign(false), ".minus"),
    make("hr"),
    button("fit", "Fit the image (F)", false, () => stage.fit()),
  );
  stage.canvas.dataset.tool = stage.tool;
  stage.canvas.classList.toggle("minus", !stage.adds);
}

// Export

const FORMATS = [
  ["coco", "COCO", "one JSON file with run-length masks"], ["yolo", "YOLO", "polygons per image, with the images"],
  ["png", "PNG", "a black and white file per mask"], ["label-studio", "Label Studio", "brush masks to import as tasks"],
];

function exportDialog() {
  const dialog = find("#export-dialog");
  const accepted = state.items.filter((item) => item.accepted).length;
  const any = state.items.filter((item) => item.accepted || item.count).length;
  const choice = (name, value, title, note, checked) =>
    make("label.choice", {}, make("input", { type: "radio", name, value, checked }), make("span", {}, make("strong", {}, title), note));
  const form = make(
    "form", { method: "dialog" },
    make("h2", { id: "export-title" }, "Export"),
    make("div.choices", {}, ...FORMATS.map(([value, title, note], at) => choice("format", value, title, note, at === 0))),
    make("div.choices.short", {}, choice("which", "accepted", `Accepted (${accepted})`, "", accepted > 0), choice("which", "all", `All with objects (${any})`, "", accepted === 0)),
    make("div.row", {}, make("button.main", { value: "ok", disabled: !any }, "Save file"), make("button.quiet", { value: "" }, "Cancel")),
  );
  dialog.replaceChildren(form);
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue !== "ok") return;
    const values = new FormData(form);
    download(values.get("format"), values.get("which")).then((name) => toast(`Saved ${name}`, "good")).catch(report);
  };
  dialog.showModal();
  form.querySelector(":checked").focus();
}

// Keys

function moveCross(dx, dy, event) {
  if (!stage.crosshair) {
    if (state.count > 1 && dx) return seek(state.frame + dx * (event.shiftKey ? 10 : 1));
    if (state.count < 2 && !dx) return cycle(dy);
    return undefined;
  }
  const step = (event.shiftKey ? 40 : 8) / stage.view.scale;
  stage.crosshair = stage.clamp({ x: stage.crosshair.x + dx * step, y: stage.crosshair.y + dy * step });
  const under = stage.objectAt(stage.crosshair);
  hover(under?.id ?? null);
  return undefined;
}

function crosshair() {
  stage.crosshair = stage.crosshair ? null : stage.clamp(stage.toImage(stage.middle()));
  if (stage.crosshair) find("#stage").focus({ preventScroll: true });
  draw();
}

function escape() {
  find("#words").blur();
  if (state.follow && !state.follow.ended) return stop();
  if (state.questions.at(-1)?.status === "running") return stop();
  if (stage.crosshair) stage.crosshair = null;
  else if (stage.ghosts.length) stage.ghosts = [];
  else if (state.selected) state.selected = null;
  else if (stage.tool !== "show") stage.tool = "show";
  return draw();
}

function space(minus) {
  if (stage.crosshair) return clicked(stage.crosshair, minus, true);
  return state.count > 1 ? play() : undefined;
}

function focusWords(mode) {
  state.mode = mode;
  find(`[name=mode][value=${mode}]`).checked = true;
  draw();
  find("#words").focus();
}

const chosenOr = (run) => () => (knownObject(state.selected) ? run(knownObject(state.selected)) : toast("Choose an object first: click on its mask, or press Tab in the list."));
const brush = (factor) => {
  stage.radius = Math.min(400, Math.max(1, stage.radius * factor));
  stage.redraw();
};

bind([
  ["Find and ask", [
    ["/", "Write what to find", () => focusWords("find")],
    ["q", "Write a question", () => focusWords("ask")],
    ["r", "Find all phrases in this image", () => does.again()],
    ["1 2 3", "Find this phrase, or label the chosen object with it", (event) => state.phrases[event.key - 1] && usePhrase(state.phrases[event.key - 1])],
    ["4 5 6 7 8 9", "", (event) => state.phrases[event.key - 1] && usePhrase(state.phrases[event.key - 1])],
    ["Escape", "Stop; let go of the chosen object", escape],
  ]],
  ["Go on", [
    ["Enter", "Accept and go to the next", accept],
    ["j PageDown", "Next image", () => neighbour(1)],
    ["k PageUp", "Previous image", () => neighbour(-1)],
    ["z Mod+z", "Undo", undo],
    ["Shift+z Mod+y Mod+Shift+z", "Redo", redo],
    ["s", "Export", exportDialog],
    ["?", "This help", () => find("#help-dialog").showModal()],
  ]],
  ["Correct", [
    ["ArrowDown ArrowUp", "Choose the next or previous object", (event) => moveCross(0, event.key === "ArrowDown" ? 1 : -1, event)],
    ["Shift+ArrowDown Shift+ArrowUp", "", (event) => moveCross(0, event.key === "ArrowDown" ? 1 : -1, event)],
    ["c", "Crosshair: arrows move it", crosshair],
    ["Space", "Add the place under the crosshair; play a clip", () => space(false)],
    ["Shift+Space", "Take the place under the crosshair away", () => space(true)],
    ["x", "Keep or reject the chosen object", () => (knownObject(state.selected) && stage.tool !== "paint" ? does.keep(state.selected, !knownObject(state.selected).kept) : setSign(!stage.adds))],
    ["l", "Rename it", chosenOr((one) => does.rename(one.id))],
    ["Delete Backspace", "Delete it", chosenOr((one) => does.remove(one.id))],
  ]],
  ["Look and tools", [
    ["v", "Show objects: click or drag a box", () => setTool("show")],
    ["e", "Example: find everything like a box", () => setTool("example")],
    ["p", "Paint", () => setTool("paint")],
    ["h", "Move the image", () => setTool("hand")],
    ["- =", "Clicks take away, or add", (event) => setSign(event.key === "=")],
    ["[ ]", "Smaller or larger brush", (event) => brush(event.key === "]" ? 1.25 : 0.8)],
    ["m", "Show or hide masks", () => does.toggleAll()],
    ["f", "Fit the image", () => stage.fit()],
    ["i o", "Zoom in or out", (event) => stage.zoom(event.key === "i" ? 1.4 : 1 / 1.4)],
  ]],
  ["Clips", [
    ["ArrowLeft ArrowRight", "Previous or next frame", (event) => moveCross(event.key === "ArrowRight" ? 1 : -1, 0, event)],
    ["Shift+ArrowLeft Shift+ArrowRight", "Ten frames", (event) => moveCross(event.key === "ArrowRight" ? 1 : -1, 0, event)],
    ["Home End", "First or last frame", (event) => state.count > 1 && seek(event.key === "Home" ? 0 : state.count - 1)],
    ["t", "Follow the objects from here on", () => follow(false)],
    ["Shift+t", "Follow them back to the start", () => follow(true)],
  ]],
]);

// Start

function wire() {
  find("#prompt").onsubmit = submit;
  document.querySelectorAll("[name=mode]").forEach((radio) => { radio.onchange = () => focusWords(radio.value); });
  document.querySelectorAll("[data-icon]").forEach((button) => button.prepend(icon(button.dataset.icon)));
  find("#undo").onclick = undo;
  find("#redo").onclick = redo;
  find("#export").onclick = exportDialog;
  find("#help").onclick = () => find("#help-dialog").showModal();
  find("#accept").onclick = accept;
  drawTools();
}

async function start() {
  wire();
  try {
    await refreshItems();
    const stored = JSON.parse(localStorage.getItem(`phrases:${state.title}`) ?? "[]");
    state.phrases = [...new Set([...stored, ...state.labels])].filter((label) => label !== "object").slice(0, 9);
    state.label = state.phrases[0] ?? "";
    draw();
    const named = state.items.find((item) => item.id === location.hash.slice(1));
    await open((named ?? state.items.find((item) => !item.accepted) ?? state.items[0])?.id);
  } catch (error) {
    report(error);
  }
  let first = true;
  listen((news) => {
    if (news.kind === "hello" && first) first = false;
    else hear[news.kind]?.(news);
  }, (connected) => document.body.classList.toggle("offline", !connected));
}

start();
