// The image with its masks on a canvas: looking (zoom, move) and showing (click, box, brush, crosshair).
// It knows nothing of the server; `on` has what happens: click, box, stroke, hover.

import { Pointers } from "./pointers.js";

const MOST_ZOOM = 40;
const SETTLE = 110; // milliseconds without movement after which masks are drawn sharply again

export class Stage {
  constructor(canvas, on) {
    this.canvas = canvas;
    this.on = on;
    this.context = canvas.getContext("2d");
    this.image = null;
    this.size = { width: 1, height: 1 };
    this.objects = [];
    this.ghosts = [];
    this.dots = [];
    this.tool = "show";
    this.adds = true;
    this.radius = 14;
    this.masksShown = true;
    this.numbered = false;
    this.toolsWidth = 70;
    this.crosshair = null;
    this.view = { scale: 1, x: 0, y: 0 };
    this.fitted = true;
    this.drag = null;
    this.hovered = null;
    this.movedAt = 0;
    this.layer = null; // the masks as last drawn: canvas, view and what was on it
    this.levels = []; // the image at full, half, quarter … size
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
    new Pointers(this);
  }

  // Content

  show(image, size, keepView) {
    const same = keepView && size.width === this.size.width && size.height === this.size.height;
    if (image !== this.image) this.levels = image ? [image] : [];
    this.image = image;
    this.size = size;
    if (!same) this.fit();
    this.redraw();
  }

  fit() {
    const { width, height } = this.box();
    const margin = Math.min(28, width / 20);
    const left = width > 380 ? Math.max(this.toolsWidth, margin) : margin; // the tools lie over the left edge
    const scale = Math.min((width - left - margin) / this.size.width, (height - 2 * margin) / this.size.height);
    const x = Math.max(left, (width - this.size.width * scale) / 2);
    this.view = { scale, x, y: (height - this.size.height * scale) / 2 };
    this.fitted = true;
    this.redraw();
  }

  zoom(factor, at = this.middle()) {
    const { width } = this.box();
    const least = Math.min(0.05, width / this.size.width / 4);
    const scale = Math.min(MOST_ZOOM, Math.max(least, this.view.scale * factor));
    const image = this.toImage(at);
    this.view = { scale, x: at.x - image.x * scale, y: at.y - image.y * scale };
    this.movedAt = performance.now();
    this.fitted = false;
    this.redraw();
  }

  move(dx, dy) {
    this.view.x += dx;
    this.view.y += dy;
    this.movedAt = performance.now();
    this.fitted = false;
    this.redraw();
  }

  // Geometry

  box() {
    return { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
  }

  middle() {
    const { width, height } = this.box();
    return { x: width / 2, y: height / 2 };
  }

  toImage({ x, y }) {
    return { x: (x - this.view.x) / this.view.scale, y: (y - this.view.y) / this.view.scale };
  }

  inside({ x, y }) {
    return x >= 0 && y >= 0 && x < this.size.width && y < this.size.height;
  }

  clamp({ x, y }) {
    return { x: Math.min(Math.max(x, 0), this.size.width - 1), y: Math.min(Math.max(y, 0), this.size.height - 1) };
  }

  /** The smallest visible object at a place of the image. */
  objectAt({ x, y }) {
    const hits = this.objects.filter((one) => one.visible && one.mask?.has(x, y));
    return hits.sort((a, b) => a.mask.area - b.mask.area)[0] ?? null;
  }

  // Drawing, once per frame of the screen

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  resize() {
    const { width, height } = this.box();
    const dense = devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(width * dense));
    this.canvas.height = Math.max(1, Math.round(height * dense));
    if (this.fitted) this.fit();
    this.draw();
  }

  draw() {
    const { context, view, canvas } = this;
    const dense = canvas.width / Math.max(1, canvas.clientWidth);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.image) return;
    this.place(context, dense);
    context.imageSmoothingEnabled = view.scale < 4;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.level(view.scale * dense), 0, 0, this.size.width, this.size.height);
    if (this.masksShown) {
      this.drawLayer(dense);
      const strong = this.objects.filter((one) => one.id === this.hovered && one.visible && !one.selected && one.mask?.w > 0);
      for (const one of strong) this.drawMask(context, one, 1 / view.scale, true);
      context.setLineDash([5 / view.scale, 4 / view.scale]);
      for (const one of this.ghosts) this.line(context, one.mask.outline, one.colour, 1.8, 1 / view.scale, true);
      context.setLineDash([]);
      if (this.numbered) this.drawNumbers(1 / view.scale);
    }
    this.drawPrompts(1 / view.scale);
  }

  place(context, dense) {
    const { scale, x, y } = this.view;
    context.setTransform(scale * dense, 0, 0, scale * dense, x * dense, y * dense);
  }

  /** The smallest copy of the image that is at least as large as it is shown: scaling a large one down is slow. */
  level(scale) {
    const wanted = this.size.width * scale;
    while (this.levels.at(-1).width >= 2 * wanted && this.levels.at(-1).width > 256) {
      const larger = this.levels.at(-1);
      const half = new OffscreenCanvas(Math.ceil(larger.width / 2), Math.ceil(larger.height / 2));
      const context = half.getContext("2d");
      context.imageSmoothingQuality = "high";
      context.drawImage(larger, 0, 0, half.width, half.height);
      this.levels.push(half);
    }
    return this.levels.findLast((one) => one.width >= wanted) ?? this.image;
  }

  /** All masks, from a layer that is drawn anew if what is on it has changed, or some time after the last movement. */
  drawLayer(dense) {
    const { context, canvas, view } = this;
    const shown = this.objects.filter((one) => one.visible && one.mask?.w > 0);
    const content = shown.map(({ mask, colour, kept, selected }) => [mask, colour, kept, selected]).flat();
    const known = this.layer;
    const same = known?.content.length === content.length && content.every((part, at) => part === known.content[at]);
    const fits = known?.canvas.width === canvas.width && known.canvas.height === canvas.height;
    const { scale, x, y } = known?.view ?? {};
    const still = scale === view.scale && x === view.x && y === view.y;
    const moving = performance.now() - this.movedAt < SETTLE;
    if (!same || !fits || (!still && !moving)) {
      this.layer = { canvas: fits ? known.canvas : new OffscreenCanvas(canvas.width, canvas.height), view: { ...view }, content };
      this.paintLayer(shown, dense);
    } else if (!still) {
      clearTimeout(this.settling);
      this.settling = setTimeout(() => this.redraw(), SETTLE + 10);
    }
    const from = this.layer.view, ratio = view.scale / from.scale;
    context.setTransform(ratio, 0, 0, ratio, (view.x - from.x * ratio) * dense, (view.y - from.y * ratio) * dense);
    context.drawImage(this.layer.canvas, 0, 0);
    this.place(context, dense);
  }

  paintLayer(shown, dense) {
    const context = this.layer.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.layer.canvas.width, this.layer.canvas.height);
    this.place(context, dense);
    for (const one of shown.sort((a, b) => b.mask.area - a.mask.area)) this.drawMask(context, one, 1 / this.view.scale, one.selected);
  }

  drawMask(context, { mask, colour, kept, selected }, pixel, strong) {
    const active = this.objects.some((one) => one.selected);
    context.imageSmoothingEnabled = false;
    context.globalAlpha = kept ? (selected ? 0.34 : active ? 0.2 : 0.36) : strong ? 0.16 : 0;
    if (context.globalAlpha) context.drawImage(mask.bitmap(colour), mask.x, mask.y, mask.w, mask.h);
    context.globalAlpha = active && !strong ? 0.75 : 1;
    context.setLineDash(kept ? [] : [4 * pixel, 4 * pixel]);
    this.line(context, mask.outline, colour, strong ? 2.6 : 1.4, pixel, strong);
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  /** The number of every mask on a plate in its colour. */
  drawNumbers(pixel) {
    const { context } = this;
    context.font = `600 ${12 * pixel}px ui-sans-serif, system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const one of this.objects.filter(({ visible, mask }) => visible && mask?.w > 0)) {
      const { x, y } = one.mask.anchor, text = String(one.id);
      const height = 17 * pixel, width = Math.max(height, context.measureText(text).width + 9 * pixel);
      context.beginPath();
      context.roundRect(x - width / 2, y - height / 2, width, height, 5 * pixel);
      context.globalAlpha = one.kept ? 1 : 0.75;
      context.fillStyle = one.selected ? "#ffffff" : "#16181be0";
      context.fill();
      context.lineWidth = 1.5 * pixel;
      context.strokeStyle = one.colour;
      context.stroke();
      context.fillStyle = one.selected ? "#16181b" : "#ffffff";
      context.fillText(text, x, y + 0.5 * pixel);
      context.globalAlpha = 1;
    }
  }

  line(context, path, colour, width, pixel, halo) {
    context.lineCap = "square";
    if (halo) {
      context.lineWidth = (width + 2) * pixel;
      context.strokeStyle = "rgba(255,255,255,.9)";
      context.stroke(path);
    }
    context.lineWidth = width * pixel;
    context.strokeStyle = colour;
    context.stroke(path);
  }

  drawPrompts(pixel) {
    const { context, drag } = this;
    for (const [x, y, label] of this.dots) this.dot(x, y, label, pixel);
    if (drag?.kind === "box" && drag.to) {
      context.lineWidth = 1.5 * pixel;
      context.setLineDash([6 * pixel, 4 * pixel]);
      context.strokeStyle = this.tool === "example" ? "#ffb020" : "#fff";
      context.shadowColor = "rgba(0,0,0,.7)";
      context.shadowBlur = 3;
      context.strokeRect(drag.from.x, drag.from.y, drag.to.x - drag.from.x, drag.to.y - drag.from.y);
      context.shadowBlur = 0;
      context.setLineDash([]);
    }
    if (drag?.kind === "stroke") {
      context.lineWidth = 2 * drag.radius;
      context.lineCap = context.lineJoin = "round";
      context.strokeStyle = this.adds ? "rgba(60,200,120,.55)" : "rgba(240,80,80,.55)";
      context.beginPath();
      context.moveTo(...drag.points[0]);
      drag.points.forEach((point) => context.lineTo(...point));
      context.lineTo(drag.points[0][0] + (drag.points.length > 1 ? 0 : 0.01), drag.points[0][1]);
      if (drag.points.length > 1) {
        context.beginPath();
        context.moveTo(...drag.points[0]);
        drag.points.slice(1).forEach((point) => context.lineTo(...point));
      }
      context.stroke();
    }
    if (this.tool === "paint" && this.pointer && !drag) this.ring(this.pointer, this.radius, pixel);
    if (this.crosshair) this.cross(this.crosshair, pixel);
  }

  dot(x, y, label, pixel) {
    const { context } = this;
    context.beginPath();
    context.arc(x, y, 5 * pixel, 0, 2 * Math.PI);
    context.fillStyle = label ? "#1f9d55" : "#d64545";
    context.fill();
    context.lineWidth = 1.5 * pixel;
    context.strokeStyle = "#fff";
    context.stroke();
    context.beginPath();
    context.moveTo(x - 2.5 * pixel, y);
    context.lineTo(x + 2.5 * pixel, y);
    if (label) {
      context.moveTo(x, y - 2.5 * pixel);
      context.lineTo(x, y + 2.5 * pixel);
    }
    context.stroke();
  }

  ring({ x, y }, radius, pixel) {
    const { context } = this;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.lineWidth = 3 * pixel;
    context.strokeStyle = "rgba(0,0,0,.5)";
    context.stroke();
    context.lineWidth = 1.5 * pixel;
    context.strokeStyle = this.adds ? "#8ff0b5" : "#ff9c9c";
    context.stroke();
  }

  cross({ x, y }, pixel) {
    const { context } = this;
    for (const [width, colour] of [[4, "rgba(0,0,0,.6)"], [1.6, "#fff"]]) {
      context.lineWidth = width * pixel;
      context.strokeStyle = colour;
      context.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + dx * 5 * pixel, y + dy * 5 * pixel);
        context.lineTo(x + dx * 18 * pixel, y + dy * 18 * pixel);
      }
      context.stroke();
    }
  }

  hover(id) {
    if (id === this.hovered) return;
    this.hovered = id;
    this.on.hover(id);
    this.redraw();
  }
}
