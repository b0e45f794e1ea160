// @ts-check
// The fleet on a canvas: roads below, redrawn when the view moves; cars above, redrawn each frame. Positions arrive
// once a second and are drawn on the way from one to the next.

import { h, say } from './dom.js';
import { store } from './store.js';
import { colour, eur } from './format.js';

const tickMs = 1000;
const leapM = 3000; // farther in a tick is another place, not a movement
const trailMax = { simulation: 40, replay: 4000 };
const pulseMs = 2600;
const metres = 111195; // a degree of latitude

/** @typedef {{id:string,x0:number,y0:number,x1:number,y1:number,h0:number,h1:number,t0:number,trail:number[],speed:number,limit:number,on:boolean,t:number}} Shown */

customElements.define('pay-map', class extends HTMLElement {
  ground = h('canvas', { 'aria-hidden': 'true' });
  top = h('canvas', {
    tabindex: '0', role: 'application',
    'aria-label': 'Map of the fleet. Plus and minus zoom, arrows move, 0 shows all. The list of drivers has the same cars as text.',
  });
  tip = h('div', { class: 'tip', hidden: true });
  empty = h('p', { class: 'empty', text: 'No car has been heard yet. They appear with their first message.' });
  /** @type {Map<string, Shown>} */
  cars = new Map();
  /** @type {{x:number,y:number,kind:string,t:number}[]} */
  pulses = [];
  /** @type {{class:string,points:number[]}[]} */
  roads = [];
  /** @type {{x:number,y:number,scale:number}} the place in the middle, metres, and pixels per metre */
  view = { x: 0, y: 0, scale: 0.05 };
  width = 0;
  height = 0;
  ratio = 1;
  dirty = true; // the ground has to be drawn anew
  touched = false; // the view was chosen by hand
  moved = 0; // pixels since a pointer was pressed
  /** @type {string|null} */
  hovered = null;
  /** @type {Map<number, {x:number,y:number}>} */
  pointers = new Map();
  /** @type {Record<string, string>} */
  colours = {};
  /** @type {{lat:number,lon:number,narrow:number}|null} where metres are counted from */
  from = null;
  calm = matchMedia('(prefers-reduced-motion: reduce)');

  connectedCallback() {
    const button = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ act) =>
      h('button', { type: 'button', 'aria-label': label, title: label, text, onclick: act });
    this.append(this.ground, this.top, this.empty, this.tip,
      h('div', { class: 'zoom' }, button('+', 'Zoom in', () => this.zoom(1.5)), button('−', 'Zoom out', () => this.zoom(1 / 1.5)),
        button('⤢', 'Show all', () => this.fit(true))),
      h('div', { class: 'legend', 'aria-hidden': 'true' }, h('span', { text: 'score 0' }), h('i'), h('span', { text: '100' })));
    this.listen();
    this.theme();
    this.load();
    this.frame = this.frame.bind(this);
    requestAnimationFrame(this.frame);
  }

  listen() {
    new ResizeObserver(() => this.resize()).observe(this);
    document.addEventListener('theme', () => this.theme());
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.theme());
    store.addEventListener('tick', () => this.tick());
    store.addEventListener('select', () => this.reveal());
    this.top.addEventListener('wheel', (/** @type {WheelEvent} */ e) => {
      e.preventDefault();
      this.zoom(Math.exp(-e.deltaY * 0.0016), e.offsetX, e.offsetY);
    }, { passive: false });
    this.top.addEventListener('pointerdown', (/** @type {PointerEvent} */ e) => this.press(e));
    this.top.addEventListener('pointermove', (/** @type {PointerEvent} */ e) => this.drag(e));
    for (const end of ['pointerup', 'pointercancel']) this.top.addEventListener(end, (/** @type {PointerEvent} */ e) => this.release(e));
    this.top.addEventListener('pointerleave', () => this.hover(null));
    this.top.addEventListener('keydown', (/** @type {KeyboardEvent} */ e) => this.key(e));
  }

  async load() {
    try {
      const town = await (await fetch('api/town')).json();
      const points = town.roads.flatMap((/** @type {any} */ r) => r.points);
      if (points.length) this.origin(points.reduce((/** @type {number} */ s, /** @type {number[]} */ p) => s + p[0], 0) / points.length, points.reduce((/** @type {number} */ s, /** @type {number[]} */ p) => s + p[1], 0) / points.length);
      // Cars that came before the town are counted from another place: they are placed anew.
      this.cars.clear();
      this.pulses = [];
      this.roads = town.roads.map((/** @type {any} */ r) => ({ class: r.class, points: r.points.flatMap((/** @type {number[]} */ p) => this.place(p[0], p[1])) }));
      say(/** @type {Element} */ (document.getElementById('map-note')), town.name);
      this.fit(false);
      this.tick();
    } catch {
      setTimeout(() => this.load(), 2000);
    }
  }

  /** @param {number} lat @param {number} lon */
  origin(lat, lon) {
    this.from = { lat, lon, narrow: Math.cos((lat * Math.PI) / 180) };
    return this.from;
  }

  /** Metres east and south. @param {number} lat @param {number} lon */
  place(lat, lon) {
    const from = this.from ?? this.origin(lat, lon);
    return [(lon - from.lon) * metres * from.narrow, (from.lat - lat) * metres];
  }

  tick() {
    const now = performance.now(), replay = store.status?.mode === 'replay';
    for (const car of store.cars) {
      const [x, y] = this.place(car.lat, car.lon);
      const shown = this.cars.get(car.id);
      if (!shown) {
        this.cars.set(car.id, { id: car.id, x0: x, y0: y, x1: x, y1: y, h0: car.h, h1: car.h, t0: now, trail: [x, y], speed: car.v, limit: car.limit ?? 0, on: car.on, t: car.t });
        continue;
      }
      const at = this.where(shown, now);
      const moved = Math.hypot(x - shown.x1, y - shown.y1);
      const heading = car.h >= 0 ? car.h : moved > 3 ? (Math.atan2(x - shown.x1, shown.y1 - y) * 180) / Math.PI : shown.h1;
      if (moved > leapM) {
        at.x = x;
        at.y = y;
        if (!replay) shown.trail = [];
        else shown.trail.push(NaN, NaN);
      }
      Object.assign(shown, { x0: at.x, y0: at.y, h0: at.h, x1: x, y1: y, h1: heading, t0: now, speed: car.v, limit: car.limit ?? 0, on: car.on, t: car.t });
      if (moved > 2) {
        shown.trail.push(x, y);
        const most = 2 * (replay ? trailMax.replay : trailMax.simulation);
        if (shown.trail.length > most) shown.trail.splice(0, shown.trail.length - most);
      }
    }
    for (const e of store.fresh) {
      if (!e.placed) continue;
      const [x, y] = this.place(e.lat, e.lon);
      this.pulses.push({ x, y, kind: e.kind, t: now });
    }
    this.empty.hidden = this.cars.size > 0;
    if (!this.touched && (replay || this.roads.length === 0)) this.fit(false);
    this.showTip();
  }

  /** @param {Shown} car @param {number} now */
  where(car, now) {
    const f = this.calm.matches ? 1 : Math.min(1, (now - car.t0) / tickMs);
    const turn = ((car.h1 - car.h0 + 540) % 360) - 180;
    return { x: car.x0 + (car.x1 - car.x0) * f, y: car.y0 + (car.y1 - car.y0) * f, h: car.h0 + turn * Math.min(1, f * 2) };
  }

  /** All of the town, or all that has been driven. @param {boolean} asked */
  fit(asked) {
    if (asked) this.touched = false;
    const xs = [], ys = [];
    const lines = this.roads.length ? this.roads.map((r) => r.points) : [...this.cars.values()].map((c) => c.trail);
    for (const line of lines) for (let i = 0; i < line.length; i += 2) if (!Number.isNaN(line[i])) { xs.push(line[i]); ys.push(line[i + 1]); }
    if (xs.length === 0 || !this.width) return;
    const bound = (/** @type {number[]} */ v) => v.reduce((b, n) => [Math.min(b[0], n), Math.max(b[1], n)], [Infinity, -Infinity]);
    const [left, right] = bound(xs), [up, down] = bound(ys);
    const scale = Math.min((this.width - 40) / Math.max(right - left, 300), (this.height - 40) / Math.max(down - up, 300));
    this.view = { x: (left + right) / 2, y: (up + down) / 2, scale };
    this.dirty = true;
  }

  /** @param {number} by @param {number} [px] @param {number} [py] */
  zoom(by, px = this.width / 2, py = this.height / 2) {
    const v = this.view, scale = Math.min(4, Math.max(0.002, v.scale * by));
    const x = v.x + (px - this.width / 2) / v.scale, y = v.y + (py - this.height / 2) / v.scale;
    this.view = { scale, x: x - (px - this.width / 2) / scale, y: y - (py - this.height / 2) / scale };
    this.touched = this.dirty = true;
  }

  /** @param {number} dx @param {number} dy pixels */
  pan(dx, dy) {
    this.view.x -= dx / this.view.scale;
    this.view.y -= dy / this.view.scale;
    this.touched = this.dirty = true;
  }

  /** @param {KeyboardEvent} e */
  key(e) {
    const act = { '+': () => this.zoom(1.5), '=': () => this.zoom(1.5), '-': () => this.zoom(1 / 1.5), 0: () => this.fit(true),
      ArrowLeft: () => this.pan(60, 0), ArrowRight: () => this.pan(-60, 0), ArrowUp: () => this.pan(0, 60), ArrowDown: () => this.pan(0, -60) }[e.key];
    if (!act || e.ctrlKey || e.metaKey) return;
    e.preventDefault();
    act();
  }

  /** @param {PointerEvent} e */
  press(e) {
    if (e.button !== 0) return;
    this.top.setPointerCapture(e.pointerId);
    this.pointers.set(e.pointerId, { x: e.offsetX, y: e.offsetY });
    this.moved = 0;
  }

  /** @param {PointerEvent} e */
  drag(e) {
    const before = this.pointers.get(e.pointerId);
    if (!before) {
      this.hover(this.nearest(e.offsetX, e.offsetY, 14));
      return;
    }
    const others = [...this.pointers].filter(([id]) => id !== e.pointerId).map(([, p]) => p);
    if (others.length) {
      const gap = (/** @type {{x:number,y:number}} */ p) => Math.hypot(p.x - others[0].x, p.y - others[0].y);
      this.zoom(gap({ x: e.offsetX, y: e.offsetY }) / Math.max(gap(before), 1), others[0].x, others[0].y);
    } else this.pan(e.offsetX - before.x, e.offsetY - before.y);
    this.moved += Math.abs(e.offsetX - before.x) + Math.abs(e.offsetY - before.y);
    this.pointers.set(e.pointerId, { x: e.offsetX, y: e.offsetY });
  }

  /** @param {PointerEvent} e */
  release(e) {
    if (this.pointers.delete(e.pointerId) && e.type === 'pointerup' && this.moved < 6) {
      const hit = this.nearest(e.offsetX, e.offsetY, e.pointerType === 'mouse' ? 14 : 26);
      if (hit) store.select(hit);
    }
  }

  /** @param {number} px @param {number} py @param {number} within pixels */
  nearest(px, py, within) {
    const now = performance.now();
    let best = within, found = null;
    for (const car of this.cars.values()) {
      const at = this.where(car, now), [x, y] = this.screen(at.x, at.y), d = Math.hypot(x - px, y - py);
      if (d < best) [best, found] = [d, car.id];
    }
    return found;
  }

  /** @param {string|null} id */
  hover(id) {
    this.hovered = id;
    this.top.style.cursor = id ? 'pointer' : '';
    this.showTip();
  }

  showTip() {
    const car = this.cars.get(this.hovered ?? '');
    this.tip.hidden = !car;
    if (!car) return;
    const at = this.where(car, performance.now()), [x, y] = this.screen(at.x, at.y);
    const d = store.drivers.get(car.id);
    this.tip.replaceChildren(h('b', { class: 'id', text: car.id }),
      h('span', { text: car.on ? `${car.speed.toFixed(0)} km/h${car.limit ? ` where ${car.limit} is allowed` : ''}` : 'parked' }),
      h('span', { text: d ? `score ${d.score.toFixed(0)} · ${eur(d.cents)} a year` : 'no score yet' }));
    this.tip.style.transform = `translate(${Math.min(x + 14, this.width - 210)}px, ${Math.max(y - 64, 4)}px)`;
  }

  /** Brings a chosen driver into sight. */
  reveal() {
    const car = this.cars.get(store.selected ?? '');
    if (!car) return;
    const [x, y] = this.screen(car.x1, car.y1), edge = 40;
    if (x > edge && y > edge && x < this.width - edge && y < this.height - edge) return;
    this.view.x = car.x1;
    this.view.y = car.y1;
    this.touched = this.dirty = true;
  }

  resize() {
    const first = !this.width;
    this.width = this.clientWidth;
    this.height = this.clientHeight;
    this.ratio = devicePixelRatio || 1;
    for (const canvas of [this.ground, this.top]) {
      canvas.width = Math.round(this.width * this.ratio);
      canvas.height = Math.round(this.height * this.ratio);
    }
    this.dirty = true;
    if (first || !this.touched) this.fit(false);
  }

  theme() {
    const style = getComputedStyle(this), get = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    this.colours = { trunk: get('--trunk'), arterial: get('--arterial'), street: get('--street'), casing: get('--casing'), ink: get('--ink'), paper: get('--map'),
      parked: get('--parked'), braking: get('--braking'), acceleration: get('--acceleration'), cornering: get('--cornering'), speeding: get('--speeding'), trail: get('--accent') };
    this.dirty = true;
  }

  /** @param {number} x @param {number} y @returns {[number, number]} */
  screen(x, y) {
    return [(x - this.view.x) * this.view.scale + this.width / 2, (y - this.view.y) * this.view.scale + this.height / 2];
  }

  /** @param {number} now */
  frame(now) {
    requestAnimationFrame(this.frame);
    if (!this.width || document.hidden) return;
    if (this.dirty) this.drawGround();
    this.drawCars(now);
  }

  /** @param {HTMLCanvasElement} canvas @returns {CanvasRenderingContext2D} */
  clear(canvas) {
    const c = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    c.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    c.clearRect(0, 0, this.width, this.height);
    c.lineCap = c.lineJoin = 'round';
    return c;
  }

  drawGround() {
    this.dirty = false;
    const c = this.clear(this.ground), s = this.view.scale;
    const widths = /** @type {Record<string, number>} */ ({ street: Math.max(1.6, Math.min(9 * s, 9)), arterial: Math.max(3, Math.min(15 * s, 15)), trunk: Math.max(4, Math.min(22 * s, 20)) });
    const kinds = ['street', 'arterial', 'trunk'];
    for (const [grow, paint] of /** @type {[number, (k: string) => string][]} */ ([[2, () => this.colours.casing], [0, (k) => this.colours[k]]])) {
      for (const kind of kinds) {
        c.beginPath();
        for (const road of this.roads) if (road.class === kind) this.path(c, road.points);
        c.lineWidth = widths[kind] + grow;
        c.strokeStyle = paint(kind);
        c.stroke();
      }
    }
  }

  /** @param {CanvasRenderingContext2D} c @param {number[]} points */
  path(c, points) {
    let pen = false;
    for (let i = 0; i < points.length; i += 2) {
      if (Number.isNaN(points[i])) { pen = false; continue; }
      const [x, y] = this.screen(points[i], points[i + 1]);
      if (pen) c.lineTo(x, y); else c.moveTo(x, y);
      pen = true;
    }
  }

  /** @param {number} now */
  drawCars(now) {
    const c = this.clear(this.top), replay = store.status?.mode === 'replay';
    const size = Math.max(4.8, Math.min(9, 5.4 + this.view.scale * 6));
    for (const car of this.cars.values()) {
      const chosen = car.id === store.selected;
      if (!replay && !car.on && !chosen) continue;
      this.drawTrail(c, car, now, chosen || replay);
    }
    this.drawPulses(c, now);
    const order = [...this.cars.values()].sort((a, b) => Number(a.on) - Number(b.on) || Number(a.id === store.selected) - Number(b.id === store.selected));
    for (const car of order) this.drawCar(c, car, now, size);
  }

  /** @param {CanvasRenderingContext2D} c @param {Shown} car @param {number} now @param {boolean} strong */
  drawTrail(c, car, now, strong) {
    const at = this.where(car, now);
    const points = strong ? car.trail : car.trail.slice(-12);
    c.beginPath();
    this.path(c, [...points.slice(0, -2), at.x, at.y]);
    c.strokeStyle = strong ? this.colours.trail : colour(store.drivers.get(car.id)?.score ?? 60);
    c.globalAlpha = strong ? 0.75 : 0.4;
    c.lineWidth = strong ? 3 : 2.5;
    c.stroke();
    c.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} c @param {number} now */
  drawPulses(c, now) {
    this.pulses = this.pulses.filter((p) => now - p.t < pulseMs).slice(-60);
    for (const p of this.pulses) {
      const f = this.calm.matches ? 0.5 : (now - p.t) / pulseMs, [x, y] = this.screen(p.x, p.y);
      c.beginPath();
      c.arc(x, y, 6 + 20 * f, 0, 7);
      c.strokeStyle = this.colours[p.kind] ?? this.colours.ink;
      c.globalAlpha = 1 - f;
      c.lineWidth = 3;
      c.stroke();
    }
    c.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} c @param {Shown} car @param {number} now @param {number} size */
  drawCar(c, car, now, size) {
    const at = this.where(car, now), [x, y] = this.screen(at.x, at.y), chosen = car.id === store.selected;
    if (x < -30 || y < -30 || x > this.width + 30 || y > this.height + 30) return;
    c.save();
    c.translate(x, y);
    if (chosen || car.id === this.hovered) {
      c.beginPath();
      c.arc(0, 0, size + 6, 0, 7);
      c.fillStyle = this.colours.trail;
      c.globalAlpha = 0.22;
      c.fill();
      c.globalAlpha = 1;
      c.lineWidth = 2;
      c.strokeStyle = this.colours.trail;
      c.stroke();
    }
    const driver = store.drivers.get(car.id);
    c.fillStyle = car.on ? colour(driver?.score ?? 60) : this.colours.parked;
    c.strokeStyle = this.colours.paper;
    c.lineWidth = 1.5;
    c.beginPath();
    if (car.on) {
      c.rotate((at.h * Math.PI) / 180);
      c.moveTo(0, -size * 1.35);
      c.lineTo(size * 0.85, size);
      c.lineTo(0, size * 0.55);
      c.lineTo(-size * 0.85, size);
      c.closePath();
    } else c.arc(0, 0, size * 0.5, 0, 7);
    c.fill();
    c.stroke();
    c.restore();
  }
});
