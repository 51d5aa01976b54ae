// The page: its state, what can be done, and news from the server. Panels draw the state; the stage shows the image.

import { Refused, get, hosted, imageAddress, listen, nameItem, namedItem, post, remember, remembered } from "./api.js";
import { Frames, drawClip, masksBetween } from "./clip.js";
import { find, icon, make, plural, toast } from "./dom.js";
import { exportDialog } from "./export_dialog.js";
import { maskOf } from "./masks.js";
import { drawFilm, drawObjects, drawPhrases, editLabel } from "./panels.js";
import { candidates, drawQuestions } from "./questions.js";
import { bindKeys } from "./shortcuts.js";
import { Stage } from "./stage.js";
import { knownObject, nextOpen, state } from "./state.js";
import { drawTools, hint } from "./toolbar.js";

const MOST_REJECTED = 12; // rejected masks that a view always shows; more would hide the image
let recent = { item: null, phrases: [] }; // what was searched on the image where something was searched last
if (new URLSearchParams(location.search).has("small")) document.documentElement.classList.add("small");

const stage = new Stage(find("#stage"), {
  click: (place, minus, extend) => clicked(place, minus, extend),
  box: (box) => (stage.tool === "example" ? act("like", { boxes: [box], label: knownObject(state.selected)?.label ?? state.label }) : select(null, () => act("click", { box, label: state.label }))),
  stroke: (points, radius, adds) => act("paint", { object: state.selected, stroke: points, radius, add: adds, label: state.label }),
  hover: (id) => hover(id),
});
if (hosted) Object.assign(stage, { numbered: true, toolsWidth: 48 });
let frames = null;
let line = Promise.resolve();
let waiting = 0;
let sought = Promise.resolve();

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
      if (reply.objects && id === state.id) {
        stage.ghosts = [];
        if (reply.object) state.selected = reply.object;
        take(reply);
        requestAnimationFrame(() => performance.measure(`studio:${name}`, { start: started })); // when it is drawn
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
  find("#hint").textContent = hint(stage);
}

function report(error) {
  if (!(error instanceof Refused)) console.error(error);
  toast(error.message, "bad");
}

/** What to say after a change that is not plain to see. */
function told(name, reply, body) {
  const one = reply.objects.find((other) => other.id === reply.object);
  if (one && body.object !== undefined && body.object !== null) return;
  if (name === "click" && one?.score < 0.5) toast(`A weak mask (${one.score.toFixed(2)}): click again to correct it, or ${hosted ? "undo" : "press Z to undo"}.`);
  else if (one && hosted) toast(`Added as mask ${one.id}, “${one.label}”.`);
  else if (one) toast(`Added as “${one.label}”. ${state.phrases.length > 1 ? "A number chooses another label, " : ""}L names it.`);
  else if (name === "edit" && body.label) toast(`Labelled as “${body.label}”.${hosted ? "" : " Z undoes it."}`);
}

async function clicked(place, minus, extend) {
  await sought; // the masks of the frame in view
  if (stage.crosshair) stage.crosshair = place;
  if (stage.tool === "example") return toast("Drag a box around one example: everything like it is found.");
  const under = stage.masksShown ? stage.objectAt(place) : null;
  const subtract = minus || !stage.adds;
  const chosen = knownObject(state.selected);
  if (subtract && !chosen) return toast("Choose an object first: click on its mask.");
  if (under && under.id !== state.selected && !extend && !subtract) return select(under.id);
  if (chosen?.mask && chosen.mask.has(place.x, place.y) !== subtract) {
    if (!subtract && !extend) return select(null);
    return toast(subtract ? "This place is not part of the object." : "This place is part of the object already.");
  }
  const corrects = chosen && (subtract || extend || !chosen.mask || near(place, chosen.mask));
  return act("click", { object: corrects ? chosen.id : null, click: [place.x, place.y, subtract ? 0 : 1], label: state.label });
}

/** Whether a click belongs to a mask: one farther away shows another object. */
function near({ x, y }, mask) {
  const margin = Math.max(20 / stage.view.scale, 0.25 * Math.max(mask.w, mask.h));
  return x > mask.x - margin && y > mask.y - margin && x < mask.x + mask.w + margin && y < mask.y + mask.h + margin;
}

async function findPhrases(phrases) {
  if (!phrases.length) return toast("Write what to find, e.g. red ball. A comma separates several.");
  const before = new Set(state.objects.map((one) => one.id));
  usedPhrases(phrases);
  const reply = await act("find", { phrases }, { quiet: true });
  if (!reply?.objects || reply.id !== state.id) return undefined;
  const fresh = reply.objects.filter((one) => !before.has(one.id) && one.kept);
  const counts = phrases.map((phrase) => `${phrase} ${fresh.filter((one) => one.label === phrase).length}`);
  const there = reply.objects.filter((one) => phrases.includes(one.label) && one.kept).length;
  if (fresh.length) return toast(`Found ${counts.join(", ")}`, "good");
  const weak = reply.objects.filter((one) => phrases.includes(one.label) && !one.kept).length;
  return toast(there ? "Nothing new: these objects are there already." : weak ? `Only weak matches: see Rejected (${weak}).` : `No ${phrases.join(", no ")} here. Click the object to show it.`);
}

function usedPhrases(phrases) {
  state.phrases = [...new Set([...state.phrases, ...phrases])].slice(-9);
  state.label = phrases[0];
  recent = { item: state.id, phrases: recent.item === state.id ? [...new Set([...recent.phrases, ...phrases])] : phrases };
  state.recent = recent.phrases;
  remember(`phrases:${state.title}`, state.phrases);
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
  if (hosted) {
    const reply = await act("accept");
    if (reply) toast(reply.told, reply.sent ? "good" : "");
    return;
  }
  const next = nextOpen();
  const reply = state.problem ? true : state.accepted ? true : await act("accept", { accepted: true });
  if (!reply) return;
  if (next) await open(next.id);
  else if (state.items.every((item) => item.accepted || item.problem)) {
    draw();
    toast(`Done: ${plural(state.items.filter((item) => item.accepted).length, "item")} accepted.`, "good");
    does.exported();
  } else toast("The others are open: choose one on the left.");
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
  find("#hint").textContent = one ? `${one.label} ${one.id}. ${one.why}` : hint(stage);
  stage.redraw();
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

const undo = () => (state.undo ? act("undo") : toast("There is nothing to undo."));
const redo = () => (state.redo ? act("redo") : toast("There is nothing to do again."));

const does = {
  open, hover, draw, clicked, cycle, stop, accept, neighbour, undo, redo, choose: select, tool: setTool, sign: setSign,
  words: focusWords, exported: hosted ? undefined : () => exportDialog(report), question: hosted ? undefined : () => focusWords("ask"), follow: (backward) => follow(backward), play, stop, seek: (frame) => { state.playing = false; seek(frame); },
  phrase: usePhrase,
  again: () => findPhrases(state.recent),
  keep: (id, kept) => act("edit", { objects: [id], kept }),
  remove: (id) => act("remove", { objects: [id] }).then(() => select(null)),
  rename: (id) => editLabel(id, knownObject(id)?.label ?? "", [...new Set([...state.phrases, ...state.labels])], (name) => {
    if (name && name !== knownObject(id)?.label) {
      usedPhrases([name]);
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
    stage.ghosts = one?.frame === state.frame ? [one] : [];
    stage.redraw();
  },
  imageOf: (frame) => frames.image(frame),
};


// Clips

function seek(frame) {
  sought = showFrame(frame);
  return sought;
}

async function showFrame(frame) {
  const to = Math.min(Math.max(frame, 0), state.count - 1);
  const { id } = state;
  state.frame = to;
  stage.ghosts = stage.ghosts.filter((one) => one.frame === to);
  drawClip(state, does);
  try {
    const [image, masks] = await Promise.all([frames.image(to), masksBetween(id, to, to)]);
    if (state.id !== id || state.frame !== to) return;
    place(masks.frames[to]);
    state.seen = to;
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
  stage.ghosts = [];
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
  const named = state.objects.filter((one) => one.kept && one.label !== "object").map((one) => one.label);
  state.phrases = [...new Set([...state.phrases, ...named])].slice(0, 9);
  const item = state.items.find((other) => other.id === id);
  if (item) Object.assign(item, { accepted, count: view.objects.filter((one) => one.kept).length });
  draw();
}

function put(question) {
  const at = state.questions.findIndex((one) => one.id === question.id);
  if (at < 0) state.questions.push(question);
  else if (question.steps.length >= state.questions[at].steps.length || question.status !== "running") state.questions[at] = question;
  const seen = [...candidates(question, state.size.height).values()];
  stage.ghosts = seen.filter((one) => one.frame === state.frame && (question.status === "running" ? one.verdict !== "reject" : one.chosen));
  drawQuestions(state, does);
  stage.redraw();
}

async function open(id) {
  if (!id) return;
  Object.assign(state, { id, frame: 0, selected: null, playing: false, questions: [], follow: null, firstImage: null, objects: [], status: "", questionOpen: true, problem: "" });
  state.hidden.clear();
  stage.ghosts = [];
  nameItem(id);
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
  if (notice && !noticed && !hosted) toast(`${notice}.`);
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

const hear = {
  hello: () => Promise.all([refreshItems(), reload()]).catch(report),
  sheet: ({ item, version, accepted, count }) => {
    if (item === state.id && version !== state.version && !waiting) reload().catch(report);
    const known = state.items.find((other) => other.id === item);
    if (!known) return;
    Object.assign(known, { accepted, count });
    drawTop();
    drawFilm(state, does);
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
    const watched = state.frame === (state.follow?.ended === false ? state.follow.frame : state.frame);
    state.follow = news;
    if (news.problem) toast(news.problem, "bad");
    if (news.ended) {
      reload().then(() => watched && seek(news.frame)).catch(report);
    } else if (!state.playing && watched && news.frame !== state.frame) {
      state.frame = news.frame;
      seek(news.frame);
    } else drawClip(state, does);
  },
};

// Drawing

function show() {
  const few = hosted && state.objects.filter((one) => !one.kept).length <= MOST_REJECTED;
  stage.objects = state.objects.map((one) => ({
    ...one, selected: one.id === state.selected,
    visible: !state.hidden.has(one.id) && (one.kept || few || one.id === state.selected || one.id === stage.hovered),
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
  drawTools(stage, does);
  const blank = find("#blank");
  blank.hidden = !state.problem && state.items.length > 0;
  blank.replaceChildren(...(state.problem ? [make("strong", {}, hosted ? "These masks cannot be shown" : "This file cannot be opened"), make("p", {}, state.problem)]
    : [make("strong", {}, "There are no images here"), make("p", {}, "Start the studio with images, clips or a folder: sam3agent studio photos/")]));
  const kept = state.objects.filter((one) => one.kept).length;
  find("#accept").firstChild.textContent = `${hosted ? acceptThese(kept) : acceptAnd(!nextOpen(), kept)} `;
  find("#accept").classList.toggle("done", state.accepted);
  find("#hint").textContent = hint(stage);
  find("#words").placeholder = state.mode === "find" ? "what to find, e.g. red ball, player" : "a question, e.g. leftmost player in white";
  find("#go").textContent = state.mode === "find" ? "Find all" : "Ask";
}

const acceptThese = (kept) => `Accept ${kept === 1 ? "this mask" : kept ? `these ${kept} masks` : "none"}`;

/** What the button does; an image without objects is accepted as one that shows none of them. */
function acceptAnd(last, kept) {
  if (state.problem) return last ? "Skip" : "Skip to next";
  const words = state.accepted ? "Accepted" : kept ? "Accept" : "Accept as empty";
  return last ? words : state.accepted || !kept ? `${words}, next` : `${words} and next`;
}

function focusWords(mode) {
  state.mode = mode;
  find(`[name=mode][value=${mode}]`).checked = true;
  draw();
  find("#words").focus();
}

// Start

function wire() {
  bindKeys(stage, does);
  find("#prompt").onsubmit = submit;
  document.querySelectorAll("[name=mode]").forEach((radio) => { radio.onchange = () => focusWords(radio.value); });
  document.querySelectorAll("[data-icon]").forEach((button) => button.prepend(icon(button.dataset.icon)));
  find("#undo").onclick = undo;
  find("#redo").onclick = redo;
  find("#export").onclick = does.exported;
  find("#help").onclick = () => find("#help-dialog").showModal();
  find("#accept").onclick = accept;
  // A button that was clicked lets go of the keyboard, so that Enter accepts instead of pressing it again.
  addEventListener("click", (event) => {
    const pressed = event.detail > 0 && document.activeElement?.closest("button, summary");
    if (pressed && !find("dialog[open]")) find("#stage").focus({ preventScroll: true });
  });
  drawTools(stage, does);
}

async function start() {
  wire();
  try {
    await refreshItems();
    const stored = remembered(`phrases:${state.title}`) ?? [];
    state.phrases = [...new Set([...stored, ...state.labels])].filter((label) => label !== "object").slice(0, 9);
    state.label = state.phrases[0] ?? "";
    state.recent = state.phrases;
    draw();
    const named = state.items.find((item) => item.id === namedItem());
    const order = [named, ...state.items.filter((item) => !item.accepted), state.items[0]].filter(Boolean);
    for (const item of order.slice(0, 20)) {
      await open(item.id);
      if (!state.problem) break;
      if (item !== order.at(-1)) toast(`Skipped ${item.name}: ${state.problem}`, "bad");
    }
  } catch (error) {
    report(error);
    state.problem = error.message;
    draw();
  }
  let first = true;
  listen((news) => {
    if (news.kind === "hello" && first) first = false;
    else hear[news.kind]?.(news);
  }, (connected) => document.body.classList.toggle("offline", !connected));
}

start();

// For a page that embeds the studio, and for its tests.
globalThis.studio = { state, stage, open };
