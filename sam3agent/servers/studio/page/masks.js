// Masks: from COCO run lengths to pixels inside a box, a tinted bitmap and an outline.

const BITMAP_PIXELS = 1 << 20;

/** The runs of COCO's compressed counts, beginning with background. */
export function runsOf(counts) {
  const runs = [];
  for (let at = 0; at < counts.length; ) {
    let value = 0, shift = 0, more = true;
    while (more) {
      const code = counts.charCodeAt(at++) - 48;
      value |= (code & 31) << shift;
      shift += 5;
      more = (code & 32) !== 0;
      if (!more && code & 16) value |= -1 << shift;
    }
    runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value);
  }
  return runs;
}

/** A decoded mask: bits (w x h, by rows) inside the box at x, y of its image. */
export class Mask {
  constructor(counts, height) {
    const spans = [];
    let position = 0, left = Infinity, right = -1, top = Infinity, bottom = -1;
    runsOf(counts).forEach((length, index) => {
      if (index % 2 && length) {
        const end = position + length - 1;
        const first = Math.floor(position / height), last = Math.floor(end / height);
        left = Math.min(left, first);
        right = Math.max(right, last);
        top = Math.min(top, first === last ? position % height : 0);
        bottom = Math.max(bottom, first === last ? end % height : height - 1);
        spans.push(position, end);
      }
      position += length;
    });
    this.x = left;
    this.y = top;
    this.w = right - left + 1;
    this.h = bottom - top + 1;
    this.area = 0;
    this.bits = new Uint8Array(Math.max(0, this.w * this.h));
    for (let i = 0; i < spans.length; i += 2) {
      this.area += spans[i + 1] - spans[i] + 1;
      for (let p = spans[i]; p <= spans[i + 1]; p++) {
        const column = Math.floor(p / height);
        this.bits[(p - column * height - top) * this.w + column - left] = 1;
      }
    }
  }

  has(x, y) {
    const column = Math.floor(x) - this.x, row = Math.floor(y) - this.y;
    return column >= 0 && row >= 0 && column < this.w && row < this.h && this.bits[row * this.w + column] === 1;
  }

  /** A place well inside the mask, for its number: the middle of the longest run of its middle rows. */
  get anchor() {
    if (this.place) return this.place;
    let best = { length: 0, x: this.w / 2, y: this.h / 2 };
    for (const part of [0.5, 0.42, 0.58, 0.3, 0.7, 0.1, 0.9]) {
      const row = Math.min(this.h - 1, Math.floor(this.h * part));
      for (let column = 0, start = -1; column <= this.w; column++) {
        const on = column < this.w && this.bits[row * this.w + column] === 1;
        if (on && start < 0) start = column;
        if (!on && start >= 0) {
          if (column - start > 1.15 * best.length) best = { length: column - start, x: (start + column) / 2, y: row + 0.5 };
          start = -1;
        }
      }
    }
    return (this.place = { x: this.x + best.x, y: this.y + best.y });
  }

  /** The mask in one colour; a large one is made smaller. */
  bitmap(colour) {
    if (this.tinted?.colour === colour) return this.tinted.canvas;
    const step = Math.max(1, Math.ceil(Math.sqrt((this.w * this.h) / BITMAP_PIXELS)));
    const width = Math.ceil(this.w / step), height = Math.ceil(this.h / step);
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const words = new Uint32Array(image.data.buffer);
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    const word = (255 << 24) | (blue << 16) | (green << 8) | red;
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        if (this.bits[row * step * this.w + column * step]) words[row * width + column] = word;
      }
    }
    context.putImageData(image, 0, 0);
    this.tinted = { colour, canvas };
    return canvas;
  }

  /** The edges of the mask in image pixels, as straight lines. */
  get outline() {
    if (this.path) return this.path;
    const path = new Path2D();
    const { w, h, bits, x, y } = this;
    const at = (column, row) => (column >= 0 && row >= 0 && column < w && row < h ? bits[row * w + column] : 0);
    for (let row = 0; row <= h; row++) {
      for (let column = 0, start = -1; column <= w; column++) {
        const edge = column < w && at(column, row - 1) !== at(column, row);
        if (edge && start < 0) start = column;
        if (!edge && start >= 0) {
          path.moveTo(x + start, y + row);
          path.lineTo(x + column, y + row);
          start = -1;
        }
      }
    }
    for (let column = 0; column <= w; column++) {
      for (let row = 0, start = -1; row <= h; row++) {
        const edge = row < h && at(column - 1, row) !== at(column, row);
        if (edge && start < 0) start = row;
        if (!edge && start >= 0) {
          path.moveTo(x + column, y + start);
          path.lineTo(x + column, y + row);
          start = -1;
        }
      }
    }
    return (this.path = path);
  }
}

const decoded = new Map();
const MOST = 600;

/** The decoded mask of a shape on a frame; decoded once. */
export function maskOf(key, counts, height) {
  const known = decoded.get(key);
  if (known?.counts === counts) return known.mask;
  const mask = new Mask(counts, height);
  decoded.set(key, { counts, mask });
  if (decoded.size > MOST) decoded.delete(decoded.keys().next().value);
  return mask;
}

/** A close-up of a mask as a small canvas, with the mask outlined. */
export function closeUp(image, size, mask, colour, side) {
  const margin = Math.max(12, Math.max(mask.w, mask.h) * 0.25);
  const span = Math.max(mask.w, mask.h) + 2 * margin;
  const left = mask.x + mask.w / 2 - span / 2, top = mask.y + mask.h / 2 - span / 2;
  const canvas = document.createElement("canvas");
  const dense = Math.round(side * Math.min(2, devicePixelRatio));
  canvas.width = canvas.height = dense;
  const context = canvas.getContext("2d");
  const scale = dense / span, ratio = image.width / size.width;
  context.imageSmoothingQuality = "high";
  context.drawImage(image, left * ratio, top * ratio, span * ratio, span * ratio, 0, 0, dense, dense);
  context.setTransform(scale, 0, 0, scale, -left * scale, -top * scale);
  context.lineWidth = 3.5 / scale;
  context.strokeStyle = "#fff";
  context.stroke(mask.outline);
  context.lineWidth = 1.8 / scale;
  context.strokeStyle = colour;
  context.stroke(mask.outline);
  return canvas;
}
