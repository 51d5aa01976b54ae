// The image with its masks on a canvas: looking (zoom, move) and showing (click, box, brush, crosshair).
// It knows nothing of the server; `on` has what happens: click, box, stroke, hover.

const SLOP = 5;
const MOST_ZOOM = 40;

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
    this.crosshair = null;
    this.view = { scale: 1, x: 0, y: 0 };
    this.fitted = true;
    this.pointers = new Map();
    this.drag = null;
    this.hovered = null;
    this.panKey = false;
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
    this.listen();
  }

  // Content

  show(image, size, keepView) {
    const same = keepView && size.width === this.size.width && size.height === this.size.height;
    this.image = image;
    this.size = size;
    if (!same) this.fit();
    this.redraw();
  }

  fit() {
    const { width, height } = this.box();
    const margin = Math.min(28, width / 20);
    const scale = Math.min((width - 2 * margin) / this.size.width, (height - 2 * margin) / this.size.height);
    this.view = { scale, x: (width - this.size.width * scale) / 2, y: (height - this.size.height * scale) / 2 };
    this.fitted = true;
    this.redraw();
  }

  zoom(factor, at = this.middle()) {
    const { width } = this.box();
    const least = Math.min(0.05, width / this.size.width / 4);
    const scale = Math.min(MOST_ZOOM, Math.max(least, this.view.scale * factor));
    const image = this.toImage(at);
    this.view = { scale, x: at.x - image.x * scale, y: at.y - image.y * scale };
    this.fitted = false;
    this.redraw();
  }

  move(dx, dy) {
    this.view.x += dx;
    this.view.y += dy;
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
    context.setTransform(view.scale * dense, 0, 0, view.scale * dense, view.x * dense, view.y * dense);
    context.imageSmoothingEnabled = view.scale < 4;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.image, 0, 0, this.size.width, this.size.height);
    if (this.masksShown) this.drawMasks(1 / view.scale);
    this.drawPrompts(1 / view.scale);
  }

  drawMasks(pixel) {
    const { context } = this;
    const shown = this.objects.filter((one) => one.visible && one.mask?.w > 0);
    const active = this.objects.some((one) => one.selected);
    for (const one of shown.sort((a, b) => b.mask.area - a.mask.area)) {
      const { mask, colour, selected } = one;
      const strong = selected || one.id === this.hovered;
      context.imageSmoothingEnabled = false;
      context.globalAlpha = one.kept ? (selected ? 0.34 : active ? 0.2 : 0.36) : strong ? 0.16 : 0;
      if (context.globalAlpha) context.drawImage(mask.bitmap(colour), mask.x, mask.y, mask.w, mask.h);
      context.globalAlpha = active && !strong ? 0.75 : 1;
      context.setLineDash(one.kept ? [] : [4 * pixel, 4 * pixel]);
      this.line(mask.outline, colour, strong ? 2.6 : 1.4, pixel, strong);
    }
    context.setLineDash([5 * pixel, 4 * pixel]);
    for (const one of this.ghosts) this.line(one.mask.outline, one.colour, 1.8, pixel, true);
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  line(path, colour, width, pixel, halo) {
    const { context } = this;
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

  // Pointers: one draws or clicks, two move and zoom

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.moved(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.cancel(event));
    canvas.addEventListener("pointerleave", () => {
      this.pointer = null;
      this.hover(null);
    });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  wheel(event) {
    event.preventDefault();
    const unit = event.deltaMode ? 16 : 1;
    if (event.shiftKey) this.move(-event.deltaY * unit, 0);
    else this.zoom(Math.exp(-event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.0018)), { x: event.offsetX, y: event.offsetY });
  }

  down(event) {
    if (!this.image) return;
    this.canvas.setPointerCapture(event.pointerId);
    const at = { x: event.offsetX, y: event.offsetY };
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size > 1) {
      this.drag = { kind: "pinch" };
      return;
    }
    const image = this.toImage(at);
    const pans = event.button === 1 || this.tool === "hand" || this.panKey;
    const minus = event.button === 2 || event.altKey;
    if (pans) this.drag = { kind: "pan", last: at };
    else if (this.tool === "paint" && this.inside(image)) {
      this.drag = { kind: "stroke", points: [[image.x, image.y]], radius: this.radius, adds: this.adds && !minus };
    } else {
      this.drag = { kind: "press", at, from: this.clamp(image), started: performance.now(), minus, inside: this.inside(image) };
    }
    this.redraw();
  }

  moved(event) {
    const at = { x: event.offsetX, y: event.offsetY };
    const image = this.toImage(at);
    const { drag } = this;
    if (this.pointers.has(event.pointerId) && drag?.kind === "pinch") this.pinch(event.pointerId, at);
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, at);
    if (!drag) {
      this.pointer = image;
      this.hover(this.masksShown ? this.objectAt(image)?.id ?? null : null);
      if (this.tool === "paint") this.redraw();
      return;
    }
    if (drag.kind === "pan") {
      this.move(at.x - drag.last.x, at.y - drag.last.y);
      drag.last = at;
    } else if (drag.kind === "stroke") {
      const { x, y } = this.clamp(image);
      drag.points.push([x, y]);
      this.redraw();
    } else if (drag.kind === "press" && Math.hypot(at.x - drag.at.x, at.y - drag.at.y) > SLOP) {
      drag.kind = "box";
    }
    if (drag.kind === "box") {
      drag.to = this.clamp(image);
      this.redraw();
    }
  }

  pinch(id, at) {
    const before = this.pointers.get(id);
    const other = [...this.pointers].find(([key]) => key !== id)?.[1];
    if (!other) return;
    const gap = (point) => Math.hypot(point.x - other.x, point.y - other.y);
    this.move((at.x - before.x) / 2, (at.y - before.y) / 2);
    this.zoom(gap(at) / Math.max(1, gap(before)), { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 });
  }

  up(event) {
    const { drag } = this;
    this.pointers.delete(event.pointerId);
    if (drag?.kind === "pinch" && this.pointers.size) return;
    this.drag = null;
    if (drag?.kind === "press" && drag.inside) {
      const long = event.pointerType === "touch" && performance.now() - drag.started > 500;
      this.on.click(drag.from, drag.minus || long, event.shiftKey);
    } else if (drag?.kind === "box" && drag.to) {
      const { from, to } = drag;
      const box = [Math.min(from.x, to.x), Math.min(from.y, to.y), Math.max(from.x, to.x), Math.max(from.y, to.y)];
      if (box[2] - box[0] >= 1 && box[3] - box[1] >= 1) this.on.box(box);
    } else if (drag?.kind === "stroke") {
      this.on.stroke(drag.points, drag.radius, drag.adds);
    }
    this.redraw();
  }

  cancel(event) {
    this.pointers.delete(event.pointerId);
    this.drag = null;
    this.redraw();
  }

  hover(id) {
    if (id === this.hovered) return;
    this.hovered = id;
    this.on.hover(id);
    this.redraw();
  }
}
