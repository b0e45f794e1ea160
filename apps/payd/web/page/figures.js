// @ts-check
import { h, svg, say } from './dom.js';
import { store } from './store.js';
import { dec, eur, int, short } from './format.js';

/**
 * A line of samples, without axes.
 * @param {number[]} samples @param {number} [floor] the least height of the scale
 */
export function sparkPath(samples, floor = 1) {
  const width = 100, height = 28, most = Math.max(floor, ...samples) * 1.08;
  const step = width / 89;
  const start = width - (samples.length - 1) * step;
  const points = samples.map((v, i) => `${(start + i * step).toFixed(1)} ${(height - (v / most) * height).toFixed(1)}`);
  return points.length > 1 ? { line: `M${points.join('L')}`, area: `M${start.toFixed(1)} ${height}L${points.join('L')}L${width} ${height}Z` } : { line: '', area: '' };
}

export function spark() {
  const area = svg('path', { class: 'area' }), line = svg('path', { class: 'line' });
  const node = svg('svg', { class: 'spark', viewBox: '0 0 100 28', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, area, line);
  return {
    node,
    /** @param {number[]} samples @param {number} [floor] */
    draw(samples, floor) {
      const path = sparkPath(samples, floor);
      area.setAttribute('d', path.area);
      line.setAttribute('d', path.line);
    },
  };
}

customElements.define('pay-figures', class extends HTMLElement {
  rate = this.figure('Messages', 'a second into telematics', spark());
  driving = this.figure('Driving now', 'cars', spark());
  score = this.figure('Mean score', 'of 100; higher is calmer');
  premium = this.figure('Mean premium', 'a year; illustrative');
  dead = this.figure('Dead letters', 'refused, kept with their reason');

  connectedCallback() {
    this.append(...[this.rate, this.driving, this.score, this.premium, this.dead].map((f) => f.node));
    store.addEventListener('tick', () => this.draw());
  }

  /** @param {string} title @param {string} note @param {ReturnType<typeof spark>} [line] */
  figure(title, note, line) {
    const value = h('strong', { text: '–' }), sub = h('span', { class: 'sub', text: note });
    const node = h('div', { class: 'panel figure' }, h('span', { class: 'title', text: title }), value, sub, line?.node ?? null);
    return { node, value, sub, line };
  }

  draw() {
    const s = store.status;
    if (!s) return;
    say(this.rate.value, s.rate < 10 ? dec(s.rate) : int(s.rate));
    say(this.rate.sub, `a second · ${short(s.total)} in telematics`);
    this.rate.line?.draw(store.series.get('rate') ?? [], 10);
    say(this.driving.value, int(s.driving));
    say(this.driving.sub, `of ${int(s.drivers)} ${s.drivers === 1 ? 'driver' : 'drivers'}`);
    this.driving.line?.draw(store.series.get('driving') ?? [], 5);
    say(this.score.value, s.mean_score ? dec(s.mean_score) : '–');
    say(this.premium.value, s.mean_cents ? eur(s.mean_cents) : '–');
    say(this.dead.value, int(s.dead_total));
  }
});
