// @ts-check
// Numbers as people read them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const money = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' });
const coarse = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR', maximumFractionDigits: 0 });

/** @param {number} v */
export const int = (v) => whole.format(v);
/** @param {number} v */
export const dec = (v) => one.format(v);
/** @param {number} cents */
export const eur = (cents) => money.format(cents / 100);
/** @param {number} cents */
export const eur0 = (cents) => coarse.format(cents / 100);
/** @param {number} v */
export const percent = (v) => `${v > 0 ? '+' : v < 0 ? '−' : '±'}${one.format(Math.abs(v))} %`;
/** @param {number} v */
export const times = (v) => `×${v.toFixed(3)}`;

/** Large counts, short. @param {number} v */
export function short(v) {
  if (v < 10000) return int(v);
  if (v < 1e6) return `${one.format(v / 1e3)} k`;
  return `${one.format(v / 1e6)} M`;
}

/** @param {number} seconds */
export function span(seconds) {
  if (seconds < 90) return `${int(seconds)} s`;
  if (seconds < 5400) return `${int(seconds / 60)} min`;
  return `${one.format(seconds / 3600)} h`;
}

/** @param {number} ms */
export function clock(ms) {
  const at = new Date(ms);
  const time = at.toLocaleTimeString('en-GB');
  return Math.abs(Date.now() - ms) < 20 * 3600e3 ? time : `${at.toISOString().slice(0, 10)} ${time}`;
}

const stops = [[0, [205, 62, 62]], [45, [226, 128, 44]], [70, [214, 172, 40]], [88, [96, 168, 84]], [100, [31, 148, 110]]];

/** The colour of a score: red is harsh, green is calm. @param {number} score */
export function colour(score) {
  for (let i = 1; i < stops.length; i++) {
    const [high, to] = /** @type {[number, number[]]} */ (stops[i]);
    const [low, from] = /** @type {[number, number[]]} */ (stops[i - 1]);
    if (score > high) continue;
    const f = Math.max(0, (score - low) / (high - low));
    return `rgb(${from.map((c, k) => Math.round(c + (to[k] - c) * f)).join(' ')})`;
  }
  return 'rgb(31 148 110)';
}
