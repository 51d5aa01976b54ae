// The page's door to its server and its place in the browser. This is the only module that knows addresses, so that
// another transport takes its place: views inside other programs have their own, with the same exports.

/** Whether the page shows one reply inside another program. */
export const hosted = false;

/** An error with a sentence for the user. */
export class Refused extends Error {}

async function read(reply) {
  if (reply.ok) return reply.json();
  let message = `${reply.status}`;
  try {
    message = (await reply.clone().json()).error;
  } catch {
    message = await reply.text();
  }
  throw new Refused(message);
}

async function reach(address, options) {
  let reply;
  try {
    reply = await fetch(address, options);
  } catch {
    throw new Refused("The studio does not answer. Start it again in the terminal: everything is kept.");
  }
  return read(reply);
}

export const get = (path) => reach(`api/${path}`);

export const post = (name, body) =>
  reach(`api/${name}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

export const imageAddress = (item, frame = 0, side = 4096) => `api/items/${item}/image?frame=${frame}&side=${side}`;

/** A frame of an item as a bitmap. */
export async function frameImage(item, frame, side) {
  const reply = await fetch(imageAddress(item, frame, side));
  if (!reply.ok) return read(reply);
  return createImageBitmap(await reply.blob());
}

/** What was remembered in this browser; null if nothing was. */
export const remembered = (key) => JSON.parse(localStorage.getItem(key) ?? "null");

export const remember = (key, value) => localStorage.setItem(key, JSON.stringify(value));

/** The item that the address names, and naming another one. */
export const namedItem = () => location.hash.slice(1);

export const nameItem = (id) => history.replaceState(null, "", `${location.pathname}${location.search}#${id}`);

/** Listens for news: `hear(message)` for each, `connected(true or false)` when the line opens or breaks. */
export function listen(hear, connected) {
  const source = new EventSource("api/events");
  source.onopen = () => connected(true);
  source.onerror = () => connected(false);
  source.onmessage = (event) => hear(JSON.parse(event.data));
}

/** Exports, and saves the file through the browser. */
export async function download(format, which) {
  const reply = await fetch(`api/export/${format}?which=${which}`);
  if (!reply.ok) return read(reply);
  const name = /filename\*?=(?:utf-8'')?"?([^";]+)/i.exec(reply.headers.get("content-disposition") ?? "");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await reply.blob());
  link.download = name ? decodeURIComponent(name[1]) : `${format}.zip`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return link.download;
}
