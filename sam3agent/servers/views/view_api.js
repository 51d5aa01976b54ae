// The page's door inside a host of MCP Apps: JSON-RPC over postMessage. It has the same exports as the studio's api.js.

import { find, icon, make } from "./dom.js";

export const hosted = true;

/** An error with a sentence for the user. */
export class Refused extends Error {}

const PROTOCOL = "2026-01-26";
const VIEW = "sam3agent/view"; // key in the _meta of a reply: the id of its view
const HOST_SECONDS = 15; // a host that has not answered by then is none
const FRAME_SIDE = 1600; // of images, in pixels; more would make messages long
const FRAMES = 8; // in one message
const NEWS = 300; // milliseconds between two looks at how far work is

// The host

const waiting = new Map();
let number = 0;
let context = {};

const send = (message) => parent.postMessage({ jsonrpc: "2.0", ...message }, "*");

function request(method, params) {
  number += 1;
  const id = number;
  send({ id, method, params });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

let given = {}; // the arguments of the call that is shown
let resultCame, resultFailed;
const view = new Promise((resolve, reject) => [resultCame, resultFailed] = [resolve, reject]);
view.catch(() => {});

const notifications = {
  "ui/notifications/tool-input": (input) => {
    given = input.arguments ?? {};
    say("Working …");
  },
  "ui/notifications/tool-result": (result) => {
    if (result.isError) resultFailed(new Refused(wordsOf(result)));
    else if (result._meta?.[VIEW]) resultCame(result._meta[VIEW]);
    else latest().then(resultCame, resultFailed); // a host that keeps the _meta to itself
  },
  "ui/notifications/tool-cancelled": ({ reason } = {}) => resultFailed(new Refused(reason ? `Cancelled: ${reason}` : "This call was cancelled.")),
  "ui/notifications/host-context-changed": (changed) => dress(changed),
};

addEventListener("message", ({ source, data }) => {
  if (source !== parent || data?.jsonrpc !== "2.0") return;
  if (data.method && data.id !== undefined) {
    const known = ["ping", "ui/resource-teardown"].includes(data.method);
    send({ id: data.id, ...(known ? { result: {} } : { error: { code: -32601, message: `${data.method} is not known here` } }) });
  } else if (data.method) {
    notifications[data.method]?.(data.params ?? {});
  } else if (waiting.has(data.id)) {
    const { resolve, reject } = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error) reject(new Refused(data.error.message ?? "The program that shows this page refused."));
    else resolve(data.result ?? {});
  }
});

/** Take over what the host says of its looks and of the room that there is. */
function dress(changed = {}) {
  context = { ...context, ...changed };
  const root = document.documentElement;
  if (context.theme) root.style.colorScheme = context.theme;
  const { top = 0, right = 0, bottom = 0, left = 0 } = context.safeAreaInsets ?? {};
  document.body.style.padding = [top, right, bottom, left].map((inset) => `${inset}px`).join(" ");
  const others = (context.availableDisplayModes ?? []).includes("fullscreen");
  find("#full").hidden = !others;
  find("#full").title = context.displayMode === "fullscreen" ? "Leave the full screen" : "Full screen";
  resize();
}

let shape = null; // width and height of the image, and whether it is a clip

/** Ask for as much height as the image needs at this width. */
function resize() {
  const { height, maxHeight = 640 } = context.containerDimensions ?? {};
  if (height || context.displayMode === "fullscreen" || !shape) return;
  const beside = innerWidth > 620 ? 240 : 0;
  const image = Math.min(Math.max((innerWidth - beside) * (shape.height / shape.width), 260), 520);
  const wanted = Math.round(Math.min(image + 48 + (shape.clip ? 96 : 0) + (beside ? 0 : 190), maxHeight));
  if (Math.abs(wanted - innerHeight) > 4) send({ method: "ui/notifications/size-changed", params: { width: innerWidth, height: wanted } });
}

/** A sentence in place of the image. */
function say(title, text = "") {
  const blank = find("#blank");
  blank.hidden = false;
  blank.replaceChildren(make("strong", {}, title), text ? make("p", {}, text) : "");
}

async function connect() {
  find("#actions").append(make("button.icon", { id: "full", hidden: true, onclick: changeMode }, icon("fit")));
  addEventListener("resize", resize);
  const nobody = setTimeout(() => say("Nobody answers", "This page is shown by programs that speak MCP Apps."), HOST_SECONDS * 1000);
  const reply = await request("ui/initialize", {
    protocolVersion: PROTOCOL, appInfo: { name: "sam3agent masks", version: "1" }, appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
  });
  clearTimeout(nobody);
  dress(reply.hostContext);
  send({ method: "ui/notifications/initialized", params: {} });
}

async function changeMode() {
  const mode = context.displayMode === "fullscreen" ? "inline" : "fullscreen";
  dress({ displayMode: (await request("ui/request-display-mode", { mode })).mode });
}

connect().catch((error) => resultFailed(error));

// The server

const wordsOf = (result) => (result.content ?? []).filter((part) => part.type === "text").map((part) => part.text).join("\n").replace(/^Error executing tool \w+: /, "");

async function call(name, given) {
  const result = await request("tools/call", { name, arguments: given });
  if (result.isError) throw new Refused(wordsOf(result));
  return result.structuredContent ?? {};
}

const latest = async () => (await call("view_look", { view: "0".repeat(12), what: "latest", numbers: { image: /^data:/i.test(given.image) ? "" : given.image } })).view;

/** A message that comes in parts, put together. */
async function whole(id, first) {
  if (!first.part) return first;
  let text = first.text;
  for (let index = 1; index < first.count; index++) {
    text += (await call("view_look", { view: id, what: "part", numbers: { part: first.part, index } })).text;
  }
  return JSON.parse(text);
}

async function look(what, numbers = {}) {
  const id = await view;
  let seen = await call("view_look", { view: id, what, numbers });
  while (seen.working !== undefined) {
    say("Working …", seen.working);
    await new Promise((done) => setTimeout(done, NEWS));
    seen = await call("view_look", { view: id, what, numbers });
  }
  return whole(id, seen);
}

let started;
const start = () => (started ??= look("start"));

const SIGHTS = {
  items: async () => (await start()).listing,
  questions: async () => (await start()).questions,
  masks: (numbers) => look("masks", numbers),
  sheet: async (numbers) => {
    const sheet = await look("sheet", numbers);
    document.documentElement.classList.add("filled");
    shape = { width: sheet.width, height: sheet.height, clip: sheet.count > 1 };
    resize();
    return sheet;
  },
};

export function get(path) {
  const { pathname, searchParams } = new URL(path, "http://view/");
  const [, , item, what = "sheet"] = pathname.split("/");
  return SIGHTS[item ? what : "items"](Object.fromEntries([...searchParams].map(([name, value]) => [name, Number(value)])));
}

export async function post(name, { item: _, ...body }) {
  const id = await view;
  const reply = await whole(id, await call("view_change", { view: id, action: name, body }));
  if (name === "follow") tellFollowing();
  return name === "accept" ? tellModel(reply) : reply;
}

/** Give the accepted selection to the model: with the next message of the user, or as a message. */
async function tellModel({ ids, words, files }) {
  const masks = `${ids.length} mask${ids.length === 1 ? "" : "s"}`;
  const content = [{ type: "text", text: words }];
  const ways = [
    ["ui/update-model-context", { content, structuredContent: { masks: ids, ...files } }],
    ["ui/message", { role: "user", content }],
  ];
  for (const [method, params] of ways) {
    try {
      const { isError } = await request(method, params);
      if (!isError) return { told: `Accepted ${masks}: the assistant knows with your next message.`, sent: true };
    } catch {
      continue;
    }
  }
  return { told: `Accepted ${masks}, but the assistant cannot be told from here: write that it should use ${ids.length ? `masks ${ids.join(", ")}` : "none of the masks"}.`, sent: false };
}

let hear = () => {};

/** Hosts send no news of the server, so it is asked as long as objects are followed. */
async function tellFollowing() {
  for (let ended = false; !ended; ) {
    await new Promise((done) => setTimeout(done, NEWS));
    const news = await look("news").catch(() => ({ ended: true }));
    if (news.kind) hear(news);
    ended = news.ended !== false;
  }
}

export function listen(listener, connected) {
  hear = listener;
  connected(true);
}

// Frames: those that are asked for at the same time come in one message

const wanted = new Map();

export function frameImage(_item, frame, side) {
  if (!wanted.size) setTimeout(fetchFrames);
  return new Promise((resolve, reject) => wanted.set(frame, { resolve, reject, side: Math.min(side, FRAME_SIDE) }));
}

async function fetchFrames() {
  const asked = [...wanted];
  wanted.clear();
  for (let at = 0; at < asked.length; at += FRAMES) {
    const part = new Map(asked.slice(at, at + FRAMES));
    try {
      const { images } = await look("images", { frames: [...part.keys()], side: Math.max(...[...part.values()].map((one) => one.side)) });
      for (const { frame, jpeg } of images) {
        const bytes = Uint8Array.from(atob(jpeg), (letter) => letter.charCodeAt(0));
        part.get(frame).resolve(await createImageBitmap(new Blob([bytes], { type: "image/jpeg" })));
      }
    } catch (error) {
      for (const one of part.values()) one.reject(error);
    }
  }
}

// What a view does not have: pictures of other items, a place in the browser, and downloads

export const imageAddress = () => "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";

export const remembered = () => null;

export const remember = () => {};

export const namedItem = () => "";

export const nameItem = () => {};

export async function download() {
  throw new Refused("Files are written when you accept the masks.");
}
